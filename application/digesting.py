"""The files of a folder with both their hashes, each read at most once, and not at all where it is remembered."""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import NamedTuple

from application.local_tree import LocalFile, Symlinks, is_settled, scan, state_of
from domain.errors import LocalFileError
from domain.known_hashes import KnownHash, KnownHashes, Remembered
from domain.local_files import CHUNK_BYTES, LocalSource, printable_path
from domain.manifests import FileEntry

_SMALL_BYTES = 1 << 20
"""To hand over a smaller file to another thread takes longer than to hash it."""
_BOTH_AT_ONCE_BYTES = 64 << 20
_KEPT_TOGETHER = 20_000
_TOLD_EVERY = 1000


class Digested(NamedTuple):
    """A file with its hashes.

    Attributes:
        state: in which it has them; as `local_tree.state_of`.
    """

    entry: FileEntry
    state: str


def digested_folder(
    folder: str, known: KnownHashes, *, symlinks: Symlinks = Symlinks.FOLLOW, seen: Callable[[int], object] = int
) -> Iterator[Digested]:
    """Every file below `folder`, in UTF-8 byte order of the names.

    Args:
        seen: called now and then with the number of files that are done.

    Raises:
        LocalFileError: one can't be read or changes meanwhile, or as `local_tree.scan`.
    """
    root = folder if folder.endswith("/") else f"{folder}/"
    place = f"{os.path.realpath(folder)}/"
    remembered = Remembered(known.files(place))
    learnt: list[KnownHash] = []
    begun = time.time_ns()
    count = 0
    try:
        for digested, was_known in _in_order(root, scan(folder, symlinks=symlinks), remembered):
            if not was_known and is_settled(digested.state, begun):
                entry = digested.entry
                learnt.append(KnownHash(entry.name, digested.state, entry.sha256, entry.md5))
                if len(learnt) >= _KEPT_TOGETHER:
                    known.remember_files(place, learnt)
                    learnt = []
            yield digested
            count += 1
            if not count % _TOLD_EVERY:
                seen(count)
    finally:
        known.remember_files(place, learnt)  # also where it ends early: the next run goes on from there
    seen(count)


def digested_file(path: str, name: str | None = None, *, stopped: Event | None = None) -> Digested:
    """One file with its hashes.

    Args:
        name: that it is to have; its own by default.
        stopped: set where nobody waits for it any more.

    Raises:
        LocalFileError: it can't be read, or changed meanwhile.
        KeyboardInterrupt: it was stopped.
    """
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256(usedforsecurity=False)
    with LocalSource(path) as source:
        state = state_of(os.fstat(source.fileno()))
        if source.size < _BOTH_AT_ONCE_BYTES:
            while chunk := source.read(CHUNK_BYTES):
                md5.update(chunk)
                sha256.update(chunk)
        else:
            with ThreadPoolExecutor(1, thread_name_prefix="lading-md5") as beside:
                hashed: Future[None] | None = None
                while chunk := source.read(CHUNK_BYTES):
                    if stopped and stopped.is_set():
                        raise KeyboardInterrupt
                    if hashed:
                        hashed.result()
                    hashed = beside.submit(md5.update, chunk)
                    sha256.update(chunk)
        source.check_unchanged()
        if state_of(os.fstat(source.fileno())) != state:
            raise LocalFileError(f"{printable_path(path)!r} changed while it was read; run this again")
        name = os.path.basename(path) if name is None else name
        return Digested(FileEntry(name, md5.hexdigest(), sha256.hexdigest(), source.size), state)


def _in_order(root: str, files: Iterable[LocalFile], remembered: Remembered) -> Iterator[tuple[Digested, bool]]:
    """Each file, and whether its hashes were known; large ones are read by several threads, and still come in their turn."""
    width = os.cpu_count() or 1
    waiting: deque[tuple[Future[Digested] | Digested, bool]] = deque()
    reading = 0
    stopped = Event()
    with ThreadPoolExecutor(width, thread_name_prefix="lading-hash") as readers:
        try:
            for name, size, state in files:
                known = remembered.find(name, state)
                if known and known.md5:
                    waiting.append((Digested(FileEntry(name, known.md5, known.sha256, size), state), True))
                elif size < _SMALL_BYTES:
                    waiting.append((digested_file(root + name, name), False))
                else:
                    waiting.append((readers.submit(digested_file, root + name, name, stopped=stopped), False))
                    reading += 1
                while waiting and (not isinstance(waiting[0][0], Future) or reading > 2 * width):
                    first, was_known = waiting.popleft()
                    if isinstance(first, Future):
                        first, reading = first.result(), reading - 1
                    yield first, was_known
            while waiting:
                first, was_known = waiting.popleft()
                yield (first.result() if isinstance(first, Future) else first), was_known
        finally:
            stopped.set()
            readers.shutdown(wait=True, cancel_futures=True)
