"""What a store or a library says, as one of our errors: the same kind whichever client was told it, and no secret."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from botocore import exceptions as botocore
from botocore.parsers import create_parser
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import (
    AccessDenied,
    BucketNotFound,
    ConfigurationError,
    InsufficientStorage,
    InvalidRequest,
    ObjectNotFound,
    PreconditionFailed,
    RangeNotSatisfiable,
    StorageError,
    StoreUnavailable,
    TooManyRequests,
    UnsupportedOperation,
)
from domain.objects import Capabilities
from infrastructure.storage.s3.credentials import GivenCredentials, KeyPair
from infrastructure.storage.s3.dialect import Dialect, Target
from infrastructure.storage.s3.errors import BytesDamaged, of_botocore, of_curl, of_reply

SECRET, TOKEN, PROXY = "wJalrXUtnFEMI/K7MDENG", "FwoGZXIvYXdzE-token", "http://me:pr0xy-word@proxy:3128"
HTTP = Target(
    provider="minio",
    bucket="bucket",
    endpoint_url="http://store:9000",
    region="us-east-1",
    credentials=GivenCredentials(KeyPair("AKIA", SECRET, TOKEN)),
    credential_names="access_key_id and secret_access_key (MINIO_ACCESS_KEY, MINIO_SECRET_KEY)",
    dialect=Dialect(Capabilities()),
    capabilities=Capabilities(),
    proxy_url=PROXY,
)
TLS = replace(HTTP, endpoint_url="https://store:9000")
DOING = "write 'k' in bucket 'bucket'"
XML = "<?xml version='1.0' encoding='UTF-8'?>\n"


def said(code: str, message: str = "no", more: str = "") -> str:
    return f"{XML}<Error><Code>{code}</Code><Message>{message}</Message>{more}<RequestId>R</RequestId></Error>"


def through_botocore(status: int, body: str, region: str | None = None) -> StorageError:
    headers = {"x-amz-bucket-region": region} if region else {}
    if body.lstrip().lower().startswith(("<!doctype html", "<html")):
        headers["content-type"] = "text/html"
    reply = {"status_code": status, "headers": headers, "body": body.encode()}
    parsed: Any = create_parser("rest-xml").parse(reply, None)
    return of_botocore(HTTP, botocore.ClientError(parsed, "PutObject"), DOING, key="k")


def in_every_way(status: int, body: str) -> list[StorageError]:
    return [of_reply(HTTP, status, body, DOING, key="k"), through_botocore(status, body)]


REPLIES: list[tuple[int, str, type[StorageError], str]] = [
    (403, "AccessDenied", AccessDenied, "lack the permission"),
    (401, "Unauthorized", AccessDenied, "MINIO_ACCESS_KEY, MINIO_SECRET_KEY"),
    (403, "AllAccessDisabled", AccessDenied, "access denied"),
    (403, "InvalidAccessKeyId", AccessDenied, "does not know the access key"),
    (403, "SignatureDoesNotMatch", AccessDenied, "the secret key does not belong to the access key"),
    (400, "ExpiredToken", AccessDenied, "sign in again"),
    (403, "ExpiredToken", AccessDenied, "sign in again"),
    (400, "InvalidToken", AccessDenied, "sign in again"),
    (400, "TokenRefreshRequired", AccessDenied, "sign in again"),
    (403, "RequestTimeTooSkewed", AccessDenied, "set the clock"),
    (404, "NoSuchBucket", BucketNotFound, "there is no bucket 'bucket' at http://store:9000"),
    (404, "NoSuchKey", ObjectNotFound, "there is no object 'k'"),
    (301, "PermanentRedirect", ConfigurationError, "set the region"),
    (307, "TemporaryRedirect", ConfigurationError, "set the region"),
    (400, "AuthorizationHeaderMalformed", ConfigurationError, "set the region"),
    (400, "IllegalLocationConstraintException", ConfigurationError, "set the region"),
    (400, "InvalidRegion", ConfigurationError, "set the region"),
    (412, "PreconditionFailed", PreconditionFailed, "nothing was written"),
    (409, "ConditionalRequestConflict", StoreUnavailable, "try again"),
    (409, "OperationAborted", StoreUnavailable, "try again"),
    (416, "InvalidRange", RangeNotSatisfiable, "past the end"),
    (400, "BadDigest", BytesDamaged, "damaged"),
    (400, "XAmzContentSHA256Mismatch", BytesDamaged, "damaged"),
    (400, "IncompleteBody", StoreUnavailable, "damaged"),
    (400, "RequestTimeout", StoreUnavailable, "try again"),
    (403, "QuotaExceeded", InsufficientStorage, "free some space"),
    (507, "XMinioStorageFull", InsufficientStorage, "free some space"),
    (503, "SlowDown", TooManyRequests, "fewer requests"),
    (503, "ServiceUnavailable", TooManyRequests, "fewer requests"),
    (400, "RequestRateLimitExceeded", TooManyRequests, "fewer requests"),
    (429, "TooManyRequests", TooManyRequests, "fewer requests"),
    (400, "Throttling", TooManyRequests, "fewer requests"),
    (501, "NotImplemented", UnsupportedOperation, "does not implement this"),
    (405, "MethodNotAllowed", UnsupportedOperation, "does not implement this"),
    (500, "InternalError", StoreUnavailable, "try again later"),
    (400, "EntityTooLarge", InvalidRequest, "the store says EntityTooLarge: no"),
    (418, "Teapot", StorageError, "the store says Teapot: no"),
]
BARE: list[tuple[int, type[StorageError]]] = [
    (301, ConfigurationError),
    (307, ConfigurationError),
    (400, InvalidRequest),
    (401, AccessDenied),
    (403, AccessDenied),
    (404, ObjectNotFound),
    (405, UnsupportedOperation),
    (408, StoreUnavailable),
    (409, StoreUnavailable),
    (412, PreconditionFailed),
    (416, RangeNotSatisfiable),
    (418, StorageError),
    (429, TooManyRequests),
    (500, StoreUnavailable),
    (501, UnsupportedOperation),
    (502, StoreUnavailable),
    (503, TooManyRequests),
    (504, StoreUnavailable),
    (507, InsufficientStorage),
]
RETRYABLE = {BytesDamaged, StoreUnavailable, TooManyRequests}


def check(error: StorageError, kind: type[StorageError], word: str) -> None:
    assert type(error) is kind, error
    assert word in error.message
    assert error.retryable is (kind in RETRYABLE)
    assert error.provider == "minio"
    assert error.key == (None if kind is BucketNotFound else "k") or kind is ConfigurationError
    assert "\n" not in error.message


@pytest.mark.parametrize(("status", "code", "kind", "word"), REPLIES)
def test_a_code_is_the_same_kind_from_every_client(status: int, code: str, kind: type, word: str) -> None:
    for error in in_every_way(status, said(code)):
        check(error, kind, word)
        assert DOING in error.message or kind in {BucketNotFound, ObjectNotFound}


@pytest.mark.parametrize(("status", "kind"), BARE)
@pytest.mark.parametrize("body", ["", "sorry", "<Error><Code>", "<Error><Code>Teapot & more</Error>", "{}", "\x00"])
def test_without_a_code_that_is_known_the_status_tells(status: int, kind: type, body: str) -> None:
    for error in in_every_way(status, body):
        check(error, kind, "")


@pytest.mark.parametrize("status", [200, 400, 503])
def test_a_code_is_read_out_of_a_document_that_is_broken_or_has_a_namespace(status: int) -> None:
    for body in (
        "<Error><Code>SlowDown</Code><Message>a & b</Message></Error>",
        "<Error xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Code>SlowDown</Code></Error>",
        "<Error><Code>SlowDown</Code>",
    ):
        check(of_reply(HTTP, status, body, DOING, key="k"), TooManyRequests, "fewer requests")


@pytest.mark.parametrize("code", ["PermanentRedirect", "AuthorizationHeaderMalformed"])
@pytest.mark.parametrize("status", [301, 400])
def test_the_region_that_a_bucket_is_in_is_told(code: str, status: int) -> None:
    expected = "'bucket' is in region 'eu-central-2', not in 'us-east-1'; set the region"
    for error in in_every_way(status, said(code, more="<Region>eu-central-2</Region>")):
        check(error, ConfigurationError, expected)
    check(of_reply(HTTP, status, said(code), DOING, key="k", region="eu-central-2"), ConfigurationError, expected)
    check(through_botocore(status, said(code), region="eu-central-2"), ConfigurationError, expected)
    malformed = said(code, "the region 'us-east-1' is wrong; expecting 'eu-central-2'")
    check(of_reply(HTTP, status, malformed, DOING, key="k"), ConfigurationError, expected)


PAGES = {
    "html": "<!DOCTYPE html>\n<html><body><p>Welcome</body></html>",
    "upper": "\n <!doctype HTML><HTML></HTML>",
    "bare": "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body></body></html>",
    "xhtml": f'{XML}<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "x.dtd"><html><p>no</p></html>',
    "commented": "<!-- a portal --><html><body></body></html>",
}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("status", [200, 403, 404])
def test_a_web_page_is_no_store(name: str, status: int) -> None:
    body = PAGES[name]
    check(of_reply(HTTP, status, body, DOING, key="k"), ConfigurationError, f"a web page (status {status})")


@pytest.mark.parametrize("name", ["html", "bare"])
def test_a_web_page_is_no_store_for_botocore_either(name: str) -> None:
    check(through_botocore(403, PAGES[name]), ConfigurationError, "a web page (status 403)")


def test_a_port_of_tls_that_answers_in_clear_text_is_a_matter_of_the_endpoint() -> None:
    body = (
        "Client sent an HTTP request to an HTTPS server.\n"  # what MinIO, as every server in Go, says with status 400
    )
    check(of_reply(HTTP, 400, body, DOING, key="k"), ConfigurationError, "https")


def test_what_an_unknown_code_says_is_one_short_line() -> None:
    long = "x" * 5000
    for error in [*in_every_way(418, said("Teapot", f"a\nb\x1b[31m{long}")), *in_every_way(418, said(long))]:
        assert len(error.message) < 500
        assert error.message.isprintable(), repr(error.message)


REFUSED = OSError(111, "Connection refused")
UNRESOLVED = "Failed to resolve 'store' ([Errno -2] Name or service not known)"
VERIFY = "certificate verify failed: unable to get local issuer certificate (_ssl.c:1006)"
URL = "https://store:9000/bucket?uploads"


# As libcurl 8.23 says it.
OF_CURL: list[tuple[int, str, type[StorageError], str]] = [
    (6, "Could not resolve host: store", StoreUnavailable, "does not resolve"),
    (7, "Failed to connect to store:9000 after 0 ms: Could not connect to server", StoreUnavailable, "nothing listens there"),
    (35, "TLS connect error: error:0A00010B:SSL routines::wrong version number", ConfigurationError, "does not speak TLS"),
    (35, "TLS connect error: error:0A000126:SSL routines::unexpected eof", StoreUnavailable, "the connection broke"),
    (60, "SSL certificate problem: unable to get local issuer certificate", ConfigurationError, "STORAGE_CA_BUNDLE"),
    (60, "SSL: no alternative certificate subject name matches", ConfigurationError, "certificate"),
    (28, "Operation too slow. Less than 1 bytes/sec transferred the last 1 seconds", StoreUnavailable, "no answer in time"),
    (28, "Connection timed out after 5001 milliseconds", StoreUnavailable, "no answer in time"),
    (18, "end of response with 7 bytes missing", StoreUnavailable, "the connection broke"),
    (52, "Empty reply from server", StoreUnavailable, "the connection broke"),
    (55, "Send failure: Broken pipe", StoreUnavailable, "the connection broke"),
    (56, "Recv failure: Connection reset by peer", StoreUnavailable, "the connection broke"),
    (65, "necessary data rewind was not possible", StoreUnavailable, "the connection broke"),
    (1, "Received HTTP/0.9 when not allowed", ConfigurationError, "no S3 service"),
    (8, "Invalid Content-Length: value", ConfigurationError, "no S3 service"),
    (5, "Could not resolve proxy: p", StoreUnavailable, "the proxy does not let this through"),
    (7, "CONNECT tunnel failed, response 403", StoreUnavailable, "the proxy does not let this through"),
    (7, "Failed to connect to p:1 over proxy p after 0 ms: Could not connect to server", StoreUnavailable, "the proxy does not"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "text", "kind", "word"), OF_CURL)
def test_what_libcurl_says_of_a_connection_is_told_in_our_words(
    code: int, text: str, kind: type[StorageError], word: str
) -> None:
    told = of_curl(TLS, code, text, DOING, key="k")
    check(told, kind, word)
    assert f"can't {DOING} at https://store:9000" in told.message
    check(of_curl(HTTP, code, text, DOING, key="k"), kind, word)


TROUBLE: dict[str, tuple[Exception, type[StorageError], str]] = {
    "dns, botocore": (botocore.EndpointConnectionError(endpoint_url=URL, error=OSError(UNRESOLVED)),
                      StoreUnavailable, "does not resolve"),
    "refused, botocore": (botocore.EndpointConnectionError(endpoint_url=URL, error=REFUSED),
                          StoreUnavailable, "nothing listens there"),
    "tls to a port without, botocore": (botocore.SSLError(endpoint_url=URL, error="[SSL: WRONG_VERSION_NUMBER] wrong"),
                                        ConfigurationError, "does not speak TLS; write http://"),
    "untrusted, botocore": (botocore.SSLError(endpoint_url=URL, error=f"[SSL: CERTIFICATE_VERIFY_FAILED] {VERIFY}"),
                            ConfigurationError, "STORAGE_CA_BUNDLE"),
    "another's, botocore": (botocore.SSLError(endpoint_url=URL, error="hostname 'store' doesn't match '127.0.0.1'"),
                            ConfigurationError, "certificate"),
    "timeout, botocore": (botocore.ReadTimeoutError(endpoint_url=URL), StoreUnavailable, "no answer in time"),
    "connect timeout, botocore": (botocore.ConnectTimeoutError(endpoint_url=URL), StoreUnavailable, "no answer in time"),
    "gone, botocore": (botocore.ConnectionClosedError(endpoint_url=URL), StoreUnavailable, "the connection broke"),
}  # fmt: skip


@pytest.mark.parametrize("name", TROUBLE)
def test_trouble_with_the_connection_is_told_in_the_same_words(name: str) -> None:
    error, kind, word = TROUBLE[name]
    told = of_botocore(TLS, error, DOING, key="k")
    check(told, kind, word)
    assert f"can't {DOING} at https://store:9000" in told.message
    if "certificate" not in word and "CA_BUNDLE" not in word and "TLS" not in word:
        check(of_botocore(HTTP, error, DOING, key="k"), kind, word)


@pytest.mark.parametrize("word", ["certificate.pem", "my-proxy-logs", "refused", "timeouts"])
def test_what_a_bucket_or_a_host_is_called_is_no_reason(word: str) -> None:
    target = replace(TLS, endpoint_url=f"https://{word}.example.org", bucket=word)
    url = URL.replace("store:9000/bucket", f"{word}.example.org/{word}")
    closed = Exception(f"ConnectionClosed: closed before we received a valid response from {url}")
    check(of_botocore(target, closed, DOING, key="k"), StoreUnavailable, "the connection broke")
    refused = f"Failed to connect to {word}.example.org:443 after 0 ms: Could not connect to server"
    check(of_curl(target, 7, refused, DOING, key="k"), StoreUnavailable, "nothing listens there")


def test_an_error_of_ours_that_a_library_wrapped_comes_out_again() -> None:
    inner, outer = AccessDenied("sign in", provider="minio"), Exception("callback failed: proxy refused")
    outer.__cause__ = ValueError("between")
    outer.__cause__.__context__ = inner
    assert of_botocore(HTTP, outer, DOING) is inner


TAGS = ("Message", "Token-0", "StringToSign", "AWSAccessKeyId", "Code", "Region", "Resource")
BEGINNINGS = ["<Error>", "&amp;", "&x;", "<![CDATA[", "]]>", "<?xml version='1.0' encoding='utf-16'?>"]
NOISE = st.text(max_size=40) | st.sampled_from(BEGINNINGS)


@given(st.integers(100, 599), NOISE, NOISE, st.sampled_from(TAGS), st.booleans())
@example(400, "", "Teapot", "Message", True)
def test_no_body_makes_it_raise_or_tell_a_secret(status: int, before: str, text: str, tag: str, known: bool) -> None:
    hidden = f"{SECRET} {TOKEN} {PROXY}"
    code = "<Code>ExpiredToken</Code>" if known and tag != "Code" else "<Code>Odd</Code>"
    echoed = f"{before}<Error>{code}<{tag}>{text}{hidden if tag not in {'Code', 'Message'} else ''}</{tag}></Error>"
    for body in (echoed, before + text, f"{before}{hidden}{text}"):
        error = of_reply(HTTP, status, body, DOING, key="k")
        assert isinstance(error, StorageError)
        assert all(word not in str(error) for word in (SECRET, TOKEN, "pr0xy-word"))
    trouble: Any
    for trouble in (Exception(f"{before}{hidden}{text}"), OSError(hidden), botocore.ConnectionError(error=hidden)):
        told = str(of_botocore(HTTP, trouble, DOING, key="k"))
        assert all(word not in told for word in (SECRET, TOKEN, "pr0xy-word"))


def test_a_session_token_that_a_store_repeats_is_not_told() -> None:
    for error in in_every_way(400, said("Odd", f"the header x-amz-security-token: {TOKEN} is odd")):
        assert TOKEN not in str(error)
