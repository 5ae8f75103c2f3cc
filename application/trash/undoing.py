"""Bringing back what went to the trash, and emptying it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from application.interruption import Interruption
from application.trash.sides import Found, Trash, TrashBatch
from domain.errors import BucketNotFound, ObjectNotFound, PreconditionFailed, StorageError, StoreUnavailable
from domain.trash import Trashed, TrashRecord

_TOGETHER = 100


@dataclass(slots=True)
class UndoReport:
    """What became of a record's entries.

    Attributes:
        id: the record.
        restored: how many are at their places again.
        size: their bytes.
        unchanged: how many were at their places already.
        saved_as: the new record of what was there and was replaced; empty where nothing was.
        conflicts: those that something else is in the place of; they stay in the trash.
        failures: those with another trouble.
        stopped_by: what made going on pointless (a store that is away), or None.
        interrupted: whether the user stopped it.
        finished: whether the trash has nothing more of this record, which is then gone.
    """

    id: str
    restored: int = 0
    size: int = 0
    unchanged: int = 0
    saved_as: str = ""
    conflicts: list[tuple[Trashed, StorageError]] = field(default_factory=list)
    failures: list[tuple[Trashed, StorageError]] = field(default_factory=list)
    stopped_by: StorageError | None = None
    interrupted: bool = False
    finished: bool = False


def records(trash: Trash) -> Iterator[tuple[str, TrashRecord | StorageError]]:
    """Every record by its id, oldest first; an error for one that can't be read.

    Raises:
        StorageError: the trash as a whole can't be read.
    """
    for trash_id in trash.ids():
        try:
            if record := _read(trash, trash_id):
                yield trash_id, record
        except (BucketNotFound, StoreUnavailable):
            raise
        except StorageError as error:
            yield trash_id, error


def undo(trash: Trash, trash_id: str | None = None, *, force: bool = False) -> UndoReport:
    """Bring back all that a record names: what was deleted, and what was replaced.

    What is at the place of something replaced goes into a new record first. What is at the place of something deleted
    stays, and is told as a conflict. Done before, or stopped anywhere, it can be run again. Does not raise for what
    happens to the entries: the report says it.

    Args:
        trash_id: by default the newest; or the one that it undid, where that undoing was not finished.
        force: replace what is at the place of something deleted too; it goes into the new record.

    Raises:
        ObjectNotFound: no such record, or none at all.
        StorageError: the record can't be read.
    """
    record = trash.record(trash_id) if trash_id else _newest(trash)
    return _brought_back(trash, record, record.entries, force=force, undoes=record.id)


def restore(trash: Trash, trash_id: str, names: Sequence[str], *, force: bool = False) -> UndoReport:
    """Bring back some of what a record names, as `undo` does with all.

    Args:
        names: of entries, or of folders of them.

    Raises:
        ObjectNotFound: no such record, or nothing in it has one of these names; nothing was done.
    """
    record = trash.record(trash_id)
    chosen: dict[str, Trashed] = {}
    for name in names:
        below = name.rstrip("/") + "/"
        found = [entry for entry in record.entries if entry.name == name or entry.name.startswith(below)]
        if not found:
            raise ObjectNotFound(
                f"the record {trash_id} of the trash has nothing at or under {name!r}; nothing was restored", key=name
            )
        chosen.update((entry.name, entry) for entry in found)
    # Of no undoing: a later `undo` takes back this restoring, it does not go on to the rest of that record.
    return _brought_back(trash, record, list(chosen.values()), force=force, undoes="")


def empty(trash: Trash, ids: Iterable[str]) -> None:
    """Delete these records for good, with all that they keep. Stopped anywhere, it can be run again.

    Raises:
        KeyboardInterrupt: the user stopped it, between two records.
        StorageError: something can't be deleted.
    """
    with Interruption() as interruption:
        for trash_id in ids:
            interruption.check()
            trash.remove(trash_id)


def _read(trash: Trash, trash_id: str) -> TrashRecord | None:
    """The record; None for the trace of one that was not written before a kill came, or all of which is gone."""
    try:
        return trash.record(trash_id)
    except ObjectNotFound:
        if trash.held(trash_id)[0]:
            raise
        return None


def _newest(trash: Trash) -> TrashRecord:
    ids = list(trash.ids())
    while ids:
        if newest := _read(trash, ids.pop()):
            # An undoing that was stopped is gone on with: what it had replaced is not what anybody wants back.
            while newest.undoes in ids and (undone := _read(trash, newest.undoes)):
                del ids[ids.index(undone.id) :]
                newest = undone
            return newest
    raise ObjectNotFound(f"there is nothing to undo: the trash of {trash.place!r} is empty")


def _brought_back(
    trash: Trash, record: TrashRecord, entries: Sequence[Trashed], *, force: bool, undoes: str
) -> UndoReport:
    report = UndoReport(record.id)
    try:
        with Interruption() as interruption:
            absent, others, same = _sorted(trash, record, entries, report, interruption, force=force)
            if same:
                trash.forget(record, same)
            _move(trash, record, absent, report, interruption)
            _exchange(trash, record, others, report, interruption, undoes)
            if not trash.held(record.id)[0]:
                trash.forget_record(record.id)
                report.finished = True
    except KeyboardInterrupt:
        report.interrupted = True
    except StorageError as error:
        report.stopped_by = error
    return report


def _sorted(
    trash: Trash,
    record: TrashRecord,
    entries: Sequence[Trashed],
    report: UndoReport,
    interruption: Interruption,
    *,
    force: bool,
) -> tuple[list[Found], list[Found], list[Trashed]]:
    """Those whose place is empty, those whose place has to be cleared first, and those that are there already."""
    absent: list[Found] = []
    others: list[Found] = []
    same: list[Trashed] = []
    for entry, found in trash.find(record, entries):
        interruption.check()
        if isinstance(found, StorageError):
            report.failures.append((entry, found))
        elif not found.kept and found.there:
            report.unchanged += 1
        elif not found.kept:
            gone = ObjectNotFound(f"{entry.name!r} is neither at its place nor in the trash", key=entry.name)
            report.failures.append((entry, gone))
        elif found.same:
            report.unchanged += 1
            same.append(entry)
        elif found.there is None:
            absent.append(found)
        elif entry.replaced or force:
            others.append(found)
        else:
            conflict = PreconditionFailed(
                f"something else is at {entry.name!r} now, and was left alone; --force replaces it", key=entry.name
            )
            report.conflicts.append((entry, conflict))
    return absent, others, same


def _exchange(
    trash: Trash,
    record: TrashRecord,
    others: Sequence[Found],
    report: UndoReport,
    interruption: Interruption,
    undoes: str,
) -> None:
    """Bring entries back over what is there, which goes into the trash first."""
    earlier = _earlier(trash, undoes) if others and undoes else None
    known = {entry.name: entry for entry in earlier.entries} if earlier else {}
    saved: set[str] = set()
    if earlier:
        report.saved_as = earlier.id
        names = [found.entry.name for found in others]
        found_there = trash.find(earlier, [known[name] for name in names if name in known])
        saved = {entry.name for entry, found in found_there if isinstance(found, Found) and found.kept and found.same}
        again = [found for found in others if found.there == known.get(found.entry.name) or found.entry.name in saved]
        _exchange_by(trash, trash.reopen(earlier), record, again, saved, report, interruption)
        others = [found for found in others if found not in again]
    if others:
        batch = trash.open(
            f"replaced by the undoing of {record.id}", [found.there for found in others if found.there], undoes=undoes
        )
        report.saved_as = batch.id
        _exchange_by(trash, batch, record, others, set(), report, interruption)


def _earlier(trash: Trash, undoes: str) -> TrashRecord | None:
    """The record of what an undoing of the same, which was stopped, has replaced."""
    for trash_id, record in records(trash):
        if trash_id > undoes and isinstance(record, TrashRecord) and record.undoes == undoes:
            return record
    return None


def _exchange_by(
    trash: Trash,
    batch: TrashBatch,
    record: TrashRecord,
    others: Sequence[Found],
    saved: Container[str],
    report: UndoReport,
    interruption: Interruption,
) -> None:
    rest = iter(others)
    while chunk := {found.entry.name: found for found in islice(rest, _TOGETHER)}:
        ready = [found for name, found in chunk.items() if name in saved]
        present = [found.there for name, found in chunk.items() if found.there and name not in saved]
        for entry, error in batch.put(present):
            if isinstance(error, PreconditionFailed):
                report.conflicts.append((chunk[entry.name].entry, error))
            elif error:
                report.failures.append((chunk[entry.name].entry, error))
            else:
                ready.append(chunk[entry.name])
        _move(trash, record, ready, report, interruption)


def _move(
    trash: Trash, record: TrashRecord, found: Sequence[Found], report: UndoReport, interruption: Interruption
) -> None:
    interruption.check()
    for one, error in trash.bring_back(record, found):
        if error is None:
            report.restored += 1
            report.size += one.entry.size
        elif isinstance(error, PreconditionFailed):
            report.conflicts.append((one.entry, error))
        else:
            report.failures.append((one.entry, error))
        interruption.check()
