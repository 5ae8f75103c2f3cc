"""The small parts of the S3 engine, each by itself: retries, the journal, sizes, order, and addresses."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import (
    AccessDenied,
    StorageError,
    StoreUnavailable,
    TooManyRequests,
)
from domain.objects import Capabilities
from infrastructure.storage.s3.credentials import ChainCredentials, GivenCredentials, KeyPair
from infrastructure.storage.s3.dialect import MIB, Dialect, Target
from infrastructure.storage.s3.journal import FetchedRanges, StoredPart, UploadJournal
from infrastructure.storage.s3.parallel import in_order
from infrastructure.storage.s3.retries import Retries
from infrastructure.storage.s3.signing import canonical_query
from infrastructure.storage.s3.wire import Wire

TARGET = Target(
    provider="s3",
    bucket="bucket",
    endpoint_url="https://store:9000",
    region="us-east-1",
    credentials=GivenCredentials(KeyPair("AKIA", "secret")),
    credential_names="names",
    dialect=Dialect(Capabilities()),
    capabilities=Capabilities(),
)

# -- stores


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"bucket": "other", "provider": "minio", "region": "eu-1"}, True),
        ({"credentials": GivenCredentials(KeyPair("AKIA", "secret", "token"))}, True),
        ({"credentials": GivenCredentials(KeyPair("AKIB", "secret"))}, False),
        ({"credentials": ChainCredentials("s3", None)}, False),
        ({"endpoint_url": "http://store:9000"}, False),
        ({"endpoint_url": "https://store:9001"}, False),
    ],
)
def test_one_store_is_one_address_and_one_account(other: dict[str, Any], same: bool, monkeypatch) -> None:
    monkeypatch.setattr(ChainCredentials, "current", lambda self: KeyPair("ASIA", "secret"))
    assert TARGET.is_store_of(replace(TARGET, **other)) is same
    assert replace(TARGET, **other).is_store_of(TARGET) is same


def test_two_chains_are_one_account_where_their_profile_is_the_same(monkeypatch) -> None:
    """Each may have had a session of its own opened: nobody is asked for a key pair."""
    monkeypatch.setattr(ChainCredentials, "current", None)
    one, same, other = (replace(TARGET, credentials=ChainCredentials("s3", name)) for name in (None, None, "other"))
    assert one.is_store_of(same)
    assert not one.is_store_of(other)


# -- retries


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that are waited, which take no time."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


def raising(*errors: BaseException) -> Callable[[], str]:
    """A call that raises these one after the other, and then answers."""
    left = iter(errors)

    def call() -> str:
        for error in left:
            raise error
        return "done"

    return call


@pytest.mark.parametrize("failures", [0, 1, 4])
def test_a_call_is_made_again_until_it_goes_well(failures: int, pauses: list[float]) -> None:
    seen: list[StorageError] = []
    errors = [StoreUnavailable(str(number)) for number in range(failures)]
    retries = Retries(5)
    retries.observer = seen.append
    assert retries(raising(*errors)) == "done"
    assert seen == errors
    assert len(pauses) == failures


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_the_last_error_is_raised_when_the_attempts_are_used_up(attempts: int, pauses: list[float]) -> None:
    seen: list[StorageError] = []
    errors = [TooManyRequests(str(number)) for number in range(9)]
    retries = Retries(attempts)
    retries.observer = seen.append
    with pytest.raises(TooManyRequests) as caught:
        retries(raising(*errors))
    assert caught.value is errors[attempts - 1]
    assert seen == errors[: attempts - 1]
    assert len(pauses) == attempts - 1


@pytest.mark.parametrize("error", [AccessDenied("no"), ValueError("bug"), KeyboardInterrupt()])
@pytest.mark.parametrize("before", [0, 1])
def test_what_can_not_pass_by_itself_is_not_tried_again(error: BaseException, before: int, pauses: list[float]) -> None:
    seen: list[StorageError] = []
    retries = Retries(5)
    retries.observer = seen.append
    away = [StoreUnavailable("away")] * before
    with pytest.raises(type(error)) as caught:
        retries(raising(*away, error))
    assert caught.value is error
    assert seen == away
    assert len(pauses) == before


def test_the_pauses_grow_and_end_at_ten_seconds(pauses: list[float]) -> None:
    with pytest.raises(StoreUnavailable):
        Retries(100)(raising(*[StoreUnavailable("away")] * 100))
    assert len(pauses) == 99
    assert max(pauses[:2]) <= 0.6
    assert 5 < max(pauses) <= 10
    assert len(set(pauses)) > 50, "not all clients at the same moment"


# -- the journal of uploads


def test_the_journal_knows_what_was_begun_and_not_ended_in_its_bucket(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state.sqlite"
    journal = UploadJournal(TARGET, path)
    for key, upload_id in (("b/2", "x"), ("a", "1"), ("a", "2"), ("b/10", "y")):
        journal.begun(key, upload_id)
    journal.begun("a", "1")
    others = [
        UploadJournal(replace(TARGET, bucket="other"), path),
        UploadJournal(replace(TARGET, endpoint_url="http://x"), path),
    ]
    for other in others:
        assert other.keys("") == []
        other.begun("c", "1")
        other.ended("a", "1")
    assert journal.keys("") == ["a", "b/10", "b/2"]
    assert journal.keys("b/") == ["b/10", "b/2"]
    journal.ended("a", "1")
    journal.ended("b/2", "other id")
    assert UploadJournal(TARGET, path).keys("") == ["a", "b/10", "b/2"]
    journal.ended("a", "2")
    assert journal.keys("") == ["b/10", "b/2"]
    assert others[0].keys("") == others[1].keys("") == ["c"]


def test_the_journal_keeps_odd_keys(tmp_path: Path) -> None:
    keys = ["\0", "%", "'; DROP TABLE uploads", "*", "A", "[a]", "_", "a", "é", "\U0001f600"]
    journal = UploadJournal(TARGET, tmp_path / "state")
    for key in reversed(keys):
        journal.begun(key, "id")
    assert journal.keys("") == keys
    assert [key for key in keys if journal.keys(key) == [key]] == keys
    for key in keys:
        journal.ended(key, "id")
    assert journal.keys("") == []


def test_the_journal_tells_what_can_be_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "state"
    journal = UploadJournal(TARGET, path)
    part, other = StoredPart(1, 5, '"e"', "ab"), StoredPart(2, 6, "f", "cd")
    for upload_id, content in (("1", "old"), ("2", "new"), ("3", "")):
        journal.begun("k", upload_id, content)
        assert journal.stored("k", upload_id, other)
    assert journal.stored("k", "2", part._replace(etag="before it was sent again"))
    assert journal.stored("k", "2", part)
    elsewhere = UploadJournal(replace(TARGET, bucket="other"), path)
    assert elsewhere.uploads("k") == elsewhere.parts("k", "2") == []
    elsewhere.ended("k", "2")
    again = UploadJournal(TARGET, path)
    assert sorted(again.uploads("k")) == [("1", "old"), ("2", "new")]
    assert again.uploads("j") == []
    assert again.parts("k", "2") == [part, other]
    again.ended("k", "2")
    assert again.uploads("k") == [("1", "old")]
    assert again.parts("k", "2") == []
    assert again.parts("k", "1") == [other]


def test_ranges_are_those_of_one_file_and_one_state_of_the_object(tmp_path: Path) -> None:
    path = tmp_path / "state"
    ranges = FetchedRanges("/d/part\udcff", 7, path)
    assert not ranges.any()
    assert ranges.whole("etag", 0, 8) and ranges.whole("etag", 8, 16) and ranges.whole("etag", 8, 16)
    assert ranges.any()
    assert FetchedRanges("/d/part\udcff", 7, path).of("etag") == {(0, 8), (8, 16)}
    assert ranges.of("other") == set()
    for other in (FetchedRanges("/d/part\udcff", 8, path), FetchedRanges("/d/part", 7, path)):
        assert not other.any()
        assert other.of("etag") == set()
    assert ranges.forget()
    assert not ranges.any()
    assert ranges.of("etag") == set()


@pytest.mark.parametrize("trouble", ["a folder", "a folder that is a file"])
def test_a_journal_that_can_not_be_had_is_done_without(trouble: str, tmp_path: Path) -> None:
    path = tmp_path / "state"
    if trouble == "a folder":
        path.mkdir()
    else:
        path.write_bytes(b"")
        path /= "state"
    journal = UploadJournal(TARGET, path)
    journal.begun("k", "id", "content")
    assert not journal.stored("k", "id", StoredPart(1, 5, "e", "ab"))
    assert journal.keys("") == journal.uploads("k") == journal.parts("k", "id") == []
    journal.ended("k", "id")
    ranges = FetchedRanges("part", 7, path)
    assert not ranges.whole("etag", 0, 8)
    assert not ranges.any()
    assert ranges.of("etag") == set()
    assert not ranges.forget()


@pytest.mark.parametrize("trouble", ["no database", "another table", "cut off"])
def test_a_journal_that_is_damaged_is_begun_anew(trouble: str, tmp_path: Path) -> None:
    path = tmp_path / "state"
    if trouble == "no database":
        path.write_bytes(b"this is no database" * 1000)
    elif trouble == "another table":
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE uploads (something TEXT)")
    else:
        UploadJournal(TARGET, path).begun("before", "id")
        path.write_bytes(path.read_bytes()[:5000])
    journal = UploadJournal(TARGET, path)
    journal.begun("k", "id")
    assert journal.keys("") == ["k"]
    journal.ended("k", "id")
    assert journal.keys("") == []


# -- parts


@pytest.mark.parametrize(
    ("size", "part"),
    [
        (0, 16 * MIB),
        (160_000 * MIB, 16 * MIB),
        (160_000 * MIB + 1, 17 * MIB),
        (5 << 40, 525 * MIB),
    ],
)
def test_the_size_of_a_part(size: int, part: int) -> None:
    assert TARGET.part_size(size) == part


@given(st.integers(0, 5 * 10_000 << 30), st.integers(5, 5120))
def test_parts_are_never_too_many_nor_smaller_than_said(size: int, said: int) -> None:
    part = replace(TARGET, part_bytes=said * MIB).part_size(size)
    assert -(-size // part) <= 10_000
    assert part >= said * MIB
    assert part % MIB == 0
    assert part <= 5 << 30


def test_results_come_in_the_order_of_the_calls() -> None:
    def late(number: int) -> Callable[[], int]:
        return lambda: (time.sleep((5 - number % 6) * 0.002), number)[1]

    assert list(in_order(map(late, range(30)), 4)) == list(range(30))
    assert list(in_order([], 4)) == []


def test_as_many_are_under_way_as_allowed_and_no_more_are_held() -> None:
    together, lock, begun = threading.Barrier(3), threading.Lock(), 0

    def call() -> None:
        nonlocal begun
        with lock:
            begun += 1
        together.wait(10)

    for taken, _ in enumerate(in_order((call for _ in range(30)), 3), 1):
        time.sleep(0.001)
        assert begun < taken + 3
    assert begun == 30


def test_the_first_error_ends_it_and_leaves_no_thread() -> None:
    begun = []

    def call(number: int) -> int:
        begun.append(number)
        if number == 5:
            raise AccessDenied("no")
        time.sleep(0.002)
        return number

    before = threading.active_count()
    found = []
    with pytest.raises(AccessDenied):
        for number in in_order((lambda number=number: call(number) for number in range(1000)), 4):  # type: ignore[misc]
            found.append(number)
    assert found == [0, 1, 2, 3, 4]
    assert len(begun) <= 10
    assert threading.active_count() == before


def test_whoever_has_enough_waits_for_what_is_under_way_only() -> None:
    begun, ended = [], []

    def calls() -> Iterator[Callable[[], None]]:
        for number in range(1000):

            def call(number: int = number) -> None:
                begun.append(number)
                time.sleep(0.01)
                ended.append(number)

            yield call

    before = threading.active_count()
    results: Any = in_order(calls(), 4)
    next(results)
    results.close()
    assert sorted(begun) == sorted(ended)
    assert len(begun) <= 4
    assert threading.active_count() == before


# -- keys


VIRTUAL = replace(TARGET, endpoint_url="https://s3.eu-1.amazonaws.com", path_style=False)
PUBLIC = replace(TARGET, public_endpoint_url="https://public.example.org")


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("k", "/k"),
        ("a//b/", "/a//b/"),
        ("/a", "//a"),
        ("a/../b/./.", "/a/../b/./."),
        ("a b+c", "/a%20b%2Bc"),
        ("é", "/%C3%A9"),
        ("%2F", "/%252F"),
        ("?x=1#y", "/%3Fx%3D1%23y"),
        ("\0\n\x7f", "/%00%0A%7F"),
        ("~-_.", "/~-_."),
        ("a:b@c&d=e;f,g!h*i'j(k)$", "/a%3Ab%40c%26d%3De%3Bf%2Cg%21h%2Ai%27j%28k%29%24"),
    ],
)
def test_the_address_of_a_key(key: str, path: str) -> None:
    assert Wire(TARGET).url(key) == f"https://store:9000/bucket{path}"
    assert Wire(VIRTUAL).url(key) == f"https://bucket.s3.eu-1.amazonaws.com{path}"
    assert Wire(PUBLIC).url(key) == f"https://store:9000/bucket{path}"
    signed = Wire(PUBLIC).presigned("GET", key, {}, [], 60)
    assert signed.partition("?")[0] == f"https://public.example.org/bucket{path}"
    assert (
        Wire(TARGET).presigned("GET", key, {}, [], 60).startswith(f"https://store:9000/bucket{path}?X-Amz-Algorithm=")
    )


def test_the_address_of_a_bucket_and_a_question() -> None:
    assert Wire(TARGET).url("") == "https://store:9000/bucket"
    assert Wire(VIRTUAL).url("") == "https://bucket.s3.eu-1.amazonaws.com/"
    question = [("prefix", "a b+é/~"), ("delete", ""), ("x", "&=\n")]
    assert canonical_query(question) == "delete=&prefix=a%20b%2B%C3%A9%2F~&x=%26%3D%0A"


@given(st.text(min_size=1))
def test_no_key_leaves_its_bucket_nor_its_path(key: str) -> None:
    for target, before in ((TARGET, "/bucket/"), (VIRTUAL, "/")):
        address = urlsplit(Wire(target).url(key))
        assert unquote(address.path) == before + key
        assert (address.query, address.fragment) == ("", "")
        assert address.path.isascii() and address.path.isprintable() and " " not in address.path
