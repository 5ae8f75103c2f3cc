"""Content under the hash of its bytes: stored once, never at a wrong address, and verified whenever it is read."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from application.content_addressed_storage import PINS, ContentAddressedStorage
from application.garbage.leases import LEASES
from domain.content import DVC_MD5, SHA256, AddressScheme, ContentHash
from domain.errors import (
    AccessDenied,
    BucketNotFound,
    ConfigurationError,
    ContentCorrupted,
    InsufficientStorage,
    InvalidRequest,
    LocalFileError,
    ObjectNotFound,
    PreconditionFailed,
    StorageError,
)
from domain.storage import ObjectInfo, WriteCondition
from infrastructure.storage.providers import MemoryProvider

MIB = 1 << 20
LARGE = bytes(range(256)) * (3 * 4096) + b"end"
SCHEMES = pytest.mark.parametrize("scheme", [SHA256, DVC_MD5], ids=["sha256", "md5"])
BUCKETS = pytest.mark.parametrize(
    "can", [(True, True), (True, False), (False, False)], ids=["conditional", "conditional when small", "plain"]
)


class Store(MemoryProvider):
    """A store that tells what it was asked for.

    Attributes:
        puts: keys and conditions, in order.
        before: called with the name of a request and its key.
    """

    def __init__(self, can: tuple[bool, bool] = (True, True)) -> None:
        super().__init__({"capabilities": {"create_if_absent": can[0], "create_if_absent_multipart": can[1]}})
        self.puts: list[tuple[str, WriteCondition | None]] = []
        self.before: Callable[[str, str], object] = lambda request, key: None

    def open_writer(self, key: str, *, condition: WriteCondition | None = None, **options: Any) -> Any:
        self.before("put", key)
        self.puts.append((key, condition))
        return super().open_writer(key, condition=condition, **options)

    def head(self, key: str) -> ObjectInfo:
        self.before("head", key)
        return super().head(key)

    def content(self) -> list[str]:
        """The keys of all that is no record of Lading's."""
        return [key for key in self.list_files() if not key.startswith(".lading/")]

    def written(self) -> list[tuple[str, WriteCondition | None]]:
        """The puts of content."""
        return [(key, condition) for key, condition in self.puts if not key.startswith(".lading/")]

    def spoil(self, key: str, data: bytes, sha256: str | None = None) -> None:
        """What the object is from now on, and the hash that is kept with it."""
        objects = self._server.buckets["memory"]
        info = objects[key].info if key in objects else self.put_bytes(key, b"")
        objects[key] = objects[key]._replace(data=data, info=info._replace(size=len(data), sha256=sha256))


def digest(data: bytes, scheme: AddressScheme = SHA256) -> str:
    return hashlib.new(scheme.algorithm, data).hexdigest()


class Trickle(io.RawIOBase):
    """A stream of unknown length that gives a little at a time."""

    def __init__(self, data: bytes, most: int) -> None:
        self._source = io.BytesIO(data)
        self._most = most

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        return self._source.read(min(size or -1, self._most))


# -- storing


@SCHEMES
@BUCKETS
@pytest.mark.parametrize("data", [b"", b"a", bytes(MIB), bytes(MIB + 1), LARGE], ids=lambda data: str(len(data)))
@pytest.mark.parametrize("way", ["data", "file", "stream", "trickle", "many"])
def test_what_is_stored_in_any_way_is_there_once(
    way: str, data: bytes, can: tuple[bool, bool], scheme: AddressScheme, tmp_path: Path
) -> None:
    provider = Store(can)
    store = ContentAddressedStorage(provider, "p/", scheme=scheme)
    (tmp_path / "f").write_bytes(data)

    def put() -> str:
        if way == "file":
            return store.store_file(tmp_path / "f")
        if way == "stream":
            return store.store_stream(io.BytesIO(data))
        if way == "trickle":
            return store.store_stream(Trickle(data, 4099))  # type: ignore[arg-type]
        if way == "many":
            return next(store.store_many([data]))
        return store.store_data(data)

    address = digest(data, scheme)
    assert put() == address == store.get_content_hash(data)
    assert provider.content() == [scheme.key("p/", address)]
    etag = provider.head(store.key(address)).etag
    assert put() == address
    assert provider.head(store.key(address)).etag == etag, "it was written once"
    assert store.retrieve_data(address) == data
    assert store.retrieve_data(address.upper()) == data
    assert store.verify(address) == len(data)
    assert store.exists(address)
    with store.open_content(address) as stream:
        assert b"".join(iter(lambda: stream.read(7777), b"")) == data
    store.retrieve_file(address, tmp_path / "deep" / "out")
    assert (tmp_path / "deep" / "out").read_bytes() == data
    assert [found for found, _ in store.list_content()] == [address]
    metadata = store.get_metadata(address)
    assert (metadata["content_hash"], metadata["size"], metadata["sha256"]) == (address, len(data), digest(data))
    assert bool(provider.list_files(PINS)) == (scheme is SHA256)
    assert provider.list_files(LEASES) == []
    store.delete_content(address)
    store.delete_content(address)
    assert not store.exists(address)
    assert provider.content() == []


