"""`domain.content_cache.ContentCache` in a folder: read-only files, each named by the hash of its bytes."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import mmap
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from domain.content import ContentHash
from domain.content_cache import Link
from domain.errors import LocalFileError, StorageError
from domain.local_files import CHUNK_BYTES, PART_PREFIX, ReplacementFile, local_error, printable_path
from infrastructure.state.database import make_private, state_folder
from infrastructure.storage.local.pump import copier

_FICLONE = 0x40049409  # linux/fs.h
_READ_ONLY = 0o444


class _Spoilt(Exception):
    """Somebody has written to a file of the cache, or it can't be read."""


class FolderCache:
    """Contents as files `<algorithm>/ab/ab12…`; the time of a file is when it was last used.

    Args:
        most_bytes: the bound, which `trim` brings about.
        folder: where they are; among the user's caches by default.
    """

    def __init__(self, most_bytes: int, folder: Path | None = None) -> None:
        self._most_bytes = most_bytes
        self._folder = folder or state_folder() / "content"
        # Shared with forked children: what they take the parent trims.
        self._took = mmap.mmap(-1, 1)

    def place(self, content: ContentHash, path: str, link: Link) -> int | None:
        kept = self._path(content)
        try:
            fd = os.open(kept, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return None
            try:
                size = self._link(fd, kept, content, path) if link is Link.HARD else self._copy(fd, content, path)
            except _Spoilt:
                with suppress(OSError):
                    kept.unlink()
                return None
            with suppress(OSError):
                os.utime(fd)
            return size
        finally:
            os.close(fd)

    def _copy(self, fd: int, content: ContentHash, path: str) -> int:
        with ReplacementFile(path) as file:
            with file.errors:
                if not _cloned(fd, file.fileno()):
                    step = copier(fd, file.fileno())
                    while step():
                        pass
            size = _verified(file.fileno(), content)
            file.commit()
            return size

    def _link(self, fd: int, kept: Path, content: ContentHash, path: str) -> int | None:
        if stat.S_IMODE(os.fstat(fd).st_mode) != _READ_ONLY:
            raise _Spoilt
        size = _verified(fd, content)
        folder = os.path.dirname(path)
        part = os.path.join(folder, f"{PART_PREFIX}{secrets.token_hex(8)}")
        try:
            try:
                try:
                    os.link(kept, part)
                except FileNotFoundError:
                    if not os.fstat(fd).st_nlink:
                        return None  # it was forgotten in this moment
                    os.makedirs(folder, exist_ok=True)
                    os.link(kept, part)
            except OSError as error:
                if error.errno == errno.EMLINK:
                    return self._copy(fd, content, path)  # no more names for one file
                if error.errno == errno.EXDEV:
                    raise LocalFileError(
                        f"can't link {printable_path(path)!r}: it is on another file system than {str(self._folder)!r}, where "
                        "contents are kept; have it copied"
                    ) from error
                raise
            try:
                os.replace(part, path)
            finally:
                # Where both are one file already, the name stays.
                with suppress(FileNotFoundError):
                    os.unlink(part)
        except OSError as error:
            raise local_error(error, printable_path(path), "link") from error
        return size

    def keep(self, content: ContentHash, path: str) -> None:
        kept = self._path(content)
        with suppress(OSError, StorageError, _Spoilt):
            if kept.exists() or os.stat(path).st_size > self._most_bytes:
                return
            self._took[0] = 1
            make_private(self._folder)
            with open(path, "rb") as source, ReplacementFile(kept) as file:
                if not _cloned(source.fileno(), file.fileno()):
                    step = copier(source.fileno(), file.fileno())
                    while step():
                        pass
                _verified(file.fileno(), content)
                os.fchmod(file.fileno(), _READ_ONLY)
                file.commit()

    def trim(self) -> None:
        if not self._took[0]:
            return
        found = sorted(self._files(), key=lambda entry: entry[0])
        size = sum(each for _, each, _ in found)
        for _, each, path in found:
            if size <= self._most_bytes:
                return
            with suppress(OSError):
                os.unlink(path)
                size -= each

    def _files(self) -> Iterator[tuple[int, int, str]]:
        for folder, _, names in os.walk(self._folder):
            for name in names:
                path = os.path.join(folder, name)
                with suppress(OSError):
                    status = os.stat(path, follow_symlinks=False)
                    yield status.st_mtime_ns, status.st_size, path

    def _path(self, content: ContentHash) -> Path:
        return self._folder / content.algorithm / content.digest[:2] / content.digest


def _cloned(source: int, target: int) -> bool:
    """Whether the file system has made the one file of the other's blocks."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def _verified(fd: int, content: ContentHash) -> int:
    """The size of an open file.

    Raises:
        _Spoilt: it has not this content, or can't be read.
    """
    digest = hashlib.new(content.algorithm, usedforsecurity=False)
    at = 0
    try:
        while chunk := os.pread(fd, CHUNK_BYTES, at):
            digest.update(chunk)
            at += len(chunk)
    except OSError as error:
        raise _Spoilt from error
    if digest.hexdigest() != content.digest:
        raise _Spoilt
    return at
