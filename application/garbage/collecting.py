"""Garbage collection in two phases: what is unused is condemned, and deleted in a later run if it is unused then.

Each run marks, then sweeps. Marking reads all roots, lists all content, and writes down what is unused and old. Sweeping deletes
what was written down for long enough, and for that keeps writers out: see `application.garbage.leases`. Nothing that was found
before counts then but what is in use: roots are read anew, and content is listed anew.

Who takes no lease, such as plain dvc, is protected by time alone: by the age that content must have to be condemned, and by
that which it must be condemned for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from application.garbage.addresses import Contents
from application.garbage.condemned import CondemnedList
from application.garbage.leases import LEASES, SWEEPS, being_swept
from application.garbage.leftovers import leftovers, remove_leftovers
from application.garbage.marking import Survey, Unused, check_roots, condemned, deletable, survey
from application.garbage.presence import Presence, others
from application.garbage.report import GarbageReport, PlaceReport
from application.garbage.roots import Live, Named, NamedRoots, PinRoots, Roots, VersionRoots
from application.garbage.sweeping import Marked, item, sweep
from domain.content import DVC_MD5, SHA256
from domain.errors import InvalidRequest
from domain.storage import IStorageProvider

GRACE = timedelta(days=7)

CONTENT_PREFIX = "cas/"
_CLOCK = ".lading/gc/clock/"


def collect_garbage(
    provider: IStorageProvider,
    *,
    dvc: tuple[IStorageProvider, str] | None = None,
    named: Named | None = None,
    allow_missing: bool = False,
    more_roots: Sequence[Roots] = (),
    grace: timedelta = GRACE,
    allow_empty: bool = False,
    dry_run: bool = False,
    seen: Callable[[int], object] = int,
) -> GarbageReport:
    """Collect the garbage of a store: of the content that Lading addresses, and if asked for, of its DVC store.

    Args:
        dvc: the DVC store, as the provider of its bucket and a prefix; None leaves it alone.
        named, allow_missing: what others name in the DVC store, as git repositories do; see `NamedRoots`.
        more_roots: what else is in use.

    The other arguments and the errors are those of `collect`.
    """
    places = [Contents("content", provider, SHA256, CONTENT_PREFIX)]
    roots: list[Roots] = [
        PinRoots(provider),
        VersionRoots(provider, CONTENT_PREFIX, files=dvc is not None, seen=seen),
        *more_roots,
    ]
    if dvc is not None:
        contents = Contents("DVC store", dvc[0], DVC_MD5, dvc[1])
        places.append(contents)
        if named is not None:
            roots.append(NamedRoots(contents, named, allow_missing=allow_missing))
    return collect(provider, places, roots, grace=grace, allow_empty=allow_empty, dry_run=dry_run, seen=seen)


def collect(
    provider: IStorageProvider,
    places: Sequence[Contents],
    roots: Sequence[Roots],
    *,
    grace: timedelta = GRACE,
    allow_empty: bool = False,
    dry_run: bool = False,
    seen: Callable[[int], object] = int,
) -> GarbageReport:
    """Collect the garbage of these places.

    Args:
        provider: of the records, leases and pins.
        places: in the order in which they are to be cleaned: what names content before that content.
        roots: all that is known to be in use, of all these places.
        grace: how old unused content must be to be condemned, and how long it must have been condemned to be deleted. With
            none, one run does both: whoever writes without a lease meanwhile loses something.
        allow_empty: whether all may go where nothing is in use.
        dry_run: say what a run would do, by this machine's clock; write and delete nothing.
        seen: hears now and then of so many objects more.

    Raises:
        PreconditionFailed: nothing is in use, or another collection is deleting.
        StorageError: what is in use can't be known; nothing was deleted.
        KeyboardInterrupt: the user stopped it; what is not deleted yet is for the next run.
    """
    if not timedelta() <= grace <= timedelta(days=36_500):
        raise InvalidRequest("the grace period is a time between nothing and a hundred years")
    now = datetime.now(UTC) if dry_run else _store_time(provider)
    living, _ = others(provider, SWEEPS, now)
    if living and not dry_run:
        raise being_swept(provider, living[0])
    report = GarbageReport(dry_run)
    live = Live()
    for source in roots:
        source.add_to(live)
    marked = []
    for contents in places:
        found = survey(contents, live, seen)
        if not allow_empty:
            check_roots(found, live)
        marked.append(_mark(provider, found, now - grace, now, dry_run=dry_run))
    report.places = [one.report for one in marked]
    if dry_run:
        if any(one.report.deleted for one in marked):
            report.deferred_by, _ = others(provider, LEASES, now)
        report.leftovers = len(leftovers(provider, now))
        return report
    for one in marked:
        one.lists = one.written.replace(one.condemned, one.lists, now)
    if any(one.since <= now - grace for place in marked for one in place.condemned.values()):
        report.deferred_by = sweep(provider, marked, roots, live, now - grace, seen)
        for one in marked:
            if one.report.deleted:
                one.written.replace(one.condemned, one.lists, now)
    report.leftovers = remove_leftovers(provider, now)
    return report


def _mark(provider: IStorageProvider, found: Survey, oldest: datetime, now: datetime, *, dry_run: bool) -> Marked:
    contents = found.contents
    kept = CondemnedList(provider, contents)
    before, lists = kept.read()
    chosen = condemned(found, before, oldest, now)
    report = PlaceReport(contents.name, contents.place, found.kept, found.kept_size)
    report.young = len(found.unused) - len(chosen)
    report.young_size = sum(one.size for address, one in found.unused.items() if address not in chosen)
    due: Mapping[bytes, Unused] = deletable(found, chosen, oldest) if dry_run else {}
    report.deleted = [item(contents, address, one, chosen) for address, one in due.items()]
    report.condemned = [
        item(contents, address, found.unused[address], chosen) for address in chosen if address not in due
    ]
    return Marked(contents, kept, lists, chosen, report)


def _store_time(provider: IStorageProvider) -> datetime:
    """What the store's clock shows now."""
    sign = Presence(provider, _CLOCK)
    try:
        return sign.put()
    finally:
        sign.remove()