def test_content_types() -> None:
    provider = Store()
    store = ContentAddressedStorage(provider)
    assert provider.head(store.key(store.store_data(b"a"))).content_type == "application/octet-stream"
    assert provider.head(store.key(store.store_data(b"b", "text/x"))).content_type == "text/x"
    assert provider.head(store.key(store.store_stream(io.BytesIO(LARGE), "text/y"))).content_type == "text/y"
    assert {provider.head(store.key(found)).content_type for found in store.store_many([b"c"], "text/z")} == {"text/z"}


@BUCKETS
def test_small_content_is_sent_at_once_and_large_content_asked_for_first(can: tuple[bool, bool]) -> None:
    provider = Store(can)
    store = ContentAddressedStorage(provider, pinned=False)
    asked: list[str] = []
    provider.before = lambda request, key: asked.append(key) if request == "head" else None
    small, large = store.store_data(b"small"), store.store_data(LARGE)
    assert asked == [store.key(address) for address in ([large] if can[0] else [small, large])]
    absent = WriteCondition.absent()
    assert provider.written() == [
        (store.key(small), absent if can[0] else None),
        (store.key(large), absent if can[1] else None),
    ]
    assert store.store_at(digest(LARGE), LARGE) is False
    assert store.store_at(small, b"small") is False
    assert store.store_at(digest(b"new"), b"new") is True


@BUCKETS
@pytest.mark.parametrize("data", [b"small", LARGE], ids=["small", "large"])
def test_without_deduplication_all_is_written_again(data: bytes, can: tuple[bool, bool], tmp_path: Path) -> None:
    provider = Store(can)
    store = ContentAddressedStorage(provider, deduplicate=False)
    (tmp_path / "f").write_bytes(data)
    for _ in range(2):
        store.store_data(data)
        store.store_file(tmp_path / "f")
        store.store_stream(io.BytesIO(data))
        list(store.store_many([data]))
    assert provider.written() == [(store.key(digest(data)), None)] * 8
    assert store.retrieve_data(digest(data)) == data


def test_switched_off_it_refuses() -> None:
    with pytest.raises(ConfigurationError, match="STORAGE_CONTENT_ADDRESSING_ENABLED=false"):
        ContentAddressedStorage(Store(), enabled=False)


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_content_is_pinned_before_it_is_written(many: bool) -> None:
    provider = Store()
    store = ContentAddressedStorage(provider)
    blobs = [b"%d" % number for number in range(5)]
    if many:
        addresses = list(store.store_many(blobs))
        (pins,) = provider.list_files(PINS)
        assert json.loads(provider.get_bytes(pins)) == addresses
        assert [key for key, _ in provider.puts] == [pins, *(store.key(address) for address in addresses)]
    else:
        addresses = [store.store_data(data) for data in blobs]
        expected = [(f"{PINS}{address}", store.key(address)) for address in addresses]
        assert [key for key, _ in provider.puts] == list(itertools.chain.from_iterable(expected))
    provider.puts.clear()
    for pinned, scheme in ((False, SHA256), (True, DVC_MD5)):
        ContentAddressedStorage(provider, "other/", scheme=scheme, pinned=pinned).store_data(b"x")
    assert not any(key.startswith(PINS) for key, _ in provider.puts)


