"""Applying a plan: each file by itself, and a report of what became of all."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from application.applying import apply
from application.planning import PlanOptions
from application.transfers import plan_download, plan_upload
from domain.content import ContentHash
from domain.errors import (
    AccessDenied,
    ContentCorrupted,
    InsufficientStorage,
    LocalFileError,
    PreconditionFailed,
    StorageError,
    StoreUnavailable,
)
from domain.storage import ObjectInfo, WriteCondition
from domain.transfer import Comparison, Direction, TransferAction, TransferPlan
from infrastructure.storage.providers import MemoryProvider

COMPARED = PlanOptions(compare=Comparison.CONTENT)


class Seen:
    """An observer that adds up."""

    def __init__(self) -> None:
        self.bytes = 0
        self.finished_keys: list[str] = []

    def started(self, action: TransferAction) -> None:
        pass

    def moved(self, action: TransferAction, size: int) -> None:
        self.bytes += size

    def finished(self, action: TransferAction, error: StorageError | None) -> None:
        self.finished_keys.append(action.key)


class FailingAt(MemoryProvider):
    """A store that raises `error` for the key `f2`."""

    error: BaseException

    def upload(self, local_path: str, remote_path: str, *others: Any, **options: Any) -> ObjectInfo:
        if remote_path == "f2":
            raise self.error
        return super().upload(local_path, remote_path, *others, **options)


def files(folder: Path, count: int = 5, size: int = 10) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"f{number}").write_bytes(bytes([number]) * size)
    return folder


def failing(error: BaseException) -> FailingAt:
    provider = FailingAt({})
    provider.error = error
    return provider


def test_an_upload_and_a_download_bring_all_back(tmp_path: Path) -> None:
    provider, seen = MemoryProvider({}), Seen()
    source = files(tmp_path / "in")
    (source / "big").write_bytes(bytes(range(256)) * 12_000)
    report = apply(
        provider, plan_upload(provider, str(source), "d"), observer=seen, content_type="x/y", metadata={"who": "me"}
    )
    assert (report.done, report.moved, report.failures) == (6, 50 + 3_072_000, [])
    assert report.stopped_by is None
    assert not report.interrupted
    assert seen.bytes == report.moved
    assert sorted(seen.finished_keys) == sorted(provider.list_files())
    assert provider.head("d/f1").metadata == {"who": "me"}
    assert provider.head("d/f1").content_type == "x/y"
    back, seen = tmp_path / "out", Seen()
    report = apply(provider, plan_download(provider, "d", str(back)), observer=seen)
    assert (report.done, report.moved, seen.bytes) == (6, 50 + 3_072_000, 50 + 3_072_000)
    assert {path.name: path.read_bytes() for path in back.iterdir()} == {
        path.name: path.read_bytes() for path in source.iterdir()
    }


def test_what_a_file_must_hash_to_is_verified_both_ways(tmp_path: Path) -> None:
    provider, source = MemoryProvider({}), files(tmp_path / "in", 2)
    known = ContentHash("sha256", hashlib.sha256(bytes(10)).hexdigest())

    def actions(folder: Path) -> list[TransferAction]:
        return [TransferAction(str(folder / f"f{n}"), f"f{n}", 10, "new", content=known) for n in range(2)]

    report = apply(provider, TransferPlan(Direction.UPLOAD, actions(source)))
    assert [(action.key, type(error)) for action, error in report.failures] == [("f1", LocalFileError)]
    assert provider.list_files() == ["f0"]
    provider.put_bytes("f1", b"other")
    report = apply(provider, TransferPlan(Direction.DOWNLOAD, actions(tmp_path / "out")))
    assert [(action.key, type(error)) for action, error in report.failures] == [("f1", ContentCorrupted)]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["f0"]


def test_a_second_sync_has_nothing_to_do(tmp_path: Path) -> None:
    provider = MemoryProvider({})
    source = files(tmp_path / "in")
    apply(provider, plan_upload(provider, str(source), "d", COMPARED))
    plan = plan_upload(provider, str(source), "d/", COMPARED)
    assert (len(plan.actions), plan.unchanged) == (0, 5)
    apply(provider, plan_download(provider, "d", str(tmp_path / "out"), COMPARED))
    plan = plan_download(provider, "d", str(tmp_path / "out"), COMPARED)
    assert (len(plan.actions), plan.unchanged) == (0, 5)


@pytest.mark.parametrize(
    "error", [LocalFileError("x"), PreconditionFailed("x"), ContentCorrupted("x"), StorageError("x")]
)
def test_one_files_failure_does_not_stop_the_others(tmp_path: Path, error: StorageError) -> None:
    provider, seen = failing(error), Seen()
    report = apply(provider, plan_upload(provider, str(files(tmp_path / "in")), ""), observer=seen)
    assert (report.done, report.moved) == (4, 40)
    assert [(action.key, found) for action, found in report.failures] == [("f2", error)]
    assert report.stopped_by is None
    assert provider.list_files() == ["f0", "f1", "f3", "f4"]
    assert seen.finished_keys == ["f0", "f1", "f2", "f3", "f4"]


@pytest.mark.parametrize("error", [InsufficientStorage("x"), StoreUnavailable("x"), AccessDenied("x")])
def test_a_failure_that_the_next_file_would_meet_too_stops(tmp_path: Path, error: StorageError) -> None:
    provider = failing(error)
    report = apply(provider, plan_upload(provider, str(files(tmp_path / "in")), ""))
    assert report.stopped_by is error
    assert (report.done, report.moved, report.failures) == (2, 20, [])
    assert provider.list_files() == ["f0", "f1"]


def test_an_interrupt_is_reported_and_what_was_done_is_counted(tmp_path: Path) -> None:
    provider = failing(KeyboardInterrupt())
    report = apply(provider, plan_upload(provider, str(files(tmp_path / "in")), ""))
    assert report.interrupted
    assert (report.done, report.moved, report.failures) == (2, 20, [])
    assert report.stopped_by is None


def test_a_bug_is_not_swallowed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        provider = failing(ZeroDivisionError())
        apply(provider, plan_upload(provider, str(files(tmp_path / "in")), ""))


def test_a_file_that_vanished_after_planning_is_one_failure(tmp_path: Path) -> None:
    provider = MemoryProvider({})
    source = files(tmp_path / "in")
    plan = plan_upload(provider, str(source), "")
    (source / "f1").unlink()
    report = apply(provider, plan)
    assert [action.key for action, _ in report.failures] == ["f1"]
    assert report.done == 4


def test_a_condition_holds_for_every_object(tmp_path: Path) -> None:
    provider = MemoryProvider({})
    provider.put_bytes("f3", b"mine")
    report = apply(provider, plan_upload(provider, str(files(tmp_path / "in")), ""), condition=WriteCondition.absent())
    assert [(action.key, type(error)) for action, error in report.failures] == [("f3", PreconditionFailed)]
    assert provider.get_bytes("f3") == b"mine"
    assert report.done == 4


def test_a_folder_where_a_file_should_come_is_one_failure_and_stays(tmp_path: Path) -> None:
    provider = MemoryProvider({})
    provider.put_bytes("p/a", b"1")
    provider.put_bytes("p/b", b"2")
    (tmp_path / "a" / "kept").mkdir(parents=True)
    report = apply(provider, plan_download(provider, "p", str(tmp_path)))
    assert [(action.key, type(error)) for action, error in report.failures] == [("p/a", LocalFileError)]
    assert (tmp_path / "b").read_bytes() == b"2"
    assert (tmp_path / "a" / "kept").is_dir()


def test_a_corrupt_object_leaves_the_old_file(tmp_path: Path) -> None:
    provider = MemoryProvider({})
    provider.put_bytes("p/a", b"123")
    stored = provider._server.buckets["memory"]["p/a"]
    provider._server.buckets["memory"]["p/a"] = stored._replace(data=b"124")
    (tmp_path / "a").write_bytes(b"old")
    report = apply(provider, plan_download(provider, "p", str(tmp_path)))
    assert [type(error) for _, error in report.failures] == [ContentCorrupted]
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_an_empty_plan_is_done(tmp_path: Path) -> None:
    report = apply(MemoryProvider({}), TransferPlan(Direction.UPLOAD, []))
    assert (report.done, report.moved, report.failures, report.stopped_by) == (0, 0, [], None)


MANY = """
import json, os, sys
from application.applying import apply
from application.transfers import plan_download, plan_upload
from infrastructure.storage.providers import LocalProvider
folder, n = sys.argv[1], 1002
os.mkdir(folder + "/in")
for i in range(n):
    with open(f"{folder}/in/{i:04d}", "w") as file:
        file.write(f"content {i}")

