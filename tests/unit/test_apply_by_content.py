"""Uploads to the addresses of contents, where what is there is as good as what is sent, and downloads by way of a cache."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from application.applying import apply
from application.cached_downloads import CachedDownloads
from domain.content import DVC_MD5, ContentHash
from domain.errors import LocalFileError, ObjectNotFound, PreconditionFailed, StorageError, StoreUnavailable
from domain.many_files import File
from domain.storage import Capabilities, ObjectInfo, WriteCondition
from domain.transfer import Direction, TransferAction, TransferPlan
from infrastructure.state.content_cache import FolderCache
from infrastructure.storage.providers import LocalProvider, MemoryProvider

MIB = 1 << 20
LARGE = bytes(range(256)) * 5000
BLOBS = [b"a", b"b", b"", LARGE]
ABSENT = WriteCondition.absent()


class OneByOne(MemoryProvider):
    """A store in memory.

    Attributes:
        conditions: of every upload, with its key.
    """

    def __init__(self, can: Mapping[str, bool] | None = None) -> None:
        super().__init__({"capabilities": dict(can or {})})
        self.conditions: list[tuple[str, WriteCondition | None]] = []
        self.fetched: list[str] = []

    def upload(
        self, local_path: Any, remote_path: str, *others: Any, condition: WriteCondition | None = None, **options: Any
    ) -> ObjectInfo:
        self.conditions.append((remote_path, condition))
        return super().upload(local_path, remote_path, *others, condition=condition, **options)

    def download(self, remote_path: str, *others: Any, **options: Any) -> ObjectInfo:
        self.fetched.append(remote_path)
        return super().download(remote_path, *others, **options)


class ByThreads(OneByOne):
    """As if behind a network: several threads move its files."""

    @property
    def capabilities(self) -> Capabilities:
        return super().capabilities.overridden({"remote": True})


class ManyAtOnce(ByThreads):
    """As if behind a network, with many small files by one call."""

    def upload_many(self, files: Iterable[File], *others: Any, **options: Any) -> Iterator[Any]:
        return super().upload_many(files, *others, **options)

    def download_many(self, files: Iterable[File]) -> Iterator[Any]:
        return super().download_many(files)


KINDS = pytest.mark.parametrize("kind", [OneByOne, ByThreads, ManyAtOnce])


class Seen:
    """An observer that adds up."""

    def __init__(self) -> None:
        self.bytes = 0
        self.finished_keys: list[tuple[str, bool]] = []

    def started(self, action: TransferAction) -> None:
        pass

    def moved(self, action: TransferAction, size: int) -> None:
        self.bytes += size

    def finished(self, action: TransferAction, error: StorageError | None) -> None:
        self.finished_keys.append((action.key, error is None))


def key_of(data: bytes) -> str:
    return DVC_MD5.key("dvc/", hashlib.md5(data).hexdigest())  # noqa: S324


def sha(data: bytes) -> ContentHash:
    return ContentHash("sha256", hashlib.sha256(data).hexdigest())


def plan(folder: Path, blobs: Iterable[bytes], direction: Direction = Direction.UPLOAD) -> TransferPlan:
    """A file for each, and the address that its content has."""
    folder.mkdir(exist_ok=True)
    actions = []
    for number, data in enumerate(blobs):
        path = folder / f"f{number}"
        if direction is Direction.UPLOAD:
            path.write_bytes(data)
        actions.append(TransferAction(str(path), key_of(data), len(data), "new", "", "", sha(data)))
    return TransferPlan(direction, actions, path_root=f"{folder}/", key_root="dvc/")


def stored(provider: MemoryProvider) -> dict[str, bytes]:
    return {key: provider.get_bytes(key) for key in provider.list_files()}


# -- uploads


@KINDS
def test_what_is_there_counts_as_done_and_is_not_written(kind: type[OneByOne], tmp_path: Path) -> None:
    provider, seen = kind(), Seen()
    for data in (b"a", LARGE):
        provider.put_bytes(key_of(data), data)
    before = {key: provider.head(key).etag for key in provider.list_files()}
    report = apply(provider, plan(tmp_path / "in", BLOBS), by_content=True, observer=seen, content_type="x/y")
    assert (report.done, len(report.existing), report.moved) == (4, 2, 1)
    assert (report.failures, report.stopped_by) == ([], None)
    assert sorted(seen.finished_keys) == sorted((key_of(data), True) for data in BLOBS)
    assert stored(provider) == {key_of(data): data for data in BLOBS}
    assert {key: provider.head(key).etag for key in before} == before
    assert provider.head(key_of(b"b")).content_type == "x/y"
    report = apply(provider, plan(tmp_path / "in", BLOBS), by_content=True)
    assert (report.done, len(report.existing), report.moved) == (4, 4, 0)


@KINDS
@pytest.mark.parametrize(
    ("can", "small", "large"),
    [
        ({}, ABSENT, ABSENT),
        ({"create_if_absent_multipart": False}, ABSENT, None),
        ({"create_if_absent": False, "create_if_absent_multipart": False}, None, None),
    ],
    ids=["conditional", "conditional when small", "plain"],
)
def test_the_condition_is_what_the_bucket_can_do_for_a_file_of_this_size(
    can: Mapping[str, bool],
    small: WriteCondition | None,
    large: WriteCondition | None,
    kind: type[OneByOne],
    tmp_path: Path,
) -> None:
    provider = kind(can)
    for _ in range(2):
        report = apply(provider, plan(tmp_path / "in", BLOBS), by_content=True)
        assert (report.done, report.failures) == (4, [])
    assert len(report.existing) == 3 * (small is not None) + (large is not None)
    assert stored(provider) == {key_of(data): data for data in BLOBS}
    expected = [(key_of(data), large if data is LARGE else small) for data in BLOBS]
    assert sorted(provider.conditions, key=str) == sorted(expected * 2, key=str)


@KINDS
def test_of_one_content_twice_one_is_there_already(kind: type[OneByOne], tmp_path: Path) -> None:
    provider = kind()
    report = apply(provider, plan(tmp_path / "in", [b"a"] * 5), by_content=True)
    assert (report.done, len(report.existing), report.moved, report.failures) == (5, 4, 1, [])
    assert stored(provider) == {key_of(b"a"): b"a"}


@KINDS
def test_a_file_that_changed_since_it_was_hashed_is_not_stored(kind: type[OneByOne], tmp_path: Path) -> None:
    provider = kind()
    found = plan(tmp_path / "in", BLOBS)
    (tmp_path / "in" / "f1").write_bytes(b"c")
    (tmp_path / "in" / "f3").write_bytes(LARGE[:-1] + b"!")
    report = apply(provider, found, by_content=True)
    assert (report.done, report.stopped_by) == (2, None)
    assert {action.key for action, _ in report.failures} == {key_of(b"b"), key_of(LARGE)}
    assert all(isinstance(error, LocalFileError) for _, error in report.failures)
    assert stored(provider) == {key_of(data): data for data in (b"a", b"")}


@KINDS
def test_a_condition_by_somebody_else_is_a_failure(kind: type[OneByOne], tmp_path: Path) -> None:
    provider, seen = kind(), Seen()
    provider.put_bytes(key_of(b"a"), b"a")
    report = apply(provider, plan(tmp_path / "in", BLOBS), condition=ABSENT, observer=seen)
    assert (report.done, len(report.existing)) == (3, 0)
    ((action, error),) = report.failures
    assert action.key == key_of(b"a")
    assert isinstance(error, PreconditionFailed)
    assert (key_of(b"a"), False) in seen.finished_keys


@KINDS
def test_other_failures_are_failures(kind: type[OneByOne], tmp_path: Path) -> None:
    class Away(kind):  # type: ignore[misc, valid-type]
        error: StorageError = ObjectNotFound("odd")

        def open_writer(self, key: str, **options: Any) -> Any:
            if key == key_of(b"b"):
                raise self.error
            return super().open_writer(key, **options)

    provider = Away()
    report = apply(provider, plan(tmp_path / "in", BLOBS), by_content=True)
    assert (report.done, len(report.existing), len(report.failures)) == (3, 0, 1)
    provider = Away()
    provider.error = StoreUnavailable("away")
    report = apply(provider, plan(tmp_path / "in", [b"b"]), by_content=True)
    assert (report.done, report.stopped_by) == (0, provider.error)


PROCESSES = """
import json, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
import application.worker_processes as workers
workers._WORTH_IT = 10
from application.applying import apply
from application.cached_downloads import CachedDownloads
from domain.content_cache import Link
from domain.transfer import Direction
from infrastructure.state.content_cache import FolderCache
from test_apply_by_content import LocalProvider, key_of, plan
place = Path(sys.argv[1])
provider = LocalProvider({"base_path": str(place / "store"), "durable": False, "capabilities": json.loads(sys.argv[3])})
blobs = [b"%05d" % number for number in range(60)]
for data in blobs[::3]:
    provider.put_bytes(key_of(data), data)
