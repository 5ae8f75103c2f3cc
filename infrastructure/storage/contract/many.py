"""Promises of `upload_many` and `download_many`: as for one file, for each of them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from domain.errors import LocalFileError, ObjectNotFound
from domain.storage import IStorageProvider
from infrastructure.storage.contract.group import MIB, PromiseGroup, content, facts, listed

_SIZES = [0, 1, 4096, *range(1, 40), MIB, MIB + 1]


class _File(NamedTuple):
    path: str
    key: str
    size: int


def _files(folder: Path, sizes: list[int]) -> list[_File]:
    folder.mkdir()
    files = []
    for number, size in enumerate(sizes):
        path = folder / f"f{number}"
        path.write_bytes(content(size))
        files.append(_File(str(path), f"many/f{number} é+.csv", size))
    return files


class ManyFiles(PromiseGroup):
    """Many files by one call."""

    def test_many_files_are_stored_as_one_is(self, provider: IStorageProvider, tmp_path: Path) -> None:
        files = _files(tmp_path / "out", _SIZES)
        stored = list(provider.upload_many(iter(files), {"who": "é x"}))
        assert sorted(stored) == sorted((file, None) for file in files)
        assert listed(provider, "many/") == sorted((file.key for file in files), key=str.encode)
        for file in files:
            provider.upload(file.path, "one.csv", {"who": "é x"})
            assert facts(provider.head(file.key))[3:] == facts(provider.head("one.csv"))[3:]
            assert provider.get_bytes(file.key) == Path(file.path).read_bytes()

    def test_many_files_have_the_content_type_that_is_asked_for(
        self, provider: IStorageProvider, tmp_path: Path
    ) -> None:
        files = _files(tmp_path / "out", [1, 2, MIB + 1])
        assert [error for _, error in provider.upload_many(files, content_type="image/fits")] == [None] * 3
        assert {provider.head(file.key).content_type for file in files} == {"image/fits"}

    def test_many_objects_are_fetched_as_one_is(self, provider: IStorageProvider, tmp_path: Path) -> None:
        files = _files(tmp_path / "out", _SIZES)
        list(provider.upload_many(files))
        wanted = [_File(str(tmp_path / "in" / file.key), file.key, file.size) for file in files]
        assert sorted(provider.download_many(iter(wanted))) == sorted((file, None) for file in wanted)
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
            assert list(provider.download_many([file])) == [(file, None)]
            assert (tmp_path / "f").read_bytes() == content(size)

    def test_one_of_many_that_fails_is_told_and_stops_no_other(
        self, provider: IStorageProvider, tmp_path: Path
    ) -> None:
        files = _files(tmp_path / "out", [10] * 30)
        Path(files[7].path).unlink()
        errors = {file.key: error for file, error in provider.upload_many(files)}
        assert len(errors) == 30
        assert isinstance(errors.pop(files[7].key), LocalFileError)
        assert set(errors.values()) == {None}
        assert listed(provider, "many/") == sorted(errors, key=str.encode)
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "f3").mkdir()
        (tmp_path / "in" / "f7").write_bytes(b"old")
        wanted = [_File(str(tmp_path / "in" / Path(file.path).name), file.key, 10) for file in files]
        fetched = {Path(file.path).name: error for file, error in provider.download_many(wanted)}
        assert isinstance(fetched.pop("f3"), LocalFileError)
        assert isinstance(fetched.pop("f7"), ObjectNotFound)
        assert set(fetched.values()) == {None} and len(fetched) == 28
        assert (tmp_path / "in" / "f7").read_bytes() == b"old"
        assert len(list((tmp_path / "in").iterdir())) == 30

    def test_many_files_may_be_left_early(self, provider: IStorageProvider, tmp_path: Path) -> None:
        files = _files(tmp_path / "out", [10] * 60)
        storing = provider.upload_many(files)
        assert next(storing)[1] is None
        storing.close()  # type: ignore[attr-defined]
        for key in listed(provider, "many/"):
            assert provider.get_bytes(key) == content(10)
        assert provider.put_bytes("k", b"after").size == 5
