"""The one SQLite file of what is remembered only to save work. It may be deleted at any time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_VERSION = 2
"""Of all tables together; to be raised with every change of a table that has been released."""

_UNREADABLE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class _Damaged(sqlite3.DatabaseError):
    """Damage that SQLite does not see."""


def state_folder() -> Path:
    """Where the state is kept; it may be missing."""
    import platformdirs

    return platformdirs.user_cache_path("lading")


def make_private(folder: Path) -> None:
    """Make a folder of the state where it is missing, and those above it: what is new of the state is for its user alone.

    Raises:
        OSError: it can't be made.
    """
    if folder.is_dir():
        return
    state = state_folder()
    if state in folder.parents:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


@contextmanager
def open_state(schema: str, path: Path | None = None) -> Iterator[sqlite3.Connection]:
    """The state as one transaction: kept when the block ends well, and not at all where it raises.

    A file that is damaged, or of another version, is thrown away and begun anew. To be opened for a few notes and closed
    again: a connection belongs to one thread and survives no fork.

    Args:
        schema: SQL that makes the caller's tables where they are missing (`CREATE TABLE IF NOT EXISTS`).
        path: of the file, where it is not the user's.

    Raises:
        sqlite3.Error, OSError: the state can't be had or written; the caller does without.
    """
    path = path or state_folder() / "state.sqlite"
    make_private(path.parent)
    try:
        database = _connect(path, schema)
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
        _throw_away(path)
        database = _connect(path, schema)
    try:
        with database:
            yield database
    except sqlite3.DatabaseError as error:
        if _is_damage(error):
            _throw_away(path)
        raise
    finally:
        database.close()


def _connect(path: Path, schema: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=10)
    try:
        database.execute("BEGIN")
        if not _is_ours(database, path):
            database.rollback()
            database.execute("BEGIN IMMEDIATE")  # of several that find it so, one makes it anew
            if not _is_ours(database, path):
                tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
                for name in (name for (name,) in tables if not name.startswith("sqlite_")):
                    database.execute('DROP TABLE "{}"'.format(name.replace('"', '""')))
                database.execute(f"PRAGMA user_version = {_VERSION}")
        database.commit()
        database.executescript(schema)
    except BaseException:
        database.close()
        raise
    return database


def _is_ours(database: sqlite3.Connection, path: Path) -> bool:
    """Whether it is of this version; to be asked in a transaction, while nobody writes."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (page,) = database.execute("PRAGMA page_size").fetchone()
    if path.stat().st_size % page:  # cut off within a page: SQLite would take what is missing for zeros
        raise _Damaged(f"{path} is cut off")
    return bool(version == _VERSION)


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    # The low byte of a code is the kind, what is above it tells more exactly.
    return isinstance(error, _Damaged) or (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in _UNREADABLE


def _throw_away(path: Path) -> None:
    for name in (path, path.with_name(path.name + "-journal")):
        with suppress(OSError):
            name.unlink()
