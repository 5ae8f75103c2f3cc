"""Transfers that stop at a known place, to be killed there and run again."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

from stub_store import Reply, Request, StubStore


class Stop:
    """Lets a store answer, but for the requests of which `held` is true: those hang until the `with` block ends.

    Attributes:
        hanging: how many do.
    """

    def __init__(self, store: StubStore, held: Callable[[Request], bool]) -> None:
        self._store = store
        self._held = held
        self._answer = store.answer
        self._over = threading.Event()
        self.hanging = 0

    def __enter__(self) -> Self:
        self._store.answer = self._or_hang
        return self

    def __exit__(self, *_: object) -> None:
        self._store.answer = self._answer
        self._over.set()

    def _or_hang(self, request: Request) -> Reply:
        if self._held(request):
            self.hanging += 1
            self._over.wait(60)
            raise ConnectionAbortedError
        return self._answer(request)


class State:
    """The file of state of a program whose home is `home`, read and written behind its back."""

    def __init__(self, home: Path) -> None:
        self.path = home / ".cache" / "lading" / "state.sqlite"

    def ask(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        """The rows; none where the file or the table is not there yet."""
        address = f"file:{self.path}?mode=rw"
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(address, uri=True)) as database, database:
            return database.execute(sql, values).fetchall()
        return []

    def parts(self) -> set[object]:
        """The numbers of the parts that are noted."""
        return {number for (number,) in self.ask("SELECT number FROM parts")}

    def ranges(self) -> set[tuple[object, ...]]:
        """Start and stop of the ranges that are noted."""
        return set(self.ask("SELECT start, stop FROM fetched"))

    def delete(self) -> None:
        """As a user may at any time."""
        self.path.unlink()

    def corrupt(self) -> None:
        """As a bad disk may."""
        self.path.write_bytes(b"\xa5" * self.path.stat().st_size)
