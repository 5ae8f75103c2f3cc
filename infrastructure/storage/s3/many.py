"""Many small files or objects by one thread, several requests under way. What does not go well is done again by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple, TypeVar

from domain.content_check import differs
from domain.errors import PreconditionFailed, StorageError
from domain.keys import check_key
from domain.local_files import LocalSource, ReplacementFile
from domain.many_files import File
from domain.storage import ObjectInfo, WriteCondition
from infrastructure.storage.s3.attributes import Attributes, info_of_write
from infrastructure.storage.s3.wire import Wire

SMALL_BYTES = 1 << 20
"""Larger files go one by one: what is under way is held in memory."""

_DOUBTS = 64
"""Conditional writes that were refused and are looked at together, if their bytes are not too many."""

One = TypeVar("One")
Thing = TypeVar("Thing")
Result = TypeVar("Result")


StoreOne = Callable[[Thing, Attributes | None], ObjectInfo]
"""Stores one by itself. It gets what was sent along with it before, if anything: a write knows itself again by that."""


class _Object(NamedTuple):
    """What a key and its bytes become, and under which attributes."""

    key: str
    size: int
    attributes: Attributes


# -- storing


def upload_small(
    wire: Wire,
    files: Iterable[File],
    attributes: Callable[[File, bytes], Attributes],
    condition: WriteCondition | None,
    one: StoreOne[File],
) -> Iterator[tuple[File, ObjectInfo | StorageError]]:
    """Store the files; `one` does it for a file that is not small, or did not go well.

    Args:
        attributes: what is kept beside the bytes of a file; raises for what can't be.
    """
    others: list[tuple[File, Attributes | None]] = []

    def objects() -> Iterator[tuple[File, str, bytes, Attributes]]:
        for file in files:
            try:
                with LocalSource(file.path) as source:
                    if source.size <= SMALL_BYTES:
                        data = source.read(SMALL_BYTES)
                        source.check_unchanged()
                        yield file, file.key, data, attributes(file, data)
                        continue
            except StorageError:  # `one` tells it
                pass
            others.append((file, None))

    return _stored(wire, objects(), condition, others, one)


def put_small(
    wire: Wire,
    objects: Iterable[tuple[str, bytes]],
    attributes: Callable[[str, bytes], Attributes],
    condition: WriteCondition | None,
    one: StoreOne[tuple[str, bytes]],
) -> Iterator[tuple[str, ObjectInfo | StorageError]]:
    """Store the objects; arguments as of `upload_small`."""
    source = iter(objects)
    others: list[tuple[tuple[str, bytes], Attributes | None]] = []

    more = True

    def small() -> Iterator[tuple[tuple[str, bytes], str, bytes, Attributes]]:
        nonlocal more
        for key, data in source:
            kept = None
            if len(data) <= SMALL_BYTES:
                with suppress(StorageError):  # `one` tells it
                    kept = attributes(key, data)
            if kept is None:
                others.append(((key, data), None))
                return  # it is held in memory: no second one before it is gone
            yield (key, data), key, data, kept
        more = False

    while more:
        for (key, _), result in _stored(wire, small(), condition, others, one):
            yield key, result


def _stored(
    wire: Wire,
    objects: Iterable[tuple[Thing, str, bytes, Attributes]],
    condition: WriteCondition | None,
    others: list[tuple[Thing, Attributes | None]],
    one: StoreOne[Thing],
) -> Iterator[tuple[Thing, ObjectInfo | StorageError]]:
    """Store small objects.

    Args:
        others: what goes by itself; it grows while `objects` is read.
    """

    def sent() -> Iterator[tuple[tuple[Thing, _Object], str, bytes, Attributes]]:
        for thing, key, data, attributes in objects:
            kept = attributes if condition is None else attributes.marked()
            yield (thing, _Object(key, len(data), kept)), key, data, kept

    def store_one(other: tuple[Thing, Attributes | None]) -> ObjectInfo:
        return one(*other)

    def others_stored() -> Iterator[tuple[Thing, ObjectInfo | StorageError]]:
        return ((thing, result) for (thing, _), result in _by_themselves(others, store_one))

    doubtful: list[tuple[Thing, _Object, PreconditionFailed]] = []
    doubted = 0
    for (thing, stored), result in wire.put_many(sent(), SMALL_BYTES, condition):
        if isinstance(result, ObjectInfo):
            yield thing, result
        elif result is None:
            others.append((thing, stored.attributes))
        else:
            doubtful.append((thing, stored, result))
            doubted += stored.size
            if len(doubtful) >= _DOUBTS or doubted >= SMALL_BYTES:
                yield from _settled(wire, doubtful, others)
                doubtful, doubted = [], 0
        if others:
            yield from others_stored()
    yield from _settled(wire, doubtful, others)
    yield from others_stored()


def _settled(
    wire: Wire,
    doubtful: list[tuple[Thing, _Object, PreconditionFailed]],
    others: list[tuple[Thing, Attributes | None]],
) -> Iterator[tuple[Thing, ObjectInfo | StorageError]]:
    """Of conditional writes that were refused: those that had been carried out, by the same request, which went twice."""
    asked = ((refused, refused[1].key) for refused in doubtful)
    for (thing, stored, refusal), found in wire.written_by_many(asked):
        if found is None:
            others.append((thing, stored.attributes))
        elif found[1] == stored.attributes.write_id:
            yield thing, info_of_write(stored.key, stored.size, found[0], stored.attributes)
        else:
            yield thing, refusal


# -- reading


def download_small(
    wire: Wire, files: Iterable[File], one: Callable[[File], ObjectInfo]
) -> Iterator[tuple[File, ObjectInfo | StorageError]]:
    """Fetch the objects; `one` does it for an object that is not small, or did not come well."""
    others: list[File] = []

    def keys() -> Iterator[tuple[File, str]]:
        for file in files:
            if file.size <= SMALL_BYTES:
                yield file, file.key
            else:
                others.append(file)

    return _fetched(wire, keys(), _kept, others, one)


def get_small(
    wire: Wire, keys: Iterable[str], one: Callable[[str], bytes]
) -> Iterator[tuple[str, bytes | StorageError]]:
    """Read the objects; `one` does it for an object that is not small, or did not come well, and for a key that is none."""
    others: list[str] = []
    return _fetched(wire, ((key, key) for key in _valid(keys, others)), _verified, others, one)


def _fetched(
    wire: Wire,
    wanted: Iterable[tuple[Thing, str]],
    take: Callable[[Thing, ObjectInfo, bytes], Result | None],
    others: list[Thing],
    one: Callable[[Thing], Result],
) -> Iterator[tuple[Thing, Result | StorageError]]:
    """Fetch small objects.

    Args:
        take: what becomes of an object that came; None where it did not come well.
        others: as of `_stored`.
    """
    for thing, found in wire.get_many(wanted, SMALL_BYTES + 1):
        taken = None if found is None else take(thing, *found)
        if taken is None:
            others.append(thing)
        else:
            yield thing, taken
        yield from _by_themselves(others, one)
    yield from _by_themselves(others, one)


def look_at(
    wire: Wire, keys: Iterable[str], bucket_is_there: Callable[[], bool], one: Callable[[str], ObjectInfo]
) -> Iterator[tuple[str, ObjectInfo | StorageError]]:
    """Look at the objects; `one` does it for a key that is none, or that was not told of well.

    Args:
        bucket_is_there: whether that is known; where it is not, a missing object may be a missing bucket.
    """
    others: list[str] = []
    for key, found in wire.head_many(_valid(keys, others)):
        if isinstance(found, ObjectInfo) or (found and bucket_is_there()):
            yield key, found
        else:
            others.append(key)
        yield from _by_themselves(others, one)
    yield from _by_themselves(others, one)


def _valid(keys: Iterable[str], others: list[str]) -> Iterator[str]:
    """The keys that are some; those that are none are added to `others`."""
    for key in keys:
        try:
            yield check_key(key)
        except StorageError:
            others.append(key)


def _kept(file: File, info: ObjectInfo, data: bytes) -> ObjectInfo | None:
    try:
        if differs(data, info.sha256, file.content):
            return None
        with ReplacementFile(file.path) as target:
            target.write(data)
            target.commit()
    except StorageError:
        return None
    return info


def _verified(key: str, info: ObjectInfo, data: bytes) -> bytes | None:
    return None if differs(data, info.sha256, None) else data


def _by_themselves(others: list[One], one: Callable[[One], Result]) -> Iterator[tuple[One, Result | StorageError]]:
    while others:
        other = others.pop()
        try:
            result = one(other)
        except StorageError as error:
            yield other, error
        else:
            yield other, result
