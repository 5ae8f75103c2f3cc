"""What keeps writers and a garbage collection apart.

A writer that counts on content which is there already takes a lease, then looks whether a collection is deleting. A
collection says that it is going to delete, then looks whether there is a lease. Whoever is later sees the other, whatever
happens in between: that needs nothing of a store but that a listing shows what was written before it began. A writer waits for
a collection, and a collection deletes nothing while there is a writer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Self

from application.garbage.presence import Presence, Seen, others, steady
from domain.errors import PreconditionFailed
from domain.storage import IStorageProvider

LEASES = ".lading/leases/"
SWEEPS = ".lading/gc/sweeps/"
"""Each collection has a marker of its own there: one that ends does not take away another's."""

_WAIT_SECONDS = 60.0
_LOOK_SECONDS = 0.25


class Lease:
    """Held while somebody writes: in its `with` block no content that is there is collected.

    What is there counts from then on, not what was known before: content, and the records that prove it to be there, are
    to be looked for inside of the block. After the last record is written, `check` has to pass once more.

    Args:
        provider: of the records.
        what: what is written, in a few words; shown to whoever runs a collection meanwhile.
        wait: seconds to wait for a collection that is deleting.
        monotonic, wall, sleep: clocks, in seconds.
    """

    def __init__(
        self,
        provider: IStorageProvider,
        what: str = "",
        *,
        wait: float = _WAIT_SECONDS,
        monotonic: Callable[[], float] = steady,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._provider = provider
        self._presence = Presence(provider, LEASES, what, monotonic=monotonic, wall=wall)
        self._wait = wait
        self._monotonic = monotonic
        self._sleep = sleep

    def take(self) -> Self:
        """Take it, once; `with` does.

        Raises:
            PreconditionFailed: a garbage collection is deleting, and does not end in time.
            StorageError: the lease can't be written.
        """
        try:
            began = self._presence.put()
            await_no_sweep(
                self._provider, began, self._wait, monotonic=self._monotonic, sleep=self._sleep, waiting=self.renewed
            )
        except BaseException:
            self.release()
            raise
        return self

    def renewed(self) -> None:
        """Keep it. To be called often while work goes on, from any thread: every ten minutes that is a request."""
        self._presence.renewed()

    @property
    def lapsed(self) -> bool:
        """Whether it was not renewed for so long that a collection may have gone on without regard to it.

        Then nothing that was found in the store is sure to be there; it does not become valid again.
        """
        return self._presence.lapsed

    def check(self) -> None:
        """Make sure that it has held until now.

        Raises:
            PreconditionFailed: it has lapsed.
        """
        if self.lapsed:
            raise PreconditionFailed(
                "this was stopped for so long that a garbage collection may have deleted what it counted on; run it again, and "
                "it goes on with what is missing",
                provider=self._provider.name,
            )

    def release(self) -> None:
        """Give it back. A failure is none: it lapses."""
        self._presence.remove()

    def __enter__(self) -> Self:
        return self.take()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def await_no_sweep(
    provider: IStorageProvider,
    now: datetime,
    wait: float = _WAIT_SECONDS,
    *,
    monotonic: Callable[[], float] = steady,
    sleep: Callable[[float], None] = time.sleep,
    waiting: Callable[[], None] = lambda: None,
) -> None:
    """Wait until no garbage collection is deleting; at once where none is.

    Args:
        now: by the store's clock: when the lease or the pin of whoever asks was written. It has to be there by now.
        wait: seconds at most.
        waiting: called while it waits.

    Raises:
        PreconditionFailed: one is still at work.
    """
    end = monotonic() + wait
    pause = _LOOK_SECONDS
    while True:
        living, _ = others(provider, SWEEPS, now)
        if not living:
            return
        if monotonic() >= end:
            raise being_swept(provider, living[0])
        sleep(min(pause, max(end - monotonic(), 0.01)))
        pause = min(pause * 2, 5.0)
        waiting()


def being_swept(provider: IStorageProvider, other: Seen) -> PreconditionFailed:
    """The error to raise where another collection is deleting."""
    return PreconditionFailed(
        f"a garbage collection is deleting: {other}; run this again when it has ended (if it was killed, delete {other.key!r})",
        provider=provider.name,
        key=other.key,
    )
