"""What a version came from and what was made from it, across datasets and models."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from domain.lineage import LineageGraph, LineageRecords
from domain.versions import Reference


def lineage(records: Iterable[LineageRecords], reference: Reference) -> LineageGraph:
    """A version with all its ancestors and descendants; removed ones too, whose records stay for this.

    Args:
        records: those of every kind that there is; each is read whole, for a record does not know its children.

    Raises:
        ObjectNotFound: no record is of this version or names it as a parent.
        StorageError: a record can't be read.
    """
    found = LineageGraph.of(chain.from_iterable(some.all(removed=True) for some in records))
    return found.around(reference)
