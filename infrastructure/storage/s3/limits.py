"""The limits of all that one provider sends and receives: requests under way, bytes and requests a second, memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from infrastructure.storage.s3.concurrency import Level
from infrastructure.storage.s3.dialect import Target

PACED_BYTES = 1 << 16
"""A body up to here is sent at once, when its time has come; a larger one piece by piece."""

BUFFER_BYTES = 1 << 14
"""Bytes that are moved between two looks at the pace."""

_TURN_SECONDS = 10.0

_LATE_SECONDS = 0.1
"""A pause is seldom as short as it was meant to be: so much of what was lost by that may be made up for."""


class Pace:
    """So much a second and no more, evenly. Thread-safe."""

    def __init__(
        self,
        per_second: float,
        late: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._per_second = per_second
        self._late = late
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = 0.0

    def reserve(self, amount: float) -> float:
        """When, by the clock, this amount may go: once all that was reserved before is through."""
        with self._lock:
            at = max(self._clock() - self._late, self._free_at)
            self._free_at = at + amount / self._per_second
            return at

    def wait(self, amount: float) -> None:
        """Reserve it, and wait until it may go."""
        delay = self.reserve(amount) - self._clock()
        if delay > 0:
            self._sleep(delay)


class Memory:
    """Bytes that may be held at a time. Thread-safe. What is larger than all of it may be held alone."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._waiting = 0
        self._freed = threading.Condition(threading.Lock())

    def acquire(self, size: int) -> None:
        """Wait until so many bytes more may be held."""
        with self._freed:
            self._waiting += 1
            try:
                while self._held and self._held + size > self._most:
                    self._freed.wait()
            finally:
                self._waiting -= 1
            self._held += size

    def try_acquire(self, size: int) -> bool:
        """Without waiting; whether they may be held."""
        with self._freed:
            if self._held and self._held + size > self._most:
                return False
            self._held += size
            return True

    def take(self, size: int) -> None:
        """Hold them whatever there is already; for a thread that may itself hold all the rest."""
        with self._freed:
            self._held += size

    def release(self, size: int) -> None:
        """They are no longer held."""
        with self._freed:
            self._held -= size
            if self._waiting:
                self._freed.notify_all()

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """A block in which they are held."""
        self.acquire(size)
        try:
            yield
        finally:
            self.release(size)


class Traffic:
    """What all threads of a provider share.

    Bytes a second are limited for each direction by itself.

    Attributes:
        level: requests under way.
        repeats: how often a refused one of many is sent again among the others.
        requests, sent, received: their pace, or None where there is no limit.
        memory: of pieces of large objects and of objects that are moved one by one.
        small_memory: of objects that are moved many at a time. Theirs alone: a thread that has read some, and does something
            else before it goes on, keeps nobody waiting.
    """

    def __init__(self, target: Target) -> None:
        rate, bandwidth = target.requests_per_second, target.bandwidth
        most = target.concurrency
        if bandwidth:
            # Each has to get on now and then, or it is taken for dead, here or by the store.
            most = max(1, min(most, int(bandwidth * min(_TURN_SECONDS, target.read_timeout / 2)) // BUFFER_BYTES))
        self.level = Level(most)
        self.repeats = 2 * (target.attempts - 1)
        self.requests = Pace(rate) if rate else None
        self.sent = Pace(bandwidth, _LATE_SECONDS) if bandwidth else None
        self.received = Pace(bandwidth, _LATE_SECONDS) if bandwidth else None
        small = target.memory // 4
        self.memory = Memory(target.memory - small)
        self.small_memory = Memory(small)

    def start_of(self, size: int) -> float:
        """When, by `time.monotonic`, a request with a body of `size` bytes may be sent."""
        at = self.requests.reserve(1) if self.requests else 0.0
        if self.sent and 0 < size <= PACED_BYTES:
            at = max(at, self.sent.reserve(size))
        return at
