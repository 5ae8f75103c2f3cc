"""Conditional writes of many at once: a write that was repeated is no rival of itself, and a rival's is no write of ours."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from stub_store import Reply, Request, refusal
from watched_stores import line, made, no_pauses, plain, store

from application.applying import apply
from application.transfers import plan_upload
from domain.content import ContentHash
from domain.errors import ContentCorrupted, LocalFileError, PreconditionFailed, StorageError
from domain.storage import ObjectInfo, WriteCondition
from domain.transfer import Direction, TransferAction, TransferPlan

__all__ = ["line", "made", "no_pauses", "plain", "store"]

ABSENT = WriteCondition.absent()
KEYS = [f"k{number}" for number in range(40)]
BODIES = {key: key.encode() * 100 for key in KEYS}


class File(NamedTuple):
    path: str
    key: str
    size: int
    content: ContentHash | None = None


Results = dict[str, ObjectInfo | StorageError]
Store = Callable[[], Results]


@pytest.fixture(params=["put_many", "upload_many"])
def create(request: pytest.FixtureRequest, store, tmp_path: Path) -> Store:
    """Creates all objects, in one of two ways."""
    files = []
    for key, data in BODIES.items():
        (tmp_path / key).write_bytes(data)
        files.append(File(str(tmp_path / key), key, len(data)))
    if request.param == "put_many":
        return lambda: dict(store.put_many(BODIES.items(), condition=ABSENT))
    return lambda: {file.key: info for file, info in store.upload_many(files, condition=ABSENT)}


def key_of(request: Request) -> str:
    return request.path.rpartition("/")[2]


def harmed(line, wanted: Callable[[Request], bool], harm: Callable[[Request], Reply]) -> None:
    """Have the first PUT of some keys come to harm."""
    real, seen = line.answer, Counter[str]()

    def answer(request: Request) -> Reply:
        seen[key_of(request)] += request.method == "PUT"
        if request.method == "PUT" and seen[key_of(request)] == 1 and wanted(request):
            return harm(request)
        return real(request)

    line.answer = answer


def is_third(request: Request) -> bool:
    return int(key_of(request)[1:]) % 3 == 0


def all_ours(results: Results, store) -> None:
    assert {key: result for key, result in results.items() if not isinstance(result, ObjectInfo)} == {}
    assert sorted(results) == sorted(KEYS)
    assert dict(store.get_many(KEYS)) == BODIES
    etags = {key: info.etag for key, info in store.head_many(KEYS) if isinstance(info, ObjectInfo)}
    assert {key: info.etag for key, info in results.items() if isinstance(info, ObjectInfo)} == etags


@pytest.mark.parametrize("kind", ["lost", "500", "sent twice", "409"])
def test_a_write_that_is_repeated_is_no_rival_of_itself(store, line, create: Store, kind: str) -> None:
    """The object was stored by a request whose answer nobody got, or that a proxy on the way sent a second time."""
    real = line.answer

    def harm(request: Request) -> Reply:
        assert real(request).status == 200
        if kind == "lost":
            raise ConnectionAbortedError
        if kind == "sent twice":
            return real(request)
        return refusal(500, "InternalError") if kind == "500" else refusal(409, "ConditionalRequestConflict")

    harmed(line, is_third, harm)
    all_ours(create(), store)


@pytest.mark.parametrize("kind", ["never arrived", "503", "500"])
def test_a_write_that_was_not_carried_out_is_repeated(store, line, create: Store, kind: str) -> None:
    def harm(request: Request) -> Reply:
        if kind == "never arrived":
            raise ConnectionAbortedError
        return refusal(int(kind), "SlowDown" if kind == "503" else "InternalError")

    harmed(line, is_third, harm)
    all_ours(create(), store)


def test_what_a_rival_stored_meanwhile_stays_and_is_told(store, line, create: Store, made) -> None:
    """The first request is lost on its way there, and the rival's is carried out before the second."""
    rival = made(bucket_name=store.describe().bucket)
    inner = []

    def harm(request: Request) -> Reply:
        inner.append(key_of(request))
        line.answer, before = real, line.answer
        rival.put_bytes(key_of(request), b"rival", condition=ABSENT)
        line.answer = before
        raise ConnectionAbortedError

    real = line.answer
    harmed(line, lambda request: key_of(request) == "k7", harm)
    results = create()
    assert inner == ["k7"]
    refused = results.pop("k7")
    assert isinstance(refused, PreconditionFailed) and "exists already" in refused.message
    assert all(isinstance(result, ObjectInfo) for result in results.values())
    assert store.get_bytes("k7") == b"rival"


