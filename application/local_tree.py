"""The files of a local folder as a transfer sees them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from domain.errors import LocalFileError
from domain.local_files import PART_PREFIX, local_error, printable_path

_INTERNAL = ".lading"
"""What a folder that is itself a store keeps for itself: no data of the user's."""


class LocalFile(NamedTuple):
    """A regular file below a folder.

    Attributes:
        relative: its path below the folder, with '/' between names.
        path: how to open it.
        size: bytes.
    """

    relative: str
    path: str
    size: int


def scan(folder: str) -> Iterator[LocalFile]:
    """Every file below `folder`, symbolic links followed. Empty folders have no trace.

    Unfinished downloads are left out, and what a store keeps for itself.

    Raises:
        LocalFileError: a folder can't be read, links form a loop or lead nowhere, a name is not UTF-8, or something is
            neither a file nor a folder. What is found wrong is found before anything is moved.
    """
    # An explicit stack: folders may be nested deeper than Python's.
    try:
        pending = [_Folder(folder, "", frozenset())]
        while pending:
            above = pending[-1]
            entry = next(above.entries, None)
            if entry is None:
                pending.pop()
                continue
            if not entry.name.isascii():
                _check_text(entry)
            if entry.is_dir():
                if not above.relative and entry.name == _INTERNAL:
                    continue
                pending.append(_Folder(entry.path, f"{above.relative}{entry.name}/", above.identities))
            elif entry.is_file():
                if not entry.name.startswith(PART_PREFIX):
                    yield LocalFile(above.relative + entry.name, entry.path, entry.stat().st_size)
            else:
                raise _unusable(entry)
    except OSError as error:
        raise local_error(error, printable_path(error.filename or folder), "read") from error


class _Folder:
    """A folder being scanned.

    Attributes:
        entries: what is still to be looked at, by name.
        identities: device and inode of this folder and of those above it.
    """

    def __init__(self, path: str, relative: str, above: frozenset[tuple[int, int]]) -> None:
        status = os.stat(path)
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            raise LocalFileError(
                f"the symbolic link {printable_path(path)!r} forms a loop; remove it and run this again"
            )
        with os.scandir(path) as found:
            self.entries = iter(sorted(found, key=lambda entry: entry.name))
        self.relative = relative
        self.identities = above | {identity}


def _unusable(entry: os.DirEntry[str]) -> LocalFileError:
    path = printable_path(entry.path)
    if entry.is_symlink() and not os.path.exists(entry.path):
        return LocalFileError(f"the symbolic link {path!r} leads nowhere or in a loop; remove it and run this again")
    return LocalFileError(f"{path!r} is neither a file nor a folder; take it out of the way")


def _check_text(entry: os.DirEntry[str]) -> None:
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        raise LocalFileError(
            f"the name of {printable_path(entry.path)!r} is not UTF-8 and can't be a key; rename it and run this again"
        ) from None


def local_path_of(folder: str, relative: str) -> str:
    """Where the object whose key ends in `relative` goes below `folder`.

    Raises:
        LocalFileError: no local file can have that name, or it would lie outside of `folder`.
    """
    names = relative.split("/")
    for name in names:
        if name in {"", ".", ".."} or "\0" in name or name.startswith(PART_PREFIX) or len(name.encode()) > 255:
            raise LocalFileError(
                f"no local file can be called {relative!r}; fetch that object by itself under another name"
            )
    return os.path.join(folder, *names)
