"""Objects read by ranges: one after the other as a stream, or several at a time into a file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
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

FIRST_READ_BYTES = 1 << 20
"""What the first request of a reader asks for: many read no more than a header."""

_RANGE_BYTES = 16 << 20
_WIDTH = 4
"""Ranges of one object under way at a time. More, or smaller ones, were slower on two cores."""

_CHUNK_BYTES = 1 << 20


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
    get: Get, asked: Asked, key: str, file: ReplacementFile, progress: Progress | None, provider: str
) -> ObjectInfo:
    """Fetch the object into the file, verified; what it was. The caller commits.

    The first request asks for one range and tells how large the object is. What is larger comes by further ranges, a few
    at a time, all of them of the same state; each is written where it belongs as it comes, and hashed in order from there.
    """
    info, first = asked(lambda: _first_range(get, key, provider))
    digest = hashlib.sha256(first, usedforsecurity=False)
    file.write(first)
    if progress:
        progress(len(first))

    def fetch(start: int) -> tuple[int, int]:
        stop = min(start + _RANGE_BYTES, info.size)

        def attempt() -> None:
            at = start

            def keep(chunk: bytes) -> None:
                nonlocal at
                file.write_at(at, chunk)
                at += len(chunk)

            _still_there(get, info, start, stop, provider, keep)
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
