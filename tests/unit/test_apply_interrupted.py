"""A transfer that is stopped at any moment: nothing half-written, and what was learnt so far is kept."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from application.applying import apply
from application.learning import Learning
from application.planning import PlanOptions
from application.transfers import plan_download, plan_replication, plan_upload
from application.trash import trash_of_folder, trash_of_store, undo
from application.worker_processes import Stored
from domain.errors import StorageError
from domain.known_hashes import KnownHash
from domain.local_files import PART_PREFIX
from domain.transfer import Comparison, DeleteBudget, Direction, TransferPlan, TransferReport
from infrastructure.state.hashes import RememberedHashes
from infrastructure.storage.providers import MemoryProvider

MIRROR = PlanOptions(compare=Comparison.CONTENT, delete=True, budget=DeleteBudget(None, None), backup=True)
METHODS = ["upload", "download", "copy_from", "copy", "head", "open_reader", "open_writer", "delete", "delete_many"]


class Interrupting(MemoryProvider):
    """A store in which the n-th call is interrupted; counts the calls."""

    at = 0

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        self.calls = itertools.count(1)
        self.armed = False

    def __getattribute__(self, name: str) -> Any:
        if name in METHODS and object.__getattribute__(self, "armed") and next(self.calls) == self.at:
            raise KeyboardInterrupt
        return super().__getattribute__(name)


OLD = {"p/replaced": b"before", "p/old1": b"old1", "p/old2": b"old2", "p/same": b"same"}
NEW = {"replaced": b"after!", "new1": b"new1", "new2": b"new2", "same": b"same"}


def everything(provider: MemoryProvider) -> dict[str, bytes]:
    return {info.key: MemoryProvider.get_bytes(provider, info.key) for info in provider.list_objects()}


def set_up(tmp_path: Path, at: int, direction: Direction) -> tuple[Interrupting, TransferPlan, dict[str, Any]]:
    """What is old at the target and new at the source, and a plan to make them equal."""
    provider = Interrupting({})
    here = tmp_path / f"here{at}"
    here.mkdir()
    options: dict[str, Any] = {}
    if direction is Direction.UPLOAD:
        for key, content in OLD.items():
            provider.put_bytes(key, content)
        for name, content in NEW.items():
            (here / name).write_bytes(content)
        plan = plan_upload(provider, str(here), "p", MIRROR)
        options["trash"] = trash_of_store(provider)
    elif direction is Direction.DOWNLOAD:
        for name, content in NEW.items():
            provider.put_bytes(f"p/{name}", content)
        for key, content in OLD.items():
            (here / key[2:]).write_bytes(content)
        plan = plan_download(provider, "p/", str(here), MIRROR)
        options["trash"] = trash_of_folder(str(here))
    else:
        origin = MemoryProvider({"bucket_name": "origin"})
        for name, content in NEW.items():
            origin.put_bytes(f"q/{name}", content)
        for key, content in OLD.items():
            provider.put_bytes(key, content)
        plan = plan_replication(origin, "q", provider, "p", MIRROR)
        options |= {"trash": trash_of_store(provider), "origin": origin}
    provider.armed, provider.at = True, at
    return provider, plan, options


def there(provider: MemoryProvider, folder: Path, direction: Direction) -> tuple[dict[str, bytes], set[bytes]]:
    """What is at the target under its name, and the contents in its trash."""
    if direction is Direction.DOWNLOAD:
        found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert not [name for name in found if PART_PREFIX in name]
        trash = {content for name, content in found.items() if name.startswith(".lading/") and "/objects/" in name}
        return {name: content for name, content in found.items() if not name.startswith(".lading/")}, trash
    found = everything(provider)
    trash = {content for name, content in found.items() if name.startswith("deleted/") and "/objects/" in name}
    return {name[2:]: content for name, content in found.items() if name.startswith("p/")}, trash


@pytest.mark.parametrize("direction", list(Direction))
def test_an_interrupt_at_any_call_leaves_whole_files_and_an_account(tmp_path: Path, direction: Direction) -> None:
    old = {key[2:]: content for key, content in OLD.items()}
    for at in itertools.count(1):
        assert at < 100
        provider, plan, options = set_up(tmp_path, at, direction)
        report: TransferReport = apply(provider, plan, **options)
        provider.armed = False
        now, trash = there(provider, tmp_path / f"here{at}", direction)
        for name, content in now.items():
            assert content in (old.get(name), NEW.get(name)), (at, name)
        for name, content in old.items():
            assert now.get(name) == content or content in trash, (at, f"{name} is nowhere")
        assert sum(now.get(name) == NEW[name] for name in ("replaced", "new1", "new2")) >= report.done
        if not report.interrupted:
            assert now == NEW and (report.done, report.deleted) == (3, 2)
            break
        if any(now.get(name) != NEW[name] for name in NEW):
            assert {"old1", "old2"} <= now.keys(), "deleted before all was moved"
        if report.trash_id:
            undo(options["trash"], report.trash_id)
            after, _ = there(provider, tmp_path / f"here{at}", direction)
            assert after.items() >= old.items(), at
    assert at > (3 if direction is Direction.DOWNLOAD else 10), "it was interrupted here and there"


def test_what_was_learnt_before_an_interrupt_is_kept(tmp_path: Path) -> None:
    known = RememberedHashes(tmp_path / "state.sqlite")
    provider, plan, options = set_up(tmp_path, 0, Direction.UPLOAD)
    keys = [action.key for action in plan.actions]

    class Stopping:
        def started(self, action: Any) -> None: ...

        def moved(self, action: Any, size: int) -> None: ...

        def finished(self, action: Any, error: StorageError | None) -> None:
            if action.key == keys[1]:
                raise KeyboardInterrupt

    report = apply(provider, plan, known=known, observer=Stopping(), **options)
    assert report.interrupted
    kept = {item.name: item.sha256 for item in known.objects(" memory:memory", "p/")}
    assert kept == {key[2:]: hashlib.sha256(NEW[key[2:]]).hexdigest() for key in keys[:2]}


# -- learning


class Memory(RememberedHashes):
    def __init__(self) -> None:
        self.kept: dict[str, list[KnownHash]] = {"files": [], "objects": []}

    def files(self, folder: str) -> Iterator[KnownHash]:
        return iter(())

    def objects(self, store: str, prefix: str) -> Iterator[KnownHash]:
        return iter(())

    def remember_files(self, folder: str, known: Any) -> None:
        self.kept["files"] += known

    def remember_objects(self, store: str, prefix: str, known: Any) -> None:
        self.kept["objects"] += known


def old_file(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    while os.stat(path).st_ctime_ns + 110_000_000 > time.time_ns():
        pass


def test_a_file_that_changed_between_plan_and_upload_is_not_remembered(tmp_path: Path) -> None:
    old_file(tmp_path / "a", b"a")
    provider, memory = MemoryProvider({}), Memory()
    plan = plan_upload(provider, str(tmp_path), "p")
    old_file(tmp_path / "a", b"b")
    apply(provider, plan, known=memory)
    assert memory.kept["files"] == []
    assert [(item.name, item.sha256) for item in memory.kept["objects"]] == [("a", hashlib.sha256(b"b").hexdigest())]


def test_only_what_has_a_hash_is_remembered_and_many_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("application.learning._KEPT_TOGETHER", 2)
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(b"")
    old_file(tmp_path / "d", b"")
    memory = Memory()
    plan = plan_upload(MemoryProvider({}), str(tmp_path), "p")
    learning = Learning(MemoryProvider({}), plan, memory, None)
    kept = []
    for action in plan.actions:
        sha256 = "" if action.key == "p/b" else hashlib.sha256(action.key.encode()).hexdigest()
        learning.learn(action, Stored("etag", sha256, action.source))
        kept.append(len(memory.kept["objects"]))
    assert kept == [0, 0, 2, 2]
    learning.keep()
    assert [item.name for item in memory.kept["files"]] == ["a", "c", "d"]
    assert [item.name for item in memory.kept["objects"]] == ["a", "c", "d"]


def test_one_file_and_its_object_are_remembered_by_their_own_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_file(tmp_path / "a", b"a")
    provider, known = MemoryProvider({}), RememberedHashes(tmp_path / "state.sqlite")
    apply(provider, plan_upload(provider, str(tmp_path / "a"), "k"), known=known)
    apply(provider, plan_download(provider, "k", str(tmp_path / "b")), known=known)
    assert [item.name for item in known.objects(" memory:memory", "")] == ["k"]
    assert [item.name for item in known.files(f"{os.path.realpath(tmp_path)}/")][:1] == ["a"]
    assert {item.name for item in known.files("/")} <= {str(tmp_path / "a")[1:], str(tmp_path / "b")[1:]}
    monkeypatch.chdir(tmp_path)
    old_file(tmp_path / "c", b"c")
    apply(provider, plan_upload(provider, "c", "k"), known=known)
    assert "c" in [item.name for item in known.files(f"{os.path.realpath(tmp_path)}/")]


def test_a_file_that_can_not_be_put_in_its_place_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provider, plan, options = set_up(tmp_path, 0, Direction.DOWNLOAD)
    real = os.rename

    def rename(source: str, target: str, **more: Any) -> None:
        if str(target).endswith("new1"):
            raise OSError(errno.EIO, "input/output error")
        real(source, target, **more)

    monkeypatch.setattr(os, "rename", rename)
    report = apply(provider, plan, **options)
    assert [action.key for action, _ in report.failures] == ["p/new1"]
    assert (report.done, report.deleted) == (2, 0)
    now, _ = there(provider, tmp_path / "here0", Direction.DOWNLOAD)
    assert now == {"replaced": b"after!", "new2": b"new2", "old1": b"old1", "old2": b"old2", "same": b"same"}
