"""Promises of `delete` and `delete_many`."""

from __future__ import annotations

import tracemalloc

import pytest

from domain.errors import InvalidRequest
from domain.storage import IStorageProvider
from infrastructure.storage.contract.group import MIB, PromiseGroup, listed
from infrastructure.storage.contract.harness import Harness


class Deleting(PromiseGroup):
    """`delete` and `delete_many`."""

    def test_delete_removes_the_object(self, harness: Harness, provider: IStorageProvider) -> None:
        """`delete`: one object; the store itself has it no more."""
        provider.put_bytes("a/b", b"data")
        provider.put_bytes("a/c", b"data")
        provider.delete("a/b")
        assert not provider.exists("a/b")
        assert harness.peek(provider, "a/b") is None
        assert listed(provider) == ["a/c"]

    def test_delete_of_a_missing_key_succeeds(self, provider: IStorageProvider) -> None:
        """`delete`: a missing key succeeds, also twice, also in a bucket without objects."""
        provider.delete("a/b")
        provider.put_bytes("a/b", b"data")
        provider.delete("a/b")
        provider.delete("a/b")
        provider.delete("a/b/c")
        provider.delete("//")
        assert listed(provider) == []

    @pytest.mark.parametrize(
        "key", ["a", "a/", "a/b", "a/b/", "a//b", "", "*", "a/*", ".", "..", "a/..", "a/b/.", "./a/b/c", "A/b/c", "/"]
    )
    def test_delete_never_deletes_anything_else(self, provider: IStorageProvider, key: str) -> None:
        """`delete`: never deletes anything else, whatever the key looks like."""
        for other in ("a/b/c", "a/b/d", "x"):
            provider.put_bytes(other, b"data")
        try:
            provider.delete(key)
        except InvalidRequest:
            assert key == ""
        assert listed(provider) == ["a/b/c", "a/b/d", "x"]
        assert provider.get_bytes("a/b/c") == b"data"

    def test_delete_many_deletes_exactly_the_keys_given(self, harness: Harness, provider: IStorageProvider) -> None:
        """`delete_many`: every key given; missing ones succeed; the answer is an empty list where all went well."""
        for key in ("a", "a/b", "a//b", "é", "e\u0301", "stay", "a/b/stay"):
            provider.put_bytes(key, b"data")
        assert provider.delete_many(["a", "a//b", "missing", "é", "a", "a/b"]) == []
        assert listed(provider) == ["a/b/stay", "e\u0301", "stay"]
        assert harness.peek(provider, "a//b") is None

    def test_delete_many_of_nothing(self, provider: IStorageProvider) -> None:
        """`delete_many`: no keys, no error."""
        provider.put_bytes("a", b"data")
        assert provider.delete_many([]) == []
        assert provider.delete_many(iter(())) == []
        assert listed(provider) == ["a"]

    def test_delete_many_has_no_limit(self, provider: IStorageProvider) -> None:
        """`delete_many`: as many keys as there are, from any iterable, across the limits of one request."""
        keys = [f"k/{number:04d}" for number in range(1_500)]
        there = {*keys[::50], *keys[995:1005], keys[-1]}
        for key in (*there, "k", "k/", "k/0000/below"):
            provider.put_bytes(key, b"")
        assert provider.delete_many(key for key in keys) == []
        assert listed(provider) == ["k", "k/", "k/0000/below"]

    def test_delete_many_takes_its_own_listing(self, provider: IStorageProvider) -> None:
        """`delete_many`: an iterable is read as it goes, as with the keys of a listing."""
        for number in range(120):
            provider.put_bytes(f"{'x//' if number % 3 else 'x/'}{number}", b"")
        provider.put_bytes("y", b"")
        assert provider.delete_many(info.key for info in provider.list_objects("x/")) == []
        assert listed(provider) == ["y"]

    def test_delete_many_goes_on_after_a_failure(self, provider: IStorageProvider) -> None:
        """`delete_many`: one failure does not stop the others; each error has its key."""
        for key in ("a", "b"):
            provider.put_bytes(key, b"data")
        impossible = "k" * 1025
        failures = provider.delete_many(["a", impossible, "b"])
        assert [(type(failure), failure.key) for failure in failures] == [(InvalidRequest, impossible)]
        assert listed(provider) == []

    def test_delete_many_does_not_hold_the_keys(self, provider: IStorageProvider) -> None:
        """`delete_many`: memory does not grow with the number of keys."""
        _deletion_peak(provider, 10)  # what the first call sets up for good does not count
        some = _deletion_peak(provider, 1_000)
        assert _deletion_peak(provider, 3_000) < some + 3 * MIB // 2


def _deletion_peak(provider: IStorageProvider, count: int) -> int:
    """Bytes that deleting so many keys of a kilobyte each takes at its worst moment."""
    tracemalloc.start()
    try:
        assert provider.delete_many(f"{number:04d}{'k' * 1000}" for number in range(count)) == []
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
