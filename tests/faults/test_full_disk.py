"""A disk that is full, on either side: nothing half is seen, and once there is room another run finishes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_runs import Pair, Tree, operation_of
from fault_table import Tally
from storage_command import one_sentence

NO_ROOM = 9
MIB = 1 << 20


def fill(folder: Path, leave: int) -> Path:
    """A file that leaves so many bytes free."""
    room = os.statvfs(folder)
    ballast = folder / ".lading" / "ballast"
    ballast.parent.mkdir(exist_ok=True)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - leave)
    return ballast


@pytest.mark.parametrize(
    ("operation", "store", "leave"),
    [
        ("download", "ceph", 3 * MIB),
        ("sync down", "ceph", 100_000),
        ("sync down", "local", 3 * MIB),
        ("sync up", "local", 100_000),
        ("upload", "local", 3 * MIB),
    ],
)
def test_full_disk(
    sides: Callable[..., Pair],
    tallied: Callable[[Tally], Tally],
    mounted: Callable[[str], Path],
    small: Tree,
    operation: str,
    store: str,
    leave: int,
) -> None:
    point = mounted("size=40m")
    chosen = operation_of(operation)
    pair = sides(chosen, store, small, **{"store" if chosen.way == "up" else "here": point})
    tallied(pair.tally)
    pair.prepare()
    ballast = fill(point, leave)
    done = pair.storage(*pair.command)
    pair.tally.faults["disk full"] += 1
    assert done.returncode == NO_ROOM, done.stderr
    assert "free some space" in one_sentence(done.stderr)
    pair.check("full disk", readable=False)
    ballast.unlink()
    pair.finish("after a full disk")
    pair.compare()


@pytest.mark.parametrize("operation", ["sync up", "sync down"])
def test_no_room_for_what_only_speeds_things_up(
    sides: Callable[..., Pair],
    tallied: Callable[[Tally], Tally],
    mounted: Callable[[str], Path],
    small: Tree,
    operation: str,
) -> None:
    point = mounted("size=1m")
    pair = sides(operation_of(operation), "ceph", small)
    tallied(pair.tally)
    pair.storage.env["XDG_CACHE_HOME"] = str(point)
    fill(point, 0)
    pair.prepare()
    pair.tally.faults["no room for state"] += 1
    pair.finish("without room for state")
    pair.compare()
