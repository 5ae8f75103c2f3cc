"""Hashes of files and objects, remembered from one run to the next."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from domain.known_hashes import KnownHash
from infrastructure.state.database import open_state

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY, state TEXT NOT NULL, sha256 BLOB NOT NULL, md5 BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    store TEXT NOT NULL, key BLOB NOT NULL, etag TEXT NOT NULL, sha256 BLOB NOT NULL, PRIMARY KEY (store, key)
) WITHOUT ROWID;
"""

_PAGE = 5000
"""Rows read by one question: none of them is open while somebody writes."""

_TYPES = [bytes, str, bytes, bytes]
_SHA256_BYTES = 32
_MD5_BYTES = (0, 16)

_NextRows = list[tuple[bytes, str, bytes, bytes]]

# Who knows the one hash of a file only leaves the other as it is, unless the file is another since.
_REMEMBER_FILE = """
INSERT INTO files VALUES (?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET
    md5 = CASE WHEN excluded.md5 = x'' AND state = excluded.state THEN md5 ELSE excluded.md5 END,
    state = excluded.state, sha256 = excluded.sha256
"""


class RememberedHashes:
    """`domain.known_hashes.KnownHashes` in the state file. What can't be read or written is done without."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    def files(self, folder: str) -> Iterator[KnownHash]:
        return self._rows("SELECT path, state, sha256, md5 FROM files WHERE path > ?", (), os.fsencode(folder))

    def objects(self, store: str, prefix: str) -> Iterator[KnownHash]:
        return self._rows(
            "SELECT key, etag, sha256, x'' FROM objects WHERE store = ? AND key > ?", (store,), prefix.encode()
        )

    def remember_files(self, folder: str, known: Iterable[KnownHash]) -> None:
        self._write(
            _REMEMBER_FILE,
            (
                (os.fsencode(folder + name), state, bytes.fromhex(sha256), bytes.fromhex(md5))
                for name, state, sha256, md5 in known
            ),
        )

    def remember_objects(self, store: str, prefix: str, known: Iterable[KnownHash]) -> None:
        self._write(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)",
            ((store, (prefix + name).encode(), state, bytes.fromhex(sha256)) for name, state, sha256, _ in known),
        )

    def _rows(self, question: str, given: tuple[str, ...], prefix: bytes) -> Iterator[KnownHash]:
        after, start = prefix, len(prefix)
        # Prefixes end in a slash, if there is one: what follows in byte order is what has the next character there.
        bound = " AND {} < ?".format(question.split()[1].rstrip(",")) if prefix else ""
        above = (prefix[:-1] + bytes([prefix[-1] + 1]),) if prefix else ()
        order = f"{question}{bound} ORDER BY 1 LIMIT {_PAGE}"
        while True:
            rows: _NextRows = []
            with suppress(sqlite3.Error, OSError), open_state(_SCHEMA, self._path) as database:
                rows = database.execute(order, (*given, after, *above)).fetchall()
            # Damage that SQLite does not see may make anything of a row, and of their order.
            if not all(
                list(map(type, row)) == _TYPES and len(row[2]) == _SHA256_BYTES and len(row[3]) in _MD5_BYTES
                for row in rows
            ):
                return
            for raw, state, sha256, md5 in rows:
                yield KnownHash(os.fsdecode(raw[start:]), state, sha256.hex(), md5.hex())
            if len(rows) < _PAGE or rows[-1][0] <= after:
                return
            after = rows[-1][0]

    def _write(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        pending = list(rows)
        if pending:
            with suppress(sqlite3.Error, OSError), open_state(_SCHEMA, self._path) as database:
                database.executemany(statement, pending)
