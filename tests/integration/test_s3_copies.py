"""Copies that an S3-compatible store makes within itself: which requests they are, and what is there at the end."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace

import pytest
from stub_store import Reply, Request, refusal
from watched_stores import (
    MIB,
    bucket_of,
    copies,
    everything,
    line,
    made,
    no_pauses,
    origin,
    plain,
    reads,
    store,
    writes,
)

from domain import errors
from domain.storage import IStorageProvider

__all__ = ["line", "made", "no_pauses", "origin", "plain", "store"]

BODY = random.Random(3).randbytes(17 * MIB + 3)
SHA256 = hashlib.sha256(BODY).hexdigest()
KEYS = [
    "a//b",
    "é",
    "e\u0301",
    "a+b",
    "100%",
    "%2F",
    "a b",
    "/lead",
    "trail/",
    "a/../b",
    "?versionId=1#x",
    "a\nb",
    "~'()*!",
]


# -- one store


@pytest.mark.parametrize("key", KEYS)
def test_a_copy_within_the_store_moves_no_bytes_through_here(store, origin, line, plain, key: str) -> None:
    origin.put_bytes(key, BODY[:5000], content_type="image/x-own", metadata={"run": "µ 7", "n": "100 %"})
    line.requests.clear()
    told: list[int] = []
    info = store.copy_from(origin, key, f"to/{key}", progress=told.append)
    assert not reads(line) and not writes(line)
    (copy,) = copies(line)
    assert (copy.method, copy.path) == ("PUT", f"/{bucket_of(store)}/to/{key}")
    assert copy.headers["x-amz-copy-source"].isascii()
    assert {"x-amz-copy-source", "x-amz-copy-source-if-match", "x-amz-metadata-directive"} <= set(
        copy.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    )
    assert copy.headers["x-amz-metadata-directive"] == "COPY"
    assert told == [5000]
    found = plain.get_object(Bucket=bucket_of(store), Key=f"to/{key}")
    assert found["Body"].read() == BODY[:5000]
    assert found["ContentType"] == "image/x-own"
    assert found["Metadata"]["sha256"] == info.sha256 == hashlib.sha256(BODY[:5000]).hexdigest()
    assert dict(info.metadata or {}) == {"run": "µ 7", "n": "100 %"}
    source = plain.head_object(Bucket=bucket_of(origin), Key=key)
    assert found["Metadata"] == source["Metadata"] and found["ETag"] == source["ETag"]


@pytest.mark.parametrize("key", KEYS)
def test_a_copy_within_the_bucket_moves_no_bytes_through_here(store, line, plain, key: str) -> None:
    store.put_bytes(key, b"data")
    line.requests.clear()
    store.copy(key, f"to/{key}")
    assert len(copies(line)) == 1 and not reads(line) and not writes(line)
    assert plain.get_object(Bucket=bucket_of(store), Key=f"to/{key}")["Body"].read() == b"data"


def test_an_object_that_is_its_own_source_is_left_alone(store, made, line) -> None:
    before = store.put_bytes("k", b"data")
    line.requests.clear()
    assert store.copy_from(made(bucket_name=bucket_of(store)), "k", "k").etag == before.etag
    assert {request.method for request in line.requests} == {"HEAD"}


def test_a_source_that_is_too_large_for_one_request_is_copied_in_parts(
    store, origin, line, plain, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(store, monkeypatch)
    origin.put_bytes("a//+é", BODY, content_type="image/x-own", metadata={"run": "µ"})
    line.requests.clear()
    info = store.copy_from(origin, "a//+é", "b//+é")
    assert not reads(line) and not writes(line)
    ranges = {request.query["partNumber"]: request.headers["x-amz-copy-source-range"] for request in copies(line)}
    assert ranges == {
        "1": f"bytes=0-{5 * MIB - 1}",
        "2": f"bytes={5 * MIB}-{10 * MIB - 1}",
        "3": f"bytes={10 * MIB}-{15 * MIB - 1}",
        "4": f"bytes={15 * MIB}-{17 * MIB + 2}",
    }
    found = plain.get_object(Bucket=bucket_of(store), Key="b//+é")
    assert found["Body"].read() == BODY
    assert (found["ContentType"], found["Metadata"]["sha256"], info.sha256) == ("image/x-own", SHA256, SHA256)
    assert everything(plain, store) == ["b//+é"]


def limited(store: IStorageProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the store take no more than 10 MiB in one request, and copied parts of 5 MiB."""
    target = store._engine.target
    store._engine.target = replace(target, dialect=replace(target.dialect, max_put_bytes=10 * MIB))
    monkeypatch.setattr("infrastructure.storage.s3.copies._LEAST_PART_BYTES", 5 * MIB)


