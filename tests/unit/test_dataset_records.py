"""Records of dataset versions and aliases: what is written is read, and what others wrote is believed only if it can be."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.dataset_records import DatasetRecords
from domain.datasets import DatasetVersion, check_description, checked_path
from domain.errors import (
    ContentCorrupted,
    InvalidRequest,
    ObjectNotFound,
    PreconditionFailed,
    StorageError,
    UnsupportedOperation,
)
from domain.storage import IStorageProvider
from domain.versions import Kind, Reference, Wanted
from infrastructure.storage.providers import LocalProvider, MemoryProvider

MD5, SHA = "0" * 32, "1" * 64
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BOTH = pytest.mark.parametrize(
    "settings", [{}, {"capabilities": {"create_if_absent": False}}], ids=["conditional", "claims"]
)


def version(dataset_id: str = "m13", number: int = 1, **others: Any) -> DatasetVersion:
    fields = {
        "created": NOW,
        "message": "",
        "path": "data",
        "content": f"{MD5}.dir",
        "table": SHA,
        "files": 2,
        "size": 3,
    }
    return DatasetVersion(dataset_id, number, **{**fields, **others})


# -- one record

texts = st.text(max_size=8)
ids = st.sampled_from(["m13", "a/b", "é", "model-x"])
references = st.builds(Reference, st.sampled_from(Kind), ids, st.integers(1, 999))
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
moments = st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
versions = st.builds(
    DatasetVersion,
    dataset_id=ids,
    version=st.integers(1, 999),
    created=moments,
    message=texts,
    path=texts.filter(lambda text: text not in {"", ".", ".."} and "/" not in text and "\0" not in text),
    content=st.sampled_from([MD5, f"{MD5}.dir"]),
    table=st.just(SHA),
    files=st.integers(0, 1 << 40),
    size=st.integers(0, 1 << 63),
    is_executable=st.booleans(),
    parents=st.lists(references, max_size=3).map(tuple),
    tags=st.lists(texts, max_size=3).map(tuple),
    metadata=st.dictionaries(texts, json_values, max_size=3),
    removed=st.none() | moments,
)


@given(versions)
def test_what_is_written_is_read(found: DatasetVersion) -> None:
    data = found.encoded()
    assert json.loads(data)["format"] == "lading.dataset/1"
    assert DatasetVersion.decoded(data, found.dataset_id, found.version) == found
    assert data.isascii()


@given(versions, st.binary(max_size=20), st.integers(0, 600))
def test_damage_is_an_error_of_ours(found: DatasetVersion, noise: bytes, at: int) -> None:
    data = found.encoded()
    try:
        DatasetVersion.decoded(data[:at] + noise + data[at + len(noise) :], found.dataset_id, found.version)
    except (ContentCorrupted, UnsupportedOperation) as error:
        assert f"the record of {found.dataset_id}@{found.version}" in str(error)


WRONG: list[tuple[str, Any]] = [
    ("format", "lading.model/1"), ("format", None), ("format", 1), ("version", "1"), ("version", True),
    ("version", -1), ("version", 1.0), ("files", -1), ("files", None), ("size", 1.5), ("size", "3"), ("message", None),
    ("message", ["a"]), ("path", 7), ("path", "../x"), ("path", "/etc/passwd"), ("path", ".."), ("path", "."), ("path", "a\0"),
    ("path", "a/"), ("content", "x"), ("content", None), ("content", f"{SHA}.dir"), ("content", f"../{MD5[3:]}"), ("table", MD5),
    ("table", f"{SHA}.dir"), ("created", "yesterday"), ("created", 7), ("created", "0001-01-01T00:00:00+14:00"),
    ("created", None),
    ("removed", 7), ("removed", "x"), ("is_executable", "no"), ("is_executable", None), ("parents", None), ("parents", "ab"),
    ("parents", {}), ("parents", [7]), ("parents", [{"kind": "dataset", "id": "a"}]),
    ("parents", [{"kind": "cat", "id": "a", "version": 1}]), ("parents", [{"kind": "dataset", "id": "a@b", "version": 1}]),
    ("parents", [{"kind": "dataset", "id": "a", "version": "1"}]), ("parents", [{"kind": "dataset", "id": "a", "version": 0}]),
    ("parents", [{"kind": "dataset", "id": "a", "version": float("inf")}]), ("tags", None), ("tags", "abc"), ("tags", [7]),
    ("metadata", None), ("metadata", [["a", 1]]), ("metadata", "a"), ("dataset_id", "a@b"), ("dataset_id", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG, ids=lambda part: str(part)[:20])
def test_a_field_that_nobody_writes_is_damage(name: str, value: Any) -> None:
    told = {"format": "lading.dataset/1", **version().as_dict(), name: value}
    with pytest.raises(ContentCorrupted, match=r"m13@1 is damaged .*restore it") as refused:
        DatasetVersion.decoded(json.dumps(told).encode(), "m13", 1)
    assert len(refused.value.message) < 250
    del told[name]
    with pytest.raises(ContentCorrupted):
        DatasetVersion.decoded(json.dumps(told).encode(), "m13", 1)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"7", b"null", b"{}", b"\xff\xfe", b"[" * 100_000, b'"' + b"a" * 1000 + b'"']
)
def test_what_is_no_record_is_damage(data: bytes) -> None:
    with pytest.raises(ContentCorrupted, match="damaged"):
        DatasetVersion.decoded(data, "m13", 1)


def test_a_record_of_a_later_format_and_one_that_was_moved_say_so() -> None:
    later = version().encoded().replace(b"dataset/1", b"dataset/2")
    with pytest.raises(UnsupportedOperation, match="a newer version reads it"):
        DatasetVersion.decoded(later, "m13", 1)
    for other in (("m14", 1), ("m13", 2)):
        with pytest.raises(ContentCorrupted, match="is that of m13@1; somebody moved it"):
            DatasetVersion.decoded(version().encoded(), *other)


def test_times_of_other_zones_become_utc() -> None:
    there = version(created=NOW.astimezone(timezone(timedelta(hours=5))))
    found = DatasetVersion.decoded(there.encoded(), "m13", 1)
    assert found.created == NOW
    assert found.created.tzinfo is UTC


def test_the_root_folder_has_no_name_and_a_file_has_one() -> None:
    assert checked_path("", f"{MD5}.dir") == ""
    assert checked_path("a b", MD5) == "a b"
    for path in ("", "a/b", ".."):
        with pytest.raises(InvalidRequest):
            checked_path(path, MD5)


def test_the_same_files_are_those_of_one_table_content_and_mode() -> None:
    one = version()
    assert one.has_files_of(version(number=2, message="other", path="elsewhere", tags=("a",)))
    for name, value in (("table", "2" * 64), ("content", MD5), ("is_executable", True)):
        assert not one.has_files_of(replace(one, **{name: value}))
    assert version(content=MD5).is_file
    assert not one.is_file
    assert one.reference == Reference(Kind.DATASET, "m13", 1)


@pytest.mark.parametrize(
    ("message", "tags", "metadata"),
    [
        ("a\ud800", (), {}),
        (None, (), {}),
        (7, (), {}),
        ("", ("",), {}),
        ("", (" ",), {}),
        ("", ("a\n",), {}),
        ("", (7,), {}),
        ("", (), {"a": object()}),
        ("", (), {"a": float("nan")}),
        ("", (), {"a": float("inf")}),
        ("", (), {b"a": 1}),
        ("x" * 70_000, (), {}),
        ("", (), {"a": "x" * 70_000}),
        ("", ("x" * 70_000,), {}),
    ],
    ids=lambda part: repr(part)[:16],
)
def test_a_description_that_no_record_keeps_is_refused(message: Any, tags: Any, metadata: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_description(message, tags, metadata)
    assert len(refused.value.message) < 250


def test_metadata_that_holds_itself_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["a"] = endless
    with pytest.raises(InvalidRequest):
        check_description("", (), endless)
    check_description("é\n\0", ("a b", "é"), {"a": [1, None, {"b": 1.5}]})


# -- the records of a store


@BOTH
def test_versions_are_numbered_listed_and_found(settings: dict[str, Any]) -> None:
    records = DatasetRecords(MemoryProvider(settings))
    assert records.ids() == []
    assert records.latest("m13") is None
    for size in range(3):
        assert records.add(version(size=size)) == version(number=size + 1, size=size)
    records.add(version("b/é"))
    assert records.ids() == ["b/é", "m13"]
    assert [found.size for found in records.versions("m13")] == [0, 1, 2]
    assert [str(found.reference) for found in records.all()] == ["b/é@1", "m13@1", "m13@2", "m13@3"]
    for wanted, number in (("m13", 3), ("m13@latest", 3), ("m13@2", 2), (Wanted.parse("m13@1"), 1)):
        assert records.get(wanted).version == number
    assert records.get(Reference(Kind.DATASET, "m13", 2)).version == 2


@BOTH
def test_a_removed_version_is_there_for_who_asks_and_its_number_is_not_used_again(settings: dict[str, Any]) -> None:
    records = DatasetRecords(MemoryProvider(settings))
    for _ in range(3):
        last = records.add(version())
    records.replace(last.as_removed(NOW))
    assert [found.version for found in records.versions("m13")] == [1, 2]
    assert [found.version for found in records.versions("m13", removed=True)] == [1, 2, 3]
    assert len(list(records.all())) == 2
    assert len(list(records.all(removed=True))) == 3
    assert records.get("m13").version == 2
    with pytest.raises(ObjectNotFound, match="m13@3 was removed on 2026-11-21"):
        records.get("m13@3")
    assert records.get("m13@3", removed=True).removed == NOW
    assert records.add(version()).version == 4
    for number in (1, 2, 4):
        records.replace(records.get(f"m13@{number}").as_removed(NOW))
    assert records.latest("m13") is None
    assert records.versions("m13") == []


def test_what_is_not_there_is_said_with_what_to_do() -> None:
    records = DatasetRecords(MemoryProvider({}))
    for call in (lambda: records.get("m13"), lambda: records.get("m13@1"), lambda: records.versions("m13")):
        with pytest.raises(ObjectNotFound, match="no dataset 'm13' in memory:memory; 'storage dataset list'"):
            call()
    records.add(version())
    with pytest.raises(ObjectNotFound, match="'m13' has no version 2; 'storage dataset versions'"):
        records.get("m13@2")
    with pytest.raises(ObjectNotFound, match="'m13' has no alias 'best'; 'storage dataset alias m13'"):
        records.get("m13@best")
    with pytest.raises(InvalidRequest, match="model:m13@1 is a model; name a dataset"):
        records.get("model:m13@1")
    for call in (lambda: records.versions("a@b"), lambda: records.aliases("../x\n"), lambda: records.latest("")):
        with pytest.raises(InvalidRequest):
            call()


@pytest.mark.parametrize(
    "dataset_id", ["é" * 100, "a/../b", "%2e%2e", "..a", "a b#?%", "日本/語", ".lading", "A", "nul\\x"]
)
@pytest.mark.parametrize("local", [False, True], ids=["memory", "local"])
def test_an_id_of_any_kind_is_kept_apart_and_comes_back(dataset_id: str, local: bool, tmp_path: Path) -> None:
    settings = {"base_path": str(tmp_path), "durable": False}
    provider: IStorageProvider = LocalProvider(settings) if local else MemoryProvider({})
    records = DatasetRecords(provider)
    records.add(version("a"))
    records.add(version(dataset_id))
    records.set_alias(dataset_id, "x" * 100, 1)
    assert records.ids() == sorted({"a", dataset_id})
    assert records.get(f"{dataset_id}@{'x' * 100}").dataset_id == dataset_id
    assert records.aliases("a") == {}
    assert [found.dataset_id for found in records.all()] == sorted(["a", dataset_id])


def test_other_objects_among_the_records_are_none() -> None:
    provider = MemoryProvider({})
    records = DatasetRecords(provider)
    records.add(version())
    root = ".lading/datasets/"
    for name in ("m13/².json", "m13/01.json", "m13/0.json", "m13/notes.txt", "m13/2.json.bak", "loose", "m13/x/9.json", "1.json",
                 "m13/9999999999.json", f"m13/7.{'0' * 16}.claim", f"new/1.{'0' * 16}.claim"):  # fmt: skip
        provider.put_bytes(root + name, b"?")
    assert records.ids() == ["m13"]
    assert len(records.versions("m13")) == len(list(records.all())) == 1
    assert records.latest("m13") == version()


def test_nobody_goes_on_without_a_record_that_cannot_be_read() -> None:
    provider = MemoryProvider({})
    records = DatasetRecords(provider)
    for _ in range(2):
        records.add(version())
    provider.put_bytes(".lading/datasets/m13/1.json", b"{}")
    for call in (lambda: list(records.all()), lambda: records.versions("m13"), lambda: records.get("m13@1")):
        with pytest.raises(ContentCorrupted, match="m13@1 is damaged"):
            call()
    assert records.latest("m13") == version(number=2)

    class Losing(MemoryProvider):
        def get_bytes(self, key: str, **options: Any) -> bytes:
            raise ObjectNotFound("gone", provider=self.name, key=key)

    losing = Losing({})
    losing.put_bytes(".lading/datasets/m13/1.json", version().encoded())
    with pytest.raises(StorageError, match="gone"):
        list(DatasetRecords(losing).all())


def test_records_under_a_name_that_somebody_decoded_still_keep_their_contents() -> None:
    """A copy made by a program that undoes percent signs: a collection must not take its contents for unused."""
    provider = MemoryProvider({})
    provider.put_bytes(".lading/datasets/a b/1.json", version("a b").encoded())
    records = DatasetRecords(provider)
    assert [str(found.reference) for found in records.all()] == ["a b@1"]
    assert records.ids() == [], "it can't be got by its name"
    provider.put_bytes(".lading/datasets/a@b/1.json", version("a b").encoded())
    with pytest.raises(ContentCorrupted):
        list(records.all())


# -- aliases


@BOTH
def test_an_alias_names_what_it_was_last_set_to(settings: dict[str, Any]) -> None:
    provider = MemoryProvider(settings)
    records = DatasetRecords(provider)
    for _ in range(2):
        records.add(version())
    assert records.aliases("m13") == {}
    records.set_alias("m13", "best", 1)
    records.set_alias("m13", "train-2026", 1)
    records.set_alias("m13", "best", 2)
    assert records.aliases("m13") == {"best": 2, "train-2026": 1}
    assert records.get("m13@best").version == 2
    records.set_alias("m13", "best", 0)
    assert records.aliases("m13") == {"train-2026": 1}
    with pytest.raises(ObjectNotFound, match="no alias 'best'"):
        records.get("m13@best")
    records.set_alias("m13", "best", 1)
    assert records.named("m13", "best") == 1
    for alias in ("latest", "3", "a/b", ""):
        with pytest.raises(InvalidRequest):
            records.set_alias("m13", alias, 1)
    assert not [key for key in provider.list_files() if key.endswith(".claim")]


@BOTH
def test_who_sets_an_alias_hears_of_another_who_did(settings: dict[str, Any]) -> None:
    provider = MemoryProvider(settings)
    together = threading.Barrier(6)

    def set_alias(number: int) -> int | None:
        together.wait()
        try:
            DatasetRecords(provider).set_alias("m13", "best", number)
        except PreconditionFailed:
            return None
        return number

    for _ in range(3):
        with ThreadPoolExecutor(6) as setters:
            won = [number for number in setters.map(set_alias, range(1, 7)) if number]
        assert won
        assert DatasetRecords(provider).named("m13", "best") in won
    log = [json.loads(provider.get_bytes(key))["version"] for key in provider.list_files(".lading/aliases/")]
    assert len(log) >= 3


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"7", b'{"version": "1"}', b'{"version": -1}', b'{"version": 1e999}',
                                  b'{"version": true}', b'{"version": null}', b"\xff", b"[" * 100_000])  # fmt: skip
def test_a_damaged_alias_says_so_and_can_be_set_again(data: bytes) -> None:
    provider = MemoryProvider({})
    records = DatasetRecords(provider)
    records.add(version())
    provider.put_bytes(".lading/aliases/dataset/m13/best/1.json", data)
    for call in (lambda: records.named("m13", "best"), lambda: records.aliases("m13"), lambda: records.get("m13@best")):
        with pytest.raises(ContentCorrupted, match="the alias 'best' of 'm13' is damaged; set it again"):
            call()
    records.set_alias("m13", "best", 1)
    assert records.aliases("m13") == {"best": 1}


def test_other_objects_among_the_aliases_are_none() -> None:
    provider = MemoryProvider({})
    records = DatasetRecords(provider)
    records.set_alias("m13", "best", 1)
    root = ".lading/aliases/dataset/m13/"
    for name in ("best/².json", "best/01.json", "notes.txt", f"new/1.{'0' * 16}.claim", "other/x.json"):
        provider.put_bytes(root + name, b"?")
    assert records.aliases("m13") == {"best": 1}
