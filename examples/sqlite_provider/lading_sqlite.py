"""Objects in a SQLite database: a storage provider outside of Lading's own tree, in one file.

One row of `objects` is one object; its bytes are rows of `chunks`, so that neither writing nor reading holds more than
one chunk in memory. Keys are kept as UTF-8 bytes: SQLite compares those byte by byte, which is the order of a listing.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from domain.errors import (
    AccessDenied,
    BucketNotFound,
    InsufficientStorage,
    ObjectNotFound,
    PreconditionFailed,
    StorageError,
    StoreUnavailable,
)
from domain.keys import check_key, check_prefix, shortened
from domain.media_types import guess_content_type
from domain.storage import ByteRange, Capabilities, IStorageProvider, ObjectInfo, StorageLocation, WriteCondition
from domain.streams import ObjectReader, ObjectWriter, extent
from infrastructure.storage.provider_settings import EnvironmentNames, ProviderSettings, parse_settings

_CHUNK = 1 << 20
_PAGE = 1000
_PATIENCE = 30.0  # seconds to wait for other writers
_CAN = Capabilities(create_if_absent=True, create_if_absent_multipart=True, replace_if_unchanged=True)
# AUTOINCREMENT: the id is the ETag, and that of a deleted object must not come back.
# Write-ahead logging lets readers go on beside the one writer; FULL makes a commit outlive a power cut.
_TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
CREATE TABLE IF NOT EXISTS objects (id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, size INTEGER NOT NULL,
    modified TEXT NOT NULL, content_type TEXT NOT NULL, sha256 TEXT, metadata TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS chunks (object INTEGER NOT NULL REFERENCES objects ON DELETE CASCADE, number INTEGER NOT NULL,
    data BLOB NOT NULL, PRIMARY KEY (object, number));
"""
_FIELDS = "SELECT key, size, id, modified, content_type, sha256, metadata FROM objects"
_KINDS: Mapping[int, type[StorageError]] = {
    sqlite3.SQLITE_BUSY: StoreUnavailable,
    sqlite3.SQLITE_IOERR: StoreUnavailable,
    sqlite3.SQLITE_FULL: InsufficientStorage,
    sqlite3.SQLITE_READONLY: AccessDenied,
}


class SQLiteSettings(ProviderSettings):
    """The settings of `SQLiteProvider`."""

    database: Path
    """The database file. The first use makes it; its folder must be there."""


