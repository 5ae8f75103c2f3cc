"""The files on this side of a transfer: read so that a change is noticed, replaced so that no reader sees a part."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Self

from domain.errors import InsufficientStorage, LocalFileError, StorageError

CHUNK_BYTES = 1 << 20
"""How much of a file is held at a time."""

PART_PREFIX = ".lading-part-"
"""How the names of unfinished downloads begin; `sweep_parts` removes those that nobody writes any more."""

_RESUMABLE_PREFIX = f"{PART_PREFIX}resume-"
_RESUMABLE_SECONDS = 7 * 24 * 3600.0
_WORTH_RESUMING = 8 << 20
"""A part with no more bytes is swept as any other: to fetch them again takes a moment."""

_OURS = stat.S_IRUSR | stat.S_IWUSR

_LINKED = 0o444
"""The mode of a file that was linked to one of the cache."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def local_error(error: OSError, path: str, doing: str) -> StorageError:
    """The sentence for an `OSError` about the local file `path`; `doing` is a verb such as `read`."""
    if is_no_room(error):
        return InsufficientStorage(f"no room to {doing} {path!r}: {error.strerror}; free some space and run this again")
    reason = {
        errno.ENOENT: "there is no such file or folder",
        errno.EISDIR: "it is a directory; name a file",
        errno.ENOTDIR: "a part of its path is a file, not a folder",
        errno.EACCES: "permission denied; check its owner and mode",
        errno.EPERM: "permission denied; check its owner and mode",
        errno.EROFS: "its file system is read-only",
        errno.ELOOP: "its symbolic links form a loop",
        errno.ENAMETOOLONG: "its name is too long for this file system",
    }.get(error.errno or 0, error.strerror or str(error))
    return LocalFileError(f"can't {doing} {path!r}: {reason}")


def is_no_room(error: OSError) -> bool:
    """Whether the disk is full or a quota is used up."""
    return error.errno in _NO_ROOM


def printable_path(path: str | os.PathLike[str]) -> str:
    """`path` as text for a message, also where its bytes are not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def check_content(path: str | os.PathLike[str], sha256: str, wanted: str | None) -> None:
    """Compare what was read of a file with what it must be.

    Args:
        sha256: of what was read, in hex digits.
        wanted: that the file must have; None where any will do.

    Raises:
        LocalFileError: it is another.
    """
    if wanted is not None and sha256 != wanted:
        raise LocalFileError(
            f"{printable_path(path)!r} has changed since it was looked at (its SHA-256 is {sha256[:12]}…, and was "
            f"{wanted[:12]}…); nothing was stored: run this again when nobody writes it"
        )


class LocalSource:
    """A regular file being read from start to end.

    Attributes:
        size: bytes at the time it was opened.

    Raises:
        LocalFileError: it is missing, unreadable, or not a regular file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        try:
            # O_NONBLOCK: opening a named pipe must fail below, not wait for a writer.
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except ValueError:
            raise LocalFileError(f"can't read {printable_path(self._path)!r}: a path holds no NUL character") from None
        except OSError as error:
            raise local_error(error, printable_path(self._path), "read") from error
        self._before = os.fstat(self._fd)
        if not stat.S_ISREG(self._before.st_mode):
            os.close(self._fd)
            what = "a directory" if stat.S_ISDIR(self._before.st_mode) else "not a regular file"
            raise LocalFileError(f"can't read {printable_path(self._path)!r}: it is {what}; name a file")
        self.size = self._before.st_size
        self._taken = 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end, nor of what a file has grown beyond the first byte more."""
        # No more room than the file needs: to get and give back a whole chunk takes longer than to read a small file.
        left = self.size - self._taken + 1
        if left <= 0:
            return b""
        try:
            data = os.read(self._fd, min(size, left))
        except OSError as error:
            raise local_error(error, printable_path(self._path), "read") from error
        self._taken += len(data)
        return data

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset` on; none at the end. These don't count as taken."""
        try:
            return os.pread(self._fd, size, offset)
        except OSError as error:
            raise local_error(error, printable_path(self._path), "read") from error

    def fileno(self) -> int:
        """The descriptor, for whoever reads by other means than `read`."""
        return self._fd

    def check_unchanged(self, taken: int | None = None, *, same: bool = True) -> None:
        """Call when all was read.

        Args:
            taken: bytes that were read; by default those that `read` gave.
            same: whether they are those of an earlier reading, where there was one.

        Raises:
            LocalFileError: the file was written, or cut short, since it was opened.
        """
        now, then = os.fstat(self._fd), self._before
        taken = self._taken if taken is None else taken
        if not same or taken != then.st_size or (now.st_size, now.st_mtime_ns) != (then.st_size, then.st_mtime_ns):
            raise LocalFileError(
                f"{printable_path(self._path)!r} changed while it was read ({then.st_size:,} bytes before, {now.st_size:,} now); "
                "nothing was stored: run this again when nobody writes it"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)


