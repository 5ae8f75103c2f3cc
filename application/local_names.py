"""Keys as local files: which can be, which would be one file where the disk folds names, and which lie elsewhere."""

from __future__ import annotations

import errno
import os
import unicodedata
from collections.abc import Iterable
from contextlib import suppress

from application.local_tree import check_local_name
from domain.errors import LocalFileError
from domain.local_files import PART_PREFIX, is_no_room, local_error, printable_path

_UNWRITABLE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR})


class LocalNames:
    """The names that are to be files below a folder, taken one after the other in UTF-8 byte order.

    Args:
        folder: below which they are to be; it need not be there.
        prefix: what stands before a name in the key of its object.
    """

    def __init__(self, folder: str, prefix: str) -> None:
        self._folder = folder
        self._prefix = prefix
        self._files: set[int] = set()
        self._folded: set[int] = set()
        self._folders: dict[int, int] = {}
        self._folds: bool | None = None
        self._above = ""

    def wanted(self, name: str) -> None:
        """A file that is to be there.

        Raises:
            LocalFileError: no local file can have this name, or another one stands in its way.
        """
        check_local_name(name)
        self._take(name)

    def present(self, name: str) -> None:
        """A file that is there and that nobody wants; a name that can't be with it is refused.

        Raises:
            LocalFileError.
        """
        self._take(name)

    def _take(self, name: str) -> None:
        # Numbers that stand for names: of a million names there is no room for all, twice.
        number = hash(name)
        self._files.add(number)
        above = name.rpartition("/")[0]
        if above != self._above:
            self._above = above
            while above:
                self._take_folder(above)
                if hash(above) in self._files:
                    in_the_way = printable_path(os.path.join(self._folder, above))
                    raise LocalFileError(
                        f"{self._prefix + name!r} needs a folder where the file {in_the_way!r} is or would be; take one of "
                        "the two out of the way, or fetch it by itself under another name"
                    )
                above = above.rpartition("/")[0]
        like = _folded(name)
        folded = number if like == name else hash(like)  # one number, and not two alike
        if (folded in self._folded or folded in self._folders) and self._is_folding():
            raise self._folded_into_one(name)
        self._folded.add(folded)

    def _take_folder(self, name: str) -> None:
        folded = hash(_folded(name))
        if (
            self._folders.setdefault(folded, hash(name)) != hash(name)
            or (folded in self._folded and hash(name) not in self._files)
        ) and self._is_folding():
            raise self._folded_into_one(f"{name}/")

    def _folded_into_one(self, name: str) -> LocalFileError:
        return LocalFileError(
            f"{self._prefix + name!r} differs from another name only by case or by the form of its accents, which the "
            f"disk of {printable_path(self._folder)!r} takes for one file; fetch it by itself under another name, or "
            "leave it out by --exclude"
        )

    def _is_folding(self) -> bool:
        if self._folds is None:
            self._folds = folds_names(self._folder)
        return self._folds


def _folded(name: str) -> str:
    return name.casefold() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def folds_names(folder: str) -> bool:
    """Whether the disk takes two names that differ by case for one file.

    Found out by a file that is made and removed at once, where `folder` is, or is going to be.

    Raises:
        LocalFileError: nothing can be written there.
        InsufficientStorage: there is no room.
    """
    place = os.path.abspath(folder)
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    probe = f"{PART_PREFIX}{os.urandom(8).hex()}"
    path, other = os.path.join(place, probe + "a\u00e9"), os.path.join(place, probe + "A\u00c9")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        if error.errno in _UNWRITABLE or is_no_room(
            error
        ):  # a download would meet it as well: that is the reason to tell
            raise local_error(error, printable_path(place), "write to") from error
        return True  # where nobody can tell nothing is lost by caution
    try:
        return os.path.lexists(other)
    finally:
        with suppress(OSError):
            os.unlink(path)


def refuse_links_out(root: str, paths: Iterable[str]) -> None:
    """Refuse files below a folder that would come to lie outside of it, by a symbolic link in the place of a folder.

    Args:
        root: the folder, with a '/' at its end; it may itself be a link.
        paths: of the files, each beginning with it.

    Raises:
        LocalFileError: naming the link.
    """
    inside = os.path.realpath(root)
    seen = {""}
    for path in paths:
        above = path[len(root) :].rpartition("/")[0]
        while above not in seen:
            seen.add(above)
            folder = root + above
            if os.path.islink(folder) and os.path.commonpath([inside, os.path.realpath(folder)]) != inside:
                raise LocalFileError(
                    f"{printable_path(folder)!r} is a symbolic link that leads out of {printable_path(root)!r}, and files "
                    "are to be written below it; take it out of the way, or name another folder"
                )
            above = above.rpartition("/")[0]