class SQLiteProvider(IStorageProvider):
    """One database is one bucket. Conditions hold between all processes of one machine that have it open."""

    name = "sqlite"
    settings_model = SQLiteSettings
    environment: EnvironmentNames = {"database": ("SQLITE_STORAGE_DATABASE",)}

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = parse_settings(SQLiteSettings, settings, provider=self.name)
        self._path = self._settings.database.expanduser().absolute()
        self._capabilities = _CAN.overridden(self._settings.capabilities, provider=self.name)
        self._idle: list[sqlite3.Connection] = []  # append and pop of a list are safe between threads
        self._making = threading.Lock()

    def connect(self) -> None:
        with self._transaction("open the database"):
            pass

    def disconnect(self) -> None:
        while self._idle:
            self._idle.pop().close()

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def describe(self) -> StorageLocation:
        return StorageLocation(self.name, None, f"sqlite://{self._path}")

    def for_bucket(self, bucket: str) -> SQLiteProvider:
        raise self.unsupported("other buckets")

    def create_bucket(self) -> None:
        raise self.unsupported("making buckets")

    def head(self, key: str) -> ObjectInfo:
        check_key(key, provider=self.name)
        with self._transaction("read", key) as database:
            return self._find(database, key)

    def open_reader(
        self, key: str, *, byte_range: ByteRange | None = None, if_match: str | None = None
    ) -> ObjectReader:
        check_key(key, provider=self.name)
        # The reader keeps the transaction open: it goes on seeing this state, whatever is written meanwhile.
        transaction = self._transaction("read", key)
        database = transaction.__enter__()
        try:
            info = self._find(database, key)
            start, length = extent(info, byte_range, if_match, provider=self.name)
        except BaseException as error:
            transaction.__exit__(type(error), error, error.__traceback__)
            raise
        source = _Chunks(database, transaction, int(info.etag), start)
        return ObjectReader(source, info, length=length, provider=self.name)

    def list_objects(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        check_prefix(prefix, provider=self.name)
        check_prefix(start_after, provider=self.name)
        first, after = prefix.encode(), start_after.encode()
        while True:
            with self._transaction("list") as database:
                query = f"{_FIELDS} WHERE key >= ? AND key > ? ORDER BY key LIMIT {_PAGE}"
                rows = database.execute(query, (first, after)).fetchall()
            for row in rows:
                if not row[0].startswith(first):
                    return
                yield _info(row)._replace(content_type=None, sha256=None, metadata=None)
            if len(rows) < _PAGE:
                return
            after = rows[-1][0]

    def open_writer(
        self,
        key: str,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        condition: WriteCondition | None = None,
    ) -> ObjectWriter:
        kept = self.check_write(key, content_type, metadata, condition)
        kind = content_type or guess_content_type(key)
        return _Writer(self, ObjectInfo(key, 0, "", datetime.min, kind, None, kept), condition)

    def copy(self, source: str, destination: str, *, condition: WriteCondition | None = None) -> ObjectInfo:
        check_key(source, provider=self.name)
        check_key(destination, provider=self.name)
        self.check_condition(condition)
        with self._transaction("copy", source, "IMMEDIATE") as database:
            info = self._find(database, source)
            self._check(database, destination, condition)
            if source == destination:
                return info
            copied = _insert(database, info._replace(key=destination))
            rows = "SELECT ?, number, data FROM chunks WHERE object = ?"
            database.execute(f"INSERT INTO chunks {rows}", (int(copied.etag), int(info.etag)))
            return copied

    def delete(self, remote_path: str) -> None:
        check_key(remote_path, provider=self.name)
        with self._transaction("delete", remote_path, "IMMEDIATE") as database:
            database.execute("DELETE FROM objects WHERE key = ?", (remote_path.encode(),))

    # -- the database

    @contextmanager
    def _transaction(self, doing: str, key: str | None = None, kind: str = "DEFERRED") -> Iterator[sqlite3.Connection]:
        """A connection of one's own in a transaction, which ends with the block: committed, or undone by an exception."""
        database = None
        try:
            database = self._idle.pop() if self._idle else self._open()
            database.execute(f"BEGIN {kind}")
            yield database
            database.execute("COMMIT")
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_CANTOPEN:
                raise BucketNotFound(f"can't open {self._path}: is its folder there?", provider=self.name) from error
            what = f"can't {doing}{f' {shortened(key)!r}' if key else ''} in {self._path}: {error}"
            raise _KINDS.get(code, StorageError)(what, provider=self.name, key=key) from error
        finally:
            if database is not None:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                self._idle.append(database)

    def _open(self) -> sqlite3.Connection:
        # Explicit transactions, and connections that go from thread to thread, one at a time.
        database = sqlite3.connect(self._path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            with self._making:
                database.executescript(_TABLES)
        except BaseException:
            database.close()
            raise
        return database

    def _find(self, database: sqlite3.Connection, key: str) -> ObjectInfo:
        row = database.execute(f"{_FIELDS} WHERE key = ?", (key.encode(),)).fetchone()
        if row is None:
            raise self._error(ObjectNotFound, key, f"is not in {self._path}")
        return _info(row)

    def _check(self, database: sqlite3.Connection, key: str, condition: WriteCondition | None) -> None:
        """Inside of the writing transaction, so that nobody writes between this look and the insertion."""
        there = database.execute("SELECT id FROM objects WHERE key = ?", (key.encode(),)).fetchone()
        if condition and (str(there[0]) if there else None) != condition.if_match:
            raise self._error(PreconditionFailed, key, "is not as expected; nothing was written")

    def _error(self, kind: type[StorageError], key: str, what: str) -> StorageError:
        return kind(f"the object {shortened(key)!r} {what}", provider=self.name, key=key)


class _Chunks:
    """The bytes of one object from `start` on, as the source of a reader."""

    def __init__(self, database: sqlite3.Connection, transaction: Any, object_id: int, start: int) -> None:
        self._database, self._transaction, self._id = database, transaction, object_id
        self._number, self._skip = divmod(start, _CHUNK)
        self._part = b""

    def read(self, size: int, /) -> bytes:
        if not self._part:
            query = "SELECT data FROM chunks WHERE object = ? AND number = ?"
            row = self._database.execute(query, (self._id, self._number)).fetchone()
            self._part = row[0][self._skip :] if row else b""
            self._number, self._skip = self._number + 1, 0
        part, self._part = self._part[:size], self._part[size:]
        return part

    def close(self) -> None:
        self._transaction.__exit__(None, None, None)


class _Writer(ObjectWriter):
    """Takes the bytes aside, into a temporary file, and inserts them in one transaction."""

    def __init__(self, provider: SQLiteProvider, blank: ObjectInfo, condition: WriteCondition | None) -> None:
        super().__init__()
        self._provider, self._blank, self._condition = provider, blank, condition
        self._spool = tempfile.SpooledTemporaryFile(max_size=_CHUNK)  # noqa: SIM115 - closed by _publish or _discard

    def _append(self, data: memoryview) -> None:
        self._spool.write(data)

    def _publish(self, size: int, sha256: str) -> ObjectInfo:
        self._spool.seek(0)
        with self._provider._transaction("write", self._blank.key, "IMMEDIATE") as database:
            self._provider._check(database, self._blank.key, self._condition)
            info = _insert(database, self._blank._replace(size=size, sha256=sha256))
            chunks = enumerate(iter(lambda: self._spool.read(_CHUNK), b""))
            rows = ((int(info.etag), number, data) for number, data in chunks)
            database.executemany("INSERT INTO chunks VALUES (?, ?, ?)", rows)
        self._spool.close()
        return info

    def _discard(self) -> None:
        self._spool.close()


def _insert(database: sqlite3.Connection, info: ObjectInfo) -> ObjectInfo:
    """Put a new row in the place of the key's old one; the object with its new ETag and time."""
    key, now = info.key.encode(), datetime.now(UTC)
    database.execute("DELETE FROM objects WHERE key = ?", (key,))
    row = (key, info.size, now.isoformat(), info.content_type, info.sha256, json.dumps(info.metadata))
    done = database.execute("INSERT INTO objects VALUES (NULL, ?, ?, ?, ?, ?, ?)", row)
    return info._replace(etag=str(done.lastrowid), last_modified=now)


def _info(row: tuple[Any, ...]) -> ObjectInfo:
    key, size, number, modified, content_type, sha256, metadata = row
    when = datetime.fromisoformat(modified)
    return ObjectInfo(key.decode(), size, str(number), when, content_type, sha256, json.loads(metadata))
