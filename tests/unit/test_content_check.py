"""Bytes are compared with all that is known of them, and each hash is computed once."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime
from typing import Any

import pytest

from domain import content_check
from domain.content import ContentHash
from domain.content_check import ContentCheck, corrupted, differs
from domain.errors import ContentCorrupted, InvalidRequest
from domain.objects import ObjectInfo
from domain.streams import ObjectReader

DATA = b"some bytes"
SHA256 = hashlib.sha256(DATA).hexdigest()
MD5 = ContentHash("md5", hashlib.md5(DATA, usedforsecurity=False).hexdigest())
OTHER = ContentHash("md5", "0" * 32)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes that are begun."""
    made: list[str] = []
    real = content_check._new_hash

    def new(algorithm: str) -> Any:
        made.append(algorithm)
        return real(algorithm)

    monkeypatch.setattr(content_check, "_new_hash", new)
    return made


@pytest.mark.parametrize(
    ("stored", "content", "same"),
    [
        (None, None, True),
        (SHA256, None, True),
        ("0" * 64, None, False),
        (None, MD5, True),
        (None, OTHER, False),
        (SHA256, MD5, True),
        (SHA256, OTHER, False),
        ("0" * 64, MD5, False),
        (SHA256, ContentHash("sha256", SHA256), True),
        (SHA256, ContentHash("sha256", "0" * 64), False),
        (None, ContentHash("blake2b", hashlib.blake2b(DATA).hexdigest()), True),
    ],
)
def test_all_that_is_known_has_to_be_true(stored: str | None, content: ContentHash | None, same: bool) -> None:
    assert differs(DATA, stored, content) is not same
    check = ContentCheck(stored, content)
    assert check.needed is bool(stored or content)
    for byte in DATA:
        check.update(bytes([byte]))
    if same:
        check.finish("k", "try again", provider="p")
        return
    with pytest.raises(ContentCorrupted) as caught:
        check.finish("k", "try again", provider="p")
    assert (caught.value.expected, caught.value.actual) == check.difference()


def test_no_hash_is_computed_twice_and_none_for_nothing(made: list[str]) -> None:
    ContentCheck(None)
    assert made == []
    ContentCheck(SHA256, ContentHash("sha256", SHA256))
    assert made == ["sha256"]
    made.clear()
    with ObjectReader(
        io.BytesIO(DATA),
        ObjectInfo("k", len(DATA), "1", datetime.now(UTC)),
        length=len(DATA),
        provider="p",
    ) as reader:
        reader.expect(MD5)
        assert reader.read() == DATA
    assert made == ["md5"]


def test_what_is_stored_is_told_first() -> None:
    check = ContentCheck("0" * 64, OTHER)
    check.update(DATA)
    assert check.difference() == (ContentHash("sha256", "0" * 64), ContentHash("sha256", SHA256))


@pytest.mark.parametrize("algorithm", ["crc32", "", "shake_256", "SHA256", "no\nhash"])
def test_an_unknown_algorithm_is_refused(algorithm: str) -> None:
    with pytest.raises(InvalidRequest, match="name sha256 or md5"):
        ContentCheck(None, ContentHash(algorithm, "00"))


def test_the_sentence_names_both_hashes_in_short() -> None:
    error = corrupted("k", OTHER, MD5, "restore it", provider="p")
    assert (
        str(error) == f"p: the object 'k' is corrupt: it reads as MD5 {MD5.digest[:12]}…, not 000000000000…; restore it"
    )


def test_nothing_is_expected_of_what_was_read_already() -> None:
    info = ObjectInfo("k", len(DATA), "1", datetime.now(UTC), sha256=SHA256)
    reader = ObjectReader(io.BytesIO(DATA), info, length=len(DATA), provider="p")
    reader.read(1)
    with pytest.raises(ValueError):
        reader.expect(MD5)