class _LocalErrors(AbstractContextManager[None]):
    def __init__(self, shown: str) -> None:
        self._shown = shown

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            raise local_error(error, self._shown, "write") from error


class ReplacementFile:
    """A file that takes the place of `path` when it is committed, in one step; until then `path` stays as it was.

    Used as a context manager; leaving it without `commit()` removes what was written. Missing folders are made. The mode
    stays what it was; only of a read-only file with several names, whose mode is the others' too, it is a new file's. The
    file is not flushed to disk: what was downloaded can be fetched again, and a flush per file costs more than the rest.

    Args:
        identity: names what the file is to hold, as far as it is known before. What an earlier process left of the same for
            `path`, when it was killed or left it with `keep` set, is taken up again, unless another one writes it.

    Attributes:
        part: the path of the bytes until they are committed.
        resumable: a later process finds this part.
        keep: set it to leave the part for a later process where an interrupt, or an error that may pass, ends the block.

    Raises:
        LocalFileError: `path` is a directory or no regular file, or its folder can't be written.
        InsufficientStorage: the disk is full.
    """

    def __init__(self, path: str | os.PathLike[str], *, identity: str = "") -> None:
        self._path = os.fspath(path)
        self._shown = printable_path(path)
        try:
            status = os.lstat(self._path)
            if stat.S_ISLNK(status.st_mode):  # it keeps pointing where it does; what it points at is replaced
                self._path = os.path.realpath(self._path)
                status = os.stat(self._path)
            mode = status.st_mode
            if not stat.S_ISREG(mode):
                what = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
                raise LocalFileError(f"can't write {self._shown!r}: it is {what}; name a file")
            if stat.S_IMODE(mode) == _LINKED and status.st_nlink > 1:
                mode = 0
        except FileNotFoundError:
            mode = 0
        except OSError as error:
            raise local_error(error, self._shown, "write") from error
        except ValueError:
            raise LocalFileError(f"can't write {self._shown!r}: a path holds no NUL character") from None
        folder, name = os.path.split(self._path)
        if not name:
            raise LocalFileError(f"can't write {self._shown!r}: name a file, not a folder")
        self.keep = False
        try:
            try:
                self._open_part(folder, name, identity)
            except FileNotFoundError:
                os.makedirs(folder, exist_ok=True)
                self._open_part(folder, name, identity)
        except OSError as error:
            raise local_error(error, self._shown, "write") from error
        self._open = True
        self._mode = stat.S_IMODE(mode)
        if mode:
            self._set_mode(self._mode | _OURS)  # a later process has to be able to open it

    def _open_part(self, folder: str, name: str, identity: str) -> None:
        if identity:
            named = hashlib.sha256(f"{name}\0{identity}".encode("utf-8", "surrogateescape"), usedforsecurity=False)
            self.part = os.path.join(folder, _RESUMABLE_PREFIX + named.hexdigest()[:16])
            if (fd := _taken_up(self.part)) is not None:
                self._fd, self.resumable = fd, True
                return
        self.resumable = False
        while True:
            self.part = os.path.join(folder, PART_PREFIX + os.urandom(8).hex())
            self._fd = os.open(self.part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            # Held as long as the part is being written: `sweep_parts` leaves it alone. A file system without locks
            # has no sweep either.
            with suppress(OSError):
                fcntl.flock(self._fd, fcntl.LOCK_EX)
            if os.fstat(self._fd).st_nlink:
                return
            os.close(self._fd)  # it was swept before it was held

    def start_over(self) -> None:
        """Drop all that was written, also by an earlier process."""
        with self.errors:
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)

    def sync(self) -> None:
        """Return when what was written is on the disk."""
        with self.errors:
            os.fdatasync(self._fd)

    def write(self, data: bytes | memoryview) -> None:
        """Take all of `data`."""
        view = memoryview(data)
        with self.errors:
            while view:
                view = view[os.write(self._fd, view) :]

    def write_at(self, offset: int, chunks: Sequence[bytes]) -> None:
        """Put the chunks, at most 1,024, at `offset`, one after the other; for several threads, each at its own place."""
        with self.errors:
            written = os.pwritev(self._fd, chunks, offset) if chunks else 0
            if written < sum(map(len, chunks)):  # a disk that is full next, or a signal
                view = memoryview(b"".join(chunks))
                while written < len(view):
                    written += os.pwrite(self._fd, view[written:], offset + written)

    def read_at(self, offset: int, buffer: memoryview) -> int:
        """Read back what was written at `offset`; the number of bytes read."""
        with self.errors:
            return os.preadv(self._fd, [buffer], offset)

    def fileno(self) -> int:
        """The descriptor, open for reading and writing, for whoever writes by other means than `write`."""
        return self._fd

    @property
    def errors(self) -> AbstractContextManager[None]:
        """In its block, which may be entered any number of times, an `OSError` becomes the sentence about this file."""
        return _LocalErrors(self._shown)

    def _set_mode(self, mode: int) -> None:
        with suppress(OSError):  # a file system without modes has none to keep
            os.fchmod(self._fd, mode)

    def commit(self) -> None:
        """Put the file in its place."""
        if self._mode and self._mode & _OURS != _OURS:
            self._set_mode(self._mode)
        with self.errors:
            os.rename(self.part, self._path)
        self._open = False
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open:
            self._open = False
            may_pass = isinstance(error, KeyboardInterrupt) or (isinstance(error, StorageError) and error.retryable)
            if not (self.keep and self.resumable and may_pass):
                with suppress(FileNotFoundError):  # before it is closed: nobody else has taken it up yet
                    os.unlink(self.part)
            os.close(self._fd)