def test_content_that_cannot_be_pinned_is_not_written() -> None:
    provider = Store()

    def refuse(request: str, key: str) -> None:
        if key.startswith(PINS):
            raise AccessDenied("no", provider="memory")

    provider.before = refuse
    store = ContentAddressedStorage(provider)
    for call in (lambda: store.store_data(b"a"), lambda: list(store.store_many([b"a", b"b"]))):
        with pytest.raises(AccessDenied):
            call()
    assert provider.list_files() == []


@BUCKETS
@pytest.mark.parametrize("way", ["data", "large", "many"])
def test_content_that_is_collected_after_it_was_found_is_written_again(way: str, can: tuple[bool, bool]) -> None:
    """A collection that began before the content was pinned deletes it between the look and the end."""
    provider = Store(can)
    data = LARGE if way == "large" else b"a"
    key = SHA256.key("cas/", digest(data))
    ContentAddressedStorage(provider, pinned=False).store_data(data)

    def collect(request: str, at: str) -> None:
        if at.startswith(LEASES):  # whoever waits for the lease has it before
            provider.delete(key)

    provider.before = collect
    store = ContentAddressedStorage(provider)
    if way == "many":
        list(store.store_many([data, b"b"]))
        assert store.retrieve_data(digest(b"b")) == b"b"
    else:
        store.store_data(data)
    assert store.retrieve_data(digest(data)) == data
    assert provider.list_files(LEASES) == []


@BUCKETS
def test_many_that_are_there_take_one_lease(can: tuple[bool, bool]) -> None:
    provider = Store(can)
    store = ContentAddressedStorage(provider)
    blobs = [b"%d" % number for number in range(300)]
    addresses = list(store.store_many(blobs))
    before = {key: provider.head(key).etag for key in provider.content()}
    provider.puts.clear()
    assert list(store.store_many([*blobs, b"new"])) == [*addresses, digest(b"new")]
    assert sum(key.startswith(LEASES) for key, _ in provider.puts) == 1
    assert {key: provider.head(key).etag for key in before} == before


@BUCKETS
@pytest.mark.parametrize("wrong", [b"", b"cut"], ids=["empty", "short"])
def test_what_cannot_be_this_content_is_replaced(wrong: bytes, can: tuple[bool, bool]) -> None:
    provider = Store(can)
    store = ContentAddressedStorage(provider)
    for data in (b"content", LARGE):
        provider.spoil(store.key(digest(data)), wrong, digest(wrong))
        store.store_data(data)
        assert store.retrieve_data(digest(data)) == data


# -- many at once


@BUCKETS
@SCHEMES
def test_many_come_in_their_order_and_each_content_once(can: tuple[bool, bool], scheme: AddressScheme) -> None:
    provider = Store(can)
    store = ContentAddressedStorage(provider, scheme=scheme)
    blobs = [b"%d" % (number % 700) for number in range(2500)]
    assert list(store.store_many(iter(blobs))) == [digest(data, scheme) for data in blobs]
    assert len(provider.content()) == 700
    assert len({provider.head(key).etag for key in provider.content()}) == 700
    for data in blobs[:700]:
        assert store.retrieve_data(digest(data, scheme)) == data
    assert list(store.store_many([])) == []


