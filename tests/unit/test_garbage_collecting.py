"""What a collection takes and what it leaves, one thing after the other."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from clocked_store import ClockedStore, make_version, md5_of, missing, objects_of, remove_version
from garbage_runs import (
    A,
    B,
    C,
    at_once,
    condemned,
    content_of,
    deduplicating,
    deleted,
    gc,
    only,
    table_of,
)

from application.garbage.collecting import collect_garbage
from application.garbage.condemned import CONDEMNED
from application.garbage.leases import LEASES, SWEEPS
from application.garbage.roots import PINS
from domain.content import DVC_MD5, SHA256
from domain.errors import (
    AccessDenied,
    ContentCorrupted,
    InvalidRequest,
    PreconditionFailed,
    UnsupportedOperation,
)


@pytest.fixture
def store() -> ClockedStore:
    return ClockedStore()


def test_two_phases(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    gone = make_version(store, "gone", B)
    remove_version(store, gone)
    everything = content_of(store)
    assert not condemned(gc(store)), "it is too young"
    store.clock.step(days=8)
    report = gc(store)
    assert set(condemned(report)) == only(B, A) and not deleted(report)
    store.clock.step(days=6)
    assert set(condemned(gc(store))) == only(B, A)
    assert content_of(store) == everything
    store.clock.step(days=1)
    report = gc(store)
    assert set(deleted(report)) == only(B, A) and not condemned(report)
    assert content_of(store) == set(objects_of(A))
    assert not store.contents(".lading/gc/") and not store.contents(LEASES)
    assert [(place.name, place.kept) for place in report.places] == [("content", 1), ("DVC store", 3)]
    assert not missing(store)


def test_at_once(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))
    report = at_once(store)
    assert set(deleted(report)) == only(B, A)
    assert content_of(store) == set(objects_of(A))
    assert not store.contents(".lading/gc/")
    assert deleted(at_once(store)) == []


def test_what_is_in_use_again_starts_anew(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))
    store.clock.step(days=8)
    gc(store)
    store.clock.step(days=3)
    again = make_version(deduplicating(store), "again", B)
    gc(store)
    remove_version(store, again)
    store.clock.step(days=5)
    assert not deleted(gc(store)), "it was in use in between"
    store.clock.step(days=7)
    assert set(deleted(gc(store))) == only(B, A)


def test_what_was_written_again_is_another(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", C))
    store.clock.step(days=8)
    gc(store)
    store.clock.step(days=6)
    key = DVC_MD5.key("dvc/", md5_of(b"4"))
    store.put_bytes(key, b"4")
    store.clock.step(days=2)
    report = gc(store)
    assert key not in deleted(report) and key in store.contents()
    assert set(deleted(report)) == only(C) - {key}


def test_the_same_etag_at_another_time_is_another(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", C))
    store.clock.step(days=8)
    gc(store)
    key = DVC_MD5.key("dvc/", md5_of(b"4"))
    store.clock.step(days=1)
    stored = store._objects()[key]
    store._objects()[key] = stored._replace(info=stored.info._replace(last_modified=store.clock.now))
    store.clock.step(days=7)
    assert key not in deleted(gc(store))


def test_the_dvc_store_is_left_alone_by_default(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))
    before = store.contents("dvc/")
    report = collect_garbage(store, grace=timedelta())
    assert store.contents("dvc/") == before
    assert [place.name for place in report.places] == ["content"]
    assert set(deleted(report)) == {key for key in only(B, A) if key.startswith("cas/")}


def test_a_dvc_store_elsewhere(store: ClockedStore) -> None:
    other = store.for_bucket("dvc-bucket")
    other.create_bucket()
    version = make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))
    for key, data in {**objects_of(A, ""), **objects_of(B, "")}.items():
        if key.startswith("files/"):
            other.put_bytes(key, data)
    other.put_bytes("runs/x", b"")
    collect_garbage(store, dvc=(other, ""), grace=timedelta())
    kept = {key for key in objects_of(A, "") if key.startswith("files/")}
    assert {info.key for info in other.list_objects()} == kept | {"runs/x"}
    assert version.content[2:] in " ".join(kept)
    assert store.contents("dvc/"), "which is not the DVC store here"


def test_pins_keep(store: ClockedStore) -> None:
    remove_version(store, make_version(store, "gone", A))
    table, *_ = (key for key in objects_of(A) if key.startswith("cas/"))
    store.put_bytes(f"{PINS}{SHA256.address_of('cas/', table)}", b"")
    store.put_bytes(f"{PINS}abc.json", json.dumps([md5_of(b"1")]).encode())
    at_once(store)
    assert content_of(store) == {table, DVC_MD5.key("dvc/", md5_of(b"1"))}


def test_a_stranger_below_the_prefix_is_not_content(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    for key in ("cas/readme", "cas/ab/abcd", "dvc/files/md5/ab/cd", "dvc/other", f"cas/{'0' * 64}"):
        store.put_bytes(key, b"")
    assert not deleted(at_once(store))


def test_a_dry_run_says_it_all_and_writes_nothing(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))
    store.put_bytes(f"{LEASES}dead.json", b"")
    store.clock.step(days=-100)
    store.put_bytes(DVC_MD5.key("dvc/", "c" * 32), b"xyz")
    before = store.contents()

    def no_writing(request: str, key: str) -> None:
        assert request not in {"put", "delete"}, key

    store.before = no_writing
    report = gc(store, dry_run=True, grace=timedelta(days=50))
    assert not deleted(report)
    report = at_once(store, dry_run=True)
    assert set(deleted(report)) == only(B, A) | {DVC_MD5.key("dvc/", "c" * 32)}
    assert sum(item.size for place in report.places for item in place.deleted) == sum(
        len(before[key]) for key in deleted(report)
    )
    assert store.contents() == before
    store.before = lambda request, key: None
    store.clock.step(days=200)
    assert set(deleted(at_once(store))) == set(deleted(report))


def order_of_deletions(store: ClockedStore) -> list[str]:
    keys: list[str] = []
    store.before = lambda request, key: keys.append(key) if request == "delete" and key[:1] in "cd" else None
    return keys


def test_tables_go_first_then_manifests_then_files(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    for number in range(20):
        remove_version(
            store, make_version(store, "gone", {f"{number}-{i}": f"{number}.{i}".encode() for i in range(5)})
        )
    keys = order_of_deletions(store)
    at_once(store)
    kinds = ["cas" if key.startswith("cas/") else "dir" if key.endswith(".dir") else "file" for key in keys]
    assert kinds == ["cas"] * 20 + ["dir"] * 20 + ["file"] * 100


def test_files_stay_where_a_manifest_can_not_be_deleted(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", C))
    (manifest,) = (key for key in objects_of(C) if key.endswith(".dir"))

    def denied(request: str, key: str) -> None:
        if request == "delete" and key == manifest:
            raise AccessDenied("no", key=key)

    store.before = denied
    report = at_once(store)
    assert [failure.key for place in report.places for failure in place.failures] == [manifest]
    assert set(deleted(report)) == {table_of(C)}
    assert DVC_MD5.key("dvc/", md5_of(b"4")) in store.contents()
    assert not store.contents(SWEEPS)
    store.before = lambda request, key: None
    at_once(store)
    assert content_of(store) == set(objects_of(A))


def test_the_files_of_a_young_manifest_stay_though_nothing_names_it(store: ClockedStore) -> None:
    """It is what an interrupted writer left; plain dvc takes the files of a manifest that it finds for there."""
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", C))
    store.clock.step(days=8)
    gc(store)
    store.clock.step(days=7)
    (manifest,) = (key for key in objects_of(C) if key.endswith(".dir"))
    store.put_bytes(manifest, objects_of(C)[manifest])
    file = DVC_MD5.key("dvc/", md5_of(b"4"))
    assert not condemned(gc(store)), "it is in use again, in a way"
    for days in (0, 1, 6, 6):
        store.clock.step(days=days)
        gc(store)
        assert {manifest, file} <= store.contents().keys()
    for _ in range(3):
        store.clock.step(days=8)
        gc(store)
    assert content_of(store) == set(objects_of(A))


def test_a_damaged_manifest_that_nothing_names_is_in_nobodys_way(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    store.put_bytes(DVC_MD5.key("dvc/", f"{'d' * 32}.dir"), b"[")
    assert not deleted(gc(store))
    assert deleted(at_once(store)) == [DVC_MD5.key("dvc/", f"{'d' * 32}.dir")]


def test_lists_are_replaced_and_a_damaged_one_is_named(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))
    store.clock.step(days=8)
    gc(store)
    first = set(store.contents(CONDEMNED))
    assert len(first) == 2
    gc(store)
    assert len(store.contents(CONDEMNED)) == 2 and first.isdisjoint(store.contents(CONDEMNED))
    store.clock.step(days=8)
    key = next(key for key, data in store.contents(CONDEMNED).items() if b"dvc/" in data)
    for bad in (b"", b"{}", b"[]", store.contents()[key] + b"x\n", store.contents()[key][:-3]):
        store.put_bytes(key, bad)
        with pytest.raises(ContentCorrupted, match=key):
            gc(store)
    store.put_bytes(key, b'{"format": "lading.condemned/2", "place": ""}\n')
    with pytest.raises(UnsupportedOperation):
        gc(store)
    assert content_of(store) == set(objects_of(A)) | set(objects_of(B))
    store.delete(key)
    assert set(deleted(gc(store))) == {table_of(B)}, "the rest is condemned anew"


def test_a_run_on_the_content_alone_keeps_what_is_known_of_the_dvc_store(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))
    store.clock.step(days=8)
    gc(store)
    store.clock.step(days=8)
    collect_garbage(store)
    assert set(deleted(gc(store))) == {key for key in only(B, A) if key.startswith("dvc/")}


def test_traces_of_killed_programs_go_when_they_are_old(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    claims = [f".lading/datasets/x/7.{'0' * 16}.claim", f".lading/aliases/dataset/x/a/1.{'0' * 16}.claim"]
    strangers = [".lading/datasets/x/readme.claim", f"cas/1.{'0' * 16}.claim", ".lading/datasets/x/7.json.claim"]
    for key in claims + strangers:
        store.put_bytes(key, b"")
    store.clock.step(hours=24)
    assert gc(store).leftovers == 0
    store.clock.step(seconds=1)
    assert gc(store, dry_run=True).leftovers == 2
    assert gc(store).leftovers == 2
    assert not store.contents().keys() & set(claims) and set(strangers) <= store.contents().keys()


def test_a_grace_period_that_is_none_is_refused(store: ClockedStore) -> None:
    for grace in (timedelta(seconds=-1), timedelta(days=40_000)):
        with pytest.raises(InvalidRequest):
            gc(store, grace=grace)


def test_a_large_deletion_goes_in_batches_and_renews_the_marker(
    store: ClockedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("application.garbage.sweeping._BATCH", 10)
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", {f"{i}": f"{i}.".encode() for i in range(95)}))
    renewed: list[int] = []
    monkeypatch.setattr("application.garbage.presence.Presence.renewed", lambda presence: renewed.append(1))
    assert len(deleted(at_once(store))) == 97
    assert len(renewed) >= 12


def test_a_collection_that_slept_stops(store: ClockedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))
    before = content_of(store)
    asleep = False

    def sleeps(request: str, key: str) -> None:
        nonlocal asleep
        asleep = asleep or (request == "list" and key == "dvc/files/md5/" and bool(store.contents(SWEEPS)))

    from application.garbage.presence import Presence

    monkeypatch.setattr(Presence, "lapsed", property(lambda presence: asleep))
    store.before = sleeps
    with pytest.raises(PreconditionFailed, match="next run"):
        at_once(store)
    assert content_of(store) == before
