"""Promises of `open_writer` and `put_bytes`."""

from __future__ import annotations

import array
import gc
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest

from domain.errors import InvalidRequest
from domain.storage import IStorageProvider
from infrastructure.storage.contract.group import MIB, PromiseGroup, content, facts, listed, refusal
from infrastructure.storage.contract.harness import Harness


def _abort(provider: IStorageProvider) -> None:
    writer = provider.open_writer("a")
    writer.write(b"never")
    writer.abort()
    writer.abort()


def _abort_in_block(provider: IStorageProvider) -> None:
    with provider.open_writer("a") as writer:
        writer.write(b"never")
        writer.abort()


def _raise_in_block(provider: IStorageProvider) -> None:
    with pytest.raises(KeyError), provider.open_writer("a") as writer:
        writer.write(content(2 * MIB))
        raise KeyError


def _interrupt_in_block(provider: IStorageProvider) -> None:
    with pytest.raises(KeyboardInterrupt), provider.open_writer("a") as writer:
        writer.write(b"never")
        raise KeyboardInterrupt


def _drop(provider: IStorageProvider) -> None:
    writer = provider.open_writer("a")
    writer.write(b"never")
    del writer
    gc.collect()


def _drop_unwritten(provider: IStorageProvider) -> None:
    provider.open_writer("a")
    gc.collect()


_ENDINGS: Mapping[str, Callable[[IStorageProvider], None]] = {
    "abort": _abort,
    "abort in the block": _abort_in_block,
    "exception": _raise_in_block,
    "interrupt": _interrupt_in_block,
    "dropped": _drop,
    "dropped unwritten": _drop_unwritten,
}