class Seen:
    bytes = 0
    keys = []
    def started(self, action): pass
    def moved(self, action, size): self.bytes += size
    def finished(self, action, error): self.keys.append(action.key)

provider = LocalProvider({"base_path": folder + "/store", "durable": False})
provider.put_bytes("first", b"used before the fork")
plan = plan_upload(provider, folder + "/in", "d")
os.unlink(f"{folder}/in/0700")
os.unlink(f"{folder}/in/0900")
seen = Seen()
report = apply(provider, plan, observer=seen)
down = apply(provider, plan_download(provider, "d", folder + "/out"))
same = all(open(f"{folder}/in/{name}").read() == open(f"{folder}/out/{name}").read() for name in os.listdir(folder + "/in"))
try:
    os.waitpid(-1, os.WNOHANG)
    left = True
except ChildProcessError:
    left = False
print(json.dumps({
    "done": report.done, "moved": report.moved, "failed": sorted(a.key for a, _ in report.failures),
    "kinds": sorted({type(e).__name__ for _, e in report.failures}), "stopped": str(report.stopped_by),
    "seen": len(set(seen.keys)), "calls": len(seen.keys), "down": down.done, "same": same, "left": left,
    "first": provider.get_bytes("first").decode(), "tmp": len(os.listdir(folder + "/store/.lading/tmp")),
}))
"""


def test_many_small_files_go_by_several_processes(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MANY, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    said = json.loads(done.stdout)
    lost = len("content 700") + len("content 900")
    total = sum(len(f"content {number}") for number in range(1002))
    assert (said["done"], said["moved"]) == (1000, total - lost)
    assert said["failed"] == ["d/0700", "d/0900"]
    assert said["kinds"] == ["LocalFileError"]
    assert (said["seen"], said["calls"], said["stopped"]) == (1002, 1002, "None")
    assert (said["down"], said["same"], said["left"]) == (1000, True, False)
    assert said["first"] == "used before the fork"
    assert said["tmp"] <= 1, "only the folder of the process that lives"
