"""Local disk against the tools that people compare it with: start-up, small files, one large file, listing.

    python benchmarks/run.py                       # all, nine rounds each
    python benchmarks/run.py startup listing       # some
    python benchmarks/run.py --rounds 3 --folder /mnt/disk/scratch small

Each round runs ours and the peer in turn, on fresh folders of the same file system, and gives one ratio; the median of
the ratios is what to quote. Seconds depend on the machine, ratios much less. Nothing is removed before the end: ext4 is
slow for half a minute after a large removal, for both sides alike. Flushing to disk (fsync) is left out on both sides
of the comparisons with `cp`, which does none; the row `small-durable` shows what it costs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from measuring import RESULTS, keep

STORAGE = str(Path(sys.executable).with_name("storage"))


class Cost(NamedTuple):
    """What one run took: wall-clock and CPU seconds."""

    wall: float
    cpu: float


class Row(NamedTuple):
    """One comparison: medians, and the median of the ratios of the rounds."""

    name: str
    ours: Cost
    peer: Cost
    ratio: float
    lowest: float
    highest: float
    bound: float | None
    note: str


def run(command: list[str], store: Path | None = None, *, durable: bool = False, output: Path | None = None) -> Cost:
    """Run a command to its end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STORAGE_")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if store:
        environment |= {"STORAGE_LOCAL_PATH": str(store), "STORAGE_LOCAL_DURABLE": str(durable).lower()}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    with open(output or os.devnull, "wb") as out:
        subprocess.run(command, env=environment, stdout=out, stderr=subprocess.DEVNULL, check=True)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def compare(
    name: str,
    rounds: int,
    ours: Callable[[int], Cost],
    peer: Callable[[int], Cost],
    *,
    bound: float | None = None,
    note: str = "",
) -> Row:
    """Ours and the peer in turn, after a round that does not count."""
    pairs = []
    for number in range(rounds + 1):
        os.sync()
        theirs = peer(number)
        os.sync()
        pairs.append((ours(number), theirs))
    pairs = pairs[1:]
    ratios = [mine.wall / theirs.wall for mine, theirs in pairs]
    return Row(
        name,
        Cost(*(statistics.median(values) for values in zip(*(mine for mine, _ in pairs), strict=True))),
        Cost(*(statistics.median(values) for values in zip(*(theirs for _, theirs in pairs), strict=True))),
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        bound,
        note,
    )


def beyond(cost: Cost, start: Cost) -> Cost:
    """A cost without that of starting the program."""
    return Cost(max(cost.wall - start.wall, 1e-4), max(cost.cpu - start.cpu, 1e-4))


def startup(folder: Path, rounds: int) -> list[Row]:
    """The command's start against the import of the two libraries that any such command needs."""
    imports = [sys.executable, "-c", "import typer, rich.console"]
    store = folder / "store"
    run([STORAGE, "upload", __file__, "one"], store)
    return [
        compare(
            f"storage {' '.join(words)}",
            rounds,
            lambda _, words=words: run([STORAGE, *words], store),
            lambda _: run(imports),
            bound=bound,
            note="peer: python -c 'import typer, rich.console'",
        )
        for words, bound in ((["--help"], 1.5), (["list"], 2.5))
    ]


def make_small(folder: Path, count: int) -> Path:
    """`count` files of 4 KiB in folders of a thousand."""
    source = folder / f"small-{count}"
    for number in range(count):
        file = source / f"d{number // 1000:03d}" / f"f{number:06d}.bin"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(4096))
    return source


def small(folder: Path, rounds: int) -> list[Row]:
    """10,000 files of 4 KiB, up and down, without and with fsync."""
    source = make_small(folder, 10_000)
    stores = folder / "stores"

    def copy(number: int, to: str) -> Cost:
        return run(["cp", "-r", str(source), str(folder / f"{to}-{number}")])

    def upload(number: int, to: str, *, durable: bool = False) -> Cost:
        return run([STORAGE, "upload", str(source), "data"], stores / f"{to}-{number}", durable=durable)

    return [
        compare(
            "10,000 x 4 KiB up",
            rounds,
            lambda number: upload(number, "up"),
            lambda number: copy(number, "cp-up"),
            bound=2.0,
            note="peer: cp -r; no fsync on either side; ours hashes, and replaces in one step",
        ),
        compare(
            "10,000 x 4 KiB down",
            rounds,
            lambda number: run([STORAGE, "download", "data", str(folder / f"down-{number}")], stores / "up-0"),
            lambda number: copy(number, "cp-down"),
            note="peer: cp -r; no fsync on either side; ours verifies",
        ),
        compare(
            "10,000 x 4 KiB, nothing to do",
            rounds,
            lambda _: run([STORAGE, "sync", str(source), "data"], stores / "up-0"),
            lambda number: copy(number, "cp-noop"),
            note="peer: cp -r, which copies",
        ),
        compare(
            "10,000 x 4 KiB up, durable",
            min(rounds, 3),
            lambda number: upload(number, "durable", durable=True),
            lambda number: copy(number, "cp-durable"),
            note="the default: each object is on the disk when its write returns; cp flushes nothing",
        ),
    ]


