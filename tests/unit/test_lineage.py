"""What a version came from and what was made from it: against the plainest closure, on graphs of any shape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.dataset_records import DatasetRecords
from application.lineage import lineage
from domain.datasets import DatasetVersion
from domain.errors import ContentCorrupted, ObjectNotFound
from domain.lineage import Derivation, LineageGraph, LineageNode, LineageRecord
from domain.versions import Kind, Reference
from infrastructure.storage.providers import MemoryProvider

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def d(version: int, name: str = "d") -> Reference:
    return Reference(Kind.DATASET, name, version)


def graph_of(edges: list[tuple[int, int]], count: int = 0) -> LineageGraph:
    """Versions 1 to `count` of one dataset, the older the lower."""
    count = max([count, *(end for edge in edges for end in edge)])
    nodes = [LineageNode(d(number), DAY + timedelta(days=number)) for number in range(1, count + 1)]
    return LineageGraph(nodes, [Derivation(d(parent), d(child)) for parent, child in edges])


def closure(edges: list[tuple[int, int]], start: int) -> set[int]:
    found = {start}
    while more := {child for parent, child in edges if parent in found} - found:
        found |= more
    return found - {start}


EDGES = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=20)


@given(EDGES, st.integers(1, 9))
def test_ancestors_and_descendants_are_the_closure_also_of_cycles(edges: list[tuple[int, int]], start: int) -> None:
    graph = graph_of(edges, 9)
    after, before = graph.descendants(d(start)), graph.ancestors(d(start))
    assert {one.version for one in after} == closure(edges, start) and len(after) == len(set(after))
    assert {one.version for one in before} == closure([edge[::-1] for edge in edges], start)
    assert len(before) == len(set(before))


@given(EDGES, st.integers(1, 9), st.integers(0, 4))
def test_the_nearest_come_first_and_steps_are_a_limit(edges: list[tuple[int, int]], start: int, steps: int) -> None:
    graph, reached, distance = graph_of(edges, 9), {start}, {start: 0}
    for step in range(1, 10):
        reached |= {child for parent, child in edges if parent in reached}
        distance |= {one: step for one in reached if one not in distance}
    found = [distance[one.version] for one in graph.descendants(d(start))]
    assert found == sorted(found)
    near = graph.descendants(d(start), steps=steps)
    assert [distance[one.version] for one in near] == [one for one in found if one <= steps]


@given(EDGES, st.integers(1, 9))
def test_the_part_around_a_version_has_every_edge_among_what_it_keeps(edges: list[tuple[int, int]], start: int) -> None:
    part = graph_of(edges, 9).around(d(start))
    kept = {start} | closure(edges, start) | closure([edge[::-1] for edge in edges], start)
    assert [node.reference.version for node in part.nodes] == sorted(kept)
    wanted = {(a, b) for a, b in edges if a != b and {a, b} <= kept}
    assert {(parent.version, child.version) for parent, child in part.edges} == wanted
    assert len(part.edges) == len(wanted)


def test_a_lineage_of_many_thousand_versions_is_followed_to_its_ends() -> None:
    graph = graph_of([(number, number + 1) for number in range(1, 20_000)])
    assert graph.ancestors(d(10_000)) == [d(number) for number in range(9_999, 0, -1)]
    assert len(graph.descendants(d(10_000))) == 10_000


def test_parents_come_as_the_record_has_them_and_children_the_oldest_first() -> None:
    nodes = [LineageNode(d(1), DAY), LineageNode(d(2), DAY + timedelta(9)), LineageNode(d(3), DAY + timedelta(3))]
    nodes += [LineageNode(d(4), DAY + timedelta(3)), LineageNode(d(5), is_unknown=True)]
    edges = [Derivation(d(1), d(child)) for child in (5, 2, 4, 3)] + [Derivation(d(parent), d(2)) for parent in (4, 3)]
    graph = LineageGraph(nodes, edges)
    assert graph.children(d(1)) == (d(3), d(4), d(2), d(5))
    assert graph.parents(d(2)) == (d(1), d(4), d(3))


def version(name: str, *parents: Reference, message: str = "m") -> DatasetVersion:
    return DatasetVersion(name, 0, DAY, message, name, "0" * 32, "0" * 64, 1, 1, parents=parents)


@pytest.fixture
def records() -> DatasetRecords:
    return DatasetRecords(MemoryProvider({}))


def test_a_later_version_is_no_child_of_an_earlier_one_unless_it_says_so(records: DatasetRecords) -> None:
    for parents in ((), (), (d(1),)):
        records.add(version("d", *parents))
    graph = lineage([records], d(1))
    assert [node.reference for node in graph.nodes] == [d(1), d(3)]
    assert len(lineage([records], d(2))) == 1


def test_removed_versions_and_parents_without_a_record_are_there_and_say_so(records: DatasetRecords) -> None:
    detector = Reference(Kind.MODEL, "detector", 4)
    raw = records.add(version("raw", message="first"))
    records.add(version("clean", raw.reference, detector))
    records.add(version("other"))
    records.replace(raw.as_removed(DAY + timedelta(days=3)))
    graph = lineage([records], d(1, "clean"))
    assert graph.nodes == [
        LineageNode(d(1, "clean"), DAY, "m"),
        LineageNode(d(1, "raw"), DAY, "first", removed=DAY + timedelta(days=3)),
        LineageNode(detector, is_unknown=True),
    ]
    assert lineage([records], detector).descendants(detector) == [d(1, "clean")]


@dataclass(frozen=True)
class Model:
    reference: Reference
    parents: tuple[Reference, ...]
    created: datetime = DAY
    message: str = "a model"
    removed: datetime | None = None


@dataclass(frozen=True)
class Models:
    """Records of another kind."""

    found: tuple[Model, ...]

    def all(self, *, removed: bool = False) -> Iterator[LineageRecord]:
        return iter(one for one in self.found if removed or not one.removed)


def test_a_lineage_goes_across_kinds(records: DatasetRecords) -> None:
    first, second = (Reference(Kind.MODEL, "detector", number) for number in (1, 2))
    records.add(version("raw"))
    records.add(version("masked", d(1, "raw"), second))
    models = Models((Model(first, (d(1, "raw"),), removed=DAY), Model(second, (first,))))
    graph = lineage([records, models], d(1, "masked"))
    assert graph.ancestors(d(1, "masked")) == [d(1, "raw"), second, first]
    assert graph[first].removed and not graph[first].is_unknown


def test_a_version_that_nobody_knows_is_not_found(records: DatasetRecords) -> None:
    records.add(version("raw"))
    with pytest.raises(ObjectNotFound, match="no record of raw@2"):
        lineage([records], d(2, "raw"))


def test_a_damaged_record_is_an_error_and_no_gap() -> None:
    provider = MemoryProvider({})
    DatasetRecords(provider).add(version("raw"))
    provider.put_bytes(".lading/datasets/other/1.json", b"{")
    with pytest.raises(ContentCorrupted, match="other@1"):
        lineage([DatasetRecords(provider)], d(1, "raw"))
