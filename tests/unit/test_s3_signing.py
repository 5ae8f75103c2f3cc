"""Every signature is the one that botocore makes of the same request."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import example, given
from hypothesis import strategies as st

from infrastructure.storage.s3.credentials import GivenCredentials, KeyPair
from infrastructure.storage.s3.signing import NOTHING, UNSIGNED, Signer, canonical_query

NOW = time.struct_time((2026, 11, 20, 19, 34, 49, 4, 324, 0))
HOST = "store.example.org:9000"
BODY = "ab" * 32

KEYS = st.text(min_size=1, max_size=40)
TEXT = st.text(max_size=20)
PAIRS = st.lists(st.tuples(TEXT, TEXT), max_size=4, unique_by=lambda pair: pair[0])
# What a header can carry; metadata is encoded before.
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
NAMES = st.sampled_from(["range", "if-match", "x-amz-meta-a", "x-amz-meta-a-b", "content-type", "content-md5"])
HEADERS = st.dictionaries(NAMES, VALUES, max_size=4)
TOKENS = st.none() | st.text("abc+/=", min_size=1, max_size=30)
SECRETS = st.text("aB3/+", min_size=1, max_size=40)


class _OfBotocore(botocore.auth.S3SigV4Auth):
    def payload(self, request: AWSRequest) -> str:
        return str(request.context["payload"])


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """One moment for both."""
    moment = datetime(*NOW[:6], tzinfo=UTC)
    monkeypatch.setattr(time, "gmtime", lambda *_: NOW)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: moment)


def signer(secret: str, token: str | None, region: str = "eu-central-1") -> Signer:
    return Signer(GivenCredentials(KeyPair("AKIAEXAMPLE", secret, token)), region)


def address(key: str, query: list[tuple[str, str]]) -> tuple[str, str, str]:
    path = f"/bucket/{quote(key, safe='/~')}"
    asked = canonical_query(query)
    return path, asked, f"https://{HOST}{path}{'?' if asked else ''}{asked}"


@given(KEYS, PAIRS, HEADERS, SECRETS, TOKENS, st.sampled_from([NOTHING, BODY, UNSIGNED]))
@example("a/../b//c/./", [("list-type", "2")], {"x-amz-meta-a": "  two  spaces "}, "s", None, BODY)
@example("~ é\n%2F", [("uploads", ""), ("a", "b&c=d")], {}, "s/+", "t+/=", UNSIGNED)
def test_the_signature_of_a_request(
    key: str, query: list[tuple[str, str]], headers: dict[str, str], secret: str, token: str | None, payload: str
) -> None:
    path, asked, url = address(key, query)
    theirs = AWSRequest("PUT", url, headers=dict(headers))
    theirs.context["payload"] = payload
    _OfBotocore(Credentials("AKIAEXAMPLE", secret, token), "s3", "eu-central-1").add_auth(theirs)
    ours = signer(secret, token).sign("PUT", HOST, path, asked, headers, payload)
    assert ours["authorization"] == theirs.headers["Authorization"]
    assert ours["x-amz-date"] == theirs.headers["X-Amz-Date"]
    assert ours["x-amz-content-sha256"] == theirs.headers["X-Amz-Content-SHA256"]
    assert ours.get("x-amz-security-token") == theirs.headers.get("X-Amz-Security-Token")
    assert {name: ours[name] for name in headers} == headers


@given(KEYS, PAIRS, HEADERS, SECRETS, TOKENS, st.integers(1, 604800))
def test_the_signature_in_a_url(
    key: str, query: list[tuple[str, str]], headers: dict[str, str], secret: str, token: str | None, expires_in: int
) -> None:
    path, _, url = address(key, query)
    theirs = AWSRequest("GET", url, headers=dict(headers))
    credentials = Credentials("AKIAEXAMPLE", secret, token)
    botocore.auth.S3SigV4QueryAuth(credentials, "s3", "eu-central-1", expires=expires_in).add_auth(theirs)
    ours = signer(secret, token).presign("GET", HOST, path, query, headers, expires_in)
    expected = parse_qsl(urlsplit(str(theirs.url)).query, keep_blank_values=True)
    assert sorted(parse_qsl(ours, keep_blank_values=True)) == sorted(expected)


def test_a_key_pair_that_is_renewed_signs_with_its_new_secret() -> None:
    class Renewed:
        pairs = iter([KeyPair("AKIA", "one"), KeyPair("AKIA", "two"), KeyPair("AKIA", "one")])

        def current(self) -> KeyPair:
            return next(self.pairs)

    signs = Signer(Renewed(), "r")
    first, second, third = (signs.sign("GET", HOST, "/", "", {}, NOTHING)["authorization"] for _ in range(3))
    assert first == third != second


def test_another_day_has_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    signs = signer("secret", None)
    sign: Callable[[], Any] = lambda: signs.sign("GET", HOST, "/", "", {}, NOTHING)  # noqa: E731
    today = sign()["authorization"]
    monkeypatch.setattr(time, "gmtime", lambda *_: time.struct_time((2026, 11, 21, 0, 0, 0, 5, 325, 0)))
    tomorrow = sign()["authorization"]
    assert "/20261120/" in today and "/20261121/" in tomorrow
    assert tomorrow == signer("secret", None).sign("GET", HOST, "/", "", {}, NOTHING)["authorization"]
