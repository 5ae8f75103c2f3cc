"""What a user gets wrong, or a store refuses, is told alike whichever of the engine's clients meets it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ceph_rgw import CephRgw
from stub_store import Reply, StubStore, page, refusal

from domain import errors
from domain.storage import IStorageProvider
from infrastructure.storage.storage_factory import StorageProviderFactory

_XML = "<Endpoint>x.s3.eu-central-2.amazonaws.com</Endpoint><Region>eu-central-2</Region>"

OPERATIONS: dict[str, Callable[[IStorageProvider], Any]] = {
    "put": lambda store: store.put_bytes("k", b"x"),
    "put of an odd key": lambda store: store.put_bytes("a//b", b"x"),
    "head": lambda store: store.head("k"),
    "head of an odd key": lambda store: store.head("a//b"),
    "get": lambda store: store.get_bytes("k"),
    "get of an odd key": lambda store: store.get_bytes("a//b"),
    "list": lambda store: store.list_files(),
    "delete": lambda store: store.delete("k"),
    "delete of many": lambda store: store.delete_many(["k", "l"]),
    "copy": lambda store: store.copy("k", "l"),
    "large write": lambda store: store.put_bytes("k", bytes(9 << 20)),
    "unfinished": lambda store: list(store.unfinished_uploads()),
    "create bucket": lambda store: store.create_bucket(),
    "connect": lambda store: store.connect(),
}
# The answer to a HEAD has no body, so all that is known is the status.
HEADS = {"head", "head of an odd key", "copy", "connect"}


@pytest.fixture
def settings(ceph_rgw: CephRgw, new_bucket: Callable[..., str]) -> dict[str, Any]:
    return {
        "provider_type": "minio",
        "endpoint_url": ceph_rgw.http_url,
        "access_key_id": ceph_rgw.access_key,
        "secret_access_key": ceph_rgw.secret_key,
        "bucket_name": new_bucket(ceph_rgw),
        "max_attempts": 1,
        "read_timeout": 3,
    }


@pytest.fixture
def stub() -> Iterator[StubStore]:
    with StubStore(lambda request: Reply(500)) as store:
        yield store


def error_of(settings: dict[str, Any], operation: str) -> errors.StorageError:
    """What the operation raises; its message is one line, without secrets and without a library's own words."""
    provider = StorageProviderFactory.create(settings)
    try:
        with pytest.raises(errors.StorageError) as raised:
            OPERATIONS[operation](provider)
    finally:
        provider.disconnect()
    message = str(raised.value)
    assert "\n" not in message
    assert settings["secret_access_key"] not in message
    assert not re.search(r"pycurl|libcurl|botocore|urllib3|Debug|\w+Error\b(?!\))", message), message
    return raised.value


@pytest.mark.parametrize("operation", OPERATIONS)
def test_wrong_secret(settings: dict[str, Any], operation: str) -> None:
    error = error_of(settings | {"secret_access_key": "w" * 40}, operation)
    assert type(error) is errors.AccessDenied
    assert "secret_access_key (MINIO_ACCESS_KEY, MINIO_SECRET_KEY)" in error.message


@pytest.mark.parametrize("operation", OPERATIONS)
def test_unknown_access_key(settings: dict[str, Any], operation: str) -> None:
    error = error_of(settings | {"access_key_id": "nobody"}, operation)
    assert type(error) is errors.AccessDenied
    assert "(MINIO_ACCESS_KEY, MINIO_SECRET_KEY)" in error.message


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name != "create bucket"])
def test_no_such_bucket(settings: dict[str, Any], operation: str) -> None:
    error = error_of(settings | {"bucket_name": "not-there-at-all"}, operation)
    assert type(error) is errors.BucketNotFound
    assert "'not-there-at-all'" in error.message and settings["endpoint_url"] in error.message


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nothing_listens(settings: dict[str, Any], operation: str) -> None:
    with StubStore(lambda request: Reply(500)) as stub:
        url = stub.url
    error = error_of(settings | {"endpoint_url": url}, operation)
    assert type(error) is errors.StoreUnavailable
    assert url in error.message and "nothing listens there" in error.message


