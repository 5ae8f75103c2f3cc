"""`storage sync` against the peers that people use for it, on a real Ceph gateway: up, down, nothing to do, large, many.

    python benchmarks/sync.py                        # all: nine rounds of ours and s5cmd, three of the others
    python benchmarks/sync.py up noop --rounds 3 --peers s5cmd,rclone
    python benchmarks/sync.py --scale 0.02 --rounds 1       # whether it works at all

Gateway, rounds and ratios are those of `benchmarks/s3.py`. After each round the objects or files are counted, and a run
that had nothing to do has to have left every object as it was: a peer that fails or does more would be no measure.
Each run of ours begins without anything remembered, but where the row says otherwise. Files with nothing to do are older
than their objects, as s5cmd wants it; their ETags are MD5 sums, as rclone wants it. The 100,000 of one row are of 100
bytes, put there once for all of its rounds. Ours stores and verifies a SHA-256 in all rows; the others do neither.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from listing_server import PAGE, as_server
from measuring import (
    BIN,
    BUCKET,
    OURS,
    RESULTS,
    SERVER,
    CephRgw,
    Cost,
    Row,
    Work,
    compare,
    environment_of,
    find_peers,
    forgetful,
    gateway,
    in_turn,
    judged,
    keep,
    medians,
    plain_client,
    row,
    run,
    show,
    versions,
)

STORAGE = str(BIN / "storage")
LOOK_EVERY = 0.25
RCLONE = ["rclone", "sync", "--fast-list", "--checksum", "--transfers", "16", "--checkers", "16"]
AWS = ["aws", "s3", "sync", "--only-show-errors"]


class Bench(NamedTuple):
    """How much is measured, and where.

    Attributes:
        scale: of the numbers of files and of bytes of the large one; 1 is what the bounds are for.
    """

    folder: Path
    scale: float
    rounds: int
    other_rounds: int
    peers: Sequence[str]

    def scaled(self, count: int) -> int:
        return max(1, round(count * self.scale))

    def compared(self, work: Work) -> tuple[Row, dict[str, list[Cost]]]:
        costs = compare(work, self.folder, self.peers, self.rounds, self.other_rounds)
        return row(work, costs), costs

    def files(self, count: int, size: int) -> Path:
        """A folder of `count` different files, in folders of a thousand; made once."""
        source = self.folder / f"files-{count}x{size}"
        if not source.exists():
            for number in range(count):
                if number % 1000 == 0:
                    (within := source / f"d{number // 1000:04d}").mkdir(parents=True)
                (within / f"f{number:07d}.bin").write_bytes(os.urandom(size))
        return source


def objects(server: CephRgw, prefix: str = "") -> Iterator[dict[str, object]]:
    """What is there, as boto3 lists it."""
    for page in plain_client(server).get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix):
        yield from page.get("Contents", ())


def put(source: Path, prefix: str) -> Callable[[CephRgw, Path], None]:
    """Puts the files there, with the hashes that ours verifies; in the folder `warm` stays what is remembered of it."""

    def before(server: CephRgw, folder: Path) -> None:
        shutil.rmtree(folder / "warm", ignore_errors=True)
        environment = environment_of(server, folder) | {"XDG_CACHE_HOME": str(folder / "warm")}
        run([STORAGE, "sync", str(source), prefix], environment, folder / "log.txt")

    return before


def expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise RuntimeError(f"{what}: {found} where {wanted} was to be")


def up(bench: Bench) -> Iterator[Row]:
    """Small files to where nothing is."""
    count = bench.scaled(10_000)
    source = str(bench.files(count, 4096))

    def command(tool: str, folder: Path) -> list[str]:
        return {
            OURS: [STORAGE, "sync", source, f"up/{tool}"],
            "s5cmd": ["s5cmd", "sync", f"{source}/", f"s3://{BUCKET}/up/{tool}/"],
            "rclone": [*RCLONE, source, f"ceph:{BUCKET}/up/{tool}"],
            "aws": [*AWS, source, f"s3://{BUCKET}/up/{tool}/"],
        }[tool]

    def check(server: CephRgw, folder: Path, tools: Sequence[str]) -> None:
        there = Counter(str(one["Key"]).split("/")[1] for one in objects(server, "up/"))
        expect("objects", dict(there), dict.fromkeys(tools, count))

    bounds = {"s5cmd wall": 0.9, "rclone wall": 0.6, "aws wall": 0.35, "s5cmd cpu": 0.5}
    yield bench.compared(Work(f"{count:,} x 4 KiB sync up", command, check=check, bounds=bounds))[0]


def down(bench: Bench) -> Iterator[Row]:
    """Small objects to where nothing is."""
    count = bench.scaled(10_000)

    def command(tool: str, folder: Path) -> list[str]:
        back = folder / f"down-{tool}-{time.monotonic_ns()}"
        back.mkdir()
        return {
            OURS: [STORAGE, "sync", str(back), "down/", "--direction", "download"],
            "s5cmd": ["s5cmd", "sync", f"s3://{BUCKET}/down/*", f"{back}/"],
            "rclone": [*RCLONE, f"ceph:{BUCKET}/down", str(back)],
            "aws": [*AWS, f"s3://{BUCKET}/down/", str(back)],
        }[tool]

    def check(server: CephRgw, folder: Path, tools: Sequence[str]) -> None:
        for back in folder.glob("down-*"):
            expect(f"files of {back.name}", sum(path.is_file() for path in back.rglob("*")), count)

    before = put(bench.files(count, 4096), "down")
    name = f"{count:,} x 4 KiB sync down"
    yield bench.compared(Work(name, command, before, check, bounds={"s5cmd wall": 0.9}))[0]


def nothing_to_do(bench: Bench, count: int, size: int, bound: float, *, one_gateway: bool) -> Iterator[Row]:
    source = bench.files(count, size)
    there: list[object] = []

    def command(tool: str, folder: Path) -> list[str]:
        return {
            OURS: [STORAGE, "sync", str(source), "noop"],
            "s5cmd": ["s5cmd", "sync", f"{source}/", f"s3://{BUCKET}/noop/"],
            "rclone": [*RCLONE, str(source), f"ceph:{BUCKET}/noop"],
        }[tool]

    def state(server: CephRgw) -> list[object]:
        return [(one["Key"], one["ETag"], one["LastModified"]) for one in objects(server)]

    def before(server: CephRgw, folder: Path) -> None:
        time.sleep(
            2.2
        )  # a file has to be older than its object, and settled to be remembered, also where times are coarse
        put(source, "noop")(server, folder)
        there[:] = state(server)
        expect("objects", len(there), count)

    def check(server: CephRgw, folder: Path, tools: Sequence[str]) -> None:
        if state(server) != there:
            raise RuntimeError("somebody found something to do")

    work = Work(
        f"{count:,} x {size:,} B sync, nothing to do",
        command,
        before,
        check,
        bounds={"better wall": bound},
        peers=("s5cmd", "rclone"),
        always=("s5cmd", "rclone"),
        warm="warm",
        one_gateway=one_gateway,
    )
    yield bench.compared(work)[0]


def noop(bench: Bench) -> Iterator[Row]:
    """Nothing to do, ours with what it remembers of the sync before."""
    return nothing_to_do(bench, bench.scaled(10_000), 4096, 1.3, one_gateway=False)


def noop_many(bench: Bench) -> Iterator[Row]:
    """The same for ten times as many."""
    return nothing_to_do(bench, bench.scaled(100_000), 100, 1.0, one_gateway=True)


def large(bench: Bench) -> Iterator[Row]:
    """One file each way, and what its SHA-256 alone takes."""
    size = bench.scaled(1 << 30)
    file = bench.folder / "large" / "large.bin"
    file.parent.mkdir()
    with file.open("wb") as out:
        for begin in range(0, size, 1 << 24):
            out.write(os.urandom(min(1 << 24, size - begin)))
    hashed: list[tuple[float, float]] = []

    def command_up(tool: str, folder: Path) -> list[str]:
        commands = {OURS: [STORAGE, "upload", str(file), f"up/{tool}"]}
        return (commands | {"s5cmd": ["s5cmd", "cp", str(file), f"s3://{BUCKET}/up/{tool}"]})[tool]

    def command_down(tool: str, folder: Path) -> list[str]:
        back = str(folder / f"large-{tool}-{time.monotonic_ns()}")
        commands = {OURS: [STORAGE, "download", "large.bin", back]}
        return (commands | {"s5cmd": ["s5cmd", "cp", f"s3://{BUCKET}/large.bin", back]})[tool]

    def digest() -> None:
        began, used = time.perf_counter(), time.process_time()
        with file.open("rb") as source:
            hashlib.file_digest(source, "sha256")
        hashed.append((time.perf_counter() - began, time.process_time() - used))

    def check_up(server: CephRgw, folder: Path, tools: Sequence[str]) -> None:
        expect("sizes of objects", [one["Size"] for one in objects(server)], [size] * len(tools))
        digest()

    def check_down(server: CephRgw, folder: Path, tools: Sequence[str]) -> None:
        expect("sizes of files", [back.stat().st_size for back in folder.glob("large-*-*")], [size] * len(tools))
        digest()

    def put_large(server: CephRgw, folder: Path) -> None:
        run([STORAGE, "upload", str(file), "large.bin"], environment_of(server, folder), folder / "log.txt")

    sized = f"{size / (1 << 20):,.0f} MiB"
    for work in (
        Work(f"{sized} up", command_up, check=check_up, bounds={"s5cmd wall": 1.15}, peers=("s5cmd",)),
        Work(f"{sized} down, verified", command_down, put_large, check_down, {"s5cmd wall": 0.8}, peers=("s5cmd",)),
    ):
        hashed.clear()
        found, costs = bench.compared(work)
        wall, cpu = (statistics.median(values) for values in zip(*hashed, strict=True))
        ours = statistics.median(cost.wall for cost in costs[OURS])
        found["stated"] = {
            "SHA-256 of the file alone, wall s": wall,
            "SHA-256 of the file alone, CPU s": cpu,
            "the same as a share of our wall": wall / ours,
        }
        yield found


def many(bench: Bench) -> Iterator[Row]:
    """Ten times as many files: memory, and what one of them costs. s5cmd beside, to show what of it is the server's."""
    few, lots = bench.scaled(10_000), bench.scaled(100_000)
    sources = {count: str(bench.files(count, 100)) for count in (few, lots)}
    tools = [OURS, *(peer for peer in bench.peers if peer == "s5cmd")]
    costs: dict[tuple[str, int], list[Cost]] = {(tool, count): [] for tool in tools for count in sources}
    for number in range(bench.rounds):
        for tool in in_turn(tools, {OURS: bench.rounds, "s5cmd": bench.other_rounds}, number):
            with gateway() as server:
                for count in (few, lots) if number % 2 else (lots, few):
                    source, environment = sources[count], environment_of(server, bench.folder)
                    commands = {OURS: [STORAGE, "sync", source, f"{count}"]}
                    commands["s5cmd"] = ["s5cmd", "sync", f"{source}/", f"s3://{BUCKET}/{count}/"]
                    os.sync()
                    cost = run(
                        commands[tool],
                        forgetful(environment, bench.folder),
                        bench.folder / "log.txt",
                        look_every=LOOK_EVERY,
                    )
                    costs[tool, count].append(cost)
                there = Counter(str(one["Key"]).split("/")[0] for one in objects(server))
                expect(f"objects of {tool}", there, {str(count): count for count in sources})
    found = {"memory": max(cost.memory for cost in costs[OURS, lots])}
    for tool in tools:
        pairs = list(zip(costs[tool, lots], costs[tool, few], strict=True))
        for name in ("wall", "cpu"):
            ratios = [getattr(large, name) / lots / (getattr(small, name) / few) for large, small in pairs]
            found[f"{'' if tool == OURS else f'{tool} '}{name} of one file to that of {few:,}"] = statistics.median(
                ratios
            )
    yield {
        "name": f"{lots:,} x 100 B sync up",
        "bounds": judged({"memory": 300, f"wall of one file to that of {few:,}": 1.2}, found),
        "tools": {
            f"{tool}{'' if count == lots else f' {count:,}'}": medians(taken)._asdict() | {"rounds": len(taken)}
            for (tool, count), taken in costs.items()
        },
        "stated": {name: value for name, value in found.items() if name.endswith(f"{few:,}")},
    }


