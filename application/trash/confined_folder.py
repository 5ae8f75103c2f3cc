"""A folder in which names are followed downwards only: through no symbolic link, and out of it by none."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from types import TracebackType
from typing import Self

from domain.errors import LocalFileError, StorageError
from domain.local_files import local_error, printable_path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class ConfinedFolder:
    """Opens the folders below `path` by descriptor, so that one that is swapped for a link meanwhile leads nowhere.

    Args:
        mode: what folders are made with.

    Raises:
        LocalFileError: there is no such folder.
    """

    def __init__(self, path: str, mode: int = 0o777) -> None:
        self._path = path
        self._mode = mode
        self._last: tuple[list[str], int] | None = None
        try:
            self._root = os.open(path, _FOLDER)
        except OSError as error:
            raise local_error(error, printable_path(path), "open") from error

    def of(self, name: str, *, make: bool = False) -> tuple[int, str]:
        """The folder that holds `name`, a path with '/' between its parts, open until the next call; and the last part.

        Raises:
            OSError: it is not there, or what is there is no folder.
            LocalFileError: a symbolic link is on the way.
        """
        *folders, last = name.split("/")
        return self.folder(folders, make=make), last

    def folder(self, names: list[str], *, make: bool = False) -> int:
        """The folder below by these names, as `of`."""
        if not names:
            return self._root
        # One that was removed meanwhile is made anew.
        if self._last and self._last[0] == names and (not make or os.fstat(self._last[1]).st_nlink):
            return self._last[1]
        self._forget()
        above = self._root
        try:
            for name in names:
                below = self._below(above, name, make, names)
                if above != self._root:
                    os.close(above)
                above = below
        except BaseException:
            if above != self._root:
                os.close(above)
            raise
        self._last = (names, above)
        return above

    def _below(self, above: int, name: str, make: bool, names: list[str]) -> int:
        try:
            return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
        except FileNotFoundError:
            if not make:
                raise
        except OSError as error:
            if error.errno in {errno.ENOTDIR, errno.ELOOP} and stat.S_ISLNK(os.lstat(name, dir_fd=above).st_mode):
                shown = printable_path(os.path.join(self._path, *names))
                raise LocalFileError(
                    f"{shown!r} is behind the symbolic link {name!r}, which the trash does not follow"
                ) from error
            raise
        with suppress(FileExistsError):  # somebody else has made it meanwhile
            os.mkdir(name, self._mode, dir_fd=above)
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=above)

    def status(self, name: str) -> os.stat_result | None:
        """What `name` is, a link not followed; None where nothing is there."""
        try:
            folder, last = self.of(name)
            return os.lstat(last, dir_fd=folder)
        except FileNotFoundError:
            return None

    def prune(self, names: list[str], keep: int = 0) -> None:
        """Remove the folder by these names where it is empty, then the one above it, down to the first `keep`."""
        self._forget()
        for length in range(len(names), keep, -1):
            try:
                os.rmdir(names[length - 1], dir_fd=self.folder(names[: length - 1]))
            except (OSError, StorageError):
                return

    def error(self, error: OSError, name: str, doing: str) -> StorageError:
        """The sentence for what happened to `name`."""
        return local_error(error, printable_path(os.path.join(self._path, name)), doing)

    def _forget(self) -> None:
        if self._last:
            os.close(self._last[1])
            self._last = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._forget()
        os.close(self._root)


class Pruning:
    """Removes folders when they are left behind empty: each is looked at once, when names of another folder come."""

    def __init__(self, tree: ConfinedFolder, keep: int = 0) -> None:
        self._tree = tree
        self._keep = keep
        self._names: list[str] | None = None

    def left(self, name: str) -> None:
        """`name` is no longer in its folder."""
        folders = name.split("/")[:-1]
        if self._names is not None and folders != self._names:
            self._tree.prune(self._names, self._keep)
        self._names = folders

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._names is not None:
            self._tree.prune(self._names, self._keep)
