"""Which versions rules keep, and the removal of the others."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from clocked_store import START, ClockedStore, add_record
from hypothesis import given
from hypothesis import strategies as st

from application.dataset_records import DatasetRecords
from application.retention import RetentionRules, judged, remove_versions
from domain.errors import InvalidRequest, ObjectNotFound, StoreUnavailable

FILES = {"a": b"1"}


@pytest.fixture
def store() -> ClockedStore:
    return ClockedStore()


@pytest.fixture
def records(store: ClockedStore) -> DatasetRecords:
    """Five versions of one dataset, a day apart and the last of them made now; two are tagged."""
    for number in range(1, 6):
        tags = {2: ("paper", "clean"), 3: ("clean",)}.get(number, ())
        add_record(store, "m13", FILES, START - timedelta(days=5 - number), tags=tags)
    return DatasetRecords(store)


def going(records: DatasetRecords, ids: list[str] | None = None, **rules: Any) -> list[str]:
    found = judged(records, ids, RetentionRules(**rules), now=START)
    return [str(version.reference) for version, kept_by in found if not kept_by]


def numbers(records: DatasetRecords, **rules: Any) -> list[int]:
    return [int(reference.rpartition("@")[2]) for reference in going(records, **rules)]


def test_each_rule(records: DatasetRecords) -> None:
    assert numbers(records, last=1) == [1, 2, 3, 4]
    assert numbers(records, last=3) == [1, 2]
    assert numbers(records, last=9) == []
    assert numbers(records, tagged=True) == [1, 4]
    assert numbers(records, tags=("paper",)) == [1, 3, 4]
    assert numbers(records, tags=("paper", "clean")) == [1, 4]
    assert numbers(records, tags=("pap",)) == [1, 2, 3, 4]
    assert numbers(records, younger_than=timedelta(days=2)) == [1, 2, 3]
    assert numbers(records, younger_than=timedelta(days=2, seconds=1)) == [1, 2]
    assert numbers(records, younger_than=timedelta()) == [1, 2, 3, 4]


def test_one_rule_of_several_is_enough(records: DatasetRecords) -> None:
    assert numbers(records, last=2, tags=("paper",)) == [1, 3]
    assert numbers(records, last=2, tagged=True, younger_than=timedelta(days=9)) == []


def test_what_an_alias_names_is_kept_and_latest_is(records: DatasetRecords) -> None:
    records.set_alias("m13", "train", 1)
    assert numbers(records, last=1) == [2, 3, 4]
    records.set_alias("m13", "train", 0)
    assert numbers(records, last=1) == [1, 2, 3, 4]


def test_a_version_of_the_future_is_young(store: ClockedStore, records: DatasetRecords) -> None:
    add_record(store, "m13", FILES, START + timedelta(days=50))
    add_record(store, "m13", FILES, START - timedelta(days=50))
    assert numbers(records, younger_than=timedelta(hours=1)) == [1, 2, 3, 4]


def test_the_datasets_that_are_named(store: ClockedStore, records: DatasetRecords) -> None:
    for _ in range(2):
        add_record(store, "o/ther", FILES)
    assert going(records, last=1) == [*(f"m13@{number}" for number in range(1, 5)), "o/ther@1"]
    assert going(records, ["o/ther", "o/ther"], last=1) == ["o/ther@1"]
    with pytest.raises(ObjectNotFound):
        going(records, ["nothing"], last=1)


def test_removed_versions_stay_as_records(records: DatasetRecords) -> None:
    rules = RetentionRules(last=2)
    told: list[int] = []
    chosen = [version for version, kept_by in judged(records, None, rules) if not kept_by]
    remove_versions(records, chosen, rules, removed=lambda version: told.append(version.version))
    assert told == [1, 2, 3]
    assert [version.version for version in records.versions("m13")] == [4, 5]
    everything = records.versions("m13", removed=True)
    assert [bool(version.removed) for version in everything] == [True] * 3 + [False] * 2
    assert everything[1].tags == ("paper", "clean")
    assert numbers(records, last=2) == []
    assert numbers(records, last=1) == [4]


def test_what_has_changed_since_it_was_chosen_counts(store: ClockedStore, records: DatasetRecords) -> None:
    rules = RetentionRules(last=1)
    chosen = [version for version, kept_by in judged(records, None, rules) if not kept_by]
    records.set_alias("m13", "train", 2)
    records.replace(records.get("m13@5").as_removed(START))
    add_record(store, "other", FILES)
    remove_versions(records, chosen, rules)
    assert [version.version for version in records.versions("m13")] == [2, 4]


def test_a_new_version_is_not_removed_unseen(store: ClockedStore, records: DatasetRecords) -> None:
    rules = RetentionRules(last=1)
    chosen = [version for version, kept_by in judged(records, None, rules) if not kept_by]
    add_record(store, "m13", FILES)
    remove_versions(records, chosen, rules)
    assert [version.version for version in records.versions("m13")] == [5, 6]


def test_a_failure_keeps_the_rest(store: ClockedStore, records: DatasetRecords) -> None:
    def away(request: str, key: str) -> None:
        if request == "put" and key.endswith("/3.json"):
            raise StoreUnavailable("away")

    rules = RetentionRules(last=1)
    store.before = away
    with pytest.raises(StoreUnavailable):
        remove_versions(records, list(records.all()), rules)
    assert [version.version for version in records.versions("m13")] == [3, 4, 5]


@pytest.mark.parametrize(
    "rules",
    [{}, {"last": 0}, {"last": -1}, {"younger_than": timedelta(-1)}, {"younger_than": timedelta(days=99_999)}],
)
def test_rules_that_are_none(rules: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        RetentionRules(**rules)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.sets(st.sampled_from(["x", "y"]))), min_size=1, max_size=8),
    st.integers(1, 9),
    st.booleans(),
    st.sampled_from([(), ("x",), ("z",)]),
    st.integers(0, 60),
)
def test_against_the_rules_in_other_words(
    versions: list[tuple[int, set[str]]], last: int, tagged: bool, tags: tuple[str, ...], days: int
) -> None:
    store = ClockedStore()
    for age, have in versions:
        add_record(store, "d", FILES, START - timedelta(days=age), tags=tuple(sorted(have)))
    kept = set(range(max(len(versions) - last, 0), len(versions)))
    kept |= {place for place, (age, _) in enumerate(versions) if age < days}
    kept |= {place for place, (_, have) in enumerate(versions) if have & set(tags) or (tagged and have)}
    found = numbers(DatasetRecords(store), last=last, tagged=tagged, tags=tags, younger_than=timedelta(days=days))
    assert {number - 1 for number in found} == set(range(len(versions))) - kept
