"""The files of a version as a side of a transfer, and how content goes to its addresses and comes from there."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import overload

from application.cached_downloads import Downloads
from application.content_addressed_storage import ContentAddressedStorage
from application.sides import Entry, StorePrefix
from domain.content import DVC_MD5, ContentHash
from domain.datasets import DatasetVersion
from domain.errors import ContentCorrupted, ObjectNotFound, StorageError
from domain.keys import shortened
from domain.known_hashes import KnownHash, KnownHashes
from domain.local_files import CHUNK_BYTES, LocalSource, ReplacementFile, printable_path
from domain.manifests import FileEntry, damaged, read_table
from domain.many_files import File
from domain.objects import ObjectInfo, Progress
from domain.storage import IStorageProvider
from domain.transfer import Direction, TransferAction, TransferPlan


def files_of(version: DatasetVersion, tables: ContentAddressedStorage) -> Iterator[FileEntry]:
    """The files of a version, in UTF-8 byte order of their names.

    Raises:
        ContentCorrupted: the table of its files is missing, damaged, or not this version's.
    """
    shown = f"the table of files of {version.reference}"
    files = size = 0
    try:
        with tables.open_content(version.table) as stream:
            for entry in read_table(io.BufferedReader(stream, 1 << 20), shown):
                files += 1
                size += entry.size
                yield entry
    except ObjectNotFound as error:
        raise ContentCorrupted(
            f"{shown} is missing ({shortened(error.key or '')!r}); restore it from a copy of the store",
            provider=error.provider,
            key=error.key,
        ) from error
    if (files, size) != (version.files, version.size):
        raise damaged(
            shown, f"it has {files:,} files of {size:,} bytes, the record says {version.files:,} of {version.size:,}"
        )


class VersionFiles:
    """The files of a version, as `application.sides.Side`.

    Args:
        prefix: of the DVC store at `content`.
    """

    def __init__(
        self,
        version: DatasetVersion,
        files: Callable[[], Iterable[FileEntry]],
        content: IStorageProvider,
        prefix: str,
        known: KnownHashes,
    ) -> None:
        self._version = version
        self._files = files
        self._prefix = prefix
        self._objects = StorePrefix(content, prefix, known)
        self.root = str(version.reference) if version.is_file else f"{version.reference}/"
        self.shown = str(version.reference)

    def entries(self, excluded: Callable[[str], bool] | None = None) -> Iterator[Entry]:
        for entry in self._files():
            if not (excluded and excluded(entry.name)):
                name = "" if self._version.is_file else entry.name
                yield Entry(name, entry.size, f"{entry.md5}.{entry.sha256}", entry.sha256)

    def hashes(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, str | StorageError]]:
        # Of what only DVC has seen the MD5 alone is known: the object has to be read, once.
        unknown: dict[str, list[Entry]] = {}
        for entry in entries:
            if entry.sha256:
                yield entry, entry.sha256
            else:
                name = DVC_MD5.key(self._prefix, _md5(entry.state))[len(self._prefix) :]
                unknown.setdefault(name, []).append(entry)
        asked = [Entry(name, entries[0].size, "", "") for name, entries in unknown.items()]
        for found, sha256 in self._objects.hashes(asked):
            for entry in unknown[found.name]:
                yield entry, sha256

    def remember(self, known: Iterable[KnownHash]) -> None:
        """The table knows."""


def addressed(plan: TransferPlan, prefix: str) -> TransferPlan:
    """A download of a version's files, from the addresses of their contents."""
    return replace(plan, actions=_Addressed(plan.actions, prefix), key_root=prefix)


