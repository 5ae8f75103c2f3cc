"""Objects in a folder: opened, published and removed, safely between threads and processes.

Speaks `OSError` and three exceptions of its own; `LocalProvider` turns them into the port's.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys
import time
import unicodedata
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

from domain.objects import ObjectInfo, WriteCondition
from infrastructure.storage.local import records
from infrastructure.storage.local.layout import INTERNAL, escaped, is_ordinary
from infrastructure.storage.local.records import Record
from infrastructure.storage.local.tree import etag_of, list_tree
from infrastructure.storage.local.workspace import Workspace

# What an open or a rename says where another key, a folder or a link has the place.
_TAKEN = frozenset({errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTEMPTY})
_ABSENT = frozenset({errno.ENOENT, errno.ENXIO})
_PATIENCE = 1000
_FULL_FLUSH = getattr(fcntl, "F_FULLFSYNC", None)


class NotThere(Exception):
    """No object has the key."""


class StoreMissing(Exception):
    """The store's folder is not there."""


class ConditionFailed(Exception):
    """The condition of a write is not true; the state found is the argument, an ETag or None."""


class _Taken(Exception):
    """Something else is where the key's ordinary file would be."""


@dataclass(frozen=True, slots=True)
class OpenObject:
    """An open file of the store. Who gets it closes `fd`."""

    fd: int
    path: str
    status: os.stat_result
    record: Record


