"""A listing of a folder tree as keys, in UTF-8 byte order, as a stream.

Code point order of text is byte order of its UTF-8, and a folder sorts as its name with a '/', so sorting each folder's
names by themselves is enough: what is held at a time is the names of the folders on the way down, not of the tree.
"""

from __future__ import annotations

import heapq
import logging
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from domain.keys import MAX_KEY_BYTES
from domain.local_files import printable_path
from domain.objects import ObjectInfo
from infrastructure.storage.local.layout import INTERNAL, is_ordinary, unescaped

_LONG = (MAX_KEY_BYTES - 255) // 4  # characters of a folder below which no name in it can make a key too long
_LATEST = datetime.max.replace(tzinfo=UTC)
_log = logging.getLogger(__name__)


def etag_of(status: os.stat_result) -> str:
    """Another one after every write: a new file has a new inode or, where that is used again, a new time in ns."""
    return f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"


def info_of(
    key: str,
    status: os.stat_result,
    content_type: str | None = None,
    sha256: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> ObjectInfo:
    """What a file's status says of the object, and what else is known."""
    try:
        modified = datetime.fromtimestamp(status.st_mtime, UTC)
    except (ValueError, OverflowError, OSError):
        modified = _LATEST  # some file systems keep dates that a datetime can't
    known = (key, status.st_size, etag_of(status), modified, content_type, sha256, metadata)
    return tuple.__new__(ObjectInfo, known)  # as ObjectInfo(*known), in half the time: this is a listing's inner loop


def list_tree(base: str, prefix: str, start_after: str, is_spelled: Callable[[str], bool]) -> Iterator[ObjectInfo]:
    """The objects in the store at `base`, ordinary and escaped.

    Args:
        is_spelled: whether what is at a path has exactly that name.

    Raises:
        OSError: a folder can't be read; one that is gone meanwhile counts as empty.
    """
    top = prefix[: prefix.rfind("/") + 1]
    ordinary = _ordinary(base, top, prefix, start_after) if _reachable(base, top, is_spelled) else iter(())
    kept_aside = _kept_aside(f"{base}/{INTERNAL}/keys", prefix, start_after)
    if not kept_aside:
        return ordinary
    return _merged(ordinary, iter(kept_aside))


def _merged(ordinary: Iterator[ObjectInfo], kept_aside: Iterator[ObjectInfo]) -> Iterator[ObjectInfo]:
    last = None
    # The ordinary file comes first and is the object where a person put one beside a key kept aside.
    for info in heapq.merge(ordinary, kept_aside, key=lambda info: info.key):
        if info.key != last:
            last = info.key
            yield info


def _ordinary(base: str, top: str, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
    pending = [(top, iter(_names(base, top, prefix, start_after)))]
    while pending:
        folder, names = pending[-1]
        path = f"{base}/{folder}"
        for name in names:
            key = folder + name
            if name[-1] == "/":
                pending.append((key, iter(_names(base, key, prefix, start_after))))
                break
            try:
                status = os.lstat(path + name)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode):
                yield info_of(key, status)
        else:
            pending.pop()


def _names(base: str, folder: str, prefix: str, start_after: str) -> list[str]:
    """The names in `folder` (a key prefix, '' or ending in '/') that a listing needs, those of folders with a '/', sorted."""
    try:
        with os.scandir(f"{base}/{folder}") as entries:
            names = [entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        if not folder:
            raise
        return []
    if not folder:
        names = [name for name in names if name not in (INTERNAL, INTERNAL + "/")]
    if not all(map(str.isascii, names)):
        names = [name for name in names if name.isascii() or _is_text(base, folder + name)]
    if len(folder) > _LONG or prefix[len(folder) :] or start_after:
        names = [name for name in names if _asked_for(folder + name, prefix, start_after)]
    names.sort()
    return names


def _asked_for(key: str, prefix: str, start_after: str) -> bool:
    if key[-1] == "/":
        passed = key < start_after and not start_after.startswith(key)
        return not passed and (key.startswith(prefix) or prefix.startswith(key))
    return key > start_after and key.startswith(prefix) and len(key.encode()) <= MAX_KEY_BYTES


def _is_text(base: str, key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        _log.warning("not listed, its name is not UTF-8: %s", printable_path(f"{base}/{key}"))
        return False
    return True


def _reachable(base: str, top: str, is_spelled: Callable[[str], bool]) -> bool:
    """Whether the folder of a prefix is inside the store: an ordinary path, and no symbolic link on it."""
    if not top:
        return True
    if not is_ordinary(top[:-1]):
        return False
    path = base
    for name in top[:-1].split("/"):
        path += "/" + name
        try:
            if not stat.S_ISDIR(os.lstat(path).st_mode) or not is_spelled(path):
                return False
        except OSError:
            return False
    return True


def _kept_aside(keys: str, prefix: str, start_after: str) -> list[ObjectInfo]:
    found: list[ObjectInfo] = []
    pending = [""]
    while pending:
        folder = pending.pop()
        if not folder and (os.path.islink(keys) or os.path.islink(os.path.dirname(keys))):
            break
        try:
            entries = os.scandir(f"{keys}/{folder}")
        except (FileNotFoundError, NotADirectoryError):
            continue
        with entries:
            for entry in entries:
                path = folder + entry.name
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path + "/")
                elif (key := unescaped(path)) and key.startswith(prefix) and key > start_after:
                    try:
                        found.append(info_of(key, entry.stat(follow_symlinks=False)))
                    except FileNotFoundError:
                        continue
    found.sort(key=lambda info: info.key)
    return found
