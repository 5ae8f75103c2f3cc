"""Moving the bytes of one file: hashed on the way, the hashing beside the writing and not after it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

from domain.local_files import CHUNK_BYTES
from domain.objects import Progress


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of `data`; a write may take only a part."""
    written = os.write(fd, data)
    if written < len(data):
        view = memoryview(data)[written:]
        while view:
            view = view[os.write(fd, view) :]


def pump(
    read: Callable[[int], bytes], write: Callable[[bytes], None], size: int, progress: Progress | None
) -> tuple[int, bytes]:
    """Move everything from `read` to `write`.

    Args:
        size: bytes expected; a hint only.

    Returns:
        The number of bytes moved and their SHA-256 digest (32 bytes).
    """
    if size >= CHUNK_BYTES:
        return _pump_large(read, write, progress)
    # One byte more than expected is asked for, and no more: the answer shows the end without another call, and a
    # buffer of a whole chunk would cost more than the file.
    data = read(size + 1)
    if len(data) == size:
        write(data)
        if progress:
            progress(size)
        return size, hashlib.sha256(data, usedforsecurity=False).digest()
    digest = hashlib.sha256(usedforsecurity=False)
    moved = 0
    while data:
        digest.update(data)
        write(data)
        moved += len(data)
        if progress:
            progress(len(data))
        data = read(CHUNK_BYTES)
    return moved, digest.digest()


def _pump_large(
    read: Callable[[int], bytes], write: Callable[[bytes], None], progress: Progress | None
) -> tuple[int, bytes]:
    from concurrent.futures import Future, ThreadPoolExecutor

    digest = hashlib.sha256(usedforsecurity=False)
    moved = 0
    hashed: Future[None] | None = None
    with ThreadPoolExecutor(1) as beside:
        while data := read(CHUNK_BYTES):
            if hashed:
                hashed.result()  # one chunk ahead at most: memory stays at two
            hashed = beside.submit(digest.update, data)
            write(data)
            moved += len(data)
            if progress:
                progress(len(data))
    return moved, digest.digest()


def copy_all(source: int, target: int) -> None:
    """Copy the open file `source` to `target` inside the kernel where it can."""
    if hasattr(os, "copy_file_range"):
        try:
            while os.copy_file_range(source, target, 1 << 30):
                pass
            return
        except OSError:
            os.lseek(source, 0, os.SEEK_SET)
            os.ftruncate(target, 0)
            os.lseek(target, 0, os.SEEK_SET)
    while data := os.read(source, CHUNK_BYTES):
        write_all(target, data)