@pytest.mark.parametrize(
    ("within", "in_parts"),
    [
        ("the answer is an error", False),
        ("the answer is an error", True),
        ("no XML", False),
        ("no XML", True),
        ("no ETag", True),  # of a part; of an object some stores don't tell it
    ],
)
def test_an_error_within_a_success(
    store, origin, line, plain, monkeypatch: pytest.MonkeyPatch, in_parts: bool, within: str
) -> None:
    """S3 may begin an answer with 200 before it knows, and then tell of an error."""
    if in_parts:
        limited(store, monkeypatch)
    origin.put_bytes("k", BODY)
    name = "CopyPartResult" if in_parts else "CopyObjectResult"
    answers = {
        "the answer is an error": refusal(200, "InternalError"),
        "no ETag": Reply(200, f"<{name}><LastModified/></{name}>".encode()),
        "no XML": Reply(200, b""),
    }
    line.requests.clear()
    real = line.answer
    line.answer = lambda request: answers[within] if "x-amz-copy-source" in request.headers else real(request)
    kind = errors.StoreUnavailable if within == "the answer is an error" else errors.ConfigurationError
    with pytest.raises(kind, match="can't copy 'k'"):
        store.copy_from(origin, "k", "k")
    assert everything(plain, store) == []
    if within == "the answer is an error":
        first = [request for request in copies(line) if request.query.get("partNumber", "1") == "1"]
        assert len(first) >= 3, "it is tried again"


@pytest.mark.parametrize("fault", ["refused", "error in a success", "answer lost"])
@pytest.mark.parametrize("in_parts", [False, True])
def test_a_copy_is_tried_again(
    store, origin, line, plain, monkeypatch: pytest.MonkeyPatch, in_parts: bool, fault: str
) -> None:
    if in_parts:
        limited(store, monkeypatch)
    origin.put_bytes("k", BODY)
    real, left = line.answer, iter(range(2))

    def answer(request: Request) -> Reply:
        if "x-amz-copy-source" in request.headers and next(left, None) is not None:
            if fault == "answer lost":
                real(request)
                raise ConnectionAbortedError
            return refusal(503 if fault == "refused" else 200, "SlowDown")
        return real(request)

    line.answer = answer
    assert store.copy_from(origin, "k", "k").sha256 == SHA256
    assert not writes(line) or all(bucket_of(origin) in request.path for request in writes(line))
    assert plain.get_object(Bucket=bucket_of(store), Key="k")["Body"].read() == BODY
    assert everything(plain, store) == ["k"]


