"""Objects read: as a stream that goes on where its connection broke, or into a file by several ranges at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
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
from infrastructure.storage.s3.wire import Body

RANGE_BYTES = 8 << 20
"""What is fetched by one request of a download, and held in memory until it is written."""

WIDTH = 6
"""Ranges of one object under way at a time."""


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
    at a time, all of them of the same state.
    """
    info, first = asked(lambda: _first_range(get, key, provider))
    digest = hashlib.sha256(usedforsecurity=False)

    def fetch(start: int) -> bytes | memoryview:
        stop = min(start + RANGE_BYTES, info.size)

        def attempt() -> bytes | memoryview:
            _, body = _still_there(get, info, start, stop, provider)
            data = body.whole()
            if len(data) != stop - start:
                raise _cut_off(info, provider)
            return data

        return asked(attempt)

    def pieces() -> Iterator[bytes | memoryview]:
        yield first
        if len(first) < info.size:
            calls: Iterator[Callable[[], bytes | memoryview]] = (
                lambda start=start: fetch(start)  # type: ignore[misc]
                for start in range(len(first), info.size, RANGE_BYTES)
            )
            yield from in_order(calls, WIDTH)

    for piece in pieces():
        file.write(memoryview(piece))
        digest.update(piece)
        if progress:
            progress(len(piece))
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
        info, body = get(key, 0, RANGE_BYTES, None)
    except RangeNotSatisfiable:  # an empty object has no first byte
        info, body = get(key, 0, None, None)
    data = body.whole()
    if len(data) != min(info.size, RANGE_BYTES):
        raise _cut_off(info, provider)
    return info, data


def _still_there(get: Get, info: ObjectInfo, start: int, stop: int, provider: str) -> tuple[ObjectInfo, Body]:
    try:
        return get(info.key, start, stop, info.etag)
    except (PreconditionFailed, ObjectNotFound) as error:
        raise PreconditionFailed(
            f"the object {shortened(info.key)!r} was replaced or deleted while it was read; read it anew",
            provider=provider,
            key=info.key,
        ) from error


def _cut_off(info: ObjectInfo, provider: str) -> StorageError:
    return StoreUnavailable(
        f"the answer with {shortened(info.key)!r} ended early; try again", provider=provider, key=info.key
    )
