"""The two sides of a transfer: what is there, in what state, and with which content."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

from application.local_tree import Symlinks, is_settled, scan, state_of
from domain.errors import BucketNotFound, LocalFileError, ObjectNotFound, StorageError
from domain.known_hashes import KnownHash, KnownHashes, Remembered
from domain.local_files import CHUNK_BYTES, LocalSource, local_error, printable_path
from domain.storage import IStorageProvider, ObjectInfo

_READERS = 8
_HASHED_TOGETHER = 512


class Entry(NamedTuple):
    """A file or an object.

    Attributes:
        name: what follows the root of its side.
        size: bytes.
        state: another one whenever the content changes.
        sha256: of this state, where it is known without asking; else empty.
    """

    name: str
    size: int
    state: str
    sha256: str


class Side(Protocol):
    """One side of a transfer.

    Attributes:
        root: what all paths or keys of this side begin with.
        shown: the side, for a person.
    """

    root: str
    shown: str

    def entries(self, excluded: Callable[[str], bool] | None = None) -> Iterator[Entry]:
        """All that is there, in UTF-8 byte order of the names: complete, or an error.

        Args:
            excluded: as for `scan`.
        """

    def hashes(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, str | StorageError]]:
        """The SHA-256 of each of these, in any order, found out by reading or asking, and remembered."""

    def remember(self, known: Iterable[KnownHash]) -> None:
        """Keep hashes that were learnt elsewhere: of files only such as have settled (`local_tree.is_settled`)."""


class LocalFolder:
    """The files below a folder; none where it is missing."""

    def __init__(self, folder: str, known: KnownHashes, *, symlinks: Symlinks = Symlinks.FOLLOW) -> None:
        folder = folder or "."
        self.root = folder if folder.endswith("/") else f"{folder}/"
        self.shown = printable_path(folder)
        self._known = known
        self._place = f"{os.path.realpath(folder)}/"
        self._symlinks = symlinks

    def entries(self, excluded: Callable[[str], bool] | None = None) -> Iterator[Entry]:
        if not os.path.isdir(self.root):
            return
        known = Remembered(self._known.files(self._place))
        for name, size, state in scan(self.root, symlinks=self._symlinks, excluded=excluded):
            yield Entry(name, size, state, known.sha256(name, state))

    def finder(self) -> Callable[[str], Entry | None]:
        """Looks up one name after the other, in UTF-8 byte order; what else is in the folder does not matter."""
        known = Remembered(self._known.files(self._place))

        def find(name: str) -> Entry | None:
            try:
                status = os.stat(self.root + name)
            except FileNotFoundError:
                return None
            except ValueError:
                return None  # a NUL in it: no file has that name
            except OSError as error:
                raise local_error(error, printable_path(self.root + name), "read") from error
            if stat.S_ISDIR(status.st_mode):
                raise LocalFileError(
                    f"{printable_path(self.root + name)!r} is a folder, and a file is to be there; take it out of the way"
                )
            state = state_of(status)
            return Entry(name, status.st_size if stat.S_ISREG(status.st_mode) else -1, state, known.sha256(name, state))

        return find

    def hashes(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, str | StorageError]]:
        learnt = []
        for entry in entries:
            begun = time.time_ns()
            try:
                sha256, state = hash_of_file(self.root + entry.name)
            except StorageError as error:
                yield entry, error
            else:
                if is_settled(state, begun):
                    learnt.append(KnownHash(entry.name, state, sha256))
                yield entry, sha256
        self.remember(learnt)

    def remember(self, known: Iterable[KnownHash]) -> None:
        self._known.remember_files(self._place, known)


class LocalFileAlone(LocalFolder):
    """One file, which may have another name at the other side."""

    def __init__(self, path: str, known: KnownHashes) -> None:
        super().__init__(os.path.dirname(path) or ".", known)
        self.root = path
        self.shown = printable_path(path)

    def entries(self, excluded: Callable[[str], bool] | None = None) -> Iterator[Entry]:
        found = self.finder()("")
        if found:
            yield found

    def remember(self, known: Iterable[KnownHash]) -> None:
        """A single file is read again sooner than looked up."""


class StorePrefix:
    """The objects under a prefix.

    Args:
        prefix: empty, or ending in '/'.
    """

    def __init__(self, provider: IStorageProvider, prefix: str, known: KnownHashes) -> None:
        self.provider = provider
        self.root = prefix
        self.shown = f"{provider.describe().url}/{prefix}".rstrip("/")
        self._known = known
        self._store = store_name(provider)

    def entries(self, excluded: Callable[[str], bool] | None = None) -> Iterator[Entry]:
        known = Remembered(self._known.objects(self._store, self.root))
        start = len(self.root)
        excluded = excluded and _with_folders(excluded)
        for info in self.provider.list_objects(self.root):
            name = info.key[start:]
            # An empty object `runs/` is how some programs mark a folder: there is nothing in it to move.
            if (name.endswith("/") or not name) and not info.size:
                continue
            if excluded and excluded(name):
                continue
            yield Entry(name, info.size, info.etag, known.sha256(name, info.etag))

    def hashes(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, str | StorageError]]:
        by_key = {self.root + entry.name: entry for entry in entries}
        learnt: list[KnownHash] = []
        without: list[ObjectInfo] = []

        def told(info: ObjectInfo, sha256: str) -> tuple[Entry, str]:
            entry = by_key[info.key]
            learnt.append(KnownHash(entry.name, info.etag, sha256))
            return entry, sha256

        for key, found in self.provider.head_many(by_key):
            if isinstance(found, StorageError):
                yield by_key[key], found
            elif found.sha256:
                yield told(found, found.sha256)
            else:
                without.append(found)
        # Others put these there, without a hash: reading them once is the only way to know.
        with ThreadPoolExecutor(_READERS if self.provider.capabilities.remote else 1) as readers:
            for info, sha256 in zip(without, readers.map(self._read, without), strict=True):
                yield (by_key[info.key], sha256) if isinstance(sha256, StorageError) else told(info, sha256)
        self.remember(learnt)

    def _read(self, info: ObjectInfo) -> str | StorageError:
        try:
            return hash_of_object(self.provider, info)
        except StorageError as error:
            return error

    def remember(self, known: Iterable[KnownHash]) -> None:
        self._known.remember_objects(self._store, self.root, known)


def _with_folders(excluded: Callable[[str], bool]) -> Callable[[str], bool]:
    """The same for keys, which have no folders: what is in a folder that is left out is left out, as on a disk."""
    # The folders that the last name is in, and whether each is left out; names come in order.
    above: list[tuple[str, bool]] = []

    def leaves_out(name: str) -> bool:
        while above and not name.startswith(above[-1][0]):
            above.pop()
        end = name.find("/", len(above[-1][0]) if above else 0)
        while end >= 0:
            folder = name[: end + 1]
            above.append((folder, (bool(above) and above[-1][1]) or excluded(folder)))
            end = name.find("/", end + 1)
        return (bool(above) and above[-1][1]) or excluded(name)

    return leaves_out


class ObjectAlone(StorePrefix):
    """One object, which may have another name at the other side."""

    def __init__(
        self, provider: IStorageProvider, key: str, known: KnownHashes, info: ObjectInfo | None = None
    ) -> None:
        super().__init__(provider, key, known)
        self._info = info

    def entries(self, excluded: Callable[[str], bool] | None = None) -> Iterator[Entry]:
        try:
            info = self._info or self.provider.head(self.root)
        except ObjectNotFound:
            return
        yield Entry("", info.size, info.etag, info.sha256 or "")


class MayBeMissing:
    """A side that is written to: of a bucket that is not there the first write will tell, or make it."""

    def __init__(self, side: StorePrefix) -> None:
        self._side = side
        self.root = side.root
        self.shown = side.shown
        self.hashes = side.hashes
        self.remember = side.remember

    def entries(self, excluded: Callable[[str], bool] | None = None) -> Iterator[Entry]:
        try:
            yield from self._side.entries(excluded)
        except BucketNotFound:
            return


def store_name(provider: IStorageProvider) -> str:
    """A name for a bucket of a store, the same in every run."""
    location = provider.describe()
    return f"{location.endpoint_url or ''} {location.url}"


def hash_of_object(provider: IStorageProvider, info: ObjectInfo) -> str:
    """The SHA-256 of an object, found out by reading it in the state that `info` tells of.

    Raises:
        StorageError: it can't be read, or has changed.
    """
    digest = hashlib.sha256(usedforsecurity=False)
    with provider.open_reader(info.key, if_match=info.etag) as reader:
        while chunk := reader.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def hash_of_file(path: str) -> tuple[str, str]:
    """The SHA-256 of a file, and the state in which it has it.

    Raises:
        LocalFileError: it can't be read, or changed meanwhile.
    """
    digest = hashlib.sha256(usedforsecurity=False)
    with LocalSource(path) as source:
        state = state_of(os.fstat(source.fileno()))
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
        source.check_unchanged()
        if state_of(os.fstat(source.fileno())) != state:
            raise LocalFileError(f"{printable_path(path)!r} changed while it was read; run this again")
    return digest.hexdigest(), state


def differences(
    source: Side, target: Side, pairs: Iterable[tuple[Entry, Entry]], *, believe: bool
) -> Iterator[tuple[Entry, Entry, str]]:
    """For each pair of one size why they are not the same; empty where they are.

    Args:
        believe: whether hashes that are remembered will do.
    """
    unknown: list[tuple[Entry, Entry]] = []
    for pair in pairs:
        mine, theirs = pair
        if believe and mine.sha256 and theirs.sha256:
            yield mine, theirs, "" if mine.sha256 == theirs.sha256 else "content differs"
            continue
        unknown.append(pair)
        if len(unknown) >= _HASHED_TOGETHER:
            yield from _compared(source, target, unknown, believe)
            unknown = []
    yield from _compared(source, target, unknown, believe)


def _compared(
    source: Side, target: Side, pairs: Sequence[tuple[Entry, Entry]], believe: bool
) -> Iterator[tuple[Entry, Entry, str]]:
    mine = _found_out(source, [pair[0] for pair in pairs], believe)
    theirs = _found_out(target, [pair[1] for pair in pairs], believe)
    for pair in pairs:
        left, right = mine[pair[0].name], theirs[pair[1].name]
        if isinstance(left, StorageError) or isinstance(right, StorageError):
            # One file stops no others: what is wrong with it is told when it is moved.
            yield *pair, "unreadable"
        else:
            yield *pair, "" if left == right else "content differs"


def _found_out(side: Side, entries: Sequence[Entry], believe: bool) -> dict[str, str | StorageError]:
    known: dict[str, str | StorageError] = {}
    if believe:
        known = {entry.name: entry.sha256 for entry in entries if entry.sha256}
    for entry, sha256 in side.hashes([entry for entry in entries if entry.name not in known]):
        known[entry.name] = sha256
    return known