@pytest.mark.parametrize("heeded", [False, True])
@pytest.mark.parametrize("what", ["replaced", "deleted"])
@pytest.mark.parametrize("in_parts", [False, True])
@pytest.mark.parametrize("call", ["copy", "copy_from", "copy_from if unchanged"])
def test_a_source_that_changes_meanwhile(
    store, origin, line, plain, monkeypatch: pytest.MonkeyPatch, in_parts: bool, what: str, heeded: bool, call: str
) -> None:
    """Ceph does not heed the ETag that the source is to have. No copy has one state's bytes with another's hash."""
    if in_parts:
        limited(store, monkeypatch)
    if call == "copy":
        origin = store
    before = origin.put_bytes("k", BODY)
    store.put_bytes("l", b"old")
    real, now = line.answer, BODY[::-1]

    def answer(request: Request) -> Reply:
        if "x-amz-copy-source" not in request.headers:
            return real(request)
        if what == "deleted":
            plain.delete_object(Bucket=bucket_of(origin), Key="k")
        else:
            plain.put_object(
                Bucket=bucket_of(origin), Key="k", Body=now, Metadata={"sha256": hashlib.sha256(now).hexdigest()}
            )
        return refusal(412, "PreconditionFailed") if heeded and what == "replaced" else real(request)

    line.answer = answer
    kind = errors.ObjectNotFound if what == "deleted" else errors.PreconditionFailed
    expected = b"old"
    try:
        if call == "copy":
            info = store.copy("k", "l")
        else:
            info = store.copy_from(origin, "k", "l", if_match=before.etag if call.endswith("unchanged") else None)
    except kind as error:
        assert error.key == "k"
        if call == "copy_from if unchanged" and what == "replaced" and not heeded and not in_parts:
            expected = now  # the store has done it; whole, and with its own hash
        else:
            assert what == "deleted" or call != "copy_from"
    else:
        assert what == "replaced" and call != "copy_from if unchanged"
        expected = now
        assert info.sha256 == hashlib.sha256(now).hexdigest()
    found = plain.get_object(Bucket=bucket_of(store), Key="l")
    assert found["Body"].read() == expected
    assert found["Metadata"]["sha256"] == hashlib.sha256(expected).hexdigest()
    assert "upload of l" not in everything(plain, store)


def test_a_missing_bucket_is_not_a_missing_source(store, origin, made) -> None:
    origin.put_bytes("k", b"data")
    missing = made(bucket_name="not-there-at-all")
    with pytest.raises(errors.BucketNotFound, match="not-there-at-all"):
        missing.copy_from(origin, "k", "k")
    with pytest.raises(errors.BucketNotFound, match="not-there-at-all"):
        store.copy_from(missing, "k", "k")


# -- where the store does not copy as it should


@pytest.mark.parametrize("what", ["501", "metadata lost", "type lost", "hash lost", "other bytes"])
def test_what_the_store_does_not_copy_exactly_comes_by_here(store, origin, line, plain, what: str) -> None:
    origin.put_bytes("k", BODY[:5000], content_type="image/x-own", metadata={"run": "7"})
    real, told = line.answer, []
    own = {"run": "7", "sha256": hashlib.sha256(BODY[:5000]).hexdigest()}

    def answer(request: Request) -> Reply:
        if "x-amz-copy-source" not in request.headers:
            return real(request)
        if what == "501":
            return refusal(501, "NotImplemented")
        reply = real(request)
        plain.put_object(
            Bucket=bucket_of(store),
            Key="l",
            Body=BODY[: 4999 if what == "other bytes" else 5000],
            ContentType="text/plain" if what == "type lost" else "image/x-own",
            Metadata={
                name: own[name] for name in own if name != {"metadata lost": "run", "hash lost": "sha256"}.get(what)
            },
        )
        return reply

    line.answer = answer
    store.copy_from(origin, "k", "l", progress=told.append)
    assert sum(told) == 5000
    found = plain.get_object(Bucket=bucket_of(store), Key="l")
    assert found["Body"].read() == BODY[:5000]
    assert (found["ContentType"], found["Metadata"]) == ("image/x-own", own)


def test_an_object_without_a_hash_gets_one(store, origin, line, plain) -> None:
    plain.put_object(Bucket=bucket_of(origin), Key="k", Body=BODY, ContentType="image/x-own", Metadata={"by": "others"})
    info = store.copy_from(origin, "k", "l", if_match=origin.head("k").etag)
    found = plain.get_object(Bucket=bucket_of(store), Key="l")
    assert found["Body"].read() == BODY
    assert (found["ContentType"], found["Metadata"]) == ("image/x-own", {"by": "others", "sha256": SHA256})
    assert info.sha256 == SHA256
    assert everything(plain, store) == ["l"]
    assert {request.headers["if-match"] for request in reads(line)} == {f'"{origin.head("k").etag}"'}
