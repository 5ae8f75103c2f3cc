"""Killed at any step, the trash has lost nothing, and the next run ends right."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from application.local_tree import state_of
from application.trash import Trash, records, trash_of_folder, trash_of_store, undo
from domain.errors import ObjectNotFound, StorageError
from domain.objects import ObjectInfo
from domain.storage import IStorageProvider
from domain.streams import ObjectWriter
from domain.trash import Trashed
from infrastructure.storage.providers import MemoryProvider


class Killed(BaseException):
    """What a kill looks like to the code that it ends."""


class Countdown:
    """Kills at the `left`-th change, before it happens or right after."""

    def __init__(self) -> None:
        self.left = 0
        self.after = False
        self.dead = False
        self._lock = threading.Lock()

    def start(self, left: int, *, after: bool) -> None:
        self.left, self.after, self.dead = left, after, False

    def around(self, change: Callable[[], Any]) -> Any:
        with self._lock:
            if self.dead:  # other threads of the killed process
                raise Killed
            self.left -= 1
            self.dead = self.left == 0
            if self.dead and not self.after:
                raise Killed
            made = change()
            if self.dead:
                raise Killed
            return made


class Mortal(MemoryProvider):
    """A store whose client is killed."""

    def __init__(self, countdown: Countdown, *, remote: bool) -> None:
        super().__init__({"capabilities": {"remote": remote}})
        self._countdown = countdown

    def open_writer(self, key: str, **options: Any) -> ObjectWriter:
        writer = super().open_writer(key, **options)
        publish = writer._publish
        writer._publish = lambda *given: self._countdown.around(lambda: publish(*given))  # type: ignore[method-assign]
        return writer

    def copy(self, source: str, destination: str, **options: Any) -> ObjectInfo:
        change = super().copy
        return self._countdown.around(lambda: change(source, destination, **options))  # type: ignore[no-any-return]

    def delete(self, remote_path: str) -> None:
        change = super().delete
        self._countdown.around(lambda: change(remote_path))

    def delete_many(self, keys: Iterable[str]) -> list[StorageError]:
        for key in keys:
            self.delete(key)
        return []


BEFORE = {"gone/1": "one", "gone/2": "two", "kept": "k", "replaced/1": "old one", "replaced/2": "old two"}
AFTER = {"kept": "k", "replaced/1": "new one", "replaced/2": "new two"}


class StoreWorld:
    """A store, and what a sync does to it."""

    def __init__(self, countdown: Countdown, *, remote: bool) -> None:
        self.provider = Mortal(countdown, remote=remote)
        for key, content in BEFORE.items():
            self.provider.put_bytes(key, content.encode())
        self.trash: Trash = trash_of_store(self.provider)
        self.entries = [self._planned(key) for key in BEFORE if key != "kept"]

    def _planned(self, key: str) -> Trashed:
        info = self.provider.head(key)
        return Trashed(key, info.size, info.etag, replaced=key.startswith("replaced"))

    def replace(self, name: str) -> None:
        self.provider.put_bytes(name, AFTER[name].encode())

    def contents(self) -> dict[str, str]:
        return {key: self._read(self.provider, key) for key in self.provider.list_files() if key[:8] != "deleted/"}

    def everything(self) -> set[str]:
        return {self._read(self.provider, key) for key in self.provider.list_files()}

    def trash_is_gone(self) -> bool:
        return not self.provider.list_files("deleted/")

    @staticmethod
    def _read(provider: IStorageProvider, key: str) -> str:
        return provider.get_bytes(key).decode()


class FolderWorld:
    """A folder, and what a sync does to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, content in BEFORE.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
        self.trash: Trash = trash_of_folder(str(folder))
        self.entries = [self._planned(name) for name in BEFORE if name != "kept"]

    def _planned(self, name: str) -> Trashed:
        status = (self.folder / name).stat()
        return Trashed(name, status.st_size, state_of(status), replaced=name.startswith("replaced"))

    def replace(self, name: str) -> None:
        (self.folder / "new").write_text(AFTER[name])
        os.rename(self.folder / "new", self.folder / name)

    def _files(self) -> dict[str, str]:
        found = [path for path in self.folder.rglob("*") if path.is_file()]
        return {path.relative_to(self.folder).as_posix(): path.read_text() for path in found}

    def contents(self) -> dict[str, str]:
        return {name: content for name, content in self._files().items() if not name.startswith((".lading", "new"))}

    def everything(self) -> set[str]:
        return set(self._files().values())

    def trash_is_gone(self) -> bool:
        return not list((self.folder / ".lading" / "trash").rglob("*"))


