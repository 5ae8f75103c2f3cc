"""`DVCClient` as far as it needs no dvc: the remote of the provider, and paths that can be no dataset's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from config.dvc import dvc_client
from domain.errors import ConfigurationError, LocalFileError, ObjectNotFound, UnsupportedOperation
from infrastructure.dvc.client import DVCClient
from infrastructure.storage.providers import LocalProvider, S3Provider
from infrastructure.storage.providers.memory_provider import MemoryProvider
from infrastructure.storage.s3.credentials import KeyPair, StoreAccess

KEYS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "hunter2"}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `dvc init` would have made of a git repository."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    folder = tmp_path / "workspace"
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc" / "config").touch()
    (folder / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


def test_the_provider_is_the_default_remote(workspace: Path, tmp_path: Path) -> None:
    client = DVCClient(workspace, LocalProvider({"base_path": tmp_path / "store"}))
    assert client.configure_remote() == str(tmp_path / "store" / "dvc")
    assert "remote = storage" in (workspace / ".dvc" / "config").read_text()
    assert not (workspace / ".dvc" / "config.local").exists()
    assert "hunter2" not in repr(DVCClient(workspace, S3Provider({"bucket_name": "sky", **KEYS})))


def test_without_a_provider_the_environment_names_it(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_LOCAL_PATH", str(tmp_path / "of the environment"))
    assert DVCClient(workspace).configure_remote() == str(tmp_path / "of the environment" / "dvc")
    environ = {
        "STORAGE_PROVIDER": "s3",
        "AWS_BUCKET_NAME": "sky",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "DVC_REMOTE_URL": "s3://other/of/dvc",
        "DVC_REMOTE_NAME": "cold",
    }
    assert dvc_client(workspace, environ, with_store=True).configure_remote() == "s3://other/of/dvc"
    assert "remote = cold" in (workspace / ".dvc" / "config").read_text()
    dvc_client(workspace, {"STORAGE_PROVIDER": "nosuch"})  # asks for no store


def test_credentials_may_be_others_than_the_providers(workspace: Path) -> None:
    provider = S3Provider({"bucket_name": "sky", **KEYS})
    DVCClient(workspace, provider, credentials=StoreAccess(KeyPair("reader", "0nly"))).configure_remote()
    private = (workspace / ".dvc" / "config.local").read_text()
    assert "reader" in private and "0nly" in private and "hunter2" not in private


@pytest.mark.parametrize("seen", ["not ignored", "tracked"])
def test_no_secret_is_written_where_git_looks(workspace: Path, seen: str) -> None:
    if seen == "tracked":
        (workspace / ".dvc" / "config.local").touch()
        subprocess.run(["git", "add", "--force", ".dvc/config.local"], cwd=workspace, check=True)
    else:
        (workspace / ".dvc" / ".gitignore").write_text("/cache\n")
    client = DVCClient(workspace, S3Provider({"bucket_name": "sky", **KEYS}))
    with pytest.raises(ConfigurationError, match="git does not ignore"):
        client.configure_remote()
    assert "hunter2" not in "".join(path.read_text() for path in (workspace / ".dvc").iterdir())
    assert (workspace / ".dvc" / "config").read_text() == ""


def test_a_store_that_dvc_cannot_reach_changes_nothing(workspace: Path) -> None:
    with pytest.raises(UnsupportedOperation):
        DVCClient(workspace, MemoryProvider({})).configure_remote()
    assert (workspace / ".dvc" / "config").read_text() == ""


@pytest.mark.parametrize("path", ["..", "../x", "/etc/passwd", "link/passwd", "", "a\0b", ".", "nosuch", "x.dvc"])
def test_what_can_be_no_dataset(workspace: Path, path: str) -> None:
    (workspace / "link").symlink_to("/etc")
    (workspace / "x.dvc").touch()
    client = DVCClient(workspace)
    with pytest.raises(LocalFileError):
        client.add_dataset(path)
    with pytest.raises(LocalFileError):
        client.version_dataset(path, "m")


def test_what_is_no_dataset_yet(workspace: Path, tmp_path: Path) -> None:
    (workspace / "data").mkdir()
    client = DVCClient(workspace)
    with pytest.raises(ObjectNotFound):
        client.push_dataset("data")
    with pytest.raises(ObjectNotFound):
        client.pull_dataset("data.dvc", tmp_path / "target")
    with pytest.raises(ObjectNotFound):
        client.list_versions("data")
    with pytest.raises(ConfigurationError, match="there is none yet"):
        client.add_dataset("data", "cold")
    assert not (tmp_path / "target").exists()
