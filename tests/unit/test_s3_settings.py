"""The settings of the S3-compatible providers: from the environment, from a dict, where they lead, what is refused."""

from __future__ import annotations

import itertools
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import certifi
import pytest
from pydantic import SecretStr

from config.settings import StorageConfig
from domain.errors import AccessDenied, ConfigurationError
from domain.storage import Capabilities
from infrastructure.storage import providers
from infrastructure.storage.s3.credentials import KeyPair
from infrastructure.storage.s3.provider import S3CompatibleProvider
from infrastructure.storage.storage_factory import StorageProviderFactory

MIB = 1 << 20
SHARED = {
    "public_endpoint_url": ("STORAGE_PUBLIC_ENDPOINT_URL",),
    "ca_bundle": ("STORAGE_CA_BUNDLE",),
    "proxy_url": ("STORAGE_PROXY_URL",),
    "connect_timeout": ("STORAGE_CONNECT_TIMEOUT",),
    "read_timeout": ("STORAGE_READ_TIMEOUT",),
    "max_attempts": ("STORAGE_MAX_ATTEMPTS",),
    "max_pool_connections": ("STORAGE_MAX_POOL_CONNECTIONS",),
    "multipart_threshold": ("STORAGE_MULTIPART_THRESHOLD",),
    "multipart_chunksize": ("STORAGE_MULTIPART_CHUNKSIZE",),
    "create_buckets": ("STORAGE_CREATE_BUCKETS",),
    "concurrency": ("STORAGE_CONCURRENCY",),
    "bandwidth": ("STORAGE_BANDWIDTH",),
    "requests_per_second": ("STORAGE_REQUESTS_PER_SECOND",),
    "memory": ("STORAGE_MEMORY",),
    "capabilities": ("STORAGE_CAPABILITIES",),
}
VARIABLES: dict[str, dict[str, tuple[str, ...]]] = {
    "s3": SHARED
    | {
        "access_key_id": ("AWS_ACCESS_KEY_ID",),
        "secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
        "session_token": ("AWS_SESSION_TOKEN",),
        "profile": ("AWS_PROFILE",),
        "bucket_name": ("AWS_BUCKET_NAME",),
        "region": ("AWS_REGION",),
        "endpoint_url": ("AWS_ENDPOINT_URL",),
        "ca_bundle": ("AWS_CA_BUNDLE", "STORAGE_CA_BUNDLE"),
    },
    "spaces": SHARED
    | {
        "access_key_id": ("DO_SPACES_KEY",),
        "secret_access_key": ("DO_SPACES_SECRET",),
        "bucket_name": ("DO_SPACES_NAME",),
        "region": ("DO_SPACES_REGION",),
    },
    "wasabi": SHARED
    | {
        "access_key_id": ("WASABI_ACCESS_KEY",),
        "secret_access_key": ("WASABI_SECRET_KEY",),
        "bucket_name": ("WASABI_BUCKET",),
        "region": ("WASABI_REGION",),
    },
    "b2": SHARED
    | {
        "key_id": ("BACKBLAZE_KEY_ID",),
        "application_key": ("BACKBLAZE_APPLICATION_KEY",),
        "bucket_name": ("BACKBLAZE_BUCKET",),
        "endpoint_url": ("BACKBLAZE_ENDPOINT",),
    },
    "r2": SHARED
    | {
        "account_id": ("CLOUDFLARE_R2_ACCOUNT_ID", "CLOUDFLARE_ACCOUNT_ID"),
        "access_key_id": ("CLOUDFLARE_R2_ACCESS_KEY", "CLOUDFLARE_R2_ACCESS_KEY_ID", "R2_ACCESS_KEY_ID"),
        "secret_access_key": (
            "CLOUDFLARE_R2_SECRET_KEY",
            "CLOUDFLARE_R2_SECRET_ACCESS_KEY",
            "R2_SECRET_ACCESS_KEY",
        ),
        "bucket_name": ("CLOUDFLARE_R2_BUCKET", "CLOUDFLARE_R2_BUCKET_NAME", "R2_BUCKET_NAME"),
        "endpoint_url": ("CLOUDFLARE_R2_ENDPOINT_URL", "R2_ENDPOINT"),
    },
    "minio": SHARED
    | {
        "endpoint_url": ("MINIO_ENDPOINT",),
        "access_key_id": ("MINIO_ACCESS_KEY",),
        "secret_access_key": ("MINIO_SECRET_KEY",),
        "secure": ("MINIO_SECURE",),
        "region": ("MINIO_REGION",),
        "bucket_name": ("MINIO_DEFAULT_BUCKET",),
        "multipart_threshold": ("MINIO_MULTIPART_THRESHOLD", "STORAGE_MULTIPART_THRESHOLD"),
        "multipart_chunksize": ("MINIO_MULTIPART_CHUNKSIZE", "STORAGE_MULTIPART_CHUNKSIZE"),
        "max_pool_connections": ("MINIO_MAX_POOL_CONNECTIONS", "STORAGE_MAX_POOL_CONNECTIONS"),
        "create_buckets": ("MINIO_CREATE_BUCKETS", "STORAGE_CREATE_BUCKETS"),
    },
}
# What a variable says, and what the setting then is.
SAID: dict[str, tuple[str, Any]] = {
    "access_key_id": ("AKIATOLD", "AKIATOLD"),
    "secret_access_key": ("told-secret", "told-secret"),
    "key_id": ("004told", "004told"),
    "application_key": ("told-secret", "told-secret"),
    "session_token": ("told-token", "told-token"),
    "profile": ("lab", "lab"),
    "account_id": ("abc123", "abc123"),
    "bucket_name": ("told.bucket-1", "told.bucket-1"),
    "region": ("eu-told-1", "eu-told-1"),
    "endpoint_url": ("https://told.example.org:444", "https://told.example.org:444"),
    "secure": ("true", True),
    "public_endpoint_url": ("https://public.example.org/", "https://public.example.org"),
    "ca_bundle": (certifi.where(), certifi.where()),
    "proxy_url": ("http://user:told-secret@proxy:3128", "http://user:told-secret@proxy:3128"),
    "connect_timeout": ("1.5", 1.5),
    "read_timeout": ("7", 7.0),
    "max_attempts": ("3", 3),
    "max_pool_connections": ("9", 9),
    "multipart_threshold": ("16777216", 16 * MIB),
    "multipart_chunksize": ("5242880", 5 * MIB),
    "create_buckets": ("yes", True),
    "concurrency": ("200", 200),
    "bandwidth": ("1.5MiB", 3 * MIB // 2),
    "requests_per_second": ("0.5", 0.5),
    "memory": ("64MiB", 64 * MIB),
    "capabilities": ("presign=false, create_if_absent=true", {"presign": False, "create_if_absent": True}),
}
NEEDED = ("access_key_id", "secret_access_key", "key_id", "application_key", "account_id", "bucket_name")
EACH = [
    pytest.param(name, field, variable, id=f"{name}-{variable}")
    for name, fields in VARIABLES.items()
    for field, aliases in fields.items()
    for variable in aliases
]
PAIRS = [
    pytest.param(name, field, one, other, id=f"{one}-{other}")
    for name, fields in VARIABLES.items()
    for field, aliases in fields.items()
    for one, other in itertools.combinations(aliases, 2)
]
SECRET = "s3cr3t-of-nobody"  # noqa: S105
KEYS = {"access_key_id": "AKIA", "secret_access_key": SECRET}
GIVEN: dict[str, dict[str, Any]] = {
    "s3": {**KEYS, "bucket_name": "bucket"},
    "spaces": {**KEYS, "bucket_name": "bucket"},
    "wasabi": {**KEYS, "bucket_name": "bucket"},
    "b2": {
        "key_id": "004",
        "application_key": SECRET,
        "bucket_name": "bucket",
        "endpoint_url": "https://s3.us-west-004.backblazeb2.com",
    },
    "r2": {**KEYS, "bucket_name": "bucket", "account_id": "abc"},
    "minio": {**KEYS, "bucket_name": "bucket", "endpoint_url": "localhost:9000"},
}


def environment(name: str, without: str = "") -> dict[str, str]:
    """All that this provider needs, by the first alias of each variable, but for one field."""
    told = {
        aliases[0]: SAID[field][0] for field, aliases in VARIABLES[name].items() if field in NEEDED and field != without
    }
    endpoint = {"b2": {"BACKBLAZE_ENDPOINT": "s3.eu-1.backblazeb2.com"}, "minio": {"MINIO_ENDPOINT": "localhost:9000"}}
    return {"STORAGE_PROVIDER": name, **told, **endpoint.get(name, {})}


def made(name: str, **settings: Any) -> S3CompatibleProvider:
    provider = StorageProviderFactory.create({"provider_type": name, **GIVEN[name], **settings})
    assert isinstance(provider, S3CompatibleProvider)
    return provider


def from_env(environ: dict[str, str]) -> S3CompatibleProvider:
    provider = StorageProviderFactory.from_env(environ)
    assert isinstance(provider, S3CompatibleProvider)
    return provider


def clear(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


@pytest.mark.parametrize(("name", "field", "variable"), EACH)
def test_each_variable_alone_sets_its_field(name: str, field: str, variable: str) -> None:
    text, value = SAID[field]
    provider = from_env({**environment(name, without=field), variable: text})
    assert clear(getattr(provider._settings, field)) == value


@pytest.mark.parametrize(("name", "field", "variable"), EACH)
def test_an_empty_variable_counts_as_unset(name: str, field: str, variable: str) -> None:
    aliases = VARIABLES[name][field]
    others = {alias: SAID[field][0] for alias in aliases if alias != variable}
    given = StorageProviderFactory.settings_from_env({"STORAGE_PROVIDER": name, variable: "", **others})
    assert given.get(field) == (SAID[field][0] if others else None)


@pytest.mark.parametrize(("name", "field", "one", "other"), PAIRS)
def test_two_aliases_that_differ_are_both_named_and_no_value_is(name: str, field: str, one: str, other: str) -> None:
    text = SAID[field][0]
    environ = {**environment(name, without=field), one: text, other: f"{text}0"}
    with pytest.raises(ConfigurationError) as caught:
        from_env(environ)
    assert f"{one} and {other} say different things about {field}" in caught.value.message
    assert caught.value.provider == name
    assert text not in str(caught.value)
    environ[other] = text
    assert clear(getattr(from_env(environ)._settings, field)) == SAID[field][1]


@pytest.mark.parametrize("name", VARIABLES)
def test_what_the_environment_lacks_is_named_by_its_variables(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        from_env({"STORAGE_PROVIDER": name})
    assert f"'{' or '.join(VARIABLES[name]['bucket_name'])}' is missing" in caught.value.message


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("MINIO_MODELS_BUCKET", "my-models", "models_bucket", "my-models"),
        ("MINIO_VIDEO_BUCKET", "my-video", "video_bucket", "my-video"),
        ("MINIO_LOGS_BUCKET", "my-logs", "logs_bucket", "my-logs"),
        ("MINIO_ENABLE_CACHING", "true", "enable_caching", True),
        ("MINIO_CACHE_TTL", "60", "cache_ttl", 60),
        ("MINIO_ENABLE_VERSIONING", "yes", "enable_versioning", True),
        ("MINIO_ENABLE_ENCRYPTION", "1", "enable_encryption", True),
        ("MINIO_ENABLE_COMPRESSION", "on", "enable_compression", True),
        ("MINIO_DEFAULT_BUCKET", "first", "bucket_name", "first"),
        ("MINIO_REGION", "here", "region", "here"),
    ],
)
def test_what_the_application_is_told_of_minio(variable: str, text: str, field: str, value: object) -> None:
    environ = environment("minio")
    default = getattr(StorageConfig.from_env(environ), field)
    assert getattr(StorageConfig.from_env({**environ, variable: text}), field) == value != default
    assert getattr(StorageConfig.from_env({**environ, variable: ""}), field) in (default, None)


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("local",), "LocalProvider"),
        (("s3", "aws"), "S3Provider"),
        (("digitalocean", "do", "spaces"), "DigitalOceanProvider"),
        (("wasabi",), "WasabiProvider"),
        (("backblaze", "b2"), "BackblazeProvider"),
        (("cloudflare", "r2", "cloudflare_r2"), "CloudflareR2Provider"),
        (("minio",), "MinIOProvider"),
    ],
)
def test_every_name_makes_its_class(names: tuple[str, ...], kind: str, tmp_path: Path) -> None:
    expected = getattr(providers, kind)
    settings = {"base_path": str(tmp_path)} if names == ("local",) else GIVEN[expected.name]
    for name in (*names, names[0].upper()):
        assert type(StorageProviderFactory.create({"provider_type": name, **settings})) is expected


