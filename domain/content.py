"""The identity of content: a hash of its bytes, and the address that a store keeps it under."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from domain.errors import InvalidRequest
from domain.keys import shortened


class ContentHash(NamedTuple):
    """The hash of some bytes.

    Attributes:
        algorithm: `sha256` or `md5`.
        digest: lower-case hex digits.
    """

    algorithm: str
    digest: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.digest}"


@dataclass(frozen=True, slots=True)
class AddressScheme:
    """How content is addressed by its hash: the key under a prefix, and back.

    Attributes:
        algorithm: the hash's, as in `ContentHash`.
        digits: hex digits of a hash.
        folder: what stands between the prefix and the address.
        repeats: whether the two digits of the folder stand in the name once more.
        suffixes: what may follow the digits; it is part of the address, and not of the hash.
    """

    algorithm: str
    digits: int
    folder: str
    repeats: bool
    suffixes: tuple[str, ...] = ("",)

    def key(self, prefix: str, address: str) -> str:
        """The key of the content with this address.

        Raises:
            InvalidRequest: it is no address.
        """
        address = self.checked(address)
        name = address if self.repeats else address[2:]
        return f"{prefix}{self.folder}{address[:2]}/{name}"

    def address_of(self, prefix: str, key: str) -> str | None:
        """The address that a key stands for; None where it is no content's."""
        root = prefix + self.folder
        if not key.startswith(root):
            return None
        pair, _, name = key[len(root) :].partition("/")
        address = name if self.repeats else pair + name
        return address if address[:2] == pair and self._is_address(address) else None

    def checked(self, address: str) -> str:
        """The address, in small letters.

        Raises:
            InvalidRequest: it is none.
        """
        found = address.lower() if isinstance(address, str) else ""
        if not self._is_address(found):
            raise InvalidRequest(
                f"{shortened(repr(address))} is no {self.algorithm.upper()}: it has {self.digits} digits 0-9 and a-f"
            )
        return found

    def hash_of(self, address: str) -> ContentHash:
        """What the bytes at this address hash to."""
        return ContentHash(self.algorithm, address[: self.digits])

    def _is_address(self, text: str) -> bool:
        return (
            bool(_HEX.fullmatch(text[: self.digits]))
            and len(text) >= self.digits
            and (text[self.digits :] in self.suffixes)
        )


_HEX = re.compile("[0-9a-f]+")

SHA256 = AddressScheme("sha256", 64, "", repeats=True)
"""`ab/ab12…`: Lading's own."""

DVC_MD5 = AddressScheme("md5", 32, "files/md5/", repeats=False, suffixes=("", ".dir"))
"""`files/md5/ab/12…`, with `.dir` after the hash of a directory's manifest: the layout of a DVC 3 remote."""
