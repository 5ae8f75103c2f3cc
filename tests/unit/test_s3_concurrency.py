"""The level of requests under way: near what a store does best, never above what is allowed, down where it refuses."""

from __future__ import annotations

import heapq
import random
import threading
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infrastructure.storage.s3.concurrency import START, Level

PATIENCE = 10.0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Simulation:
    """One thread with as many requests under way as it may have, and a store that serves so many at a time.

    Args:
        serves: requests that the store works on at a time; others wait there.
        seconds: for each, about.
        refuses: says whether a request that begins with so many under way is refused, at the time.
    """

    def __init__(
        self, most: int, serves: int, seconds: float, refuses: Callable[[int, float], bool] = lambda n, at: False
    ) -> None:
        self.clock = Clock()
        self.level = Level(most, self.clock)
        self.flow = self.level.flow()
        self.seconds = seconds
        self.refuses = refuses
        self.chance = random.Random(1)
        self.free = [0.0] * serves
        self.widths: list[tuple[float, int]] = []
        self.answered: list[float] = []
        self.refused: list[float] = []
        self.most_under_way = 0

    def run(self, seconds: float) -> None:
        until = self.clock.now + seconds
        ends: list[tuple[float, int, int, bool]] = []
        number = 0
        while self.clock.now < until:
            began = self.flow.look()
            while self.flow.begin():
                number += 1
                self.most_under_way = max(self.most_under_way, self.flow.under_way)
                if self.refuses(self.flow.under_way, self.clock.now):
                    heapq.heappush(ends, (self.clock.now + self.seconds / 10, number, began, True))
                    continue
                end = max(heapq.heappop(self.free), self.clock.now) + self.seconds * self.chance.uniform(0.7, 1.3)
                heapq.heappush(self.free, end)
                heapq.heappush(ends, (end, number, began, False))
            if not ends:
                self.clock.now += 0.01
                continue
            end, _, began, refused = heapq.heappop(ends)
            self.clock.now = max(self.clock.now, end)
            self.flow.ended(began, 4096, 0.0 if refused else None)
            (self.refused if refused else self.answered).append(self.clock.now)
            self.widths.append((self.clock.now, self.level.width))
        for _, _, began, _ in ends:
            self.flow.ended(began, 0)

    def late(self) -> list[int]:
        """The level in the second half of the time."""
        half = (100.0 + self.clock.now) / 2
        return [width for at, width in self.widths if at > half]


