"""What a transfer is going to do, as data: planned first, applied after, reported at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol, overload

from domain.content import ContentHash
from domain.errors import StorageError


class Direction(StrEnum):
    """Which way the bytes go, seen from this machine."""

    UPLOAD = "upload"
    DOWNLOAD = "download"
    REPLICATION = "replicate"
    """From one store to another."""


class TransferAction(NamedTuple):
    """One file to move.

    Attributes:
        path: the local file; in a replication the object at the store that is read.
        key: the object; in a replication the one at the store that is written.
        size: bytes, as planned.
        reason: why, in a word or two: `new`, `size differs`, `content differs`, `asked for`.
        source: the state of what is read, as it was when this was planned; empty where nobody looked. Opaque.
        target: the state of what is replaced; empty where there is nothing, or nobody looked.
        content: what its bytes must hash to; None where nobody knows.
    """

    path: str
    key: str
    size: int
    reason: str
    source: str = ""
    target: str = ""
    content: ContentHash | None = None

    def as_dict(self) -> dict[str, object]:
        """All that is known of it, by name, to be shown or written down; without `content` where nobody knows it."""
        named = self._asdict()
        if self.content is None:
            del named["content"]
        return named


class Comparison(StrEnum):
    """How it is found out whether a file and an object of one name are the same."""

    NOTHING = "nothing"
    """It is not: what is asked for is moved."""
    SIZE = "size"
    CONTENT = "content"
    """By size and SHA-256; hashes that are remembered for an unchanged file or object are believed."""
    CHECKSUM = "checksum"
    """By size and SHA-256; every file is read, and every object asked for its hash."""


@dataclass(frozen=True, slots=True)
class DeleteBudget:
    """How much a transfer may delete before it refuses.

    Attributes:
        most: files or objects; None for any number.
        share: of all that the destination has; None for all of it.
    """

    most: int | None = 1000
    share: float | None = 0.5

    def exceeded_by(self, deletions: int, there: int) -> str:
        """Which bound so many deletions of what is there exceed, in words; empty where none."""
        if self.most is not None and deletions > self.most:
            return f"at most {self.most:,} are allowed"
        if self.share is not None and deletions > self.share * there:
            return f"that is more than {self.share:.0%} of the {there:,} that are there"
        return ""


class Deletion(NamedTuple):
    """One file or object at the destination that the source does not have.

    Attributes:
        name: the local file of a download, else the object's key.
        size: bytes.
        state: what it was when this was planned; opaque.
    """

    name: str
    size: int
    state: str


class PlannedActions(Sequence[TransferAction]):
    """The actions of a plan, kept small: what all names begin with is held once, and an action is made when it is asked for.

    Args:
        path_root, key_root: what every path and every key begins with.
        rows: the rest of both, size, reason, source and target of each.
    """

    __slots__ = ("_key_root", "_path_root", "_rows")

    def __init__(self, path_root: str, key_root: str, rows: Sequence[tuple[str, int, str, str, str]]) -> None:
        self._path_root = path_root
        self._key_root = key_root
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int, /) -> TransferAction: ...
    @overload
    def __getitem__(self, index: slice, /) -> PlannedActions: ...
    def __getitem__(self, index: int | slice, /) -> TransferAction | PlannedActions:
        if isinstance(index, slice):
            return PlannedActions(self._path_root, self._key_root, self._rows[index])
        return self._action(self._rows[index])

    def __iter__(self) -> Iterator[TransferAction]:
        return map(self._action, self._rows)

    def _action(self, row: tuple[str, int, str, str, str]) -> TransferAction:
        name, size, reason, source, target = row
        return TransferAction(self._path_root + name, self._key_root + name, size, reason, source, target)


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """What is to be moved and deleted, and how many files are the same. Making a plan changes nothing on either side.

    Attributes:
        deletions: what goes once all actions went well.
        unchanged: files that are the same on both sides.
        backup: whether what is replaced is kept in the trash, as what is deleted is.
        left_out: files that should be moved as well, but were too many.
        reserved: folders of the store's root that other parts of this program keep, and that were left out.
        path_root, key_root: what every path and every key of the actions begins with; of one file both are the whole.
    """

    direction: Direction
    actions: Sequence[TransferAction]
    unchanged: int = 0
    deletions: Sequence[Deletion] = ()
    backup: bool = False
    left_out: int = 0
    reserved: Sequence[str] = ()
    path_root: str = ""
    key_root: str = ""

    @property
    def folder(self) -> str:
        """What every path begins with, up to its last slash: the folder that a download has its trash in."""
        return self.path_root[: self.path_root.rfind("/") + 1]

    @property
    def size(self) -> int:
        """Bytes to move."""
        return sum(action.size for action in self.actions)


@dataclass(slots=True)
class TransferReport:
    """What was done of a plan.

    Attributes:
        done: files moved, and those that were there already.
        existing: those that were there already, where that is as good.
        replaced: those of the files moved that took the place of another.
        moved: bytes moved.
        deleted: files or objects that went to the trash.
        trash_id: under which name the trash has them, and what was replaced; empty where nothing went there.
        failures: the files that could not be moved; the others were.
        stopped_by: what made going on pointless (a full disk, a store that is away), or None.
        interrupted: whether the user stopped it.
    """

    done: int = 0
    existing: list[TransferAction] = field(default_factory=list)
    replaced: int = 0
    moved: int = 0
    deleted: int = 0
    trash_id: str = ""
    failures: list[tuple[TransferAction, StorageError]] = field(default_factory=list)
    stopped_by: StorageError | None = None
    interrupted: bool = False

    def raise_failure(self, then: str = "") -> None:
        """Raise what went wrong, the first of it.

        Args:
            then: the end of the sentence: what became of the whole.

        Raises:
            StorageError: a file could not be moved.
            KeyboardInterrupt: the user stopped it.
        """
        if self.interrupted:
            raise KeyboardInterrupt
        error = self.stopped_by or (self.failures[0][1] if self.failures else None)
        if error:
            more = f" (and {len(self.failures) - 1:,} more)" if len(self.failures) > 1 else ""
            end = f"; {then}" if then else ""
            raise type(error)(f"{error.message}{more}{end}", provider=error.provider, key=error.key) from error


class TransferObserver(Protocol):
    """Who wants to see a transfer go on. Called from the threads that do the work."""

    def started(self, action: TransferAction) -> None:
        """A file that is moved by itself begins; of small files, many of which are moved at once, none is told."""

    def moved(self, action: TransferAction, size: int) -> None:
        """`size` more bytes of this file were moved."""

    def finished(self, action: TransferAction, error: StorageError | None) -> None:
        """One file is done, or failed."""
