"""What the application as a whole is told."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path

import pytest
from pydantic import SecretStr

from config.settings import StorageConfig
from domain.errors import ConfigurationError

SECRET = "postgresql://user:hunter2@host/db"  # noqa: S105
SECRETS = [
    name for name, kind in typing.get_type_hints(StorageConfig).items() if SecretStr in (kind, *typing.get_args(kind))
]
BOOLEANS = {
    "content_addressing_enabled": "STORAGE_CONTENT_ADDRESSING_ENABLED",
    "deduplication_enabled": "STORAGE_DEDUPLICATION_ENABLED",
}


def from_env(tmp_path: Path, **environ: str) -> StorageConfig:
    return StorageConfig.from_env({"STORAGE_LOCAL_PATH": str(tmp_path), **environ})


def test_the_defaults_are_the_documented_ones(tmp_path: Path) -> None:
    config = from_env(tmp_path)
    assert config.storage_provider == "local"
    assert config.base_path == str(tmp_path)
    assert config.content_addressing_enabled is True
    assert config.deduplication_enabled is True
    assert (config.sync_local, config.sync_remote) == ("data/", "datasets/")
    assert config.dvc_remote_url is config.mlflow_artifact_root is config.database_url is None
    assert config.validate() is config


@pytest.mark.parametrize(
    ("field", "variable"),
    [
        ("public_endpoint_url", "STORAGE_PUBLIC_ENDPOINT_URL"),
        ("sync_local", "STORAGE_SYNC_LOCAL"),
        ("sync_remote", "STORAGE_SYNC_REMOTE"),
        ("dvc_remote_url", "DVC_REMOTE_URL"),
        ("dvc_remote_name", "DVC_REMOTE_NAME"),
        ("mlflow_artifact_root", "MLFLOW_ARTIFACT_ROOT"),
        ("database_url", "STORAGE_DATABASE_URL"),
        ("redis_url", "REDIS_URL"),
        ("sentry_dsn", "SENTRY_DSN"),
    ],
)
def test_each_variable_sets_its_field_and_an_empty_one_does_not(tmp_path: Path, field: str, variable: str) -> None:
    default = getattr(from_env(tmp_path), field)
    value = getattr(from_env(tmp_path, **{variable: "told"}), field)
    assert (value.get_secret_value() if isinstance(value, SecretStr) else value) == "told"
    assert getattr(from_env(tmp_path, **{variable: ""}), field) == default


@pytest.mark.parametrize(("field", "variable"), BOOLEANS.items())
def test_a_boolean_can_be_said_in_the_usual_words(tmp_path: Path, field: str, variable: str) -> None:
    for word in ("false", "False", "0", "no", "off"):
        assert getattr(from_env(tmp_path, **{variable: word}), field) is False
    for word in ("true", "1", "yes", "on"):
        assert getattr(from_env(tmp_path, **{variable: word}), field) is True


@pytest.mark.parametrize("variable", BOOLEANS.values())
def test_a_value_that_is_no_boolean_names_its_variable_and_is_not_shown(tmp_path: Path, variable: str) -> None:
    with pytest.raises(ConfigurationError, match=variable) as caught:
        from_env(tmp_path, **{variable: SECRET})
    assert "hunter2" not in str(caught.value)


def test_there_are_secrets_to_keep() -> None:
    assert {"access_key_id", "secret_access_key", "database_url", "redis_url", "sentry_dsn"} <= set(SECRETS)


@pytest.mark.parametrize("field", SECRETS)
def test_no_secret_is_in_any_text_of_the_settings(field: str) -> None:
    config = StorageConfig(**{field: SECRET})
    assert getattr(config, field).get_secret_value() == SECRET
    for text in (repr(config), str(config), f"{config}", repr(dataclasses.asdict(config)), repr(vars(config))):
        assert "hunter2" not in text


def test_no_secret_is_in_the_complaint_about_it() -> None:
    for field in SECRETS:
        with pytest.raises(ValueError) as caught:
            StorageConfig(**{field: [SECRET]})
        assert "hunter2" not in str(caught.value)


def test_an_unknown_field_is_refused_and_a_set_one_stays() -> None:
    with pytest.raises(ValueError):
        StorageConfig(bucketname="x")  # type: ignore[call-arg]
    config = StorageConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.region = "x"  # type: ignore[misc]


@pytest.mark.parametrize("half", ["access_key_id", "secret_access_key"])
def test_half_a_credential_is_refused(half: str) -> None:
    with pytest.raises(ConfigurationError, match="access_key_id and secret_access_key"):
        StorageConfig(**{half: "x"}).validate()
    whole = StorageConfig(**dict.fromkeys(("access_key_id", "secret_access_key"), "x"))
    assert whole.validate() is whole


def test_an_unknown_provider_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"'gopherdrive'.*local"):
        StorageConfig(storage_provider="gopherdrive").validate()
    with pytest.raises(ConfigurationError, match=r"'gopherdrive'.*local"):
        StorageConfig.from_env({"STORAGE_PROVIDER": "gopherdrive"})


@pytest.mark.parametrize("name", ["local", "LOCAL", "disk", " local "])
def test_a_provider_that_can_be_made_is_valid(tmp_path: Path, name: str) -> None:
    config = from_env(tmp_path, STORAGE_PROVIDER=name)
    assert config.validate() is config
