"""The options of a plan: which can be given, what they choose, and plans of a million names."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from application.filters import Filters
from application.local_tree import Symlinks
from domain.transfer import Comparison, DeleteBudget, PlannedActions, TransferAction
from presentation.cli.plan_options import Choices, comparison


def nobody(count: int) -> None: ...


@pytest.mark.parametrize(
    ("given", "budget"),
    [
        ({}, DeleteBudget(1000, 0.5)),
        ({"max_delete": 7}, DeleteBudget(7, None)),
        ({"max_delete": 0}, DeleteBudget(0, None)),
        ({"force": True}, DeleteBudget(None, None)),
        ({"force": True, "max_delete": 7}, DeleteBudget(None, None)),
    ],
)
def test_how_much_may_go(given: dict[str, int], budget: DeleteBudget) -> None:
    options = Choices.made(delete=True, **given).plan_options(nobody)  # type: ignore[arg-type]
    assert (options.delete, options.budget, options.empty_source) == (True, budget, False)


def test_what_is_chosen_is_what_is_planned() -> None:
    options = Choices.made(
        compare="checksum",
        include=["*.fits"],
        exclude=["tmp/"],
        size_min="10K",
        size_max="5MiB",
        max_files=3,
        symlinks="skip",
        backup=True,
    ).plan_options(nobody)
    filters = options.filters
    assert (options.compare, options.symlinks, options.backup) == (Comparison.CHECKSUM, Symlinks.SKIP, True)
    assert (filters.size_min, filters.size_max, filters.max_files) == (10_000, 5 * 1024 * 1024, 3)
    assert filters.leaves_out("tmp/") and filters.leaves_out("a.txt")
    assert not filters.leaves_out("a.fits") and not filters.leaves_out("deep/")


@pytest.mark.parametrize(
    "made",
    [
        lambda: Choices.made(symlinks="sometimes"),
        lambda: Choices.made(max_delete=3),
        lambda: Choices.made(force=True),
        lambda: Choices.made(size_min="much"),
        lambda: Choices.made(size_max="-5"),
        lambda: Choices.made(size_max=""),
        lambda: comparison(True, True),
        lambda: Choices.made(exclude=["!"]).plan_options(nobody),
    ],
)
def test_what_can_not_be_is_refused(made: Callable[[], object]) -> None:
    with pytest.raises(typer.BadParameter):
        made()


@pytest.mark.parametrize(
    ("size_only", "checksum", "expected"),
    [(False, False, "content"), (True, False, "size"), (False, True, "checksum")],
)
def test_two_options_choose_the_comparison(size_only: bool, checksum: bool, expected: str) -> None:
    assert Comparison(comparison(size_only, checksum)).value == expected


def test_only_what_is_not_usual_is_written_down() -> None:
    assert Choices().as_dict() == {}
    made = Choices.made(compare="size", exclude=["x"], size_min="1K", delete=True, max_delete=0)
    assert made.as_dict() == {
        "compare": "size",
        "exclude": ["x"],
        "size_min": 1000,
        "delete": True,
        "max_delete": 0,
    }
    assert Choices(**made.as_dict()) == made


# -- filters


@given(st.integers(0, 20), st.integers(0, 20), st.none() | st.integers(0, 20))
def test_sizes_are_bounds_that_count_themselves(size: int, least: int, most: int | None) -> None:
    assert Filters(size_min=least, size_max=most).takes(size) == (size >= least and (most is None or size <= most))


def test_what_is_excluded_is_so_whether_included_or_not() -> None:
    filters = Filters(lambda name: name.startswith("a"), lambda name: name.endswith("z"))
    assert [filters.leaves_out(name) for name in ("a", "b", "az", "b/", "z")] == [False, True, True, False, True]
    assert Filters().name_filter is None
    assert Filters(size_min=5, max_files=1).name_filter is None


# -- actions


def test_planned_actions_are_a_sequence_of_actions() -> None:
    rows = [(f"n{number}", number, "new", "s", "t" if number else "") for number in range(5)]
    actions = PlannedActions("/d/", "p/", rows)
    expected = [TransferAction(f"/d/n{n}", f"p/n{n}", n, "new", "s", "t" if n else "") for n in range(5)]
    assert list(actions) == expected
    assert (actions[2], actions[-1], len(actions)) == (expected[2], expected[-1], 5)
    assert list(actions[1:3]) == expected[1:3]
    assert list(reversed(actions)) == expected[::-1]
    assert expected[3] in actions and not PlannedActions("", "", [])
    with pytest.raises(IndexError):
        actions[5]


_MILLION = """
import resource, sys
from dataclasses import replace
from application.planning import PlanOptions, plan_transfer
from application.sides import Entry
from domain.transfer import Comparison, DeleteBudget, Direction

class Made:
    shown = root = "side/"
    def __init__(self, names): self.names = names
    def entries(self, excluded=None):
        for number in range(self.names):
            name = f"run-{number // 1000:05}/observation-{number:08}.fits"
            yield Entry(name, 1, f"{number:032x}", "")
    def hashes(self, entries): return ((entry, "") for entry in entries)
    def remember(self, known): pass

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
options = PlanOptions(compare=Comparison.CONTENT)
plan = plan_transfer(Made(1_000_000), Made(0), Direction(sys.argv[1]), options)
assert len(plan.actions) == 1_000_000 and plan.size == 1_000_000
assert sum(1 for action in plan.actions) == 1_000_000
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize(("direction", "most"), [("upload", 380), ("download", 480)])
def test_a_million_names_are_planned_in_bounded_memory(direction: str, most: int) -> None:
    done = subprocess.run([sys.executable, "-c", _MILLION, direction], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < most, f"{done.stdout.strip()} MiB"
