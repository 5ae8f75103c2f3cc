"""Downloads of contents that may be on this machine already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from os import PathLike, fspath
from typing import Protocol

from domain.content import ContentHash
from domain.content_cache import ContentCache, Link
from domain.errors import StorageError
from domain.many_files import File
from domain.objects import ObjectInfo, Progress
from domain.storage import IStorageProvider

_TOLD_TOGETHER = 256


class Downloads(Protocol):
    """Where files come from: a provider, or what stands before one."""

    def download(
        self,
        remote_path: str,
        local_path: str | PathLike[str],
        *,
        progress: Progress | None = None,
        content: ContentHash | None = None,
    ) -> ObjectInfo: ...

    def download_many(self, files: Iterable[File]) -> Iterator[tuple[File, ObjectInfo | StorageError]]: ...


class CachedDownloads:
    """A provider's downloads, with a cache before them. Of a file from the cache no ETag is told.

    Args:
        link: how files get what the cache has.
    """

    def __init__(self, provider: IStorageProvider, cache: ContentCache, link: Link = Link.COPY) -> None:
        self._provider = provider
        self._cache = cache
        self._link = link

    def download(
        self,
        remote_path: str,
        local_path: str | PathLike[str],
        *,
        progress: Progress | None = None,
        content: ContentHash | None = None,
    ) -> ObjectInfo:
        """As `IStorageProvider.download`."""
        if placed := self._placed(remote_path, fspath(local_path), content):
            if progress:
                progress(placed.size)
            return placed
        info = self._provider.download(remote_path, local_path, progress=progress, content=content)
        self._kept(fspath(local_path), content)
        return info

    def download_many(self, files: Iterable[File]) -> Iterator[tuple[File, ObjectInfo | StorageError]]:
        """As `IStorageProvider.download_many`."""
        placed: list[tuple[File, ObjectInfo | StorageError]] = []
        rest = iter(files)
        more = True

        def missing() -> Iterator[File]:
            nonlocal more
            for file in rest:
                try:
                    info = self._placed(file.key, file.path, file.content)
                except StorageError as error:
                    placed.append((file, error))
                else:
                    if info is None:
                        yield file
                    else:
                        placed.append((file, info))
                if len(placed) >= _TOLD_TOGETHER:
                    return  # whoever waits hears of them, though nothing is missing
            more = False

        while more:
            for file, fetched in self._provider.download_many(missing()):
                result: ObjectInfo | StorageError = fetched
                if not isinstance(fetched, StorageError):
                    try:
                        self._kept(file.path, file.content)
                    except StorageError as error:
                        result = error
                yield file, result
                while placed:
                    yield placed.pop()
            while placed:
                yield placed.pop()

    def _placed(self, key: str, path: str, content: ContentHash | None) -> ObjectInfo | None:
        size = self._cache.place(content, path, self._link) if content else None
        if content is None or size is None:
            return None
        sha256 = content.digest if content.algorithm == "sha256" else None
        return ObjectInfo(key, size, "", datetime.now(UTC), sha256=sha256)

    def _kept(self, path: str, content: ContentHash | None) -> None:
        if content is None:
            return
        self._cache.keep(content, path)
        if self._link is Link.HARD:
            self._cache.place(content, path, self._link)
