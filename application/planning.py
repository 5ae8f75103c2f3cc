"""Making a plan: two sides are compared name by name, and neither is changed.

Both sides come in one order, so that a name is met on both at once and nothing is held but what is to be done. What is wrong
with a name, a folder or a deletion is found here, before the first byte moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from application.filters import Filters
from application.local_names import LocalNames
from application.local_tree import INTERNAL, Symlinks
from application.sides import Entry, LocalFolder, Side, differences
from domain.errors import PreconditionFailed, StorageError
from domain.keys import check_key
from domain.transfer import (
    Comparison,
    DeleteBudget,
    Deletion,
    Direction,
    PlannedActions,
    TransferPlan,
)

RESERVED = ("deleted/", "temp/", ".lading/", "cas/", "dvc/")
"""What has its own keeper: the root of a store is compared and synchronised without them."""

OF_A_FOLDER = f"{INTERNAL}/"
"""What a local folder keeps for itself, its trash above all: nobody looks into it, so nothing is fetched into it."""

_TOLD_EVERY = 1000

Row = tuple[str, int, str, str, str]


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What a plan is to be.

    Attributes:
        compare: how it is found out what need not be moved.
        delete: whether what only the destination has is to go.
        budget: how much may go.
        backup: whether what is replaced is kept in the trash.
        empty_source: whether a source without anything is taken for what it says.
        seen: called now and then with the number of names looked at.
    """

    compare: Comparison = Comparison.NOTHING
    filters: Filters = field(default_factory=Filters)
    symlinks: Symlinks = Symlinks.FOLLOW
    delete: bool = False
    budget: DeleteBudget = field(default_factory=DeleteBudget)
    backup: bool = False
    empty_source: bool = False
    seen: Callable[[int], object] = lambda count: None


def plan_transfer(source: Side, target: Side, direction: Direction, options: PlanOptions) -> TransferPlan:
    """Compare both sides and say what has to be done for the target to have what the source has.

    Raises:
        LocalFileError: a key can't be a local file, or two would be one.
        PreconditionFailed: more would be deleted than may be, or the source is empty.
        StorageError: a side can't be read to its end.
    """
    planner = _Planner(source, target, direction, options)
    planner.look()
    return planner.plan()


