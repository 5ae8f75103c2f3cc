"""Copies between buckets and between stores: bytes that are read here and written there, with all that is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from domain.content import ContentHash
from domain.errors import ContentCorrupted
from domain.keys import shortened
from domain.local_files import CHUNK_BYTES
from domain.objects import ObjectInfo, Progress
from domain.streams import ObjectReader, ObjectWriter

if TYPE_CHECKING:
    from domain.storage import IStorageProvider


def pour(reader: ObjectReader, writer: ObjectWriter, progress: Progress | None = None) -> ObjectInfo:
    """Write all that the reader gives, and commit; the object as it was published. Memory does not grow with it.

    Raises:
        ContentCorrupted: what was written is not what the reader's store keeps the SHA-256 of; nothing was published.
    """
    while chunk := reader.read(CHUNK_BYTES):
        writer.write(chunk)
        if progress:
            progress(len(chunk))
    if reader.info.sha256 not in {None, writer.sha256}:
        raise ContentCorrupted(
            f"the object {shortened(reader.info.key)!r} was damaged while it was copied: SHA-256 {writer.sha256[:12]}… came, of "
            f"{(reader.info.sha256 or '')[:12]}…; nothing was written, try again",
            key=reader.info.key,
            expected=ContentHash("sha256", reader.info.sha256 or ""),
            actual=ContentHash("sha256", writer.sha256),
        )
    return writer.commit()


class _Store(Protocol):
    def open_writer(
        self, key: str, *, content_type: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> ObjectWriter: ...

    def open_writer_of_copy(self, info: ObjectInfo, destination: str) -> ObjectWriter: ...


class Copies:
    """The part of the port that takes objects from elsewhere."""

    def copy_from(
        self: _Store,
        origin: IStorageProvider,
        source: str,
        destination: str,
        *,
        if_match: str | None = None,
        progress: Progress | None = None,
    ) -> ObjectInfo:
        """Copy an object of another bucket, or of another store, to this one: bytes, content type, metadata and SHA-256.

        Whole or not at all, as any write. Bytes that come by here are verified: what is published has the SHA-256 that
        the origin keeps. A store that copies within itself is trusted with the bytes, not with the rest; a corrupt object's
        copy then reads as corrupt. Of an object without a SHA-256 the copy has that of what was read. Memory does not grow
        with the object.

        Args:
            origin: the provider that has the object; where it is of this store, no byte need come by here.
            if_match: the ETag the source must have.

        Raises:
            ObjectNotFound, PreconditionFailed, ContentCorrupted: of the source; and whatever else the origin's
                `open_reader` raises, or `open_writer` here. The origin's errors have its `provider` and `source` as key.
        """
        with (
            origin.open_reader(source, if_match=if_match) as reader,
            self.open_writer_of_copy(reader.info, destination) as writer,
        ):
            return pour(reader, writer, progress)

    def open_writer_of_copy(self: _Store, info: ObjectInfo, destination: str) -> ObjectWriter:
        """For implementers: what `copy_from` writes to. A store that wants size or SHA-256 ahead finds them in `info`.

        Args:
            info: the object that is copied, as its own store tells of it.
        """
        return self.open_writer(destination, content_type=info.content_type, metadata=info.metadata)
