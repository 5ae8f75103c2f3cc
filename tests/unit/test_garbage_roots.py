"""What is in use: where that can't be known in full, nothing is deleted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

import pytest
from clocked_store import ClockedStore, make_version, md5_of, objects_of, remove_version
from garbage_runs import (
    A,
    B,
    C,
    at_once,
    content_of,
    deleted,
    manifest_of,
    only,
    table_of,
)

from application.garbage.collecting import collect_garbage
from application.garbage.leases import LEASES, SWEEPS
from application.garbage.roots import PINS
from domain.content import DVC_MD5, SHA256
from domain.errors import (
    ContentCorrupted,
    ObjectNotFound,
    PreconditionFailed,
    StorageError,
    StoreUnavailable,
    UnsupportedOperation,
)
from domain.objects import ObjectInfo


@pytest.fixture
def store() -> ClockedStore:
    return ClockedStore()


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


def no_table(store: ClockedStore) -> None:
    store.delete(table_of(A))


def damaged_table(store: ClockedStore) -> None:
    key = table_of(A)
    store.put_bytes(key, store.get_bytes(key)[:-1])


def another_table(store: ClockedStore) -> None:
    store.put_bytes(table_of(A), store.get_bytes(table_of(C)))


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
    assert table_of(B) in store.contents()


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
    before = content_of(store)
    store.prefix = prefix
    with pytest.raises(StoreUnavailable):
        at_once(store)
    assert content_of(store) == before


@pytest.mark.parametrize("prefix", ["cas/", "dvc/files/md5/", ".lading/datasets/", PINS])
def test_a_listing_that_breaks_off_in_the_second_phase_stops_it(prefix: str) -> None:
    store = Failing()
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))
    store.put_bytes(f"{PINS}{'a' * 64}", b"")
    before = content_of(store)

    def marker_is_put(request: str, key: str) -> None:
        if request == "put" and key.startswith(SWEEPS):
            store.prefix = prefix

    store.before = marker_is_put
    with pytest.raises(StoreUnavailable):
        at_once(store)
    assert content_of(store) == before
    assert not store.contents(SWEEPS)


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
    before = content_of(store)
    with pytest.raises(ObjectNotFound, match=r"data\.dvc.*--allow-missing"):
        at_once(store, named=named(manifest_of(C)))
    assert content_of(store) == before
    assert set(deleted(at_once(store, named=named(manifest_of(C)), allow_missing=True))) == only(B, A)


def test_a_named_manifest_that_is_damaged_stops_it(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", C))
    store.put_bytes(DVC_MD5.key("dvc/", manifest_of(C)), b"[]")
    before = content_of(store)
    with pytest.raises(ContentCorrupted):
        at_once(store, named=named(manifest_of(C)), allow_missing=True)
    assert content_of(store) == before


def test_a_repository_that_can_not_be_read_to_its_end_stops_it(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", C))
    before = content_of(store)

    def broken() -> Iterator[tuple[str, str]]:
        yield manifest_of(A), "a.dvc"
        raise StorageError("the clone has not all of the history")

    with pytest.raises(StorageError, match="history"):
        at_once(store, named=broken)
    assert content_of(store) == before
