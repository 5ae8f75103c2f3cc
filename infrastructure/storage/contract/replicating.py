"""Promises of `copy_from`: objects of other stores, and of other buckets of this one."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping

import pytest

from domain.errors import ContentCorrupted, ObjectNotFound, PreconditionFailed, StoreUnavailable
from domain.storage import ByteRange, IStorageProvider
from domain.streams import ByteSource, ObjectReader
from infrastructure.storage.contract.group import MIB, PromiseGroup, content, facts, listed, refusal, unused_bucket_name
from infrastructure.storage.contract.harness import Harness
from infrastructure.storage.providers.memory_provider import MemoryProvider

_SIZES = (0, 5000, 3 * MIB + 1)
_METADATA: Mapping[str, str] = {"run": "µ 7", "note": "100 % ünïque, 日本"}
_KEYS = [("a//b", "a/b"), ("é", "e\u0301"), ("a+b", "a b"), ("%2F", "100%"), ("a b", "a+b"), ("?x=1#y", "/lead")]


class Replicating(PromiseGroup):
    """`copy_from`: bytes, content type, metadata and SHA-256 of an object elsewhere. The other store is one in memory."""

    @pytest.mark.parametrize("size", _SIZES)
    def test_copy_from_another_store_keeps_everything(
        self, harness: Harness, provider: IStorageProvider, size: int
    ) -> None:
        """`copy_from`: bytes, content type, metadata and SHA-256; the source stays as it was."""
        origin = MemoryProvider({})
        _keeps_everything(harness, origin, provider, size)

    @pytest.mark.parametrize("size", _SIZES)
    def test_copy_from_another_bucket_keeps_everything(
        self, harness: Harness, provider: IStorageProvider, size: int
    ) -> None:
        """`copy_from`: the same within one store."""
        _keeps_everything(harness, _other_bucket(harness, provider), provider, size)

    @pytest.mark.parametrize("size", _SIZES)
    def test_copy_from_the_same_bucket_keeps_everything(
        self, harness: Harness, provider: IStorageProvider, size: int
    ) -> None:
        """`copy_from`: the same within one bucket."""
        _keeps_everything(harness, provider, provider, size)

    def test_copy_from_takes_the_object_for_itself(self, provider: IStorageProvider) -> None:
        """`copy_from`: an object that is its own source stays as it is."""
        provider.put_bytes("a.csv", b"data", content_type="text/plain", metadata=_METADATA)
        before = provider.head("a.csv")
        provider.copy_from(provider, "a.csv", "a.csv")
        after = provider.head("a.csv")
        assert provider.get_bytes("a.csv") == b"data"
        assert facts(after._replace(etag=before.etag)) == facts(before)

    @pytest.mark.parametrize("within", [False, True])
    def test_copy_from_replaces_the_destination(
        self, harness: Harness, provider: IStorageProvider, within: bool
    ) -> None:
        """`copy_from`: nothing of the old destination stays, and its ETag is new."""
        origin = _origin(harness, provider, within=within)
        origin.put_bytes("a", b"data", metadata={"one": "1"})
        old = provider.put_bytes("b", content(2 * MIB), content_type="text/csv", metadata={"two": "2"})
        copied = provider.copy_from(origin, "a", "b")
        assert provider.get_bytes("b") == b"data"
        assert (copied.size, dict(copied.metadata or {})) == (4, {"one": "1"})
        assert copied.etag != old.etag
        assert provider.head("b").content_type == "application/octet-stream"

    @pytest.mark.parametrize("within", [False, True])
    @pytest.mark.parametrize("destination", ["b", "new"])
    def test_copy_from_of_a_missing_source(
        self, harness: Harness, provider: IStorageProvider, destination: str, within: bool
    ) -> None:
        """`copy_from`: `ObjectNotFound` of the origin, with the source as key; the destination stays as it was."""
        origin = _origin(harness, provider, within=within)
        provider.put_bytes("b", b"old")
        error = refusal(ObjectNotFound, lambda: provider.copy_from(origin, "missing", destination), key="missing")
        assert error.provider == origin.name
        assert provider.get_bytes("b") == b"old"
        assert listed(provider) == ["b"]

    @pytest.mark.parametrize("within", [False, True])
    def test_copy_from_if_match(self, harness: Harness, provider: IStorageProvider, within: bool) -> None:
        """`copy_from`: `if_match` is the ETag that the source must have; with another one nothing is written."""
        origin = _origin(harness, provider, within=within)
        stale = origin.put_bytes("a", b"old").etag
        current = origin.put_bytes("a", b"other").etag
        refusal(PreconditionFailed, lambda: provider.copy_from(origin, "a", "b", if_match=stale), key="a")
        assert listed(provider) == []
        assert provider.copy_from(origin, "a", "b", if_match=current).size == 5
        assert provider.get_bytes("b") == b"other"

    @pytest.mark.parametrize("within", [False, True])
    @pytest.mark.parametrize(("source", "destination"), _KEYS)
    def test_copy_from_means_the_keys_as_given(
        self, harness: Harness, provider: IStorageProvider, source: str, destination: str, within: bool
    ) -> None:
        """`copy_from`: both keys are opaque."""
        origin = _origin(harness, provider, within=within)
        origin.put_bytes(source, b"data")
        assert provider.copy_from(origin, source, destination).key == destination
        assert listed(provider) == [destination]
        assert harness.peek(provider, destination) == b"data"

    @pytest.mark.parametrize("within", [False, True])
    def test_copy_from_tells_its_progress(self, harness: Harness, provider: IStorageProvider, within: bool) -> None:
        """`copy_from`: what `progress` was told adds up to the object."""
        origin = _origin(harness, provider, within=within)
        origin.put_bytes("a", content(2 * MIB + 5))
        told: list[int] = []
        provider.copy_from(origin, "a", "b", progress=told.append)
        assert sum(told) == 2 * MIB + 5

    def test_copy_from_hashes_an_object_without_a_hash(self, provider: IStorageProvider) -> None:
        """`copy_from`: of an object without a stored SHA-256 the copy has one."""
        origin = _Forgetful({})
        origin.put_bytes("a", b"data", content_type="text/x-own")
        copied = provider.copy_from(origin, "a", "b")
        assert copied.sha256 == provider.head("b").sha256 == hashlib.sha256(b"data").hexdigest()
        assert provider.head("b").content_type == "text/x-own"

    def test_copy_from_hashes_an_object_of_others(self, harness: Harness, provider: IStorageProvider) -> None:
        """`copy_from`: also within one store, where another program put the object there."""
        if not harness.put_behind(provider, "a", b"data"):
            refusal(ObjectNotFound, lambda: provider.copy_from(provider, "a", "b"))
            return
        for destination, where in (("a", _other_bucket(harness, provider)), ("b", provider)):
            copied = where.copy_from(provider, "a", destination)
            assert copied.sha256 == where.head(destination).sha256 == hashlib.sha256(b"data").hexdigest()
            assert where.get_bytes(destination) == b"data"

    @pytest.mark.parametrize("size", [5000, 3 * MIB + 1])
    @pytest.mark.parametrize("verifies", [True, False])
    @pytest.mark.parametrize("destination", ["b", "new"])
    def test_copy_from_publishes_nothing_corrupt(
        self, provider: IStorageProvider, size: int, verifies: bool, destination: str
    ) -> None:
        """`copy_from`: bytes that don't match the origin's SHA-256 are not published, whoever notices."""
        provider.put_bytes("b", b"old")
        origin = _Damaging({}) if verifies else _Careless({})
        origin.put_bytes("a", content(size))
        refusal(ContentCorrupted, lambda: provider.copy_from(origin, "a", destination), key="a")
        assert provider.get_bytes("b") == b"old"
        assert listed(provider) == ["b"]

    def test_copy_from_does_not_whitewash(self, harness: Harness, provider: IStorageProvider) -> None:
        """`copy_from`: within one store too a corrupt object's copy is known as corrupt, if it is made at all."""
        provider.put_bytes("a", content(5000))
        harness.corrupt(provider, "a")
        other = _other_bucket(harness, provider)
        try:
            other.copy_from(provider, "a", "b")
        except ContentCorrupted:
            assert not other.exists("b")
        else:
            refusal(ContentCorrupted, lambda: other.get_bytes("b"), key="b")

    @pytest.mark.parametrize("destination", ["b", "new"])
    def test_copy_from_that_breaks_off_publishes_nothing(self, provider: IStorageProvider, destination: str) -> None:
        """`copy_from`: whole or not at all, also where the origin goes away in the middle."""
        provider.put_bytes("b", b"old")
        origin = _Breaking({})
        origin.put_bytes("a", content(3 * MIB))
        refusal(StoreUnavailable, lambda: provider.copy_from(origin, "a", destination))
        assert provider.get_bytes("b") == b"old"
        assert listed(provider) == ["b"]


