"""The addresses of content, held in a set by the million: as few bytes as they take."""

from __future__ import annotations

from typing import NamedTuple

from domain.content import AddressScheme
from domain.storage import IStorageProvider

_MANIFEST = ".dir"


class Contents(NamedTuple):
    """A place where content is kept by its hash.

    Attributes:
        name: for a person.
        prefix: empty, or ending in '/'.
    """

    name: str
    provider: IStorageProvider
    scheme: AddressScheme
    prefix: str

    @property
    def place(self) -> str:
        """Where it is: the same for the same objects."""
        return f"{self.provider.describe().url}/{self.prefix}{self.scheme.folder}"

    def key(self, packed: bytes) -> str:
        """The key of content with this address."""
        return self.scheme.key(self.prefix, unpacked(packed))


def packed(address: str) -> bytes:
    """An address that is one, in as few bytes as it takes; a manifest's has one byte more."""
    digits = address.removesuffix(_MANIFEST)
    return bytes.fromhex(digits) + (b"d" if digits != address else b"")


def unpacked(address: bytes) -> str:
    """What `packed` was made of."""
    return f"{address[:-1].hex()}{_MANIFEST}" if is_manifest(address) else address.hex()


def is_manifest(address: bytes) -> bool:
    """Whether it is that of a directory's manifest."""
    return bool(len(address) % 2)
