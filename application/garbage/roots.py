"""What is in use: the addresses that everything else in a store begins at.

A source of roots adds all that it knows to be in use, or raises: whoever goes on without a part of it deletes what is needed.
It is asked more than once in a run, and may skip what it has added before: what was in use at the first time is kept.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from application.dataset_records import DatasetRecords
from application.garbage.addresses import Contents, is_manifest, packed, unpacked
from domain.content import DVC_MD5, SHA256
from domain.datasets import DatasetVersion
from domain.errors import ContentCorrupted, InvalidRequest, ObjectNotFound, StorageError
from domain.keys import shortened
from domain.manifests import read_dvc_manifest, read_table
from domain.storage import IStorageProvider
from domain.streams import ObjectReader

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PINS = ".lading/pins/"

Named = Callable[[], Iterable[tuple[str, str]]]
"""Gives addresses of the DVC store, each with a place where it is named, for a message."""


class Live:
    """The addresses in use, each as `packed` gives it.

    Attributes:
        sha256: in Lading's own content.
        md5: in the DVC store.
        tables: those of them, in `sha256`, that name files.
    """

    def __init__(self) -> None:
        self.sha256: set[bytes] = set()
        self.md5: set[bytes] = set()
        self.tables: dict[bytes, str] = {}

    def of(self, contents: Contents) -> set[bytes]:
        """Those of one place."""
        return self.sha256 if contents.scheme is SHA256 else self.md5


class Roots(Protocol):
    """A source of roots."""

    def add_to(self, live: Live) -> None:
        """Add all that is in use by now.

        Raises:
            StorageError: a part of it can't be known.
        """


class VersionRoots:
    """The versions of datasets that were not removed.

    Args:
        provider: of the records and the tables.
        prefix: of the tables.
        files: whether the files of each version are wanted, and not only its table: each table is read once for that.
        seen: hears of so many files more.
    """

    def __init__(
        self, provider: IStorageProvider, prefix: str, *, files: bool, seen: Callable[[int], object] = int
    ) -> None:
        self._provider = provider
        self._prefix = prefix
        self._files = files
        self._seen = seen
        self._read: set[str] = set()

    def add_to(self, live: Live) -> None:
        for version in DatasetRecords(self._provider).all():
            table = packed(version.table)
            live.sha256.add(table)
            live.tables[table] = str(version.reference)
            live.md5.add(packed(version.content))
            if self._files and version.table not in self._read:
                self._add_files(live, version)
                self._read.add(version.table)

    def _add_files(self, live: Live, version: DatasetVersion) -> None:
        key = SHA256.key(self._prefix, version.table)
        shown = f"the table of the files of {shortened(str(version.reference))}"
        try:
            with self._provider.open_reader(key) as reader, _Digesting(reader) as digesting:
                with io.BufferedReader(digesting, 1 << 20) as lines:
                    before = len(live.md5)
                    for entry in read_table(lines, shown):
                        live.md5.add(packed(entry.md5))
                self._seen(len(live.md5) - before)
                found = digesting.hexdigest()
        except ObjectNotFound as error:
            raise missing_table(self._provider, key, str(version.reference)) from error
        if found != version.table:
            raise ContentCorrupted(
                f"{shown} reads as SHA-256 {found[:12]}…, and its address is {version.table[:12]}…: what that version needs "
                "can't be known, and nothing was deleted; restore it, or remove the version",
                provider=self._provider.name,
                key=key,
            )


class PinRoots:
    """What was pinned: by an object `.lading/pins/<address>`, or in a list of addresses `.lading/pins/<token>.json`."""

    def __init__(self, provider: IStorageProvider) -> None:
        self._provider = provider
        self._read: set[str] = set()

    def add_to(self, live: Live) -> None:
        lists = []
        for info in self._provider.list_objects(PINS):
            name = info.key[len(PINS) :]
            if not name.endswith(".json"):
                self._add(live, name, info.key)
            elif info.key not in self._read:
                lists.append(info.key)
        for key, data in self._provider.get_many(lists):
            if isinstance(data, ObjectNotFound):
                continue  # unpinned in this moment
            if isinstance(data, StorageError):
                raise data
            self._add_list(live, key, data)
            self._read.add(key)

    def _add_list(self, live: Live, key: str, data: bytes) -> None:
        try:
            named = json.loads(data)
            if not isinstance(named, list):
                raise ValueError("it is no list")
        except (ValueError, RecursionError) as error:
            raise self._no_pin(key, str(error)) from error
        for address in named:
            self._add(live, address, key)

    def _add(self, live: Live, address: object, key: str) -> None:
        for scheme, known in ((SHA256, live.sha256), (DVC_MD5, live.md5)):
            try:
                known.add(packed(scheme.checked(address)))  # type: ignore[arg-type]
            except InvalidRequest:
                continue
            return
        raise self._no_pin(key, f"{shortened(repr(address))} is no address")

    def _no_pin(self, key: str, why: str) -> ContentCorrupted:
        return ContentCorrupted(
            f"the pin {shortened(key)!r} can't be read ({shortened(why)}), so what it keeps can't be known and nothing was "
            "deleted; restore it, or delete it if nobody needs it",
            provider=self._provider.name,
            key=key,
        )


class NamedRoots:
    """What others name that can tell of all they need, such as the history of a git repository with `.dvc` files.

    Args:
        contents: the DVC store.
        named: gives the addresses, those of manifests with `.dir`, each with the place where it is named.
        allow_missing: go on where a manifest is not in the store, as that of a version which was never pushed there.
    """

    def __init__(self, contents: Contents, named: Named, *, allow_missing: bool = False) -> None:
        self._contents = contents
        self._named = named
        self._allow_missing = allow_missing
        self._read: set[bytes] = set()

    def add_to(self, live: Live) -> None:
        for name, where in self._named():
            address = packed(DVC_MD5.checked(name))
            live.md5.add(address)
            if is_manifest(address) and address not in self._read:
                try:
                    live.md5.update(files_of_manifest(self._contents, address))
                except ObjectNotFound as error:
                    if not self._allow_missing:
                        raise ObjectNotFound(
                            f"the manifest {name}, named in {where}, is not in {self._contents.place}: the files it needs can't "
                            "be known, and nothing was deleted; push it with dvc, or add --allow-missing if it was never pushed",
                            provider=error.provider,
                            key=error.key,
                        ) from error
                self._read.add(address)


def files_of_manifest(contents: Contents, address: bytes) -> list[bytes]:
    """The addresses of the files that a directory's manifest names.

    Raises:
        ObjectNotFound: it is not there.
        ContentCorrupted: it is damaged.
    """
    key = contents.key(address)
    name = unpacked(address)
    data = contents.provider.get_bytes(key)
    if hashlib.md5(data, usedforsecurity=False).digest() != address[:-1]:
        raise ContentCorrupted(
            f"the manifest {name} does not have the hash that its name says: the files it needs can't be known, and nothing "
            "was deleted; restore it from its source",
            provider=contents.provider.name,
            key=key,
        )
    return [bytes.fromhex(md5) for _, md5 in read_dvc_manifest(data, f"the manifest {name}")]


def missing_table(provider: IStorageProvider, key: str, reference: str) -> ObjectNotFound:
    """The error to raise where the table of a version is gone."""
    return ObjectNotFound(
        f"the table of the files of {shortened(reference)} is gone: what that version needs can't be known, and nothing was "
        "deleted; restore it, or remove the version",
        provider=provider.name,
        key=key,
    )


class _Digesting(io.RawIOBase):
    """The stream of an object with the SHA-256 of all that was read of it."""

    def __init__(self, reader: ObjectReader) -> None:
        self._reader = reader
        self._hash = hashlib.sha256(usedforsecurity=False)
        self.hexdigest = self._hash.hexdigest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        count = self._reader.readinto(view)
        self._hash.update(view[:count])
        return count
