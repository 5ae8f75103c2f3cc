"""What goes wrong on the way: connections cut anywhere, objects that rot or are replaced, files that change underfoot."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ceph_rgw import CephRgw
from plain_client import plain_client
from stub_store import PassOn, Reply, Request, StubStore, refusal

from domain import errors
from domain.storage import IStorageProvider, WriteCondition
from infrastructure.storage.storage_factory import StorageProviderFactory

MIB = 1 << 20
KEYS = ["plain/key", "odd//key"]  # two clients read them
BODY = random.Random(1).randbytes(30 * MIB + 7)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried at once."""
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda seconds: None))


@pytest.fixture
def line(ceph_rgw: CephRgw) -> Iterator[StubStore]:
    """The way to a real server, on which a test can do harm."""
    with StubStore(PassOn(ceph_rgw.http_url)) as between:
        yield between


@pytest.fixture
def bucket(ceph_rgw: CephRgw, new_bucket: Callable[..., str]) -> str:
    return new_bucket(ceph_rgw)


@pytest.fixture
def plain(ceph_rgw: CephRgw) -> Iterator[Any]:
    client = plain_client(ceph_rgw)
    yield client
    client.close()


@pytest.fixture
def store(ceph_rgw: CephRgw, line: StubStore, bucket: str) -> Iterator[IStorageProvider]:
    provider = StorageProviderFactory.create(
        {
            "provider_type": "s3",
            "endpoint_url": line.url,
            "access_key_id": ceph_rgw.access_key,
            "secret_access_key": ceph_rgw.secret_key,
            "bucket_name": bucket,
            "quoted_etags": False,
            "max_attempts": 4,
            "multipart_threshold": 16 * MIB,
            "multipart_chunksize": 5 * MIB,
        }
    )
    yield provider
    provider.disconnect()


@pytest.fixture
def put(plain: Any, bucket: str) -> Callable[..., None]:
    """Stores bytes by boto3, with the SHA-256 of what they should be."""

    def write(key: str, body: bytes, of: bytes | None = None) -> None:
        sha256 = hashlib.sha256(body if of is None else of).hexdigest()
        plain.put_object(Bucket=bucket, Key=key, Body=body, Metadata={"sha256": sha256})

    return write


@pytest.fixture
def left(plain: Any, bucket: str) -> Callable[[], list[str]]:
    """All that is in the bucket, unfinished uploads too."""

    def everything() -> list[str]:
        objects = plain.list_objects_v2(Bucket=bucket).get("Contents", [])
        uploads = plain.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        return [entry["Key"] for entry in objects] + [f"upload of {entry['Key']}" for entry in uploads]

    return everything


def harm(line: StubStore, when: Callable[[Request], bool], how: Callable[[Reply], Reply], times: int = 1) -> list[str]:
    """Have the next answers harmed; the ranges that were asked for by the requests concerned."""
    real, asked, counter = line.answer, [], iter(range(times))

    def answer(request: Request) -> Reply:
        reply = real(request)
        if when(request):
            asked.append(request.headers.get("range", ""))
            if next(counter, None) is not None:
                return how(reply)
        return reply

    line.answer = answer
    return asked


def is_get(request: Request) -> bool:
    return request.method == "GET" and "list-type" not in request.query


def cut(at: int) -> Callable[[Reply], Reply]:
    """The connection ends in the middle of an answer."""
    return lambda reply: Reply(reply.status, reply.body, reply.headers, cut_after=at)


def truncated(at: int) -> Callable[[Reply], Reply]:
    """An answer that is complete for HTTP, and too short."""
    return lambda reply: Reply(reply.status, reply.body[:at], reply.headers | {"content-length": str(at)})


# -- reading


@pytest.mark.parametrize("key", KEYS)
def test_a_reader_goes_on_where_the_connection_broke(store, line, put, key) -> None:
    put(key, BODY)
    asked = harm(line, is_get, cut(MIB - 1), times=3)
    with store.open_reader(key) as reader:
        parts = []
        while part := reader.read(1_000_003):
            parts.append(part)
    assert b"".join(parts) == BODY
    assert len(asked) == len(set(asked)) + 3
    ranges = [[int(end) for end in value.removeprefix("bytes=").split("-")] for value in dict.fromkeys(asked)]
    assert [begin for begin, _ in ranges] == [0, *(end + 1 for _, end in ranges[:-1])]
    assert ranges[-1][1] == len(BODY) - 1
    assert max(end - begin + 1 for begin, end in ranges) <= 8 * MIB, "more than is to be held in memory"