def _keeps_everything(harness: Harness, origin: IStorageProvider, provider: IStorageProvider, size: int) -> None:
    data = content(size)
    origin.put_bytes("a", data, content_type="image/x-own", metadata=_METADATA)
    source = origin.head("a")
    copied = provider.copy_from(origin, "a", "b/c.csv")
    assert facts(copied) == facts(provider.head("b/c.csv"))
    assert (copied.key, copied.size, copied.content_type) == ("b/c.csv", size, "image/x-own")
    assert copied.sha256 == hashlib.sha256(data).hexdigest()
    assert dict(copied.metadata or {}) == _METADATA
    assert provider.get_bytes("b/c.csv") == data == harness.peek(provider, "b/c.csv")
    assert facts(origin.head("a")) == facts(source)
    assert origin.get_bytes("a") == data


def _origin(harness: Harness, provider: IStorageProvider, *, within: bool) -> IStorageProvider:
    return _other_bucket(harness, provider) if within else MemoryProvider({})


def _other_bucket(harness: Harness, provider: IStorageProvider) -> IStorageProvider:
    """Another bucket of the same store; without `buckets`, whatever the harness gives that is of the same kind."""
    if not provider.capabilities.buckets:
        return harness.provider()
    other = provider.for_bucket(unused_bucket_name())
    other.create_bucket()
    return other


