"""What a store sees of the limits: requests at a time, requests and bytes a second, bytes in memory."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from stub_store import Reply, Request, StubStore, refusal

from domain.content import ContentHash
from domain.objects import ObjectInfo
from domain.storage import IStorageProvider
from infrastructure.storage.storage_factory import StorageProviderFactory

KIB = 1 << 10
MIB = 1 << 20
PATIENCE = 30.0


class Kept:
    """Keeps objects, and counts who is there at a time.

    Attributes:
        allowed: requests at a time; others are refused.
        refuse_first: so many requests are refused, whoever else is there.
        seconds: that an answer takes.
        counts: how many were there, the request itself included, for each request.
    """

    def __init__(self, allowed: int = 1000, seconds: float = 0.0) -> None:
        self.allowed = allowed
        self.seconds = seconds
        self.refuse_first = 0
        self.retry_after = ""
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.parts: dict[int, bytes] = {}
        self.lock = threading.Lock()
        self.now = 0
        self.counts: list[int] = []
        self.times: list[float] = []
        self.refused: list[float] = []

    def __call__(self, request: Request) -> Reply:
        with self.lock:
            self.now += 1
            self.counts.append(self.now)
            self.times.append(time.monotonic())
            refused = self.now > self.allowed or len(self.times) <= self.refuse_first
            if refused:
                self.refused.append(time.monotonic())
        try:
            time.sleep(self.seconds)
            if refused:
                more = {"retry_after": self.retry_after} if self.retry_after else {}
                return refusal(503, "SlowDown", **more)
            return self._answer(request)
        finally:
            with self.lock:
                self.now -= 1

    def _answer(self, request: Request) -> Reply:
        key = request.path.removeprefix("/bucket/")
        if "uploads" in request.query:
            return Reply(
                body=b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
                headers={"content-type": "application/xml"},
            )
        if "partNumber" in request.query:
            self.parts[int(request.query["partNumber"])] = request.body
            return Reply(headers={"etag": '"p"'})
        if request.method == "POST":
            self.objects[key] = b"".join(body for _, body in sorted(self.parts.items())), ""
            return Reply(
                body=b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>",
                headers={"content-type": "application/xml"},
            )
        if request.method == "PUT":
            self.objects[key] = request.body, request.headers.get("x-amz-meta-sha256", "")
            return Reply(headers={"etag": '"e"'})
        if key not in self.objects:
            return refusal(404, "NoSuchKey" if key else "NoSuchBucket")
        body, sha256 = self.objects[key]
        headers = {"etag": '"e"', "x-amz-meta-sha256": sha256, "content-length": str(len(body))}
        if (asked := request.headers.get("range")) and body:
            start, _, stop = asked.removeprefix("bytes=").partition("-")
            part = body[int(start) : int(stop or len(body)) + 1]
            whole = f"bytes {start}-{int(start) + len(part) - 1}/{len(body)}"
            return Reply(206, part, headers | {"content-range": whole, "content-length": str(len(part))})
        return Reply(200, body if request.method == "GET" else b"", headers)


class File(NamedTuple):
    path: str
    key: str
    size: int
    content: ContentHash | None = None


def files(folder: Path, count: int, size: int = 100) -> list[File]:
    folder.mkdir()
    made = []
    for number in range(count):
        path = folder / f"f{number}"
        path.write_bytes(number.to_bytes(4, "big") * (size // 4))
        made.append(File(str(path), f"f{number}", size))
    return made


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def server(kept: Kept) -> Iterator[StubStore]:
    with StubStore(kept) as server:
        yield server


def provider(server: StubStore, **settings: Any) -> IStorageProvider:
    return StorageProviderFactory.create(
        {
            "provider_type": "minio",
            "endpoint_url": server.url,
            "access_key_id": "access",
            "secret_access_key": "secret",
            "bucket_name": "bucket",
            **settings,
        }
    )


def all_stored(store: IStorageProvider, sources: list[File], kept: Kept) -> None:
    for file, result in store.upload_many(iter(sources)):
        assert isinstance(result, ObjectInfo), (file, result)
    assert {key: body for key, (body, _) in kept.objects.items()} == {
        file.key: Path(file.path).read_bytes() for file in sources
    }


def test_a_store_that_refuses_above_four_gets_all_files(server: StubStore, kept: Kept, tmp_path: Path) -> None:
    kept.allowed, kept.seconds = 4, 0.01
    sources = files(tmp_path / "in", 400)
    with_limits = provider(server)
    all_stored(with_limits, sources, kept)
    assert max(kept.counts) > 4, "it began with more"
    assert max(kept.counts[len(kept.counts) // 2 :]) <= 6, "and went down"
    assert len(kept.refused) < 100
    wanted = [File(str(tmp_path / "out" / file.key), file.key, file.size) for file in sources]
    assert all(isinstance(result, ObjectInfo) for _, result in with_limits.download_many(wanted))
    assert all(isinstance(result, ObjectInfo) for _, result in with_limits.head_many(file.key for file in sources))
    for file, got in zip(sources, wanted, strict=True):
        assert Path(got.path).read_bytes() == Path(file.path).read_bytes()
    with_limits.disconnect()


def test_a_pause_that_is_asked_for_is_kept(server: StubStore, kept: Kept) -> None:
    """By all: while the first key waits, the next ones are not asked for either."""
    kept.refuse_first, kept.retry_after = 1, "1"
    store = provider(server, concurrency=1)  # nothing else is on its way when the refusal comes
    kept.objects[""] = b"", ""  # the bucket
    assert sum(1 for _ in store.head_many(f"k{number}" for number in range(5))) == 5
    assert kept.times[1] - kept.refused[0] >= 0.95
    store.disconnect()


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_are_under_way_than_allowed(server: StubStore, kept: Kept, tmp_path: Path, concurrency: int) -> None:
    kept.seconds = 0.003
    sources = files(tmp_path / "in", 60)
    store = provider(server, concurrency=concurrency)
    threads = [
        threading.Thread(target=store.put_bytes, args=(f"by-itself/{number}", b"data"), daemon=True)
        for number in range(10)
    ]
    for thread in threads:
        thread.start()
    assert all(isinstance(result, ObjectInfo) for _, result in store.upload_many(sources))
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert len(kept.objects) == 70
    assert max(kept.counts) <= concurrency
    store.disconnect()


def test_a_thread_with_many_under_way_may_do_others_meanwhile(server: StubStore, kept: Kept, tmp_path: Path) -> None:
    """The many hold all turns and their share of memory; a large download between two of them needs some of both."""
    body = bytes(20 * MIB)
    kept.objects["large"] = body, hashlib.sha256(body).hexdigest()
    store = provider(server, concurrency=2, memory=4 * MIB)
    sources = files(tmp_path / "in", 12, 300 * KIB)
    done = threading.Event()

    def work() -> None:
        results = store.upload_many(sources)
        for _ in range(3):
            next(results)
            inner = store.head_many(["large", "large"])
            next(inner)
            store.download("large", str(tmp_path / "large"))
            assert sum(1 for _ in inner) == 1
        assert sum(1 for _ in results) == 9
        done.set()

    threading.Thread(target=work, daemon=True).start()
    assert done.wait(PATIENCE)
    assert (tmp_path / "large").read_bytes() == body
    store.disconnect()


def test_the_bodies_of_many_stay_below_the_memory(server: StubStore, kept: Kept, tmp_path: Path) -> None:
    kept.seconds = 0.01
    sources = files(tmp_path / "in", 30, 600 * KIB)
    store = provider(server, memory=8 * MIB)  # a quarter of it for many at a time
    all_stored(store, sources, kept)
    assert 1 < max(kept.counts) <= 3
    store.disconnect()


@pytest.mark.parametrize(("memory", "at_a_time"), [("16MiB", 2), ("1MiB", 1), ("256MiB", 6)])
def test_the_parts_of_a_large_file_stay_below_the_memory(
    server: StubStore, kept: Kept, tmp_path: Path, memory: str, at_a_time: int
) -> None:
    kept.seconds = 0.2
    (file,) = files(tmp_path / "in", 1, 40 * MIB)
    store = provider(server, memory=memory, multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    store.upload(file.path, "large")
    assert kept.objects["large"][0] == Path(file.path).read_bytes()
    assert max(kept.counts) <= at_a_time
    assert max(kept.counts) == at_a_time or at_a_time == 6
    store.disconnect()


@pytest.mark.parametrize(("count", "size"), [(40, 20 * KIB), (2, 400 * KIB), (1, 800 * KIB)])
def test_no_more_bytes_a_second_than_allowed(
    server: StubStore, kept: Kept, tmp_path: Path, count: int, size: int
) -> None:
    sources = files(tmp_path / "in", count, size)
    store = provider(server, bandwidth="512KiB")
    began = time.monotonic()
    all_stored(store, sources, kept)
    up = time.monotonic() - began
    wanted = [File(str(tmp_path / "out" / file.key), file.key, file.size) for file in sources]
    assert all(isinstance(result, ObjectInfo) for _, result in store.download_many(wanted))
    down = time.monotonic() - began - up
    # What may be made up for, and the last piece, which need not be waited for.
    at_least = (count * size - 128 * KIB) / (512 * KIB)
    assert up >= at_least
    assert down >= at_least
    store.disconnect()


def test_no_more_requests_a_second_than_allowed(server: StubStore, kept: Kept, tmp_path: Path) -> None:
    store = provider(server, requests_per_second=50)
    kept.objects["k"] = b"data", ""
    began = time.monotonic()
    assert sum(1 for _ in store.head_many(["k"] * 20)) == 20
    assert time.monotonic() - began >= 19 / 50
    began = time.monotonic()
    threads = [threading.Thread(target=store.head, args=("k",), daemon=True) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(kept.times) == 30
    assert time.monotonic() - began >= 9 / 50
    store.disconnect()
