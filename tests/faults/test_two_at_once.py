"""Two runs of the same command on one pair of sides: they may both do it, or one says that the other does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fault_runs import HANGS, OPERATIONS, Operation, Pair, Tree
from fault_table import NIGHTLY, Tally

RUNNING_ALREADY = 6
SYNCS = [one for one in OPERATIONS if one.words[0] == "sync" and not one.undone and (one.deletes or NIGHTLY)]
CASES = [(operation, store) for store in ("ceph", "local") for operation in SYNCS]


@pytest.mark.parametrize(("operation", "store"), CASES, ids=[f"{one.name}-{store}" for one, store in CASES])
def test_two_at_once(
    sides: Callable[..., Pair], tallied: Callable[[Tally], Tally], small: Tree, operation: Operation, store: str
) -> None:
    pair = sides(operation, store, small)
    tallied(pair.tally)
    for number in range(2):
        pair.prepare()
        both = [pair.storage.start(*pair.command) for _ in range(2)]
        said = [process.communicate(timeout=HANGS)[1] for process in both]
        pair.tally.runs += 2
        pair.tally.faults["two at once"] += 1
        codes = [process.returncode for process in both]
        assert 0 in codes and set(codes) <= {0, RUNNING_ALREADY}, (codes, said)
        assert all("Traceback" not in one and "internal error" not in one for one in said), said
        pair.check(f"two at once, {number}: {codes}")
        pair.finish(f"two at once, {number}: {codes}")
    pair.compare()
