"""A lease: it is there while somebody writes, it runs out where nobody can be sure of it, and it waits for a collection."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from clocked_store import START, ClockedStore

from application.garbage.leases import LEASES, SWEEPS, Lease, await_no_sweep
from application.garbage.presence import DEAD
from domain.errors import PreconditionFailed, StorageError, StoreUnavailable


class Clocks:
    """Both clocks of a machine, which agree until one is set."""

    def __init__(self) -> None:
        self.steady = 1000.0
        self.wall = 2000.0
        self.slept: list[float] = []

    def step(self, seconds: float) -> None:
        self.steady += seconds
        self.wall += seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.step(seconds)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def store() -> ClockedStore:
    return ClockedStore()


def lease_on(store: ClockedStore, clocks: Clocks, what: str = "", wait: float = 60.0) -> Lease:
    return Lease(store, what, wait=wait, monotonic=lambda: clocks.steady, wall=lambda: clocks.wall, sleep=clocks.sleep)


def puts(store: ClockedStore) -> list[str]:
    """The keys of what is put from now on."""
    seen: list[str] = []
    store.before = lambda request, key: seen.append(key) if request == "put" else None
    return seen


def test_it_is_there_while_the_block_lasts_and_says_who_and_what(store: ClockedStore, clocks: Clocks) -> None:
    with lease_on(store, clocks, "dataset m13"):
        (key,) = store.contents(LEASES)
        told = json.loads(store.get_bytes(key))
        assert told["what"] == "dataset m13" and "@" in told["who"]
    assert store.contents() == {}
    with pytest.raises(ZeroDivisionError), lease_on(store, clocks):
        raise ZeroDivisionError
    assert store.contents() == {}


def test_two_leases_are_two(store: ClockedStore, clocks: Clocks) -> None:
    with lease_on(store, clocks):
        with lease_on(store, clocks):
            assert len(store.contents(LEASES)) == 2
        assert len(store.contents(LEASES)) == 1


def test_a_failure_to_give_it_back_is_none(store: ClockedStore, clocks: Clocks) -> None:
    def away(request: str, key: str) -> None:
        if request == "delete":
            raise StoreUnavailable("away")

    with lease_on(store, clocks):
        store.before = away


def test_it_is_put_before_it_looks_for_a_collection(store: ClockedStore, clocks: Clocks) -> None:
    seen: list[tuple[str, str]] = []
    store.before = lambda request, key: seen.append((request, key.rpartition("/")[0] + "/"))
    with lease_on(store, clocks):
        assert seen.index(("put", LEASES)) < seen.index(("list", SWEEPS))


def test_it_waits_for_a_collection_that_ends(store: ClockedStore, clocks: Clocks) -> None:
    store.put_bytes(f"{SWEEPS}a.json", b"{}")

    def ends(request: str, key: str) -> None:
        if len(clocks.slept) == 3:
            store.before = lambda request, key: None
            store.delete(f"{SWEEPS}a.json")

    store.before = ends
    with lease_on(store, clocks):
        assert len(clocks.slept) == 3


def test_it_gives_up_and_says_what_to_do(store: ClockedStore, clocks: Clocks) -> None:
    store.put_bytes(f"{SWEEPS}a.json", json.dumps({"who": "ann@home", "what": "garbage collection"}).encode())
    with pytest.raises(PreconditionFailed) as caught, lease_on(store, clocks):
        raise AssertionError("it was taken")
    assert all(part in str(caught.value) for part in ("ann@home", f"{SWEEPS}a.json", "run this again"))
    assert 60 <= sum(clocks.slept) < 61
    assert list(store.contents()) == [f"{SWEEPS}a.json"]


@pytest.mark.parametrize("data", [b"", b"[]", b'{"who": 1}', b"\xff"])
def test_a_marker_that_says_nothing_is_one(store: ClockedStore, clocks: Clocks, data: bytes) -> None:
    store.put_bytes(f"{SWEEPS}a.json", data)
    with pytest.raises(PreconditionFailed, match="somebody"):
        lease_on(store, clocks, wait=0).take()


def test_the_marker_of_a_dead_collection_holds_up_nobody(store: ClockedStore, clocks: Clocks) -> None:
    store.put_bytes(f"{SWEEPS}a.json", b"{}")
    store.clock.step(seconds=DEAD.total_seconds())
    with pytest.raises(PreconditionFailed):
        await_no_sweep(store, store.clock.now, 0)
    store.clock.step(seconds=1)
    lease_on(store, clocks, wait=0).take()


def test_it_is_renewed_every_ten_minutes(store: ClockedStore, clocks: Clocks) -> None:
    with lease_on(store, clocks) as lease:
        seen = puts(store)
        for _ in range(599):
            clocks.step(1)
            lease.renewed()
        assert seen == []
        for _ in range(24 * 3600):
            clocks.step(1)
            lease.renewed()
        assert 140 <= len(seen) <= 145
        assert set(seen) == set(store.contents(LEASES)) and len(set(seen)) == 1
        lease.check()


def test_a_renewal_that_fails_is_tried_again_and_does_not_count(store: ClockedStore, clocks: Clocks) -> None:
    tried: list[float] = []

    def away(request: str, key: str) -> None:
        tried.append(clocks.steady)
        raise StoreUnavailable("away")

    with lease_on(store, clocks) as lease:
        store.before = away
        for _ in range(2990):
            clocks.step(1)
            lease.renewed()
        assert not lease.lapsed
        assert 70 <= len(tried) <= 90
        store.before = lambda request, key: None
        clocks.step(20)
        assert lease.lapsed
        lease.renewed()
        with pytest.raises(PreconditionFailed, match="run it again"):
            lease.check()


def test_it_lapses_by_either_clock(store: ClockedStore) -> None:
    for steady, wall, lapsed in [
        (0.0, 0.0, False),
        (2990.0, 2990.0, False),
        (3010.0, 0.0, True),
        (0.0, 3010.0, True),  # a computer that slept, and whose steady clock did too
        (0.0, -100.0, False),
        (10.0, -400.0, True),  # a clock that was set back tells nothing
    ]:
        clocks = Clocks()
        with lease_on(store, clocks) as lease:
            clocks.steady += steady
            clocks.wall += wall
            assert lease.lapsed is lapsed, (steady, wall)


def test_what_has_lapsed_stays_so_and_is_not_renewed(store: ClockedStore, clocks: Clocks) -> None:
    with lease_on(store, clocks) as lease:
        clocks.step(4000)
        seen = puts(store)
        lease.renewed()
        assert seen == []
        clocks.step(-4000)
        assert lease.lapsed


def test_a_renewal_that_took_too_long_does_not_save_it(store: ClockedStore, clocks: Clocks) -> None:
    def slow(request: str, key: str) -> None:
        clocks.step(2500)

    with lease_on(store, clocks) as lease:
        clocks.step(601)
        store.before = slow
        lease.renewed()
        store.before = lambda request, key: None
        assert lease.lapsed


def test_one_that_can_not_be_written_is_not_taken(store: ClockedStore, clocks: Clocks) -> None:
    def away(request: str, key: str) -> None:
        if request == "list":
            raise StoreUnavailable("away")

    store.before = away
    with pytest.raises(StorageError):
        lease_on(store, clocks).take()
    assert store.contents() == {}


def test_time_is_the_stores_own(store: ClockedStore, clocks: Clocks) -> None:
    store.clock.now = START - timedelta(days=4000)
    store.put_bytes(f"{SWEEPS}a.json", b"{}")
    with pytest.raises(PreconditionFailed):
        lease_on(store, clocks, wait=0).take()
