"""Which versions of datasets are kept, by rules, and the removal of the others.

A removed version's record stays, for lineage; its content is freed by garbage collection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from application.dataset_records import DatasetRecords
from application.interruption import Interruption
from domain.datasets import DatasetVersion
from domain.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """What keeps a version; one rule is enough. The last version of a dataset and those with an alias are always kept.

    Attributes:
        last: so many of the latest versions.
        tagged: every version that has a tag.
        tags: every version that has one of these.
        younger_than: every version made since so long ago.

    Raises:
        InvalidRequest: no rule is given, which would remove nearly all, or one that can't be.
    """

    last: int | None = None
    tagged: bool = False
    tags: tuple[str, ...] = ()
    younger_than: timedelta | None = None

    def __post_init__(self) -> None:
        if self.last is None and not self.tagged and not self.tags and self.younger_than is None:
            raise InvalidRequest(
                "no rule is given; say what to keep by --keep-last, --keep-tagged, --keep-tag or --younger-than"
            )
        if self.last is not None and self.last < 1:
            raise InvalidRequest(f"the last {self.last} versions can't be kept; the last one always is")
        if self.younger_than is not None and not timedelta() <= self.younger_than <= timedelta(days=36_500):
            raise InvalidRequest("an age is a time between nothing and a hundred years")


class Judged(NamedTuple):
    """A version, and what keeps it.

    Attributes:
        kept_by: words for a person; empty where nothing does.
    """

    version: DatasetVersion
    kept_by: str


def judged(
    records: DatasetRecords, dataset_ids: Iterable[str] | None, rules: RetentionRules, *, now: datetime | None = None
) -> Iterator[Judged]:
    """Every version of these datasets, in order, with what keeps it. Changes nothing.

    Args:
        dataset_ids: None for all that there are.
        now: by this machine's clock, as the times of the records are.

    Raises:
        ObjectNotFound: there is no such dataset.
    """
    now = now or datetime.now(UTC)
    for dataset_id in dict.fromkeys(records.ids() if dataset_ids is None else dataset_ids):
        yield from _judged_of_one(records, dataset_id, rules, now)


def _judged_of_one(records: DatasetRecords, dataset_id: str, rules: RetentionRules, now: datetime) -> Iterator[Judged]:
    versions = records.versions(dataset_id)
    named = {number: alias for alias, number in records.aliases(dataset_id).items()}
    for place, version in enumerate(versions):
        newer = len(versions) - 1 - place
        yield Judged(version, _kept_by(version, newer, named.get(version.version), rules, now))


def _kept_by(version: DatasetVersion, newer: int, alias: str | None, rules: RetentionRules, now: datetime) -> str:
    if not newer:
        return "the latest"
    if alias:
        return f"named by {alias}"
    if rules.last is not None and newer < rules.last:
        return f"of the last {rules.last}"
    if rules.tagged and version.tags:
        return f"tagged {version.tags[0]}"
    if found := [tag for tag in version.tags if tag in rules.tags]:
        return f"tagged {found[0]}"
    # One that was made in the future, by a clock that was wrong, is young.
    if rules.younger_than is not None and now - version.created < rules.younger_than:
        return "young"
    return ""


def remove_versions(
    records: DatasetRecords,
    versions: Iterable[DatasetVersion],
    rules: RetentionRules,
    *,
    now: datetime | None = None,
    removed: Callable[[DatasetVersion], object] = lambda version: None,
) -> None:
    """Remove these versions, but for those that something keeps by now, or that were removed by others.

    Args:
        removed: hears of each that is removed.

    Raises:
        KeyboardInterrupt: the user stopped it, between two versions.
        StorageError: a record can't be read or written. Those that were removed stay so.
    """
    now = now or datetime.now(UTC)
    by_dataset: dict[str, set[int]] = {}
    for version in versions:
        by_dataset.setdefault(version.dataset_id, set()).add(version.version)
    with Interruption() as interruption:
        for dataset_id, numbers in by_dataset.items():
            # Looked at anew: since they were chosen and shown, one may have got an alias, or have become the latest.
            for version, kept_by in list(_judged_of_one(records, dataset_id, rules, now)):
                interruption.check()
                if not kept_by and version.version in numbers:
                    records.replace(version.as_removed(datetime.now(UTC)))
                    removed(version)
