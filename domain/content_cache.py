"""Contents kept on this machine, so that they need not be fetched again."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from domain.content import ContentHash


class Link(StrEnum):
    """How a file gets content that is on this machine."""

    COPY = "copy"
    """A file of its own; where the file system can, it shares the blocks until one of both is written."""
    HARD = "hardlink"
    """The same file as the cache's, and read-only: it takes no room, and whoever writes to it spoils the cache."""


class ContentCache(Protocol):
    """A cache of contents; it holds no more than a bound, and forgets what was not used for the longest time. Thread-safe.

    What can't be read or written is done without: no method raises for the cache's own sake.
    """

    def place(self, content: ContentHash, path: str, link: Link) -> int | None:
        """Have the file `path` appear with this content, verified and in one step; its size in bytes, None where it is not here.

        Raises:
            LocalFileError, InsufficientStorage: `path` can't be written.
        """

    def keep(self, content: ContentHash, path: str) -> None:
        """Take a copy of the file `path`, which has this content."""

    def trim(self) -> None:
        """Forget until the bound holds."""
