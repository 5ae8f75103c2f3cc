"""Promises of `copy`. Its conditions are among the promises of conditions."""

from __future__ import annotations

import hashlib

import pytest

from domain.errors import ObjectNotFound, PreconditionFailed, UnsupportedOperation
from domain.storage import IStorageProvider, WriteCondition
from infrastructure.storage.contract.group import MIB, PromiseGroup, content, facts, listed, refusal
from infrastructure.storage.contract.harness import Harness


class Copying(PromiseGroup):
    """`copy`: an object within the bucket, bytes, content type, metadata and SHA-256."""

    @pytest.mark.parametrize("size", [0, 5000, 3 * MIB + 1])
    def test_copy_keeps_everything(self, harness: Harness, provider: IStorageProvider, size: int) -> None:
        """`copy`: bytes, content type, metadata and SHA-256; the source stays as it was."""
        data = content(size)
        source = provider.put_bytes("a", data, content_type="image/x-own", metadata={"run": "µ 7"})
        copied = provider.copy("a", "b/c")
        assert facts(copied) == facts(provider.head("b/c"))
        assert (copied.key, copied.size, copied.content_type) == ("b/c", size, "image/x-own")
        assert copied.sha256 == hashlib.sha256(data).hexdigest()
        assert dict(copied.metadata or {}) == {"run": "µ 7"}
        assert provider.get_bytes("b/c") == data == harness.peek(provider, "b/c")
        assert facts(provider.head("a")) == facts(source)

    @pytest.mark.parametrize(("source", "destination"), [("a.csv", "b"), ("a", "b.csv"), ("a.csv", "b.json")])
    def test_copy_keeps_the_type_whatever_the_names_say(
        self, provider: IStorageProvider, source: str, destination: str
    ) -> None:
        """`copy`: the content type is the source's, not guessed anew from the destination's suffix."""
        before = provider.put_bytes(source, b"data")
        assert provider.copy(source, destination).content_type == before.content_type
        assert provider.head(destination).content_type == before.content_type

    def test_copy_replaces_the_destination(self, provider: IStorageProvider) -> None:
        """`copy`: whole or not at all, as any write: nothing of the old destination stays, and its ETag is new."""
        provider.put_bytes("a", b"data", metadata={"one": "1"})
        old = provider.put_bytes("b", content(2 * MIB), content_type="text/csv", metadata={"two": "2"})
        copied = provider.copy("a", "b")
        assert provider.get_bytes("b") == b"data"
        assert (copied.size, dict(copied.metadata or {})) == (4, {"one": "1"})
        assert copied.etag != old.etag
        assert copied.content_type == "application/octet-stream"

    def test_copy_is_an_object_of_its_own(self, provider: IStorageProvider) -> None:
        """`copy`: later changes to the one are not seen in the other."""
        provider.put_bytes("a", b"data")
        provider.copy("a", "b")
        provider.put_bytes("a", b"changed")
        provider.copy("b", "c")
        provider.delete("b")
        assert provider.get_bytes("c") == b"data"
        assert listed(provider) == ["a", "c"]

    def test_copy_onto_itself_leaves_the_object(self, provider: IStorageProvider) -> None:
        """`copy`: copying a key onto itself leaves the object as it is."""
        provider.put_bytes("a.csv", b"data", content_type="text/plain", metadata={"one": "1"})
        before = provider.head("a.csv")
        copied = provider.copy("a.csv", "a.csv")
        after = provider.head("a.csv")
        assert facts(copied) == facts(after) == facts(before)
        assert provider.get_bytes("a.csv") == b"data"

    def test_copy_onto_itself_keeps_a_condition(self, provider: IStorageProvider) -> None:
        """`copy`: the destination's condition counts also where it is the source."""
        provider.put_bytes("a", b"data")
        able = provider.capabilities.create_if_absent
        refusal(
            PreconditionFailed if able else UnsupportedOperation,
            lambda: provider.copy("a", "a", condition=WriteCondition.absent()),
        )
        assert provider.get_bytes("a") == b"data"

    @pytest.mark.parametrize("destination", ["b", "missing"])
    def test_copy_of_a_missing_source(self, provider: IStorageProvider, destination: str) -> None:
        """`copy`: `ObjectNotFound`, with the source as key; the destination stays as it was."""
        provider.put_bytes("b", b"old")
        refusal(ObjectNotFound, lambda: provider.copy("missing", destination), key="missing")
        assert provider.get_bytes("b") == b"old"
        assert listed(provider) == ["b"]

    @pytest.mark.parametrize(
        ("source", "destination"),
        [("a//b", "a/b"), ("a/b", "a//b"), ("a", "a/b"), ("a/b", "a"), ("../x", "x"), ("é", "e\u0301"), ("%2F", "/")],
    )
    def test_copy_means_the_keys_as_given(
        self, harness: Harness, provider: IStorageProvider, source: str, destination: str
    ) -> None:
        """`copy`: both keys are opaque; two that look alike are two."""
        provider.put_bytes(source, b"data")
        provider.copy(source, destination)
        assert listed(provider) == sorted([source, destination], key=str.encode)
        assert harness.peek(provider, source) == harness.peek(provider, destination) == b"data"

    def test_copy_of_an_object_of_others(self, harness: Harness, provider: IStorageProvider) -> None:
        """`copy`: what is not known of the source is not known of the copy, or found out: never wrong."""
        put = harness.put_behind(provider, "a", b"data")
        if not put:
            refusal(ObjectNotFound, lambda: provider.copy("a", "b"))
            return
        copied = provider.copy("a", "b")
        assert copied.sha256 in {None, hashlib.sha256(b"data").hexdigest()}
        assert provider.get_bytes("b") == b"data"
