"""What the processes that write one store share: a place for unfinished files, and locks.

Unfinished files are in `.lading/tmp/<process>/`, a folder that its process holds by a lock on the file `alive` in it.
The lock ends with the process, however that ends, so that what a killed writer left is known and swept by the next.

A write is published under the lock of its key's stripe, whoever writes; only so can a conditional write compare and
replace in one step between processes. The locks are `flock`s on `.lading/locks/<nn>` and held for the rename alone,
never while bytes are written.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import threading
import time
import zlib
from contextlib import AbstractContextManager, suppress

_STRIPES = 16
_ALIVE = "alive"
_YOUNG_SECONDS = 3600
"""A folder without a lock file may be one that is just being made."""


class _Stripe(AbstractContextManager[None]):
    """A lock shared by the keys of one stripe. The file is opened at the first use and stays open."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._threads = threading.Lock()
        self._fd = -1

    def __enter__(self) -> None:
        self._threads.acquire()
        try:
            if self._fd < 0:
                self._fd = self._opened()
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            while not os.fstat(self._fd).st_nlink:
                # Somebody removed `.lading/locks` by hand: the lock that counts is the file that is there now.
                os.close(self._fd)
                self._fd = self._opened()
                fcntl.flock(self._fd, fcntl.LOCK_EX)
        except BaseException:
            self._threads.release()
            raise

    def __exit__(self, *exception: object) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        self._threads.release()

    def _opened(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            return os.open(self._path, flags, 0o666)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            return os.open(self._path, flags, 0o666)

    def close(self) -> None:
        """Give the descriptor back when nobody holds the lock."""
        with self._threads:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1


class Workspace:
    """One process's part in a store. `internal` is the store's `.lading` folder, made at the first use."""

    def __init__(self, internal: str) -> None:
        self._internal = internal
        self._setup = threading.Lock()
        self._pid = 0
        self._serial = itertools.count()
        self._folder = ""
        self._alive = -1
        self._stripes: list[_Stripe] = []
        self._stripes_pid = 0

    def temporary(self) -> tuple[int, str]:
        """A new unfinished file: descriptor open for writing and reading, path.

        Raises:
            FileNotFoundError: the store's folder is not there.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        folder = self._prepared()
        path = f"{folder}/{next(self._serial):x}"
        try:
            return os.open(path, flags, 0o666), path
        except FileNotFoundError:
            self._renew(folder)
            path = f"{self._prepared()}/{next(self._serial):x}"
            return os.open(path, flags, 0o666), path

    def _renew(self, gone: str) -> None:
        """Somebody removed `.lading/tmp` by hand: make a new folder, once for all threads that notice."""
        with self._setup:
            if self._pid == os.getpid() and self._folder == gone:
                os.close(self._alive)
                self._prepare()

    def locked(self, key: str) -> _Stripe:
        """The lock of the key's stripe, against threads and processes: hold it by `with`."""
        if self._stripes_pid != os.getpid():
            with self._setup:
                if self._stripes_pid != os.getpid():
                    self._stripes = [_Stripe(f"{self._internal}/locks/{number:02d}") for number in range(_STRIPES)]
                    self._stripes_pid = os.getpid()
        return self._stripes[zlib.crc32(key.encode()) % _STRIPES]

    def close(self) -> None:
        """Give back the folder and the descriptors; the next use takes them again. Unfinished files keep them here."""
        with self._setup:
            if self._stripes_pid == os.getpid():
                for stripe in self._stripes:
                    stripe.close()
            if self._pid != os.getpid():
                return
            with suppress(FileNotFoundError):
                if os.listdir(self._folder) != [_ALIVE]:
                    return
            shutil.rmtree(self._folder, ignore_errors=True)
            os.close(self._alive)
            self._pid = 0

    def _prepared(self) -> str:
        # After a fork the parent's descriptors are shared, and a shared flock excludes nobody: the child starts anew.
        if self._pid == os.getpid():
            return self._folder
        with self._setup:
            if self._pid != os.getpid():
                self._prepare()
        return self._folder

    def _prepare(self) -> None:
        self._pid = 0
        for folder in (self._internal, f"{self._internal}/tmp"):
            with suppress(FileExistsError):
                os.mkdir(folder)
        with suppress(FileExistsError):
            os.mkdir(f"{self._internal}/locks")
            for number in range(_STRIPES):
                # All at once, for a delete on a full disk could not make the one it needs.
                os.close(os.open(f"{self._internal}/locks/{number:02d}", os.O_WRONLY | os.O_CREAT, 0o666))
        self._sweep()
        self._folder, self._alive = self._new_folder()
        self._pid = os.getpid()

    def _new_folder(self) -> tuple[str, int]:
        while True:
            folder = f"{self._internal}/tmp/{os.getpid():x}-{time.time_ns():x}"
            os.mkdir(folder)
            alive = os.open(f"{folder}/{_ALIVE}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            fcntl.flock(alive, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(alive), os.stat(f"{folder}/{_ALIVE}")):
                    return folder, alive
            os.close(alive)  # swept between the two steps

    def _sweep(self) -> None:
        for entry in list(os.scandir(f"{self._internal}/tmp")):
            try:
                alive = os.open(f"{entry.path}/{_ALIVE}", os.O_RDWR | os.O_CLOEXEC)
            except OSError:
                with suppress(OSError):
                    if time.time() - entry.stat().st_mtime > _YOUNG_SECONDS:
                        shutil.rmtree(entry.path, ignore_errors=True)
                continue
            try:
                fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                pass  # its process lives
            else:
                shutil.rmtree(entry.path, ignore_errors=True)
            finally:
                os.close(alive)
