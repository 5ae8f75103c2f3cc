"""Objects read to see whether they are what was stored, and copies held against what they were made from."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from application.applying import apply
from application.filters import Filters
from application.planning import PlanOptions
from application.replication import replicated
from application.transfers import compare_sides, plan_replication
from application.verification import verify
from domain.errors import (
    BucketNotFound,
    ContentCorrupted,
    InvalidRequest,
    LocalFileError,
    ObjectNotFound,
    StorageError,
    StoreUnavailable,
)
from domain.objects import ObjectInfo
from domain.streams import ObjectReader
from domain.transfer import Comparison
from infrastructure.storage.providers import MemoryProvider

COMPARED = PlanOptions(compare=Comparison.CONTENT)


class Spoiled(MemoryProvider):
    """A store in which the bytes of some objects are not what they were, and others can't be read."""

    trouble: dict[str, StorageError] = {}
    hashless: set[str] = set()
    reads: list[str]

    def spoil(self, key: str) -> None:
        objects = self._objects()
        objects[key] = objects[key]._replace(data=objects[key].data[:-1] + b"\0")

    def forget_hash(self, key: str) -> None:
        objects = self._objects()
        objects[key] = objects[key]._replace(info=objects[key].info._replace(sha256=None))

    def head(self, key: str) -> ObjectInfo:
        if key in self.trouble:
            raise self.trouble[key]
        return super().head(key)

    def open_reader(self, key: str, **options: Any) -> ObjectReader:
        self.reads.append(key)
        if key in self.trouble:
            raise self.trouble[key]
        return super().open_reader(key, **options)


@pytest.fixture
def provider() -> Spoiled:
    made = Spoiled({})
    made.trouble, made.reads = {}, []
    for name in ("a", "b", "c", "d", "e"):
        made.put_bytes(f"p/{name}", name.encode() * 3)
    made.put_bytes("beside", b"x")
    return made