@pytest.mark.parametrize(
    ("name", "settings", "endpoint", "region", "address"),
    [
        ("s3", {}, "https://s3.us-east-1.amazonaws.com", "us-east-1", "https://bucket.s3.us-east-1.amazonaws.com/k"),
        ("s3", {"region": "eu-central-1"}, "https://s3.eu-central-1.amazonaws.com", "eu-central-1",
         "https://bucket.s3.eu-central-1.amazonaws.com/k"),
        ("s3", {"region": "cn-north-1"}, "https://s3.cn-north-1.amazonaws.com.cn", "cn-north-1",
         "https://bucket.s3.cn-north-1.amazonaws.com.cn/k"),
        ("s3", {"bucket_name": "a.bucket"}, "https://s3.us-east-1.amazonaws.com", "us-east-1",
         "https://s3.us-east-1.amazonaws.com/a.bucket/k"),
        ("s3", {"endpoint_url": "http://127.0.0.1:9000/"}, "http://127.0.0.1:9000", "us-east-1",
         "http://127.0.0.1:9000/bucket/k"),
        ("s3", {"endpoint_url": "https://[::1]:9000", "region": "x"}, "https://[::1]:9000", "x",
         "https://[::1]:9000/bucket/k"),
        ("r2", {}, "https://abc.r2.cloudflarestorage.com", "auto", "https://abc.r2.cloudflarestorage.com/bucket/k"),
        ("r2", {"endpoint_url": "https://abc.eu.r2.cloudflarestorage.com"}, "https://abc.eu.r2.cloudflarestorage.com",
         "auto", "https://abc.eu.r2.cloudflarestorage.com/bucket/k"),
        ("r2", {"region": "us-east-1"}, "https://abc.r2.cloudflarestorage.com", "us-east-1",
         "https://abc.r2.cloudflarestorage.com/bucket/k"),
        ("wasabi", {}, "https://s3.wasabisys.com", "us-east-1", "https://s3.wasabisys.com/bucket/k"),
        ("wasabi", {"region": "eu-central-2"}, "https://s3.eu-central-2.wasabisys.com", "eu-central-2",
         "https://s3.eu-central-2.wasabisys.com/bucket/k"),
        ("spaces", {}, "https://nyc3.digitaloceanspaces.com", "us-east-1",
         "https://nyc3.digitaloceanspaces.com/bucket/k"),
        ("spaces", {"region": "fra1"}, "https://fra1.digitaloceanspaces.com", "us-east-1",
         "https://fra1.digitaloceanspaces.com/bucket/k"),
        ("b2", {}, "https://s3.us-west-004.backblazeb2.com", "us-west-004",
         "https://s3.us-west-004.backblazeb2.com/bucket/k"),
        ("b2", {"endpoint_url": "s3.eu-central-003.backblazeb2.com"}, "https://s3.eu-central-003.backblazeb2.com",
         "eu-central-003", "https://s3.eu-central-003.backblazeb2.com/bucket/k"),
        ("b2", {"region": "said"}, "https://s3.us-west-004.backblazeb2.com", "said",
         "https://s3.us-west-004.backblazeb2.com/bucket/k"),
        ("b2", {"endpoint_url": "http://127.0.0.1:1"}, "http://127.0.0.1:1", "us-east-1", "http://127.0.0.1:1/bucket/k"),
        ("minio", {}, "http://localhost:9000", "us-east-1", "http://localhost:9000/bucket/k"),
        ("minio", {"secure": "false"}, "http://localhost:9000", "us-east-1", "http://localhost:9000/bucket/k"),
        ("minio", {"secure": True}, "https://localhost:9000", "us-east-1", "https://localhost:9000/bucket/k"),
        ("minio", {"secure": "on", "region": "x"}, "https://localhost:9000", "x", "https://localhost:9000/bucket/k"),
        ("minio", {"endpoint_url": "https://minio:9000"}, "https://minio:9000", "us-east-1",
         "https://minio:9000/bucket/k"),
        ("minio", {"endpoint_url": "HTTPS://minio:9000"}, "https://minio:9000", "us-east-1",
         "https://minio:9000/bucket/k"),
    ],
)  # fmt: skip
def test_where_each_vendor_is(name: str, settings: dict[str, Any], endpoint: str, region: str, address: str) -> None:
    provider = made(name, **settings)
    location = provider.describe()
    assert (location.provider, location.endpoint_url, location.region) == (name, endpoint, region)
    assert location.bucket == settings.get("bucket_name", "bucket")
    assert provider._engine.wire.url("k") == address
    assert provider._engine.target.secure is endpoint.startswith("https:")


