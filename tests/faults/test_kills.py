"""`kill -9` at any moment of a transfer: nothing half is seen, nothing is lost, and another run finishes it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from fault_runs import OPERATIONS, Pair, kill_once, undisturbed
from fault_table import KILLS, Tally

CASES = [(operation, "ceph") for operation in OPERATIONS] + [(operation, "local") for operation in OPERATIONS[:-1]]


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{one.name}-{store}" for one, store in CASES])
def test_kills(sides: Callable[..., Pair], tallied: Callable[[Tally], Tally], number: int) -> None:
    operation, store = CASES[number]
    pair = sides(operation, store)
    tallied(pair.tally)
    duration = undisturbed(pair)
    random = Random(pair.seed + number)
    kills = len(range(number, KILLS, len(CASES)))
    # Some runs end before the moment comes: others make up for them.
    for _ in range(3 * kills):
        if pair.tally.faults.total() < kills:
            duration = kill_once(pair, random, duration)
    pair.free()
    pair.compare()