def large(folder: Path, rounds: int) -> list[Row]:
    """One file of 1 GiB, up and down."""
    source = folder / "large.bin"
    with source.open("wb") as file:
        for _ in range(64):
            file.write(os.urandom(1 << 24))

    def copy_and_hash(number: int) -> Cost:
        copied = folder / "copy.bin"
        cost = run(["cp", str(source), str(copied)])
        began, cpu = time.perf_counter(), time.process_time()
        with source.open("rb") as file:
            hashlib.file_digest(file, lambda: hashlib.sha256(usedforsecurity=False))
        hashed = Cost(time.perf_counter() - began, time.process_time() - cpu)
        copied.unlink()
        return Cost(cost.wall + hashed.wall, cost.cpu + hashed.cpu)

    def upload(number: int) -> Cost:
        store = folder / "large-store"
        cost = run([STORAGE, "upload", str(source), f"{number}.bin"], store)
        if number:
            (store / f"{number}.bin").unlink()  # as the copy's: freeing a gigabyte takes its time, and is no upload
        return cost

    def download(number: int) -> Cost:
        back = folder / "back.bin"
        cost = run([STORAGE, "download", "0.bin", str(back)], folder / "large-store")
        back.unlink()
        return cost

    note = "peer: cp, then SHA-256 of the file; no fsync on either side"
    return [
        compare("1 GiB up", rounds, upload, copy_and_hash, bound=1.3, note=note),
        compare("1 GiB down", rounds, download, copy_and_hash, note=note),
    ]


def listing(folder: Path, rounds: int) -> list[Row]:
    """100,000 objects listed with size and time, without the start of either program."""
    store, empty = folder / "listed", folder / "empty"
    make_small(store, 100_000)
    empty.mkdir()
    form = "%s %T@ %p\n"

    def ours(_: int) -> Cost:
        out = folder / "ours.txt"
        return beyond(run([STORAGE, "list"], store, output=out), run([STORAGE, "list"], empty))

    def find(_: int) -> Cost:
        out = folder / "find.txt"
        command = ["find", str(store), "-type", "f", "-printf", form]
        return beyond(run(command, output=out), run(["find", str(empty), "-printf", form]))

    note = "peer: find -printf; both beyond start-up; ours sorts, and makes an ETag and a date"
    return [compare("list 100,000", rounds, ours, find, bound=1.5, note=note)]


SUITES: dict[str, Callable[[Path, int], list[Row]]] = {
    "startup": startup,
    "small": small,
    "large": large,
    "listing": listing,
}


def main() -> None:
    """Run the suites asked for, print the table, and keep it in `benchmarks/results`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", nargs="*", choices=[*SUITES, []], help="default: all")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    parser.add_argument("--keep", action="store_true", help="put the rows into benchmarks/results/local.json")
    given = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="bench-", dir=given.folder))
    rows: list[Row] = []
    try:
        for name in given.suite or SUITES:
            folder = work / name
            folder.mkdir()
            for row in SUITES[name](folder, given.rounds):
                rows.append(row)
                bound = f"<= {row.bound:g}" if row.bound else "-"
                print(
                    f"{row.name:32} {row.ours.wall:8.3f} s (cpu {row.ours.cpu:6.3f})  peer {row.peer.wall:8.3f} s "
                    f"(cpu {row.peer.cpu:6.3f})  ratio {row.ratio:5.2f} ({row.lowest:.2f}-{row.highest:.2f})  {bound}",
                    flush=True,
                )
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if given.keep:
        system = subprocess.run(
            ["stat", "-f", "-c", "%T", str(given.folder or tempfile.gettempdir())], capture_output=True, check=True
        )
        keep(
            RESULTS / "local.json",
            [row._asdict() | {"ours": row.ours._asdict(), "peer": row.peer._asdict()} for row in rows],
            file_system=system.stdout.decode().strip(),
            rounds=given.rounds,
        )


if __name__ == "__main__":
    main()
