"""A clock that is wrong on this side: a little does no harm, much is said in one sentence, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fault_runs import Pair, Tree, operation_of
from fault_table import Tally
from storage_command import one_sentence

DENIED = 5
SHIFT = """
import datetime, os, time

_seconds = float(os.environ["SECONDS_OFF"])
_time, _time_ns, _gmtime, _localtime = time.time, time.time_ns, time.gmtime, time.localtime
time.time = lambda: _time() + _seconds
time.time_ns = lambda: _time_ns() + int(_seconds * 1e9)
time.gmtime = lambda at=None: _gmtime(time.time() if at is None else at)
time.localtime = lambda at=None: _localtime(time.time() if at is None else at)


class datetime_off(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls):
        return cls.now(datetime.UTC).replace(tzinfo=None)


datetime.datetime = datetime_off
"""
"""Python imports a `sitecustomize` before the program: all that it asks for the time is then told another one."""


@pytest.fixture
def clock_off(tmp_path: Path) -> Callable[[Pair, float], None]:
    """Puts the clock of a pair's command wrong by so many seconds."""
    folder = tmp_path / "shift"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SHIFT)

    def shift(pair: Pair, seconds: float) -> None:
        pair.storage.env |= {"PYTHONPATH": str(folder), "SECONDS_OFF": str(seconds)}

    return shift


@pytest.mark.parametrize(("operation", "seconds"), [("sync up", -60), ("sync down", 60)])
def test_clock_that_is_a_little_off(
    sides: Callable[..., Pair],
    tallied: Callable[[Tally], Tally],
    small: Tree,
    clock_off: Callable[[Pair, float], None],
    operation: str,
    seconds: float,
) -> None:
    pair = sides(operation_of(operation), "ceph", small)
    tallied(pair.tally)
    pair.prepare()
    pair.finish("clock right")
    for off in (seconds, -seconds):
        pair.prepare()
        clock_off(pair, off)
        pair.tally.faults["clock a little off"] += 1
        pair.finish(f"clock off by {off} s")
        again = pair.storage.ok(*pair.command).stderr
        assert "ed 0 files" in again, again


@pytest.mark.parametrize(("operation", "seconds"), [("upload", -3600), ("sync up", 3600), ("sync down", -3600)])
def test_clock_that_is_far_off(
    sides: Callable[..., Pair],
    tallied: Callable[[Tally], Tally],
    small: Tree,
    clock_off: Callable[[Pair, float], None],
    operation: str,
    seconds: float,
) -> None:
    pair = sides(operation_of(operation), "ceph", small)
    tallied(pair.tally)
    pair.prepare()
    clock_off(pair, seconds)
    done = pair.storage(*pair.command)
    pair.tally.runs += 1
    pair.tally.faults["clock far off"] += 1
    assert done.returncode == DENIED, done.stderr
    said = one_sentence(done.stderr)
    assert "clock" in said and "set the clock" in said, said
    pair.check(f"clock off by {seconds} s")
    clock_off(pair, 0)
    pair.finish("clock right again")
    pair.free()
