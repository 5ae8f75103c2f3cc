"""What the trash of a store and that of a local folder have in common, for whoever fills, undoes and empties one."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from domain.errors import StorageError
from domain.trash import Trashed, TrashRecord, new_trash_id

INTERNAL = ".lading"
"""What a folder keeps for itself, with its trash in it."""


class TrashBatch(Protocol):
    """A record that has been written, and what it names being moved."""

    @property
    def id(self) -> str:
        """The record's."""

    def put(self, entries: Iterable[Trashed]) -> Iterator[tuple[Trashed, StorageError | None]]:
        """Move into the trash what is to be deleted, and copy there what is to be replaced; each with what went wrong.

        Every entry's bytes are at their place or in the trash at every moment. What has changed since `Trashed.state`
        stays where it is, with `PreconditionFailed`. One failure stops no other. The outcomes' order is not promised.

        On a local folder the copy of what is to be replaced may be a hard link, which gives the file another
        `application.local_tree.state_of`: this check of the state is the last that can be made.

        Args:
            entries: of those the record was opened with.

        Raises:
            BucketNotFound, StoreUnavailable: the store as a whole can't do it.
        """


class Found(NamedTuple):
    """One entry of a record as it is now.

    Attributes:
        kept: whether the trash has it.
        there: what is at its place, as what could be replaced; None where nothing is.
        same: whether that has the content which the trash has.
    """

    entry: Trashed
    kept: bool
    there: Trashed | None
    same: bool = False


class Trash(Protocol):
    """One side's trash. Each record has an id, and they sort by time."""

    @property
    def place(self) -> str:
        """Where this is, for a message."""

    def open(self, why: str, entries: Sequence[Trashed], *, undoes: str = "") -> TrashBatch:
        """Write the record of what is going to the trash; nothing of it has moved then.

        Raises:
            InvalidRequest, LocalFileError: a name that can't be on this side.
            StorageError: the record can't be written.
        """

    def reopen(self, record: TrashRecord) -> TrashBatch:
        """Go on with a record that was opened before."""

    def ids(self) -> Iterator[str]:
        """The ids of all records, oldest first; also of one whose writing was stopped, of which nothing has moved."""

    def record(self, trash_id: str) -> TrashRecord:
        """Read one record.

        Raises:
            ObjectNotFound: there is none of that id.
            ContentCorrupted, UnsupportedOperation: it can't be understood, or names what can't be on this side.
        """

    def find(self, record: TrashRecord, entries: Sequence[Trashed]) -> Iterator[tuple[Trashed, Found | StorageError]]:
        """Look for each entry at its place and in the trash."""

    def bring_back(self, record: TrashRecord, found: Iterable[Found]) -> Iterator[tuple[Found, StorageError | None]]:
        """Move entries from the trash to their places; over what is there only where `Found.there` says that."""

    def forget(self, record: TrashRecord, entries: Iterable[Trashed]) -> None:
        """Remove from the trash what is at its place as well."""

    def held(self, trash_id: str) -> tuple[int, int]:
        """How many objects or files the trash has of this record, and their bytes; the record itself not counted."""

    def forget_record(self, trash_id: str) -> None:
        """Remove a record of which the trash keeps nothing any more; what it does keep stays."""

    def remove(self, trash_id: str) -> None:
        """Delete a record for good and all that it keeps; the record at last, so that what is stopped can be gone on with."""


def new_record(why: str, entries: Sequence[Trashed], undoes: str, places: dict[str, str]) -> TrashRecord:
    """A record made now, by whoever runs this."""
    now = datetime.now(UTC)
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in many containers
        user = "unknown"
    return TrashRecord(new_trash_id(now), now, f"{user}@{socket.gethostname()}", why, entries, undoes, places)