class _Planner:
    def __init__(self, source: Side, target: Side, direction: Direction, options: PlanOptions) -> None:
        self._source = source
        self._target = target
        self._direction = direction
        self._options = options
        self._names = LocalNames(target.root, source.root) if direction is Direction.DOWNLOAD else None
        self._rows: list[Row] = []
        self._deletions: list[Deletion] = []
        self._unchanged = 0
        self._at_source = 0
        self._at_target = 0
        self._reserved = () if options.compare is Comparison.NOTHING else reserved(source, target)
        if not self._reserved and direction is Direction.DOWNLOAD:
            self._reserved = (OF_A_FOLDER,)
        self._met: set[str] = set()

    def look(self) -> None:
        believe = self._options.compare is not Comparison.CHECKSUM
        for mine, theirs, reason in differences(self._source, self._target, self._of_one_size(), believe=believe):
            if reason:
                self._move(mine, theirs, reason)
            else:
                self._unchanged += 1
        # Contents are compared many at a time, after their neighbours.
        self._rows.sort(key=lambda row: row[0])

    def plan(self) -> TransferPlan:
        rows, most = self._rows, self._options.filters.max_files
        if most is not None and len(rows) > most:
            # What is not moved yet may be what is to be deleted, under a new name: that waits.
            rows, self._deletions = rows[:most], []
        self._check_deletions()
        paths, keys = self._source.root, self._target.root
        if self._direction is Direction.DOWNLOAD:
            paths, keys = keys, paths
        return TransferPlan(
            self._direction,
            PlannedActions(paths, keys, rows),
            self._unchanged,
            self._deletions,
            self._options.backup,
            len(self._rows) - len(rows),
            sorted(self._met),
            paths,
            keys,
        )

    def _name_filter(self) -> Callable[[str], bool] | None:
        filters, reserved = self._options.filters, self._reserved
        if not reserved:
            return filters.name_filter

        def leaves_out(name: str) -> bool:
            if name.startswith(reserved):
                self._met.add(name[: name.index("/") + 1])
                return True
            return filters.leaves_out(name)

        return leaves_out

    def _of_one_size(self) -> Iterator[tuple[Entry, Entry]]:
        """The pairs whose contents are to be compared; all else is dealt with on the way."""
        options, count = self._options, 0
        out = self._name_filter()
        for mine, theirs in self._names_of_both(out):
            count += 1
            if not count % _TOLD_EVERY:
                options.seen(count)
            if theirs is not None:
                self._at_target += 1
                if mine is None:
                    self._only_at_target(theirs)
            if mine is None:
                continue
            self._at_source += 1
            if mine.name and self._names:
                self._names.wanted(mine.name)
            elif not self._names:
                check_key(self._target.root + mine.name)
            if not options.filters.takes(mine.size):
                continue
            if options.compare is Comparison.NOTHING:
                self._move(mine, theirs, "asked for")
            elif theirs is None:
                self._move(mine, None, "new")
            elif mine.size != theirs.size:
                self._move(mine, theirs, "size differs")
            elif options.compare is Comparison.SIZE:
                self._unchanged += 1
            else:
                yield mine, theirs
        options.seen(count)

    def _names_of_both(self, out: Callable[[str], bool] | None) -> Iterator[tuple[Entry | None, Entry | None]]:
        options, source = self._options, self._source.entries(out)
        if options.delete:
            yield from merged(source, self._target.entries(out))
        elif options.compare is Comparison.NOTHING and not options.backup:
            yield from ((mine, None) for mine in source)
        elif isinstance(self._target, LocalFolder):
            # A folder may hold a thousand times what comes from the source, and nobody's business.
            find = self._target.finder()
            yield from ((mine, find(mine.name)) for mine in source)
        else:
            yield from merged(source, self._target.entries(out))

    def _only_at_target(self, theirs: Entry) -> None:
        if self._names and theirs.name:
            self._names.present(theirs.name)
        if self._options.delete and self._options.filters.takes(theirs.size):
            self._deletions.append(Deletion(self._target.root + theirs.name, theirs.size, theirs.state))

    def _move(self, mine: Entry, theirs: Entry | None, reason: str) -> None:
        self._rows.append((mine.name, mine.size, reason, mine.state, theirs.state if theirs else ""))

    def _check_deletions(self) -> None:
        if not self._options.delete:
            return
        if not self._at_source and not self._options.empty_source:
            raise PreconditionFailed(
                f"there is nothing at the source {self._source.shown!r}, so --delete would empty {self._target.shown!r}; "
                "nothing was changed: check the source, or empty the destination by 'storage delete --recursive'"
            )
        exceeded = self._options.budget.exceeded_by(len(self._deletions), self._at_target)
        if exceeded:
            raise PreconditionFailed(
                f"{len(self._deletions):,} would be deleted at {self._target.shown!r}: {exceeded}; nothing was changed: "
                f"look at them with --dry-run --force, then add --max-delete {len(self._deletions)} or --force"
            )


def reserved(source: Side, target: Side) -> tuple[str, ...]:
    """What is left out where one of two sides is the root of a store: the beginnings of its names."""
    return () if source.root and target.root else RESERVED


def merged(source: Iterator[Entry], target: Iterator[Entry]) -> Iterator[tuple[Entry | None, Entry | None]]:
    """Each name once, with what either side has of it."""
    mine, theirs = next(source, None), next(target, None)
    while mine is not None or theirs is not None:
        if theirs is None or (mine is not None and mine.name < theirs.name):
            yield mine, None
            mine = _next(source, mine)
        elif mine is None or theirs.name < mine.name:
            yield None, theirs
            theirs = _next(target, theirs)
        else:
            yield mine, theirs
            mine, theirs = _next(source, mine), _next(target, theirs)


def _next(entries: Iterator[Entry], before: Entry | None) -> Entry | None:
    entry = next(entries, None)
    if entry is not None and before is not None and entry.name <= before.name:
        # Whoever goes on with such a listing takes what is there for missing.
        raise StorageError(f"a listing is out of order: {entry.name!r} came after {before.name!r}; nothing was changed")
    return entry
