"""Where the versions of a lineage stand in a drawing: in layers from left to right, what came first on the left.

An edge that passes a layer gets a point of its own there, as if it were a small box, so that it runs between the boxes. Which
order in a layer makes few edges cross is found by sweeps: each box goes to the mean place of its neighbours in the layer before,
forth and back, and the best order that was seen stays. The same graph always gives the same layout.
"""

from __future__ import annotations

from bisect import bisect, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from domain.lineage import Derivation, LineageGraph
from domain.versions import Reference

BOX_HEIGHT = 62.0
_GAP = 20.0
_ROUTE_HEIGHT = 8.0
_SWEEPS = 12

_MAX_ROUTE_POINTS = 20_000
"""Where long edges would have more points than these, they run straight: nobody can follow them anyway."""


class _RoutePoint(NamedTuple):
    """Where an edge passes a layer."""

    edge: Derivation
    layer: int


_Placed = Reference | _RoutePoint


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand.

    Attributes:
        layers: the versions by layer from left to right, each from top to bottom.
        middles: the height of the middle of each box, in pixels from the top.
        routes: each edge with the heights at which it passes the layers between its ends.
        backward: edges that can't go from left to right, because they close a cycle.
        height: of it all, in pixels.
    """

    layers: Sequence[Sequence[Reference]]
    middles: Mapping[Reference, float]
    routes: Mapping[Derivation, Sequence[float]]
    backward: Sequence[Derivation]
    height: float


def laid_out(graph: LineageGraph, asked_for: Reference) -> Layout:
    """The layout of a graph; ancestors of `asked_for` stand as near to it as they can."""
    order, backward = _sorted(graph, asked_for)
    forward = [edge for edge in graph.edges if edge not in backward]
    layer_of = _layers(graph, asked_for, order, forward)
    routed = sum(layer_of[child] - layer_of[parent] - 1 for parent, child in forward) <= _MAX_ROUTE_POINTS
    drawn = _Layers(1 + max(layer_of.values()))
    for reference in order:
        drawn.layers[layer_of[reference]].append(reference)
    points: dict[Derivation, list[_RoutePoint]] = {}
    for edge in forward:
        between = range(layer_of[edge.parent] + 1, layer_of[edge.child]) if routed else range(0)
        points[edge] = [_RoutePoint(edge, layer) for layer in between]
        for point in points[edge]:
            drawn.layers[point.layer].append(point)
        if routed or layer_of[edge.child] == layer_of[edge.parent] + 1:
            drawn.connect([edge.parent, *points[edge], edge.child])
    drawn.reduce_crossings()
    middles = drawn.middles()
    return Layout(
        layers=[[placed for placed in layer if isinstance(placed, Reference)] for layer in drawn.layers],
        middles={placed: middle for placed, middle in middles.items() if isinstance(placed, Reference)},
        routes={edge: [middles[point] for point in passed] for edge, passed in points.items()},
        backward=sorted(backward),
        height=max(middle + _height(placed) / 2 for placed, middle in middles.items()),
    )


def _sorted(graph: LineageGraph, first: Reference) -> tuple[list[Reference], set[Derivation]]:
    """The versions, parents before children, and the edges of cycles that had to be left out for that.

    Args:
        first: where to look for cycles first, so that what was made from it stays on its right.
    """
    left: dict[Reference, None] = {}
    entered: set[Reference] = set()
    # Depth first, and no recursion: lineages are deep. A version is put there a second time, to be left.
    pending = [(node.reference, False) for node in reversed(graph.nodes)] + [(first, False)]
    while pending:
        reference, leaving = pending.pop()
        if leaving:
            left[reference] = None
        elif reference not in entered:
            entered.add(reference)
            pending.append((reference, True))
            pending += ((child, False) for child in reversed(graph.children(reference)))
    order = list(reversed(left))
    place = {reference: number for number, reference in enumerate(order)}
    return order, {edge for edge in graph.edges if place[edge.parent] > place[edge.child]}


def _layers(
    graph: LineageGraph, asked_for: Reference, order: Sequence[Reference], forward: Sequence[Derivation]
) -> dict[Reference, int]:
    """The layer of each version, from 0 on: the longest way there."""
    children: dict[Reference, list[Reference]] = {reference: [] for reference in order}
    for parent, child in forward:
        children[parent].append(child)
    layer_of = dict.fromkeys(order, 0)
    for parent in order:
        for child in children[parent]:
            layer_of[child] = max(layer_of[child], layer_of[parent] + 1)
    later = {asked_for, *graph.descendants(asked_for)} - set(graph.ancestors(asked_for))
    for parent in reversed(order):
        if parent not in later and children[parent]:
            layer_of[parent] = min(layer_of[child] for child in children[parent]) - 1
    number = {layer: number for number, layer in enumerate(sorted(set(layer_of.values())))}
    return {reference: number[layer] for reference, layer in layer_of.items()}


@dataclass(slots=True)
class _Layers:
    """Boxes and route points, layer by layer, each connected to some of the layer before and of the layer after."""

    number: int
    layers: list[list[_Placed]] = field(init=False)
    before: dict[_Placed, list[_Placed]] = field(default_factory=dict)
    after: dict[_Placed, list[_Placed]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.layers = [[] for _ in range(self.number)]

    def connect(self, passed: Sequence[_Placed]) -> None:
        """Make an edge of these, each in the layer after the one before."""
        for left, right in pairwise(passed):
            self.after.setdefault(left, []).append(right)
            self.before.setdefault(right, []).append(left)

    def reduce_crossings(self) -> None:
        best, fewest = [list(layer) for layer in self.layers], self._crossings()
        for sweep in range(_SWEEPS):
            if not fewest:
                break
            forth = sweep % 2 == 0
            for layer, fixed in self._pairs(forth):
                place = {placed: number for number, placed in enumerate(fixed)}
                neighbours = self.before if forth else self.after
                wanted = {
                    placed: _mean([place[one] for one in neighbours.get(placed, ())], number)
                    for number, placed in enumerate(layer)
                }
                layer.sort(key=wanted.__getitem__)
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [list(layer) for layer in self.layers], crossings
        self.layers = best

    def middles(self) -> dict[_Placed, float]:
        """The height of everything: near to its neighbours, in the order found, and nothing over anything else."""
        found: dict[_Placed, float] = {}
        for layer in self.layers:
            found |= zip(layer, _apart(layer, [0.0] * len(layer)), strict=True)
        for sweep in range(_SWEEPS):
            forth = sweep % 2 == 0
            neighbours = self.before if forth else self.after
            for layer, _ in self._pairs(forth):
                wanted = [_mean([found[one] for one in neighbours.get(placed, ())], found[placed]) for placed in layer]
                found |= zip(layer, _apart(layer, wanted), strict=True)
        top = min(middle - _height(placed) / 2 for placed, middle in found.items())
        return {placed: middle - top for placed, middle in found.items()}

    def _pairs(self, forth: bool) -> list[tuple[list[_Placed], list[_Placed]]]:
        """Each layer with the one that it is fitted to, in the order of a sweep."""
        ordered = self.layers if forth else self.layers[::-1]
        return list(zip(ordered[1:], ordered, strict=False))

    def _crossings(self) -> int:
        found = 0
        for layer, fixed in self._pairs(forth=True):
            place = {placed: number for number, placed in enumerate(fixed)}
            passed: list[int] = []
            for placed in layer:
                ends = [place[one] for one in self.before.get(placed, ())]
                found += sum(len(passed) - bisect(passed, end) for end in ends)
                for end in ends:
                    insort(passed, end)
        return found


def _height(placed: _Placed) -> float:
    return BOX_HEIGHT if isinstance(placed, Reference) else _ROUTE_HEIGHT


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _apart(layer: Sequence[_Placed], wanted: Sequence[float]) -> list[float]:
    """Heights as near to those wanted as the order and the gaps allow, by least squares."""
    offsets = [0.0]
    for above, below in pairwise(layer):
        offsets.append(offsets[-1] + (_height(above) + _height(below)) / 2 + _GAP)
    # Without the offsets the heights only have to rise: neighbours that would fall are joined at their mean.
    joined: list[tuple[float, int]] = []
    for height, offset in zip(wanted, offsets, strict=False):
        mean, count = height - offset, 1
        while joined and joined[-1][0] > mean:
            other, others = joined.pop()
            mean, count = (mean * count + other * others) / (count + others), count + others
        joined.append((mean, count))
    risen = [mean for mean, count in joined for _ in range(count)]
    return [mean + offset for mean, offset in zip(risen, offsets, strict=False)]
