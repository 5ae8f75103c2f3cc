"""Versions of datasets as a library makes them: what is asked of the store, and what is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from application.content_addressed_storage import ContentAddressedStorage
from application.dataset_versioning import DatasetVersioning
from application.planning import PlanOptions
from domain.content import DVC_MD5
from domain.errors import (
    ContentCorrupted,
    InvalidRequest,
    LocalFileError,
    ObjectNotFound,
    StorageError,
    StoreUnavailable,
    UnsupportedOperation,
)
from domain.storage import ObjectInfo
from domain.transfer import Comparison
from infrastructure.state.hashes import RememberedHashes
from infrastructure.storage.providers import LocalProvider, MemoryProvider


class Counting(MemoryProvider):
    """Counts what is asked of the store, by method and the first part of the key."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        self.asked: Counter[str] = Counter()

    def list_objects(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        self.asked["list"] += 1
        return super().list_objects(prefix, start_after=start_after)

    def head(self, key: str) -> ObjectInfo:
        self.asked[f"head {key.partition('/')[0]}"] += 1
        return super().head(key)

    def open_reader(self, key: str, **options: Any) -> Any:
        self.asked[f"get {key.partition('/')[0]}"] += 1
        return super().open_reader(key, **options)

    def open_writer(self, key: str, **options: Any) -> Any:
        self.asked[f"put {key.partition('/')[0]}"] += 1
        return super().open_writer(key, **options)


@pytest.fixture
def store() -> Counting:
    return Counting({})


@pytest.fixture
def datasets(store: Counting, tmp_path: Path) -> DatasetVersioning:
    return DatasetVersioning(store, known=RememberedHashes(tmp_path / "state.sqlite"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return written(tmp_path / "data", {f"d{number % 7}/{number:03}": f"{number}" for number in range(300)})


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def test_what_is_unchanged_asks_for_a_handful_whatever_the_number_of_files(
    datasets: DatasetVersioning, store: Counting, data: Path
) -> None:
    assert datasets.version(data, "d").sent == 300
    store.asked.clear()
    assert datasets.version(data, "d").created is False
    assert store.asked.total() <= 3
    store.asked.clear()
    (data / "new").write_text("new")
    made = datasets.version(data, "d")
    assert (made.created, made.sent, made.sent_bytes) == (True, 1, 3)
    # The file, manifest and table; the lease and the record.
    assert {name: count for name, count in store.asked.items() if name.startswith("put")} == {
        "put dvc": 2,
        "put cas": 1,
        "put .lading": 2,
    }
    assert store.asked.total() <= 20


def test_of_contents_that_a_parent_has_none_is_sent(datasets: DatasetVersioning, data: Path) -> None:
    datasets.version(data, "raw")
    (data / "d0" / "000").unlink()
    made = datasets.version(data, "clean", parents=["raw"])
    assert (made.created, made.sent) == (True, 0)
    assert [str(parent) for parent in made.version.parents] == ["raw@1"]


def test_the_same_content_under_several_names_is_sent_once(datasets: DatasetVersioning, tmp_path: Path) -> None:
    data = written(tmp_path / "data", dict.fromkeys("abc", "same"))
    assert datasets.version(data, "d").sent == 1
    datasets.checkout("d", tmp_path / "out")
    assert sorted(path.read_text() for path in (tmp_path / "out").iterdir()) == ["same"] * 3


@pytest.mark.parametrize("size", [10, 3 << 20])
@pytest.mark.parametrize("capable", [True, False])
def test_what_arrived_before_a_failure_is_not_sent_again(tmp_path: Path, size: int, capable: bool) -> None:
    class Failing(MemoryProvider):
        left = 2

        def open_writer(self, key: str, **options: Any) -> Any:
            if key.startswith("dvc/"):
                self.left -= 1
                if self.left < 0:
                    raise StoreUnavailable("the store is away", provider="memory")
            return super().open_writer(key, **options)

    store = Failing({"capabilities": {} if capable else {"create_if_absent": False}})
    datasets = DatasetVersioning(store)
    for name in "abcde":
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_bytes(name.encode() * size)
    with pytest.raises(StoreUnavailable, match="no version was made"):
        datasets.version(tmp_path / "data", "d")
    assert store.list_files(".lading/datasets/") == []
    assert len(store.list_files("dvc/")) == 2
    store.left = 100
    assert datasets.version(tmp_path / "data", "d").sent == 3
    assert [checked.error for checked in datasets.verify("d")] == [None] * 6


def test_a_file_that_changes_after_it_was_hashed_is_never_stored_at_its_old_address(tmp_path: Path) -> None:
    data = written(tmp_path / "data", {"a": "one", "b": "two"})

    class Changing(MemoryProvider):
        def upload(self, local_path: Any, remote_path: str, *args: Any, **options: Any) -> ObjectInfo:
            (data / "b").write_text("2wo")
            return super().upload(local_path, remote_path, *args, **options)

        def upload_many(self, files: Iterable[Any], *args: Any, **options: Any) -> Iterator[Any]:
            (data / "b").write_text("2wo")
            return super().upload_many(files, *args, **options)

    store = Changing({})
    with pytest.raises(LocalFileError, match="no version was made"):
        DatasetVersioning(store).version(data, "d")
    for key in store.list_files("dvc/"):
        address = DVC_MD5.address_of("dvc/", key)
        assert address
        ContentAddressedStorage(store, "dvc/", scheme=DVC_MD5).verify(address)


def test_what_was_damaged_by_hand_is_put_right_by_a_recheck(
    datasets: DatasetVersioning, store: Counting, data: Path
) -> None:
    datasets.version(data, "d")
    keys = [key for key in store.list_files("dvc/") if not key.endswith(".dir")]
    store.delete(keys[0])
    store.put_bytes(keys[1], b"something longer")
    assert sum(checked.error is not None for checked in datasets.verify("d")) == 2
    assert datasets.version(data, "d", recheck=True).sent == 2
    assert [checked.error for checked in datasets.verify("d")] == [None] * 301


# Two files of one MD5, published by Xiaoyun Wang and others in 2004.
_ONE = (
    "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f89"
    "55ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5b"
    "d8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
)
_TWO = list(_ONE)
for _at, _digit in [(38, "0"), (90, "f"), (118, "7"), (166, "3"), (218, "2"), (246, "a")]:
    _TWO[_at] = _digit
COLLIDING = [bytes.fromhex(_ONE), bytes.fromhex("".join(_TWO))]


@pytest.mark.parametrize("remote", [True, False])
@pytest.mark.parametrize("size", [0, 2 << 20])
def test_two_files_of_one_md5_are_never_taken_for_one(tmp_path: Path, size: int, remote: bool) -> None:
    store = Counting({"capabilities": {"remote": remote}})
    datasets = DatasetVersioning(store)
    for name, content in zip("ab", COLLIDING, strict=True):
        (tmp_path / "both").mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content + bytes(size))
        (tmp_path / "both" / name).write_bytes(content + bytes(size))
    first = datasets.version(tmp_path / "a", "a").version
    for call in (
        lambda: datasets.version(tmp_path / "b", "b"),
        lambda: datasets.version(tmp_path / "b", "a"),
        lambda: datasets.version(tmp_path / "b", "b", recheck=True),
        lambda: datasets.version(tmp_path / "both", "both"),
    ):
        with pytest.raises(UnsupportedOperation, match="MD5 of another file"):
            call()
    assert store.get_bytes(DVC_MD5.key("dvc/", first.content)) == COLLIDING[0] + bytes(size)
    assert datasets.records.ids() == ["a"]


@pytest.mark.parametrize("remote", [True, False])
def test_what_lies_at_an_address_and_is_not_its_content_is_written_anew(tmp_path: Path, remote: bool) -> None:
    store = Counting({"capabilities": {"remote": remote}})
    datasets = DatasetVersioning(store)
    data = written(tmp_path / "data", {"a": "one", "b": "two"})
    for name in ("one", "two"):
        key = DVC_MD5.key("dvc/", ContentAddressedStorage(store, scheme=DVC_MD5).get_content_hash(name.encode()))
        store.put_bytes(key, b"trunc")
    datasets.version(data, "d")
    assert [checked.error for checked in datasets.verify("d")] == [None] * 3


@pytest.mark.parametrize("deduplicate", [True, False])
def test_damage_is_repaired_by_a_recheck_and_without_deduplication(
    store: Counting, data: Path, deduplicate: bool
) -> None:
    datasets = DatasetVersioning(store, deduplicate=deduplicate)
    made = datasets.version(data, "d").version
    first = next(datasets.files(made))
    keys = [DVC_MD5.key("dvc/", first.md5), DVC_MD5.key("dvc/", made.content), f"cas/{made.table[:2]}/{made.table}"]
    for key in keys:
        data_there, info = store._server.buckets[store._bucket][key]
        store._server.buckets[store._bucket][key] = type(store._stored(key))(data_there[:-1] + b"!", info)
    with pytest.raises(ContentCorrupted):
        list(datasets.verify("d"))
    datasets.version(data, "d", recheck=deduplicate, even_if_unchanged=not deduplicate)
    for key in keys:
        store.get_bytes(key)
    assert [checked.error for checked in datasets.verify("d")] == [None] * 301


def test_a_damaged_table_of_the_last_version_stops_no_new_one(
    datasets: DatasetVersioning, store: Counting, data: Path
) -> None:
    made = datasets.version(data, "d").version
    store.delete(f"cas/{made.table[:2]}/{made.table}")
    (data / "new").write_text("new")
    assert datasets.version(data, "d").created
    assert [checked.error for checked in datasets.verify("d")] == [None] * 302


def test_versions_know_where_their_files_are(data: Path, tmp_path: Path) -> None:
    store = MemoryProvider({})
    other = store.for_bucket("other-bucket")
    other.create_bucket()
    here, there = DatasetVersioning(store), DatasetVersioning(store, content=other, dvc_prefix="p/")
    here.version(data, "d")
    assert there.version(data, "d").sent == 300
    assert (here.get("d@1").place, here.get("d@2").place) == ("dvc/", "s3://other-bucket/p/")
    assert there.version(data, "child", parents=["d@1"]).sent == 0
    for datasets in (here, there):
        for reference in ("d@1", "d@2", "child"):
            assert [checked.error for checked in datasets.verify(reference)] == [None] * 301
    assert here.checkout("d@2", tmp_path / "out").done == 300


def test_a_checkout_of_what_is_there_asks_for_no_content(
    datasets: DatasetVersioning, store: Counting, data: Path, tmp_path: Path
) -> None:
    datasets.version(data, "d")
    store.asked.clear()
    report = datasets.checkout("d", data)
    assert (report.done, report.failures) == (0, [])
    assert not store.asked["get dvc"] and not store.asked["head dvc"]
    report = datasets.checkout("d", tmp_path / "out", PlanOptions(compare=Comparison.CONTENT))
    assert report.done == 300


def test_a_checkout_says_what_is_missing_and_fetches_the_rest(
    datasets: DatasetVersioning, store: Counting, data: Path, tmp_path: Path
) -> None:
    made = datasets.version(data, "d").version
    (first, second, *_) = datasets.files(made)
    store.delete(DVC_MD5.key("dvc/", first.md5))
    store.put_bytes(DVC_MD5.key("dvc/", second.md5), b"x" * second.size)
    with pytest.raises((ObjectNotFound, ContentCorrupted), match="and 1 more"):
        datasets.checkout("d", tmp_path / "out")
    fetched = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert fetched == {entry.name for entry in datasets.files(made)} - {first.name, second.name}


def test_names_that_a_store_keeps_for_itself_are_names_like_others(datasets: DatasetVersioning, tmp_path: Path) -> None:
    files = {"cas/x": "1", "dvc/y": "2", "deleted/z": "3", "temp/t": "4", "datasets/d": "5"}
    datasets.version(written(tmp_path / "data", files), "d")
    datasets.checkout("d", tmp_path / "out")
    found = {
        path.relative_to(tmp_path / "out").as_posix(): path.read_text()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert found == files


def test_the_store_itself_is_neither_versioned_nor_checked_out_into(tmp_path: Path) -> None:
    datasets = DatasetVersioning(LocalProvider({"base_path": tmp_path / "store", "durable": False}))
    written(tmp_path / "data", {"a": "1"})
    datasets.version(tmp_path / "data", "d")
    with pytest.raises(LocalFileError, match="the store itself"):
        datasets.version(tmp_path, "all")
    with pytest.raises(LocalFileError, match="the store itself"):
        datasets.checkout("d", tmp_path / "store" / "inner")


def test_a_version_of_something_else_is_refused(datasets: DatasetVersioning, data: Path, tmp_path: Path) -> None:
    (tmp_path / "hollow").mkdir()
    refused: list[tuple[type[StorageError], Callable[[], object]]] = [
        (InvalidRequest, lambda: datasets.version(tmp_path / "hollow", "d")),
        (InvalidRequest, lambda: datasets.version(data, "d", parents=["model:m@best"])),
        (ObjectNotFound, lambda: datasets.version(data, "d", parents=["d@1"])),
        (InvalidRequest, lambda: datasets.version(data, "d", metadata={"x": float("nan")})),
        (InvalidRequest, lambda: datasets.version(data, "d", tags=["a\nb"])),
        (LocalFileError, lambda: datasets.version(tmp_path / "nothing", "d")),
    ]
    for kind, call in refused:
        with pytest.raises(kind):
            call()
    assert datasets.records.ids() == []


def test_lineage_and_differences_are_told(datasets: DatasetVersioning, data: Path) -> None:
    datasets.version(data, "raw")
    (data / "d0" / "000").rename(data / "moved")
    datasets.version(data, "clean", parents=["raw@1"])
    found = datasets.diff("raw", "clean")
    assert [(change.before.name, change.after.name) for change in found.renamed] == [("d0/000", "moved")]
    assert (found.added, found.removed, found.changed, found.unchanged) == ([], [], [], 299)
    graph = datasets.lineage("clean")
    assert [str(reference) for reference in graph.ancestors(datasets.get("clean").reference)] == ["raw@1"]
