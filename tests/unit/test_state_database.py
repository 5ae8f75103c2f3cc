"""The one file of state: kept, shared, and begun anew where it can't be read."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from infrastructure.state.database import open_state

NUMBERS = "CREATE TABLE IF NOT EXISTS numbers (number INT)"
WORDS = "CREATE TABLE IF NOT EXISTS words (word TEXT); CREATE INDEX IF NOT EXISTS by_word ON words (word)"


def note(path: Path, number: int) -> None:
    with open_state(NUMBERS, path) as database:
        database.execute("INSERT INTO numbers VALUES (?)", (number,))


def noted(path: Path) -> list[int]:
    with open_state(NUMBERS, path) as database:
        return [number for (number,) in database.execute("SELECT number FROM numbers ORDER BY number")]


def test_what_is_noted_is_there_the_next_time_and_beside_the_tables_of_others(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "state.sqlite"
    note(path, 1)
    with open_state(WORDS, path) as database:
        database.execute("INSERT INTO words VALUES ('a')")
    note(path, 2)
    assert noted(path) == [1, 2]
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT * FROM words").fetchall() == [("a",)]


def test_the_file_is_in_the_users_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with open_state(NUMBERS):
        pass
    assert (tmp_path / "lading" / "state.sqlite").is_file()
    assert (tmp_path / "lading").stat().st_mode & 0o777 == 0o700


def test_a_block_that_raises_keeps_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with pytest.raises(ZeroDivisionError), open_state(NUMBERS, path) as database:
        database.execute("INSERT INTO numbers VALUES (1)")
        raise ZeroDivisionError
    assert noted(path) == []


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def no_database(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)


def damaged_inside(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)


def of_another_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript("DROP TABLE numbers; CREATE TABLE numbers (something, other); PRAGMA user_version = 999")


@pytest.mark.parametrize("damage", [cut_off, no_database, damaged_inside, of_another_version])
def test_a_file_that_can_not_be_used_is_begun_anew(tmp_path: Path, damage) -> None:
    path = tmp_path / "state"
    for number in range(2000):
        if not number % 500:
            note(path, number)
    damage(path)
    try:
        note(path, 1)
    except sqlite3.DatabaseError:  # damage that is met inside of the block is known from then on
        note(path, 1)
    assert noted(path) == [1]


def test_one_that_is_away_is_an_error_that_a_caller_does_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "state"):
        with pytest.raises((sqlite3.Error, OSError)), open_state(NUMBERS, path):
            pass
    assert (tmp_path / "file").exists()


def test_several_write_it_at_once(tmp_path: Path) -> None:
    path, together = tmp_path / "state", threading.Barrier(4)
    failed = []

    def write(first: int) -> None:
        together.wait(10)
        try:
            for number in range(first, first + 20):
                note(path, number)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(first,)) for first in range(0, 80, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert noted(path) == list(range(80))
