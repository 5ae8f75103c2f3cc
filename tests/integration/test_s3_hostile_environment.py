"""A dict is the whole truth: whatever somebody else's variables say, a provider made from a dict does what the dict says."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ceph_rgw import CephRgw
from plain_client import plain_client
from stub_store import PassOn, StubStore

from domain.errors import StorageError
from domain.storage import ByteRange, IStorageProvider
from infrastructure.storage.storage_factory import StorageProviderFactory

KEYS = ["plain/key", "odd//é +?#"]

# provider -> what its dict calls the key pair, and the region that is to be signed for where none is given.
PROVIDERS = {
    "s3": ("access_key_id", "secret_access_key", "us-east-1"),
    "r2": ("access_key_id", "secret_access_key", "auto"),
    "minio": ("access_key_id", "secret_access_key", "us-east-1"),
    "wasabi": ("access_key_id", "secret_access_key", "us-east-1"),
    "b2": ("key_id", "application_key", "us-east-1"),
    "spaces": ("access_key_id", "secret_access_key", "us-east-1"),
}

STRANGE = {
    "AWS_ACCESS_KEY_ID": "STRANGEKEY",
    "AWS_SECRET_ACCESS_KEY": "strangesecret",
    "AWS_SESSION_TOKEN": "strangetoken",
    "AWS_SECURITY_TOKEN": "strangetoken",
    "AWS_PROFILE": "strange",
    "AWS_DEFAULT_PROFILE": "strange",
    "AWS_REGION": "strange-region-1",
    "AWS_DEFAULT_REGION": "strange-region-2",
    "AWS_ENDPOINT": "http://127.0.0.1:9/",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
    "AWS_BUCKET": "strange-bucket",
    "AWS_BUCKET_NAME": "strange-bucket",
    "AWS_CA_BUNDLE": "/does/not/exist.pem",
    "REQUESTS_CA_BUNDLE": "/does/not/exist.pem",
    "AWS_CHECKSUM_ALGORITHM": "SHA256",
    "AWS_REQUEST_CHECKSUM_CALCULATION": "when_supported",
    "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_supported",
    "AWS_SERVER_SIDE_ENCRYPTION": "aws:kms",
    "AWS_SSE_KMS_KEY_ID": "strangekms",
    "AWS_SSE_BUCKET_KEY_ENABLED": "true",
    "AWS_SSE_CUSTOMER_KEY_BASE64": "c3RyYW5nZXN0cmFuZ2VzdHJhbmdlc3RyYW5nZXN0cmE=",
    "AWS_REQUEST_PAYER": "true",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
    "AWS_SKIP_SIGNATURE": "true",
    "AWS_UNSIGNED_PAYLOAD": "true",
    "AWS_S3_EXPRESS": "true",
    "AWS_CONDITIONAL_PUT": "disabled",
    "AWS_COPY_IF_NOT_EXISTS": "header: x-strange: 1",
    "AWS_DISABLE_TAGGING": "true",
    "AWS_MAX_ATTEMPTS": "7",
    "AWS_RETRY_MODE": "adaptive",
    "AWS_CONFIG_FILE": "garbage",
    "AWS_SHARED_CREDENTIALS_FILE": "garbage",
    "AWS_USE_DUALSTACK_ENDPOINT": "true",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_S3_USE_ARN_REGION": "true",
    "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH": "false",
    "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": "legacy",
    "AWS_DEFAULTS_MODE": "mobile",
    "AWS_STS_REGIONAL_ENDPOINTS": "strange",
    "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/strange",
    "AWS_ROLE_SESSION_NAME": "strange",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/does/not/exist",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/strange",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/strange",
    "AWS_METADATA_ENDPOINT": "http://127.0.0.1:9",
    "AWS_IMDSV1_FALLBACK": "true",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_DATA_PATH": "/does/not/exist",
    "AWS_SDK_UA_APP_ID": "strangeapp",
    "AWS_USER_AGENT": "strangeagent",
    "AWS_DEFAULT_CONTENT_TYPE": "text/strange",
    "AWS_PROXY_URL": "http://127.0.0.1:9",
    "AWS_ALLOW_HTTP": "false",
    "AWS_ALLOW_INVALID_CERTIFICATES": "true",
    "AWS_HTTP2_ONLY": "true",
    "AWS_TIMEOUT": "1ms",
    "AWS_CONNECT_TIMEOUT": "1ms",
    "AWS_READ_TIMEOUT": "1ms",
    "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES": "0",
    "AWS_SIGV4A_SIGNING_REGION_SET": "*",
    "AWS_AUTH_SCHEME_PREFERENCE": "none",
    "STORAGE_MAX_ATTEMPTS": "no number",
    "STORAGE_CAPABILITIES": "nonsense",
    "STORAGE_PUBLIC_ENDPOINT_URL": "http://strange.example",
}


@pytest.fixture
def strange(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Callable[..., None]:
    """Sets variables of somebody else's; a value `garbage` becomes a file of garbage."""
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"[default\nregion strange-region-3\n\xff\xfe")

    def setting(*names: str) -> None:
        for name in names or STRANGE:
            value = STRANGE[name]
            monkeypatch.setenv(name, str(garbage) if value == "garbage" else value)

    return setting


@pytest.fixture
def line(ceph_rgw: CephRgw) -> Iterator[StubStore]:
    """Keeps what was sent to a real server."""
    with StubStore(PassOn(ceph_rgw.http_url)) as between:
        yield between