@settings(deadline=None, max_examples=20, derandomize=True)
@given(serves=st.integers(1, 100), seconds=st.floats(0.02, 0.3), most=st.integers(1, 256))
def test_the_level_comes_near_what_the_store_does_at_a_time(serves: int, seconds: float, most: int) -> None:
    run = Simulation(most, serves, seconds)
    run.run(30 + 60 * max(START, min(most, serves)) * seconds / serves)
    assert run.most_under_way <= most
    best = min(most, serves)
    late = run.late()
    assert min(late) >= min(START, most, 0.6 * best)
    # Steps up that did not help were taken back; one may be tried just now.
    assert sorted(late)[len(late) // 2] <= 2 * max(START, best)


@settings(deadline=None, max_examples=20, derandomize=True)
@given(allowed=st.integers(1, 40), seconds=st.floats(0.02, 0.2), most=st.integers(1, 256))
def test_a_store_that_refuses_above_a_number_is_asked_for_no_more(allowed: int, seconds: float, most: int) -> None:
    run = Simulation(most, 1000, seconds, lambda under_way, at: under_way > allowed)
    run.run(30 + 100 * seconds)
    late = run.late()
    assert sorted(late)[len(late) // 2] <= allowed
    assert max(late) <= allowed + 1 + allowed // 8
    assert sorted(late)[len(late) // 2] >= min(most, max(1, allowed // 3))
    assert len(run.refused) < 0.2 * len(run.answered) + 200


def test_it_recovers_after_refusals_are_over() -> None:
    run = Simulation(64, 1000, 0.02, lambda under_way, at: at < 102.0)
    run.run(2)
    assert run.level.width < START
    run.run(60)
    assert run.level.width >= 48


def test_refusals_of_what_was_under_way_count_once() -> None:
    clock = Clock()
    level = Level(64, clock)
    began = [level.enter() for _ in range(START)]
    for one in began:
        level.leave(one, 0, refusal=0)
    assert level.width == START // 2
    clock.now += 1
    level.leave(level.enter(), 0, refusal=0)
    assert level.width == START // 4


def test_the_level_is_halved_once_a_window_and_never_below_one() -> None:
    clock = Clock()
    level = Level(8, clock)
    for _ in range(3):
        clock.now += 0.2  # longer than the first pause, and shorter than a window
        level.leave(level.enter() if level._has_room() else level._epoch, 0, refusal=0)
    assert level.width in {4, 2}
    for _ in range(20):
        clock.now += 30
        level.leave(level.enter(), 0, refusal=0)
    assert level.width == 1


@pytest.mark.parametrize(("asked_for", "quiet"), [(0.0, 0.1), (2.0, 2.0), (1e9, 30.0)])
def test_nothing_begins_while_the_store_wants_a_pause(asked_for: float, quiet: float) -> None:
    clock = Clock()
    level = Level(8, clock)
    flow = level.flow()
    level.leave(level.enter(), 0, refusal=asked_for)
    clock.now += quiet - 0.01
    assert not flow.begin()
    clock.now += 0.02
    assert flow.begin()


def test_pauses_grow_while_all_is_refused() -> None:
    clock = Clock()
    level = Level(8, clock)
    flow = level.flow()
    pauses = []
    for _ in range(9):
        began, since = flow.look(), clock.now
        while not flow.begin():
            clock.now += 0.05
        pauses.append(clock.now - since)
        flow.ended(flow.look() or began, 0, 0.0)
    assert pauses == sorted(pauses)
    assert pauses[-1] == pytest.approx(5.0, abs=0.2)


def test_a_level_that_holds_nobody_back_stays_as_it_is() -> None:
    clock = Clock()
    level = Level(64, clock)
    for _ in range(5000):
        began = level.enter()
        clock.now += 0.01
        level.leave(began, 1 << 20)
    assert level.width == START


def in_thread(call: Callable[[], object]) -> threading.Event:
    done = threading.Event()

    def run() -> None:
        call()
        done.set()

    threading.Thread(target=run, daemon=True).start()
    return done


def test_a_request_waits_for_its_turn() -> None:
    level = Level(2)
    one, _ = level.enter(), level.enter()
    third = in_thread(level.enter)
    assert not third.wait(0.2)
    level.leave(one, 0)
    assert third.wait(PATIENCE)


def test_a_request_does_not_wait_for_a_thread_that_waits_for_it() -> None:
    """A thread that has looked after none of its many for a while is busy otherwise: maybe with this very request."""
    level = Level(2)
    flow = level.flow()
    assert flow.begin() and flow.begin() and not flow.begin()
    assert in_thread(level.enter).wait(PATIENCE)
    other = level.flow()
    assert in_thread(other.wait).wait(PATIENCE)


def test_a_flow_leaves_half_to_those_that_wait() -> None:
    level = Level(8)
    flow = level.flow()
    while flow.begin():
        pass
    assert flow.under_way == 8
    waiting = [in_thread(level.enter) for _ in range(8)]
    for _ in range(2000):
        began = flow.look()
        if level._waiting == 8 - sum(one.is_set() for one in waiting) and flow.under_way > 4:
            flow.ended(began, 0)
        flow.begin()
        if sum(one.is_set() for one in waiting) == 4:
            break
        threading.Event().wait(0.005)
    assert sum(one.is_set() for one in waiting) == 4
    assert flow.under_way == 4


def test_what_a_closed_flow_had_under_way_is_free_again() -> None:
    level = Level(2)
    flow = level.flow()
    assert flow.begin() and flow.begin()
    waiting = in_thread(level.enter)
    flow.close()
    assert waiting.wait(PATIENCE)
