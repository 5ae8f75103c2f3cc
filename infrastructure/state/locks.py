"""What only one program of this user on this machine should do at a time."""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from infrastructure.state.database import make_private, state_folder


class Held:
    """A name that is held until `release()`, the end of the `with` block, or the death of the process."""

    def __init__(self, fd: int, path: Path) -> None:
        self._fd = fd
        self._path = path

    def release(self) -> None:
        """Let go of it. The second time nothing happens."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with suppress(OSError):
                self._path.unlink()  # before the lock ends: whoever has it open already looks whether it is still there
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def try_hold(name: str, folder: Path | None = None) -> Held | None:
    """Hold `name`, which may be any text; None where it is held, by another process or by this one.

    Args:
        folder: where the files are that are locked, if not the user's.

    Raises:
        OSError: there are no locks to be had here; the caller goes on without.
    """
    folder = folder or state_folder() / "locks"
    make_private(folder)
    path = folder / hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(path, fd):
                return Held(fd, path)
        except BlockingIOError:
            os.close(fd)
            return None
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # whoever held it before has removed it meanwhile


def _is(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except FileNotFoundError:
        return False