@pytest.mark.parametrize("operation", ["put", "list", "unfinished"])
def test_name_that_does_not_resolve(settings: dict[str, Any], operation: str) -> None:
    error = error_of(settings | {"endpoint_url": "https://no-such-host.invalid"}, operation)
    assert type(error) is errors.StoreUnavailable
    assert "does not resolve" in error.message


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("wrong", ["TLS to a port without", "no TLS to a port with", "a certificate nobody trusts"])
def test_wrong_protocol(settings: dict[str, Any], ceph_rgw: CephRgw, operation: str, wrong: str) -> None:
    url, says = {
        "TLS to a port without": (ceph_rgw.http_url.replace("http:", "https:"), "does not speak TLS; write http://"),
        "no TLS to a port with": (ceph_rgw.https_url.replace("https:", "http:"), "https"),
        "a certificate nobody trusts": (ceph_rgw.https_url, "not trusted; name its CA in STORAGE_CA_BUNDLE"),
    }[wrong]
    error = error_of(settings | {"endpoint_url": url}, operation)
    # A server of TLS may just close the connection: then it can be a hint only.
    assert isinstance(error, errors.ConfigurationError) or says == "https"
    assert url in error.message and says in error.message


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("status", [301, 400])
def test_bucket_in_another_region(settings: dict[str, Any], stub: StubStore, operation: str, status: int) -> None:
    code = {301: "PermanentRedirect", 400: "AuthorizationHeaderMalformed"}[status]
    stub.answer = lambda request: refusal(status, code, _XML, x_amz_bucket_region="eu-central-2")
    error = error_of(settings | {"endpoint_url": stub.url}, operation)
    assert type(error) is errors.ConfigurationError
    assert "'eu-central-2'" in error.message and "'us-east-1'" in error.message


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name not in HEADS])
@pytest.mark.parametrize(
    ("status", "code", "kind", "says"),
    [
        (400, "ExpiredToken", errors.AccessDenied, "sign in again"),
        (403, "ExpiredToken", errors.AccessDenied, "sign in again"),
        (403, "RequestTimeTooSkewed", errors.AccessDenied, "set the clock"),
        (503, "SlowDown", errors.TooManyRequests, "try again later"),
        (507, "XMinioStorageFull", errors.InsufficientStorage, "free some space"),
        (500, "InternalError", errors.StoreUnavailable, "try again later"),
    ],
)
def test_refusals(
    settings: dict[str, Any], stub: StubStore, operation: str, status: int, code: str, kind: type, says: str
) -> None:
    stub.answer = lambda request: refusal(status, code)
    error = error_of(settings | {"endpoint_url": stub.url}, operation)
    assert type(error) is kind
    assert says in error.message
    # What is refused may be asked about once more, by a request that tells more; a busy store is not asked again.
    assert len(stub.requests) == 1 or (kind is errors.AccessDenied and len(stub.requests) == 2)


PAGES = [(status, name) for status in (200, 403, 404) for name in OPERATIONS if status == 200 or name not in HEADS]


@pytest.mark.parametrize(("status", "operation"), PAGES)
def test_web_page(settings: dict[str, Any], stub: StubStore, operation: str, status: int) -> None:
    stub.answer = lambda request: page(status)
    error = error_of(settings | {"endpoint_url": stub.url}, operation)
    assert type(error) is errors.ConfigurationError
    assert stub.url in error.message and "check the endpoint" in error.message


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name not in HEADS])
def test_web_page_of_what_stands_before_the_store(settings: dict[str, Any], stub: StubStore, operation: str) -> None:
    """A load balancer that misses its store says so in HTML; that passes."""
    stub.answer = lambda request: page(502)
    error = error_of(settings | {"endpoint_url": stub.url}, operation)
    assert type(error) is errors.StoreUnavailable
    assert stub.url in error.message and "try again later" in error.message


@pytest.mark.parametrize("operation", OPERATIONS)
def test_connection_that_closes_without_an_answer(settings: dict[str, Any], stub: StubStore, operation: str) -> None:
    def vanish(request: Any) -> Reply:
        raise ConnectionAbortedError

    stub.answer = vanish
    error = error_of(settings | {"endpoint_url": stub.url}, operation)
    assert type(error) is errors.StoreUnavailable
    assert "connection broke" in error.message, "it did not time out"


@pytest.mark.parametrize("key", ["proxy/timeout refused", "certificate.pem", "dns error/Parse(InvalidHeader"])
def test_what_a_key_is_called_is_no_reason(settings: dict[str, Any], stub: StubStore, key: str) -> None:
    """The libraries' texts hold the URL."""
    stub.answer = lambda request: 1 / 0  # type: ignore[assignment, return-value]
    provider = StorageProviderFactory.create(settings | {"endpoint_url": stub.url})
    for call in (lambda: provider.get_bytes(key), lambda: provider.put_bytes(key, b"x")):
        with pytest.raises(errors.StoreUnavailable, match="the connection broke"):
            call()
    provider.disconnect()


@pytest.mark.parametrize("operation", ["put", "get", "head", "delete", "large write", "put of an odd key"])
def test_the_key_told_is_the_callers(settings: dict[str, Any], stub: StubStore, operation: str) -> None:
    stub.answer = lambda request: refusal(403, "AccessDenied")
    error = error_of(settings | {"endpoint_url": stub.url}, operation)
    key = "a//b" if "odd" in operation else "k"
    assert error.key == key
    assert repr(key) in error.message
