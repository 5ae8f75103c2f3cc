"""A collection that meets others at work, or is stopped."""

from __future__ import annotations

from collections.abc import Callable

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
    only,
)

from application.garbage.leases import LEASES, SWEEPS, Lease
from domain.content import DVC_MD5
from domain.errors import (
    PreconditionFailed,
    StoreUnavailable,
)


@pytest.fixture
def store() -> ClockedStore:
    return ClockedStore()


def test_a_writer_puts_it_off_and_is_told(store: ClockedStore) -> None:
    make_version(store, "kept", A)
    remove_version(store, make_version(store, "gone", B))
    before = content_of(store)
    with Lease(store, "dataset m13"):
        report = at_once(store)
        assert content_of(store) == before
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
    before = content_of(store)

    def other_begins(request: str, key: str) -> None:
        if request == "put" and key.startswith(SWEEPS):
            store.before = lambda request, key: None
            store.put_bytes(f"{SWEEPS}other.json", b"{}")

    store.before = other_begins
    with pytest.raises(PreconditionFailed):
        at_once(store)
    assert content_of(store) == before
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
    assert content_of(store) == set(objects_of(A))


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
