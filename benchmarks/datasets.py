"""`storage dataset` against dvc: first version, unchanged, checkout, on a real Ceph gateway and on local disk; a large file.

    python benchmarks/datasets.py                            # all, nine rounds
    python benchmarks/datasets.py gateway --rounds 3
    python benchmarks/datasets.py --scale 0.02 --rounds 1    # whether it works at all

Each round has a fresh gateway, or a fresh folder, and both tools in turn; nothing is remembered from the round before. dvc
works in a git repository with its default settings and `verify = true`; its first version is `dvc add` and `dvc push`, its
checkout `dvc pull` in a fresh workspace without a cache. Ours keeps and verifies SHA-256 as well, and on local disk flushes no
file, as dvc does not. After each round both sides' files are counted. Needs dvc[s3], git, and Debian's ceph packages.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from measuring import (
    BIN,
    BUCKET,
    OURS,
    RESULTS,
    SERVER,
    CephRgw,
    Cost,
    Row,
    environment_of,
    gateway,
    judged,
    keep,
    medians,
    run,
    show,
    versions,
)

STORAGE = str(BIN / "storage")
DVC = [sys.executable, "-m", "dvc"]
STEPS = ("first version", "unchanged", "checkout")


class Round(NamedTuple):
    """Where one tool works in one round.

    Attributes:
        data: the folder that is versioned.
        folder: of this tool in this round.
    """

    data: Path
    folder: Path
    environment: dict[str, str]
    log: Path

    def run(self, command: list[str], where: Path) -> Cost:
        os.sync()  # what was left to be written is not for this one to wait for
        before = Path.cwd()
        os.chdir(where)
        try:
            return run(command, self.environment, self.log)
        finally:
            os.chdir(before)

    def prepare(self, command: list[str], where: Path) -> None:
        subprocess.run(command, cwd=where, env=self.environment, check=True, capture_output=True)


def added(*costs: Cost) -> Cost:
    """What several commands took, one after the other."""
    return Cost(sum(cost.wall for cost in costs), sum(cost.cpu for cost in costs), max(cost.memory for cost in costs))


def ours(at: Round) -> dict[str, Cost]:
    make = [STORAGE, "dataset", "version", str(at.data), "--id", "d"]
    costs = {"first version": at.run(make, at.folder), "unchanged": at.run(make, at.folder)}
    shutil.rmtree(at.environment["XDG_CACHE_HOME"], ignore_errors=True)
    costs["checkout"] = at.run([STORAGE, "dataset", "checkout", "d", "out"], at.folder)
    return costs


def theirs(at: Round, remote: Sequence[tuple[str, str]]) -> dict[str, Cost]:
    workspace, clone = at.folder / "workspace", at.folder / "clone"
    for place in (workspace, clone):
        place.mkdir()
        at.prepare(["git", "init", "-q"], place)
        at.prepare([*DVC, "init", "-q"], place)
        at.prepare([*DVC, "remote", "add", "-q", "-d", "store", remote[0][1]], place)
        for name, value in [*remote[1:], ("verify", "true")]:
            at.prepare([*DVC, "remote", "modify", "-q", "store", name, value], place)
    shutil.copytree(at.data, workspace / "data")
    make = ([*DVC, "add", "-q", "data"], [*DVC, "push", "-q"])
    costs = {"first version": added(*(at.run(command, workspace) for command in make))}
    costs["unchanged"] = added(*(at.run(command, workspace) for command in make))
    shutil.copy(workspace / "data.dvc", clone)
    costs["checkout"] = at.run([*DVC, "pull", "-q"], clone)
    return costs


def count(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*") if path.is_file() and ".lading" not in path.parts)


def small_files(folder: Path, number: int) -> Path:
    """A folder of different files of 4 KiB, a thousand in each of its folders."""
    for each in range(number):
        (within := folder / f"d{each // 1000:03}").mkdir(parents=True, exist_ok=True)
        (within / f"f{each:06}.bin").write_bytes(os.urandom(4096))
    return folder


def compared(
    name: str,
    folder: Path,
    data: Path,
    rounds: int,
    bounds: dict[str, float],
    places: Callable[[Path], Iterator[tuple[dict[str, str], Sequence[tuple[str, str]]]]],
) -> Iterator[Row]:
    """Both tools in turn.

    Args:
        places: for each round the variables of both tools, and the settings of dvc's remote.
    """
    costs: dict[str, dict[str, list[Cost]]] = {step: {OURS: [], "dvc": []} for step in STEPS}
    files = count(data)
    for number in range(rounds):
        within = Path(tempfile.mkdtemp(prefix=f"round{number}-", dir=folder))
        for environment, remote in places(within):
            for tool in (OURS, "dvc") if number % 2 else ("dvc", OURS):
                at = Round(data, within / tool, environment | {"HOME": str(within / tool)}, folder / "log.txt")
                at.folder.mkdir()
                for variable in ("XDG_CACHE_HOME", "DVC_SITE_CACHE_DIR"):
                    at.environment[variable] = str(at.folder / variable)
                taken = ours(at) if tool == OURS else theirs(at, remote)
                fetched = count(at.folder / ("out" if tool == OURS else "clone/data"))
                if fetched != files:
                    raise RuntimeError(f"{tool} fetched {fetched:,} of {files:,} files")
                for step, cost in taken.items():
                    costs[step][tool].append(cost)
    for step in STEPS:
        yield as_row(f"{name}: {step}", costs[step], {"wall": bounds[step]} if step in bounds else {})


def as_row(name: str, costs: dict[str, list[Cost]], bounds: dict[str, float]) -> Row:
    mine, peer = costs[OURS], costs[next(tool for tool in costs if tool != OURS)]
    ratios = [one.wall / other.wall for one, other in zip(mine, peer, strict=True)]
    found = {"wall": statistics.median(ratios)}
    tools = {tool: medians(each)._asdict() | {"rounds": len(each)} for tool, each in costs.items()}
    for tool in costs:
        if tool != OURS:
            tools[tool] |= {
                "wall_ratio": found["wall"],
                "wall_ratios": [round(ratio, 2) for ratio in ratios],
                "cpu_ratio": statistics.median(one.cpu / other.cpu for one, other in zip(mine, peer, strict=True)),
            }
    return {"name": name, "bounds": judged(bounds, found), "tools": tools}


def on_gateway(folder: Path, scale: float, rounds: int) -> Iterator[Row]:
    """Small files, on a gateway."""
    number = max(1, round(10_000 * scale))

    def places(within: Path) -> Iterator[tuple[dict[str, str], Sequence[tuple[str, str]]]]:
        with gateway() as server:
            remote = [("url", f"s3://{BUCKET}/peer"), ("endpointurl", server.http_url)]
            yield variables(server, within), remote

    bounds = {"first version": 0.5, "checkout": 0.3, "unchanged": 0.3}
    data = small_files(folder / "small", number)
    yield from compared(f"{number:,} x 4 KiB, gateway", folder, data, rounds, bounds, places)


def variables(server: CephRgw, within: Path) -> dict[str, str]:
    return environment_of(server, within) | {"DVC_NO_ANALYTICS": "1"}


def on_disk(folder: Path, scale: float, rounds: int) -> Iterator[Row]:
    """Small files, to a folder on the same disk."""
    number = max(1, round(10_000 * scale))

    def places(within: Path) -> Iterator[tuple[dict[str, str], Sequence[tuple[str, str]]]]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        kept |= {"DVC_NO_ANALYTICS": "1", "STORAGE_LOCAL_DURABLE": "false", "STORAGE_LOCAL_PATH": str(within / "store")}
        yield kept, [("url", str(within / "remote"))]

    data = small_files(folder / "small-too", number)
    bounds = {"first version": 0.5}
    yield from compared(f"{number:,} x 4 KiB, local disk", folder, data, rounds, bounds, places)


def large(folder: Path, scale: float, rounds: int) -> Iterator[Row]:
    """One large file, against its MD5 and its upload one after the other."""
    size = max(1 << 20, round((1 << 30) * scale))
    (folder / "large").mkdir()
    path = folder / "large" / "large.bin"
    with path.open("wb") as file:
        for _ in range(size >> 20):
            file.write(os.urandom(1 << 20))
    costs: dict[str, list[Cost]] = {OURS: [], "md5sum + storage upload": []}
    for number in range(rounds):
        within = Path(tempfile.mkdtemp(prefix=f"large{number}-", dir=folder))
        with gateway() as server:
            at = Round(path, within, variables(server, within), folder / "log.txt")

            def version(at: Round = at) -> Cost:
                return at.run([STORAGE, "dataset", "version", str(path), "--id", "d"], at.folder)

            def apart(at: Round = at) -> Cost:
                return added(
                    at.run(["md5sum", str(path)], at.folder),
                    at.run([STORAGE, "upload", str(path), "large/"], at.folder),
                )

            tools = [(OURS, version), ("md5sum + storage upload", apart)]
            for tool, work in tools if number % 2 else reversed(tools):
                at.environment["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="cache-", dir=within)
                costs[tool].append(work())
    yield as_row(f"{size / (1 << 30):g} GiB file, gateway: first version", costs, {"wall": 1.25})


WORKS = {"gateway": on_gateway, "disk": on_disk, "large": large}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"of {', '.join(WORKS)}; default: all")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of files and of bytes")
    parser.add_argument("--keep", action="store_true", help="put the rows into results/datasets.json")
    options = parser.parse_args()
    if unknown := set(options.works) - set(WORKS):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    for name in options.works or WORKS:
        folder = Path(tempfile.mkdtemp(prefix="datasets-"))
        try:
            rows = list(WORKS[name](folder, options.scale, options.rounds))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        for found in rows:
            show(found)
        if options.keep:
            dvc = subprocess.run([*DVC, "--version"], capture_output=True, text=True, check=True).stdout.strip()
            keep(RESULTS / "datasets.json", rows, server=SERVER, versions=versions([]) | {"dvc": dvc})


if __name__ == "__main__":
    main()
