"""Copies from another account or another store to an S3-compatible one, whose bytes come by here."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from ceph_rgw import CephRgw
from plain_client import make_bucket
from stub_store import Reply, Request, refusal
from watched_stores import (
    MIB,
    bucket_of,
    copies,
    everything,
    line,
    made,
    no_pauses,
    plain,
    reads,
    store,
    writes,
)

from domain import errors
from domain.streams import ObjectReader
from infrastructure.storage.providers.memory_provider import MemoryProvider

__all__ = ["line", "made", "no_pauses", "plain", "store"]

BODY = random.Random(3).randbytes(17 * MIB + 3)
SHA256 = hashlib.sha256(BODY).hexdigest()


# -- two accounts, two stores


@pytest.fixture
def stranger(ceph_rgw: CephRgw) -> Iterator[SimpleNamespace]:
    """Another user of the same server."""
    keys = f"STRANGER{random.SystemRandom().randrange(1 << 40):X}", "str4nger-s3cret-str4nger-s3cret"
    ceph_rgw.admin(
        "user",
        "create",
        f"--uid={keys[0].lower()}",
        "--display-name=x",
        f"--access-key={keys[0]}",
        f"--secret-key={keys[1]}",
    )
    return SimpleNamespace(http_url=ceph_rgw.http_url, access_key=keys[0], secret_key=keys[1])


@pytest.mark.parametrize("size", [5000, len(BODY)])
def test_between_two_accounts_the_bytes_come_by_here(store, made, stranger, line, plain, size: int) -> None:
    keys = {"access_key_id": stranger.access_key, "secret_access_key": stranger.secret_key}
    origin = made(bucket_name=make_bucket(stranger), **keys)
    origin.put_bytes("a//b", BODY[:size], content_type="image/x-own", metadata={"run": "µ"})
    with pytest.raises(ClientError):
        plain.head_object(Bucket=bucket_of(origin), Key="a//b")
    line.requests.clear()
    info = store.copy_from(origin, "a//b", "c//d")
    assert not copies(line) and reads(line) and writes(line)
    assert all(bucket_of(store) in request.path for request in writes(line))
    found = plain.get_object(Bucket=bucket_of(store), Key="c//d")
    assert found["Body"].read() == BODY[:size]
    assert (found["ContentType"], found["Metadata"]["sha256"], info.sha256) == (
        "image/x-own",
        *[hashlib.sha256(BODY[:size]).hexdigest()] * 2,
    )
    with pytest.raises(errors.AccessDenied):
        store.for_bucket(bucket_of(origin)).get_bytes("a//b")


def test_at_another_address_the_bytes_come_by_here(store, made, ceph_rgw, line, plain) -> None:
    origin = made(endpoint_url=ceph_rgw.https_url, ca_bundle=str(ceph_rgw.ca_bundle))
    origin.put_bytes("k", BODY)
    store.copy_from(origin, "k", "k")
    origin.copy_from(store, "k", "l")
    assert not copies(line)
    for provider, key in ((store, "k"), (origin, "l")):
        assert plain.get_object(Bucket=bucket_of(provider), Key=key)["Body"].read() == BODY


# -- streams of what is known


@pytest.fixture
def memory() -> MemoryProvider:
    provider = MemoryProvider({})
    provider.put_bytes("k", BODY, content_type="image/x-own", metadata={"run": "µ"})
    return provider


def test_a_large_object_goes_to_its_place_at_once(store, memory, line, plain) -> None:
    told: list[int] = []
    info = store.copy_from(memory, "k", "a//l", progress=told.append)
    assert sum(told) == len(BODY)
    assert not copies(line)
    assert {request.path for request in line.requests} == {f"/{bucket_of(store)}/a//l"}
    assert sorted(len(request.body) for request in writes(line)) == [2 * MIB + 3, 5 * MIB, 5 * MIB, 5 * MIB]
    found = plain.get_object(Bucket=bucket_of(store), Key="a//l")
    assert found["Body"].read() == BODY
    assert (found["ContentType"], found["Metadata"]["sha256"], info.sha256) == ("image/x-own", SHA256, SHA256)
    assert dict(info.metadata or {}) == {"run": "µ"}
    assert everything(plain, store) == ["a//l"]


class Damaging(MemoryProvider):
    """The last byte is another one; `careless` ones don't look."""

    careless = False

    def open_reader(self, key: str, **rest: Any) -> ObjectReader:
        reader = super().open_reader(key, **rest)
        data = reader._source.getvalue()  # type: ignore[attr-defined]
        whole = data[:-1] + bytes([data[-1] ^ 1])
        parts = iter([whole[at : at + MIB] for at in range(0, len(whole), MIB)])
        reader._source = SimpleNamespace(read=lambda size: next(parts, b""), close=lambda: None)  # type: ignore[assignment]
        if self.careless:
            reader._check = None
        return reader