report = apply(provider, plan(place / "in", blobs), by_content=True)
said = {"done": report.done, "existing": len(report.existing), "moved": report.moved, "failed": len(report.failures)}
cache = FolderCache(100, place / "cache")
down = apply(provider, plan(place / "out", blobs, Direction.DOWNLOAD), downloads=CachedDownloads(provider, cache, Link.HARD))
said["kept"] = sum(path.is_file() for path in (place / "cache").rglob("*"))
cache.trim()
said["left"] = sum(path.stat().st_size for path in (place / "cache").rglob("*") if path.is_file())
said["down"] = down.done
said["linked"] = sum(path.stat().st_nlink == 2 for path in (place / "out").iterdir())
said["same"] = all((place / "out" / f"f{number}").read_bytes() == data for number, data in enumerate(blobs))
print(json.dumps(said))
"""


@pytest.mark.parametrize("conditional", [True, False])
def test_by_several_processes_it_is_the_same(conditional: bool, tmp_path: Path) -> None:
    """Also the bound of a cache holds that was filled by several processes."""
    can = {} if conditional else {"create_if_absent": False, "create_if_absent_multipart": False}
    command = [sys.executable, "-c", PROCESSES, str(tmp_path), os.path.dirname(__file__), json.dumps(can)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["done"], said["failed"]) == (60, 0)
    assert (said["existing"], said["moved"]) == ((20, 200) if conditional else (0, 300))
    assert (said["down"], said["same"], said["kept"]) == (60, True, 60)
    assert said["left"] <= 100
    assert said["linked"] == said["left"] // 5


# -- downloads


@KINDS
def test_files_come_from_what_stands_before_the_provider(kind: type[OneByOne], tmp_path: Path) -> None:
    provider, seen = kind(), Seen()
    for data in BLOBS:
        provider.put_bytes(key_of(data), data)
    cache = FolderCache(1 << 30, tmp_path / "cache")
    for folder in ("one", "two"):
        provider.fetched.clear()
        found = plan(tmp_path / folder, BLOBS, Direction.DOWNLOAD)
        report = apply(provider, found, downloads=CachedDownloads(provider, cache), observer=seen)
        assert (report.done, report.moved, report.failures) == (4, sum(map(len, BLOBS)), [])
        assert sorted(provider.fetched) == sorted(key_of(data) for data in BLOBS if folder == "one")
        for number, data in enumerate(BLOBS):
            assert (tmp_path / folder / f"f{number}").read_bytes() == data
    assert seen.bytes == 2 * sum(map(len, BLOBS))


@KINDS
def test_what_is_fetched_must_have_the_content_that_the_plan_says(kind: type[OneByOne], tmp_path: Path) -> None:
    provider = kind()
    for data in BLOBS:
        provider.put_bytes(key_of(data), data if data != b"b" else b"another's, whole")
    report = apply(provider, plan(tmp_path / "out", BLOBS, Direction.DOWNLOAD))
    ((action, error),) = report.failures
    assert action.key == key_of(b"b")
    assert getattr(error, "expected", None) == sha(b"b")
    assert getattr(error, "actual", None) == sha(b"another's, whole")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["f0", "f2", "f3"]


def test_a_local_store_is_one_too(tmp_path: Path) -> None:
    provider = LocalProvider({"base_path": str(tmp_path / "store"), "durable": False})
    for existing in (0, 4):
        report = apply(provider, plan(tmp_path / "in", BLOBS), by_content=True)
        assert (report.done, len(report.existing), report.failures) == (4, existing, [])
    assert provider.get_bytes(key_of(LARGE)) == LARGE
