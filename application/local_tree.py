"""The files of a local folder as a transfer sees them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from domain.errors import LocalFileError
from domain.keys import MAX_KEY_BYTES, shortened
from domain.local_files import PART_PREFIX, local_error, printable_path


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
    """Every file below `folder`, symbolic links followed, unfinished downloads left out. Empty folders have no trace.

    Raises:
        LocalFileError: a folder can't be read, links form a loop or lead nowhere, a name is not UTF-8, or something is
            neither a file nor a folder. What is found wrong is found before anything is moved.
    """
    yield from _scan(folder, "", ())


def _scan(folder: str, relative: str, above: tuple[tuple[int, int], ...]) -> Iterator[LocalFile]:
    if len(relative) > MAX_KEY_BYTES:
        raise LocalFileError(f"the path {shortened(relative)!r} is too long for a key; shorten it and run this again")
    try:
        status = os.stat(folder)
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            raise LocalFileError(
                f"the symbolic link {printable_path(folder)!r} forms a loop; remove it and run this again"
            )
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            name = entry.name
            if not name.isascii():
                _check_text(entry.path)
            if entry.is_dir():
                yield from _scan(entry.path, f"{relative}{name}/", (*above, identity))
            elif entry.is_file():
                if not name.startswith(PART_PREFIX):
                    yield LocalFile(relative + name, entry.path, entry.stat().st_size)
            elif entry.is_symlink() and not os.path.exists(entry.path):
                raise LocalFileError(
                    f"the symbolic link {printable_path(entry.path)!r} leads nowhere or in a loop; remove it and run this again"
                )
            else:
                raise LocalFileError(
                    f"{printable_path(entry.path)!r} is neither a file nor a folder; take it out of the way"
                )
    except OSError as error:
        raise local_error(error, printable_path(error.filename or folder), "read") from error


def _check_text(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise LocalFileError(
            f"the name of {printable_path(path)!r} is not UTF-8 and can't be a key; rename it and run this again"
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
