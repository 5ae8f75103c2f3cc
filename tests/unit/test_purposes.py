"""What a store is used for: where that has its place, and the provider that goes there."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.provider import storage_provider_for
from config.settings import StorageConfig
from domain.errors import ConfigurationError, InvalidRequest
from domain.purposes import Place, Purpose, place_of_url

MEMORY = {"STORAGE_PROVIDER": "memory"}


@pytest.mark.parametrize(
    ("purpose", "prefix"),
    [
        (Purpose.DVC, "dvc/"),
        (Purpose.MLFLOW, "artifacts/"),
        (Purpose.MODELS, "models/"),
        (Purpose.VIDEO, "video/"),
        (Purpose.LOGS, "logs/"),
    ],
)
def test_without_a_setting_a_purpose_has_a_prefix_in_the_providers_own_bucket(purpose: Purpose, prefix: str) -> None:
    assert StorageConfig().place(purpose) == Place(None, prefix)
    provider, found = storage_provider_for(purpose, MEMORY)
    assert (provider.describe().bucket, found) == ("memory", prefix)


def test_every_purpose_has_a_place() -> None:
    assert [purpose.value for purpose in Purpose] == ["dvc", "mlflow", "models", "video", "logs"]


@pytest.mark.parametrize(
    ("purpose", "variable", "value", "bucket", "prefix"),
    [
        (Purpose.DVC, "DVC_REMOTE_URL", "s3://data-1/a/b", "data-1", "a/b/"),
        (Purpose.DVC, "DVC_REMOTE_URL", "s3://data-1", "data-1", ""),
        (Purpose.MLFLOW, "MLFLOW_ARTIFACT_ROOT", "s3://runs/mlflow/", "runs", "mlflow/"),
        (Purpose.MODELS, "MINIO_MODELS_BUCKET", "my-models", "my-models", ""),
        (Purpose.VIDEO, "MINIO_VIDEO_BUCKET", "my-video", "my-video", ""),
        (Purpose.LOGS, "MINIO_LOGS_BUCKET", "my-logs", "my-logs", ""),
    ],
)
def test_a_variable_gives_one_purpose_its_own_place(
    purpose: Purpose, variable: str, value: str, bucket: str, prefix: str
) -> None:
    environ = {**MEMORY, variable: value}
    provider, found = storage_provider_for(purpose, environ)
    assert (provider.name, provider.describe().bucket, found) == ("memory", bucket, prefix)
    for other in set(Purpose) - {purpose}:
        assert storage_provider_for(other, environ)[0].describe().bucket == "memory"
    assert storage_provider_for(purpose, {**MEMORY, variable: ""})[0].describe().bucket == "memory"


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [
        ("s3://bucket", "bucket", ""),
        ("s3://bucket/", "bucket", ""),
        ("s3://bucket//", "bucket", ""),
        ("s3://bucket/p", "bucket", "p/"),
        ("s3://bucket/p/", "bucket", "p/"),
        ("s3://bucket//p//", "bucket", "p/"),
        ("s3://bucket/p/q//r", "bucket", "p/q//r/"),
        ("s3://my.bucket-1/a b/é+%20", "my.bucket-1", "a b/é+%20/"),
        ("s3://bucket/a:b@c", "bucket", "a:b@c/"),
    ],
)
def test_a_url_is_a_bucket_and_a_prefix(url: str, bucket: str, prefix: str) -> None:
    assert place_of_url(url, "DVC_REMOTE_URL") == Place(bucket, prefix)


@pytest.mark.parametrize(
    "url",
    [
        "gs://bucket/hunter2",
        "https://bucket.s3.amazonaws.com/hunter2",
        "hunter2",
        "/hunter2",
        "s3:/bucket/hunter2",
        "s3:bucket/hunter2",
        "s3://",
        "s3:///hunter2",
        "s3://user:hunter2@bucket/p",
        "s3://hunter2@bucket",
        "s3://bucket:9000/hunter2",
        "s3://bucket/p?key=hunter2",
        "s3://bucket#hunter2",
        " s3://bucket/hunter2",
        "",
    ],
)
@pytest.mark.parametrize(
    ("purpose", "variable"), [(Purpose.DVC, "DVC_REMOTE_URL"), (Purpose.MLFLOW, "MLFLOW_ARTIFACT_ROOT")]
)
def test_another_url_is_refused_by_its_setting_and_not_shown(purpose: Purpose, variable: str, url: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{variable} is not of the form s3://bucket/prefix") as caught:
        place_of_url(url, variable)
    assert "hunter2" not in str(caught.value)
    if url:
        with pytest.raises(ConfigurationError, match=variable) as caught:
            storage_provider_for(purpose, {**MEMORY, variable: url})
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("bucket", ["Upper", "b", "a_b", "bucket\n"])
def test_a_bucket_that_can_not_be_is_refused(bucket: str) -> None:
    for purpose, environ in (
        (Purpose.MODELS, {"MINIO_MODELS_BUCKET": bucket}),
        (Purpose.DVC, {"DVC_REMOTE_URL": f"s3://{bucket}/p"}),
    ):
        with pytest.raises((InvalidRequest, ConfigurationError), match="no bucket name"):
            storage_provider_for(purpose, {**MEMORY, **environ})


def test_on_local_disk_a_purpose_has_a_folder(tmp_path: Path) -> None:
    environ = {"STORAGE_LOCAL_PATH": str(tmp_path / "store")}
    provider, prefix = storage_provider_for(Purpose.MODELS, environ)
    provider.put_bytes(f"{prefix}m", b"x")
    provider.disconnect()
    assert (tmp_path / "store" / "models" / "m").read_bytes() == b"x"
    provider, prefix = storage_provider_for(Purpose.MODELS, {**environ, "MINIO_MODELS_BUCKET": "my-models"})
    assert (prefix, provider.describe().bucket) == ("", "my-models")
    provider.create_bucket()
    provider.put_bytes("m", b"y")
    provider.disconnect()
    (found,) = (path for path in (tmp_path / "store").rglob("my-models/m"))
    assert found.read_bytes() == b"y"


def test_a_purpose_on_an_s3_store_keeps_address_and_credentials() -> None:
    environ = {
        "STORAGE_PROVIDER": "minio",
        "MINIO_ENDPOINT": "localhost:9000",
        "MINIO_ACCESS_KEY": "AKIA",
        "MINIO_SECRET_KEY": "hunter2",
        "MINIO_DEFAULT_BUCKET": "main",
        "DVC_REMOTE_URL": "s3://data/dvc",
    }
    provider, prefix = storage_provider_for(Purpose.DVC, environ)
    assert prefix == "dvc/"
    assert provider.describe().url == "s3://data"
    assert provider.presign("k").startswith("http://localhost:9000/data/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Cred")
