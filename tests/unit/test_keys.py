"""What a key, a piece of user metadata and a content type may be."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import InvalidRequest
from domain.keys import (
    MAX_METADATA_BYTES,
    check_content_type,
    check_key,
    check_metadata,
    encoded_metadata_value,
    shortened,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@settings(deadline=None)
@given(TEXT.filter(lambda key: 0 < len(key.encode()) <= 1024))
def test_a_good_key_comes_back_as_it_is(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("key", ["a//b", "trail/", "a/../b", "/lead", ".", "..", "\0", " ", "k" * 1024, "é" * 512])
def test_keys_are_opaque(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("key", ["", "k" * 1025, "é" * 513, "😀" * 257, "\ud800", "a\udcff"])
def test_a_bad_key_is_refused_in_a_sentence_that_can_be_printed(key: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_key(key, provider="p")
    assert caught.value.provider == "p"
    assert len(str(caught.value).encode()) < 400


@pytest.mark.parametrize("key", [None, 1, b"bytes"])
def test_a_key_is_text(key: object) -> None:
    with pytest.raises(InvalidRequest):
        check_key(key)  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True), TEXT, max_size=5))
def test_metadata_is_taken_up_to_its_limit_and_copied(metadata: dict[str, str]) -> None:
    size = sum(len(name) + len(encoded_metadata_value(value)) for name, value in metadata.items())
    if size > MAX_METADATA_BYTES or metadata.keys() & {"sha256", "write-id"}:
        with pytest.raises(InvalidRequest):
            check_metadata(metadata)
    else:
        kept = check_metadata(metadata)
        assert kept == metadata
        assert kept is not metadata


def test_the_limit_of_metadata_is_exact() -> None:
    # 2,048 less the names and values of `sha256` (6 + 64) and `write-id` (8 + 32).
    assert check_metadata({"n": "v" * 1937}) == {"n": "v" * 1937}
    with pytest.raises(InvalidRequest):
        check_metadata({"n": "v" * 1938})
    assert check_metadata({"n": "é" * 322})  # six bytes each on the wire
    with pytest.raises(InvalidRequest):
        check_metadata({"n": "é" * 323})


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("plain text, with 'signs'; =?", "plain text, with 'signs'; =?"),
        ("100%", "100%25"),
        (" a  b ", "%20a%20%20b%20"),
        ("µ\n", "%C2%B5%0A"),
        ("", ""),
    ],
)
def test_a_metadata_value_goes_into_a_header(value: str, encoded: str) -> None:
    assert encoded_metadata_value(value) == encoded


@settings(deadline=None)
@given(TEXT)
def test_an_encoded_metadata_value_is_printable_and_comes_back(value: str) -> None:
    encoded = encoded_metadata_value(value)
    assert unquote(encoded) == value
    assert all(" " <= character <= "~" for character in encoded)
    assert encoded == " ".join(encoded.split(" ")).strip(" ")
    assert "  " not in encoded


@pytest.mark.parametrize(
    "metadata",
    [
        {"Upper": "x"},
        {"under_score": "x"},
        {"": "x"},
        {"a\n": "x"},
        {"é": "x"},
        {"sha256": "x"},
        {1: "x"},
        {"n": 1},
        {"n": None},
        {"n": b"x"},
        {"n": "\ud800"},
    ],
)
def test_metadata_that_some_store_could_not_keep_is_refused(metadata: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        check_metadata(metadata)


def test_no_metadata_is_an_empty_dict() -> None:
    assert check_metadata(None) == {}
    assert check_metadata({}) == {}


@pytest.mark.parametrize(
    "content_type",
    [
        "image/fits",
        "text/csv; charset=utf-8",
        "text/plain;charset=utf-8;format=flowed",
        'multipart/x; boundary="a b"',
        "application/vnd.apache.parquet",
        "application/ld+json",
        "x/y; ratio=1:2",
    ],
)
def test_a_content_type_with_parameters_is_good(content_type: str) -> None:
    assert check_content_type(content_type) == content_type


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text",
        "text/",
        "/csv",
        "text/csv\n",
        "text/csv\r\nX: y",
        "text/csv;",
        "text csv",
        "a/b; c",
        "tëxt/csv",
        "a/b/c",
    ],
)
def test_what_is_no_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(InvalidRequest):
        check_content_type(content_type, provider="p")


@settings(deadline=None, max_examples=300)
@given(st.text(st.sampled_from('a/;= "\\\r\n\t\0é,'), max_size=30))
def test_no_accepted_content_type_can_smuggle_a_header(text: str) -> None:
    try:
        check_content_type("text/csv" + text)
    except InvalidRequest:
        return
    assert re.fullmatch(r"[\x20-\x7e]+", text) or not text


@settings(deadline=None)
@given(st.text(max_size=200))
def test_a_shortened_text_begins_and_ends_as_the_text(text: str) -> None:
    short = shortened(text, 60)
    assert len(short) <= 61
    assert short == text or (short[:30] == text[:30] and short[-30:] == text[-30:] and len(text) > 60)
