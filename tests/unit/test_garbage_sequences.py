"""Anything in any order, with time between: what is in use is there, always; and in the end nothing else is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from clocked_store import START, ClockedStore, add_record, missing, objects_of, remove_version
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from application.dataset_records import DatasetRecords
from application.garbage.collecting import collect_garbage
from application.garbage.leases import Lease
from application.retention import RetentionRules, judged, remove_versions
from domain.errors import PreconditionFailed

DATASETS = st.sampled_from(["a", "b"])
FILES = st.dictionaries(st.sampled_from(["1", "2", "3"]), st.sampled_from([b"x", b"y", b"z", b""]), min_size=1)
DAYS = st.sampled_from([0, 7])


class Store(RuleBasedStateMachine):
    """Versions come and go; one writer may be at work for a while."""

    @initialize(conditional=st.booleans())
    def begin(self, conditional: bool) -> None:
        self.store = ClockedStore(create_if_absent=conditional)
        self.records = DatasetRecords(self.store)
        self.lease: Lease | None = None
        self.begun: tuple[str, dict[str, bytes]] = ("", {})
        self.made = 0

    @rule(hours=st.sampled_from([1, 30, 24 * 8]))
    def time_passes(self, hours: int) -> None:
        if self.lease:  # a writer that is alive renews
            hours = 0
        self.store.clock.step(hours=hours)

    @rule(dataset=DATASETS, files=FILES, written=st.integers(0, 9))
    def writer_begins(self, dataset: str, files: dict[str, bytes], written: int) -> None:
        if self.lease is None:
            self.lease = Lease(self.store, wait=0).take()
            self.begun = dataset, files
            self.write(written)

    @rule()
    def writer_ends(self) -> None:
        if self.lease:
            self.write(1000)
            add_record(self.store, *self.begun)
            self.lease.release()
            self.lease = None
            self.made += 1

    @rule()
    def writer_is_killed(self) -> None:
        if self.lease:
            self.lease = None
            self.store.clock.step(hours=2)

    def write(self, count: int) -> None:
        """Write what is not there, in the order of a writer: that much of it."""
        for key, data in list(objects_of(self.begun[1]).items())[:count]:
            if not self.store.exists(key):
                self.store.put_bytes(key, data)

    @rule(data=st.data())
    def a_version_is_removed(self, data: st.DataObject) -> None:
        versions = list(self.records.all())
        if versions:
            remove_version(self.store, data.draw(st.sampled_from(versions)))

    @rule(last=st.integers(1, 3))
    def retention(self, last: int) -> None:
        rules = RetentionRules(last=last)
        going = [version for version, kept_by in judged(self.records, None, rules, now=START) if not kept_by]
        remove_versions(self.records, going, rules, now=START)

    @rule(days=DAYS, dvc=st.booleans(), dry_run=st.booleans())
    def collection(self, days: int, dvc: bool, dry_run: bool) -> None:
        before = self.store.contents()
        in_use = any(True for _ in self.records.all())
        place = (self.store, "dvc/") if dvc else None
        try:
            report = collect_garbage(self.store, dvc=place, grace=timedelta(days=days), dry_run=dry_run)
        except PreconditionFailed:
            assert not in_use
            return
        if dry_run or report.deferred_by:
            content = {key for key in before if not key.startswith(".lading/")}
            assert content <= self.store.contents().keys()
        if self.lease is None and days == 0 and dvc and not dry_run and in_use:
            self.nothing_else_is_there()

    def nothing_else_is_there(self) -> None:
        wanted = set()
        for version in self.records.all():
            wanted |= {f"cas/{version.table[:2]}/{version.table}"}
        assert set(self.store.contents("cas/")) == wanted

    @invariant()
    def what_is_in_use_is_there(self) -> None:
        assert not missing(self.store)


def test_sequences(request: pytest.FixtureRequest) -> None:
    run_state_machine_as_test(Store, settings=settings(max_examples=60, stateful_step_count=25, deadline=None))
