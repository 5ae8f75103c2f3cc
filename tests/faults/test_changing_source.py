"""Files that somebody writes while they are sent: what is stored is what a file was at some time, never a mixture."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from fault_runs import KIB, MIB, PREFIX, Pair, Tree, operation_of
from fault_table import Tally
from second_door import Door

LOCAL_FILE = 10
SIZES = {f"{number:02}": 300 * KIB for number in range(12)} | {"some": 4 * MIB, "large": 12 * MIB}


class Writer:
    """Writes files over, cuts them and lets them grow, from a thread, as long as the `with` block lasts.

    All bytes of a file are the same at any time that it can be read between two writes, and others after the next.

    Attributes:
        states: what a file was so far: the byte, and how many of it.
    """

    def __init__(self, folder: Path, random: Random) -> None:
        self._folder, self._random = folder, random
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._last = dict.fromkeys(SIZES, 0.0)
        self.states: dict[str, set[tuple[int, int]]] = {name: set() for name in SIZES}
        self.writes = 0
        for name, size in SIZES.items():
            (folder / name).write_bytes(bytes([1]) * size)
            self.states[name].add((1, size))

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            name = self._random.choice(list(SIZES))
            # The time of a file's last change is told in ticks of some milliseconds: a second write in the same tick
            # as the first is one that nobody can see.
            if time.monotonic() - self._last[name] > 0.02:
                self._write(name)
                self._last[name] = time.monotonic()
                self.writes += 1
            self._stop.wait(0.002)

    def _write(self, name: str) -> None:
        path = self._folder / name
        content = path.read_bytes()
        byte, size = content[0], len(content)
        match self._random.choice(("over", "over", "cut", "grow")):
            case "over":
                byte = byte % 255 + 1
                self.states[name].add((byte, size))
                with path.open("r+b", buffering=0) as file:
                    file.write(bytes([byte]) * size)
            case "cut":
                size = max(size // 2, 100)
                self.states[name].add((byte, size))
                os.truncate(path, size)
            case "grow":
                # In one go from its smaller size to a larger one.
                more = min(self._random.randrange(1, 100 * KIB), SIZES[name])
                self.states[name].add((byte, size + more))
                with path.open("ab", buffering=0) as file:
                    file.write(bytes([byte]) * more)


def stored(door: Door) -> dict[str, bytes]:
    return {key.removeprefix(PREFIX): body for key, body in door.contents(PREFIX).items()}


@pytest.mark.parametrize("store", ["ceph", "local"])
@pytest.mark.parametrize("operation", ["sync up", "upload"])
def test_source_that_changes(
    sides: Callable[..., Pair],
    tallied: Callable[[Tally], Tally],
    seed: int,
    operation: str,
    store: str,
) -> None:
    pair = sides(operation_of(operation), store, Tree(count=0, small=1, large=()))
    tallied(pair.tally)
    with Writer(pair.here.folder, Random(seed)) as writer:
        for number in range(3):
            done = pair.storage(*pair.command)
            pair.tally.runs += 1
            assert "Traceback" not in done.stderr and "internal error" not in done.stderr, done.stderr
            assert done.returncode in {0, LOCAL_FILE}, done.stderr
            named = [line for line in done.stderr.splitlines() if "changed while it was read" in line]
            assert bool(named) == bool(done.returncode), done.stderr
            found = stored(pair.there)
            pair.tally.checked += len(found)
            for name, body in found.items():
                state = body[:1] and body[0], len(body)
                if body != body[:1] * len(body) or state not in writer.states[name]:
                    pair.lost(f"run {number}: {name!r} was stored as something that it never was")
    pair.tally.faults["file written"] += writer.writes
    pair.storage.ok(*pair.command)
    here = {path.name: path.read_bytes() for path in pair.here.folder.iterdir()}
    assert stored(pair.there) == here
    pair.tally.runs += 1
    pair.tally.checked += len(here)
    pair.free()
    pair.compare()
