"""Many deletions in one request: what is asked, and what each answer tells."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import (
    AccessDenied,
    ConfigurationError,
    InvalidRequest,
    StorageError,
    StoreUnavailable,
    TooManyRequests,
)
from domain.objects import Capabilities
from infrastructure.storage.s3.bulk_delete import MOST, can_be_bulked, delete_objects
from infrastructure.storage.s3.credentials import GivenCredentials, KeyPair
from infrastructure.storage.s3.dialect import Dialect, Target

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
SPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


class Answer(NamedTuple):
    data: bytes


class FakeWire:
    """Gives one answer; keeps the body of the request, after a look at its headers."""

    def __init__(self, answer: str) -> None:
        self._answer = answer.encode()
        self.body = b""

    def send(
        self,
        method: str,
        key: str = "",
        *,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        body: bytes,
        doing: str,
    ) -> Answer:
        assert (method, key, list(query), doing) == ("POST", "", [("delete", "")], "delete objects of bucket 'bucket'")
        assert headers["content-md5"] == base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        self.body = body
        return Answer(self._answer)


def result(*told: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<DeleteResult xmlns="{SPACE}">{"".join(told)}</DeleteResult>'


def failed(key: str, code: str, message: str = "no") -> str:
    return f"<Error><Key>{key}</Key><Code>{code}</Code><Message>{message}</Message></Error>"


def delete(answer: str, *keys: str) -> list[StorageError]:
    wire: Any = FakeWire(answer)
    return delete_objects(TARGET, wire, keys)


def test_the_request_as_it_is_documented() -> None:
    wire: Any = FakeWire(result())
    assert delete_objects(TARGET, wire, ["a", "b & <c>", "\n\t"]) == []
    assert wire.body == (
        b'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>'
        b"<Object><Key>a</Key></Object><Object><Key>b &amp; &lt;c&gt;</Key></Object>"
        b"<Object><Key>&#10;&#9;</Key></Object></Delete>"
    )
    assert MOST == 1000


@given(st.lists(st.text(min_size=1).filter(can_be_bulked), min_size=1))
@example([" a ", "\n", "\t", "]]>", "&amp;", "é", "\U0001f600", "\x7f\x85\u2028", "'\""])
def test_every_key_that_may_go_is_said_exactly(keys: list[str]) -> None:
    wire: Any = FakeWire(result())
    delete_objects(TARGET, wire, keys)
    assert [element.text for element in fromstring(wire.body).iter(f"{{{SPACE}}}Key")] == keys  # noqa: S314


@pytest.mark.parametrize("key", ["\0", "\x01", "a\rb", "\x0b", "\x1f", "\ufffe", "\uffff"])
def test_a_key_that_xml_can_not_say_goes_by_itself(key: str) -> None:
    assert not can_be_bulked(key)


def test_what_is_still_there_is_told_key_by_key_and_what_was_gone_is_not() -> None:
    answer = result(
        "<Deleted><Key>b</Key></Deleted>",
        failed("a/é&amp;&#10;", "AccessDenied"),
        failed("c", "NoSuchKey"),
        failed("d", "SlowDown"),
        failed("e", "Teapot", "short and stout"),
    )
    errors = delete(answer, "a/é&\n", "b", "c", "d", "e")
    assert [(type(error), error.key, error.provider) for error in errors] == [
        (AccessDenied, "a/é&\n", "s3"),
        (TooManyRequests, "d", "s3"),
        (StorageError, "e", "s3"),
    ]
    assert errors[2].message == "can't delete 'e' in bucket 'bucket': the store says Teapot: short and stout"
    assert "delete 'd' in bucket" in errors[1].message


def test_an_internal_error_of_one_key_may_pass_as_that_of_a_request_may() -> None:
    (error,) = delete(result(failed("a", "InternalError")), "a")
    assert type(error) is StoreUnavailable


@pytest.mark.parametrize("answer", [result(), f'<DeleteResult xmlns="{SPACE}"/>', "<DeleteResult/>"])
def test_an_answer_that_tells_of_no_failure_is_success(answer: str) -> None:
    assert delete(answer, "a") == []


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("SlowDown", TooManyRequests),
        ("InternalError", StoreUnavailable),
        ("AccessDenied", AccessDenied),
        ("Odd", StoreUnavailable),
    ],
)
def test_an_error_that_comes_as_a_success_is_one(code: str, kind: type[StorageError]) -> None:
    for document in (f"<Error><Code>{code}</Code></Error>", f"<Error xmlns='{SPACE}'><Code>{code}</Code></Error>"):
        with pytest.raises(StorageError) as caught:
            delete(document, "a")
        assert type(caught.value) is kind


@pytest.mark.parametrize(
    "answer",
    [
        "<!DOCTYPE html>\n<html><body><p>Welcome</body></html>",
        "<!DOCTYPE html>\n<html><body>Welcome</body></html>",
        "<html><body>Welcome</body></html>",
    ],
)
def test_a_web_page_is_not_taken_for_success(answer: str) -> None:
    with pytest.raises(ConfigurationError, match="check the endpoint"):
        delete(answer, "a")


@pytest.mark.parametrize("answer", ["", "OK", "{}", "<DeleteResult>", "<ListBucketResult/>", "<Deleted/>"])
def test_what_is_no_answer_is_not_taken_for_success(answer: str) -> None:
    with pytest.raises(StorageError) as caught:
        delete(answer, "a")
    assert not isinstance(caught.value, InvalidRequest)
