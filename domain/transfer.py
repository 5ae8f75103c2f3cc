"""What a transfer is going to do, as data: planned first, applied after, reported at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from domain.errors import StorageError


class Direction(StrEnum):
    """Which way the bytes go, seen from this machine."""

    UPLOAD = "upload"
    DOWNLOAD = "download"


class TransferAction(NamedTuple):
    """One file to move.

    Attributes:
        path: the local file.
        key: the object.
        size: bytes, as planned.
        reason: why, in a word or two: `new`, `size differs`, `content differs`, `asked for`.
    """

    path: str
    key: str
    size: int
    reason: str


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """What is to be moved, and how many files need not be. Making a plan changes nothing on either side."""

    direction: Direction
    actions: Sequence[TransferAction]
    unchanged: int = 0

    @property
    def size(self) -> int:
        """Bytes to move."""
        return sum(action.size for action in self.actions)


@dataclass(slots=True)
class TransferReport:
    """What was done of a plan.

    Attributes:
        done: files moved.
        moved: bytes moved for them.
        failures: the files that could not be moved; the others were.
        stopped_by: what made going on pointless (a full disk, a store that is away), or None.
        interrupted: whether the user stopped it.
    """

    done: int = 0
    moved: int = 0
    failures: list[tuple[TransferAction, StorageError]] = field(default_factory=list)
    stopped_by: StorageError | None = None
    interrupted: bool = False


class TransferObserver(Protocol):
    """Who wants to see a transfer go on. Called from the threads that do the work."""

    def moved(self, size: int) -> None:
        """`size` more bytes were moved."""

    def finished(self, action: TransferAction) -> None:
        """One file is done, or failed."""