REMOTE = Capabilities(remote=True, presign=True, buckets=True)


@pytest.mark.parametrize(
    ("name", "capabilities"),
    [
        ("s3", replace(REMOTE, create_if_absent=True, create_if_absent_multipart=True, replace_if_unchanged=True,
                       versioning=True)),
        ("r2", replace(REMOTE, create_if_absent=True, replace_if_unchanged=True)),
        ("minio", replace(REMOTE, create_if_absent=True, replace_if_unchanged=True, versioning=True)),
        ("wasabi", replace(REMOTE, versioning=True)),
        ("b2", replace(REMOTE, versioning=True)),
        ("spaces", replace(REMOTE, create_if_absent=True, versioning=True)),
    ],
)  # fmt: skip
def test_what_each_vendor_documents(name: str, capabilities: Capabilities) -> None:
    assert made(name).capabilities == capabilities
    assert made(name, capabilities={"presign": False}).capabilities == replace(capabilities, presign=False)


@pytest.mark.parametrize("name", GIVEN)
def test_a_provider_is_the_same_after_pickling(name: str) -> None:
    settings = {"session_token": "t0ken", "proxy_url": f"http://u:{SECRET}@p:1", "capabilities": {"versioning": False}}
    provider = made(name, **settings, max_attempts=2, ca_bundle=certifi.where())
    again = pickle.loads(pickle.dumps(provider))  # noqa: S301
    one, other = provider._engine.target, again._engine.target
    assert type(again) is type(provider)
    assert replace(one, credentials=other.credentials) == other
    assert one.credentials.current() == other.credentials.current()
    assert other.credentials.current() == KeyPair(one.credentials.current()[0], SECRET, "t0ken")
    assert other.proxy_url == f"http://u:{SECRET}@p:1"
    elsewhere = again.for_bucket("elsewhere")
    assert elsewhere.describe() == replace(provider.describe(), bucket="elsewhere", url="s3://elsewhere")
    assert elsewhere._engine.target.credentials.current() == one.credentials.current()
    shown = f"{provider!r} {provider} {provider._settings!r} {provider._settings} {again.describe()!r}"
    assert SECRET not in shown and "t0ken" not in shown