class _Tampered(MemoryProvider):
    """A store in memory whose readers are made otherwise."""

    def open_reader(
        self, key: str, *, byte_range: ByteRange | None = None, if_match: str | None = None
    ) -> ObjectReader:
        with super().open_reader(key, byte_range=byte_range, if_match=if_match) as reader:
            return self._reader_of(reader, bytes(reader.read()))

    def _reader_of(self, reader: ObjectReader, data: bytes) -> ObjectReader:
        return ObjectReader(self._source(data), reader.info, length=len(data), provider=self.name)

    def _source(self, data: bytes) -> ByteSource:
        return io.BytesIO(data[:-1] + bytes([data[-1] ^ 1]))


class _Damaging(_Tampered):
    """The last byte is another one, and the reader notices."""


class _Careless(_Tampered):
    """The last byte is another one, and the reader does not look."""

    def _reader_of(self, reader: ObjectReader, data: bytes) -> ObjectReader:
        found = super()._reader_of(reader, data)
        found._check = None
        return found


class _Forgetful(_Tampered):
    """Keeps no SHA-256."""

    def _reader_of(self, reader: ObjectReader, data: bytes) -> ObjectReader:
        info = reader.info._replace(sha256=None)
        return ObjectReader(io.BytesIO(data), info, length=len(data), provider=self.name)


class _Breaking(_Tampered):
    """Goes away after two thirds."""

    def _source(self, data: bytes) -> ByteSource:
        return _Cut(data, len(data) * 2 // 3)


class _Cut(io.BytesIO):
    def __init__(self, data: bytes, length: int) -> None:
        super().__init__(data[:length])

    def read(self, size: int | None = -1, /) -> bytes:
        part = super().read(size)
        if not part:
            raise StoreUnavailable("the line is cut")
        return part
