"""The reader verifies what it delivers; the writer publishes once, whole or not at all."""

from __future__ import annotations

import gc
import hashlib
import io
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import ContentCorrupted, InsufficientStorage, StorageError
from domain.objects import ObjectInfo
from domain.streams import ObjectReader, ObjectWriter

WHEN = datetime(2024, 1, 1, tzinfo=UTC)


def info_of(data: bytes, sha256: str | None = None) -> ObjectInfo:
    return ObjectInfo("k", len(data), "1", WHEN, sha256=sha256 or hashlib.sha256(data).hexdigest())


class Dribble(io.BytesIO):
    """A source that gives few bytes at a time, as sockets do."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(3, size if size is not None and size >= 0 else 3))


@settings(deadline=None)
@given(st.binary(max_size=200), st.lists(st.integers(1, 50), max_size=30))
def test_any_sizes_of_reading_give_the_bytes(data: bytes, sizes: list[int]) -> None:
    with ObjectReader(Dribble(data), info_of(data), length=len(data), provider="p") as reader:
        taken = b"".join([reader.read(size) for size in sizes])
        assert taken == data[: sum(sizes)]
        assert taken + reader.read() == data
        assert reader.read() == reader.read(5) == b""


def test_a_read_gives_all_that_was_asked_for_but_at_the_end() -> None:
    reader = ObjectReader(Dribble(b"0123456789"), info_of(b"0123456789"), length=10, provider="p")
    assert [reader.read(7), reader.read(7), reader.read(7)] == [b"0123456", b"789", b""]


def test_it_is_a_binary_stream_for_others() -> None:
    data = b"a,b\n1,2\n"
    with ObjectReader(Dribble(data), info_of(data), length=len(data), provider="p") as reader:
        assert list(io.TextIOWrapper(io.BufferedReader(reader))) == ["a,b\n", "1,2\n"]


@pytest.mark.parametrize("size", [1, 4, 10, -1, None])
def test_other_bytes_are_found_out_by_the_read_that_meets_the_end(size: int | None) -> None:
    reader = ObjectReader(io.BytesIO(b"0123x56789"), info_of(b"0123456789"), length=10, provider="p")
    with pytest.raises(ContentCorrupted) as caught:
        while reader.read(size):
            pass
    assert caught.value.key == "k"
    assert caught.value.provider == "p"
    with pytest.raises(ContentCorrupted):
        reader.read()


@pytest.mark.parametrize("stored", [b"", b"01234"])
@pytest.mark.parametrize("size", [1, -1, 20])
def test_a_source_that_ends_early_is_corrupt_and_not_an_end(stored: bytes, size: int) -> None:
    reader = ObjectReader(io.BytesIO(stored), info_of(b"0123456789"), length=10, provider="p")
    with pytest.raises(ContentCorrupted):
        while reader.read(size):
            pass


def test_a_source_that_ends_early_is_corrupt_without_a_hash_too() -> None:
    reader = ObjectReader(io.BytesIO(b"01"), ObjectInfo("k", 10, "1", WHEN), length=10, provider="p")
    with pytest.raises(ContentCorrupted):
        reader.read()


def test_a_range_is_delivered_and_not_verified() -> None:
    source = io.BytesIO(b"x234")
    reader = ObjectReader(source, info_of(b"0123456789"), length=3, provider="p")
    assert reader.read() == b"x23"


def test_an_empty_object_is_verified_too() -> None:
    assert ObjectReader(io.BytesIO(b""), info_of(b""), length=0, provider="p").read() == b""
    with pytest.raises(ContentCorrupted):
        ObjectReader(io.BytesIO(b""), info_of(b"", "0" * 64), length=0, provider="p").read()


def test_the_check_at_the_end_is_called_once_and_only_there() -> None:
    calls: list[str] = []
    reader = ObjectReader(
        io.BytesIO(b"0123"), info_of(b"0123"), length=4, provider="p", at_end=lambda: calls.append("end")
    )
    reader.read(3)
    assert calls == []
    reader.read(1)
    reader.read()
    assert calls == ["end"]


def test_a_closed_reader_says_so() -> None:
    """As every file does; a descriptor that is closed may be another file's by now."""
    reader = ObjectReader(Dribble(b"0123"), info_of(b"0123"), length=4, provider="p")
    reader.close()
    reader.close()
    with pytest.raises(ValueError):
        reader.read(1)


class Noted(ObjectWriter):
    """A writer that notes what is asked of it."""

    def __init__(self, fails: str = "", calls: list[str] | None = None) -> None:
        super().__init__()
        self.calls = [] if calls is None else calls
        self.data = bytearray()
        self._fails = fails

    def _append(self, data: memoryview) -> None:
        if self._fails == "append":
            self.data += data[:1]
            self._fails = ""
            raise InsufficientStorage("full")
        self.data += data

    def _publish(self, size: int, sha256: str) -> ObjectInfo:
        if self._fails == "publish":
            raise StorageError("no")
        assert (size, sha256) == (len(self.data), hashlib.sha256(self.data).hexdigest())
        self.calls.append("publish")
        return ObjectInfo("k", size, "1", WHEN, sha256=sha256)

    def _discard(self) -> None:
        self.calls.append("discard")


def test_leaving_the_block_publishes_once() -> None:
    with Noted() as writer:
        assert writer.write(b"ab") == 2
        assert writer.write(memoryview(bytearray(b"cd"))) == 2
        with pytest.raises(ValueError):
            _ = writer.info
    assert writer.calls == ["publish"]
    assert writer.commit() is writer.info
    assert writer.info.size == 4
    writer.abort()
    assert writer.calls == ["publish"]


def test_words_of_a_wide_buffer_are_counted_as_bytes() -> None:
    with Noted() as writer:
        assert writer.write(memoryview(bytes(16)).cast("Q")) == 16
    assert writer.info.size == 16


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_in_the_block_publishes_nothing(error: type[BaseException]) -> None:
    writer = Noted()
    with pytest.raises(error), writer:
        writer.write(b"ab")
        raise error
    assert writer.calls == ["discard"]
    with pytest.raises(ValueError):
        writer.commit()
    with pytest.raises(ValueError):
        writer.write(b"x")


def test_a_dropped_writer_publishes_nothing() -> None:
    calls: list[str] = []
    writer = Noted(calls=calls)
    writer.write(b"ab")
    del writer
    gc.collect()
    assert calls == ["discard"]


def test_an_aborted_writer_stays_so() -> None:
    with Noted() as writer:
        writer.write(b"ab")
        writer.abort()
        writer.abort()
    assert writer.calls == ["discard"]


def test_a_failed_publication_discards_once() -> None:
    writer = Noted(fails="publish")
    with pytest.raises(StorageError), writer:
        writer.write(b"ab")
    writer.abort()
    assert writer.calls == ["discard"]
    with pytest.raises(ValueError):
        writer.commit()


def test_after_a_write_that_failed_nothing_can_be_published() -> None:
    """Part of the data is missing: whoever caught the error must not make an object of the rest."""
    writer = Noted(fails="append")
    with pytest.raises(InsufficientStorage):
        writer.write(b"abcd")
    with pytest.raises((ValueError, StorageError)):
        writer.commit()
    assert writer.calls == ["discard"]