def sha(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


@pytest.mark.parametrize("remote", [False, True])
def test_each_object_has_its_verdict_in_the_order_of_keys(remote: bool) -> None:
    provider = Spoiled({"capabilities": {"remote": remote}})
    provider.reads = []
    for name in ("a", "b", "c", "d", "e"):
        provider.put_bytes(f"p/{name}", name.encode() * 3)
    provider.put_bytes("beside", b"x")
    provider.spoil("p/b")
    provider.forget_hash("p/c")
    provider.trouble = {"p/d": ObjectNotFound("gone meanwhile", key="p/d")}
    found = list(verify(provider, "p/"))
    assert [(one.key, one.verdict) for one in found] == [
        ("p/a", "ok"),
        ("p/b", "corrupt"),
        ("p/c", "no hash"),
        ("p/d", "failed"),
        ("p/e", "ok"),
    ]
    assert (found[0].size, found[0].sha256) == (3, sha(b"aaa"))
    assert isinstance(found[1].error, ContentCorrupted) and "p/b" in found[1].error.message
    assert (found[2].sha256, found[2].error) == ("", None)
    assert found[3].error is provider.trouble["p/d"]
    assert sorted(provider.reads) == ["p/a", "p/b", "p/c", "p/d", "p/e"]


@pytest.mark.parametrize("error", [StoreUnavailable("away"), BucketNotFound("no bucket")])
def test_what_makes_going_on_pointless_ends_it(provider: Spoiled, error: StorageError) -> None:
    provider.trouble = {"p/b": error}
    with pytest.raises(type(error)):
        list(verify(provider, "p/"))
    with pytest.raises(BucketNotFound):
        list(verify(MemoryProvider({}).for_bucket("nonsuch"), ""))


def test_a_sample_is_of_about_the_share_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Spoiled({})
    provider.reads = []
    for number in range(100):
        provider.put_bytes(f"{number:02}", b"")
    chances = itertools.cycle(number / 100 for number in range(100))
    monkeypatch.setattr("application.verification.random.random", lambda: next(chances))
    assert [one.key for one in verify(provider, "", 0.05)] == ["00", "01", "02", "03", "04"]
    assert len(provider.reads) == 5
    assert list(verify(provider, "", 0.0)) == []


def test_who_stops_looking_stops_the_reading(provider: Spoiled) -> None:
    for number in range(500):
        provider.put_bytes(f"q/{number}", b"")
    found = verify(provider, "q/")
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert len(provider.reads) < 100


# -- copies


def judged(copies: Iterator[Any]) -> dict[str, str]:
    return {copy.key: copy.verdict for copy in copies}


def test_each_copy_has_its_verdict(provider: Spoiled) -> None:
    other = Spoiled({"bucket_name": "other"})
    other.reads, other.trouble = [], {}
    report = apply(other, plan_replication(provider, "p", other, "q", COMPARED), origin=provider)
    assert (report.done, report.failures) == (5, [])
    assert set(judged(replicated(provider, "p", other, "q", Filters())).values()) == {"same"}
    other.delete("q/a")
    other.put_bytes("q/b", b"bbx")
    other.put_bytes("q/c", b"c")
    other.trouble = {"q/d": StorageError("unreadable")}
    other.put_bytes("q/only-there", b"")
    found = list(replicated(provider, "p", other, "q", Filters()))
    assert [(one.key, one.size, one.sha256, one.verdict) for one in found] == [
        ("p/a", 3, sha(b"aaa"), "missing"),
        ("p/b", 3, sha(b"bbb"), "different"),
        ("p/c", 3, sha(b"ccc"), "different"),
        ("p/d", 3, sha(b"ddd"), "unknown"),
        ("p/e", 3, sha(b"eee"), "same"),
    ]


def test_a_source_that_can_not_be_read_is_unknown_and_has_no_hash(provider: Spoiled) -> None:
    other = MemoryProvider({"bucket_name": "other"})
    apply(other, plan_replication(provider, "p", other, "p", COMPARED), origin=provider)
    provider.trouble = {"p/a": StorageError("unreadable")}
    first = next(replicated(provider, "p", other, "p", Filters()))
    assert (first.verdict, first.sha256) == ("unknown", "")


def test_copies_without_a_hash_are_read(provider: Spoiled) -> None:
    other = Spoiled({"bucket_name": "other"})
    other.reads, other.trouble = [], {}
    apply(other, plan_replication(provider, "p", other, "p", COMPARED), origin=provider)
    other.forget_hash("p/a")
    other.forget_hash("p/b")
    other.spoil("p/b")
    verdicts = judged(replicated(provider, "p", other, "p", Filters()))
    assert (verdicts["p/a"], verdicts["p/b"]) == ("same", "different")
    assert sorted(other.reads)[-2:] == ["p/a", "p/b"]


FILTERS = [
    Filters(excluded=lambda name: name.endswith(("b", "/deep/"))),
    Filters(included=lambda name: name.endswith("a")),
    Filters(size_min=5),
    Filters(size_max=5),
]


@pytest.mark.parametrize("filters", FILTERS, ids=["excluded", "included", "least", "most"])
def test_what_a_replication_is_not_about_is_not_in_its_report(provider: Spoiled, filters: Filters) -> None:
    for key in ("temp/x", "deleted/y", "large", "deep/b", "b", ".lading/z"):
        provider.put_bytes(key, b"large one")
    other = MemoryProvider({"bucket_name": "other"})
    plan = plan_replication(provider, "", other, "", PlanOptions(compare=Comparison.CONTENT, filters=filters))
    apply(other, plan, origin=provider)
    found = judged(replicated(provider, "", other, "", filters))
    assert set(found) == {action.key for action in plan.actions}
    assert set(found.values()) == {"same"}


@pytest.mark.parametrize(("source", "target"), [("p", "p"), ("p", "p/deep"), ("p/deep", "p"), ("", "p"), ("p", "")])
def test_a_prefix_is_not_replicated_into_itself(provider: Spoiled, source: str, target: str) -> None:
    with pytest.raises(InvalidRequest, match="one place in one store"):
        plan_replication(provider, source, provider, target, COMPARED)
    plan_replication(provider, "p", provider, "pp", COMPARED)


def test_nothing_to_replicate_is_not_found(provider: Spoiled) -> None:
    with pytest.raises(ObjectNotFound, match="nothing under 'nonsuch'"):
        plan_replication(provider, "nonsuch", MemoryProvider({"bucket_name": "other"}), "", COMPARED)


# -- a folder against a prefix


def test_a_folder_and_a_prefix_are_compared_without_a_budget(provider: Spoiled, tmp_path: Any) -> None:
    for name, content in {"a": b"aaa", "b": b"bbx", "c": b"c", "new": b""}.items():
        (tmp_path / name).write_bytes(content)
    plan = compare_sides(provider, str(tmp_path), "p", COMPARED)
    assert {action.key: action.reason for action in plan.actions} == {
        "p/b": "content differs",
        "p/c": "size differs",
        "p/new": "new",
    }
    assert [deletion.name for deletion in plan.deletions] == ["p/d", "p/e"]
    assert plan.unchanged == 1
    (tmp_path / "empty").mkdir()
    assert len(compare_sides(provider, str(tmp_path / "empty"), "p", COMPARED).deletions) == 5
    with pytest.raises(LocalFileError, match="is a file; name a folder"):
        compare_sides(provider, str(tmp_path / "a"), "p", COMPARED)
    with pytest.raises(LocalFileError, match="no such file"):
        compare_sides(provider, str(tmp_path / "nonsuch"), "p", COMPARED)
