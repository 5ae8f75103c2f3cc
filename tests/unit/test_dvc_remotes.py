"""A provider as a remote of DVC, and what of it is written where."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from domain.errors import ConfigurationError, LocalFileError, UnsupportedOperation
from infrastructure.dvc.remotes import Remote, RemoteConfiguration, checked_name, remote_of
from infrastructure.storage.providers import (
    BackblazeProvider,
    CloudflareR2Provider,
    DigitalOceanProvider,
    LocalProvider,
    MinIOProvider,
    S3Provider,
    WasabiProvider,
)
from infrastructure.storage.providers.memory_provider import MemoryProvider

KEYS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "s/e#c,r'e\"t+="}


@pytest.mark.parametrize(
    ("kind", "settings", "endpoint", "region"),
    [
        (S3Provider, {**KEYS, "region": "eu-west-1"}, "https://s3.eu-west-1.amazonaws.com", "eu-west-1"),
        (CloudflareR2Provider, {**KEYS, "account_id": "ab12"}, "https://ab12.r2.cloudflarestorage.com", "auto"),
        (MinIOProvider, {**KEYS, "endpoint_url": "http://127.0.0.1:9000"}, "http://127.0.0.1:9000", "us-east-1"),
        (WasabiProvider, {**KEYS, "region": "eu-central-1"}, "https://s3.eu-central-1.wasabisys.com", "eu-central-1"),
        (DigitalOceanProvider, {**KEYS, "region": "ams3"}, "https://ams3.digitaloceanspaces.com", "us-east-1"),
        (
            BackblazeProvider,
            {
                "key_id": KEYS["access_key_id"],
                "application_key": KEYS["secret_access_key"],
                "endpoint_url": "https://s3.us-west-004.backblazeb2.com",
            },
            "https://s3.us-west-004.backblazeb2.com",
            "us-west-004",
        ),
    ],
)
def test_every_cloud_is_a_remote(kind: Any, settings: dict[str, Any], endpoint: str, region: str) -> None:
    remote = remote_of(kind({"bucket_name": "sky", **settings}), "dvc/")
    assert remote.shared == {"url": "s3://sky/dvc", "endpointurl": endpoint, "region": region, "verify": "true"}
    assert remote.private == KEYS
    assert KEYS["secret_access_key"] not in repr(remote)


def test_a_token_and_a_bundle_go_where_the_keys_go(tmp_path: Path) -> None:
    import trustme

    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    settings = {**KEYS, "bucket_name": "sky", "session_token": "t0ken", "ca_bundle": str(tmp_path / "ca.pem")}
    remote = remote_of(S3Provider(settings), "")
    assert remote.private == {**KEYS, "session_token": "t0ken", "ssl_verify": str(tmp_path / "ca.pem")}
    assert remote.shared["url"] == "s3://sky"


def test_where_the_chain_is_asked_dvc_asks_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "else")
    chain = {"bucket_name": "sky", "credential_chain": True}
    assert remote_of(S3Provider(chain), "dvc/").private == {}
    assert remote_of(S3Provider({**chain, "profile": "me"}), "dvc/").private == {"profile": "me"}


def test_local_disk_is_a_folder_by_its_whole_path(tmp_path: Path) -> None:
    provider = LocalProvider({"base_path": tmp_path / "a b#%ü"})
    assert remote_of(provider, "dvc/") == Remote({"url": str(tmp_path / "a b#%ü" / "dvc"), "verify": "true"}, {})
    assert remote_of(provider, "").shared["url"] == str(tmp_path / "a b#%ü")


def test_a_store_that_dvc_cannot_reach_is_told() -> None:
    with pytest.raises(UnsupportedOperation, match="DVC can't reach a store of the kind 'memory'"):
        remote_of(MemoryProvider({}), "dvc/")


REMOTE = Remote({"url": "s3://sky/dvc", "endpointurl": "https://x", "region": "auto", "verify": "true"}, KEYS)


def test_secrets_are_in_the_file_of_this_machine_alone(tmp_path: Path) -> None:
    configuration = RemoteConfiguration(tmp_path)
    configuration.write("storage", REMOTE)
    assert (tmp_path / "config").read_text() == (
        "['remote \"storage\"']\n    url = s3://sky/dvc\n    endpointurl = https://x\n    region = auto\n"
        "    verify = true\n[core]\n    remote = storage\n"
    )
    assert stat.S_IMODE((tmp_path / "config.local").stat().st_mode) == 0o600
    assert "AKIDEXAMPLE" in (tmp_path / "config.local").read_text()
    assert set(configuration.secrets()) == set(KEYS.values())
    assert (configuration.default(), configuration.names()) == ("storage", {"storage"})
    configuration.check_shared()


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "config.local").write_text("")
    os.chmod(tmp_path / "config.local", 0o644)
    RemoteConfiguration(tmp_path).write("storage", REMOTE)
    assert stat.S_IMODE((tmp_path / "config.local").stat().st_mode) == 0o600


def test_what_the_user_wrote_stays_and_what_another_store_needed_goes(tmp_path: Path) -> None:
    mine = "# mine\n['remote \"mine\"']\n    url = /elsewhere\n[cache]\n    type = reflink\n"
    (tmp_path / "config").write_text(mine)
    (tmp_path / "config.local").write_text("['remote \"mine\"']\n    password = p\n")
    configuration = RemoteConfiguration(tmp_path)
    configuration.write("storage", REMOTE)
    (tmp_path / "config").write_text((tmp_path / "config").read_text().replace("auto", "auto\n    jobs = 3"))
    configuration.write("storage", Remote({**REMOTE.shared, "url": "s3://other"}, {"access_key_id": "new"}))
    shared = (tmp_path / "config").read_text()
    assert shared.startswith(mine)
    assert "jobs = 3" in shared
    assert "secret" not in (tmp_path / "config.local").read_text()
    configuration.write("storage", Remote({"url": "/disk/dvc", "verify": "true"}, {}))
    shared = (tmp_path / "config").read_text()
    assert "jobs" not in shared and "endpointurl" not in shared and shared.startswith(mine)
    assert (tmp_path / "config.local").read_text() == "['remote \"mine\"']\n    password = p\n"
    assert configuration.names() == {"mine", "storage"}


@pytest.mark.parametrize("option", ["secret_access_key", "access_key_id", "password", "account_key", "SESSION_TOKEN"])
def test_a_secret_in_the_shared_file_is_refused_and_not_shown(tmp_path: Path, option: str) -> None:
    (tmp_path / "config").write_text(f"['remote \"mine\"']\n    url = s3://x\n    {option} = hunter2\n")
    with pytest.raises(ConfigurationError) as refused:
        RemoteConfiguration(tmp_path).check_shared()
    assert option in str(refused.value) and "hunter2" not in str(refused.value)


def test_a_file_that_is_no_configuration_is_told_without_its_lines(tmp_path: Path) -> None:
    (tmp_path / "config.local").write_text("secret_access_key hunter2\n")
    with pytest.raises(LocalFileError) as refused:
        RemoteConfiguration(tmp_path).write("storage", REMOTE)
    assert "hunter2" not in str(refused.value) and refused.value.__cause__ is None
    assert not (tmp_path / "config").exists()


@pytest.mark.parametrize("name", ["", 'a"b', "a b", "ä", "a\nb", "]", "-x"])
def test_what_can_be_no_name_of_a_remote(name: str) -> None:
    with pytest.raises(ConfigurationError):
        checked_name(name)
    assert checked_name("Cold-Store_1.eu") == "cold-store_1.eu"
