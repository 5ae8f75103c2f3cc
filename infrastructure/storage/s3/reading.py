"""Objects read by ranges: one after the other as a stream, or several at a time into a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import TYPE_CHECKING, Protocol

from domain.content import ContentHash
from domain.content_check import ContentCheck
from domain.errors import (
    ObjectNotFound,
    PreconditionFailed,
    RangeNotSatisfiable,
    StorageError,
    StoreUnavailable,
)
from domain.keys import shortened
from domain.local_files import ReplacementFile
from domain.storage import ObjectInfo, Progress
from infrastructure.storage.s3.parallel import in_order
from infrastructure.storage.s3.retries import Asked, told_once

if TYPE_CHECKING:
    from infrastructure.storage.s3.journal import FetchedRanges

FIRST_BYTES = 8 << 20
"""What the first request of a download asks for, and what is held in memory of a small object."""

FIRST_READ_BYTES = 1 << 20
"""What the first request of a reader asks for: many read no more than a header."""

_RANGE_BYTES = 16 << 20
_WIDTH = 4
"""Ranges of one object under way at a time. More, or smaller ones, were slower on two cores."""

_CHUNK_BYTES = 1 << 20

_CHUNKS = 512
"""Pieces of an answer, of whatever size they come in, that are written together."""


class Get(Protocol):
    """Reads bytes from `start` up to `stop`, if the object still has this ETag; a `sink` gets them as they come."""

    def __call__(
        self,
        key: str,
        start: int,
        stop: int | None,
        if_match: str | None,
        sink: Callable[[bytes], object] | None = None,
    ) -> tuple[ObjectInfo, bytes]: ...


class RangedSource:
    """The bytes of one state of an object from `start` to `stop`, as an `ObjectReader` takes them.

    They come range by range, each larger than the one before, and only while the object is the same: a range that breaks off
    is asked for again, and what is not read is not sent.

    Args:
        first: the bytes from `start` on that are there already.
    """

    def __init__(
        self, get: Get, asked: Asked, info: ObjectInfo, first: bytes, start: int, stop: int, provider: str
    ) -> None:
        self._get = get
        self._asked = asked
        self._info = info
        self._left = memoryview(first)[: stop - start]
        self._at = start + len(self._left)
        self._stop = stop
        self._provider = provider
        self._step = FIRST_READ_BYTES

    def read(self, size: int, /) -> bytes:
        if not self._left and self._at < self._stop:
            self._left = memoryview(self._next())
        part, self._left = self._left[:size], self._left[size:]
        return bytes(part)

    def _next(self) -> bytes:
        self._step = min(2 * self._step, FIRST_BYTES)
        start, stop = self._at, min(self._at + self._step, self._stop)

        def attempt() -> bytes:
            data = _still_there(self._get, self._info, start, stop, self._provider)
            if len(data) != stop - start:
                raise _cut_off(self._info, self._provider)
            return data

        data = self._asked(attempt)
        self._at = stop
        return data

    def close(self) -> None:
        self._left = memoryview(b"")


def download(
    get: Get,
    head: Callable[[str], ObjectInfo],
    asked: Asked,
    key: str,
    file: ReplacementFile,
    progress: Progress | None,
    content: ContentHash | None,
    provider: str,
) -> ObjectInfo:
    """Fetch the object into the file, verified; what it was. The caller commits.

    The first request asks for one range and tells how large the object is. What is larger comes by further ranges, a few
    at a time, all of them of the same state; each is written where it belongs as it comes, and hashed in order from there.
    Where an earlier run has left ranges of the same state in the file's part, only the others are fetched.

    Args:
        head: looks at the object, with as many tries as it takes.
        content: as `IStorageProvider.download`.
    """
    from infrastructure.storage.s3.journal import FetchedRanges  # SQLite is not wanted by who only lists

    status = os.fstat(file.fileno())
    fetched = FetchedRanges(file.part, status.st_ino) if file.resumable else None
    attempt = told_once(progress)
    if fetched and status.st_size and fetched.any():
        file.keep = True
        info = head(key)
        there = fetched.of(info.etag)
        if there and max(there)[1] <= status.st_size <= info.size:
            rest = _Ranges(get, asked, info, file, fetched, provider)
            check = ContentCheck(info.sha256, content)
            rest.fill(check, 0, attempt(), there)
            if check.difference() is None:
                fetched.forget()
                return info
        # Bytes of another state, or such as the disk did not keep: as if nothing had been.
        file.keep = False
        if not fetched.forget():
            fetched = None
    file.start_over()
    info, first = asked(lambda: _first_range(get, key, provider))
    check = ContentCheck(info.sha256, content)
    check.update(first)
    file.write(first)
    if len(first) == info.size or (fetched and not fetched.forget()):  # of another file of that name
        fetched = None
    moved = attempt()
    rest = _Ranges(get, asked, info, file, fetched, provider)
    rest.note(0, len(first))
    moved(len(first))
    rest.fill(check, len(first), moved)
    check.finish(key, "no file was written", provider=provider)
    if fetched:
        fetched.forget()
    return info


class _Ranges:
    """The ranges of one state of an object on their way into a file."""

    def __init__(
        self,
        get: Get,
        asked: Asked,
        info: ObjectInfo,
        file: ReplacementFile,
        fetched: FetchedRanges | None,
        provider: str,
    ) -> None:
        self._get = get
        self._asked = asked
        self._info = info
        self._file = file
        self._fetched = fetched
        self._provider = provider

    def fill(self, check: ContentCheck, begin: int, moved: Progress, there: Collection[tuple[int, int]] = ()) -> None:
        """Fetch all from `begin` on but what is `there`.

        Args:
            check: has the bytes before, and gets all others.
            moved: called as the ranges are whole, in their order.
        """
        buffer = memoryview(bytearray(_CHUNK_BYTES))
        ranges = (each for each in _ranges(self._info.size) if each[0] >= begin)
        for start, stop in in_order((partial(self._fetch, *each, each in there) for each in ranges), _WIDTH):
            for at in range(start, stop, _CHUNK_BYTES) if check.needed else ():
                check.update(buffer[: self._file.read_at(at, buffer[: stop - at])])
            moved(stop - start)

    def note(self, start: int, stop: int) -> None:
        """Note a range that is in the file, for a later run."""
        if self._fetched:
            if not self._info.sha256:
                self._file.sync()  # nothing would tell that the disk had lost it
            if self._fetched.whole(self._info.etag, start, stop):
                self._file.keep = True

    def _fetch(self, start: int, stop: int, there: bool) -> tuple[int, int]:
        if there:
            return start, stop

        def attempt() -> None:
            chunks: list[bytes] = []
            at, size = start, 0

            def keep(chunk: bytes) -> None:
                nonlocal size
                chunks.append(chunk)
                size += len(chunk)
                if size >= _CHUNK_BYTES or len(chunks) == _CHUNKS:
                    write()

            def write() -> None:
                nonlocal at, size
                self._file.write_at(at, chunks)
                chunks.clear()
                at, size = at + size, 0

            _still_there(self._get, self._info, start, stop, self._provider, keep)
            write()
            if at != stop:
                raise _cut_off(self._info, self._provider)

        self._asked(attempt)
        self.note(start, stop)
        return start, stop


def _ranges(size: int) -> Iterator[tuple[int, int]]:
    """Start and stop of what an object of this size is fetched in."""
    if size:
        yield 0, min(FIRST_BYTES, size)
    for start in range(FIRST_BYTES, size, _RANGE_BYTES):
        yield start, min(start + _RANGE_BYTES, size)


def _first_range(get: Get, key: str, provider: str) -> tuple[ObjectInfo, bytes]:
    info, data = first_bytes(get, key, FIRST_BYTES)
    if len(data) != min(info.size, FIRST_BYTES):
        raise _cut_off(info, provider)
    return info, data


def first_bytes(get: Get, key: str, size: int, if_match: str | None = None) -> tuple[ObjectInfo, bytes]:
    """The object and its first bytes, also of one that is empty and has none."""
    try:
        return get(key, 0, size, if_match)
    except RangeNotSatisfiable:
        return get(key, 0, None, if_match)


def _still_there(
    get: Get, info: ObjectInfo, start: int, stop: int, provider: str, sink: Callable[[bytes], object] | None = None
) -> bytes:
    changed = PreconditionFailed(
        f"the object {shortened(info.key)!r} was replaced or deleted while it was read; read it anew",
        provider=provider,
        key=info.key,
    )
    try:
        now, data = get(info.key, start, stop, info.etag, sink)
    except (PreconditionFailed, ObjectNotFound) as error:
        raise changed from error
    if now.etag != info.etag:  # not every store heeds the condition
        raise changed
    return data


def _cut_off(info: ObjectInfo, provider: str) -> StorageError:
    return StoreUnavailable(
        f"the answer with {shortened(info.key)!r} ended early; try again", provider=provider, key=info.key
    )
