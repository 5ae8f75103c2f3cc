"""Promises of `head`, `open_reader`, `get_bytes`, `exists`, `get_file_size` and `get_metadata`."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st

from domain.errors import ContentCorrupted, ObjectNotFound, PreconditionFailed, RangeNotSatisfiable, StorageError
from domain.storage import ByteRange, IStorageProvider
from domain.streams import ObjectReader
from infrastructure.storage.contract.group import MIB, PromiseGroup, content, facts, for_all, refusal
from infrastructure.storage.contract.harness import Harness

_READS: Mapping[str, Callable[[IStorageProvider, str], object]] = {
    "head": lambda provider, key: provider.head(key),
    "open_reader": lambda provider, key: provider.open_reader(key),
    "open_reader of a range": lambda provider, key: provider.open_reader(key, byte_range=ByteRange(0, 1)),
    "open_reader with if_match": lambda provider, key: provider.open_reader(key, if_match="some-etag"),
    "get_bytes": lambda provider, key: provider.get_bytes(key),
    "get_file_size": lambda provider, key: provider.get_file_size(key),
    "get_metadata": lambda provider, key: provider.get_metadata(key),
}

_CHANGES: Mapping[str, Callable[[IStorageProvider, str, bytes], object]] = {
    "overwritten": lambda provider, key, data: provider.put_bytes(key, data),
    "deleted": lambda provider, key, data: provider.delete(key),
    "deleted and made anew": lambda provider, key, data: (provider.delete(key), provider.put_bytes(key, data)),
}


class Reading(PromiseGroup):
    """What a reader may rely on."""

    @pytest.mark.parametrize("size", [0, 1, 4096, MIB, 3 * MIB + 7])
    def test_get_bytes_gives_what_was_put(self, harness: Harness, provider: IStorageProvider, size: int) -> None:
        """An object is readable as soon as the write returned; the second door has the same bytes."""
        data = content(size)
        provider.put_bytes("a/object", data)
        assert provider.get_bytes("a/object") == data
        assert harness.peek(provider, "a/object") == data

    @pytest.mark.parametrize("name", sorted(_READS))
    def test_missing_key_is_object_not_found(self, provider: IStorageProvider, name: str) -> None:
        """Reading a missing key raises `ObjectNotFound`, with the provider's name and the key."""
        provider.put_bytes("there/below", b"data")
        for key in ("missing", "there", "there/", "there/below/it", "there/belo"):
            error = refusal(ObjectNotFound, lambda key=key: _READS[name](provider, key), key=key)  # type: ignore[misc]
            assert error.provider == provider.name

    def test_head_leaves_nothing_out(self, provider: IStorageProvider) -> None:
        """`head`: everything the store knows; no field is None, SHA-256 included where the port wrote the object."""
        data = content(1000)
        provider.put_bytes("tables/one.csv", data, content_type="text/csv; charset=utf-8", metadata={"run": "7"})
        info = provider.head("tables/one.csv")
        assert (info.key, info.size, info.content_type) == ("tables/one.csv", 1000, "text/csv; charset=utf-8")
        assert info.sha256 == hashlib.sha256(data).hexdigest()
        assert dict(info.metadata or {}) == {"run": "7"}
        assert info.etag

    def test_head_of_an_object_without_metadata_has_an_empty_mapping(self, provider: IStorageProvider) -> None:
        """`head`: no field is None."""
        provider.put_bytes("a", b"")
        info = provider.head("a")
        assert info.metadata is not None
        assert len(info.metadata) == 0
        assert info.size == 0
        assert info.content_type == "application/octet-stream"

    def test_last_modified_is_aware_utc_and_recent(self, provider: IStorageProvider) -> None:
        """`ObjectInfo.last_modified`: time of the write, timezone-aware UTC. A minute is granted to the store's clock."""
        written = provider.put_bytes("a", b"data").last_modified
        for when in (written, provider.head("a").last_modified, next(provider.list_objects()).last_modified):
            assert when.utcoffset() == timedelta(0)
            assert abs(datetime.now(UTC) - when) < timedelta(minutes=1)

    def test_get_metadata_is_head_as_a_dict(self, provider: IStorageProvider) -> None:
        """`get_metadata`: `size content_type etag last_modified sha256` and `metadata`."""
        provider.put_bytes("a.fits", b"data", metadata={"band": "r"})
        info = provider.head("a.fits")
        assert provider.get_metadata("a.fits") == {
            "size": 4,
            "content_type": "image/fits",
            "etag": info.etag,
            "last_modified": info.last_modified,
            "sha256": hashlib.sha256(b"data").hexdigest(),
            "metadata": {"band": "r"},
        }

    @pytest.mark.parametrize("size", [0, 1, MIB + 1])
    def test_get_file_size_is_in_bytes(self, provider: IStorageProvider, size: int) -> None:
        """`get_file_size`: the object's size in bytes."""
        provider.put_bytes("a", bytes(size))
        assert provider.get_file_size("a") == size

    def test_exists_for_exactly_this_key(self, provider: IStorageProvider) -> None:
        """`exists`: a prefix of other keys is not an object."""
        provider.put_bytes("a/b/c", b"data")
        provider.put_bytes("empty", b"")
        there = [key for key in ("a/b/c", "empty", "a", "a/", "a/b", "a/b/", "a/b/c/", "A/b/c") if provider.exists(key)]
        assert there == ["a/b/c", "empty"]

    def test_object_of_others_is_readable(self, harness: Harness, provider: IStorageProvider) -> None:
        """`ObjectInfo.sha256`: None where unknown, for an object that others put there; the rest is known."""
        put = harness.put_behind(provider, "from/others.csv", b"x,y")
        assert provider.list_files() == (["from/others.csv"] if put else [])
        if put:
            assert provider.get_bytes("from/others.csv") == b"x,y"
            info = provider.head("from/others.csv")
            assert info.sha256 in {None, hashlib.sha256(b"x,y").hexdigest()}
            assert info.content_type and info.metadata is not None

    # -- the stream

    def test_open_reader_is_a_raw_stream(self, provider: IStorageProvider) -> None:
        """`open_reader`: an `io.RawIOBase`; a read gives up to n bytes, fewer only at the end, none after it."""
        data = content(2 * MIB + 5)
        provider.put_bytes("a", data)
        with provider.open_reader("a") as reader:
            assert isinstance(reader, ObjectReader) and isinstance(reader, io.RawIOBase)
            assert reader.readable() and not reader.writable()
            assert reader.read(10) == data[:10]
            assert reader.read(0) == b""
            buffer = bytearray(20)
            assert reader.readinto(buffer) == 20
            assert bytes(buffer) == data[10:30]
            assert reader.read(MIB + MIB // 2) == data[30 : 30 + MIB + MIB // 2]
            assert reader.read() == data[30 + MIB + MIB // 2 :]
            assert (reader.read(), reader.read(5), reader.readinto(buffer)) == (b"", b"", 0)

    def test_open_reader_of_an_empty_object_ends_at_once(self, provider: IStorageProvider) -> None:
        """`open_reader`: an empty object is a stream too."""
        provider.put_bytes("a", b"")
        with provider.open_reader("a") as reader:
            assert (reader.read(10), reader.read()) == (b"", b"")

    def test_open_reader_can_be_buffered(self, provider: IStorageProvider) -> None:
        """`open_reader`: what the standard library wraps around a raw stream works: lines, `readall`, a text layer."""
        lines = [f"{number},{'x' * (number % 90)}\n" for number in range(5000)]
        provider.put_bytes("a.csv", "".join(lines).encode())
        with io.BufferedReader(provider.open_reader("a.csv")) as buffered:
            assert [line.decode() for line in buffered] == lines
        with provider.open_reader("a.csv") as reader:
            assert reader.readall() == "".join(lines).encode()

    def test_open_reader_knows_its_object(self, provider: IStorageProvider) -> None:
        """`ObjectReader.info`: what the store said when the stream was opened; `head` says the same."""
        provider.put_bytes("a.csv", b"0123456789", metadata={"run": "7"})
        for byte_range in (None, ByteRange(2, 5)):
            with provider.open_reader("a.csv", byte_range=byte_range) as reader:
                assert facts(reader.info) == facts(provider.head("a.csv"))

    def test_open_reader_may_be_closed_early(self, provider: IStorageProvider) -> None:
        """`open_reader`: a stream that was not read to its end is closed without an error; a closed one reads nothing."""
        provider.put_bytes("a", content(2 * MIB))
        reader = provider.open_reader("a")
        assert len(reader.read(10)) == 10
        reader.close()
        reader.close()
        assert reader.closed

    def test_closed_reader_is_a_value_error(self, provider: IStorageProvider) -> None:
        """`open_reader`: as with every stream of the standard library, reading after `close` is a `ValueError`."""
        provider.put_bytes("a", b"data")
        reader = provider.open_reader("a")
        reader.close()
        with pytest.raises(ValueError):
            reader.read(1)

    @pytest.mark.parametrize("change", sorted(_CHANGES))
    def test_open_reader_is_of_one_state(self, provider: IStorageProvider, change: str) -> None:
        """A reader that was opened before a write gives the old bytes or an error, never a mixture."""
        old, new = content(3 * MIB, seed=1), content(3 * MIB, seed=2)
        provider.put_bytes("a", old)
        with provider.open_reader("a") as reader:
            read = reader.read(100)
            _CHANGES[change](provider, "a", new)
            try:
                read += reader.read()
            except StorageError as error:
                # The bytes were replaced, not damaged: nobody should restore them from a backup.
                assert not isinstance(error, ContentCorrupted)
                read = old
        assert read == old

    # -- ranges

    def test_range_is_a_slice(self, harness: Harness, provider: IStorageProvider) -> None:
        """`open_reader`: the bytes from start up to stop; a range that runs past the end is clipped."""

        def check(size: int, start: int, length: int | None) -> None:
            data = content(size)
            byte_range = ByteRange(start, None if length is None else start + length)
            provider.put_bytes("a", data)
            if start < size:
                assert provider.get_bytes("a", byte_range=byte_range) == data[start : byte_range.stop]
            else:
                refusal(RangeNotSatisfiable, lambda: provider.get_bytes("a", byte_range=byte_range), key="a")

        lengths = st.none() | st.integers(1, 400)
        for_all(harness, check, size=st.integers(1, 300), start=st.integers(0, 299), length=lengths)

    @pytest.mark.parametrize(
        ("start", "stop"),
        [(0, 1), (MIB - 1, MIB + 1), (MIB, 2 * MIB), (1, 3 * MIB), (2 * MIB + 3, None), (5, 9 * MIB), (3 * MIB, None)],
    )
    def test_range_of_a_large_object_is_a_slice(self, provider: IStorageProvider, start: int, stop: int | None) -> None:
        """`open_reader`: also where the range crosses the pieces in which a store keeps an object."""
        data = content(3 * MIB + 1)
        provider.put_bytes("a", data)
        with provider.open_reader("a", byte_range=ByteRange(start, stop)) as reader:
            parts = []
            while part := reader.read(300_001):
                parts.append(part)
        assert b"".join(parts) == data[start:stop]

    @pytest.mark.parametrize(("size", "start"), [(0, 0), (0, 1), (10, 10), (10, 11), (10, 1 << 40)])
    def test_range_past_the_end_is_an_error(self, provider: IStorageProvider, size: int, start: int) -> None:
        """`open_reader`: a range that starts at or past the end is an error, also on an empty object."""
        provider.put_bytes("a", bytes(size))
        for byte_range in (ByteRange(start), ByteRange(start, start + 5)):
            error = refusal(RangeNotSatisfiable, lambda r=byte_range: provider.open_reader("a", byte_range=r), key="a")  # type: ignore[misc]
            assert error.provider == provider.name

    # -- conditions

    def test_if_match_reads_the_state_named(self, provider: IStorageProvider) -> None:
        """`open_reader`: `if_match` is the ETag the object must have."""
        info = provider.put_bytes("a", b"0123456789")
        assert provider.get_bytes("a", if_match=info.etag) == b"0123456789"
        assert provider.get_bytes("a", byte_range=ByteRange(2, 4), if_match=info.etag) == b"23"

    def test_if_match_of_another_state_is_precondition_failed(self, provider: IStorageProvider) -> None:
        """`open_reader`: `PreconditionFailed` where the ETag is another one, whole or range."""
        stale = provider.put_bytes("a", b"old").etag
        provider.put_bytes("a", b"new")
        for byte_range in (None, ByteRange(0, 1)):
            error = refusal(
                PreconditionFailed,
                lambda r=byte_range: provider.get_bytes("a", byte_range=r, if_match=stale),  # type: ignore[misc]
                key="a",
            )
            assert error.provider == provider.name
