"""Promises about damage: what is read is what was stored, or `ContentCorrupted`."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from domain.content import ContentHash
from domain.errors import ContentCorrupted, StorageError
from domain.storage import ByteRange, IStorageProvider
from infrastructure.storage.contract.group import MIB, PromiseGroup, content, refusal
from infrastructure.storage.contract.harness import Harness

_SIZES = (1, 5000, 2 * MIB + 3)


class Verification(PromiseGroup):
    """The harness changes the first stored byte; the tests ask who notices."""

    @pytest.mark.parametrize("size", _SIZES)
    def test_get_bytes_returns_nothing_corrupt(self, harness: Harness, provider: IStorageProvider, size: int) -> None:
        """`get_bytes`: nothing is returned of a corrupt object; the error has both hashes."""
        data = _damaged(harness, provider, size)
        error = refusal(ContentCorrupted, lambda: provider.get_bytes("a"), key="a")
        assert error.provider == provider.name
        _has_both_hashes(error, data, harness.peek(provider, "a"))

    def test_reader_raises_at_the_end(self, harness: Harness, provider: IStorageProvider) -> None:
        """`open_reader`: the read that meets the end raises; what comes before can't know yet."""
        _damaged(harness, provider, 3 * MIB)
        with provider.open_reader("a") as reader:
            assert len(reader.read(MIB)) == MIB
            assert len(reader.read(MIB)) == MIB
            with pytest.raises(ContentCorrupted):
                reader.read(MIB)

    def test_reader_read_to_the_last_byte_and_no_further_raises(
        self, harness: Harness, provider: IStorageProvider
    ) -> None:
        """`open_reader`: the end is met with the last byte, not with the empty read after it."""
        _damaged(harness, provider, 5000)
        with provider.open_reader("a") as reader, pytest.raises(ContentCorrupted):
            reader.read(5000)

    def test_buffered_reader_raises(self, harness: Harness, provider: IStorageProvider) -> None:
        """`open_reader`: also through the standard library's buffer."""
        _damaged(harness, provider, 50_000)
        with io.BufferedReader(provider.open_reader("a")) as buffered, pytest.raises(ContentCorrupted):
            buffered.read()

    def test_range_is_not_verified(self, harness: Harness, provider: IStorageProvider) -> None:
        """`open_reader`: ranges are not verified."""
        before = _damaged(harness, provider, 5000)
        assert provider.get_bytes("a", byte_range=ByteRange(1, 5000)) == before[1:]
        assert provider.get_bytes("a", byte_range=ByteRange(0, 4999)) != before[:4999]

    @pytest.mark.parametrize("size", _SIZES)
    def test_download_of_a_corrupt_object_leaves_no_file(
        self, harness: Harness, provider: IStorageProvider, tmp_path: Path, size: int
    ) -> None:
        """`download`: the file appears whole and verified or not at all; the error has both hashes."""
        data = _damaged(harness, provider, size)
        error = refusal(ContentCorrupted, lambda: provider.download("a", str(tmp_path / "file")), key="a")
        _has_both_hashes(error, data, harness.peek(provider, "a"))
        assert list(tmp_path.iterdir()) == []

    def test_download_of_a_corrupt_object_leaves_the_old_file(
        self, harness: Harness, provider: IStorageProvider, tmp_path: Path
    ) -> None:
        """`download`: an existing file stays as it was on any failure."""
        _damaged(harness, provider, 2 * MIB)
        (tmp_path / "file").write_bytes(b"before")
        refusal(ContentCorrupted, lambda: provider.download("a", str(tmp_path / "file")))
        assert (tmp_path / "file").read_bytes() == b"before"
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    def test_copy_does_not_whitewash(self, harness: Harness, provider: IStorageProvider) -> None:
        """`copy`: the SHA-256 is copied, so that a corrupt object's copy is known as corrupt, if it is made at all."""
        _damaged(harness, provider, 5000)
        try:
            provider.copy("a", "b")
        except ContentCorrupted:
            assert not provider.exists("b")
        else:
            refusal(ContentCorrupted, lambda: provider.get_bytes("b"), key="b")

    def test_new_write_heals(self, harness: Harness, provider: IStorageProvider) -> None:
        """`open_writer`: the SHA-256 kept is the one of what was written last."""
        data = _damaged(harness, provider, 5000)
        provider.put_bytes("a", data)
        assert provider.get_bytes("a") == data
        assert harness.peek(provider, "a") == data


def _has_both_hashes(error: StorageError, before: bytes, after: bytes | None) -> None:
    assert isinstance(error, ContentCorrupted) and after is not None
    expected, actual = (ContentHash("sha256", hashlib.sha256(data).hexdigest()) for data in (before, after))
    assert (error.expected, error.actual) == (expected, actual)
    assert expected.digest[:12] in error.message and actual.digest[:12] in error.message


def _damaged(harness: Harness, provider: IStorageProvider, size: int) -> bytes:
    """Put an object `a` and damage it; its bytes before. The store itself shows that the harness did its part."""
    data = content(size)
    provider.put_bytes("a", data)
    harness.corrupt(provider, "a")
    found = harness.peek(provider, "a")
    assert found is not None
    assert len(found) == size
    assert found[0] != data[0]
    assert provider.head("a").size == size
    return data
