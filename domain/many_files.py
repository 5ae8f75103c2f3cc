"""Many files or objects in one call, so that a store behind a network can have several requests under way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

from domain.content import ContentHash
from domain.errors import StorageError
from domain.objects import ObjectInfo, WriteCondition


class FileOfObject(Protocol):
    """A local file and the object that it becomes, or is made from."""

    @property
    def path(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def size(self) -> int:
        """Bytes, as far as is known; only a hint."""

    @property
    def content(self) -> ContentHash | None:
        """What its bytes must hash to; None where nobody knows."""


File = TypeVar("File", bound=FileOfObject)


class _Mover(Protocol):
    def upload(
        self,
        local_path: str,
        remote_path: str,
        metadata: Mapping[str, str] | None = None,
        *,
        content_type: str | None = None,
        condition: WriteCondition | None = None,
        sha256: str | None = None,
    ) -> ObjectInfo: ...

    def download(self, remote_path: str, local_path: str, *, content: ContentHash | None = None) -> ObjectInfo: ...

    def put_bytes(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        condition: WriteCondition | None = None,
    ) -> ObjectInfo: ...

    def get_bytes(self, key: str) -> bytes: ...

    def head(self, key: str) -> ObjectInfo: ...


class ManyFiles:
    """The part of the port that moves many files or objects, or looks at them; by default one after the other.

    Each is given back with what came of it, or the error that kept it from that, in any order. The next one is taken while
    others are under way; once there is none, these are brought to an end. One that comes twice is moved twice.
    """

    def upload_many(
        self: _Mover,
        files: Iterable[File],
        metadata: Mapping[str, str] | None = None,
        *,
        content_type: str | None = None,
        condition: WriteCondition | None = None,
    ) -> Iterator[tuple[File, ObjectInfo | StorageError]]:
        """Store each file as `upload` does, if it has the SHA-256 of its `content`. Of any other hash none is verified.

        Args:
            condition: for each of them; whose object is another than that gets `PreconditionFailed`.
        """
        for file in files:
            try:
                info = self.upload(
                    file.path,
                    file.key,
                    metadata,
                    content_type=content_type,
                    condition=condition,
                    sha256=sha256_of(file.content),
                )
            except StorageError as error:
                yield file, error
            else:
                yield file, info

    def download_many(self: _Mover, files: Iterable[File]) -> Iterator[tuple[File, ObjectInfo | StorageError]]:
        """Fetch each object as `download` does, verified by its `content`."""
        for file in files:
            try:
                info = self.download(file.key, file.path, content=file.content)
            except StorageError as error:
                yield file, error
            else:
                yield file, info

    def put_many(
        self: _Mover,
        objects: Iterable[tuple[str, bytes]],
        metadata: Mapping[str, str] | None = None,
        *,
        content_type: str | None = None,
        condition: WriteCondition | None = None,
    ) -> Iterator[tuple[str, ObjectInfo | StorageError]]:
        """Store each object, a key and its bytes, as `put_bytes` does; else as `upload_many`. Made for small ones."""
        for key, data in objects:
            try:
                info = self.put_bytes(key, data, content_type=content_type, metadata=metadata, condition=condition)
            except StorageError as error:
                yield key, error
            else:
                yield key, info

    def get_many(self: _Mover, keys: Iterable[str]) -> Iterator[tuple[str, bytes | StorageError]]:
        """Read each object as `get_bytes` does, whole and verified. Made for small ones, a few of which are held at a time."""
        for key in keys:
            try:
                data = self.get_bytes(key)
            except StorageError as error:
                yield key, error
            else:
                yield key, data

    def head_many(self: _Mover, keys: Iterable[str]) -> Iterator[tuple[str, ObjectInfo | StorageError]]:
        """Look at each object as `head` does."""
        for key in keys:
            try:
                info = self.head(key)
            except StorageError as error:
                yield key, error
            else:
                yield key, info


def sha256_of(content: ContentHash | None) -> str | None:
    """The SHA-256 in hex digits, if that is what is known."""
    return content.digest if content is not None and content.algorithm == "sha256" else None


def moves_many_at_once(provider: ManyFiles) -> bool:
    """Whether this provider has several files under way in one thread; where not, several threads are worth their while."""
    return type(provider).upload_many is not ManyFiles.upload_many
