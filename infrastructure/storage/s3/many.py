"""Many small files or objects by one thread, several requests under way. What does not go well is done again by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from domain.errors import StorageError
from domain.keys import check_key
from domain.local_files import LocalSource, ReplacementFile
from domain.many_files import File
from domain.storage import ObjectInfo
from infrastructure.storage.s3.attributes import Attributes
from infrastructure.storage.s3.wire import Wire

SMALL_BYTES = 1 << 20
"""Larger files go one by one: what is under way is held in memory."""

One = TypeVar("One")


def upload_small(
    wire: Wire,
    files: Iterable[File],
    attributes: Callable[[File, bytes], Attributes],
    one: Callable[[File], ObjectInfo],
) -> Iterator[tuple[File, ObjectInfo | StorageError]]:
    """Store the files; `one` does it for a file that is not small, or did not go well.

    Args:
        attributes: what is kept beside the bytes of a file; raises for what can't be.
    """
    others: list[File] = []

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
            others.append(file)

    for file, stored in wire.put_many(objects(), SMALL_BYTES):
        if stored:
            yield file, stored
        else:
            others.append(file)
        yield from _by_themselves(others, one)
    yield from _by_themselves(others, one)


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

    for file, found in wire.get_many(keys(), SMALL_BYTES + 1):
        if found is None or not _keep(file, *found):
            others.append(file)
        else:
            yield file, found[0]
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

    def valid() -> Iterator[str]:
        for key in keys:
            try:
                yield check_key(key)
            except StorageError:
                others.append(key)

    for key, found in wire.head_many(valid()):
        if isinstance(found, ObjectInfo) or (found and bucket_is_there()):
            yield key, found
        else:
            others.append(key)
        yield from _by_themselves(others, one)
    yield from _by_themselves(others, one)


def _keep(file: File, info: ObjectInfo, data: bytes) -> bool:
    if info.sha256 and hashlib.sha256(data, usedforsecurity=False).hexdigest() != info.sha256:
        return False
    try:
        with ReplacementFile(file.path) as target:
            target.write(data)
            target.commit()
    except StorageError:
        return False
    return True


def _by_themselves(
    others: list[One], one: Callable[[One], ObjectInfo]
) -> Iterator[tuple[One, ObjectInfo | StorageError]]:
    while others:
        other = others.pop()
        try:
            info = one(other)
        except StorageError as error:
            yield other, error
        else:
            yield other, info
