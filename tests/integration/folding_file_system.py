"""A file system that folds names as macOS does: `A` is `a`, and both normal forms of `é` are one. For tests only.

    python folding_file_system.py FOLDER MOUNT_POINT

Passes everything through to FOLDER, where each name is looked for by its folded form; extended attributes are refused, so
that a store has to do as on macOS. Ends when it is unmounted.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

from fuse import FUSE, FuseOSError, Operations


def folded(name: str) -> str:
    """What two names must have in common to be one."""
    return unicodedata.normalize("NFC", name).casefold()


class Folding(Operations):
    """The operations that a store uses."""

    use_ns = True

    def __init__(self, root: str) -> None:
        self._root = root

    def _real(self, path: str) -> str:
        real = self._root
        for name in path.strip("/").split("/") if path != "/" else []:
            there = f"{real}/{name}"
            if not os.path.lexists(there):
                with contextlib.suppress(StopIteration, OSError):
                    there = next(f"{real}/{other}" for other in os.listdir(real) if folded(other) == folded(name))
            real = there
        return real

    def __call__(self, operation: str, *arguments: Any) -> Any:
        try:
            return super().__call__(operation, *arguments)
        except FuseOSError:
            raise
        except OSError as error:
            raise FuseOSError(error.errno or errno.EIO) from error

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        status = os.lstat(self._real(path)) if fh is None else os.fstat(fh)
        found = {
            name: getattr(status, name) for name in ("st_mode", "st_ino", "st_nlink", "st_size", "st_uid", "st_gid")
        }
        times = ("st_atime", "st_mtime", "st_ctime")
        return found | {name: getattr(status, f"{name}_ns") for name in times}

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *os.listdir(self._real(path))]

    def access(self, path: str, amode: int) -> int:
        if not os.access(self._real(path), amode):
            raise FuseOSError(errno.ENOENT)
        return 0

    def open(self, path: str, flags: int) -> int:
        return os.open(self._real(path), flags)

    def create(self, path: str, mode: int, fi: object = None) -> int:
        return os.open(self._real(path), os.O_RDWR | os.O_CREAT, mode)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        os.truncate(self._real(path) if fh is None else fh, length)

    def release(self, path: str, fh: int) -> None:
        os.close(fh)

    def fsync(self, path: str, datasync: int, fh: int) -> None:
        os.fsync(fh)

    def mkdir(self, path: str, mode: int) -> None:
        os.mkdir(self._real(path), mode)

    def rmdir(self, path: str) -> None:
        os.rmdir(self._real(path))

    def unlink(self, path: str) -> None:
        os.unlink(self._real(path))

    def rename(self, old: str, new: str) -> None:
        real = self._real(new)
        os.rename(self._real(old), real)

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(self._real(path), mode)

    def utimens(self, path: str, times: Sequence[int] | None = None) -> None:
        os.utime(self._real(path), ns=tuple(times) if times else None)

    def symlink(self, target: str, source: str) -> None:
        os.symlink(source, self._real(target))

    def readlink(self, path: str) -> str:
        return os.readlink(self._real(path))

    def getxattr(self, path: str, name: str, position: int = 0) -> bytes:
        raise FuseOSError(errno.ENOTSUP)

    def setxattr(self, path: str, name: str, value: bytes, options: int, position: int = 0) -> None:
        raise FuseOSError(errno.ENOTSUP)


if __name__ == "__main__":
    FUSE(
        Folding(os.path.realpath(sys.argv[1])),
        sys.argv[2],
        foreground=True,
        nothreads=True,
        use_ino=True,
        attr_timeout=0,
        entry_timeout=0,
        negative_timeout=0,
        hard_remove=True,
    )
