"""Promises of `put_many` and `get_many`, and of the conditions of many: as for one, for each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from domain.content import ContentHash
from domain.errors import (
    ContentCorrupted,
    InvalidRequest,
    ObjectNotFound,
    PreconditionFailed,
    StorageError,
    UnsupportedOperation,
)
from domain.storage import IStorageProvider, ObjectInfo, WriteCondition
from infrastructure.storage.contract.group import MIB, PromiseGroup, at_once, content, facts, listed, succeeded
from infrastructure.storage.contract.harness import Harness

Stored = dict[str, ObjectInfo | StorageError]

_SIZES = [0, 1, 4096, MIB, MIB + 1, *range(1, 30), 9 * MIB, 7]


class _File(NamedTuple):
    path: str
    key: str
    size: int
    content: ContentHash | None = None


def _put(provider: IStorageProvider, objects: dict[str, bytes], folder: Path, condition: WriteCondition) -> Stored:
    return dict(provider.put_many(objects.items(), {"who": "me"}, condition=condition))


def _upload(provider: IStorageProvider, objects: dict[str, bytes], folder: Path, condition: WriteCondition) -> Stored:
    files = []
    for number, (key, data) in enumerate(objects.items()):
        path = folder / f"f{number}"
        path.write_bytes(data)
        files.append(_File(str(path), key, len(data)))
    return {file.key: info for file, info in provider.upload_many(files, {"who": "me"}, condition=condition)}


_WAYS: dict[str, Callable[[IStorageProvider, dict[str, bytes], Path, WriteCondition], Stored]] = {
    "put_many": _put,
    "upload_many": _upload,
}
_each_way = pytest.mark.parametrize("way", sorted(_WAYS))


class ManyObjects(PromiseGroup):
    """Many objects by one call."""

    def test_many_objects_are_stored_as_one_is(self, harness: Harness, provider: IStorageProvider) -> None:
        """`put_many`: as `put_bytes`, each of them, whatever its size."""
        objects = {f"many/{number} é+.csv": content(size, number) for number, size in enumerate(_SIZES)}
        stored = _good(provider.put_many(iter(objects.items()), {"who": "é x"}))
        assert sorted(stored) == listed(provider) == sorted(objects)
        for key, data in objects.items():
            assert facts(stored[key]) == facts(provider.head(key))
            assert harness.peek(provider, key) == data
        provider.put_bytes("one.csv", content(4096, 2), metadata={"who": "é x"})
        assert facts(provider.head("many/2 é+.csv"))[3:] == facts(provider.head("one.csv"))[3:]
        assert _good(provider.put_many([("a", b"x")], content_type="image/fits"))["a"].content_type == "image/fits"

    def test_many_objects_are_read_as_one_is(self, harness: Harness, provider: IStorageProvider) -> None:
        """`get_many`: whole, whatever the size, also of an object without a hash."""
        objects = {f"many/{number} é+": content(size, number) for number, size in enumerate(_SIZES)}
        for key, data in objects.items():
            provider.put_bytes(key, data)
        if harness.put_behind(provider, "behind", b"of another program"):
            objects["behind"] = b"of another program"
        assert dict(provider.get_many(iter(objects))) == objects

    def test_what_can_not_be_stored_stops_none_of_many(self, provider: IStorageProvider) -> None:
        """`put_many`: the error beside its key; metadata that can't be is an error of each."""
        stored = dict(provider.put_many([("a", b"1"), ("", b"2"), ("x" * 1025, b"3"), ("b", content(MIB + 1))]))
        assert {key: type(result) for key, result in stored.items()} == {
            "a": ObjectInfo,
            "": InvalidRequest,
            "x" * 1025: InvalidRequest,
            "b": ObjectInfo,
        }
        refused = list(provider.put_many([("c", b"1"), ("d", b"2")], {"Ö": "x"}))
        assert sorted((key, type(result)) for key, result in refused) == [("c", InvalidRequest), ("d", InvalidRequest)]
        assert listed(provider) == ["a", "b"]

    def test_what_can_not_be_read_stops_none_of_many(self, harness: Harness, provider: IStorageProvider) -> None:
        """`get_many`: the error beside its key; nothing is given of a corrupt object."""
        for key in ("a", "b", "c"):
            provider.put_bytes(key, content(5000))
        harness.corrupt(provider, "b")
        found = dict(provider.get_many(["a", "missing", "b", "", "c"]))
        assert found.pop("a") == found.pop("c") == content(5000)
        assert {key: type(result) for key, result in found.items()} == {
            "missing": ObjectNotFound,
            "b": ContentCorrupted,
            "": InvalidRequest,
        }

    def test_a_key_may_come_twice(self, provider: IStorageProvider) -> None:
        """`put_many`, `get_many`: one that comes twice is moved twice; the object is one of the two, whole."""
        objects = [("a", content(size)) for size in (5000, 6000, MIB + 1)] + [("b", b"x")] * 2
        assert sorted(key for key, result in provider.put_many(objects) if isinstance(result, ObjectInfo)) == [*"aaabb"]
        found = list(provider.get_many(["a", "b", "a", "a"]))
        assert sorted(key for key, _ in found) == ["a", "a", "a", "b"]
        assert dict(found)["a"] in {data for _, data in objects[:3]} and dict(found)["b"] == b"x"

    @pytest.mark.parametrize("size", [5, MIB + 1])
    def test_many_objects_are_taken_one_by_one_as_they_are_needed(self, provider: IStorageProvider, size: int) -> None:
        """`put_many`, `get_many`: the next one is taken while others are under way, and never all ahead."""
        count, ahead = (200, 100) if size == 5 else (6, 3)
        data, taken = content(size), 0

        def objects() -> Iterator[tuple[str, bytes]]:
            nonlocal taken
            for number in range(count):
                taken += 1
                yield f"k{number % 50}", data

        storing = provider.put_many(objects())
        assert isinstance(next(storing)[1], ObjectInfo)
        assert taken < ahead
        assert 1 + sum(isinstance(result, ObjectInfo) for _, result in storing) == taken == count
        if size > 5:
            return
        taken = 0
        reading = provider.get_many(key for key, _ in objects())
        assert next(reading)[1] == data
        assert taken < ahead
        assert 1 + sum(result == data for _, result in reading) == taken == count

    def test_many_objects_may_be_left_early(self, provider: IStorageProvider) -> None:
        """`put_many`, `get_many`: what is under way is stored whole or not at all."""
        storing = provider.put_many((f"many/{number}", content(10)) for number in range(60))
        assert isinstance(next(storing)[1], ObjectInfo)
        storing.close()  # type: ignore[attr-defined]
        reading = provider.get_many(listed(provider, "many/") * 2)
        assert next(reading)[1] == content(10)
        reading.close()  # type: ignore[attr-defined]
        for _, data in provider.get_many(listed(provider, "many/")):
            assert data == content(10)
        assert provider.put_bytes("k", b"after").size == 5

    # -- conditions

    @_each_way
    def test_each_of_many_is_created_where_it_is_absent(
        self, harness: Harness, provider: IStorageProvider, tmp_path: Path, way: str
    ) -> None:
        """`upload_many`, `put_many`: `PreconditionFailed` for each that is there, and it stays; the others are stored."""
        there = {f"k{number}": b"old" for number in range(0, 40, 2)} | {"large": b"old"}
        for key, data in there.items():
            provider.put_bytes(key, data)
        objects = {f"k{number}": b"new %d" % number for number in range(40)}
        if provider.capabilities.create_if_absent_multipart:
            objects |= {"large": content(MIB + 1), "larger": content(MIB + 2)}
        results = _WAYS[way](provider, objects, tmp_path, WriteCondition.absent())
        assert sorted(results) == sorted(objects)
        if not provider.capabilities.create_if_absent:
            assert {type(result) for result in results.values()} == {UnsupportedOperation}
            assert listed(provider) == sorted(there)
            return
        for key, data in objects.items():
            result = results[key]
            assert harness.peek(provider, key) == there.get(key, data)
            if key in there:
                assert isinstance(result, PreconditionFailed), result
                assert (result.key, result.provider) == (key, provider.name)
            else:
                assert isinstance(result, ObjectInfo), result
                assert facts(result) == facts(provider.head(key))
                assert result.metadata == {"who": "me"}

    @_each_way
    def test_each_of_many_is_replaced_where_it_is_unchanged(
        self, provider: IStorageProvider, tmp_path: Path, way: str
    ) -> None:
        """`upload_many`, `put_many`: the ETag is compared with that of each."""
        condition = WriteCondition.unchanged(provider.put_bytes("a", b"old a").etag)
        provider.put_bytes("b", b"old b")
        results = _WAYS[way](provider, {"a": b"new", "b": b"new", "c": b"new"}, tmp_path, condition)
        able = provider.capabilities.replace_if_unchanged
        refused = PreconditionFailed if able else UnsupportedOperation
        assert {key: type(result) for key, result in results.items()} == {
            "a": ObjectInfo if able else refused,
            "b": refused,
            "c": refused,
        }
        assert dict(provider.get_many(["a", "b"])) == {"a": b"new" if able else b"old a", "b": b"old b"}
        assert not provider.exists("c")

    def test_each_of_many_has_one_winner(self, provider: IStorageProvider) -> None:
        """`put_many`: the condition holds for each against all other writers, and against the same call."""
        able = provider.capabilities.create_if_absent
        keys = [f"race/{number}" for number in range(20)]

        def create(rival: int) -> list[tuple[str, ObjectInfo | StorageError]]:
            objects = [(key, b"%d " % rival * 100) for key in keys]
            return list(provider.put_many([*objects, *objects], condition=WriteCondition.absent()))

        outcomes = succeeded(at_once(*[lambda rival=rival: create(rival) for rival in range(3)]))
        won: dict[str, int] = {}
        for rival, results in enumerate(outcomes):
            assert len(results) == 2 * len(keys)
            for key, result in results:
                if isinstance(result, ObjectInfo):
                    assert key not in won
                    won[key] = rival
                else:
                    assert type(result) is (PreconditionFailed if able else UnsupportedOperation)
        assert sorted(won) == listed(provider) == (sorted(keys) if able else [])
        assert dict(provider.get_many(won)) == {key: b"%d " % rival * 100 for key, rival in won.items()}


def _good(results: Iterable[tuple[str, ObjectInfo | StorageError]]) -> dict[str, ObjectInfo]:
    infos = {}
    for key, result in results:
        assert isinstance(result, ObjectInfo), result
        assert key not in infos
        infos[key] = result
    return infos