class Writing(PromiseGroup):
    """What a writer may rely on."""

    def test_put_bytes_answers_as_head(self, provider: IStorageProvider) -> None:
        """`put_bytes`, `ObjectWriter.commit`: the object as it was published."""
        put = provider.put_bytes("a.csv", b"x,y", metadata={"run": "7"})
        assert facts(put) == facts(provider.head("a.csv"))
        with provider.open_writer("b.csv", metadata={"run": "8"}) as writer:
            writer.write(b"x,y,z")
        assert facts(writer.info) == facts(provider.head("b.csv"))

    @pytest.mark.parametrize("kind", ["bytes", "bytearray", "memoryview", "numbers"])
    def test_put_bytes_takes_any_buffer(self, provider: IStorageProvider, kind: str) -> None:
        """`put_bytes`: `bytes | bytearray | memoryview`; what the caller does with it later is not seen."""
        numbers = array.array("I", range(1000))
        expected = numbers.tobytes()
        owned = bytearray(expected)
        buffers: dict[str, bytes | bytearray | memoryview] = {
            "bytes": expected,
            "bytearray": owned,
            "memoryview": memoryview(owned),
            "numbers": memoryview(numbers),
        }
        assert provider.put_bytes("a", buffers[kind]).size == len(expected)
        owned[:] = bytes(len(owned))
        assert provider.get_bytes("a") == expected

    @pytest.mark.parametrize("size", [0, 1, 100_000, 2 * MIB + 1])
    def test_sha256_is_kept(self, provider: IStorageProvider, size: int) -> None:
        """`open_writer`: the SHA-256 of what was written is kept with the object, as 64 lower-case hex digits."""
        data = content(size)
        expected = hashlib.sha256(data).hexdigest()
        assert provider.put_bytes("a", data).sha256 == expected
        assert provider.head("a").sha256 == expected

    @pytest.mark.parametrize(
        ("key", "given", "expected"),
        [
            ("a.csv", None, "text/csv"),
            ("a.fits", None, "image/fits"),
            ("A.JSON", None, "application/json"),
            ("a.json.gz", None, "application/gzip"),
            ("a", None, "application/octet-stream"),
            ("b.json/a", None, "application/octet-stream"),
            ("a.csv", "application/x-own", "application/x-own"),
            ("a.csv", "application/octet-stream", "application/octet-stream"),
            ("a", "text/plain; charset=utf-8", "text/plain; charset=utf-8"),
        ],
    )
    def test_content_type(self, provider: IStorageProvider, key: str, given: str | None, expected: str) -> None:
        """`open_writer`: the media type, by default guessed from the key's suffix."""
        assert provider.put_bytes(key, b"data", content_type=given).content_type == expected
        assert provider.head(key).content_type == expected

    @pytest.mark.parametrize("wrong", ["", "csv", "text/", "text/csv\r\nx-evil: 1", "text/csv\n", "téxt/csv", "a/b; c"])
    def test_wrong_content_type_is_refused(self, provider: IStorageProvider, wrong: str) -> None:
        """`open_writer`: `InvalidRequest` for a content type that can't be, before any byte is taken."""
        refusal(InvalidRequest, lambda: provider.open_writer("a", content_type=wrong))
        refusal(InvalidRequest, lambda: provider.put_bytes("a", b"data", content_type=wrong))
        assert listed(provider) == []

    def test_put_bytes_replaces_everything(self, harness: Harness, provider: IStorageProvider) -> None:
        """The last write published wins, whole: nothing of a longer one or of its content type stays."""
        provider.put_bytes("a.csv", content(2 * MIB), content_type="text/plain", metadata={"run": "7"})
        provider.put_bytes("a.csv", b"short")
        assert provider.get_bytes("a.csv") == b"short"
        assert harness.peek(provider, "a.csv") == b"short"
        info = provider.head("a.csv")
        assert (info.size, info.content_type, dict(info.metadata or {})) == (5, "text/csv", {})

    # -- ETags

    def test_etag_is_another_one_whenever_the_content_changes(self, provider: IStorageProvider) -> None:
        """`ObjectInfo.etag`: another one for other content, also of the same size, however quickly writes follow."""
        etags = [provider.put_bytes("a", b"%02d" % number).etag for number in range(50)]
        assert len(set(etags)) == 50
        provider.delete("a")
        assert provider.put_bytes("a", b"xx").etag not in etags

    def test_etag_is_the_same_in_every_answer(self, provider: IStorageProvider) -> None:
        """`ObjectInfo.etag`: write, `head`, listing and reader name the same state by the same ETag."""
        written = provider.put_bytes("a", b"data").etag
        with provider.open_reader("a") as reader:
            assert reader.info.etag == written
        assert provider.head("a").etag == provider.head("a").etag == written
        assert [info.etag for info in provider.list_objects()] == [written]

    # -- the stream

    def test_writer_joins_what_it_is_given(self, harness: Harness, provider: IStorageProvider) -> None:
        """`open_writer`: a stream; `write` takes all of the data and says how much."""
        data = content(5 * MIB + 1)
        with provider.open_writer("a") as writer:
            taken = [writer.write(data[:0]), writer.write(data[:1]), writer.write(memoryview(data)[1:MIB])]
            taken.append(writer.write(data[MIB:]))
        assert taken == [0, 1, MIB - 1, 4 * MIB + 1]
        assert writer.info.size == len(data)
        assert provider.get_bytes("a") == data
        assert harness.peek(provider, "a") == data

    def test_writer_without_a_write_is_an_empty_object(self, provider: IStorageProvider) -> None:
        """`open_writer`: leaving the block commits, whatever was written."""
        with provider.open_writer("a"):
            pass
        assert provider.get_bytes("a") == b""

    def test_writer_shows_nothing_before_the_commit(self, harness: Harness, provider: IStorageProvider) -> None:
        """`open_writer`: until the commit the key shows what it showed before: here, nothing."""
        with provider.open_writer("a") as writer:
            writer.write(content(2 * MIB))
            assert not provider.exists("a")
            assert listed(provider) == []
            assert harness.peek(provider, "a") is None
        assert listed(provider) == ["a"]

    def test_writer_shows_the_old_object_before_the_commit(self, harness: Harness, provider: IStorageProvider) -> None:
        """`open_writer`: until the commit the key shows what it showed before: here, the old object."""
        provider.put_bytes("a", b"old", metadata={"state": "old"})
        before = facts(provider.head("a"))
        with provider.open_writer("a", metadata={"state": "new"}) as writer:
            writer.write(b"new object")
            assert facts(provider.head("a")) == before
            assert provider.get_bytes("a") == b"old" == harness.peek(provider, "a")
        assert provider.get_bytes("a") == b"new object"

    @pytest.mark.parametrize("ending", sorted(_ENDINGS))
    def test_writer_that_is_not_committed_publishes_nothing(
        self, harness: Harness, provider: IStorageProvider, ending: str
    ) -> None:
        """`open_writer`: an exception in the block, an abort or a lost writer publishes nothing."""
        _ENDINGS[ending](provider)
        assert listed(provider) == []
        assert harness.peek(provider, "a") is None
        provider.put_bytes("a", b"old", metadata={"state": "old"})
        with _unchanged(provider, "a"):
            _ENDINGS[ending](provider)
        assert harness.peek(provider, "a") == b"old"

    def test_commit_twice_gives_the_same_answer(self, provider: IStorageProvider) -> None:
        """`ObjectWriter.commit`: a second call gives the same answer; leaving the block adds nothing."""
        with provider.open_writer("a") as writer:
            writer.write(b"data")
            first = writer.commit()
            assert writer.commit() == first == writer.info
        assert provider.head("a").etag == first.etag

    def test_commit_twice_does_not_publish_twice(self, provider: IStorageProvider) -> None:
        """`ObjectWriter.commit`: what others wrote after the first call stays."""
        writer = provider.open_writer("a")
        writer.write(b"mine")
        writer.commit()
        provider.put_bytes("a", b"theirs")
        writer.commit()
        assert provider.get_bytes("a") == b"theirs"

    def test_writer_is_closed_after_commit_and_abort(self, provider: IStorageProvider) -> None:
        """`ObjectWriter`: a write to a closed writer, and what an uncommitted one can't know, is a `ValueError`."""
        writer = provider.open_writer("a")
        with pytest.raises(ValueError):
            _ = writer.info
        writer.commit()
        with pytest.raises(ValueError):
            writer.write(b"more")
        writer.abort()
        assert provider.get_bytes("a") == b""
        aborted = provider.open_writer("b")
        aborted.abort()
        for call in (lambda: aborted.write(b"more"), aborted.commit):
            with pytest.raises(ValueError):
                call()
        assert listed(provider) == ["a"]

    def test_writers_do_not_disturb_each_other(self, harness: Harness, provider: IStorageProvider) -> None:
        """`open_writer`: the last one published wins, whole, whichever was opened first."""
        first, second = provider.open_writer("a"), provider.open_writer("a")
        first.write(b"first ")
        second.write(b"second ")
        provider.put_bytes("a", b"third")
        first.write(b"writer")
        second.write(b"writer")
        second.commit()
        assert provider.get_bytes("a") == b"second writer"
        committed = first.commit()
        assert provider.get_bytes("a") == b"first writer" == harness.peek(provider, "a")
        assert provider.head("a").etag == committed.etag

    def test_writer_outlives_the_object_it_replaces(self, provider: IStorageProvider) -> None:
        """`open_writer`: that the old object is deleted meanwhile is no hindrance."""
        provider.put_bytes("folder/a", b"old")
        with provider.open_writer("folder/a") as writer:
            writer.write(b"new")
            provider.delete("folder/a")
            assert not provider.exists("folder/a")
        assert provider.get_bytes("folder/a") == b"new"


@contextmanager
def _unchanged(provider: IStorageProvider, key: str) -> Iterator[None]:
    before, data = facts(provider.head(key)), provider.get_bytes(key)
    yield
    assert facts(provider.head(key)) == before
    assert provider.get_bytes(key) == data
