"""The trash of a store: below `deleted/<id>/` of the same bucket, filled by server-side copies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from application.sides import hash_of_object
from application.trash.sides import Found, TrashBatch, new_record
from domain.errors import (
    BucketNotFound,
    InvalidRequest,
    ObjectNotFound,
    PreconditionFailed,
    StorageError,
    StoreUnavailable,
)
from domain.keys import MAX_KEY_BYTES, check_key, shortened
from domain.objects import ObjectInfo
from domain.storage import IStorageProvider
from domain.trash import TRASH_ID, Trashed, TrashRecord, check_trash_id, damaged, decoded_record

PREFIX = "deleted/"

_TOGETHER = 100
"""Objects that are copied, looked at and deleted as one: few, so that little time passes between the last two."""
_THREADS = 8

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


class StoreTrash:
    """The trash of the provider's bucket; as `Trash`.

    An object `k` is kept as `deleted/<id>/objects/k`, or where that is too long for a key as `deleted/<id>/hashed/<SHA-256
    of k>`. The record is `deleted/<id>/record.json`.

    Nobody can delete an object on a condition. What somebody else writes to a key in the moment between the last look at
    it and its deletion is lost with it.
    """

    def __init__(self, provider: IStorageProvider) -> None:
        self._provider = provider

    @property
    def place(self) -> str:
        return self._provider.describe().url

    def open(self, why: str, entries: Sequence[Trashed], *, undoes: str = "") -> TrashBatch:
        places: dict[str, str] = {}
        record = new_record(why, entries, undoes, places)
        for entry in entries:
            self._check_name(entry.name)
            if place := _hashed_place(record.id, entry.name):
                places[entry.name] = place
        with self._provider.open_writer(_record_key(record.id), content_type="application/json") as writer:
            for piece in record.encoded():
                writer.write(piece)
            writer.commit()
        return self.reopen(record)

    def reopen(self, record: TrashRecord) -> TrashBatch:
        return _StoreBatch(self._provider, record)

    def ids(self) -> Iterator[str]:
        after = ""
        while True:
            # A record may keep many objects: the listing is begun anew behind them.
            for info in self._provider.list_objects(PREFIX, start_after=after):
                found = info.key[len(PREFIX) :].partition("/")[0]
                if TRASH_ID.fullmatch(found):
                    break
            else:
                return
            yield found
            after = f"{PREFIX}{found}0"  # '0' comes after '/'

    def record(self, trash_id: str) -> TrashRecord:
        try:
            data = self._provider.get_bytes(_record_key(check_trash_id(trash_id)))
        except ObjectNotFound as error:
            raise ObjectNotFound(
                f"the trash in {self.place} has no record {trash_id}; 'storage trash list' shows those there are",
                provider=self._provider.name,
                key=error.key,
            ) from error
        record = decoded_record(data, trash_id)
        try:
            for entry in record.entries:
                self._check_name(entry.name)
        except InvalidRequest as error:
            raise damaged(trash_id, error.message) from error
        wanted = {entry.name: place for entry in record.entries if (place := _hashed_place(trash_id, entry.name))}
        if record.places != wanted:
            raise damaged(trash_id, "it keeps objects where this program does not")
        return record

    def _check_name(self, name: str) -> None:
        check_key(name, provider=self._provider.name)
        if name.startswith(PREFIX) and TRASH_ID.fullmatch(name[len(PREFIX) :].partition("/")[0]):
            raise InvalidRequest(
                f"{shortened(name)!r} is in the trash already; 'storage trash' has commands for it",
                provider=self._provider.name,
                key=name,
            )

    def find(self, record: TrashRecord, entries: Sequence[Trashed]) -> Iterator[tuple[Trashed, Found | StorageError]]:
        kept = {info.key: info.size for info in self._provider.list_objects(f"{PREFIX}{record.id}/")}

        def look(entry: Trashed) -> Found:
            place = _place(record, entry)
            try:
                info = self._provider.head(entry.name)
            except ObjectNotFound:
                return Found(entry, place in kept, None)
            there = Trashed(entry.name, info.size, info.etag, replaced=True)
            if place not in kept:
                return Found(entry, False, there)
            same = info.etag == entry.state or (info.size == kept[place] and self._same(info, place))
            return Found(entry, True, there, same)

        for chunk in _chunks(entries):
            yield from _each(self._provider, look, chunk)

    def _same(self, info: ObjectInfo, place: str) -> bool:
        kept = self._provider.head(place)
        if kept.sha256 and info.sha256:
            return kept.sha256 == info.sha256
        return hash_of_object(self._provider, kept) == hash_of_object(self._provider, info)

    def bring_back(self, record: TrashRecord, found: Iterable[Found]) -> Iterator[tuple[Found, StorageError | None]]:
        provider = self._provider

        def back(one: Found) -> None:
            if one.there is None and provider.exists(one.entry.name):
                raise _came_meanwhile(provider, one.entry.name)
            provider.copy(_place(record, one.entry), one.entry.name)

        for chunk in _chunks(found):
            done = []
            for one, error in _each(provider, back, chunk):
                if error:
                    yield one, error
                else:
                    done.append(one)
            failed = _deleted(provider, [_place(record, one.entry) for one in done])
            for one in done:
                yield one, failed.get(_place(record, one.entry))

    def forget(self, record: TrashRecord, entries: Iterable[Trashed]) -> None:
        for error in self._provider.delete_many(_place(record, entry) for entry in entries):
            raise error

    def held(self, trash_id: str) -> tuple[int, int]:
        sizes = [info.size for info in self._held(trash_id)]
        return len(sizes), sum(sizes)

    def remove(self, trash_id: str) -> None:
        for error in self._provider.delete_many(info.key for info in self._held(trash_id)):
            raise error
        self.forget_record(trash_id)

    def forget_record(self, trash_id: str) -> None:
        self._provider.delete(_record_key(trash_id))

    def _held(self, trash_id: str) -> Iterator[ObjectInfo]:
        record = _record_key(check_trash_id(trash_id))
        return (info for info in self._provider.list_objects(f"{PREFIX}{trash_id}/") if info.key != record)


class _StoreBatch:
    def __init__(self, provider: IStorageProvider, record: TrashRecord) -> None:
        self.id = record.id
        self._provider = provider
        self._record = record

    def put(self, entries: Iterable[Trashed]) -> Iterator[tuple[Trashed, StorageError | None]]:
        for chunk in _chunks(entries):
            yield from self._put(chunk)

    def _put(self, chunk: Sequence[Trashed]) -> Iterator[tuple[Trashed, StorageError | None]]:
        provider, copied, ready, useless = self._provider, [], [], []
        for entry, error in _each(provider, self._copy, chunk):
            if error:
                yield entry, error
            else:
                copied.append(entry)
        # Looked at after all were copied and just before they are deleted: as little as can be comes in between.
        for entry, etag in _each(provider, self._etag, copied):
            if isinstance(etag, StorageError):
                yield entry, etag
            elif etag is None:
                yield entry, self._changed(entry, "it is gone")
            elif etag != (entry.state or etag):
                useless.append(entry)
            elif entry.replaced:
                yield entry, None
            else:
                ready.append(entry)
        failed = _deleted(provider, [entry.name for entry in ready])
        # Where a deletion failed the copy stays: who knows what was done before it did.
        yield from ((entry, failed.get(entry.name)) for entry in ready)
        # A copy that can't be removed does no harm.
        _deleted(provider, [_place(self._record, entry) for entry in useless])
        yield from ((entry, self._changed(entry, "it is another one")) for entry in useless)

    def _copy(self, entry: Trashed) -> None:
        try:
            self._provider.copy(entry.name, _place(self._record, entry))
        except ObjectNotFound as error:
            raise self._changed(entry, "it is gone") from error

    def _etag(self, entry: Trashed) -> str | None:
        try:
            return self._provider.head(entry.name).etag
        except ObjectNotFound:
            return None

    def _changed(self, entry: Trashed, how: str) -> PreconditionFailed:
        return PreconditionFailed(
            f"the object {shortened(entry.name)!r} has changed since this was planned ({how}) and was left alone; "
            "plan again",
            provider=self._provider.name,
            key=entry.name,
        )


def _record_key(trash_id: str) -> str:
    return f"{PREFIX}{trash_id}/record.json"


def _place(record: TrashRecord, entry: Trashed) -> str:
    return record.places.get(entry.name) or f"{PREFIX}{record.id}/objects/{entry.name}"


def _hashed_place(trash_id: str, name: str) -> str:
    """Where an object goes whose name is too long to be kept; empty where it is not."""
    if len(f"{PREFIX}{trash_id}/objects/{name}".encode()) <= MAX_KEY_BYTES:
        return ""
    return f"{PREFIX}{trash_id}/hashed/{hashlib.sha256(name.encode(), usedforsecurity=False).hexdigest()}"


def _came_meanwhile(provider: IStorageProvider, key: str) -> PreconditionFailed:
    return PreconditionFailed(
        f"an object {shortened(key)!r} was written meanwhile and was left alone; run this again",
        provider=provider.name,
        key=key,
    )


def _deleted(provider: IStorageProvider, keys: Sequence[str]) -> dict[str, StorageError]:
    """Delete these; what could not be, by its key."""
    failed: dict[str, StorageError] = {}
    for error in provider.delete_many(keys) if keys else ():
        if error.key is None or error.key not in keys:
            raise error
        failed[error.key] = error
    return failed


def _chunks(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    rest = iter(items)
    while chunk := list(islice(rest, _TOGETHER)):
        yield chunk


def _each(
    provider: IStorageProvider, work: Callable[[_Item], _Made], items: Sequence[_Item]
) -> Iterator[tuple[_Item, _Made | StorageError]]:
    """Do it to each item, several at a time where a network is waited for; with what was made, or what went wrong.

    Raises:
        BucketNotFound, StoreUnavailable: what the next item would meet as well.
    """

    def one(item: _Item) -> _Made | StorageError:
        try:
            return work(item)
        except (BucketNotFound, StoreUnavailable):
            raise
        except StorageError as error:
            return error

    if not provider.capabilities.remote or len(items) < 2:
        yield from ((item, one(item)) for item in items)
        return
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="lading-trash")
    try:
        yield from zip(items, pool.map(one, items), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)
