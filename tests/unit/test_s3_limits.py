"""Bytes and requests a second, and bytes in memory: never more than was allowed."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw_server import TARGET

from infrastructure.storage.s3.limits import Memory, Pace, Traffic

PATIENCE = 10.0


class Time:
    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@given(
    rate=st.floats(1, 1e9),
    late=st.sampled_from([0.0, 0.1]),
    steps=st.lists(st.tuples(st.integers(1, 1 << 20), st.floats(0, 3)), min_size=1, max_size=60),
)
def test_no_stretch_of_time_has_more_than_its_share(rate: float, late: float, steps: list[tuple[int, float]]) -> None:
    time = Time()
    pace = Pace(rate, late, time, time.sleep)
    went = []
    for amount, pause in steps:
        time.now += pause
        pace.wait(amount)
        went.append((time.now, amount))
    for first in range(len(went)):
        for last in range(first, len(went)):
            seconds = went[last][0] - went[first][0]
            allowed = rate * (seconds + late) + went[last][1]
            assert sum(amount for _, amount in went[first : last + 1]) <= allowed * (1 + 1e-6) + 1


@given(st.floats(0.1, 1000), st.integers(2, 50))
def test_requests_are_evenly_spaced(rate: float, count: int) -> None:
    time = Time()
    pace = Pace(rate, 0.0, time, time.sleep)
    times = []
    for _ in range(count):
        pace.wait(1)
        times.append(time.now)
    assert times[0] == 5.0, "the first waits for nothing"
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(abs(gap * rate - 1) < 1e-6 for gap in gaps)


@pytest.mark.parametrize(
    ("bandwidth", "most"), [(None, 64), (1000, 1), (10_000, 6), (100_000, 61), (200_000, 64), (1 << 30, 64)]
)
def test_a_narrow_line_is_shared_by_few(bandwidth: int | None, most: int) -> None:
    """None of them goes without a byte for so long that it is taken for dead."""
    level = Traffic(replace(TARGET, bandwidth=bandwidth)).level
    assert level._most == most
    assert level.width <= most


def test_threads_hold_no_more_than_there_is() -> None:
    memory, lock = Memory(100), threading.Lock()
    held, most = 0, 0

    def work(size: int) -> None:
        nonlocal held, most
        for _ in range(300):
            with memory.holding(size):
                with lock:
                    held += size
                    most = max(most, held)
                with lock:
                    held -= size

    threads = [threading.Thread(target=work, args=(size,)) for size in (10, 30, 50, 60, 100, 7, 1, 33)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert 60 < most <= 100


def test_what_is_larger_than_all_goes_alone() -> None:
    memory = Memory(10)
    memory.acquire(3)
    gone = threading.Event()

    def large() -> None:
        with memory.holding(50):
            gone.set()

    threading.Thread(target=large, daemon=True).start()
    assert not gone.wait(0.1)
    memory.release(3)
    assert gone.wait(PATIENCE)


def test_who_may_not_wait_is_told() -> None:
    memory = Memory(10)
    assert memory.try_acquire(50)
    assert not memory.try_acquire(1)
    memory.take(1)
    memory.release(50)
    assert memory.try_acquire(9)
    assert not memory.try_acquire(1)
