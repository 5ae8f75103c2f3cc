"""Promises about what the caller knows of the bytes: nothing else is published, and nothing else becomes a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from domain.content import ContentHash
from domain.errors import ContentCorrupted, InvalidRequest, LocalFileError, StorageError
from domain.storage import ByteRange, IStorageProvider, ObjectInfo
from infrastructure.storage.contract.group import MIB, PromiseGroup, content, facts, listed, refusal
from infrastructure.storage.contract.harness import Harness

_SIZES = (0, 5000, 9 * MIB)
_ALGORITHMS = ("sha256", "md5")


def _hash_of(data: bytes, algorithm: str) -> ContentHash:
    return ContentHash(algorithm, hashlib.new(algorithm, data, usedforsecurity=False).hexdigest())


class _File(NamedTuple):
    path: str
    key: str
    size: int
    content: ContentHash | None


class ExpectedContent(PromiseGroup):
    """`sha256` of `upload`, `content` of `download` and of the files that are moved many at a time."""

    @pytest.mark.parametrize("size", _SIZES)
    def test_upload_of_the_sha256_that_is_named(self, provider: IStorageProvider, tmp_path: Path, size: int) -> None:
        """`upload`: a file with the SHA-256 that it must have is stored as any other."""
        data = content(size)
        (tmp_path / "file").write_bytes(data)
        info = provider.upload(tmp_path / "file", "a", sha256=_hash_of(data, "sha256").digest)
        assert facts(info) == facts(provider.head("a"))
        assert provider.get_bytes("a") == data

    @pytest.mark.parametrize("size", _SIZES)
    def test_upload_of_another_sha256_publishes_nothing(
        self, harness: Harness, provider: IStorageProvider, tmp_path: Path, size: int
    ) -> None:
        """`upload`: `LocalFileError` where the file has another SHA-256; the old object stays, and a new one is none."""
        (tmp_path / "file").write_bytes(content(size))
        before = facts(provider.put_bytes("there", b"old"))
        other = _hash_of(content(size + 1), "sha256").digest
        for key in ("there", "new"):
            error = refusal(LocalFileError, lambda key=key: provider.upload(tmp_path / "file", key, sha256=other))  # type: ignore[misc]
            assert "file" in error.message
        assert facts(provider.head("there")) == before
        assert harness.peek(provider, "there") == b"old"
        assert listed(provider) == ["there"]

    @pytest.mark.parametrize("algorithm", _ALGORITHMS)
    @pytest.mark.parametrize("size", _SIZES)
    def test_download_of_the_content_that_is_named(
        self, provider: IStorageProvider, tmp_path: Path, size: int, algorithm: str
    ) -> None:
        """`download`: what hashes to `content` is written as any other."""
        data = content(size)
        provider.put_bytes("a", data)
        moved: list[int] = []
        info = provider.download("a", tmp_path / "file", content=_hash_of(data, algorithm), progress=moved.append)
        assert facts(info) == facts(provider.head("a"))
        assert (tmp_path / "file").read_bytes() == data
        assert sum(moved) == size

    @pytest.mark.parametrize("algorithm", _ALGORITHMS)
    @pytest.mark.parametrize("size", _SIZES)
    def test_download_of_other_content_leaves_the_file(
        self, provider: IStorageProvider, tmp_path: Path, size: int, algorithm: str
    ) -> None:
        """`download`: `ContentCorrupted`, with both hashes, where the bytes hash to something else, whatever is stored."""
        data, wanted = content(size), _hash_of(content(size + 1), algorithm)
        provider.put_bytes("a", data)
        (tmp_path / "file").write_bytes(b"before")
        for name in ("file", "new"):
            error = refusal(
                ContentCorrupted,
                lambda name=name: provider.download("a", tmp_path / name, content=wanted),  # type: ignore[misc]
                key="a",
            )
            _tells(error, provider, wanted, _hash_of(data, algorithm))
        assert [path.name for path in tmp_path.iterdir()] == ["file"]
        assert (tmp_path / "file").read_bytes() == b"before"

    @pytest.mark.parametrize("algorithm", _ALGORITHMS)
    def test_download_of_an_object_without_a_hash_is_verified_by_its_content(
        self, harness: Harness, provider: IStorageProvider, tmp_path: Path, algorithm: str
    ) -> None:
        """`download`: also where no SHA-256 is stored."""
        data = content(5000)
        if not harness.put_behind(provider, "a", data):
            assert listed(provider) == []
            return
        wanted = _hash_of(data, algorithm)
        assert provider.download("a", tmp_path / "file", content=wanted).sha256 is None
        assert (tmp_path / "file").read_bytes() == data
        harness.put_behind(provider, "b", data[1:] + b"x")
        error = refusal(ContentCorrupted, lambda: provider.download("b", tmp_path / "file", content=wanted), key="b")
        _tells(error, provider, wanted, _hash_of(data[1:] + b"x", algorithm))
        assert (tmp_path / "file").read_bytes() == data

    @pytest.mark.parametrize("size", (5000, 9 * MIB))
    def test_download_is_verified_by_what_is_stored_too(
        self, harness: Harness, provider: IStorageProvider, tmp_path: Path, size: int
    ) -> None:
        """`download`: besides the stored SHA-256, not instead of it."""
        data = content(size)
        provider.put_bytes("a", data)
        harness.corrupt(provider, "a")
        found = harness.peek(provider, "a")
        assert found is not None
        error = refusal(
            ContentCorrupted, lambda: provider.download("a", tmp_path / "file", content=_hash_of(found, "md5"))
        )
        _tells(error, provider, _hash_of(data, "sha256"), _hash_of(found, "sha256"))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("algorithm", ["crc32", "", "shake_128"])
    def test_download_by_an_unknown_algorithm_is_refused(
        self, provider: IStorageProvider, tmp_path: Path, algorithm: str
    ) -> None:
        """`download`: `InvalidRequest`; there is no file."""
        provider.put_bytes("a", b"data")
        refusal(InvalidRequest, lambda: provider.download("a", tmp_path / "file", content=ContentHash(algorithm, "00")))
        assert list(tmp_path.iterdir()) == []

    def test_reader_verifies_what_it_is_told_to_expect(self, provider: IStorageProvider) -> None:
        """`ObjectReader.expect`: the read that meets the end raises; of a range nothing can be expected."""
        data = content(5000)
        provider.put_bytes("a", data)
        for algorithm in _ALGORITHMS:
            with provider.open_reader("a") as reader:
                reader.expect(_hash_of(data, algorithm))
                assert reader.read() == data
            with provider.open_reader("a") as reader:
                reader.expect(_hash_of(b"other", algorithm))
                assert reader.read(4999) == data[:-1]
                error = refusal(ContentCorrupted, lambda reader=reader: reader.read(1), key="a")  # type: ignore[misc]
                _tells(error, provider, _hash_of(b"other", algorithm), _hash_of(data, algorithm))
        with provider.open_reader("a", byte_range=ByteRange(1)) as reader, pytest.raises(ValueError):
            reader.expect(_hash_of(data[1:], "md5"))

    def test_one_of_many_files_with_another_sha256_is_not_stored(
        self, provider: IStorageProvider, tmp_path: Path
    ) -> None:
        """`upload_many`: a file must have the SHA-256 of its `content`; another hash of it is not looked at."""
        files = list(_files(tmp_path, "sha256", wrong=3)) + list(_files(tmp_path, "md5", wrong=4))
        results = {file.key: result for file, result in provider.upload_many(files)}
        assert isinstance(results.pop("sha256/3"), LocalFileError)
        _all_good(results)
        assert listed(provider) == sorted(results)

    @pytest.mark.parametrize("algorithm", _ALGORITHMS)
    def test_one_of_many_objects_with_other_content_is_no_file(
        self, provider: IStorageProvider, tmp_path: Path, algorithm: str
    ) -> None:
        """`download_many`: each is verified by its `content` as `download` does; the others come."""
        files = list(_files(tmp_path / "out", algorithm))
        assert all(isinstance(info, ObjectInfo) for _, info in provider.upload_many(files))
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "4").write_bytes(b"before")
        wanted = [
            file._replace(
                path=str(tmp_path / "in" / Path(file.path).name),
                content=_hash_of(b"other", algorithm) if number in {4, 5} else file.content,
            )
            for number, file in enumerate(files)
        ]
        results = {file.key: result for file, result in provider.download_many(wanted)}
        for number in (4, 5):
            error, hashed = results.pop(f"{algorithm}/{number}"), files[number].content
            assert isinstance(error, ContentCorrupted) and hashed
            _tells(error, provider, _hash_of(b"other", algorithm), hashed)
        _all_good(results)
        assert (tmp_path / "in" / "4").read_bytes() == b"before"
        assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["0", "1", "2", "3", "4"]
        for number in range(4):
            assert (tmp_path / "in" / str(number)).read_bytes() == Path(files[number].path).read_bytes()


def _files(folder: Path, algorithm: str, wrong: int = -1) -> Iterator[_File]:
    """Six files, of which the last can't be moved with others at once; the content of one may be named wrongly."""
    (folder / algorithm).mkdir(parents=True)
    for number, size in enumerate([0, 1, 4096, 4097, 4098, MIB + 1]):
        path, data = folder / algorithm / str(number), content(size, number)
        path.write_bytes(data)
        named = _hash_of(b"other" if number == wrong else data, algorithm)
        yield _File(str(path), f"{algorithm}/{number}", size, named)


def _all_good(results: dict[str, ObjectInfo | StorageError]) -> None:
    assert {key: result for key, result in results.items() if isinstance(result, StorageError)} == {}


def _tells(error: StorageError, provider: IStorageProvider, expected: ContentHash, actual: ContentHash) -> None:
    assert isinstance(error, ContentCorrupted)
    assert (error.provider, error.expected, error.actual) == (provider.name, expected, actual)
    assert expected.digest[:12] in error.message and actual.digest[:12] in error.message
