"""The two streams of the port: an object being read, verified as it goes, and an object being written."""

from __future__ import annotations

import hashlib
import io
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from domain.content_check import ContentCheck, cut_short
from domain.errors import PreconditionFailed, RangeNotSatisfiable
from domain.keys import shortened

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from domain.content import ContentHash
    from domain.objects import ByteRange, ObjectInfo

_CHUNK_BYTES = 1 << 20
_RESTORE = "restore it from its source"


class ByteSource(Protocol):
    """Where an `ObjectReader` gets its bytes: `read(n)` gives 1 to n bytes, or none at the end."""

    def read(self, size: int, /) -> bytes | None: ...

    def close(self) -> None: ...


def extent(info: ObjectInfo, byte_range: ByteRange | None, if_match: str | None, *, provider: str) -> tuple[int, int]:
    """What part of an object a read delivers: its first byte and its length in bytes.

    Raises:
        PreconditionFailed: the object's ETag is not `if_match`.
        RangeNotSatisfiable: the range starts at or past the end.
    """
    if if_match is not None and info.etag != if_match:
        raise PreconditionFailed(
            f"the object {shortened(info.key)!r} has changed since its ETag was {if_match!r}; read it anew",
            provider=provider,
            key=info.key,
        )
    if byte_range is None:
        return 0, info.size
    if byte_range.start >= info.size:
        raise RangeNotSatisfiable(
            f"the range starts at byte {byte_range.start:,}, but {shortened(info.key)!r} has {info.size:,} bytes",
            provider=provider,
            key=info.key,
        )
    stop = info.size if byte_range.stop is None else min(byte_range.stop, info.size)
    return byte_range.start, stop - byte_range.start


class ObjectReader(io.RawIOBase):
    """A readable binary stream of one object, or of a range of it.

    Attributes:
        info: what the store said of the object when the stream was opened.
    """

    def __init__(
        self,
        source: ByteSource,
        info: ObjectInfo,
        *,
        length: int,
        provider: str,
        at_end: Callable[[], None] | None = None,
    ) -> None:
        """Args:
        length: bytes that the stream must deliver; the whole object's when it equals `info.size`, which is then verified.
        at_end: called once when all bytes were delivered; raises where the source has changed meanwhile.
        """
        self.info = info
        self._source = source
        self._left = length
        self._provider = provider
        self._at_end = at_end
        self._check = ContentCheck(info.sha256) if info.sha256 and length == info.size else None

    def expect(self, content: ContentHash) -> None:
        """Have the bytes verified by this hash too, besides the stored SHA-256; before the first of them is read.

        Raises:
            InvalidRequest: nobody knows the hash's algorithm.
            ValueError: some bytes were read, or not all are to be.
        """
        if self._left != self.info.size:
            raise ValueError("what is expected of an object is told before it is read, and of all of it")
        self._check = ContentCheck(self.info.sha256, content)

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` bytes, fewer only at the end; all that is left where `size` is negative.

        Raises:
            ContentCorrupted: at the end, where the bytes are not those that were stored, or that are expected.
        """
        if self.closed:
            raise ValueError("read of a closed reader")  # its descriptor may be another file's by now
        if size is None or size < 0:
            size = self._left
        parts: list[bytes] = []
        wanted = min(size, self._left)
        while wanted:
            part = self._source.read(min(wanted, _CHUNK_BYTES))
            if not part:
                raise cut_short(self.info.key, self._left, _RESTORE, provider=self._provider)
            if self._check:
                self._check.update(part)
            self._left -= len(part)
            wanted -= len(part)
            parts.append(part)
        if not self._left:
            self._finish()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def _finish(self) -> None:
        if self._at_end:
            self._at_end()
            self._at_end = None
        if self._check:
            self._check.finish(self.info.key, _RESTORE, provider=self._provider)
            self._check = None

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()


class ObjectWriter(ABC):
    """A writable binary stream that becomes an object when it is committed.

    Leaving the `with` block commits, an exception in it aborts, and so does dropping the writer. An implementer writes
    `_append`, `_publish` and `_discard`; counting, hashing and the order of calls are kept here.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256(usedforsecurity=False)
        self._size = 0
        self._info: ObjectInfo | None = None
        self._open = True

    @property
    def info(self) -> ObjectInfo:
        """The object as it was published.

        Raises:
            ValueError: not committed.
        """
        if self._info is None:
            raise ValueError("the writer is not committed")
        return self._info

    @property
    def sha256(self) -> str:
        """Of what was written so far, in hex."""
        return self._hash.hexdigest()

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Take all of `data`; the number of bytes taken."""
        if not self._open:
            raise ValueError("write to a closed writer")
        view = memoryview(data).cast("B")
        try:
            self._append(view)
        except BaseException:
            self.abort()  # part of it may be written: there is nothing left that could be committed
            raise
        self._hash.update(view)
        self._size += len(view)
        return len(view)

    def commit(self) -> ObjectInfo:
        """Publish what was written. A second call gives the same answer; a failed one leaves nothing behind."""
        if self._info is None:
            if not self._open:
                raise ValueError("commit of an aborted writer")
            self._open = False
            try:
                self._info = self._publish(self._size, self.sha256)
            except BaseException:
                self._discard()
                raise
        return self._info

    def abort(self) -> None:
        """Throw away what was written; without effect after a commit."""
        if self._open:
            self._open = False
            self._discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.abort()
        elif self._open:
            self.commit()

    def __del__(self) -> None:
        # Garbage is never published: an exception that nobody handled often ends here.
        if getattr(self, "_open", False):
            self.abort()

    @abstractmethod
    def _append(self, data: memoryview) -> None:
        """Take all of `data`."""

    @abstractmethod
    def _publish(self, size: int, sha256: str) -> ObjectInfo:
        """Make the object appear, whole, under the writer's condition."""

    @abstractmethod
    def _discard(self) -> None:
        """Release everything; called once, after an abort or a failed publication."""
