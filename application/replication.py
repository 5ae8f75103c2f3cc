"""What came of a replication, found out anew: every object of the source with its copy, and whether they are the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from application.filters import Filters
from application.planning import merged, reserved
from application.sides import Entry, StorePrefix
from application.transfers import folder_prefix
from domain.errors import StorageError
from domain.known_hashes import NothingKnown
from domain.storage import IStorageProvider

_TOGETHER = 512


class Replicated(NamedTuple):
    """One object of the source.

    Attributes:
        key: at the source.
        size: bytes.
        sha256: at the source; empty where it could not be found out.
        verdict: `same`, `missing`, `different`, or `unknown` where one of the two could not be read.
    """

    key: str
    size: int
    sha256: str
    verdict: str


def replicated(
    origin: IStorageProvider, source_prefix: str, provider: IStorageProvider, target_prefix: str, filters: Filters
) -> Iterator[Replicated]:
    """Ask both stores for every object that a replication is about, in the order of the keys; nothing remembered is believed.

    Raises:
        StorageError: a store can't be asked.
    """
    known = NothingKnown()
    source = StorePrefix(origin, folder_prefix(source_prefix), known)
    target = StorePrefix(provider, folder_prefix(target_prefix), known)
    kept = reserved(source, target)

    def out(name: str) -> bool:
        return name.startswith(kept) or filters.leaves_out(name)

    both = merged(source.entries(out), target.entries(out))
    pairs = ((mine, theirs) for mine, theirs in both if mine and filters.takes(mine.size))
    while some := list(islice(pairs, _TOGETHER)):
        yield from _judged(source, target, some)


def _judged(
    source: StorePrefix, target: StorePrefix, pairs: Sequence[tuple[Entry, Entry | None]]
) -> Iterator[Replicated]:
    mine = {entry.name: sha256 for entry, sha256 in source.hashes([entry for entry, _ in pairs])}
    theirs = {entry.name: sha256 for entry, sha256 in target.hashes([copy for _, copy in pairs if copy])}
    for entry, copy in pairs:
        left, right = mine[entry.name], theirs.get(entry.name)
        sha256 = "" if isinstance(left, StorageError) else left
        if copy is None:
            verdict = "missing"
        elif isinstance(left, StorageError) or isinstance(right, StorageError):
            verdict = "unknown"
        else:
            verdict = "same" if (left, entry.size) == (right, copy.size) else "different"
        yield Replicated(source.root + entry.name, entry.size, sha256, verdict)