@pytest.fixture
def settings(ceph_rgw: CephRgw, line: StubStore, new_bucket: Callable[..., str]) -> Callable[[str], dict[str, Any]]:
    def of(kind: str) -> dict[str, Any]:
        key, secret, _ = PROVIDERS[kind]
        return {
            "provider_type": kind,
            "endpoint_url": line.url,
            "bucket_name": new_bucket(ceph_rgw),
            key: ceph_rgw.access_key,
            secret: ceph_rgw.secret_key,
            "multipart_threshold": 16 << 20,
            "max_attempts": 1,
        }

    return of


def everything(store: IStorageProvider, tmp_path: Any) -> None:
    """Every kind of request that there is."""
    store.connect()
    for key in KEYS:
        assert store.put_bytes(key, b"content", metadata={"a": "ü"}).size == 7
        assert store.get_bytes(key) == b"content"
        assert store.get_bytes(key, byte_range=ByteRange(2, 4)) == b"nt"
        assert store.head(key).metadata == {"a": "ü"}
        assert store.copy(key, f"{key} copy").size == 7
        assert store.head(f"{key} copy").sha256 == store.head(key).sha256
    big = os.urandom(17 << 20)
    (tmp_path / "big").write_bytes(big)
    store.upload(tmp_path / "big", "big")
    store.download("big", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == big
    with store.open_writer("stream") as writer:
        writer.write(big)
    assert store.head("stream").size == len(big)
    assert list(store.unfinished_uploads()) == []
    assert len(store.list_files()) == 6
    for key in KEYS:
        with urllib.request.urlopen(store.presign(key), timeout=20) as answer:  # noqa: S310 - to ourselves
            assert answer.read() == b"content"
        store.delete(key)
    assert store.delete_many(store.list_files()) == []
    assert store.list_files() == []
    store.for_bucket(f"{store.describe().bucket}-2").create_bucket()


def strangeness(line: StubStore, access_key: str, region: str) -> list[str]:
    """What requests carry that is not of the dict's."""
    found = []
    for request in line.requests:
        signed = request.headers.get("authorization", "") + request.target
        if "X-Amz-Signature" not in request.target:
            if f"Credential={access_key}/" not in signed:
                found.append(f"{request.method}: signed by {signed}")
            if f"/{region}/s3/aws4_request" not in signed:
                found.append(f"{request.method}: {signed}, not for {region}")
        for name, value in request.headers.items():
            # An MD5 of a bulk delete is what the protocol asks for.
            named = (
                "x-amz-security-token",
                "server-side-encryption",
                "x-amz-checksum",
                "sdk-checksum",
                "request-payer",
            )
            if any(part in name for part in named) or "trailer" in name or "strange" in value.lower():
                found.append(f"{request.method}: {name}: {value}")
    return found


@pytest.mark.parametrize("kind", PROVIDERS)
def test_nothing_of_anybody_else_is_used(settings, strange, line, ceph_rgw, tmp_path, kind) -> None:
    given = settings(kind)
    strange()
    store = StorageProviderFactory.create(given)
    try:
        everything(store, tmp_path)
    finally:
        store.disconnect()
    assert strangeness(line, ceph_rgw.access_key, PROVIDERS[kind][2]) == []
    sent = {request.method for request in line.requests}
    assert sent == {"GET", "PUT", "POST", "HEAD", "DELETE"}


@pytest.mark.parametrize("name", STRANGE)
def test_no_variable_has_an_effect(settings, strange, line, ceph_rgw, name) -> None:
    """As above, one at a time: one that breaks nothing by itself may be hidden by another."""
    given = settings("minio")
    strange(name)
    before = dict(os.environ)
    store = StorageProviderFactory.create(given | {"region": "my-region"})
    try:
        for key in KEYS:
            store.put_bytes(key, b"content")
            assert store.get_bytes(key) == b"content"
            assert store.head(key).content_type == "application/octet-stream"
        assert list(store.unfinished_uploads()) == []
        assert "strange" not in store.presign("k")
    finally:
        store.disconnect()
    assert strangeness(line, ceph_rgw.access_key, "my-region") == []
    assert dict(os.environ) == before, "it is theirs to keep"


@pytest.mark.parametrize("name", ["AWS_ALLOW_INVALID_CERTIFICATES", "AWS_CA_BUNDLE", "AWS_UNSIGNED_PAYLOAD"])
def test_whom_to_trust_is_not_for_others_to_say(settings, strange, ceph_rgw, name) -> None:
    strange(name)
    given = settings("minio") | {"endpoint_url": ceph_rgw.https_url}
    untrusting = StorageProviderFactory.create(given)
    for call in (
        lambda: untrusting.put_bytes("k", b"x"),
        untrusting.list_files,
        lambda: list(untrusting.unfinished_uploads()),
    ):
        with pytest.raises(StorageError, match="certificate"):
            call()
    store = StorageProviderFactory.create(given | {"ca_bundle": str(ceph_rgw.ca_bundle)})
    assert store.put_bytes("k", b"x").size == 1
    assert store.list_files() == ["k"]
    assert list(store.unfinished_uploads()) == []
    client = plain_client(ceph_rgw)
    assert client.get_object(Bucket=given["bucket_name"], Key="k")["Body"].read() == b"x"
    client.close()
    for one in (store, untrusting):
        one.disconnect()
