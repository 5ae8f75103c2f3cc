"""What multipart uploads this machine has begun, so that those of killed programs are found again.

It is state and no record: the store knows best, and the file may be deleted at any time. It is of use where a store lists
unfinished uploads by whole keys only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from infrastructure.storage.s3.dialect import Target

_SCHEMA = """
CREATE TABLE IF NOT EXISTS uploads (
    endpoint TEXT NOT NULL, bucket TEXT NOT NULL, key TEXT NOT NULL, upload_id TEXT NOT NULL, begun TEXT NOT NULL,
    PRIMARY KEY (endpoint, bucket, key, upload_id)
)
"""


class UploadJournal:
    """The uploads in one bucket that were begun here and have not ended. What can't be written down is done without."""

    def __init__(self, target: Target, path: Path | None = None) -> None:
        self._place = (target.endpoint_url, target.bucket)
        self._path = path

    def begun(self, key: str, upload_id: str) -> None:
        """Note an upload; call this before its first part is sent."""
        with suppress(sqlite3.Error, OSError), self._database() as database:
            database.execute(
                "INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, datetime('now'))",
                (*self._place, key.encode(), upload_id),
            )

    def ended(self, key: str, upload_id: str) -> None:
        """Forget an upload that was completed or aborted."""
        with suppress(sqlite3.Error, OSError), self._database() as database:
            database.execute(
                "DELETE FROM uploads WHERE endpoint = ? AND bucket = ? AND key = ? AND upload_id = ?",
                (*self._place, key.encode(), upload_id),
            )

    def keys(self, prefix: str) -> list[str]:
        """The keys under `prefix` that have uploads in the journal."""
        with suppress(sqlite3.Error, OSError), self._database() as database:
            rows = database.execute(
                "SELECT DISTINCT key FROM uploads WHERE endpoint = ? AND bucket = ? ORDER BY key", self._place
            )
            return [key for (raw,) in rows if (key := raw.decode()).startswith(prefix)]
        return []

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        path = self._path
        if path is None:
            import platformdirs

            path = platformdirs.user_cache_path("lading") / "state.sqlite"
        path.parent.mkdir(parents=True, exist_ok=True)
        # Opened for each note: they are few, and a connection belongs to one thread and survives no fork.
        database = sqlite3.connect(path, timeout=10)
        try:
            with database:
                database.execute(_SCHEMA)
                yield database
        finally:
            database.close()
