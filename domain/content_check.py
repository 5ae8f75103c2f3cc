"""Whether bytes are what they should be: what is stored beside an object says one thing, what the caller knows another."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from domain.content import ContentHash
from domain.errors import ContentCorrupted, InvalidRequest
from domain.keys import shortened

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

_NAMES = {"sha256": "SHA-256", "md5": "MD5"}


class ContentCheck:
    """The hashes of bytes that come piece by piece, and what they must be. Only what is needed is computed, and once.

    Args:
        stored: the SHA-256 that is kept with the object, in hex digits; None where there is none.
        content: what the bytes must hash to, whatever is stored; None where nobody knows.

    Raises:
        InvalidRequest: nobody knows the algorithm of `content`.
    """

    def __init__(self, stored: str | None, content: ContentHash | None = None) -> None:
        self._expected: list[ContentHash] = []
        self._hashes: dict[str, Hash] = {}
        if stored:
            self._expect(ContentHash("sha256", stored))
        if content is not None:
            self._expect(content)

    def _expect(self, content: ContentHash) -> None:
        if content.algorithm not in self._hashes:
            self._hashes[content.algorithm] = _new_hash(content.algorithm)
        self._expected.append(content)

    @property
    def needed(self) -> bool:
        """Whether there is anything to compare with."""
        return bool(self._expected)

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        for digest in self._hashes.values():
            digest.update(data)

    def difference(self) -> tuple[ContentHash, ContentHash] | None:
        """What the bytes should hash to and what they do; None where they are as they should be."""
        for expected in self._expected:
            actual = ContentHash(expected.algorithm, self._hashes[expected.algorithm].hexdigest())
            if actual != expected:
                return expected, actual
        return None

    def finish(self, key: str, then: str, *, provider: str | None) -> None:
        """To be called when all bytes came.

        Args:
            then: the end of the sentence: what was done, or is to be done.

        Raises:
            ContentCorrupted: they are not what they should be.
        """
        if found := self.difference():
            raise corrupted(key, *found, then, provider=provider)


def differs(data: bytes, stored: str | None, content: ContentHash | None) -> bool:
    """Whether these bytes are not what they should be; arguments as of `ContentCheck`."""
    check = ContentCheck(stored, content)
    check.update(data)
    return check.difference() is not None


def corrupted(
    key: str, expected: ContentHash, actual: ContentHash, then: str, *, provider: str | None = None
) -> ContentCorrupted:
    """The error for an object whose bytes hash to something else than they should."""
    name = _NAMES.get(expected.algorithm, expected.algorithm)
    found, wanted = actual.digest[:12], expected.digest[:12]
    return ContentCorrupted(
        f"the object {shortened(key)!r} is corrupt: it reads as {name} {found}…, not {wanted}…; {then}",
        provider=provider,
        key=key,
        expected=expected,
        actual=actual,
    )


def cut_short(key: str, missing: int, then: str, *, provider: str | None = None) -> ContentCorrupted:
    """The error for an object of which so many bytes are missing."""
    return ContentCorrupted(
        f"the object {shortened(key)!r} is corrupt: it ends {missing:,} bytes early; {then}", provider=provider, key=key
    )


def _new_hash(algorithm: str) -> Hash:
    # A digest of any length, as SHAKE has it, would have to say which.
    if algorithm not in hashlib.algorithms_guaranteed or algorithm.startswith("shake"):
        raise InvalidRequest(f"content can't be verified by {shortened(algorithm)!r}; name sha256 or md5")
    return hashlib.new(algorithm, usedforsecurity=False)
