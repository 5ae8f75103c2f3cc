"""A line to the store on which connections are cut, stall, lie and refuse: nothing is lost, and in peace a run finishes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from ceph_rgw import CephRgw
from fault_proxy import CUTS, FLIPS, KINDS, REFUSALS, STALLS, FaultProxy
from fault_runs import OPERATIONS, Pair, Tree, network_faults, operation_of
from fault_table import Tally

# A folder's own trash is not reached over a network.
OTHERS = [one.name for one in OPERATIONS if one.name not in {"sync up", "sync down", "sync down undone"}]


@pytest.fixture
def proxy(ceph_rgw: CephRgw, seed: int) -> Iterator[FaultProxy]:
    with FaultProxy(ceph_rgw.http_url, seed=seed, stall_seconds=2.5) as between:
        yield between


@pytest.mark.parametrize("kinds", [CUTS, STALLS, REFUSALS, FLIPS], ids=["cuts", "stalls", "refusals", "flips"])
@pytest.mark.parametrize("operation", ["sync up", "sync down"])
def test_faults_of_a_kind(
    sides: Callable[..., Pair],
    tallied: Callable[[Tally], Tally],
    proxy: FaultProxy,
    small: Tree,
    kinds: tuple[str, ...],
    operation: str,
) -> None:
    pair = sides(operation_of(operation), "ceph", small, url=proxy.url)
    tallied(pair.tally)
    proxy.kinds = kinds
    network_faults(pair, proxy, 0.05 if kinds is STALLS else 0.15)
    assert proxy.counts() and set(proxy.counts()) <= set(kinds)
    pair.free()
    pair.compare()


@pytest.mark.parametrize("operation", OTHERS)
def test_faults_of_all_kinds(
    sides: Callable[..., Pair], tallied: Callable[[Tally], Tally], proxy: FaultProxy, small: Tree, operation: str
) -> None:
    pair = sides(operation_of(operation), "ceph", small, url=proxy.url)
    tallied(pair.tally)
    network_faults(pair, proxy, 0.15)
    assert proxy.counts() and set(proxy.counts()) <= set(KINDS)
    pair.free()
    pair.compare()
