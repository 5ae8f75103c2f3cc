"""Promises of `upload_many`, `download_many` and `head_many`: as for one, for each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from domain.content import ContentHash
from domain.errors import (
    BucketNotFound,
    InvalidRequest,
    LocalFileError,
    ObjectNotFound,
    StorageError,
    UnsupportedOperation,
)
from domain.storage import IStorageProvider, ObjectInfo
from infrastructure.storage.contract.group import MIB, PromiseGroup, content, facts, listed, refusal
from infrastructure.storage.contract.harness import Harness
from infrastructure.storage.contract.keys import AWKWARD

_SIZES = [0, 1, 4096, *range(1, 40), MIB, MIB + 1]


class _File(NamedTuple):
    path: str
    key: str
    size: int
    content: ContentHash | None = None


def _files(folder: Path, sizes: list[int]) -> list[_File]:
    folder.mkdir()
    files = []
    for number, size in enumerate(sizes):
        path = folder / f"f{number}"
        path.write_bytes(content(size))
        files.append(_File(str(path), f"many/f{number} é+.csv", size))
    return files


def _went_well(results: Iterable[tuple[_File, ObjectInfo | StorageError]]) -> dict[_File, ObjectInfo]:
    infos = {}
    for file, result in results:
        assert isinstance(result, ObjectInfo), result
        assert file not in infos
        infos[file] = result
    return infos


class ManyFiles(PromiseGroup):
    """Many files by one call."""

    def test_many_files_are_stored_as_one_is(self, provider: IStorageProvider, tmp_path: Path) -> None:
        files = _files(tmp_path / "out", _SIZES)
        stored = _went_well(provider.upload_many(iter(files), {"who": "é x"}))
        assert {file: facts(info) for file, info in stored.items()} == {
            file: facts(provider.head(file.key)) for file in files
        }
        assert listed(provider, "many/") == sorted((file.key for file in files), key=str.encode)
        for file in files:
            provider.upload(file.path, "one.csv", {"who": "é x"})
            assert facts(provider.head(file.key))[3:] == facts(provider.head("one.csv"))[3:]
            assert provider.get_bytes(file.key) == Path(file.path).read_bytes()

    def test_many_files_have_the_content_type_that_is_asked_for(
        self, provider: IStorageProvider, tmp_path: Path
    ) -> None:
        files = _files(tmp_path / "out", [1, 2, MIB + 1])
        assert len(_went_well(provider.upload_many(files, content_type="image/fits"))) == 3
        assert {provider.head(file.key).content_type for file in files} == {"image/fits"}

    def test_many_objects_are_fetched_as_one_is(self, provider: IStorageProvider, tmp_path: Path) -> None:
        files = _files(tmp_path / "out", _SIZES)
        list(provider.upload_many(files))
        wanted = [_File(str(tmp_path / "in" / file.key), file.key, file.size) for file in files]
        fetched = _went_well(provider.download_many(iter(wanted)))
        assert {file: facts(info) for file, info in fetched.items()} == {
            file: facts(provider.head(file.key)) for file in wanted
        }
        for file, got in zip(files, wanted, strict=True):
            assert Path(got.path).read_bytes() == Path(file.path).read_bytes()
        assert sorted(path.name for path in (tmp_path / "in" / "many").iterdir()) == sorted(
            Path(file.path).name for file in wanted
        )

    @pytest.mark.parametrize("told", [0, 7, 10 * MIB])
    def test_the_size_of_an_object_that_is_fetched_is_only_a_hint(
        self, provider: IStorageProvider, tmp_path: Path, told: int
    ) -> None:
        for size in (0, 100, 3 * MIB):
            provider.put_bytes("k", content(size))
            file = _File(str(tmp_path / "f"), "k", told)
            assert [info.size for info in _went_well(provider.download_many([file])).values()] == [size]
            assert (tmp_path / "f").read_bytes() == content(size)

    def test_one_of_many_that_fails_is_told_and_stops_no_other(
        self, provider: IStorageProvider, tmp_path: Path
    ) -> None:
        files = _files(tmp_path / "out", [10] * 30)
        Path(files[7].path).unlink()
        results = {file.key: result for file, result in provider.upload_many(files)}
        assert len(results) == 30
        assert isinstance(results.pop(files[7].key), LocalFileError)
        assert {type(result) for result in results.values()} == {ObjectInfo}
        assert listed(provider, "many/") == sorted(results, key=str.encode)
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "f3").mkdir()
        (tmp_path / "in" / "f7").write_bytes(b"old")
        wanted = [_File(str(tmp_path / "in" / Path(file.path).name), file.key, 10) for file in files]
        fetched = {Path(file.path).name: result for file, result in provider.download_many(wanted)}
        assert isinstance(fetched.pop("f3"), LocalFileError)
        assert isinstance(fetched.pop("f7"), ObjectNotFound)
        assert {type(result) for result in fetched.values()} == {ObjectInfo} and len(fetched) == 28
        assert (tmp_path / "in" / "f7").read_bytes() == b"old"
        assert len(list((tmp_path / "in").iterdir())) == 30

    def test_many_objects_are_looked_at_as_one_is(self, provider: IStorageProvider, harness: Harness) -> None:
        for number, key in enumerate(AWKWARD.values()):
            with suppress(StorageError):  # not every store takes them all
                provider.put_bytes(key, content(number), content_type="image/fits", metadata={"who": "é x"})
        harness.put_behind(provider, "behind.csv", b"of another program")
        wanted = [*AWKWARD.values(), "behind.csv", "a", "behind.csv"]
        found = list(provider.head_many(iter(wanted)))
        assert sorted(key for key, _ in found) == sorted(wanted)
        for key, result in found:
            try:
                info = provider.head(key)
            except StorageError as error:
                assert type(result) is type(error)
            else:
                assert isinstance(result, ObjectInfo), result
                assert facts(result) == facts(info)

    def test_a_missing_one_of_many_is_object_not_found(self, provider: IStorageProvider) -> None:
        for number in range(20):
            provider.put_bytes(f"many/{number} é+x", b"data")
        wanted = [f"many/{number} é+x" for number in range(40)]
        found = dict(provider.head_many(wanted))
        assert sorted(found) == sorted(wanted)
        for key, result in found.items():
            assert isinstance(result, ObjectInfo if key in wanted[:20] else ObjectNotFound)
            assert isinstance(result, ObjectInfo) or result.key == key

    def test_what_is_no_key_stops_none_of_many(self, provider: IStorageProvider) -> None:
        provider.put_bytes("a", b"data")
        found = dict(provider.head_many(["", "a", "x" * 1025, "b"]))
        assert {key: type(result) for key, result in found.items()} == {
            "": InvalidRequest,
            "a": ObjectInfo,
            "x" * 1025: InvalidRequest,
            "b": ObjectNotFound,
        }

    def test_each_of_many_in_a_missing_bucket_has_that_error(self, provider: IStorageProvider) -> None:
        if not provider.capabilities.buckets:
            refusal(UnsupportedOperation, lambda: provider.for_bucket("missing-bucket"))
            return
        missing = provider.for_bucket("missing-bucket")
        try:
            found = list(missing.head_many(["a", "b"]))
        finally:
            missing.disconnect()
        assert sorted((key, type(result)) for key, result in found) == [("a", BucketNotFound), ("b", BucketNotFound)]

    def test_thousands_are_looked_at_one_is_taken_when_it_is_needed(self, provider: IStorageProvider) -> None:
        provider.put_bytes("k", b"data")
        asked = 0

        def keys() -> Iterator[str]:
            nonlocal asked
            for number in range(1200):
                asked += 1
                yield "k" if number % 3 else f"missing/{number}"

        looking = provider.head_many(keys())
        next(looking)
        assert asked < 1000
        assert 1 + sum(1 for _ in looking) == asked == 1200

    def test_many_files_may_be_left_early(self, provider: IStorageProvider, tmp_path: Path) -> None:
        files = _files(tmp_path / "out", [10] * 60)
        storing = provider.upload_many(files)
        assert isinstance(next(storing)[1], ObjectInfo)
        storing.close()  # type: ignore[attr-defined]
        for key in listed(provider, "many/"):
            assert provider.get_bytes(key) == content(10)
        assert provider.put_bytes("k", b"after").size == 5
