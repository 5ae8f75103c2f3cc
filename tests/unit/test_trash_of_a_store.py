"""The trash of a store: what goes there, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from application.trash import Trash, UndoReport, empty, records, restore, trash_of_store, undo
from domain.errors import (
    AccessDenied,
    ContentCorrupted,
    InvalidRequest,
    ObjectNotFound,
    PreconditionFailed,
    StorageError,
    StoreUnavailable,
    UnsupportedOperation,
)
from domain.storage import IStorageProvider, ObjectInfo
from domain.trash import TRASH_ID, Trashed
from infrastructure.storage.providers import MemoryProvider

Outcomes = dict[str, type[StorageError] | None]


def store(kind: type[MemoryProvider] = MemoryProvider, *, remote: bool = True, **objects: str) -> MemoryProvider:
    provider = kind({"capabilities": {"remote": remote}})
    for key, content in objects.items():
        provider.put_bytes(key, content.encode())
    return provider


def contents(provider: IStorageProvider, prefix: str = "") -> dict[str, str]:
    """What is there but the trash; or what is below a prefix."""
    keys = provider.list_files(prefix)
    return {key: provider.get_bytes(key).decode() for key in keys if prefix or not key.startswith("deleted/")}


def planned(provider: IStorageProvider, *keys: str, replaced: bool = False) -> list[Trashed]:
    infos = [provider.head(key) for key in keys]
    return [Trashed(info.key, info.size, info.etag, replaced) for info in infos]


def put(trash: Trash, entries: list[Trashed]) -> tuple[str, Outcomes]:
    batch = trash.open("sync data/ d/", entries)
    return batch.id, {entry.name: type(error) if error else None for entry, error in batch.put(entries)}


def summary(report: UndoReport) -> tuple[int, int, list[str], list[str], bool]:
    assert report.stopped_by is None
    conflicts, failures = ([entry.name for entry, _ in found] for found in (report.conflicts, report.failures))
    return report.restored, report.unchanged, conflicts, failures, report.finished


@pytest.mark.parametrize("remote", [False, True])
def test_what_is_deleted_goes_to_the_trash_and_comes_back_as_it_was(remote: bool) -> None:
    provider = store(remote=remote, keep="k")
    provider.put_bytes("a//b", b"one", content_type="x/y", metadata={"who": "me"})
    provider.put_bytes("z", b"two")
    before = provider.head("a//b")
    trash = trash_of_store(provider)
    trash_id, outcomes = put(trash, planned(provider, "a//b", "z"))
    assert outcomes == {"a//b": None, "z": None}
    assert contents(provider) == {"keep": "k"}
    assert contents(provider, f"deleted/{trash_id}/objects/") == {
        f"deleted/{trash_id}/objects/a//b": "one",
        f"deleted/{trash_id}/objects/z": "two",
    }
    report = undo(trash)
    assert (report.id, report.size, report.saved_as) == (trash_id, 6, "")
    assert summary(report) == (2, 0, [], [], True)
    assert provider.head("a//b")._replace(etag="", last_modified=before.last_modified) == before._replace(etag="")
    assert provider.list_files() == ["a//b", "keep", "z"]


def test_record_says_what_when_who_and_why() -> None:
    provider = store(a="12345", b="1")
    trash = trash_of_store(provider)
    entries = planned(provider, "a") + planned(provider, "b", replaced=True)
    trash_id, _ = put(trash, entries)
    told = json.loads(provider.get_bytes(f"deleted/{trash_id}/record.json"))
    assert TRASH_ID.fullmatch(trash_id)
    assert told["version"] == 1
    assert told["why"] == "sync data/ d/"
    assert "@" in told["who"]
    assert told["when"][:4] == trash_id[:4]
    assert told["entries"] == [
        {"name": "a", "size": 5, "state": entries[0].state, "kind": "deleted"},
        {"name": "b", "size": 1, "state": entries[1].state, "kind": "replaced"},
    ]
    ((found, record),) = records(trash)
    assert not isinstance(record, StorageError)
    assert (found, record.size, list(record.entries)) == (trash_id, 6, entries)
    assert trash.held(trash_id) == (2, 6)


def test_what_is_replaced_stays_and_its_old_content_comes_back_and_goes_again() -> None:
    provider = store(a="old", b="old b")
    trash = trash_of_store(provider)
    put(trash, planned(provider, "a", "b", replaced=True))
    assert contents(provider) == {"a": "old", "b": "old b"}
    provider.put_bytes("a", b"new")
    report = undo(trash)
    assert summary(report) == (1, 1, [], [], True)
    assert contents(provider) == {"a": "old", "b": "old b"}
    assert list(trash.ids()) == [report.saved_as]
    again = undo(trash)
    assert again.id == report.saved_as
    assert contents(provider) == {"a": "new", "b": "old b"}
    assert summary(undo(trash)) == (1, 0, [], [], True)
    assert contents(provider) == {"a": "old", "b": "old b"}


def test_what_changed_since_the_plan_stays_and_leaves_no_copy() -> None:
    provider = store(changed="1", gone="2", same="3", unchecked="4", replaced="5")
    entries = planned(provider, "changed", "gone", "same", "unchecked") + planned(provider, "replaced", replaced=True)
    entries[3] = entries[3]._replace(state="")
    provider.put_bytes("changed", b"by others")
    provider.put_bytes("unchecked", b"whatever")
    provider.put_bytes("replaced", b"by others")
    provider.delete("gone")
    trash_id, outcomes = put(trash_of_store(provider), entries)
    lost = [key for key, error in outcomes.items() if error is PreconditionFailed]
    assert sorted(lost) == ["changed", "gone", "replaced"]
    assert contents(provider) == {"changed": "by others", "replaced": "by others"}
    kept = contents(provider, f"deleted/{trash_id}/objects/")
    assert sorted(kept.values()) == ["3", "whatever"]


def test_something_else_in_the_place_is_a_conflict_until_forced() -> None:
    provider = store(a="old", b="old b", c="c")
    trash = trash_of_store(provider)
    trash_id, _ = put(trash, planned(provider, "a", "b", "c"))
    provider.put_bytes("a", b"new")
    provider.put_bytes("c", b"c")
    for restored, unchanged in ((1, 1), (0, 2)):
        report = undo(trash)
        assert summary(report) == (restored, unchanged, ["a"], [], False)
        assert isinstance(report.conflicts[0][1], PreconditionFailed)
        assert contents(provider) == {"a": "new", "b": "old b", "c": "c"}
    report = undo(trash, trash_id, force=True)
    assert summary(report) == (1, 2, [], [], True)
    assert contents(provider) == {"a": "old", "b": "old b", "c": "c"}
    undo(trash)
    assert contents(provider) == {"a": "new", "b": "old b", "c": "c"}


def test_same_content_is_seen_without_hashes_and_etags() -> None:
    class WithoutHashes(MemoryProvider):
        def head(self, key: str) -> ObjectInfo:
            return super().head(key)._replace(sha256=None)

    provider = store(WithoutHashes, a="one", b="two")
    trash = trash_of_store(provider)
    put(trash, planned(provider, "a", "b"))
    provider.put_bytes("a", b"one")
    provider.put_bytes("b", b"owt")
    assert summary(undo(trash)) == (0, 1, ["b"], [], False)


def test_keys_as_long_as_can_be() -> None:
    keys = ["k" * 1024, "é" * 492, "é" * 490]
    provider = store()
    for key in keys:
        provider.put_bytes(key, key.encode())
    trash = trash_of_store(provider)
    trash_id, outcomes = put(trash, planned(provider, *keys))
    assert outcomes == dict.fromkeys(keys)
    assert provider.list_files(f"deleted/{trash_id}/objects/") == [f"deleted/{trash_id}/objects/{keys[2]}"]
    hashed = provider.list_files(f"deleted/{trash_id}/hashed/")
    told = json.loads(provider.get_bytes(f"deleted/{trash_id}/record.json"))["entries"]
    assert sorted(entry["place"] for entry in told if "place" in entry) == hashed
    assert len(hashed) == 2
    assert undo(trash).finished
    assert contents(provider) == {key: key for key in keys}


def test_one_failure_stops_no_other_and_loses_nothing() -> None:
    class Guarded(MemoryProvider):
        def delete(self, remote_path: str) -> None:
            if remote_path == "b":
                raise AccessDenied("no", key="b")
            super().delete(remote_path)

        def copy(self, source: str, destination: str, **options: Any) -> ObjectInfo:
            if source == "c":
                raise AccessDenied("no", key="c")
            return super().copy(source, destination, **options)

    provider = store(Guarded, a="1", b="2", c="3", d="4")
    trash = trash_of_store(provider)
    _, outcomes = put(trash, planned(provider, "a", "b", "c", "d"))
    assert outcomes == {"a": None, "b": AccessDenied, "c": AccessDenied, "d": None}
    assert contents(provider) == {"b": "2", "c": "3"}
    assert summary(undo(trash)) == (2, 2, [], [], True)
    assert contents(provider) == {"a": "1", "b": "2", "c": "3", "d": "4"}


def test_store_that_is_away_ends_it() -> None:
    class Away(MemoryProvider):
        away = False

        def copy(self, *keys: str, **options: Any) -> ObjectInfo:
            if self.away:
                raise StoreUnavailable("away")
            return super().copy(*keys, **options)

    provider = store(Away, **{f"k{number}": "x" for number in range(20)})
    trash = trash_of_store(provider)
    entries = planned(provider, *provider.list_files())
    batch = trash.open("why", entries)
    Away.away = True
    with pytest.raises(StoreUnavailable):
        list(batch.put(entries))
    Away.away = False
    put(trash, entries)
    Away.away = True
    report = undo(trash)
    assert isinstance(report.stopped_by, StoreUnavailable)
    assert not report.finished
    Away.away = False
    assert undo(trash).restored == 20


def test_many_objects_go_and_come_back_in_bounded_steps() -> None:
    most: list[int] = []

    class Counting(MemoryProvider):
        def delete_many(self, keys: Iterable[str]) -> list[StorageError]:
            given = list(keys)
            most.append(len(given))
            return super().delete_many(given)

    provider = store(Counting, **{f"k{number}": f"{number}" for number in range(350)})
    before = contents(provider)
    trash = trash_of_store(provider)
    put(trash, planned(provider, *before))
    assert contents(provider) == {}
    assert summary(undo(trash)) == (350, 0, [], [], True)
    assert contents(provider) == before
    assert max(most) == 100 and 1 not in most


def test_restore_of_objects_and_folders() -> None:
    provider = store(**{"r/1": "1", "r/2": "2", "rr": "3", "s": "4"})
    trash = trash_of_store(provider)
    trash_id, _ = put(trash, planned(provider, "r/1", "r/2", "rr", "s"))
    with pytest.raises(ObjectNotFound, match="'none'"):
        restore(trash, trash_id, ["s", "none"])
    assert contents(provider) == {}
    assert summary(restore(trash, trash_id, ["r", "r/1"])) == (2, 0, [], [], False)
    assert contents(provider) == {"r/1": "1", "r/2": "2"}
    assert trash.held(trash_id) == (2, 2)
    assert summary(restore(trash, trash_id, ["s", "rr"])) == (2, 0, [], [], True)
    assert list(trash.ids()) == []


def test_undo_after_a_forced_restore_takes_back_the_restore() -> None:
    provider = store(a="old", b="old")
    trash = trash_of_store(provider)
    trash_id, _ = put(trash, planned(provider, "a", "b"))
    provider.put_bytes("a", b"new")
    report = restore(trash, trash_id, ["a"], force=True)
    assert contents(provider) == {"a": "old"}
    assert undo(trash).id == report.saved_as
    assert contents(provider) == {"a": "new"}


def test_what_is_nowhere_any_more_is_told_once() -> None:
    provider = store(a="1", b="2")
    trash = trash_of_store(provider)
    trash_id, _ = put(trash, planned(provider, "a", "b"))
    provider.delete(f"deleted/{trash_id}/objects/a")
    report = undo(trash)
    assert summary(report) == (1, 0, [], ["a"], True)
    assert isinstance(report.failures[0][1], ObjectNotFound)
    with pytest.raises(ObjectNotFound, match="nothing to undo"):
        undo(trash)


def test_ids_are_found_among_other_things_of_that_prefix() -> None:
    provider = store(a="1", b="2")
    trash = trash_of_store(provider)
    first, _ = put(trash, planned(provider, "a"))
    second, _ = put(trash, planned(provider, "b"))
    for key in ("deleted/0", "deleted/mine/x", "deleted/20261120T224549Z", f"deleted/{second}x/y", "deleted/z"):
        provider.put_bytes(key, b"somebody's")
    assert list(trash.ids()) == [first, second]


def test_empty_deletes_for_good_and_nothing_else() -> None:
    provider = store(a="1", b="2")
    trash = trash_of_store(provider)
    first, _ = put(trash, planned(provider, "a"))
    second, _ = put(trash, planned(provider, "b"))
    provider.put_bytes("deleted/mine", b"m")
    empty(trash, [first])
    assert provider.list_files() == [f"deleted/{second}/objects/b", f"deleted/{second}/record.json", "deleted/mine"]


def damage(provider: IStorageProvider, trash_id: str, **changes: Any) -> None:
    key = f"deleted/{trash_id}/record.json"
    provider.put_bytes(key, json.dumps(json.loads(provider.get_bytes(key)) | changes).encode())


ENTRY = {"name": "a", "size": 1, "state": "", "kind": "deleted"}


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"version": 2}, UnsupportedOperation),
        ({"id": "20261120T224549Z-3f9a"}, ContentCorrupted),
        ({"when": "yesterday"}, ContentCorrupted),
        ({"who": None}, ContentCorrupted),
        ({"why": "\ud800"}, ContentCorrupted),
        ({"entries": [ENTRY, ENTRY]}, ContentCorrupted),
        ({"entries": [ENTRY | {"size": -1}]}, ContentCorrupted),
        ({"entries": [ENTRY | {"kind": "lost"}]}, ContentCorrupted),
        ({"entries": [ENTRY | {"name": ""}]}, ContentCorrupted),
        ({"entries": [ENTRY | {"name": "k" * 1025}]}, ContentCorrupted),
        ({"entries": [ENTRY | {"name": "deleted/20261120T224549Z-3f9a/record.json"}]}, ContentCorrupted),
        ({"entries": [ENTRY | {"place": "somebody/else"}]}, ContentCorrupted),
        ({"entries": [ENTRY | {"name": "k" * 1024}]}, ContentCorrupted),
        ({"entries": 1}, ContentCorrupted),
        ({"entries": ["a"]}, ContentCorrupted),
    ],
)
def test_a_record_that_is_not_ours_is_refused_and_others_go_on(
    changes: dict[str, Any], kind: type[StorageError]
) -> None:
    provider = store(a="1", b="2")
    trash = trash_of_store(provider)
    bad, _ = put(trash, planned(provider, "a"))
    good, _ = put(trash, planned(provider, "b"))
    damage(provider, bad, **changes)
    found = dict(records(trash))
    assert type(found[bad]) is kind and bad in str(found[bad])
    assert not isinstance(found[good], StorageError)
    before = contents(provider, "deleted/")
    with pytest.raises(kind):
        undo(trash, bad)
    assert contents(provider, "deleted/") == before
    empty(trash, [bad])
    assert list(trash.ids()) == [good]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_a_truncated_record_is_named(data: bytes) -> None:
    provider = store(a="1")
    trash = trash_of_store(provider)
    trash_id, _ = put(trash, planned(provider, "a"))
    provider.put_bytes(f"deleted/{trash_id}/record.json", data)
    with pytest.raises(ContentCorrupted, match=trash_id):
        undo(trash)


def test_what_cannot_go_there() -> None:
    trash = trash_of_store(store())
    for name in ("", "k" * 1025, "deleted/20261120T224549Z-3f9a/objects/k"):
        with pytest.raises(InvalidRequest):
            trash.open("why", [Trashed(name, 1, "")])
    with pytest.raises(InvalidRequest):
        trash.record("../x")
    with pytest.raises(ObjectNotFound, match="trash list"):
        trash.record("20261120T224549Z-3f9a")
    assert list(trash.ids()) == []