@pytest.mark.parametrize(("size", "most"), [(4, 1000), (MIB, 33)])
def test_many_are_taken_as_they_are_stored(size: int, most: int) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        for number in itertools.count():
            taken += 1
            yield number.to_bytes(4, "big") * (size // 4)

    found = ContentAddressedStorage(Store(), pinned=False).store_many(endless())
    assert taken == 0
    next(found)
    assert taken <= most
    for _ in range(most):
        next(found)
    assert taken <= 2 * most


def test_where_one_of_many_fails_those_that_were_told_are_there() -> None:
    provider = Store()
    store = ContentAddressedStorage(provider)
    bad = store.key(digest(b"1500"))

    def fail(request: str, key: str) -> None:
        if (request, key) == ("put", bad):
            raise AccessDenied("no", provider="memory", key=key)

    provider.before = fail
    told: list[str] = []
    with pytest.raises(AccessDenied):
        told.extend(store.store_many(b"%d" % number for number in range(3000)))
    taken: list[str] = []
    found = store.store_many(b"%d" % number for number in range(3000))
    with pytest.raises(AccessDenied):
        for address in found:
            taken.append(address)
    assert len(taken) == 1000
    assert all(store.exists(address) for address in taken)


def test_which_are_missing() -> None:
    provider = Store()
    store = ContentAddressedStorage(provider)
    there = store.store_data(b"a")
    others = [digest(b"b"), digest(b"c")]
    assert store.missing([others[0], there, others[1]]) == others
    assert store.missing([]) == []
    with pytest.raises(InvalidRequest):
        store.missing(["x"])

    def fail(request: str, key: str) -> None:
        raise AccessDenied("no", provider="memory", key=key)

    provider.before = fail
    with pytest.raises(AccessDenied):
        store.missing(others)


# -- several writers


@BUCKETS
def test_writers_of_the_same_contents_are_in_nobodys_way(can: tuple[bool, bool], tmp_path: Path) -> None:
    provider = Store(can)
    blobs = [b"%d" % number for number in range(40)]
    (tmp_path / "f").write_bytes(LARGE)
    together = threading.Barrier(8)

    def write(writer: int) -> None:
        store = ContentAddressedStorage(provider)
        together.wait()
        if writer % 2:
            assert list(store.store_many(reversed(blobs))) == [digest(data) for data in reversed(blobs)]
        else:
            assert [store.store_data(data) for data in blobs] == [digest(data) for data in blobs]
        assert store.store_file(tmp_path / "f") == digest(LARGE)

    with ThreadPoolExecutor(8) as writers:
        list(writers.map(write, range(8)))
    store = ContentAddressedStorage(provider)
    assert sorted(found for found, _ in store.list_content()) == sorted(map(digest, [*blobs, LARGE]))
    assert all(store.retrieve_data(digest(data)) == data for data in [*blobs, LARGE])
    assert provider.list_files(LEASES) == []


# -- files and streams that change or fail


@SCHEMES
@BUCKETS
@pytest.mark.parametrize("change", ["rewrite", "append", "empty"])
def test_a_file_that_changes_after_it_was_hashed_is_not_stored(
    change: str, can: tuple[bool, bool], scheme: AddressScheme, tmp_path: Path
) -> None:
    path = tmp_path / "f"

    class Late(Store):
        def upload(self, *arguments: Any, **options: Any) -> ObjectInfo:
            with open(path, "ab" if change == "append" else "r+b" if change == "rewrite" else "wb") as file:
                file.write(b"" if change == "empty" else b"x")
            return super().upload(*arguments, **options)

    for data in (b"small", LARGE):
        path.write_bytes(data)
        provider = Late(can)
        with pytest.raises(LocalFileError, match="changed since it was looked at"):
            ContentAddressedStorage(provider, scheme=scheme).store_file(path)
        assert provider.content() == []


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    provider = Store()
    store = ContentAddressedStorage(provider)
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing", "pipe", "."):
        with pytest.raises(LocalFileError):
            store.store_file(tmp_path / name)
    assert provider.list_files() == []


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_long_stream_leaves_no_temporary_file(temporary: Path) -> None:
    provider = Store()
    seen: list[int] = []
    provider.before = lambda request, key: seen.append(len(list(temporary.iterdir())))
    store = ContentAddressedStorage(provider)
    store.store_stream(io.BytesIO(LARGE))
    assert max(seen) == 1
    assert list(temporary.iterdir()) == []

    def fail(request: str, key: str) -> None:
        raise AccessDenied("no", provider="memory")

    provider.before = fail
    with pytest.raises(AccessDenied):
        store.store_stream(io.BytesIO(LARGE + b"other"))
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("after", [0, 2 * MIB])
def test_a_stream_that_fails_fails_with_its_own_error_and_nothing_is_stored(after: int, temporary: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= after:
                raise ConnectionResetError("the other side has gone")
            return super().read(size)

    provider = Store()
    with pytest.raises(ConnectionResetError):
        ContentAddressedStorage(provider).store_stream(Broken(LARGE))
    assert provider.list_files() == []
    assert list(temporary.iterdir()) == []


def test_no_room_and_no_place_for_a_temporary_file_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ContentAddressedStorage(Store())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(LocalFileError, match="there is no such file or folder"):
        store.store_stream(io.BytesIO(LARGE))
    full = open("/dev/full", "wb", buffering=0)  # noqa: SIM115 - closed by the call
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", lambda **options: full)
    with pytest.raises(InsufficientStorage, match="no room to write"):
        store.store_stream(io.BytesIO(LARGE))


def test_a_stream_of_single_bytes_is_no_work() -> None:
    data = os.urandom(200_000)
    assert ContentAddressedStorage(Store()).store_stream(Trickle(data, 1)) == digest(data)  # type: ignore[arg-type]


# -- reading what is not as it should be

SPOILT = {
    "its bytes were changed": lambda data: (b"!" + data[1:], digest(data)),
    "changed, and nothing kept beside it": lambda data: (b"!" + data[1:], None),
    "another's, whole": lambda data: (b"!" + data[1:], digest(b"!" + data[1:])),
    "longer": lambda data: (data + b"!", digest(data)),
    "shorter": lambda data: (data[:-1], None),
    "empty": lambda data: (b"", None),
}


@SCHEMES
@pytest.mark.parametrize("how", SPOILT)
@pytest.mark.parametrize("data", [b"some content", LARGE], ids=["small", "large"])
def test_corrupt_content_is_never_returned_and_the_error_has_both_hashes(
    how: str, data: bytes, scheme: AddressScheme, tmp_path: Path
) -> None:
    provider = Store()
    store = ContentAddressedStorage(provider, scheme=scheme)
    address = store.store_data(data)
    spoilt, kept = SPOILT[how](data)
    provider.spoil(store.key(address), spoilt, kept)
    (tmp_path / "out").write_bytes(b"before")

    def to_the_end() -> None:
        with store.open_content(address) as stream:
            while stream.read(1000):
                pass

    for read in (
        lambda: store.retrieve_data(address),
        lambda: store.verify(address),
        lambda: store.retrieve_file(address, tmp_path / "out"),
        to_the_end,
    ):
        with pytest.raises(ContentCorrupted) as refused:
            read()
        error = refused.value
        assert error.key == store.key(address)
        assert error.expected is not None
        assert error.actual == ContentHash(
            error.expected.algorithm, hashlib.new(error.expected.algorithm, spoilt).hexdigest()
        )
        assert error.expected in {ContentHash("sha256", digest(data)), ContentHash(scheme.algorithm, address)}
        assert error.actual.digest[:12] in error.message
        assert error.expected.digest[:12] in error.message
    assert (tmp_path / "out").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@SCHEMES
def test_content_without_a_hash_beside_it_is_verified_by_its_address(scheme: AddressScheme, tmp_path: Path) -> None:
    """As others put it there, `dvc push` for one."""
    provider = Store()
    store = ContentAddressedStorage(provider, scheme=scheme)
    address = store.store_data(b"data")
    provider.spoil(store.key(address), b"data", None)
    assert store.retrieve_data(address) == b"data"
    assert store.verify(address) == 4
    assert store.retrieve_file(address, tmp_path / "f").size == 4
    assert store.get_metadata(address)["sha256"] is None


def test_a_read_goes_on_failing_and_a_part_of_it_tells_nothing() -> None:
    provider = Store()
    store = ContentAddressedStorage(provider)
    address = store.store_data(b"data")
    provider.spoil(store.key(address), b"!ata", digest(b"!ata"))
    with store.open_content(address) as stream:
        assert stream.read(3) == b"!at"
        for _ in range(2):
            with pytest.raises(ContentCorrupted):
                stream.read(1)
    with pytest.raises(ValueError, match="closed"):
        stream.read()


def test_a_stream_can_be_buffered_and_read_into() -> None:
    store = ContentAddressedStorage(Store(), scheme=DVC_MD5)
    lines = b"".join(b"%d\n" % number for number in range(10_000))
    stream = store.open_content(store.store_data(lines))
    assert stream.readable()
    assert stream.info.size == len(lines)
    buffer = bytearray(10)
    assert stream.readinto(buffer) == 10
    assert b"".join(io.BufferedReader(stream, 100)) == lines[10:]
    assert bytes(buffer) == lines[:10]


@SCHEMES
def test_what_is_not_there_and_what_is_no_hash(scheme: AddressScheme, tmp_path: Path) -> None:
    provider = Store()
    store = ContentAddressedStorage(provider, scheme=scheme)
    calls: list[Callable[[str], object]] = [
        store.open_content,
        store.retrieve_data,
        store.verify,
        store.get_metadata,
        lambda address: store.retrieve_file(address, tmp_path / "out"),
    ]
    address = digest(b"", scheme)
    for call in calls:
        with pytest.raises(ObjectNotFound, match=r"there is no content .* in memory:memory") as refused:
            call(address)
        assert refused.value.key == store.key(address)
    assert not store.exists(address)
    for call in (*calls, store.exists, store.delete_content, store.key, lambda address: store.store_at(address, b"")):
        for wrong in ("", "../../x", f"{address}0", address[:-1]):
            with pytest.raises(InvalidRequest):
                call(wrong)
    assert provider.list_files() == []
    assert list(tmp_path.iterdir()) == []


def test_a_missing_bucket_is_not_missing_content() -> None:
    store = ContentAddressedStorage(MemoryProvider({}).for_bucket("none"))
    address = digest(b"")
    calls: Iterable[Callable[[], object]] = (
        lambda: store.retrieve_data(address),
        lambda: store.exists(address),
        lambda: store.missing([address]),
        lambda: store.store_data(b""),
        lambda: list(store.store_many([b""])),
        lambda: list(store.list_content()),
        lambda: store.delete_content(address),
    )
    for call in calls:
        with pytest.raises(BucketNotFound):
            call()


def test_only_content_is_listed() -> None:
    provider = Store()
    store = ContentAddressedStorage(provider)
    address = store.store_data(b"a")
    for key in (
        f"cas/{address}",
        f"cas/zz/{address}",
        f"cas/ab/{'ab' * 32}.tmp",
        "cas/x",
        f"dvc/files/md5/aa/{'a' * 30}",
    ):
        provider.put_bytes(key, b"?")
    ((found, info),) = store.list_content()
    assert (found, info.key, info.size) == (address, store.key(address), 1)
    md5 = ContentAddressedStorage(provider, "dvc/", scheme=DVC_MD5)
    assert [found for found, _ in md5.list_content()] == ["a" * 32]


def test_a_manifest_is_content_too() -> None:
    store = ContentAddressedStorage(Store(), "dvc/", scheme=DVC_MD5)
    address = f"{digest(b'[]', DVC_MD5)}.dir"
    assert store.store_at(address, b"[]")
    assert store.key(address) == "dvc/files/md5/d7/51713988987e9331980363e24189ce.dir"
    assert store.retrieve_data(address) == b"[]"
    assert [found for found, _ in store.list_content()] == [address]
    assert not store.exists(address.removesuffix(".dir"))


def test_deleting_takes_the_pin_first() -> None:
    provider = Store()
    store = ContentAddressedStorage(provider)
    address = store.store_data(b"a")
    deleted: list[str] = []
    real = provider.delete

    def delete(key: str) -> None:
        deleted.append(key)
        real(key)

    provider.delete = delete  # type: ignore[method-assign]
    store.delete_content(address.upper())
    assert deleted == [f"{PINS}{address}", store.key(address)]
    assert provider.list_files() == []


def test_a_condition_that_nobody_set_is_an_error() -> None:
    """A store that refuses a plain write must not pass for one that has the content."""
    provider = Store((False, False))

    def refuse(request: str, key: str) -> None:
        if request == "put" and key.startswith("cas/"):
            raise PreconditionFailed("no", provider="memory")

    provider.before = refuse
    for pinned in (True, False):
        store = ContentAddressedStorage(provider, pinned=pinned)
        for call in (lambda: store.store_data(b"a"), lambda: list(store.store_many([b"a"]))):  # noqa: B023 - called at once
            with pytest.raises(StorageError):
                call()
