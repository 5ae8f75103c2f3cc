"""Moving the bytes of one file to another: in the kernel where it can, and hashed beside, not after.

The hash of a large file is taken from what was written, not from what was read: it is true of the copy whatever the
source did meanwhile, and the bytes need not pass through this process on their way.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from domain.objects import Progress

_CHUNK = 4 << 20
"""Bytes a step: long enough that handing a step from one thread to the other costs nothing."""

_NOT_IN_KERNEL = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF})


class Digest(Protocol):
    """What is told the bytes that are moved."""

    def update(self, data: bytes | memoryview, /) -> None: ...


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of `data`; a write may take only a part."""
    written = os.write(fd, data)
    if written < len(data):
        view = memoryview(data)[written:]
        while view:
            view = view[os.write(fd, view) :]


def pump(
    source: int,
    target: int,
    size: int,
    progress: Progress | None,
    errors: AbstractContextManager[None],
    digest: Digest | None,
) -> int:
    """Copy the open file `source`, from where it stands to its end, to the empty open file `target`.

    Args:
        size: bytes expected; a hint only.
        target: open for reading and writing.
        errors: entered around each step, but not around `progress`, whose errors are the caller's own.
        digest: gets all bytes, in order; None where nobody wants to know what they hash to.

    Returns:
        The number of bytes moved.

    Raises:
        Whatever `errors` makes of an `OSError`.
    """
    if size < _CHUNK:
        # One byte more than expected is asked for, and no more: the answer shows the end without another call, and a
        # buffer of a whole chunk would cost more than a small file.
        with errors:
            data = os.read(source, size + 1)
            if len(data) == size:
                write_all(target, data)
            else:
                os.lseek(source, 0, os.SEEK_SET)
        if len(data) == size:
            if progress:
                progress(size)
            if digest:
                digest.update(data)
            return size
    return _pump_large(source, target, progress, errors, digest)


def _pump_large(
    source: int,
    target: int,
    progress: Progress | None,
    errors: AbstractContextManager[None],
    digest: Digest | None,
) -> int:
    from concurrent.futures import Future, ThreadPoolExecutor

    buffer = memoryview(bytearray(_CHUNK))

    def take(start: int, length: int, digest: Digest) -> None:
        while length:
            got = os.preadv(target, [buffer[:length]], start)
            if not got:
                raise OSError(errno.EIO, "what was just written is not there")
            digest.update(buffer[:got])
            start, length = start + got, length - got

    moved = 0
    hashed: Future[None] | None = None
    step = copier(source, target)
    with ThreadPoolExecutor(1, thread_name_prefix="hash") as beside:
        while True:
            with errors:
                length = step()
                if hashed:
                    hashed.result()  # one step ahead at most: there is one buffer
            if not length:
                break
            if digest:
                hashed = beside.submit(take, moved, length, digest)
            moved += length
            if progress:
                progress(length)
    return moved


def copier(source: int, target: int) -> Callable[[], int]:
    """A function that copies the next chunk and says how many bytes it had: 0 at the end."""
    in_kernel = hasattr(os, "copy_file_range")

    def step() -> int:
        nonlocal in_kernel
        if in_kernel:
            try:
                return os.copy_file_range(source, target, _CHUNK)
            except OSError as error:
                if error.errno not in _NOT_IN_KERNEL:
                    raise
                in_kernel = False
        data = os.read(source, _CHUNK)
        write_all(target, data)
        return len(data)

    return step
