"""Deleting what only the destination has: not without complete listings, not beyond the budget, not before all is moved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from application.applying import apply
from application.planning import PlanOptions
from application.transfers import plan_download, plan_replication, plan_upload
from application.trash import trash_of_folder, trash_of_store, undo
from domain.errors import (
    BucketNotFound,
    LocalFileError,
    PreconditionFailed,
    StorageError,
    StoreUnavailable,
)
from domain.storage import ObjectInfo
from domain.transfer import Comparison, DeleteBudget, Direction, TransferPlan, TransferReport
from infrastructure.storage.providers import MemoryProvider

DELETE = PlanOptions(compare=Comparison.CONTENT, delete=True)
ANY = replace(DELETE, budget=DeleteBudget(None, None))
Made = tuple[MemoryProvider, Path]


class Troubled(MemoryProvider):
    """A store whose listing can be tampered with, and whose methods can fail."""

    listed: Callable[[Iterator[ObjectInfo]], Iterator[ObjectInfo]] | None = None
    failing: dict[str, BaseException] = {}

    def list_objects(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        found = super().list_objects(prefix, start_after=start_after)
        return self.listed(found) if self.listed else found

    def upload(self, local_path: str, remote_path: str, *others: Any, **options: Any) -> ObjectInfo:
        if remote_path in self.failing:
            raise self.failing[remote_path]
        return super().upload(local_path, remote_path, *others, **options)

    def delete_many(self, keys: Iterable[str]) -> Iterator[StorageError]:
        if "delete" in self.failing:
            raise self.failing["delete"]
        return super().delete_many(keys)

    def copy(self, source: str, destination: str, **options: Any) -> ObjectInfo:
        if "copy" in self.failing:
            raise self.failing["copy"]
        return super().copy(source, destination, **options)


@pytest.fixture
def provider() -> Troubled:
    made = Troubled({})
    made.failing = {}
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`a` and `b`, of which the store has `a` as it is."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a").write_bytes(b"a")
    (folder / "b").write_bytes(b"b")
    return folder


def fill(provider: MemoryProvider, only_there: int = 1) -> dict[str, bytes]:
    provider.put_bytes("p/a", b"a")
    for number in range(only_there):
        provider.put_bytes(f"p/old{number}", b"old")
    return contents(provider)


def contents(provider: MemoryProvider) -> dict[str, bytes]:
    """What is there, read past whatever the provider does to listings."""
    return {
        info.key: provider.get_bytes(info.key)
        for info in MemoryProvider.list_objects(provider)
        if not info.key.startswith("deleted/")
    }


def carry_out(provider: MemoryProvider, plan: TransferPlan) -> TransferReport:
    down = plan.direction is Direction.DOWNLOAD
    return apply(provider, plan, trash=trash_of_folder(plan.path_root) if down else trash_of_store(provider))


# -- refused


def test_an_empty_source_is_refused_whatever_the_budget(provider: Troubled, tmp_path: Path) -> None:
    before = fill(provider)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PreconditionFailed, match=r"nothing at the source .*--delete would empty"):
        plan_upload(provider, str(tmp_path / "empty"), "p", ANY)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "f").write_bytes(b"")
    with pytest.raises(PreconditionFailed, match="nothing at the source"):
        plan_download(provider, "nonsuch/", str(tmp_path / "here"), ANY)
    with pytest.raises(PreconditionFailed, match="nothing at the source"):
        plan_replication(provider, "nonsuch/", MemoryProvider({}), "p", ANY)
    assert contents(provider) == before
    assert (tmp_path / "here" / "f").exists()


def test_a_source_of_which_nothing_is_meant_is_an_empty_one(provider: Troubled, folder: Path) -> None:
    fill(provider)
    options = replace(ANY, filters=replace(ANY.filters, included=lambda name: name.startswith("old")))
    with pytest.raises(PreconditionFailed, match="nothing at the source"):
        plan_upload(provider, str(folder), "p", options)


def test_a_missing_source_is_refused(provider: Troubled, tmp_path: Path) -> None:
    fill(provider)
    with pytest.raises(LocalFileError, match="no such file"):
        plan_upload(provider, str(tmp_path / "nonsuch"), "p", ANY)
    (tmp_path / "here").mkdir()
    with pytest.raises(BucketNotFound):
        plan_download(MemoryProvider({}).for_bucket("nonsuch"), "p/", str(tmp_path / "here"), ANY)


def failing_half_way(found: Iterator[ObjectInfo]) -> Iterator[ObjectInfo]:
    yield next(found)
    raise StoreUnavailable("the store is away")


def out_of_order(found: Iterator[ObjectInfo]) -> Iterator[ObjectInfo]:
    return iter(list(found)[::-1])


def twice(found: Iterator[ObjectInfo]) -> Iterator[ObjectInfo]:
    for info in found:
        yield info
        yield info


@pytest.mark.parametrize(
    ("listed", "said"),
    [(failing_half_way, "away"), (out_of_order, "out of order"), (twice, "out of order")],
)
@pytest.mark.parametrize("direction", list(Direction))
def test_a_listing_that_is_not_whole_leads_to_no_plan(
    provider: Troubled, folder: Path, listed: Any, said: str, direction: Direction
) -> None:
    before, other = fill(provider, 3), MemoryProvider({"bucket_name": "other"})
    other.put_bytes("p/old2", b"")
    provider.listed = listed
    with pytest.raises(StorageError, match=said):
        if direction is Direction.UPLOAD:
            plan_upload(provider, str(folder), "p", ANY)
        elif direction is Direction.DOWNLOAD:
            plan_download(provider, "p/", str(folder), ANY)
        else:
            plan_replication(provider, "p", other, "p", ANY)
    assert contents(provider) == before
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]
    assert list(contents(other)) == ["p/old2"]


def test_what_can_not_be_read_below_the_source_leads_to_no_plan(provider: Troubled, folder: Path) -> None:
    fill(provider)
    (folder / "c").symlink_to("nowhere")
    with pytest.raises(LocalFileError):
        plan_upload(provider, str(folder), "p", ANY)


# -- the budget


@pytest.mark.parametrize(
    ("budget", "deletions", "there", "said"),
    [
        (DeleteBudget(), 1000, 2000, ""),
        (DeleteBudget(), 1001, 100_000, "at most 1,000 are allowed"),
        (DeleteBudget(), 6, 11, "that is more than 50% of the 11 that are there"),
        (DeleteBudget(), 5, 10, ""),
        (DeleteBudget(), 0, 0, ""),
        (DeleteBudget(3, None), 3, 3, ""),
        (DeleteBudget(3, None), 4, 1000, "at most 3 are allowed"),
        (DeleteBudget(0, None), 1, 1000, "at most 0 are allowed"),
        (DeleteBudget(None, 0.25), 251, 1000, "that is more than 25% of the 1,000 that are there"),
        (DeleteBudget(None, None), 10**6, 10**6, ""),
    ],
)
def test_a_budget_says_which_bound_is_exceeded(budget: DeleteBudget, deletions: int, there: int, said: str) -> None:
    assert budget.exceeded_by(deletions, there) == said


@pytest.mark.parametrize(
    ("only_there", "budget", "allowed"),
    [
        (1, DeleteBudget(), True),
        (2, DeleteBudget(), False),
        (2, DeleteBudget(2, None), True),
        (3, DeleteBudget(2, None), False),
        (40, DeleteBudget(None, None), True),
    ],
)
def test_more_than_the_budget_is_not_even_planned(
    provider: Troubled, folder: Path, only_there: int, budget: DeleteBudget, allowed: bool
) -> None:
    before = fill(provider, only_there)
    options = replace(DELETE, budget=budget)
    if allowed:
        plan = plan_upload(provider, str(folder), "p", options)
        assert sorted(deletion.name for deletion in plan.deletions) == sorted(set(before) - {"p/a"})
        return
    with pytest.raises(PreconditionFailed, match="would be deleted at 'memory:memory/p'") as caught:
        plan_upload(provider, str(folder), "p", options)
    assert f"{only_there} would be" in caught.value.message
    assert f"--max-delete {only_there} or --force" in caught.value.message
    assert contents(provider) == before


def test_the_budget_counts_what_is_there_and_not_what_comes(provider: Troubled, folder: Path) -> None:
    for number in range(100):
        (folder / f"new{number}").write_bytes(b"")
    fill(provider, 2)
    with pytest.raises(PreconditionFailed, match="more than 50% of the 3 that are there"):
        plan_upload(provider, str(folder), "p", DELETE)


# -- carried out


def test_what_is_deleted_is_in_the_trash_and_comes_back(provider: Troubled, folder: Path) -> None:
    before = fill(provider)
    report = carry_out(provider, plan_upload(provider, str(folder), "p", DELETE))
    assert (report.done, report.deleted, report.failures) == (1, 1, [])
    assert contents(provider) == {"p/a": b"a", "p/b": b"b"}
    trash = trash_of_store(provider)
    record = trash.record(report.trash_id)
    assert [(entry.name, entry.size, entry.replaced) for entry in record.entries] == [("p/old0", 3, False)]
    assert undo(trash).restored == 1
    assert contents(provider) == before | {"p/b": b"b"}


def test_what_a_download_deletes_is_in_the_trash_of_the_folder(provider: Troubled, folder: Path) -> None:
    fill(provider)
    plan = plan_download(provider, "p/", str(folder), DELETE)
    assert [deletion.name for deletion in plan.deletions] == [str(folder / "b")]
    report = carry_out(provider, plan)
    assert report.deleted == 1
    assert not (folder / "b").exists()
    assert (folder / ".lading/trash" / report.trash_id / "objects/b").read_bytes() == b"b"
    undo(trash_of_folder(str(folder)))
    assert (folder / "b").read_bytes() == b"b"


@pytest.mark.parametrize("error", [StorageError("this one fails"), StoreUnavailable("away"), KeyboardInterrupt()])
def test_nothing_is_deleted_where_a_file_was_not_moved(provider: Troubled, folder: Path, error: BaseException) -> None:
    before = fill(provider)
    plan = plan_upload(provider, str(folder), "p", DELETE)
    provider.failing = {"p/b": error}
    report = carry_out(provider, plan)
    assert report.failures or report.stopped_by or report.interrupted
    assert report.deleted == 0
    assert contents(provider) == before


def test_what_changed_after_it_was_planned_stays(provider: Troubled, folder: Path) -> None:
    fill(provider)
    plan = plan_upload(provider, str(folder), "p", DELETE)
    provider.put_bytes("p/old0", b"somebody's")
    report = carry_out(provider, plan)
    assert report.deleted == 0
    assert [(action.key, type(error)) for action, error in report.failures] == [("p/old0", PreconditionFailed)]
    assert contents(provider)["p/old0"] == b"somebody's"


def test_a_store_that_goes_away_at_the_end_is_told_in_the_report(provider: Troubled, folder: Path) -> None:
    before = fill(provider)
    plan = plan_upload(provider, str(folder), "p", DELETE)
    provider.failing = {"copy": StoreUnavailable("away")}
    report = carry_out(provider, plan)
    assert (report.done, report.deleted) == (1, 0)
    assert isinstance(report.stopped_by, StoreUnavailable)
    assert contents(provider) == before | {"p/b": b"b"}


# -- backup


BACKUP = PlanOptions(compare=Comparison.CONTENT, backup=True)


def test_what_is_replaced_can_be_kept(provider: Troubled, folder: Path) -> None:
    provider.put_bytes("p/a", b"before")
    plan = plan_upload(provider, str(folder), "p", BACKUP)
    report = carry_out(provider, plan)
    assert contents(provider) == {"p/a": b"a", "p/b": b"b"}
    assert undo(trash_of_store(provider), report.trash_id).restored == 1
    assert contents(provider) == {"p/a": b"before", "p/b": b"b"}


@pytest.mark.parametrize("kind", [StorageError, StoreUnavailable])
def test_nothing_is_replaced_where_it_can_not_be_kept(
    provider: Troubled, folder: Path, kind: type[StorageError]
) -> None:
    provider.put_bytes("p/a", b"before")
    plan = plan_upload(provider, str(folder), "p", BACKUP)
    provider.failing = {"copy": kind("no copies today")}
    report = carry_out(provider, plan)
    assert report.stopped_by and "no copies today" in report.stopped_by.message
    assert report.done == 0
    assert contents(provider) == {"p/a": b"before"}


@pytest.mark.parametrize("whole", [True, False], ids=["a folder", "one file"])
def test_a_file_that_a_download_replaces_can_be_kept(provider: Troubled, folder: Path, whole: bool) -> None:
    provider.put_bytes("p/a", b"newer")
    plan = plan_download(provider, *(("p/", str(folder)) if whole else ("p/a", str(folder / "a"))), BACKUP)
    assert [action.key for action in plan.actions] == ["p/a"]
    assert plan.folder == f"{folder}/"
    report = apply(provider, plan, trash=trash_of_folder(plan.folder))
    assert (report.done, report.failures, report.stopped_by) == (1, [], None)
    assert (folder / "a").read_bytes() == b"newer"
    assert (folder / ".lading/trash" / report.trash_id / "objects/a").read_bytes() == b"a"
