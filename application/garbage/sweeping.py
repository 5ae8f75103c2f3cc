"""The second phase of a garbage collection: what was condemned for long is deleted, while no writer is at work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from types import TracebackType
from typing import Self

from application.garbage.addresses import Contents
from application.garbage.condemned import Condemned, CondemnedList
from application.garbage.leases import LEASES, SWEEPS, being_swept
from application.garbage.marking import Unused, deletable, in_order, survey
from application.garbage.presence import DEAD, Presence, Seen, others
from application.garbage.report import Item, PlaceReport
from application.garbage.roots import Live, Roots
from application.interruption import Interruption
from domain.errors import PreconditionFailed, StorageError
from domain.storage import IStorageProvider

_BATCH = 1000


@dataclass
class Marked:
    """A place, and what is condemned there.

    Attributes:
        written: where that is written, in lists with the keys `lists`.
    """

    contents: Contents
    written: CondemnedList
    lists: list[str]
    condemned: dict[bytes, Condemned]
    report: PlaceReport


class SweepMarker:
    """In its `with` block writers wait that come, and no other collection deletes.

    Attributes:
        put_at: when it was put, by the store's clock.
        deleting: whether a request to delete is on its way; if the block ends so, the marker stays.
    """

    def __init__(self, provider: IStorageProvider) -> None:
        self._provider = provider
        self._presence = Presence(provider, SWEEPS, "garbage collection")
        self.put_at = datetime.min
        self.deleting = False

    def renew(self) -> None:
        """Keep it.

        Raises:
            PreconditionFailed: it could not be kept, and others may act as if it were not there.
        """
        self._presence.renewed()
        if self._presence.lapsed:
            raise PreconditionFailed(
                "this was stopped for so long that writers may take it for dead; what it left is for the next run",
                provider=self._provider.name,
            )

    def writers(self) -> list[Seen]:
        """Who holds a lease."""
        return others(self._provider, LEASES, self.put_at)[0]

    def __enter__(self) -> Self:
        try:
            self.put_at = self._presence.put()
            living, _ = others(self._provider, SWEEPS, self.put_at, but=self._presence.key)
            if living:
                raise being_swept(self._provider, living[0])
        except BaseException:
            self._presence.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.deleting:
            self._presence.remove()
        elif isinstance(error, StorageError):
            # Were it taken away, a writer could count on content that a request on its way is about to delete.
            error.message += (
                f"; the store may still be at it, so writers are kept waiting for up to {DEAD.seconds // 60} minutes (delete "
                f"{self._presence.key!r} to end that before)"
            )


def sweep(
    provider: IStorageProvider,
    marked: Sequence[Marked],
    roots: Sequence[Roots],
    live: Live,
    latest: datetime,
    seen: Callable[[int], object],
) -> list[Seen]:
    """Delete what was condemned by `latest` and is unused still, unless somebody is writing: who does.

    Raises:
        PreconditionFailed: another collection is deleting, or this one was stopped for long.
        StorageError: what is in use can't be known; nothing was deleted.
        KeyboardInterrupt: the user stopped it.
    """
    with SweepMarker(provider) as marker, Interruption() as interruption:

        def alive(count: int = 0) -> None:
            interruption.check()
            marker.renew()
            seen(count)

        if writers := marker.writers():
            return writers
        for source in roots:
            source.add_to(live)
            alive()
        # All is looked at before anything is deleted: what can't be read to its end stops it in time.
        found = [survey(one.contents, live, alive) for one in marked]
        for one, there in zip(marked, found, strict=True):
            going = deletable(there, one.condemned, latest)
            gone = _delete(one, going, marker, alive)
            one.report.deleted = [item(one.contents, address, going[address], one.condemned) for address in gone]
            for address in gone:
                del one.condemned[address], there.unused[address]
            one.report.condemned = [
                item(one.contents, address, there.unused[address], one.condemned)
                for address in one.condemned
                if address in there.unused
            ]
            if one.report.failures:
                break  # what comes after is what these may name
    return []


def _delete(one: Marked, going: Mapping[bytes, Unused], marker: SweepMarker, alive: Callable[[], None]) -> list[bytes]:
    """Delete these; those that are gone."""
    gone: list[bytes] = []
    for group in in_order(going):
        for batch in _batches(group):
            alive()
            by_key = {one.contents.key(address): address for address in batch}
            marker.deleting = True
            failures = one.contents.provider.delete_many(by_key)
            marker.deleting = False
            one.report.failures += failures
            for failure in failures:
                if failure.key is None:  # any of them may be there still
                    by_key.clear()
                else:
                    by_key.pop(failure.key, None)
            gone += by_key.values()
        if one.report.failures:
            break
    return gone


def item(contents: Contents, address: bytes, one: Unused, condemned: Mapping[bytes, Condemned]) -> Item:
    """An object as a report names it."""
    return Item(contents.key(address), one.size, condemned[address].since)


def _batches(addresses: Iterable[bytes]) -> Iterator[list[bytes]]:
    rest = iter(addresses)
    while batch := list(islice(rest, _BATCH)):
        yield batch