class LocalStore:
    """The folder `base` as a store.

    `durable` flushes every publication to the disk. `create` makes the folder with the first write; without it the
    folder is a bucket inside of another store, and is made by `make` alone.
    """

    def __init__(self, base: str, *, durable: bool, create: bool) -> None:
        self.base = base
        self._durable = durable
        self._create = create
        self.internal = f"{base}/{INTERNAL}"
        self._keys = f"{self.internal}/keys"
        self._records = f"{self.internal}/records"
        self._folding: bool | None = None
        above = os.path.dirname(base)
        # The bucket, `buckets` and `.lading`; the store's own folder may well be reached by a link.
        self._no_links = () if create else (base, above, os.path.dirname(above))
        self.workspace = Workspace(self.internal)

    # -- the folder

    def present(self) -> bool:
        """Whether the folder is there, and not by a link from inside of the store that it is a bucket of."""
        return os.path.isdir(self.base) and not any(map(os.path.islink, self._no_links))

    def _has_keys_aside(self) -> bool:
        return os.access(self._keys, os.F_OK) and not os.path.islink(self._keys) and not os.path.islink(self.internal)

    def make(self) -> None:
        """Make the folder where it is missing, and those above it."""
        missing = []
        folder = self.base
        while not os.path.lexists(folder):
            missing.append(folder)
            folder = os.path.dirname(folder)
        os.makedirs(self.base, exist_ok=True)
        if self._durable:
            for made in missing:
                _flush_folder(os.path.dirname(made))

    # -- reading

    def open(self, key: str) -> OpenObject:
        """Raises: NotThere, StoreMissing, OSError."""
        opened = None
        if self._no_links and not self.present():
            raise StoreMissing
        if is_ordinary(key):
            with suppress(_Taken):
                path = f"{self.base}/{key}"
                if self._parents_clear(key) and self._spelled(path):
                    opened = self._open_at(path, key)
        if opened is None and self._has_keys_aside():
            opened = self._open_at(f"{self._keys}/{escaped(key)}", key)
        if opened is None:
            raise NotThere if self.present() else StoreMissing
        return opened

    def list(self, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
        """Raises: StoreMissing, OSError, from the first step on."""
        if not self.present():
            raise StoreMissing
        yield from list_tree(self.base, prefix, start_after, self._spelled)

    def _open_at(self, path: str, key: str) -> OpenObject | None:
        try:
            # O_NONBLOCK: a named pipe must not make a reader wait.
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in _ABSENT or error.errno in _TAKEN:
                return None
            raise
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            return None
        record = records.load(fd, status, self._records, key)
        if record is records.NOTHING and not os.fstat(fd).st_nlink:
            # Replaced between the two steps, and its record with it: the object is another one now.
            os.close(fd)
            return self._open_at(path, key)
        return OpenObject(fd, path, status, record)

    # -- writing

    def temporary(self) -> tuple[int, str]:
        """A new unfinished file, to be published or discarded. Raises: StoreMissing, OSError."""
        if not self._create and not self.present():
            raise StoreMissing
        try:
            return self.workspace.temporary()
        except FileNotFoundError:
            self.make()
            return self.workspace.temporary()

    def publish(
        self, fd: int, temporary: str, key: str, record: Record, condition: WriteCondition | None
    ) -> os.stat_result:
        """Make the unfinished file the object `key`, in one step; its status then. The descriptor stays open.

        Raises:
            ConditionFailed, OSError; the unfinished file is then still there.
        """
        # The time in ns, not the kernel's tick, makes the ETags of two quick writes differ.
        now = time.time_ns()
        os.utime(fd, ns=(now, now))
        status = os.fstat(fd)
        records.save(record, fd, status, self._records, key)
        try:
            if self._durable:
                _flush(fd)
            path = self._put_in_place(temporary, key, condition)
        except BaseException:
            records.forget(status, self._records, key)
            raise
        if self._durable:
            _flush_folder(os.path.dirname(path))
        return status

    def _put_in_place(self, temporary: str, key: str, condition: WriteCondition | None) -> str:
        with self._locked(key):
            path, replaced = self._locate(key)
            if condition:
                found = etag_of(replaced) if replaced else None
                if found != condition.if_match:
                    raise ConditionFailed(found)
            path = self._place(temporary, path, key)
            if replaced:
                records.forget(replaced, self._records, key)
        return path

    def discard(self, fd: int, temporary: str) -> None:
        """Throw an unfinished file away."""
        os.close(fd)
        with suppress(FileNotFoundError):
            os.unlink(temporary)

    def remove(self, key: str) -> None:
        """Remove the object; a missing one is no error. Raises: StoreMissing, OSError."""
        if not self.present():
            raise StoreMissing
        if self._locate(key)[1] is None:
            return
        with self._locked(key):
            # Twice, where a person put a file beside a key kept aside.
            while True:
                path, status = self._locate(key)
                if status is None:
                    break
                os.unlink(path)
                records.forget(status, self._records, key)
                self._prune(os.path.dirname(path))

    def _locked(self, key: str) -> AbstractContextManager[None]:
        # Where two keys may mean one file, they need one lock.
        return self.workspace.locked(unicodedata.normalize("NFC", key).casefold() if self._folds() else key)

    def _locate(self, key: str) -> tuple[str, os.stat_result | None]:
        """Where the key is, with its status; or, with None, where it would go."""
        place = self._ordinary_place(key)
        if place and (place[1] or not self._has_keys_aside()):
            return place
        aside = self._aside(key)
        try:
            return aside, os.lstat(aside)
        except (FileNotFoundError, NotADirectoryError):
            return place or (aside, None)

    def _aside(self, key: str) -> str:
        for folder in (self.internal, self._keys):
            if os.path.islink(folder):
                raise OSError(errno.ELOOP, "a store keeps its own things behind no link", folder)
        return f"{self._keys}/{escaped(key)}"

    def _ordinary_place(self, key: str) -> tuple[str, os.stat_result | None] | None:
        """The key's ordinary file, with its status if it is there; None where the key can't be one."""
        if not is_ordinary(key):
            return None
        path = f"{self.base}/{key}"
        try:
            status = os.lstat(path) if self._parents_clear(key) else None
        except FileNotFoundError:
            status = None
        except _Taken:
            return None
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            return None
        if status and not (stat.S_ISREG(status.st_mode) and self._spelled(path)):
            return None
        return path, status

    def _parents_clear(self, key: str) -> bool:
        """Whether the folders on the way to the key are all there.

        Raises:
            _Taken: one of them is a file, or a link that may lead out of the store.
        """
        path = self.base
        for name in key.split("/")[:-1]:
            path = f"{path}/{name}"
            try:
                if not stat.S_ISDIR(os.lstat(path).st_mode) or not self._spelled(path):
                    raise _Taken
            except FileNotFoundError:
                return False
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise
                raise _Taken from error
        return True

    def _folds(self) -> bool:
        """Whether the file system takes `A` for `a`, or one normal form of `é` for the other, as macOS does."""
        if self._folding is None and os.path.lexists(self.internal):
            self._folding = sys.platform == "darwin" or os.path.lexists(f"{self.base}/{INTERNAL.upper()}")
        return bool(self._folding)

    def _spelled(self, path: str) -> bool:
        """Whether what is at `path` has exactly this name: on a file system that folds, another one answers to it."""
        return not self._folds() or os.path.basename(path) in os.listdir(os.path.dirname(path))

    def _place(self, temporary: str, path: str, key: str) -> str:
        """Rename the unfinished file to `path`, or aside where the place has been taken meanwhile; where it is now."""
        for _ in range(_PATIENCE):
            try:
                os.rename(temporary, path)
                return path
            except FileNotFoundError:
                pass  # the folder is not there yet, or was pruned under our feet by a delete
            except OSError as error:
                if error.errno not in _TAKEN or path.startswith(self._keys + "/"):
                    raise
                path = self._aside(key)
            try:
                self._make_folders(os.path.dirname(path))
            except FileNotFoundError:
                continue  # pruned between two steps
            except NotADirectoryError:
                path = self._aside(key)
        os.rename(temporary, path)
        return path

    def _make_folders(self, folder: str) -> None:
        """Make `folder` below `base`. Raises NotADirectoryError where a file or a link has the place."""
        made = self.base
        for name in folder[len(self.base) + 1 :].split("/"):
            above, made = made, f"{made}/{name}"
            try:
                os.mkdir(made)
            except FileExistsError:
                if not (stat.S_ISDIR(os.lstat(made).st_mode) and self._spelled(made)):
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), made) from None
            else:
                if self._durable:
                    _flush_folder(above)

    def _prune(self, folder: str) -> None:
        """Remove the folders that a delete left empty: a store has keys, not folders."""
        while folder != self.base and folder != self._keys:
            try:
                os.rmdir(folder)
            except OSError:
                return
            folder = os.path.dirname(folder)


def _flush(fd: int) -> None:
    if _FULL_FLUSH is not None:  # on macOS fsync leaves the data in the drive's cache
        fcntl.fcntl(fd, _FULL_FLUSH)
    else:
        os.fsync(fd)


def _flush_folder(folder: str) -> None:
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return  # pruned meanwhile
    try:
        _flush(fd)
    finally:
        os.close(fd)
