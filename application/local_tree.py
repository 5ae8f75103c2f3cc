"""The files of a local folder as a transfer sees them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple

from domain.errors import LocalFileError
from domain.local_files import PART_PREFIX, local_error, printable_path

INTERNAL = ".lading"
"""What a folder that is itself a store keeps for itself: no data of the user's."""


class Symlinks(StrEnum):
    """What becomes of symbolic links."""

    FOLLOW = "follow"
    """What they lead to is taken as if it were there."""
    SKIP = "skip"
    ERROR = "error"


class LocalFile(NamedTuple):
    """A regular file below a folder.

    Attributes:
        name: its path below the folder, with '/' between names.
        size: bytes.
        state: as `state_of`.
    """

    name: str
    size: int
    state: str


def state_of(status: os.stat_result) -> str:
    """What changes whenever a file's bytes do: size, times of its content and of its inode, the inode itself.

    The time of the inode can't be set back by anybody, as that of the content can.
    """
    return f"{status.st_size:x}.{status.st_mtime_ns:x}.{status.st_ctime_ns:x}.{status.st_ino:x}"


def is_settled(state: str, when: int) -> bool:
    """Whether every change that is made at `when` or later gives the file another state than this one.

    Clocks of file systems stand still for a while: what is written in the tick of the last change leaves no trace.

    Args:
        state: as `state_of`.
        when: nanoseconds since the epoch.
    """
    changed = int(state.split(".")[2], 16)
    tick = 2_100_000_000 if changed % 1_000_000_000 == 0 else 100_000_000
    return changed + tick < when


def scan(
    folder: str, *, symlinks: Symlinks = Symlinks.FOLLOW, excluded: Callable[[str], bool] | None = None
) -> Iterator[LocalFile]:
    """Every file below `folder`, in UTF-8 byte order of the names. Empty folders have no trace.

    Unfinished downloads are left out, and what a store keeps for itself.

    Args:
        excluded: called with a file's name, or a folder's with a '/' at its end; what it is true for is not looked at.

    Raises:
        LocalFileError: a folder can't be read, links form a loop, lead nowhere or are not wanted, a name is not UTF-8, or
            something is neither a file nor a folder. What is found wrong is found before anything is moved.
    """
    # An explicit stack: folders may be nested deeper than Python's.
    try:
        pending = [_Folder(folder, "", frozenset())]
        while pending:
            above = pending[-1]
            name, entry = next(above.entries, ("", None))
            if entry is None:
                pending.pop()
                continue
            name = above.name + name
            if name == f"{INTERNAL}/" or (excluded and excluded(name)):
                continue
            if symlinks is not Symlinks.FOLLOW and entry.is_symlink():
                if symlinks is Symlinks.ERROR:
                    raise LocalFileError(
                        f"{printable_path(entry.path)!r} is a symbolic link; take it out of the way, or follow or skip links"
                    )
                continue
            if not entry.name.isascii():
                _check_text(entry)
            if entry.is_dir():
                pending.append(_Folder(entry.path, name, above.identities))
            elif entry.is_file():
                if not entry.name.startswith(PART_PREFIX):
                    status = entry.stat()
                    yield LocalFile(name, status.st_size, state_of(status))
            else:
                raise _unusable(entry)
    except OSError as error:
        raise local_error(error, printable_path(error.filename or folder), "read") from error


class _Folder:
    """A folder being scanned.

    Attributes:
        name: its own, with a '/' at the end; empty for the topmost.
        entries: what is still to be looked at, in order; the name of a folder has a '/' at its end, so that it
            stands where the files in it belong.
        identities: device and inode of this folder and of those above it.
    """

    def __init__(self, path: str, name: str, above: frozenset[tuple[int, int]]) -> None:
        status = os.stat(path)
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            raise LocalFileError(
                f"the symbolic link {printable_path(path)!r} forms a loop; remove it and run this again"
            )
        with os.scandir(path) as found:
            named = [(f"{entry.name}/" if _is_folder(entry) else entry.name, entry) for entry in found]
        named.sort(key=lambda item: item[0])
        self.entries = iter(named)
        self.name = name
        self.identities = above | {identity}


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link in a loop, say: that is told when its turn comes, unless nobody wants it


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


def check_local_name(relative: str) -> str:
    """Return `relative` where a local file can have it as its path below a folder.

    Raises:
        LocalFileError: no local file can have that name, or it would lie outside of the folder.
    """
    for name in relative.split("/"):
        if (
            name in {"", ".", ".."}
            or "\0" in name
            or name.startswith(PART_PREFIX)
            or (len(name) > 63 and len(name.encode()) > 255)
        ):
            raise LocalFileError(
                f"no local file can be called {relative!r}; fetch that object by itself under another name"
            )
    return relative
