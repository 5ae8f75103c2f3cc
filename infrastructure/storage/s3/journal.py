"""What transfers in pieces have begun on this machine and not ended, so that the next run finds it and goes on.

It is state and no record: the store and the disk know best, and the file may be deleted at any time. What can't be written
down is done without.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import NamedTuple

from infrastructure.state.database import open_state
from infrastructure.storage.s3.dialect import Target

_UPLOADS = """
CREATE TABLE IF NOT EXISTS uploads (
    endpoint TEXT NOT NULL, bucket TEXT NOT NULL, key BLOB NOT NULL, upload_id TEXT NOT NULL, begun TEXT NOT NULL,
    content TEXT NOT NULL, PRIMARY KEY (endpoint, bucket, key, upload_id)
);
CREATE TABLE IF NOT EXISTS parts (
    endpoint TEXT NOT NULL, bucket TEXT NOT NULL, key BLOB NOT NULL, upload_id TEXT NOT NULL, number INTEGER NOT NULL,
    size INTEGER NOT NULL, etag TEXT NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (endpoint, bucket, key, upload_id, number)
)
"""

_RANGES = """
CREATE TABLE IF NOT EXISTS fetched (
    path BLOB NOT NULL, inode INTEGER NOT NULL, etag TEXT NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL,
    PRIMARY KEY (path, start)
)
"""


class StoredPart(NamedTuple):
    """A part that the store has taken.

    Attributes:
        size: bytes.
        etag: as the store gave it.
        sha256: of its bytes, in hex digits.
    """

    number: int
    size: int
    etag: str
    sha256: str


class UploadJournal:
    """The uploads in one bucket that were begun here and have not ended."""

    def __init__(self, target: Target, path: Path | None = None) -> None:
        self._place = (target.endpoint_url, target.bucket)
        self._path = path

    def begun(self, key: str, upload_id: str, content: str = "") -> None:
        """Note an upload; call this before its first part is sent.

        Args:
            content: names what is uploaded; empty for what can't be had a second time.
        """
        with suppress(sqlite3.Error, OSError), self._state() as state:
            state.execute(
                "INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, datetime('now'), ?)",
                (*self._place, key.encode(), upload_id, content),
            )

    def stored(self, key: str, upload_id: str, part: StoredPart) -> bool:
        """Note a part; whether it is noted."""
        try:
            with self._state() as state:
                state.execute(
                    "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (*self._place, key.encode(), upload_id, *part),
                )
        except (sqlite3.Error, OSError):
            return False
        return True

    def ended(self, key: str, upload_id: str) -> None:
        """Forget an upload that was completed or aborted."""
        with suppress(sqlite3.Error, OSError), self._state() as state:
            upload = (*self._place, key.encode(), upload_id)
            state.execute("DELETE FROM uploads WHERE endpoint = ? AND bucket = ? AND key = ? AND upload_id = ?", upload)
            state.execute("DELETE FROM parts WHERE endpoint = ? AND bucket = ? AND key = ? AND upload_id = ?", upload)

    def keys(self, prefix: str) -> list[str]:
        """The keys under `prefix` that have uploads in the journal."""
        with suppress(sqlite3.Error, OSError), self._state() as state:
            rows = state.execute(
                "SELECT DISTINCT key FROM uploads WHERE endpoint = ? AND bucket = ? ORDER BY key", self._place
            )
            return [key for (raw,) in rows if (key := raw.decode()).startswith(prefix)]
        return []

    def uploads(self, key: str) -> list[tuple[str, str]]:
        """Id and content of the uploads of `key` that can be gone on with, the latest first."""
        with suppress(sqlite3.Error, OSError), self._state() as state:
            return state.execute(
                "SELECT upload_id, content FROM uploads WHERE endpoint = ? AND bucket = ? AND key = ? AND content != '' "
                "ORDER BY begun DESC",
                (*self._place, key.encode()),
            ).fetchall()
        return []

    def parts(self, key: str, upload_id: str) -> list[StoredPart]:
        """The parts of an upload, by their numbers."""
        with suppress(sqlite3.Error, OSError), self._state() as state:
            rows = state.execute(
                "SELECT number, size, etag, sha256 FROM parts "
                "WHERE endpoint = ? AND bucket = ? AND key = ? AND upload_id = ? ORDER BY number",
                (*self._place, key.encode(), upload_id),
            )
            return [StoredPart(*row) for row in rows]
        return []

    def _state(self) -> AbstractContextManager[sqlite3.Connection]:
        return open_state(_UPLOADS, self._path)


class FetchedRanges:
    """Which ranges of an object are whole in the part of a download. Thread-safe.

    Args:
        part: the file that takes the bytes.
        inode: its number: another file of the same name has nothing of this one.
    """

    def __init__(self, part: str, inode: int, path: Path | None = None) -> None:
        self._part = os.fsencode(os.path.abspath(part))
        self._inode = inode
        self._path = path

    def of(self, etag: str) -> set[tuple[int, int]]:
        """Start and stop of those that are noted for this state of the object."""
        with suppress(sqlite3.Error, OSError), self._state() as state:
            return set(
                state.execute(
                    "SELECT start, stop FROM fetched WHERE path = ? AND inode = ? AND etag = ?",
                    (self._part, self._inode, etag),
                )
            )
        return set()

    def any(self) -> bool:
        """Whether there are any, of whatever state."""
        with suppress(sqlite3.Error, OSError), self._state() as state:
            found = state.execute(
                "SELECT 1 FROM fetched WHERE path = ? AND inode = ? LIMIT 1", (self._part, self._inode)
            )
            return found.fetchone() is not None
        return False

    def whole(self, etag: str, start: int, stop: int) -> bool:
        """Note a range; whether it is noted."""
        try:
            with self._state() as state:
                state.execute(
                    "INSERT OR REPLACE INTO fetched VALUES (?, ?, ?, ?, ?)",
                    (self._part, self._inode, etag, start, stop),
                )
        except (sqlite3.Error, OSError):
            return False
        return True

    def forget(self) -> bool:
        """Forget all; whether nothing is noted any more."""
        try:
            with self._state() as state:
                state.execute("DELETE FROM fetched WHERE path = ?", (self._part,))
        except (sqlite3.Error, OSError):
            return False
        return True

    def _state(self) -> AbstractContextManager[sqlite3.Connection]:
        return open_state(_RANGES, self._path)
