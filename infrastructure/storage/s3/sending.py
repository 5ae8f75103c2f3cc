"""The half of the port that sends bytes: from memory, from files and from streams, one or many at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike

from domain.errors import StorageError
from domain.local_files import CHUNK_BYTES, LocalSource, check_content
from domain.many_files import File, sha256_of
from domain.media_types import content_type_of_upload, guess_content_type
from domain.storage import IStorageProvider, ObjectInfo, Progress, WriteCondition
from domain.streams import ObjectWriter
from infrastructure.storage.s3.attributes import Attributes
from infrastructure.storage.s3.engine import SMALL_BYTES, S3Engine
from infrastructure.storage.s3.many import put_small, upload_small
from infrastructure.storage.s3.writing import S3Writer


class S3Sending(IStorageProvider):
    """What an S3-compatible provider does to store something."""

    _engine: S3Engine

    def open_writer(
        self,
        key: str,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        condition: WriteCondition | None = None,
    ) -> ObjectWriter:
        kept = self.check_write(key, content_type, metadata, condition)
        return S3Writer(self._engine, key, content_type or guess_content_type(key), kept, condition)

    def open_writer_of_copy(self, info: ObjectInfo, destination: str) -> ObjectWriter:
        content_type = info.content_type or guess_content_type(destination)
        kept = self.check_write(destination, content_type, info.metadata, None)
        return S3Writer(self._engine, destination, content_type, kept, None, original=info)

    # -- from memory

    def put_bytes(
        self,
        key: str,
        data: bytes | bytearray | memoryview,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        condition: WriteCondition | None = None,
    ) -> ObjectInfo:
        if len(data) > SMALL_BYTES:
            return super().put_bytes(key, data, content_type=content_type, metadata=metadata, condition=condition)
        data = bytes(data)
        attributes = self._attributes(key, data, content_type, metadata, condition)
        return self._engine.put(key, data, attributes, condition)

    def put_many(
        self,
        objects: Iterable[tuple[str, bytes]],
        metadata: Mapping[str, str] | None = None,
        *,
        content_type: str | None = None,
        condition: WriteCondition | None = None,
    ) -> Iterator[tuple[str, ObjectInfo | StorageError]]:
        def attributes(key: str, data: bytes) -> Attributes:
            return self._attributes(key, data, content_type, metadata, condition)

        def one(thing: tuple[str, bytes], earlier: Attributes | None) -> ObjectInfo:
            key, data = thing
            if earlier is not None:
                return self._engine.put(key, data, earlier, condition)
            return self.put_bytes(key, data, content_type=content_type, metadata=metadata, condition=condition)

        return put_small(self._engine.wire, objects, attributes, condition, one)

    def _attributes(
        self,
        key: str,
        data: bytes,
        content_type: str | None,
        metadata: Mapping[str, str] | None,
        condition: WriteCondition | None,
    ) -> Attributes:
        kept = self.check_write(key, content_type, metadata, condition)
        sha256 = hashlib.sha256(data, usedforsecurity=False).hexdigest()
        return Attributes(content_type or guess_content_type(key), kept, sha256)

    # -- from files

    def upload(
        self,
        local_path: str | PathLike[str],
        remote_path: str,
        metadata: Mapping[str, str] | None = None,
        *,
        content_type: str | None = None,
        condition: WriteCondition | None = None,
        progress: Progress | None = None,
        sha256: str | None = None,
    ) -> ObjectInfo:
        content_type = content_type or _type_of(local_path, remote_path)
        return self._upload(local_path, remote_path, metadata, content_type, condition, sha256, progress)

    def upload_many(
        self,
        files: Iterable[File],
        metadata: Mapping[str, str] | None = None,
        *,
        content_type: str | None = None,
        condition: WriteCondition | None = None,
    ) -> Iterator[tuple[File, ObjectInfo | StorageError]]:
        def attributes(file: File, data: bytes) -> Attributes:
            kind = content_type or _type_of(file.path, file.key)
            kept = self._attributes(file.key, data, kind, metadata, condition)
            check_content(file.path, kept.sha256, sha256_of(file.content))
            return kept

        def one(file: File, earlier: Attributes | None) -> ObjectInfo:
            kind = content_type or _type_of(file.path, file.key)
            wanted = sha256_of(file.content)
            return self._upload(file.path, file.key, metadata, kind, condition, wanted, earlier=earlier)

        return upload_small(self._engine.wire, files, attributes, condition, one)

    def _upload(
        self,
        local_path: str | PathLike[str],
        remote_path: str,
        metadata: Mapping[str, str] | None,
        content_type: str,
        condition: WriteCondition | None,
        wanted: str | None,
        progress: Progress | None = None,
        *,
        earlier: Attributes | None = None,
    ) -> ObjectInfo:
        """Store a file.

        Args:
            wanted: the SHA-256 that it must have, or None.
            earlier: what was sent along with it before, by a request of which nobody knows what came of it.
        """
        kept = self.check_write(remote_path, content_type, metadata, condition)
        with LocalSource(local_path) as source:
            content, data = None, b""
            if source.size > SMALL_BYTES:
                content = self._engine.content_of(source)
            else:
                data = _read(source, progress)
            sha256 = content.sha256 if content else hashlib.sha256(data, usedforsecurity=False).hexdigest()
            check_content(local_path, sha256, wanted)
            attributes = Attributes(content_type, kept, sha256)
            if earlier is not None and earlier.sha256 == sha256:  # of other bytes it would be another write
                attributes = earlier
            if content is not None:
                return self._engine.put_file(remote_path, content, attributes, condition, progress)
            return self._engine.put(remote_path, data, attributes, condition)


def _read(source: LocalSource, progress: Progress | None) -> bytes:
    parts = []
    while part := source.read(CHUNK_BYTES):
        parts.append(part)
        if progress:
            progress(len(part))
    source.check_unchanged()
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _type_of(local_path: str | PathLike[str], remote_path: str) -> str:
    return content_type_of_upload(remote_path, str(local_path)) or guess_content_type(remote_path)
