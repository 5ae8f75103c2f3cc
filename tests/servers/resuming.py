"""Transfers that stop at a known place, to be killed there and run again."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self

import pytest
from ceph_rgw import CephRgw
from cloud_environment import minio_variables
from plain_client import plain_client
from storage_command import Storage
from stub_store import PassOn, Reply, Request, StubStore


@pytest.fixture
def bucket(ceph_rgw: CephRgw, new_bucket: Callable[..., str]) -> str:
    """A bucket of a real server."""
    return new_bucket(ceph_rgw)


@pytest.fixture
def plain(ceph_rgw: CephRgw) -> Iterator[Any]:
    """boto3's client for that server."""
    client = plain_client(ceph_rgw)
    yield client
    client.close()


@pytest.fixture
def line(storage: Storage, ceph_rgw: CephRgw, bucket: str) -> Iterator[StubStore]:
    """What stands between `storage` and the bucket: it sees the requests, and can be made slow."""
    with StubStore(PassOn(ceph_rgw.http_url)) as between:
        storage.env |= minio_variables(ceph_rgw, bucket, between.url)
        yield between


@pytest.fixture
def state(storage: Storage, tmp_path: Path) -> State:
    """What `storage` remembers."""
    return State(tmp_path / "home")


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
