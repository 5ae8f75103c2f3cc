"""Settings of the S3-compatible providers that can't be are refused in words that help, and without any secret."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from stub_store import Reply, StubStore

from domain.errors import ConfigurationError
from domain.storage import IStorageProvider
from infrastructure.storage.storage_factory import StorageProviderFactory

MIB = 1 << 20
SECRET = "s3cr3t-of-nobody"  # noqa: S105
KEYS = {"access_key_id": f"{SECRET}-id", "secret_access_key": SECRET}
PLACES: dict[str, dict[str, Any]] = {
    "s3": {},
    "spaces": {},
    "wasabi": {},
    "b2": {"endpoint_url": "https://s3.us-west-004.backblazeb2.com"},
    "r2": {"account_id": "abc"},
    "minio": {"endpoint_url": "localhost:9000"},
}
HALVES = {name: tuple(KEYS) for name in PLACES} | {"b2": ("key_id", "application_key")}


def made(name: str, settings: dict[str, Any]) -> IStorageProvider:
    return StorageProviderFactory.create({"provider_type": name, "bucket_name": "bucket", **PLACES[name], **settings})


def complaint(name: str, settings: dict[str, Any]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        made(name, settings)
    error = caught.value
    assert error.provider == name
    assert SECRET not in str(error) and SECRET not in repr(error)
    assert error.__cause__ is None or SECRET not in str(error.__cause__)
    return error.message


def of_minio(settings: dict[str, Any]) -> str:
    return complaint("minio", {**KEYS, **settings})


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("half", [0, 1])
def test_half_a_credential_names_the_vendors_two_fields(name: str, half: int) -> None:
    given, missing = HALVES[name][half], HALVES[name][1 - half]
    assert f"half a credential: {given} without {missing}" in complaint(name, {given: SECRET})


@pytest.mark.parametrize("name", PLACES)
def test_a_session_token_alone_is_refused(name: str) -> None:
    one, other = HALVES[name]
    assert f"session_token without {one} and {other}" in complaint(name, {"session_token": SECRET})


@pytest.mark.parametrize("name", PLACES)
def test_a_dict_without_credentials_is_refused_and_nothing_is_looked_up(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "credentials").write_text(f"[default]\naws_access_key_id=a\naws_secret_access_key={SECRET}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    one, other = HALVES[name]
    assert f"no credentials; set {one} and {other} (" in complaint(name, {})


@pytest.mark.parametrize(
    ("endpoint", "says"),
    [
        ("https://host/path", "more than a host and a port"),
        ("https://host/?x=1", "more than a host and a port"),
        ("https://host#there", "more than a host and a port"),
        ("https://host?", "more than a host and a port"),
        ("https://host#", "more than a host and a port"),
        (f"https://user:{SECRET}@host", "credentials in it"),
        (f"https://:{SECRET}@host", "credentials in it"),
        ("https://@host", "credentials in it"),
        ("https://:9000", "it has no host"),
        ("https://", "it has no host"),
        ("https:///", "it has no host"),
        ("https://a b", "it has no host"),
        ("https://ho\nst", "it has no host"),
        ("https://host:99999", "port"),
        ("https://host:http", "port"),
        ("ftp://host", "its scheme is 'ftp'"),
        ("://host", "its scheme is ''"),
        ("https://bucket.s3.eu-central-1.amazonaws.com", "write it without 'bucket.'"),
        ("https://BUCKET.fra1.digitaloceanspaces.com", "write it without 'bucket.'"),
    ],
)
def test_an_endpoint_is_a_scheme_a_host_and_a_port(endpoint: str, says: str) -> None:
    assert says in of_minio({"endpoint_url": endpoint})
    if "write it without" not in says:
        assert says in of_minio({"public_endpoint_url": endpoint})
        assert "'public_endpoint_url'" in of_minio({"public_endpoint_url": endpoint})


@pytest.mark.parametrize("name", ["s3", "r2", "wasabi", "spaces"])
def test_an_endpoint_without_a_scheme_is_refused_where_a_vendor_shows_none_such(name: str) -> None:
    assert "it has no scheme; write https://" in complaint(name, {**KEYS, "endpoint_url": "host:9000"})


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("r2", {"account_id": "abc/def"}),
        ("r2", {"account_id": "abc.example.org/?"}),
        ("s3", {"region": "us east 1"}),
        ("s3", {"region": "evil.example.org/"}),
        ("wasabi", {"region": "eu-central-1/"}),
        ("spaces", {"region": "nyc3@evil.example.org"}),
    ],
)
def test_what_an_address_is_made_of_is_one_part_of_a_host(name: str, settings: dict[str, Any]) -> None:
    assert next(iter(settings)) in complaint(name, {**KEYS, **settings})


@pytest.mark.parametrize("bucket", ["Bucket", "b", "a_b", "-ab", "a..b", "a/b", "x" * 64, "", "é" * 5, "bucket\n"])
def test_a_bucket_name_is_one_that_every_store_takes(bucket: str) -> None:
    said = of_minio({"bucket_name": bucket})
    assert "'bucket_name'" in said and "3 to 63 of a-z" in said


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"multipart_chunksize": 5 * MIB - 1}, "'multipart_chunksize'"),
        ({"multipart_threshold": 5 * MIB - 1}, "'multipart_threshold'"),
        ({"multipart_chunksize": (5 << 30) + 1}, "'multipart_chunksize'"),
        ({"connect_timeout": 0}, "'connect_timeout'"),
        ({"connect_timeout": "nan"}, "'connect_timeout'"),
        ({"read_timeout": -1}, "'read_timeout'"),
        ({"max_attempts": 0}, "'max_attempts'"),
        ({"max_attempts": 101}, "'max_attempts'"),
        ({"max_pool_connections": 0}, "'max_pool_connections'"),
        ({"concurrency": 0}, "'concurrency'"),
        ({"concurrency": 257}, "'concurrency'"),
        ({"bandwidth": "fast"}, "'bandwidth'"),
        ({"bandwidth": "-1M"}, "'bandwidth'"),
        ({"bandwidth": 999}, "'bandwidth'"),
        ({"requests_per_second": 0}, "'requests_per_second'"),
        ({"requests_per_second": "inf"}, "'requests_per_second'"),
        ({"memory": "1KiB"}, "'memory'"),
        ({"memory": "lots"}, "'memory'"),
        ({"secure": SECRET}, "'secure'"),
        ({"create_buckets": SECRET}, "'create_buckets'"),
        ({"bucket": SECRET}, "'bucket' is unknown"),
        ({"account_id": "abc"}, "'account_id' is unknown"),
        ({"ca_bundle": "/no/such/file.pem"}, "there is no file '/no/such/file.pem'"),
        ({"ca_bundle": "/"}, "no certificate can be read from '/'"),
        (
            {"capabilities": {"teleport": True}},
            "'teleport' in capabilities (STORAGE_CAPABILITIES) is none; known are create_if_absent",
        ),
        ({"capabilities": "teleport=true"}, "'teleport' in capabilities"),
        ({"capabilities": "presign"}, "write them as name=true,other=false"),
        ({"capabilities": "presign=maybe"}, "write them as name=true,other=false"),
        ({"capabilities": "presign=true;buckets=true"}, "write them as name=true,other=false"),
        ({"capabilities": "presign=true,"}, "write them as name=true,other=false"),
        ({"access_key_id": [SECRET]}, "'access_key_id'"),
        ({"proxy_url": [SECRET]}, "'proxy_url'"),
    ],
)
def test_a_value_that_can_not_be_is_told_by_its_field(settings: dict[str, Any], says: str) -> None:
    assert says in of_minio(settings)


@pytest.mark.parametrize("text", ["no presign=true", "!presign=false", "PRE presign=true, buckets=true"])
def test_text_before_a_capability_is_not_skipped(text: str) -> None:
    assert "write them as name=true,other=false" in of_minio({"capabilities": text})


@pytest.mark.parametrize("text", ["presign=false", " presign = false ,buckets=true "])
def test_capabilities_can_be_said_as_text(text: str) -> None:
    assert made("minio", {**KEYS, "capabilities": text}).capabilities.presign is False


@pytest.mark.parametrize("field", ["connect_timeout", "read_timeout"])
@pytest.mark.parametrize("value", ["inf", 1e300])
def test_a_timeout_that_no_client_can_keep_is_refused(field: str, value: object) -> None:
    assert f"'{field}'" in of_minio({field: value})


@pytest.mark.parametrize("proxy", ["proxy.example.org:3128", "nonsense", "socks5://proxy:1080", "http://"])
def test_a_proxy_that_is_none_is_refused(proxy: str) -> None:
    assert "'proxy_url'" in of_minio({"proxy_url": proxy})


@pytest.mark.parametrize(
    ("user", "header"), [("", None), ("user:pass%40word@", "Basic dXNlcjpwYXNzQHdvcmQ=")], ids=["open", "password"]
)
def test_a_store_without_tls_is_asked_through_the_proxy(user: str, header: str | None) -> None:
    with StubStore(lambda request: Reply(204)) as stub:
        proxy = stub.url.replace("http://", f"http://{user}")
        provider: Any = made("minio", {**KEYS, "endpoint_url": "http://store.invalid", "proxy_url": proxy})
        provider._engine.wire.send("DELETE", "a//b", doing="try")
        provider.disconnect()
    (request,) = stub.requests
    assert request.target == "http://store.invalid/bucket/a//b"
    assert request.headers.get("proxy-authorization") == header


def test_a_proxy_of_the_machine_may_be_written_without_a_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("no_proxy", "NO_PROXY", "http_proxy"):
        monkeypatch.delenv(variable, raising=False)
    with StubStore(lambda request: Reply(204)) as stub:
        monkeypatch.setenv("http_proxy", stub.url.removeprefix("http://"))  # as curl and others take it
        provider: Any = made("minio", {**KEYS, "endpoint_url": "http://store.invalid"})
        provider._engine.wire.send("DELETE", "k", doing="try")
        provider.disconnect()
    assert [request.target for request in stub.requests] == ["http://store.invalid/bucket/k"]


def test_an_error_of_the_environment_names_its_variable() -> None:
    environ = {
        "STORAGE_PROVIDER": "wasabi",
        "WASABI_ACCESS_KEY": SECRET,
        "WASABI_SECRET_KEY": SECRET,
        "WASABI_BUCKET": "Bucket",
        "STORAGE_READ_TIMEOUT": "long",
    }
    with pytest.raises(ConfigurationError) as caught:
        StorageProviderFactory.from_env(environ)
    assert "'WASABI_BUCKET'" in caught.value.message
    assert "'STORAGE_READ_TIMEOUT'" in caught.value.message
    assert SECRET not in str(caught.value)


def test_the_needed_place_is_told_by_its_settings() -> None:
    with pytest.raises(ConfigurationError, match=r"account_id \(CLOUDFLARE_R2_ACCOUNT_ID\) or endpoint_url"):
        made("r2", {**KEYS, "account_id": None})
    for name in ("b2", "minio"):
        with pytest.raises(ConfigurationError, match="'endpoint_url' is missing"):
            StorageProviderFactory.create({"provider_type": name, "bucket_name": "bucket"})
        with pytest.raises(ConfigurationError, match="'endpoint_url'"):
            made(name, {"endpoint_url": ""})


def test_no_secret_is_in_a_warning() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        made("s3", {**KEYS, "session_token": SECRET, "proxy_url": f"http://u:{SECRET}@p:1"})
    assert SECRET not in "".join(str(warning.message) for warning in told)
