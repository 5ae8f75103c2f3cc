"""Content kept under the hash of its bytes: the same content once, and verified whenever it is read."""

from __future__ import annotations

import hashlib
import json
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from os import PathLike
from typing import IO, Any

from application.garbage.leases import Lease
from domain.content import SHA256, AddressScheme
from domain.errors import ConfigurationError, ContentCorrupted, ObjectNotFound, PreconditionFailed, StorageError
from domain.keys import shortened
from domain.local_files import CHUNK_BYTES, LocalSource, local_error
from domain.objects import ObjectInfo, WriteCondition
from domain.storage import IStorageProvider
from domain.streams import ObjectReader

PREFIX = "cas/"
PINS = ".lading/pins/"
"""An object for each address that is to stay, whether or not a version names it; or a list of many."""

OCTETS = "application/octet-stream"

SMALL_BYTES = 1 << 20
"""Up to here it takes less to send content that may be there already than to ask first."""

_TOGETHER = 1000
_TOGETHER_BYTES = 32 << 20


class ContentAddressedStorage:
    """A store of content on any provider. Any number of writers may store the same content at the same time.

    Content that is stored here stays until `delete_content`: it is pinned, so that `storage gc` leaves it alone.

    Args:
        prefix: what the keys begin with; empty, or ending in '/'.
        scheme: how content is addressed.
        deduplicate: whether content that is there is not written again.
        enabled: False refuses every call, as `STORAGE_CONTENT_ADDRESSING_ENABLED=false` asks for.
        pinned: False for content that a record is going to name, whose writer holds a `Lease`.
    """

    def __init__(
        self,
        provider: IStorageProvider,
        prefix: str = PREFIX,
        *,
        scheme: AddressScheme = SHA256,
        deduplicate: bool = True,
        enabled: bool = True,
        pinned: bool = True,
    ) -> None:
        if not enabled:
            raise ConfigurationError(
                "content addressing is switched off (STORAGE_CONTENT_ADDRESSING_ENABLED=false); switch it on for this"
            )
        self._provider = provider
        self._prefix = prefix
        self._scheme = scheme
        self._deduplicate = deduplicate
        self._pinned = pinned and scheme is SHA256

    # -- addresses

    def get_content_hash(self, data: bytes) -> str:
        """The hash that `data` is stored under; nothing is stored."""
        return hashlib.new(self._scheme.algorithm, data, usedforsecurity=False).hexdigest()

    def key(self, content_hash: str) -> str:
        """The key of the object that holds this content.

        Raises:
            InvalidRequest: it is no hash.
        """
        return self._scheme.key(self._prefix, content_hash)

    # -- storing

    def store_data(self, data: bytes, content_type: str = OCTETS) -> str:
        """Store bytes; their hash.

        Raises:
            StorageError: as `IStorageProvider.put_bytes`.
        """
        address = self.get_content_hash(data)
        self.store_at(address, data, content_type)
        return address

    def store_at(self, address: str, data: bytes, content_type: str = OCTETS) -> bool:
        """Store bytes whose address is known; whether they were not there. What is there and damaged is written anew."""
        address = self._scheme.checked(address)

        def put(condition: WriteCondition | None) -> ObjectInfo:
            return self._provider.put_bytes(self.key(address), data, content_type=content_type, condition=condition)

        if self._store(address, len(data), put):
            return True
        if not self._pinned:  # what others are going to need: a moment more is well spent
            try:
                self.verify(address)
            except (ContentCorrupted, ObjectNotFound):
                put(None)
                return True
        return False

    def store_file(self, path: str | PathLike[str], content_type: str | None = None) -> str:
        """Store a file of any size; the hash of its bytes.

        Raises:
            LocalFileError: it is missing, unreadable, not a regular file, or changed meanwhile: then nothing is stored.
        """
        digest = hashlib.new(self._scheme.algorithm, usedforsecurity=False)
        sha256 = digest if self._scheme is SHA256 else hashlib.sha256(usedforsecurity=False)
        with LocalSource(path) as source:
            while chunk := source.read(CHUNK_BYTES):
                digest.update(chunk)
                if sha256 is not digest:
                    sha256.update(chunk)
            source.check_unchanged()
            size = source.size
        address = digest.hexdigest()

        def put(condition: WriteCondition | None) -> ObjectInfo:
            return self._provider.upload(
                path, self.key(address), content_type=content_type, condition=condition, sha256=sha256.hexdigest()
            )

        self._store(address, size, put)
        return address

    def store_stream(self, stream: IO[bytes], content_type: str = OCTETS) -> str:
        """Store what a stream gives until its end; the hash. What is long is kept in a temporary file until that is known.

        Raises:
            InsufficientStorage: no room for the temporary file, or in the store.
        """
        first = bytearray()
        while len(first) <= SMALL_BYTES and (chunk := stream.read(CHUNK_BYTES)):
            first += chunk
        if len(first) <= SMALL_BYTES:
            return self.store_data(bytes(first), content_type)
        with _temporary_file() as (name, write):
            write(first)
            while chunk := stream.read(CHUNK_BYTES):
                write(chunk)
            return self.store_file(name, content_type)

    def store_many(self, blobs: Iterable[bytes], content_type: str = OCTETS) -> Iterator[str]:
        """Store many small contents, several at a time; the hash of each, in their order.

        The next are taken while others are under way: memory does not grow with their number.

        Raises:
            StorageError: one could not be stored. Those whose hash was given are.
        """
        rest = iter(blobs)
        while batch := list(_some(rest)):
            addresses = [self.get_content_hash(data) for data in batch]
            by_address = dict(zip(addresses, batch, strict=True))
            if self._pinned:
                self._pin(list(by_address))
            if self._provider.capabilities.create_if_absent or not self._deduplicate:
                missing = list(by_address)
            else:
                missing = self.missing(by_address)
            there = by_address.keys() - set(missing)
            there |= self._put_many(missing, by_address, content_type, self._absent())
            if there and self._pinned:
                with Lease(self._provider):  # as `_keep`, of all of them
                    self._put_many(self.missing(there), by_address, content_type, None)
            yield from addresses

    def _put_many(
        self, addresses: list[str], by_address: dict[str, bytes], content_type: str, condition: WriteCondition | None
    ) -> set[str]:
        """Store these; those that were there, where that is the condition."""
        keys = {self.key(address): address for address in addresses}
        there = set()
        for key, result in self._provider.put_many(
            ((key, by_address[address]) for key, address in keys.items()),
            content_type=content_type,
            condition=condition,
        ):
            if isinstance(result, PreconditionFailed) and condition:
                there.add(keys[key])
            elif isinstance(result, StorageError):
                raise result
        return there

    def missing(self, addresses: Iterable[str]) -> list[str]:
        """Those of these addresses that have no content yet.

        Raises:
            StorageError: the store does not tell.
        """
        keys = {self.key(address): address for address in addresses}
        found = []
        for key, result in self._provider.head_many(keys):
            if isinstance(result, ObjectNotFound):
                found.append(keys[key])
            elif isinstance(result, StorageError):
                raise result
        return found

    def _store(self, address: str, size: int, put: Callable[[WriteCondition | None], ObjectInfo]) -> bool:
        if self._pinned:
            self._pin([address])  # before the content: nobody collects what is pinned
        if not self._deduplicate:
            put(None)
            return True
        can = self._provider.capabilities
        if not (can.create_if_absent and size <= SMALL_BYTES) and self._is_there(address, size):
            self._keep(address, size, lambda: put(None))
            return False
        conditional = can.create_if_absent and (can.create_if_absent_multipart or size <= SMALL_BYTES)
        try:
            put(WriteCondition.absent() if conditional else None)
        except PreconditionFailed:
            if not conditional:
                raise
            self._keep(address, size, lambda: put(None))
            return False
        return True

    def _absent(self) -> WriteCondition | None:
        can = self._provider.capabilities
        return WriteCondition.absent() if self._deduplicate and can.create_if_absent else None

    def _is_there(self, address: str, size: int) -> bool:
        try:
            info = self._provider.head(self.key(address))
        except ObjectNotFound:
            return False
        # What is there by another's hand and can't be this content is written anew.
        known = self._scheme.hash_of(address).digest if self._scheme is SHA256 else info.sha256
        return info.size == size and info.sha256 in {None, known}

    def _keep(self, address: str, size: int, put: Callable[[], ObjectInfo]) -> None:
        """Make sure that content which was there still is: a collection that began before it was pinned may have had it."""
        if self._pinned:
            with Lease(self._provider):
                if not self._is_there(address, size):
                    put()

    def _pin(self, addresses: list[str]) -> None:
        if len(addresses) == 1:
            self._provider.put_bytes(f"{PINS}{addresses[0]}", b"", content_type=OCTETS)
        elif addresses:
            self._provider.put_bytes(
                f"{PINS}{secrets.token_hex(16)}.json", json.dumps(addresses).encode(), content_type="application/json"
            )

    # -- reading

    def open_content(self, content_hash: str) -> ObjectReader:
        """A stream of the content; the read that meets the end raises where it is not what the hash says.

        Raises:
            ObjectNotFound: there is no such content.
            ContentCorrupted: from a read.
        """
        try:
            reader = self._provider.open_reader(self.key(content_hash))
        except ObjectNotFound as error:
            raise self._not_there(content_hash) from error
        # The object may be whole, and lie at another's address.
        reader.expect(self._scheme.hash_of(self._scheme.checked(content_hash)))
        return reader

    def retrieve_data(self, content_hash: str) -> bytes:
        """The content, verified; nothing is returned of what is corrupt. Raises as `open_content`."""
        with self.open_content(content_hash) as reader:
            return reader.read()

    def retrieve_file(self, content_hash: str, path: str | PathLike[str]) -> ObjectInfo:
        """Write the content to the file `path`, which appears whole and verified or not at all.

        Raises:
            ObjectNotFound, ContentCorrupted, LocalFileError, InsufficientStorage.
        """
        content = self._scheme.hash_of(self._scheme.checked(content_hash))
        try:
            return self._provider.download(self.key(content_hash), path, content=content)
        except ObjectNotFound as error:
            raise self._not_there(content_hash) from error

    def verify(self, content_hash: str) -> int:
        """Read the content to its end; its size in bytes. Raises as `open_content`."""
        size = 0
        with self.open_content(content_hash) as reader:
            while chunk := reader.read(CHUNK_BYTES):
                size += len(chunk)
        return size

    def exists(self, content_hash: str) -> bool:
        """Whether the content is there; it is not read."""
        return self._provider.exists(self.key(content_hash))

    def get_metadata(self, content_hash: str) -> dict[str, Any]:
        """What the store knows of the content: as `IStorageProvider.get_metadata`, and `content_hash`.

        Raises:
            ObjectNotFound: there is no such content.
        """
        try:
            return {
                "content_hash": self._scheme.checked(content_hash),
                **self._provider.get_metadata(self.key(content_hash)),
            }
        except ObjectNotFound as error:
            raise self._not_there(content_hash) from error

    def list_content(self) -> Iterator[tuple[str, ObjectInfo]]:
        """The address of all content, and what a listing tells of it."""
        for info in self._provider.list_objects(self._prefix + self._scheme.folder):
            if address := self._scheme.address_of(self._prefix, info.key):
                yield address, info

    def should_be_there(self) -> Iterator[str]:
        """The address of all content, and of what is pinned and gone."""
        there = set()
        for address, _ in self.list_content():
            there.add(bytes.fromhex(address[: self._scheme.digits]))
            yield address
        for info in self._provider.list_objects(PINS):
            name = info.key[len(PINS) :]
            if len(name) == self._scheme.digits and bytes.fromhex(name) not in there:
                yield name

    # -- deleting

    def delete_content(self, content_hash: str) -> None:
        """Delete the content, and what pinned it; where there is none, nothing happens."""
        key = self.key(content_hash)
        if self._pinned:
            self._provider.delete(f"{PINS}{self._scheme.checked(content_hash)}")
        self._provider.delete(key)

    def _not_there(self, content_hash: str) -> ObjectNotFound:
        return ObjectNotFound(
            f"there is no content {shortened(content_hash, 16)} in {self._provider.describe().url}",
            provider=self._provider.name,
            key=self.key(content_hash),
        )


@contextmanager
def _temporary_file() -> Iterator[tuple[str, Callable[[bytes | bytearray], None]]]:
    """The name of a file that is there as long as the block, and what writes to it."""
    try:
        file = tempfile.NamedTemporaryFile(prefix="lading-", buffering=0)  # noqa: SIM115 - closed below
    except OSError as error:
        raise local_error(error, error.filename or "a temporary file", "make") from error

    def write(data: bytes | bytearray) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[file.write(view) :]
        except OSError as error:
            raise local_error(error, tempfile.gettempdir(), "write in") from error

    with file:
        yield file.name, write


def _some(blobs: Iterator[bytes]) -> Iterator[bytes]:
    """The next of them: not too many, and not too much."""
    size = 0
    for data in islice(blobs, _TOGETHER):
        yield data
        size += len(data)
        if size >= _TOGETHER_BYTES:
            return
