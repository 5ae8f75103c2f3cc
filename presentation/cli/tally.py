"""How far a transfer is: added up from what its threads tell, and passed on at a pace."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from domain.errors import StorageError
    from domain.transfer import TransferAction


class Tally:
    """An observer of a transfer that counts; whoever inherits says in `show` what becomes of the counts.

    Args:
        period: seconds between two calls of `show`, at least: to show each of many small files would cost more than
            to move them.
        wait: seconds before the first.
        clock: seconds, from any moment.
    """

    def __init__(self, period: float, *, wait: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.files = 0
        self.failed = 0
        self.bytes = 0
        self.clock = clock
        self._period = period
        self._next = clock() + wait
        self._under_way: dict[str, int] = {}
        self._counting = threading.Lock()
        self._showing = threading.Lock()

    def show(self) -> None:
        """Pass the counts on. Called in one thread at a time, whichever it is, so it must not raise."""

    def started(self, action: TransferAction) -> None:
        """A file that is moved by itself begins."""
        with self._counting:
            self._under_way[action.key] = 0
        self._look()

    def moved(self, action: TransferAction, size: int) -> None:
        """`size` more bytes of this file were moved."""
        with self._counting:
            self.bytes += size
            if action.key in self._under_way:
                self._under_way[action.key] += size
        self._look()

    def finished(self, action: TransferAction, error: StorageError | None) -> None:
        """One file is done, or failed."""
        with self._counting:
            told = self._under_way.pop(action.key, None)
            if told is not None:
                # What was there from an earlier run was not told, what was sent twice was told twice.
                self.bytes += (action.size if error is None else 0) - told
            if error is None:
                self.files += 1
            else:
                self.failed += 1
        self._look()

    def under_way(self, action: TransferAction) -> int | None:
        """The bytes moved of a file that has begun and not ended; None for any other."""
        return self._under_way.get(action.key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def _look(self) -> None:
        # Who comes while another shows has nothing to wait for: what it counted is shown the next time.
        if self.clock() >= self._next and self._showing.acquire(blocking=False):
            try:
                self._next = self.clock() + self._period
                self.show()
            finally:
                self._showing.release()