@contextmanager
def listing_server(keys: int) -> Iterator[str]:
    """The stub store, as long as the `with` block lasts; its address."""
    program = str(Path(__file__).with_name("listing_server.py"))
    with subprocess.Popen(
        [sys.executable, program, str(keys)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin and server.stdout  # noqa: S101
        try:
            yield server.stdout.readline().strip()
        finally:
            server.stdin.close()


def million(bench: Bench) -> Iterator[Row]:
    """Plans of a million keys against an empty folder, and of a million local files against an empty store."""
    keys = max(PAGE, bench.scaled(1_000_000) // PAGE * PAGE)
    source = bench.files(keys, 0)
    for name in ("empty-folder", "empty-store"):
        (bench.folder / name).mkdir()

    def row_of(name: str, environment: dict[str, str], local: Path, direction: str) -> Row:
        plan = [STORAGE, "sync", str(local), "data/", "--direction", direction, "--dry-run", "--json"]
        log, taken = bench.folder / "log.txt", []
        for _ in range(bench.rounds):
            fresh = forgetful(environment, bench.folder)
            taken.append(run(plan, fresh, log, quiet=True, look_every=LOOK_EVERY))
        middle = medians(taken)
        # Once more, not measured: a plan that is empty would be fast.
        printed = subprocess.run(plan, env=fresh, capture_output=True, check=True).stdout
        expect("planned actions", printed.count(b'"reason": "new"'), keys)
        return {
            "name": name,
            "bounds": judged({"memory": 500}, {"memory": max(cost.memory for cost in taken)}),
            "tools": {OURS: middle._asdict() | {"rounds": len(taken)}},
            "stated": {"keys a second": keys / middle.wall, "client CPU of a key, µs": middle.cpu / keys * 1e6},
        }

    with listing_server(keys) as url:
        environment = environment_of(as_server(url), bench.folder)
        yield row_of(f"{keys:,} keys planned, stub store", environment, bench.folder / "empty-folder", "download")
    environment |= {"STORAGE_PROVIDER": "local", "STORAGE_LOCAL_PATH": str(bench.folder / "empty-store")}
    yield row_of(f"{keys:,} local files planned", environment, source, "upload")


SUITES: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "up": up,
    "down": down,
    "noop": noop,
    "noop-many": noop_many,
    "large": large,
    "many": many,
    "million": million,
}


def main() -> None:
    """Run the suites asked for, print the tables, and keep them where that is asked for."""
    results = RESULTS / "sync.json"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", nargs="*", choices=[*SUITES, []], help="default: all")
    parser.add_argument("--rounds", type=int, default=9, help="of ours, and of the peers that a bound needs in each")
    parser.add_argument("--other-rounds", type=int, default=3, help="of the other peers")
    parser.add_argument("--peers", default="s5cmd,rclone,aws")
    parser.add_argument(
        "--scale", type=float, default=1, help="of all numbers of files and bytes; 0.02 is a smoke test"
    )
    parser.add_argument("--keep", action="store_true", help="put the rows into the file of results")
    parser.add_argument(
        "--results", type=Path, default=results, help=f"which file; default: {results.name} in results/"
    )
    given = parser.parse_args()
    if given.keep and given.scale != 1 and given.results == results:
        parser.error("rows of another scale are not for the file of results: give --results")
    peers = find_peers(given.peers.split(","))
    work = Path(tempfile.mkdtemp(prefix="bench-sync-"))
    try:
        for name in given.suite or SUITES:
            folder = work / name
            folder.mkdir()
            for found in SUITES[name](Bench(folder, given.scale, given.rounds, given.other_rounds, peers)):
                show(found)
                if given.keep:  # each as soon as it is there: all of them take hours
                    keep(given.results, [found], server=SERVER, versions=versions(peers))
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
