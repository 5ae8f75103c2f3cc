"""What is remembered of contents, so that they need not be read or asked for again.

It only speeds things up: a hash is looked up together with the state that the file or the object had, and one that was never
remembered, or is forgotten, is found out again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol


class KnownHash(NamedTuple):
    """The SHA-256 of a file or an object in one state.

    Attributes:
        name: the file's path, or the object's key, without what the question began with.
        state: of a file what `application.local_tree.state_of` gives, of an object its ETag.
        sha256: 64 lower-case hex digits.
        md5: 32 of them; empty where nobody asked for it.
    """

    name: str
    state: str
    sha256: str
    md5: str = ""


class KnownHashes(Protocol):
    """A memory of hashes, kept from one run to the next. Thread-safe."""

    def files(self, folder: str) -> Iterator[KnownHash]:
        """What is known of the files below `folder` (a path that ends in '/'), in UTF-8 byte order of their names."""

    def objects(self, store: str, prefix: str) -> Iterator[KnownHash]:
        """What is known of the objects of `store` whose key starts with `prefix`, in UTF-8 byte order of their names."""

    def remember_files(self, folder: str, known: Iterable[KnownHash]) -> None:
        """Keep these; where that is not possible, nothing happens."""

    def remember_objects(self, store: str, prefix: str, known: Iterable[KnownHash]) -> None:
        """As `remember_files`."""


class Remembered:
    """Known hashes, asked for in the order that they come in."""

    def __init__(self, known: Iterator[KnownHash]) -> None:
        self._known = known
        self._next = next(known, None)

    def find(self, name: str, state: str) -> KnownHash | None:
        """What is known of this name in this state."""
        following = self._next
        while following is not None and following.name < name:
            following = next(self._known, None)
        self._next = following
        return following if following is not None and following[:2] == (name, state) else None

    def sha256(self, name: str, state: str) -> str:
        """The hash of this name in this state; empty where it is not known."""
        found = self.find(name, state)
        return found.sha256 if found else ""


class NothingKnown:
    """A memory that keeps nothing."""

    def files(self, folder: str) -> Iterator[KnownHash]:
        return iter(())

    def objects(self, store: str, prefix: str) -> Iterator[KnownHash]:
        return iter(())

    def remember_files(self, folder: str, known: Iterable[KnownHash]) -> None:
        """Forget them."""

    def remember_objects(self, store: str, prefix: str, known: Iterable[KnownHash]) -> None:
        """Forget them."""
