"""Promises between threads: one provider serves any number of them."""

from __future__ import annotations

import threading
from collections.abc import Callable

from domain.errors import ContentCorrupted, ObjectNotFound, StorageError
from domain.storage import IStorageProvider
from infrastructure.storage.contract.group import PromiseGroup, at_once, content, listed, succeeded
from infrastructure.storage.contract.harness import Harness

_THREADS = 8
_TURNS = 20
_VALUES = [content(size, seed) for seed, size in enumerate((1, 70_000, 200_000, 300_000))]


class Concurrency(PromiseGroup):
    """Thread-safe: what holds for one caller holds for each of many."""

    def test_threads_on_their_own_keys(self, provider: IStorageProvider) -> None:
        """Thread-safe: writes, reads, listings and deletes of different keys do not touch each other."""

        def work(number: int) -> None:
            for turn in range(10):
                key = f"{'odd//' if turn % 2 else 'even/'}{number}/{turn}"
                data = content(2000, seed=number * 100 + turn)
                etag = provider.put_bytes(key, data, metadata={"n": f"{number}-{turn}"}).etag
                assert provider.get_bytes(key, if_match=etag) == data
                assert provider.get_metadata(key)["metadata"] == {"n": f"{number}-{turn}"}
                assert key in listed(provider, key[:5])
                if turn < 8:
                    provider.delete(key)
                    assert not provider.exists(key)

        succeeded(at_once(*[lambda number=number: work(number) for number in range(_THREADS)]))
        expected = [f"{top}{number}/{turn}" for top, turn in (("even/", 8), ("odd//", 9)) for number in range(_THREADS)]
        assert listed(provider) == expected

    def test_threads_on_one_key_see_whole_objects(self, provider: IStorageProvider) -> None:
        """The last one published wins, whole: bytes, size, SHA-256 and metadata that are read belong together."""
        _write_value(provider, "a/b", 0)
        turns, failed = [0] * 6, threading.Event()

        def work(number: int, step: Callable[[int], None]) -> None:
            # Nobody ends before everybody had some turns: so much is sure to have happened at the same time.
            while min(turns) < _TURNS and not failed.is_set():
                try:
                    step(number + turns[number])
                    turns[number] += 1
                except Exception:
                    failed.set()
                    raise

        def write(turn: int) -> None:
            _write_value(provider, "a/b", turn % len(_VALUES))

        def read(turn: int) -> None:
            try:
                _read_value(provider, "a/b")
            except (ContentCorrupted, ObjectNotFound):
                raise
            except StorageError as error:
                # Allowed to a reader that a write overtakes; a mixture is not.
                assert error.key == "a/b"

        writers = [lambda number=number: work(number, write) for number in range(3)]
        readers = [lambda number=number: work(number, read) for number in range(3, 6)]
        succeeded(at_once(*writers, *readers))
        _read_value(provider, "a/b")

    def test_threads_see_one_head(self, harness: Harness, provider: IStorageProvider) -> None:
        """`head` and listing: what they say is of one state, and a key that is overwritten is never missing."""
        _write_value(provider, "a/b", 0)
        done = threading.Event()

        def write() -> int:
            try:
                for turn in range(2 * harness.examples):
                    _write_value(provider, "a/b", turn % len(_VALUES))
            finally:
                done.set()
            return 1

        def look() -> int:
            looks = 0
            while not done.is_set() or not looks:
                info = provider.head("a/b")
                assert info.size == len(_VALUES[int(dict(info.metadata or {})["value"])])
                assert [info.key for info in provider.list_objects("a/")] == ["a/b"]
                looks += 1
            return looks

        assert min(succeeded(at_once(write, look, look))) > 0

    def test_threads_that_write_and_delete_side_by_side(self, harness: Harness, provider: IStorageProvider) -> None:
        """A write succeeds whatever is deleted beside it: keys have no folders that could go away under them."""

        def work(number: int) -> None:
            key = f"deep/er/and/deeper/{number}"
            for _ in range(harness.examples):
                provider.put_bytes(key, b"data")
                assert provider.get_bytes(key) == b"data"
                provider.delete(key)

        succeeded(at_once(*[lambda number=number: work(number) for number in range(_THREADS)]))
        assert listed(provider) == []

    def test_threads_on_keys_that_continue_each_other(self, harness: Harness, provider: IStorageProvider) -> None:
        """`a`, `a/b` and `a/b/c` come and go at once; each is there after its own write, and gone after its own delete."""

        def work(key: str) -> None:
            for turn in range(harness.examples):
                provider.put_bytes(key, b"%d" % turn, metadata={"turn": str(turn)})
                assert provider.get_bytes(key) == b"%d" % turn
                assert key in listed(provider)
                provider.delete(key)
                assert not provider.exists(key)

        calls: list[Callable[[], None]] = [
            lambda key=key: work(key)  # type: ignore[misc]
            for key in ("a", "a/b", "a/b/c", "a/", "a//b")
        ]
        succeeded(at_once(*calls))
        assert listed(provider) == []


def _write_value(provider: IStorageProvider, key: str, number: int) -> None:
    provider.put_bytes(key, _VALUES[number], content_type="text/x-own", metadata={"value": str(number)})


def _read_value(provider: IStorageProvider, key: str) -> None:
    """Read the object and check that all of it is of one write."""
    with provider.open_reader(key) as reader:
        data = reader.read()
    value = _VALUES[int(dict(reader.info.metadata or {})["value"])]
    whole = data == value  # not in the assertion: a diff of large values would take minutes to tell
    assert whole, "bytes of one write under the metadata of another"
    assert (reader.info.size, reader.info.content_type) == (len(value), "text/x-own")
