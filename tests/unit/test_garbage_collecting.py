"""What a collection takes and what it leaves, one thing after the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from clocked_store import ClockedStore, make_version, md5_of, missing, objects_of, remove_version

from application.garbage.collecting import collect_garbage
from application.garbage.condemned import CONDEMNED
from application.garbage.leases import LEASES, SWEEPS, Lease
from application.garbage.report import GarbageReport
from application.garbage.roots import PINS
from domain.content import DVC_MD5, SHA256
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
from domain.objects import ObjectInfo

A, B, C = {"a": b"1", "both": b"2"}, {"b": b"3", "both": b"2"}, {"c": b"4"}


@pytest.fixture
def store() -> ClockedStore:
    return ClockedStore()


def gc(store: ClockedStore, **more: Any) -> GarbageReport:
    """With the DVC store, whose sole owner this is."""
    return collect_garbage(store, **({"dvc": (store, "dvc/")} | more))


def at_once(store: ClockedStore, **more: Any) -> GarbageReport:
    return gc(store, grace=timedelta(), **more)


def content(store: ClockedStore) -> set[str]:
    return set(store.contents("cas/")) | set(store.contents("dvc/"))


def deleted(report: GarbageReport) -> list[str]:
    return [item.key for place in report.places for item in place.deleted]


def condemned(report: GarbageReport) -> list[str]:
    return [item.key for place in report.places for item in place.condemned]


def only(one: dict[str, bytes], *others: dict[str, bytes]) -> set[str]:
    """The objects that one version has, and none of the others."""
    return set(objects_of(one)) - {key for other in others for key in objects_of(other)}


def test_two_phases(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    gone = make_version(store, "gone", B)
    remove_version(store, gone)
    everything = content(store)
    assert not condemned(gc(store)), "it is too young"
    store.clock.step(days=8)
    report = gc(store)
    assert set(condemned(report)) == only(B, A) and not deleted(report)
    store.clock.step(days=6)
    assert set(condemned(gc(store))) == only(B, A)
    assert content(store) == everything
    store.clock.step(days=1)
    report = gc(store)
    assert set(deleted(report)) == only(B, A) and not condemned(report)
    assert content(store) == set(objects_of(A))
    assert not store.contents(".lading/gc/") and not store.contents(LEASES)
    assert [(place.name, place.kept) for place in report.places] == [("content", 1), ("DVC store", 3)]
    assert not missing(store)


def test_at_once(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))
    report = at_once(store)
    assert set(deleted(report)) == only(B, A)
    assert content(store) == set(objects_of(A))
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


def deduplicating(store: ClockedStore) -> Any:
    """The same store for a writer that writes no content that is there."""

    class Deduplicating:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def put_bytes(self, key: str, data: bytes, **more: Any) -> None:
            if key.startswith(".lading/") or not store.exists(key):
                store.put_bytes(key, data, **more)

    return Deduplicating()


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
    assert content(store) == {table, DVC_MD5.key("dvc/", md5_of(b"1"))}


def test_a_stranger_below_the_prefix_is_not_content(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    for key in ("cas/readme", "cas/ab/abcd", "dvc/files/md5/ab/cd", "dvc/other", f"cas/{'0' * 64}"):
        store.put_bytes(key, b"")
    assert not deleted(at_once(store))


@pytest.mark.parametrize("dry_run", [False, True])
def test_nothing_in_use_is_refused(store: ClockedStore, dry_run: bool) -> None:
    remove_version(store, make_version(store, "gone", A))
    before = store.contents()
    with pytest.raises(PreconditionFailed, match="--allow-empty"):
        at_once(store, dry_run=dry_run)
    assert store.contents() == before
    assert set(deleted(at_once(store, allow_empty=True))) == set(objects_of(A))


def test_nothing_in_use_of_the_dvc_store_alone_is_refused(store: ClockedStore) -> None:
    store.put_bytes(SHA256.key("cas/", "a" * 64), b"")
    store.put_bytes(f"{PINS}{'a' * 64}", b"")
    store.put_bytes(DVC_MD5.key("dvc/", "b" * 32), b"")
    with pytest.raises(PreconditionFailed, match="dvc/files/md5/"):
        at_once(store)
    assert DVC_MD5.key("dvc/", "b" * 32) in store.contents()


def test_an_empty_store_is_no_refusal(store: ClockedStore) -> None:
    assert not deleted(at_once(store))
    assert store.contents() == {}


def _table_of(files: dict[str, bytes]) -> str:
    (key,) = (key for key in objects_of(files) if key.startswith("cas/"))
    return key


def no_table(store: ClockedStore) -> None:
    store.delete(_table_of(A))


def damaged_table(store: ClockedStore) -> None:
    key = _table_of(A)
    store.put_bytes(key, store.get_bytes(key)[:-1])


def another_table(store: ClockedStore) -> None:
    store.put_bytes(_table_of(A), store.get_bytes(_table_of(C)))


def damaged_record(store: ClockedStore) -> None:
    store.put_bytes(".lading/datasets/kept/1.json", b"{")


def record_of_a_later_format(store: ClockedStore) -> None:
    told = json.loads(store.get_bytes(".lading/datasets/kept/1.json"))
    store.put_bytes(".lading/datasets/kept/1.json", json.dumps(told | {"format": "lading.dataset/2"}).encode())


def no_pin(store: ClockedStore) -> None:
    store.put_bytes(f"{PINS}readme", b"")


def damaged_pins(store: ClockedStore) -> None:
    store.put_bytes(f"{PINS}x.json", b'["' + b"a" * 64 + b'", 3]')


def pins_that_are_no_list(store: ClockedStore) -> None:
    store.put_bytes(f"{PINS}x.json", b'{"a": 1}')


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (no_table, ObjectNotFound),
        (damaged_table, ContentCorrupted),
        (another_table, ContentCorrupted),
        (damaged_record, ContentCorrupted),
        (record_of_a_later_format, UnsupportedOperation),
        (no_pin, ContentCorrupted),
        (damaged_pins, ContentCorrupted),
        (pins_that_are_no_list, ContentCorrupted),
    ],
)
def test_roots_that_can_not_be_known_stop_it(
    store: ClockedStore, damage: Callable[[ClockedStore], None], kind: type[StorageError]
) -> None:
    make_version(store, "kept", A)
    make_version(store, "other", C)
    remove_version(store, make_version(store, "gone", B))
    damage(store)
    before = store.contents()
    with pytest.raises(kind):
        at_once(store)
    assert store.contents() == before


def test_a_table_that_is_gone_stops_it_also_where_its_files_do_not_matter(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))
    no_table(store)
    with pytest.raises(ObjectNotFound, match="kept@1"):
        collect_garbage(store, grace=timedelta())
    assert _table_of(B) in store.contents()


class Failing(ClockedStore):
    """Its listings of a prefix end in an error after the first key."""

    prefix = "-"

    def list_objects(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        for info in super().list_objects(prefix, start_after=start_after):
            yield info
            if prefix == self.prefix:
                raise StoreUnavailable("the listing broke off")


@pytest.mark.parametrize("prefix", ["cas/", "dvc/files/md5/", ".lading/datasets/", PINS, LEASES, SWEEPS])
def test_a_listing_that_breaks_off_stops_it(prefix: str) -> None:
    store = Failing()
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))
    for key in (f"{PINS}{'a' * 64}", f"{LEASES}a.json", f"{SWEEPS}a.json"):
        store.put_bytes(key, b"")
    store.clock.step(hours=2)
    before = content(store)
    store.prefix = prefix
    with pytest.raises(StoreUnavailable):
        at_once(store)
    assert content(store) == before


@pytest.mark.parametrize("prefix", ["cas/", "dvc/files/md5/", ".lading/datasets/", PINS])
def test_a_listing_that_breaks_off_in_the_second_phase_stops_it(prefix: str) -> None:
    store = Failing()
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))
    store.put_bytes(f"{PINS}{'a' * 64}", b"")
    before = content(store)

    def marker_is_put(request: str, key: str) -> None:
        if request == "put" and key.startswith(SWEEPS):
            store.prefix = prefix

    store.before = marker_is_put
    with pytest.raises(StoreUnavailable):
        at_once(store)
    assert content(store) == before
    assert not store.contents(SWEEPS)


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
    assert set(deleted(report)) == {_table_of(C)}
    assert DVC_MD5.key("dvc/", md5_of(b"4")) in store.contents()
    assert not store.contents(SWEEPS)
    store.before = lambda request, key: None
    at_once(store)
    assert content(store) == set(objects_of(A))


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
    assert content(store) == set(objects_of(A))


def test_a_damaged_manifest_that_nothing_names_is_in_nobodys_way(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    store.put_bytes(DVC_MD5.key("dvc/", f"{'d' * 32}.dir"), b"[")
    assert not deleted(gc(store))
    assert deleted(at_once(store)) == [DVC_MD5.key("dvc/", f"{'d' * 32}.dir")]


# -- repositories


def manifest_of(files: dict[str, bytes]) -> str:
    (key,) = (key for key in objects_of(files) if key.endswith(".dir"))
    return str(DVC_MD5.address_of("dvc/", key))


def named(*addresses: str) -> Callable[[], Iterable[tuple[str, str]]]:
    return lambda: [(address, "data.dvc") for address in addresses]


def test_what_a_repository_names_stays_with_the_files_of_its_manifests(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "pushed", C))
    remove_version(store, make_version(store, "gone", {"e": b"5", "f": b"6"}))
    at_once(store, named=named(manifest_of(C), md5_of(b"5").upper()))
    dvc = {key for files in (A, C) for key in objects_of(files) if key.startswith("dvc/")}
    assert set(store.contents("dvc/")) == dvc | {DVC_MD5.key("dvc/", md5_of(b"5"))}


def test_a_named_manifest_that_is_not_there_stops_it(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))
    before = content(store)
    with pytest.raises(ObjectNotFound, match=r"data\.dvc.*--allow-missing"):
        at_once(store, named=named(manifest_of(C)))
    assert content(store) == before
    assert set(deleted(at_once(store, named=named(manifest_of(C)), allow_missing=True))) == only(B, A)


def test_a_named_manifest_that_is_damaged_stops_it(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", C))
    store.put_bytes(DVC_MD5.key("dvc/", manifest_of(C)), b"[]")
    before = content(store)
    with pytest.raises(ContentCorrupted):
        at_once(store, named=named(manifest_of(C)), allow_missing=True)
    assert content(store) == before


def test_a_repository_that_can_not_be_read_to_its_end_stops_it(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", C))
    before = content(store)

    def broken() -> Iterator[tuple[str, str]]:
        yield manifest_of(A), "a.dvc"
        raise StorageError("the clone has not all of the history")

    with pytest.raises(StorageError, match="history"):
        at_once(store, named=broken)
    assert content(store) == before


# -- others at work


def test_a_writer_puts_it_off_and_is_told(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))
    before = content(store)
    with Lease(store, "dataset m13"):
        report = at_once(store)
        assert content(store) == before
        assert not deleted(report) and set(condemned(report)) == only(B, A)
        assert [writer.what for writer in report.deferred_by] == ["dataset m13"]
        assert not store.contents(SWEEPS)
    assert set(deleted(at_once(store))) == only(B, A)


def test_a_dead_writer_does_not(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))
    Lease(store).take()
    store.clock.step(minutes=60)
    assert at_once(store).deferred_by
    store.clock.step(seconds=1)
    report = at_once(store)
    assert not report.deferred_by and deleted(report) and report.leftovers == 1
    assert not store.contents(LEASES)


def test_another_collection_that_is_deleting_is_refused(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))
    store.put_bytes(f"{SWEEPS}other.json", b"{}")
    before = store.contents()
    with pytest.raises(PreconditionFailed, match=f"{SWEEPS}other.json"):
        at_once(store)
    assert store.contents() == before
    store.clock.step(minutes=61)
    report = at_once(store)
    assert deleted(report) and report.leftovers == 1 and not store.contents(SWEEPS)


def test_another_collection_that_begins_at_the_same_time_is_refused(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))
    before = content(store)

    def other_begins(request: str, key: str) -> None:
        if request == "put" and key.startswith(SWEEPS):
            store.before = lambda request, key: None
            store.put_bytes(f"{SWEEPS}other.json", b"{}")

    store.before = other_begins
    with pytest.raises(PreconditionFailed):
        at_once(store)
    assert content(store) == before
    assert list(store.contents(SWEEPS)) == [f"{SWEEPS}other.json"]


def test_the_marker_stays_where_a_request_may_be_on_its_way(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))

    def away(request: str, key: str) -> None:
        if request == "delete" and key.startswith("dvc/"):
            raise StoreUnavailable("away")

    store.before = away
    with pytest.raises(StoreUnavailable, match=SWEEPS):
        at_once(store)
    store.before = lambda request, key: None
    (marker,) = store.contents(SWEEPS)
    with pytest.raises(PreconditionFailed, match=marker):
        Lease(store, wait=0).take()
    store.delete(marker)
    at_once(store)
    assert content(store) == set(objects_of(A))


def test_an_interrupt_stops_it_and_takes_the_marker_away(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))

    def interrupted(request: str, key: str) -> None:
        if request == "list" and key == "cas/" and store.contents(SWEEPS):
            raise KeyboardInterrupt

    store.before = interrupted
    with pytest.raises(KeyboardInterrupt):
        at_once(store)
    assert not store.contents(SWEEPS)
    assert not missing(store)


def when_it_sweeps(store: ClockedStore, work: Callable[[], object]) -> None:
    """Have something happen when the marker was put, which somebody without a lease does not look for."""

    def before(request: str, key: str) -> None:
        if request == "list" and key == LEASES:
            store.before = lambda request, key: None
            work()

    store.before = before


def test_what_is_written_again_when_it_is_about_to_go_stays(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", C))
    key = DVC_MD5.key("dvc/", md5_of(b"4"))
    when_it_sweeps(store, lambda: store.put_bytes(key, b"4"))
    assert set(deleted(at_once(store))) == only(C) - {key}


def test_a_version_that_is_made_when_its_content_is_about_to_go_stays(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))
    when_it_sweeps(store, lambda: make_version(deduplicating(store), "made", B))
    assert not deleted(at_once(store))
    assert not missing(store)


def test_the_files_of_a_manifest_that_comes_when_they_are_about_to_go_stay(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", {"c": b"4", "d": b"5"}))
    (manifest,) = (key for key in objects_of(C) if key.endswith(".dir"))
    when_it_sweeps(store, lambda: store.put_bytes(manifest, objects_of(C)[manifest]))
    report = at_once(store)
    assert DVC_MD5.key("dvc/", md5_of(b"5")) in deleted(report)
    assert {manifest, DVC_MD5.key("dvc/", md5_of(b"4"))} <= store.contents().keys()


# -- what is written down


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
    assert content(store) == set(objects_of(A)) | set(objects_of(B))
    store.delete(key)
    assert set(deleted(gc(store))) == {_table_of(B)}, "the rest is condemned anew"


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
    before = content(store)
    asleep = False

    def sleeps(request: str, key: str) -> None:
        nonlocal asleep
        asleep = asleep or (request == "list" and key == "dvc/files/md5/" and bool(store.contents(SWEEPS)))

    from application.garbage.presence import Presence

    monkeypatch.setattr(Presence, "lapsed", property(lambda presence: asleep))
    store.before = sleeps
    with pytest.raises(PreconditionFailed, match="next run"):
        at_once(store)
    assert content(store) == before