@pytest.mark.parametrize("careless", [False, True])
def test_a_large_object_that_is_damaged_leaves_nothing(store, line, plain, careless: bool) -> None:
    origin = Damaging({})
    origin.careless = careless
    origin.put_bytes("k", BODY)
    store.put_bytes("l", b"old")
    with pytest.raises(errors.ContentCorrupted):
        store.copy_from(origin, "k", "l")
    assert writes(line)[1:], "parts were sent"
    assert plain.get_object(Bucket=bucket_of(store), Key="l")["Body"].read() == b"old"
    assert everything(plain, store) == ["l"]


@pytest.mark.parametrize("size", [10, 11 * MIB])
def test_a_writer_publishes_what_was_announced_and_nothing_else(store, plain, memory, size: int) -> None:
    said = memory.put_bytes("said", BODY[:size])
    with (
        pytest.raises(errors.ContentCorrupted, match="nothing was written"),
        store.open_writer_of_copy(said, "l") as writer,
    ):
        writer.write(BODY[: size - 1] + b"?")
    assert everything(plain, store) == []


def test_a_part_that_never_arrives_leaves_nothing(store, memory, line, plain) -> None:
    real = line.answer
    line.answer = lambda request: refusal(503, "SlowDown") if request.query.get("partNumber") == "2" else real(request)
    with pytest.raises(errors.TooManyRequests):
        store.copy_from(memory, "k", "l")
    assert everything(plain, store) == []


def test_the_next_bytes_are_read_while_a_part_is_sent(store, line, plain) -> None:
    """The first part does not arrive before the third was read."""
    third, real, late = threading.Event(), line.answer, []

    class Watched(MemoryProvider):
        def open_reader(self, key: str, **rest: Any) -> ObjectReader:
            reader = super().open_reader(key, **rest)
            read, so_far = reader._source.read, [0]

            def watched(size: int) -> bytes | None:
                data = read(size)
                so_far[0] += len(data or b"")
                if so_far[0] > 11 * MIB:
                    third.set()
                return data

            reader._source = SimpleNamespace(read=watched, close=reader._source.close)  # type: ignore[assignment]
            return reader

    def answer(request: Request) -> Reply:
        if request.query.get("partNumber") == "1" and not third.wait(30):
            late.append(request)
        return real(request)

    line.answer = answer
    origin = Watched({})
    origin.put_bytes("k", BODY)
    store.copy_from(origin, "k", "l")
    assert not late
    assert plain.get_object(Bucket=bucket_of(store), Key="l")["Body"].read() == BODY


def test_a_stream_of_unknown_content_still_finds_its_place(store, line, plain) -> None:
    with store.open_writer("l") as writer:
        writer.write(BODY)
    (copy,) = copies(line)
    assert copy.headers["x-amz-copy-source"].startswith(f"{bucket_of(store)}/temp/")
    assert copy.headers["x-amz-meta-sha256"] == SHA256
    assert everything(plain, store) == ["l"]