@pytest.mark.parametrize("name", GIVEN)
def test_a_dict_is_the_whole_truth(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = made(name)._engine.target
    for fields in VARIABLES.values():
        for field, aliases in fields.items():
            for variable in aliases:
                monkeypatch.setenv(variable, SAID[field][0])
    found = made(name)._engine.target
    assert replace(found, credentials=expected.credentials) == expected
    assert (
        found.credentials.current() == expected.credentials.current() == KeyPair(found.credentials.current()[0], SECRET)
    )
    keyless = {field: value for field, value in GIVEN[name].items() if "key" not in field}
    with pytest.raises(ConfigurationError, match="there are no credentials; set "):
        StorageProviderFactory.create({"provider_type": name, **keyless})


@pytest.fixture
def aws_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS configuration files of a user with two profiles, on a machine without roles."""
    profiles = {"default": ("AKIADEFAULT", "one"), "lab": ("AKIALAB", "two")}
    (tmp_path / "credentials").write_text(
        "".join(
            f"[{name}]\naws_access_key_id={key}\naws_secret_access_key={secret}\n"
            for name, (key, secret) in profiles.items()
        )
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.usefixtures("aws_files")
def test_without_keys_in_the_environment_the_chain_of_aws_is_asked() -> None:
    environ = {"STORAGE_PROVIDER": "s3", "AWS_BUCKET_NAME": "bucket"}
    provider = from_env(environ)
    assert provider._engine.target.credentials.current() == KeyPair("AKIADEFAULT", "one")
    assert "X-Amz-Credential=AKIADEFAULT%2F" in provider.presign("k")
    lab = from_env({**environ, "AWS_PROFILE": "lab"})
    assert pickle.loads(pickle.dumps(lab))._engine.target.credentials.current() == KeyPair("AKIALAB", "two")  # noqa: S301
    own = from_env({**environ, "AWS_ACCESS_KEY_ID": "AKIAOWN", "AWS_SECRET_ACCESS_KEY": "three"})
    assert own._engine.target.credentials.current() == KeyPair("AKIAOWN", "three")


@pytest.mark.usefixtures("aws_files")
def test_a_profile_that_is_not_there_is_a_matter_of_its_variable() -> None:
    provider = from_env({"STORAGE_PROVIDER": "s3", "AWS_BUCKET_NAME": "bucket", "AWS_PROFILE": "nowhere"})
    with pytest.raises(ConfigurationError, match=r"'nowhere'.*AWS_PROFILE"):
        provider.presign("k")


def test_a_chain_that_finds_nothing_is_no_access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "BOTO_CONFIG", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    provider = from_env({"STORAGE_PROVIDER": "s3", "AWS_BUCKET_NAME": "bucket"})
    with pytest.raises(AccessDenied, match="no credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        provider.presign("k")
