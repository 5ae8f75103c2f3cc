"""A stream of content whose hash is known beforehand."""

from __future__ import annotations

import io
from types import TracebackType
from typing import TYPE_CHECKING, Self

from domain.content import ContentHash
from domain.content_check import ContentCheck
from domain.streams import ObjectReader

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class ContentReader(io.RawIOBase):
    """A stream of content that must have a hash: an object may be whole, and lie at another's address.

    Attributes:
        info: what the store said of the object.
    """

    def __init__(self, reader: ObjectReader, content: ContentHash, *, provider: str) -> None:
        self.info = reader.info
        self._reader = reader
        self._provider = provider
        # Where the store keeps the same hash beside the object, the reader compares with it already.
        same = content == ContentHash("sha256", reader.info.sha256 or "")
        self._check = None if same else ContentCheck(None, content)
        self._left = reader.info.size

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """As `ObjectReader.read`.

        Raises:
            ContentCorrupted: at the end, where the bytes are not those of the hash.
        """
        data = self._reader.read(size)
        self._left -= len(data)
        if self._check:
            self._check.update(data)
            if not self._left:
                self._check.finish(self.info.key, "restore it from its source", provider=self._provider)
                self._check = None
        return data

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._reader.close()
        super().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
