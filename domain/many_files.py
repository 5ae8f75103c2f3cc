"""Many files or objects in one call, so that a store behind a network can have several requests under way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

from domain.errors import StorageError
from domain.objects import ObjectInfo


class FileOfObject(Protocol):
    """A local file and the object that it becomes, or is made from."""

    @property
    def path(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def size(self) -> int:
        """Bytes, as far as is known; only a hint."""


File = TypeVar("File", bound=FileOfObject)


class _Mover(Protocol):
    def upload(
        self,
        local_path: str,
        remote_path: str,
        metadata: Mapping[str, str] | None = None,
        *,
        content_type: str | None = None,
    ) -> ObjectInfo: ...

    def download(self, remote_path: str, local_path: str) -> ObjectInfo: ...

    def head(self, key: str) -> ObjectInfo: ...

    def get_bytes(self, key: str) -> bytes: ...


class ManyFiles:
    """The part of the port that moves many files, or looks at many objects; by default one after the other."""

    def upload_many(
        self: _Mover,
        files: Iterable[File],
        metadata: Mapping[str, str] | None = None,
        *,
        content_type: str | None = None,
    ) -> Iterator[tuple[File, ObjectInfo | StorageError]]:
        """Store each file as `upload` does, and give it back with what was stored, or the error that kept it from that.

        In any order. The next file is taken while others are under way; once there is none, these are brought to an end.
        """
        for file in files:
            try:
                info = self.upload(file.path, file.key, metadata, content_type=content_type)
            except StorageError as error:
                yield file, error
            else:
                yield file, info

    def download_many(self: _Mover, files: Iterable[File]) -> Iterator[tuple[File, ObjectInfo | StorageError]]:
        """Fetch each object as `download` does; else as `upload_many`."""
        for file in files:
            try:
                info = self.download(file.key, file.path)
            except StorageError as error:
                yield file, error
            else:
                yield file, info

    def head_many(self: _Mover, keys: Iterable[str]) -> Iterator[tuple[str, ObjectInfo | StorageError]]:
        """Look at each object as `head` does, and give its key back with what is there, or the error; else as `upload_many`."""
        for key in keys:
            try:
                info = self.head(key)
            except StorageError as error:
                yield key, error
            else:
                yield key, info

    def get_many(self: _Mover, keys: Iterable[str]) -> Iterator[tuple[str, bytes | StorageError]]:
        """Read each object as `get_bytes` does, and give its key back with its bytes, or the error; else as `upload_many`."""
        for key in keys:
            try:
                data = self.get_bytes(key)
            except StorageError as error:
                yield key, error
            else:
                yield key, data


def moves_many_at_once(provider: ManyFiles) -> bool:
    """Whether this provider has several files under way in one thread; where not, several threads are worth their while."""
    return type(provider).upload_many is not ManyFiles.upload_many