def test_what_is_there_costs_a_question_and_no_second_sending(store, line, create: Store) -> None:
    for key in KEYS:
        store.put_bytes(key, b"old")
    line.requests.clear()
    assert {type(result) for result in create().values()} == {PreconditionFailed}
    assert Counter(request.method for request in line.requests) == {"PUT": len(KEYS), "HEAD": len(KEYS)}


def test_a_file_that_changed_before_it_is_sent_again_is_another_write(store, line, tmp_path: Path) -> None:
    """What is told of an object is true of it: the first bytes were stored, and the second would be a rival's."""
    path = tmp_path / "f"
    path.write_bytes(b"first")
    real = line.answer

    def harm(request: Request) -> Reply:
        real(request)
        path.write_bytes(b"second")
        raise ConnectionAbortedError

    harmed(line, lambda request: True, harm)
    ((_, result),) = store.upload_many([File(str(path), "k1", 5)], condition=ABSENT)
    assert isinstance(result, PreconditionFailed)
    assert store.get_bytes("k1") == b"first"


def test_without_a_condition_nobody_asks(store, line, plain) -> None:
    assert len(list(store.put_many(BODIES.items()))) == len(KEYS)
    assert {request.method for request in line.requests} == {"PUT"}
    bucket = store.describe().bucket
    assert "write-id" not in plain.head_object(Bucket=bucket, Key="k1")["Metadata"]


def test_the_content_of_many_is_fetched_again_where_it_came_damaged(store, line, plain, tmp_path: Path) -> None:
    """Objects of others have no SHA-256: their MD5 tells, of each answer."""
    bucket = store.describe().bucket
    for key, data in BODIES.items():
        plain.put_object(Bucket=bucket, Key=key, Body=data)
    real, seen = line.answer, Counter[str]()

    def answer(request: Request) -> Reply:
        reply = real(request)
        seen[key_of(request)] += 1
        if request.method == "GET" and seen[key_of(request)] == 1 and is_third(request):
            reply.body = b"x" + reply.body[1:]
        return reply

    line.answer = answer

    def files() -> Iterator[File]:
        for key, data in BODIES.items():
            wanted = b"other" if key == "k1" else data
            known = ContentHash("md5", hashlib.md5(wanted, usedforsecurity=False).hexdigest())
            yield File(str(tmp_path / "in" / key), key, len(data), known)

    results = {file.key: result for file, result in store.download_many(files())}
    assert isinstance(results.pop("k1"), ContentCorrupted)
    assert {type(result) for result in results.values()} == {ObjectInfo}
    found = {path.name: path.read_bytes() for path in (tmp_path / "in").iterdir()}
    assert found == {key: data for key, data in BODIES.items() if key != "k1"}


def test_a_plan_is_carried_out_many_at_a_time_under_a_condition(store, line, tmp_path: Path) -> None:
    """As `storage upload --no-clobber` of a folder does."""
    (tmp_path / "in").mkdir()
    for key, data in BODIES.items():
        (tmp_path / "in" / key).write_bytes(data)
    store.put_bytes("d/k3", b"old")
    line.requests.clear()
    report = apply(store, plan_upload(store, str(tmp_path / "in"), "d"), condition=ABSENT)
    assert report.done == len(KEYS) - 1
    assert [(action.key, type(error)) for action, error in report.failures] == [("d/k3", PreconditionFailed)]
    assert store.get_bytes("d/k3") == b"old"
    sent = [request for request in line.requests if request.method == "PUT"]
    assert len(sent) == len(KEYS)
    assert {request.headers["if-none-match"] for request in sent} == {"*"}


def test_a_plan_names_what_each_of_many_must_hash_to(store, tmp_path: Path) -> None:
    def actions(folder: Path, wrong: str) -> list[TransferAction]:
        known = {key: hashlib.sha256(b"other" if key == wrong else data).hexdigest() for key, data in BODIES.items()}
        return [
            TransferAction(str(folder / key), key, len(data), "new", content=ContentHash("sha256", known[key]))
            for key, data in BODIES.items()
        ]

    (tmp_path / "in").mkdir()
    for key, data in BODIES.items():
        (tmp_path / "in" / key).write_bytes(data)
    report = apply(store, TransferPlan(Direction.UPLOAD, actions(tmp_path / "in", "k7")))
    assert [(action.key, type(error)) for action, error in report.failures] == [("k7", LocalFileError)]
    assert sorted(store.list_files()) == sorted(set(KEYS) - {"k7"})
    store.put_bytes("k7", BODIES["k7"])
    report = apply(store, TransferPlan(Direction.DOWNLOAD, actions(tmp_path / "out", "k8")))
    assert [(action.key, type(error)) for action, error in report.failures] == [("k8", ContentCorrupted)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(set(KEYS) - {"k8"})
