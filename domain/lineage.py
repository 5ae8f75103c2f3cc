"""What a version came from and what was made from it: a graph of versions, of datasets and models alike.

Only the parents that a record names count: version 2 of a dataset is no child of its version 1 unless its record says so. Records
come from a store that others can write to, so a graph may have cycles, and may be many thousands of versions deep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Protocol, Self

from domain.errors import ObjectNotFound
from domain.keys import shortened
from domain.versions import Reference


class LineageRecord(Protocol):
    """What lineage needs to know of a version."""

    @property
    def reference(self) -> Reference: ...
    @property
    def parents(self) -> Sequence[Reference]: ...
    @property
    def created(self) -> datetime: ...
    @property
    def message(self) -> str: ...
    @property
    def removed(self) -> datetime | None: ...


class LineageRecords(Protocol):
    """The records of one kind of versions in a store."""

    def all(self, *, removed: bool = False) -> Iterator[LineageRecord]:
        """Every version; with `removed` those too that were removed."""
        ...


@dataclass(frozen=True, slots=True)
class LineageNode:
    """One version in a graph.

    Attributes:
        created: when, timezone-aware UTC; None where it is unknown.
        message: a person's words.
        removed: when it was removed, or None.
        is_unknown: it is named as a parent and has no record.
    """

    reference: Reference
    created: datetime | None = None
    message: str = ""
    removed: datetime | None = None
    is_unknown: bool = False


class Derivation(NamedTuple):
    """An edge: `child` was made from `parent`, maybe among others."""

    parent: Reference
    child: Reference


class LineageGraph:
    """Versions and what they were made from.

    Args:
        nodes: no two of one version.
        edges: between these nodes. Doubled ones count once; that a version was made from itself says nothing and is left out.
    """

    def __init__(self, nodes: Iterable[LineageNode], edges: Iterable[Derivation]) -> None:
        self._nodes = {node.reference: node for node in nodes}
        self._parents: dict[Reference, dict[Reference, None]] = {reference: {} for reference in self._nodes}
        for parent, child in edges:
            if parent != child:
                self._parents[child][parent] = None
        children: dict[Reference, list[Reference]] = {reference: [] for reference in self._nodes}
        for child in sorted(self._nodes, key=self._age):
            for parent in self._parents[child]:
                children[parent].append(child)
        self._children = {reference: tuple(found) for reference, found in children.items()}

    @classmethod
    def of(cls, records: Iterable[LineageRecord]) -> Self:
        """The graph of all these records and of the versions that they name as parents."""
        nodes: dict[Reference, LineageNode] = {}
        edges: list[Derivation] = []
        for record in records:
            reference = record.reference
            nodes[reference] = LineageNode(reference, record.created, record.message, record.removed)
            edges += (Derivation(parent, reference) for parent in record.parents)
        for parent, _ in edges:
            nodes.setdefault(parent, LineageNode(parent, is_unknown=True))
        return cls(nodes.values(), edges)

    def __contains__(self, reference: object) -> bool:
        return reference in self._nodes

    def __len__(self) -> int:
        return len(self._nodes)

    def __getitem__(self, reference: Reference) -> LineageNode:
        """The node of a version.

        Raises:
            ObjectNotFound: it is not in the graph.
        """
        try:
            return self._nodes[reference]
        except KeyError:
            raise ObjectNotFound(
                f"there is no record of {shortened(str(reference))}, and none names it as what it was made from"
            ) from None

    @property
    def nodes(self) -> list[LineageNode]:
        """All of them, in order of their references."""
        return [self._nodes[reference] for reference in sorted(self._nodes)]

    @property
    def edges(self) -> list[Derivation]:
        """All of them, in order of the children; those of one child as its record has them."""
        return [Derivation(parent, child) for child in sorted(self._nodes) for parent in self._parents[child]]

    def parents(self, reference: Reference) -> tuple[Reference, ...]:
        """What this version was made from, as its record has it."""
        return tuple(self._parents[self[reference].reference])

    def children(self, reference: Reference) -> tuple[Reference, ...]:
        """What was made from this version, the oldest first."""
        return self._children[self[reference].reference]

    def ancestors(self, reference: Reference, *, steps: int | None = None) -> list[Reference]:
        """All that this version came from, the nearest first, each once and never itself.

        Args:
            steps: how far to go; None for any distance.
        """
        return self._reached(reference, self.parents, steps)

    def descendants(self, reference: Reference, *, steps: int | None = None) -> list[Reference]:
        """All that came from this version, the nearest first, each once and never itself.

        Args:
            steps: how far to go; None for any distance.
        """
        return self._reached(reference, self.children, steps)

    def around(self, reference: Reference, *, steps: int | None = None) -> Self:
        """The part of the graph that is this version, its ancestors and its descendants, with all edges among them.

        Args:
            steps: how far to go, either way; None for any distance.

        Raises:
            ObjectNotFound: the version is not in the graph.
        """
        kept = {
            reference,
            *self.ancestors(reference, steps=steps),
            *self.descendants(reference, steps=steps),
        }
        edges = (Derivation(parent, child) for child in kept for parent in self._parents[child] if parent in kept)
        return type(self)([self._nodes[one] for one in kept], edges)

    def _reached(
        self, start: Reference, further: Callable[[Reference], tuple[Reference, ...]], steps: int | None
    ) -> list[Reference]:
        found = {start: None}
        nearest = further(start)
        while nearest and (steps is None or steps > 0):
            steps = None if steps is None else steps - 1
            new = dict.fromkeys(reference for reference in nearest if reference not in found)
            found |= new
            nearest = tuple(after for reference in new for after in further(reference))
        return list(found)[1:]

    def _age(self, reference: Reference) -> tuple[datetime, Reference]:
        return self._nodes[reference].created or datetime.max.replace(tzinfo=UTC), reference