@pytest.mark.parametrize("key", KEYS)
def test_a_download_repeats_a_range(store, line, put, tmp_path: Path, key) -> None:
    put(key, BODY)
    asked = harm(line, is_get, cut(3 * MIB), times=3)
    seen: list[int] = []
    store.download(key, tmp_path / "f", progress=seen.append)
    assert (tmp_path / "f").read_bytes() == BODY
    assert sum(seen) == len(BODY), "what is fetched again is no progress"
    assert len(asked) == len(set(asked)) + 3


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("size", [1024, len(BODY)])
@pytest.mark.parametrize("how", [cut, truncated])
def test_an_answer_that_never_comes_whole(store, line, put, tmp_path: Path, key, size, how) -> None:
    put(key, BODY[:size])
    (tmp_path / "f").write_text("old")
    harm(line, is_get, how(0), times=100)
    with pytest.raises(errors.StoreUnavailable):
        store.download(key, tmp_path / "f")
    assert [path.name for path in tmp_path.iterdir()] == ["f"] and (tmp_path / "f").read_text() == "old"
    with pytest.raises(errors.StoreUnavailable), store.open_reader(key) as reader:
        reader.read()


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("size", [1, 1024, len(BODY)])
def test_a_corrupt_object(store, put, tmp_path: Path, key, size) -> None:
    put(key, BODY[: size - 1] + bytes([BODY[size - 1] ^ 1]), of=BODY[:size])
    with pytest.raises(errors.ContentCorrupted, match="corrupt"):
        store.download(key, tmp_path / "new" / "f")
    assert not list(tmp_path.rglob("*/*"))
    with pytest.raises(errors.ContentCorrupted), store.open_reader(key) as reader:
        while reader.read(MIB):
            pass
    with pytest.raises(errors.ContentCorrupted):
        store.get_bytes(key)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("what", ["replaced", "replaced by a shorter one", "deleted"])
def test_an_object_that_changes_while_it_is_read(store, line, put, plain, bucket, tmp_path: Path, key, what) -> None:
    put(key, BODY)
    real, changed = line.answer, []

    def answer(request: Request) -> Reply:
        reply = real(request)
        if is_get(request) and not changed:
            changed.append(True)
            if what == "deleted":
                plain.delete_object(Bucket=bucket, Key=key)
            else:
                put(key, bytes(len(BODY)) if what == "replaced" else b"short")
            return cut(9 * MIB)(reply)  # a download asks for less than that, and is not cut
        return reply

    line.answer = answer
    with pytest.raises(errors.PreconditionFailed, match="was replaced or deleted while it was read"):
        store.download(key, tmp_path / "f")
    assert not list(tmp_path.iterdir())
    line.answer = real
    put(key, BODY)
    changed.clear()
    line.answer = answer
    with pytest.raises(errors.PreconditionFailed), store.open_reader(key) as reader:
        reader.read()


# -- writing


def upload_in_parts(store: IStorageProvider, tmp_path: Path, key: str = "k") -> None:
    (tmp_path / "f").write_bytes(BODY[: 17 * MIB])
    assert store.upload(tmp_path / "f", key).sha256 == hashlib.sha256(BODY[: 17 * MIB]).hexdigest()


@pytest.mark.parametrize("fault", ["answer lost", "refused", "connection closed"])
@pytest.mark.parametrize("step", ["uploads", "partNumber", "uploadId"])
def test_each_step_of_an_upload_is_repeated(store, line, plain, bucket, left, tmp_path: Path, step, fault) -> None:
    real, counter = line.answer, iter(range(2))

    def answer(request: Request) -> Reply:
        concerned = step in request.query and (step != "uploadId" or request.method == "POST")
        if concerned and next(counter, None) is not None:
            if fault == "answer lost":
                real(request)
            if fault == "refused":
                return refusal(503, "SlowDown")
            raise ConnectionAbortedError
        return real(request)

    line.answer = answer
    upload_in_parts(store, tmp_path)
    found = plain.get_object(Bucket=bucket, Key="k")
    assert found["Body"].read() == BODY[: 17 * MIB]
    assert [name for name in left() if not (step == "uploads" and fault == "answer lost" and "upload" in name)] == ["k"]


@pytest.mark.parametrize("size", [100, 10 * MIB])
@pytest.mark.parametrize("condition", [None, WriteCondition.absent()])
def test_a_write_whose_answer_is_lost(store, line, put, plain, bucket, tmp_path: Path, size, condition) -> None:
    (tmp_path / "f").write_bytes(BODY[:size])
    real, counter = line.answer, iter(range(1))

    def answer(request: Request) -> Reply:
        reply = real(request)
        if request.method == "PUT" and next(counter, None) is not None:
            raise ConnectionAbortedError
        return reply

    line.answer = answer
    info = store.upload(tmp_path / "f", "k", condition=condition)
    assert info.size == size
    assert plain.get_object(Bucket=bucket, Key="k")["Body"].read() == BODY[:size]


