"""The picture of a lineage: nothing over anything else, parents on the left, and no text that could be markup."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from itertools import combinations
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.lineage_drawing import drawn
from application.lineage_layout import laid_out
from domain.errors import ObjectNotFound
from domain.lineage import Derivation, LineageGraph, LineageNode
from domain.versions import Kind, Reference

DAY = datetime(2026, 1, 1, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def d(version: int, name: str = "d") -> Reference:
    return Reference(Kind.DATASET, name, version)


def graph_of(edges: list[tuple[int, int]], start: int, message: str = "") -> LineageGraph:
    """What is around a version in a graph of nine."""
    nodes = [LineageNode(d(number), DAY, message * number) for number in range(1, 10)]
    return LineageGraph(nodes, [Derivation(d(parent), d(child)) for parent, child in edges]).around(d(start))


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        apart = self.right <= other.left or other.right <= self.left
        return not (apart or self.bottom <= other.top or other.bottom <= self.top)


class Picture:
    """What a person sees of an SVG document."""

    def __init__(self, document: bytes) -> None:
        self.root = ET.fromstring(document)  # noqa: S314 - it is ours
        self.groups = {self.title(group).splitlines()[0]: group for group in self.root.iter(f"{SVG}g")}
        self.boxes = {name: self.box(group) for name, group in self.groups.items()}
        self.edges: dict[tuple[str, str], list[float]] = {}
        self.backward: set[tuple[str, str]] = set()
        for path in self.root.iter(f"{SVG}path"):
            if path.get("marker-end"):
                parent, child = self.title(path).split(" → ")
                self.edges[parent, child] = self.points(path.get("d", ""))
                if path.get("class") == "edge backward":
                    self.backward.add((parent, child))

    @staticmethod
    def title(element: ET.Element) -> str:
        return element.findtext(f"{SVG}title", "")

    @staticmethod
    def box(group: ET.Element) -> Box:
        rect = group.find(f"{SVG}rect")
        assert rect is not None
        x, y, width, height = (float(rect.get(name, "")) for name in ("x", "y", "width", "height"))
        return Box(x, y, x + width, y + height)

    @staticmethod
    def points(way: str) -> list[float]:
        """Everywhere that a path goes, from left to right."""
        found = []
        for command, numbers in re.findall(r"([MCH])([^MCH]+)", way):
            found += [float(number) for number in numbers.split()][:: 1 if command == "H" else 2]
        return found

    def texts(self, name: str) -> list[str]:
        return [text.text or "" for text in self.groups[name].iter(f"{SVG}text")]

    def states(self, name: str) -> set[str]:
        return set(self.groups[name].get("class", "").split()) - {"version"}


EDGES = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=20)


@given(EDGES, st.integers(1, 9), st.sampled_from(["", "word ", "W"]))
def test_no_two_boxes_overlap_and_each_edge_goes_to_the_right(
    edges: list[tuple[int, int]], start: int, message: str
) -> None:
    edges = [(parent, child) for parent, child in edges if parent < child]
    graph = graph_of(edges, start, message)
    picture = Picture(drawn(graph, d(start)))
    assert picture.boxes.keys() == {str(node.reference) for node in graph.nodes}
    assert not [pair for pair in combinations(picture.boxes.values(), 2) if pair[0].overlaps(pair[1])]
    assert picture.edges.keys() == {(str(parent), str(child)) for parent, child in graph.edges}
    for (parent, child), points in picture.edges.items():
        assert points == sorted(points) and points[0] < points[-1]
        assert (points[0], points[-1]) == pytest.approx((picture.boxes[parent].right, picture.boxes[child].left), 0.1)
    width, height = float(picture.root.get("width", "")), float(picture.root.get("height", ""))
    assert all(
        box.left > 0 and box.right < width and 0 < box.top < box.bottom < height for box in picture.boxes.values()
    )


@given(EDGES, st.integers(1, 9))
def test_of_a_cycle_one_edge_goes_back_and_everything_is_drawn(edges: list[tuple[int, int]], start: int) -> None:
    graph = graph_of(edges, start)
    picture = Picture(drawn(graph, d(start)))
    assert not [pair for pair in combinations(picture.boxes.values(), 2) if pair[0].overlaps(pair[1])]
    assert picture.edges.keys() == {(str(parent), str(child)) for parent, child in graph.edges}
    has_cycle = any(node.reference in graph.ancestors(child) for node in graph.nodes
                    for child in graph.parents(node.reference))  # fmt: skip
    assert bool(picture.backward) == has_cycle
    assert all(points[0] > points[-1] for edge, points in picture.edges.items() if edge in picture.backward)


@given(EDGES, st.integers(1, 9))
def test_an_edge_passes_between_boxes_and_not_through_them(edges: list[tuple[int, int]], start: int) -> None:
    graph = graph_of([(parent, child) for parent, child in edges if parent < child], start)
    layout = laid_out(graph, d(start))
    layer_of = {reference: number for number, layer in enumerate(layout.layers) for reference in layer}
    for (parent, child), passed in layout.routes.items():
        assert len(passed) == layer_of[child] - layer_of[parent] - 1 >= 0
        for number, height in enumerate(passed, layer_of[parent] + 1):
            assert all(abs(layout.middles[one] - height) > 31 for one in layout.layers[number])


def test_crossings_that_need_not_be_are_not_there() -> None:
    last = [
        (4, 7),
        (6, 7),
        (4, 8),
        (2, 9),
        (6, 9),
        (2, 10),
        (5, 10),
        (4, 11),
    ]  # ten crossings in the order of the numbers
    edges = [Derivation(d(1), d(number)) for number in range(2, 7)]
    edges += [Derivation(d(parent), d(child)) for parent, child in last]
    layout = laid_out(LineageGraph([LineageNode(d(number), DAY) for number in range(1, 12)], edges), d(1))
    middle = {reference.version: height for reference, height in layout.middles.items()}
    for (parent, child), (other, another) in combinations(last, 2):
        assert (middle[parent] - middle[other]) * (middle[child] - middle[another]) >= 0


def test_an_ancestor_stands_next_to_what_was_made_from_it() -> None:
    layout = laid_out(graph_of([(1, 2), (2, 3), (3, 5), (4, 5)], 5), d(5))
    assert [set(layer) for layer in layout.layers] == [{d(1)}, {d(2)}, {d(3), d(4)}, {d(5)}]


def test_states_are_seen_and_explained() -> None:
    model = Reference(Kind.MODEL, "detector", 4)
    nodes = [
        LineageNode(d(1), DAY, "the asked one"),
        LineageNode(d(2), DAY, removed=datetime(2026, 4, 2, tzinfo=UTC)),
        LineageNode(model, is_unknown=True),
        LineageNode(d(3), DAY),
    ]
    edges = [Derivation(d(2), d(1)), Derivation(model, d(1)), Derivation(d(1), d(3))]
    document = drawn(LineageGraph(nodes, edges), d(1))
    picture = Picture(document)
    states = {"d@1": {"asked"}, "d@2": {"removed"}, "model:detector@4": {"unknown"}, "d@3": set()}
    assert {name: picture.states(name) for name in picture.groups} == states
    assert picture.texts("d@1") == ["d@1", "2026-01-01", "the asked one"]
    assert picture.texts("d@2") == ["d@2", "2026-01-01, removed 2026-04-02"]
    assert picture.texts("model:detector@4") == ["model:detector@4", "no record"]
    assert b"dashed box: removed" in document and b"grey box" in document and b"dotted" not in document
    assert b"dashed box" not in drawn(graph_of([], 1), d(1))


@given(
    st.text(st.characters(exclude_characters="@"), min_size=1, max_size=60),
    st.text(st.characters(exclude_categories=[]), max_size=400),
)
def test_any_text_makes_a_document_and_no_markup(name: str, message: str) -> None:
    graph = LineageGraph([LineageNode(d(7, name), DAY, message)], [])
    root = ET.fromstring(drawn(graph, d(7, name)))  # noqa: S314 - it is ours
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "title", "style", "defs", "marker", "path", "rect", "g", "text",
    }  # fmt: skip
    shown = [text.text or "" for text in root.iter(f"{SVG}text") if text.get("class") == "name"]
    assert len(shown) == 1 and shown[0].endswith("@7") and shown[0].isprintable()


def test_what_stands_for_itself_is_escaped_and_what_cannot_be_shown_is_replaced() -> None:
    name, message = "<script>&\"'é観", "two\nlines \x1b[31m\x00\ud800 </text>"
    document = drawn(LineageGraph([LineageNode(d(1, name), DAY, message)], []), d(1, name))
    picture = Picture(document)
    assert picture.texts(f"{name}@1") == [f"{name}@1", "2026-01-01", "two lines \ufffd[31m\ufffd\ufffd </text>"]
    assert b"<script" not in document and b"http" not in document.replace(b"http://www.w3.org/2000/svg", b"")


def test_long_texts_are_cut_where_the_box_ends_and_whole_under_the_pointer() -> None:
    name, message = "an-id-" * 30, "many words " * 20
    picture = Picture(drawn(LineageGraph([LineageNode(d(12, name), DAY, message)], []), d(12, name)))
    (whole, group), = picture.groups.items()  # fmt: skip
    assert whole == f"{name}@12" and message.strip() in Picture.title(group)
    shown, _, words = picture.texts(whole)
    assert re.fullmatch(r"(an-id-)+\S*…@12", shown) and re.fullmatch(r"(many words )+many…|(many words ?)+…", words)
    assert len(shown) < 40 and picture.boxes[whole].right - picture.boxes[whole].left <= 280


SAME = """
import sys
sys.path[:0] = sys.argv[1:]
from datetime import UTC, datetime
from application.lineage_drawing import drawn
from domain.lineage import Derivation, LineageGraph, LineageNode
from domain.versions import Kind, Reference
a = [Reference(Kind.DATASET, "d", number) for number in range(20)]
edges = [Derivation(a[i], a[j]) for i in range(20) for j in range(20) if (i * 7 + j * 3) % 5 == 1]
graph = LineageGraph([LineageNode(one, datetime(2026, 1, 1, tzinfo=UTC)) for one in a], edges)
sys.stdout.buffer.write(drawn(graph.around(a[3]), a[3]))
"""


def test_the_same_lineage_is_always_the_same_bytes() -> None:
    runs = [
        subprocess.run([sys.executable, "-c", SAME, *sys.path], env={"PYTHONHASHSEED": seed}, stdout=-1, check=True)
        for seed in ("1", "2")
    ]
    assert len(runs[0].stdout) > 5000 and runs[0].stdout == runs[1].stdout


def test_a_lineage_of_thousands_is_drawn() -> None:
    nodes = [LineageNode(d(number), DAY) for number in range(1, 3001)]
    chain = [Derivation(d(number), d(number + 1)) for number in range(1, 3000)]
    skips = [Derivation(d(1), d(number)) for number in range(3, 3000)]  # more points than edges are led around boxes by
    picture = Picture(drawn(LineageGraph(nodes, [*chain, *skips]), d(1500)))
    assert len(picture.boxes) == 3000 and len(picture.edges) == len(chain) + len(skips)
    assert all(points == sorted(points) for points in picture.edges.values())


def test_a_version_that_is_not_there_is_not_drawn() -> None:
    with pytest.raises(ObjectNotFound, match="d@5"):
        drawn(graph_of([], 1), d(5))