def _taken_up(part: str) -> int | None:
    """The descriptor of this part, made where it is missing and locked; None where it can't be had for oneself alone."""
    try:
        fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except FileNotFoundError:
        raise
    except OSError:  # whatever has this name there
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(fd)
        # Anybody can guess the name; and whoever has written it may have put it in its place meanwhile.
        ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_nlink == 1
        if ours and os.path.samestat(status, os.lstat(part)):
            return fd
    except OSError:  # it is being written, or there are no locks
        pass
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


def sweep_parts(folder: str) -> None:
    """Remove the parts that killed downloads left in `folder`.

    Those still being written stay, and for seven days those that a later run can go on with.
    """
    try:
        with os.scandir(folder or ".") as entries:
            parts = [entry.path for entry in entries if entry.name.startswith(PART_PREFIX)]
    except OSError:
        return
    for part in parts:
        try:
            fd = os.open(part, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            status = os.fstat(fd)
            if stat.S_ISREG(status.st_mode) and _is_left(part, status):
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(status, os.lstat(part)):  # and not meanwhile put in its place
                    os.unlink(part)
        except OSError:
            pass  # somebody writes it, or removed it first
        finally:
            os.close(fd)


def _is_left(part: str, status: os.stat_result) -> bool:
    if os.path.basename(part).startswith(_RESUMABLE_PREFIX) and status.st_size > _WORTH_RESUMING:
        return time.time() - status.st_mtime > _RESUMABLE_SECONDS
    return True