class VersionDownloads:
    """Downloads of a version's files, of which one that is missing is told by the file's name."""

    def __init__(self, downloads: Downloads, version: DatasetVersion, plan: TransferPlan) -> None:
        self._downloads = downloads
        self._version = version
        self._root = plan.path_root

    def download(
        self,
        remote_path: str,
        local_path: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
        content: ContentHash | None = None,
    ) -> ObjectInfo:
        """As `IStorageProvider.download`."""
        try:
            return self._downloads.download(remote_path, local_path, progress=progress, content=content)
        except ObjectNotFound as error:
            raise self._missing(local_path, error) from error

    def download_many(self, files: Iterable[File]) -> Iterator[tuple[File, ObjectInfo | StorageError]]:
        """As `IStorageProvider.download_many`."""
        for file, result in self._downloads.download_many(files):
            yield file, self._missing(file.path, result) if isinstance(result, ObjectNotFound) else result

    def _missing(self, path: str | os.PathLike[str], error: ObjectNotFound) -> ObjectNotFound:
        version = self._version
        name = version.path if version.is_file else printable_path(path)[len(printable_path(self._root)) :]
        return ObjectNotFound(
            f"the content of {name!r} of {version.reference} is missing ({shortened(error.key or '')!r}); 'storage dataset "
            f"verify {version.reference}' finds all that is",
            provider=error.provider,
            key=error.key,
        )


def restore_mode(version: DatasetVersion, plan: TransferPlan) -> None:
    """Let a single file be executed after its checkout as it could be when the version was made.

    A folder's files have no modes. Where the disk has none, or the file is another user's, it stays as it is.

    Raises:
        LocalFileError: the file can't be read or written.
    """
    if not version.is_file or not (plan.actions or plan.unchanged):
        return
    path = plan.path_root
    with suppress(OSError):
        status = os.stat(path)
        if bool(status.st_mode & 0o111) == version.is_executable:
            return
        if status.st_nlink > 1:  # a mode is of all names of a file, and one of them may be in the cache
            _made_its_own(path)
            status = os.stat(path)
        mode = stat.S_IMODE(status.st_mode)
        os.chmod(path, mode | (mode & 0o444) >> 2 if version.is_executable else mode & ~0o111)


def _made_its_own(path: str) -> None:
    with LocalSource(path) as source, ReplacementFile(path) as file:
        while data := source.read(CHUNK_BYTES):
            file.write(data)
        source.check_unchanged()
        file.commit()


def plan_of_contents(folder: str, prefix: str, missing: Iterable[tuple[FileEntry, str]]) -> TransferPlan:
    """An upload of files to the addresses of their contents.

    Args:
        folder: what the names are below; ends in '/'.
        missing: files, each with its state.
    """
    actions = [
        TransferAction(folder + entry.name, DVC_MD5.key(prefix, entry.md5), entry.size, "new", state, "", entry.content)
        for entry, state in missing
    ]
    return TransferPlan(Direction.UPLOAD, actions, path_root=folder, key_root=prefix)


class _Addressed(Sequence[TransferAction]):
    """The actions of a plan, each with the address of its content for a key."""

    __slots__ = ("_actions", "_prefix")

    def __init__(self, actions: Sequence[TransferAction], prefix: str) -> None:
        self._actions = actions
        self._prefix = prefix

    def __len__(self) -> int:
        return len(self._actions)

    @overload
    def __getitem__(self, index: int, /) -> TransferAction: ...
    @overload
    def __getitem__(self, index: slice, /) -> _Addressed: ...
    def __getitem__(self, index: int | slice, /) -> TransferAction | _Addressed:
        if isinstance(index, slice):
            return _Addressed(self._actions[index], self._prefix)
        return self._addressed(self._actions[index])

    def __iter__(self) -> Iterator[TransferAction]:
        return map(self._addressed, self._actions)

    def _addressed(self, action: TransferAction) -> TransferAction:
        md5, _, sha256 = action.source.partition(".")
        content = ContentHash("sha256", sha256) if sha256 else ContentHash("md5", md5)
        return action._replace(key=DVC_MD5.key(self._prefix, md5), content=content)


def _md5(state: str) -> str:
    return state.partition(".")[0]
