"""What is kept beside an object's bytes: as headers and back, and what other headers make of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.objects import ObjectInfo
from infrastructure.storage.s3.attributes import Attributes, info_of_headers, info_of_write, plain_etag, written_etag

NAMES = st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True).filter(lambda name: name not in {"sha256", "write-id"})


@given(st.dictionaries(NAMES, st.text(), max_size=4), st.sampled_from(["", "a1" * 32]), st.sampled_from(["", "b" * 32]))
@example({"a": "  two  spaces ", "b": "50%25", "c": "é\n\0", "d": ""}, "", "")
def test_attributes_are_the_same_after_their_way_as_headers(
    metadata: dict[str, str], sha256: str, write_id: str
) -> None:
    headers = Attributes("text/csv; charset=utf-8", metadata, sha256, write_id).headers()
    # What HTTP leaves of a header: printable ASCII, no space around it; and a signature, of spaces within it.
    sent = {name: re.sub(" +", " ", value.strip()) for name, value in headers.items()}
    assert all(value.isascii() and value.isprintable() for value in sent.values())
    told = {**sent, "etag": '"abc"', "content-length": "5", "last-modified": "Thu, 29 Feb 2024 12:34:56 GMT"}
    assert info_of_headers("k", told) == ObjectInfo(
        "k",
        5,
        "abc",
        datetime(2024, 2, 29, 12, 34, 56, tzinfo=UTC),
        "text/csv; charset=utf-8",
        sha256 or None,
        metadata,
    )


def test_the_headers_of_a_range_tell_the_size_of_the_whole() -> None:
    headers = {"content-range": "bytes 2-4/1000", "content-length": "3", "etag": '"e"', "x-amz-meta-sha256": "AB" * 32}
    info = info_of_headers("k", headers)
    assert (info.size, info.sha256, info.metadata) == (1000, "ab" * 32, {})
    assert info.content_type == "application/octet-stream"
    assert info.last_modified is not None and info.last_modified.tzinfo is not None


@pytest.mark.parametrize("digest", ["", "abc", "g" * 64, "a" * 63, "a" * 65])
def test_what_is_no_sha256_is_unknown(digest: str) -> None:
    info = info_of_headers("k", {"content-length": "0", "x-amz-meta-sha256": digest})
    assert (info.sha256, info.metadata) == (None, {})


@pytest.mark.parametrize(
    "headers",
    [{"last-modified": "garbage"}, {"last-modified": ""}, {"last-modified": "0"}, {"content-length": "many"}],
)
def test_headers_that_no_store_sends_are_an_error_of_ours_or_nothing(headers: dict[str, str]) -> None:
    try:
        info = info_of_headers("k", {"etag": '"e"', "content-length": "1", **headers})
    except ValueError:
        return  # the client makes the port's error of it
    assert info.last_modified is not None and info.last_modified.tzinfo is not None


def test_a_time_of_unknown_zone_gets_one() -> None:
    info = info_of_headers("k", {"content-length": "0", "last-modified": "Thu, 29 Feb 2024 12:34:56 -0000"})
    assert info.last_modified == datetime(2024, 2, 29, 12, 34, 56, tzinfo=UTC)


def test_what_was_written_is_told_without_the_id_of_the_write() -> None:
    info = info_of_write("k", 3, '"e"', Attributes("a/b", {"who": "é"}, "a" * 64, "b" * 32))
    assert info._replace(last_modified=None) == ObjectInfo("k", 3, "e", None, "a/b", "a" * 64, {"who": "é"})  # type: ignore[arg-type]
    assert plain_etag(None) == plain_etag("") == plain_etag('""') == ""
    assert (written_etag("e", quoted=True), written_etag("e", quoted=False)) == ('"e"', "e")
