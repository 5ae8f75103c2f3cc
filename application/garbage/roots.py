"""What is in use: the addresses that everything else in a store begins at.

A source of roots adds all that it knows to be in use, or raises: whoever goes on without a part of it deletes what is needed.
It is asked more than once in a run, and may skip what it has added before: what was in use at the first time is kept.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from application.dataset_records import DatasetRecords
from application.garbage.addresses import Contents, is_manifest, packed, unpacked
from domain.content import DVC_MD5, SHA256
from domain.errors import ContentCorrupted, InvalidRequest, ObjectNotFound, StorageError
from domain.keys import shortened
from domain.manifests import read_dvc_manifest, read_table
from domain.storage import IStorageProvider

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
        versions: dict[str, str] = {}
        for version in DatasetRecords(self._provider).all():
            table = packed(version.table)
            live.sha256.add(table)
            live.tables[table] = str(version.reference)
            live.md5.add(packed(version.content))
            if self._files and version.table not in self._read:
                versions[SHA256.key(self._prefix, version.table)] = version.table
        for key, data in self._provider.get_many(versions):
            table = packed(versions[key])
            if isinstance(data, ObjectNotFound):
                raise missing_table(self._provider, key, live.tables[table]) from data
            if isinstance(data, StorageError):
                raise data
            self._add_files(live, key, table, data)
            self._read.add(versions[key])

    def _add_files(self, live: Live, key: str, table: bytes, data: bytes) -> None:
        shown = f"the table of the files of {shortened(live.tables[table])}"
        found = hashlib.sha256(data).digest()
        if found != table:
            raise ContentCorrupted(
                f"{shown} reads as SHA-256 {found.hex()[:12]}…, and its address is {table.hex()[:12]}…: what that version needs "
                "can't be known, and nothing was deleted; restore it, or remove the version",
                provider=self._provider.name,
                key=key,
            )
        before = len(live.md5)
        live.md5.update(packed(entry.md5) for entry in read_table(io.BytesIO(data), shown))
        self._seen(len(live.md5) - before)


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
        manifests: dict[bytes, str] = {}
        for name, where in self._named():
            address = packed(DVC_MD5.checked(name))
            live.md5.add(address)
            if is_manifest(address) and address not in self._read:
                manifests[address] = where
        for address, files in files_of_manifests(self._contents, manifests):
            if isinstance(files, ObjectNotFound) and not self._allow_missing:
                raise ObjectNotFound(
                    f"the manifest {unpacked(address)}, named in {manifests[address]}, is not in {self._contents.place}: the "
                    "files it needs can't be known, and nothing was deleted; push it with dvc, or add --allow-missing if it was "
                    "never pushed",
                    provider=files.provider,
                    key=files.key,
                ) from files
            if isinstance(files, list):
                live.md5.update(files)
                self._read.add(address)
            elif not isinstance(files, ObjectNotFound):
                raise files


def files_of_manifests(
    contents: Contents, addresses: Iterable[bytes]
) -> Iterator[tuple[bytes, list[bytes] | StorageError]]:
    """The addresses of the files that directories' manifests name, or the error that keeps them from being known.

    That is `ObjectNotFound` for a manifest that is not there, and `ContentCorrupted` for a damaged one. In any order.
    """
    keys = {contents.key(address): address for address in addresses}
    for key, data in contents.provider.get_many(keys):
        try:
            yield keys[key], data if isinstance(data, StorageError) else _files_of(contents, keys[key], key, data)
        except ContentCorrupted as error:
            yield keys[key], error


def _files_of(contents: Contents, address: bytes, key: str, data: bytes) -> list[bytes]:
    name = unpacked(address)
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
