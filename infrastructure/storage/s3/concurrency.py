"""How many requests are under way at a time: more while that helps, fewer as soon as the store asks for fewer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

START = 16
"""Requests under way at first, and without a refusal never fewer."""

MOST = 256

_WINDOW_SECONDS = 0.25
_REQUEST_BYTES = 1 << 17
"""A request is taken for as much work as moving so many bytes: small ones are counted so, large ones by their bytes."""
_WORTH_IT = 1.05
"""More requests under way have to move so much more."""
_FIRST_STEP = 1 / 2
_LATER_STEP = 1 / 8
_REST = 4
"""Windows to rest after more did not help; twice as many each time, up to `_LONGEST_REST`."""
_LONGEST_REST = 64
_CEILING_SECONDS = 10.0
"""How long the level stays below the one that was refused."""
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_LONGEST_ASKED_FOR = 30.0
_LOOK_SECONDS = 0.05
_STILL_SECONDS = 0.3


class Level:
    """The number of requests that may be under way, for all threads that ask one store.

    What is moved in a window of time tells whether the last step up helped; where it did not, it is taken back. So is one that
    seemed to help, where a step down from it loses nothing. A refusal
    halves the level, once a window, and makes all wait a moment; those of requests that were under way then say nothing new.

    Args:
        most: the level is never above; it begins at `START` or there.

    Attributes:
        width: the level.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.width = min(START, most)
        self._most = most
        self._clock = clock
        self._changed = threading.Condition(threading.Lock())
        self._alone = 0
        self._waiting = 0
        self._flows: list[Flow] = []
        self._epoch = 0
        # the window
        self._since = clock()
        self._answers = 0
        self._work = 0
        self._wanted = False
        # the climb
        self._step = _FIRST_STEP
        self._up = True
        self._before: tuple[int, float] | None = None
        self._rest = 0
        self._next_rest = _REST
        # refusals
        self._pause = _FIRST_PAUSE
        self._quiet_until = 0.0
        self._halved_at = -_WINDOW_SECONDS
        self._ceiling = most
        self._ceiling_until = 0.0

    def enter(self) -> int:
        """Wait for the turn of one request; what to call `leave` with."""
        with self._changed:
            self._wait()
            self._alone += 1
            return self._epoch

    def leave(self, began: int, size: int, refusal: float | None = None) -> None:
        """The request of `enter` has ended.

        Args:
            began: what `enter` gave.
            size: bytes moved.
            refusal: how many seconds the store asks to wait, where it asks for fewer requests; 0 where it does not say.
        """
        with self._changed:
            self._alone -= 1
            self._ended(began, size, refusal)
            if self._waiting:
                self._changed.notify()

    def flow(self) -> Flow:
        """For a thread that has many requests under way. To be closed."""
        flow = Flow(self)
        with self._changed:
            self._flows.append(flow)
        return flow

    # -- all with the lock

    def _wait(self) -> None:
        while not self._has_room():
            self._waiting += 1
            try:
                self._changed.wait(_LOOK_SECONDS)
            finally:
                self._waiting -= 1

    def _has_room(self) -> bool:
        if self._quiet_until:
            if self._clock() < self._quiet_until:
                return False
            self._quiet_until = 0.0
        under_way = self._alone
        for flow in self._flows:
            under_way += flow.under_way
        if under_way < self.width:
            return True
        self._wanted = True
        if not self._flows:
            return False
        # A thread that does other things meanwhile, and may wait for this very request, ends none of its own.
        still = self._clock() - _STILL_SECONDS
        return under_way - sum(flow.under_way for flow in self._flows if flow.turned < still) < self.width

    def _has_room_for(self, flow: Flow) -> bool:
        share = self.width // len(self._flows)
        if self._waiting:
            share //= 2
        if flow.under_way and flow.under_way >= share:
            self._wanted = True
            return False
        return (flow.under_way > 0 or not self._waiting) and self._has_room()

    def _ended(self, began: int, size: int, refusal: float | None) -> None:
        if refusal is not None:
            if began == self._epoch:
                self._refused(self._clock(), refusal)
            return
        self._pause = _FIRST_PAUSE
        self._answers += 1
        self._work += _REQUEST_BYTES + size
        if self._answers == 0:
            self._new_window(self._clock())
        elif self._answers >= 2 * self.width:  # before the clock is looked at: most answers end here
            now = self._clock()
            if now - self._since >= _WINDOW_SECONDS:
                self._judge(now)

    def _refused(self, now: float, asked_for: float) -> None:
        self._epoch += 1
        self._quiet_until = now + max(self._pause, min(asked_for, _LONGEST_ASKED_FOR))
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        if now - self._halved_at < _WINDOW_SECONDS:
            return
        self._halved_at = now
        self._ceiling, self._ceiling_until = max(1, self.width - 1), now + _CEILING_SECONDS
        self.width = max(1, self.width // 2)
        self._step, self._up, self._before, self._rest = _LATER_STEP, True, None, 0
        self._new_window(now)

    def _judge(self, now: float) -> None:
        rate = self._work / (now - self._since)
        wanted, before = self._wanted, self._before
        self._new_window(now)
        self._before = None
        if not wanted:  # the level held nobody back, so the rate tells nothing of it
            return
        if before is not None:
            up = self.width > before[0]
            if rate < before[1] * _WORTH_IT if up else rate * _WORTH_IT < before[1]:
                self.width, self._step, self._up = before[0], _LATER_STEP, not up
                self._answers = -self.width
                self._rest = self._next_rest
                self._next_rest = min(2 * self._rest, _LONGEST_REST)
                return
            self._next_rest = _REST
        elif self._rest:
            self._rest -= 1
            return
        step = max(1, int(self.width * self._step))
        if self._up:
            width = min(self._most if now >= self._ceiling_until else self._ceiling, self.width + step)
        else:
            width = max(START, self.width - step)
        if (width > self.width) != self._up or width == self.width:
            self._up = not self._up
            return
        self._before, self.width = (self.width, rate), width
        self._answers = -width  # those of requests of before, and of the change itself, tell nothing
        self._changed.notify_all()

    def _new_window(self, now: float) -> None:
        self._since, self._answers, self._work, self._wanted = now, 0, 0, False


class Flow:
    """The requests of one thread that has many of them under way. Where others wait for their turn it takes half of the level.

    Attributes:
        under_way: requests.
        turned: when the thread last looked after them.
    """

    def __init__(self, level: Level) -> None:
        self._level = level
        self.under_way = 0
        self.turned = level._clock()

    def begin(self) -> bool:
        """Count one more request, where there is room for it."""
        with self._level._changed:
            if self._level._has_room_for(self):
                self.under_way += 1
                return True
            return False

    def wait(self) -> None:
        """As `begin`, for a flow with nothing under way: waits for its turn."""
        with self._level._changed:
            self._level._wait()
            self.under_way += 1

    def look(self) -> int:
        """To be called whenever the thread looks after its requests; what to call `ended` with for those that begin then."""
        self.turned = self._level._clock()
        return self._level._epoch

    def ended(self, began: int, size: int, refusal: float | None = None) -> None:
        """One request has ended; as `Level.leave`."""
        level = self._level
        with level._changed:
            self.under_way -= 1
            level._ended(began, size, refusal)
            if level._waiting:
                level._changed.notify()

    def close(self) -> None:
        """What is under way is broken off."""
        level = self._level
        with level._changed:
            level._flows.remove(self)
            level._changed.notify_all()