@pytest.mark.parametrize("step", ["complete", "copy"])
def test_an_error_within_a_success(store, line, plain, bucket, left, tmp_path: Path, step) -> None:
    """S3 may begin an answer with 200 before it knows, and then tell of an error."""
    real = line.answer
    error = refusal(200, "InternalError")

    def answer(request: Request) -> Reply:
        if (request.method == "POST" and "uploadId" in request.query) or "x-amz-copy-source" in request.headers:
            return error
        return real(request)

    store.put_bytes("source", b"x")
    line.answer = answer
    if step == "copy":
        with pytest.raises(errors.StoreUnavailable):
            store.copy("source", "k")
        assert left() == ["source"]
        return
    told: list[int] = []
    (tmp_path / "f").write_bytes(BODY[: 17 * MIB])
    with pytest.raises(errors.StoreUnavailable, match="'storage uploads abort'") as raised:
        store.upload(tmp_path / "f", "k", progress=told.append)
    assert raised.value.message.count("run this again") == 1
    assert sum(told) == 17 * MIB, "what was tried again is no progress"
    assert left() == ["source", "upload of k"]
    # All parts are there: what is left is to end it.
    line.answer = real
    line.requests.clear()
    upload_in_parts(store, tmp_path)
    assert [request.method for request in line.requests if "uploadId" in request.query] == ["GET", "POST"]
    assert left() == ["k", "source"]


def test_a_part_that_never_arrives(store, line, left, tmp_path: Path) -> None:
    real = line.answer
    line.answer = lambda request: refusal(503, "SlowDown") if "partNumber" in request.query else real(request)
    with pytest.raises(errors.TooManyRequests):
        upload_in_parts(store, tmp_path)
    assert left() == []


def test_damaged_bytes_are_not_stored(store, line, ceph_rgw, left, tmp_path: Path) -> None:
    """Without TLS a bit that falls over on the way is noticed by the store, for requests are signed with a hash."""
    real = line.answer

    def answer(request: Request) -> Reply:
        if request.method == "PUT":
            request.body = bytes([request.body[0] ^ 1]) + request.body[1:]
        return real(request)

    line.answer = answer
    (tmp_path / "f").write_bytes(BODY[: 10 * MIB])
    for write in (
        lambda: store.put_bytes("k", b"content"),
        lambda: store.put_bytes("a//b", b"content"),
        lambda: store.upload(tmp_path / "f", "k"),
    ):
        with pytest.raises(errors.StorageError):
            write()
    assert left() == []


def test_damaged_parts_are_not_stored(store, line, left, tmp_path: Path) -> None:
    real = line.answer

    def answer(request: Request) -> Reply:
        if "partNumber" in request.query:
            request.body = bytes([request.body[0] ^ 1]) + request.body[1:]
        return real(request)

    line.answer = answer
    with pytest.raises(errors.StorageError):
        upload_in_parts(store, tmp_path)
    assert left() == []


# -- files that change underfoot


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _change_unseen(path: Path) -> None:
    then = path.stat()
    with path.open("r+b") as file:
        file.seek(-5, os.SEEK_END)
        file.write(b"other")
    os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))


# A small file is read once only: what is stored is one state of it, and that it changed unseen does not matter.
CHANGES = [(size, change) for size in (2 * MIB, 10 * MIB, 60 * MIB) for change in (_truncate, _grow, _change_unseen)]
CHANGES.remove((2 * MIB, _change_unseen))


@pytest.mark.parametrize(("size", "change"), CHANGES)
@pytest.mark.parametrize("there", [False, True])
def test_a_file_that_changes_while_it_is_sent(store, left, put, tmp_path: Path, size, change, there) -> None:
    if there:
        put("k", b"old")
    path = tmp_path / "f"
    path.write_bytes((BODY * 2)[:size])
    calls = []

    def progress(_: int) -> None:
        calls.append(1)
        if len(calls) == 1:
            change(path)

    with pytest.raises(errors.LocalFileError, match="changed while it was read") as raised:
        store.upload(path, "k", progress=progress)
    assert calls and str(path) in str(raised.value)
    assert left() == (["k"] if there else [])
    if there:
        assert store.get_bytes("k") == b"old"
