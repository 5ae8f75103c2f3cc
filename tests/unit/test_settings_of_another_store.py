"""The store that a replication goes to: its settings are in a file, and nothing else is taken for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.provider import storage_provider_named
from domain.errors import ConfigurationError

HOSTILE = {
    "AWS_ACCESS_KEY_ID": "AKIAHOSTILE",
    "AWS_SECRET_ACCESS_KEY": "hostile",
    "AWS_SESSION_TOKEN": "hostile",
    "AWS_PROFILE": "hostile",
    "AWS_BUCKET_NAME": "hostile",
    "AWS_REGION": "hostile-1",
    "AWS_ENDPOINT_URL": "https://hostile.example",
    "MINIO_ENDPOINT": "https://hostile.example",
    "MINIO_ACCESS_KEY": "hostile",
    "MINIO_SECRET_KEY": "hostile",
    "MINIO_DEFAULT_BUCKET": "hostile",
    "STORAGE_PROVIDER": "local",
    "STORAGE_LOCAL_PATH": "/hostile",
    "STORAGE_CAPABILITIES": "hostile=true",
    "STORAGE_PUBLIC_ENDPOINT_URL": "https://hostile.example",
    "STORAGE_PROXY_URL": "hostile",
    "STORAGE_MAX_ATTEMPTS": "hostile",
    "HOME_BUCKET": "hostile",
}

GOOD = """# the other account
AWS_ACCESS_KEY_ID=AKIAOTHER
AWS_SECRET_ACCESS_KEY='se$HOME_BUCKET cret'

export AWS_BUCKET_NAME="other-bucket"
AWS_ENDPOINT_URL=http://127.0.0.1:9
STORAGE_PROVIDER = s3
"""


@pytest.fixture(autouse=True)
def hostile(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)


def written(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "other.env"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def refused(name: str, path: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        storage_provider_named(name, path)
    assert "\n" not in caught.value.message
    assert "cret" not in caught.value.message and "hostile" not in caught.value.message
    return caught.value.message


def test_only_what_is_in_the_file_counts(tmp_path: Path) -> None:
    provider = storage_provider_named("s3", written(tmp_path, GOOD))
    location = provider.describe()
    assert (location.provider, location.bucket, location.endpoint_url) == ("s3", "other-bucket", "http://127.0.0.1:9")
    assert location.region == "us-east-1"
    url = provider.presign("key") if provider.capabilities.presign else ""
    assert "AKIAOTHER" in url and "hostile" not in url.lower()
    settings = provider._settings  # type: ignore[attr-defined]
    assert settings.secret_access_key.get_secret_value() == "se$HOME_BUCKET cret", "nothing is put in for a variable"
    assert (settings.session_token, settings.profile, settings.proxy_url) == (None, None, None)


def test_the_environment_is_as_it_was(tmp_path: Path) -> None:
    before = dict(os.environ)
    storage_provider_named("s3", written(tmp_path, GOOD))
    assert dict(os.environ) == before


@pytest.mark.parametrize("missing", ["AWS_BUCKET_NAME", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_"])
def test_what_is_missing_in_the_file_is_not_taken_from_the_environment(tmp_path: Path, missing: str) -> None:
    lines = [line for line in GOOD.splitlines() if not line.removeprefix("export ").startswith(missing)]
    refused("s3", written(tmp_path, "\n".join(lines)))


def test_no_credentials_in_the_file_are_none(tmp_path: Path) -> None:
    """The chain would find those of the first store, and write with them to the second."""
    assert "has no credentials" in refused("s3", written(tmp_path, "AWS_BUCKET_NAME=other\n"))
    provider = storage_provider_named("s3", written(tmp_path, "AWS_BUCKET_NAME=other\nAWS_PROFILE=mine\n"))
    assert provider.describe().bucket == "other"


def test_a_store_without_credentials_needs_none(tmp_path: Path) -> None:
    other = tmp_path / "other"
    provider = storage_provider_named("local", written(tmp_path, f"STORAGE_LOCAL_PATH={other}\n"))
    assert provider.describe().url.startswith("file://")
    assert str(other) in provider.describe().url


def test_a_file_that_is_for_another_provider_is_refused(tmp_path: Path) -> None:
    assert "is for the provider 's3', not for 'minio'" in refused("minio", written(tmp_path, GOOD))
    storage_provider_named(" S3 ", written(tmp_path, GOOD))


def test_an_unknown_provider_is_refused(tmp_path: Path) -> None:
    assert "nonsuch" in refused("nonsuch", written(tmp_path, "A=1\n"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("AWS_BUCKET_NAME\n", 1),
        ("# a comment\n\nAWS_BUCKET_NAME=x\nAWS_REGION\n", 4),
        ("AWS_BUCKET_NAME=x\nsome words of somebody\n", 2),
        ("AWS_BUCKET_NAME=x\nAWS_SECRET_ACCESS_KEY='not ended cret\n", 2),
    ],
)
def test_a_line_that_is_no_setting_is_named_and_not_shown(tmp_path: Path, text: str, line: int) -> None:
    message = refused("s3", written(tmp_path, text))
    assert message == f"line {line} of '{tmp_path}/other.env' is no setting; write NAME=VALUE"


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    assert "No such file" in refused("s3", str(tmp_path / "nonsuch.env"))
    assert "directory" in refused("s3", str(tmp_path))
    assert "not UTF-8" in refused("s3", written(tmp_path, b"AWS_BUCKET_NAME=\xff\n"))


def test_without_a_file_the_environment_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in HOSTILE:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STORAGE_PROVIDER", "s3")
    monkeypatch.setenv("STORAGE_LOCAL_PATH", str(tmp_path))
    assert storage_provider_named("local").describe().provider == "local"