World = StoreWorld | FolderWorld


def sync(world: World) -> None:
    """As a sync does it: what is replaced is saved first, and what is deleted goes at the end."""
    batch = world.trash.open("sync", world.entries)
    for entry, error in batch.put([entry for entry in world.entries if entry.replaced]):
        assert error is None
        world.replace(entry.name)
    for _, error in batch.put([entry for entry in world.entries if not entry.replaced]):
        assert error is None


def undone(world: World) -> None:
    """`storage undo` until it says that all is well."""
    try:
        report = undo(world.trash)
    except ObjectNotFound:
        assert not list(records(world.trash))
        return
    assert report.finished, report
    assert not report.conflicts and not report.failures and not report.stopped_by


@pytest.fixture
def countdown() -> Countdown:
    return Countdown()


@pytest.fixture(params=["store", "remote store", "folder"])
def new_world(
    request: pytest.FixtureRequest, countdown: Countdown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], World]:
    numbers = itertools.count()

    def make() -> World:
        countdown.start(0, after=False)
        if request.param == "folder":
            return FolderWorld(tmp_path / f"{next(numbers)}")
        return StoreWorld(countdown, remote=request.param == "remote store")

    if request.param == "folder":
        # Every call by which the disk changes; an empty folder that is left is no loss, but must do no harm either.
        for name in ("rename", "link", "unlink", "mkdir", "rmdir", "fsync"):
            real = getattr(os, name)

            def call(*given: Any, real: Callable[..., Any] = real, **options: Any) -> Any:
                return countdown.around(lambda: real(*given, **options))

            monkeypatch.setattr(os, name, call)
    return make


def died_at(countdown: Countdown, number: int, after: bool, work: Callable[[], object]) -> bool:
    countdown.start(number, after=after)
    try:
        work()
    except Killed:
        return True
    finally:
        countdown.start(0, after=False)
    return False


@pytest.mark.parametrize("after", [False, True])
def test_sync_killed_anywhere_can_be_undone(new_world: Callable[[], World], countdown: Countdown, after: bool) -> None:
    for number in range(1, 200):
        world = new_world()
        died = died_at(countdown, number, after, partial(sync, world))
        assert set(BEFORE.values()) <= world.everything(), number
        # What undoing replaces are the new contents, in a record of their own: of these there may be one.
        undone(world)
        assert world.contents() == BEFORE, number
        if not died:
            break
    assert number > 8


@pytest.mark.parametrize("after", [False, True])
def test_undo_killed_anywhere_ends_right_the_second_time(
    new_world: Callable[[], World], countdown: Countdown, after: bool
) -> None:
    for number in range(1, 200):
        world = new_world()
        sync(world)
        assert world.contents() == AFTER
        (sync_id,) = world.trash.ids()
        died = died_at(countdown, number, after, partial(undo, world.trash))
        assert set(BEFORE.values()) | set(AFTER.values()) <= world.everything(), number
        if sync_id in dict(records(world.trash)):  # else it was done, and nobody heard
            undone(world)
        assert world.contents() == BEFORE, number
        assert set(AFTER.values()) <= world.everything(), number
        # And that can be taken back.
        undone(world)
        assert {name: world.contents()[name] for name in AFTER} == AFTER, number
        if not died:
            break
    assert number > 8


@pytest.mark.parametrize("after", [False, True])
def test_empty_killed_anywhere_goes_on(new_world: Callable[[], World], countdown: Countdown, after: bool) -> None:
    for number in range(1, 200):
        world = new_world()
        sync(world)
        (sync_id,) = world.trash.ids()
        died = died_at(countdown, number, after, partial(world.trash.remove, sync_id))
        for trash_id in world.trash.ids():
            world.trash.remove(trash_id)
        assert world.contents() == AFTER
        assert world.trash_is_gone(), number
        if not died:
            break
    assert number > 3
