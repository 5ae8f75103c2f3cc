"""Objects read: as a stream that goes on where its connection broke, or into a file by several ranges at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import Protocol

from domain.errors import (
    ContentCorrupted,
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
from infrastructure.storage.s3.retries import Asked

FIRST_BYTES = 8 << 20
"""What the first request of a download asks for, and what is held in memory of a small object."""

_RANGE_BYTES = 16 << 20
_WIDTH = 4
"""Ranges of one object under way at a time. More, or smaller ones, were slower on two cores."""

_CHUNK_BYTES = 1 << 20


class Body(Protocol):
    """The bytes of an answer."""

    def whole(self) -> bytes | memoryview: ...

    def chunks(self) -> Iterator[bytes]: ...

    def close(self) -> None: ...


class Get(Protocol):
    """Reads bytes from `start` up to `stop`, if the object still has this ETag."""

    def __call__(self, key: str, start: int, stop: int | None, if_match: str | None) -> tuple[ObjectInfo, Body]: ...


class ResumingSource:
    """The bytes of one state of an object from `start` to `stop`, as an `ObjectReader` takes them.

    A connection that breaks is made anew where it broke, and only while the object is the same.
    """

    def __init__(
        self, get: Get, asked: Asked, info: ObjectInfo, body: Body, start: int, stop: int, provider: str
    ) -> None:
        self._get = get
        self._asked = asked
        self._info = info
        self._body = body
        self._chunks: Iterator[bytes] | None = body.chunks()
        self._at = start
        self._stop = stop
        self._provider = provider
        self._left = memoryview(b"")

    def read(self, size: int, /) -> bytes:
        if not self._left and self._at < self._stop:
            self._left = memoryview(self._asked(self._next))
        part, self._left = self._left[:size], self._left[size:]
        return bytes(part)

    def _next(self) -> bytes:
        if self._chunks is None:
            _, self._body = _still_there(self._get, self._info, self._at, self._stop, self._provider)
            self._chunks = self._body.chunks()
        try:
            chunk = next(self._chunks, b"")
            if not chunk:
                raise _cut_off(self._info, self._provider)
        except StorageError:
            self._body.close()
            self._chunks = None
            raise
        chunk = chunk[: self._stop - self._at]
        self._at += len(chunk)
        return chunk

    def close(self) -> None:
        self._body.close()


def download(
    get: Get, asked: Asked, key: str, file: ReplacementFile, progress: Progress | None, provider: str
) -> ObjectInfo:
    """Fetch the object into the file, verified; what it was. The caller commits.

    The first request asks for one range and tells how large the object is. What is larger comes by further ranges, a few
    at a time, all of them of the same state; each is written where it belongs as it comes, and hashed in order from there.
    """
    info, first = asked(lambda: _first_range(get, key, provider))
    digest = hashlib.sha256(first, usedforsecurity=False)
    file.write(memoryview(first))
    if progress:
        progress(len(first))

    def fetch(start: int) -> tuple[int, int]:
        stop = min(start + _RANGE_BYTES, info.size)

        def attempt() -> None:
            _, body = _still_there(get, info, start, stop, provider)
            at = start
            try:
                for chunk in body.chunks():
                    file.write_at(at, chunk)
                    at += len(chunk)
            finally:
                body.close()
            if at != stop:
                raise _cut_off(info, provider)

        asked(attempt)
        return start, stop

    if len(first) < info.size:
        buffer = memoryview(bytearray(_CHUNK_BYTES))
        starts = range(len(first), info.size, _RANGE_BYTES)
        for start, stop in in_order((partial(fetch, start) for start in starts), _WIDTH):
            for at in range(start, stop, _CHUNK_BYTES):
                digest.update(buffer[: file.read_at(at, buffer[: stop - at])])
            if progress:
                progress(stop - start)
    if info.sha256 and digest.hexdigest() != info.sha256:
        raise ContentCorrupted(
            f"the object {shortened(key)!r} is corrupt: it reads as SHA-256 {digest.hexdigest()[:12]}…, stored was "
            f"{info.sha256[:12]}…; no file was written",
            provider=provider,
            key=key,
        )
    return info


def _first_range(get: Get, key: str, provider: str) -> tuple[ObjectInfo, bytes | memoryview]:
    try:
        info, body = get(key, 0, FIRST_BYTES, None)
    except RangeNotSatisfiable:  # an empty object has no first byte
        info, body = get(key, 0, None, None)
    data = body.whole()
    if len(data) != min(info.size, FIRST_BYTES):
        raise _cut_off(info, provider)
    return info, data


def _still_there(get: Get, info: ObjectInfo, start: int, stop: int, provider: str) -> tuple[ObjectInfo, Body]:
    changed = PreconditionFailed(
        f"the object {shortened(info.key)!r} was replaced or deleted while it was read; read it anew",
        provider=provider,
        key=info.key,
    )
    try:
        now, body = get(info.key, start, stop, info.etag)
    except (PreconditionFailed, ObjectNotFound) as error:
        raise changed from error
    if now.etag != info.etag:  # not every store heeds the condition
        body.close()
        raise changed
    return now, body


def _cut_off(info: ObjectInfo, provider: str) -> StorageError:
    return StoreUnavailable(
        f"the answer with {shortened(info.key)!r} ended early; try again", provider=provider, key=info.key
    )
