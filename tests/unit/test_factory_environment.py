"""A provider from the environment: defaults, aliases, and what is said of mistakes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from domain.errors import ConfigurationError
from infrastructure.storage.provider_settings import ProviderSettings, missing_settings, read_environment
from infrastructure.storage.providers import LocalProvider, MemoryProvider
from infrastructure.storage.storage_factory import StorageProviderFactory

NAMES = {"key": ("OUR_KEY", "OUR_ACCESS_KEY", "THEIR_KEY"), "bucket": ("OUR_BUCKET",)}


def test_two_aliases_with_different_values_are_both_named_and_no_value_is_shown() -> None:
    environ = {"OUR_KEY": "secret-one", "THEIR_KEY": "secret-two", "OUR_BUCKET": "b"}
    with pytest.raises(ConfigurationError) as caught:
        read_environment(NAMES, environ, provider="ours")
    assert "OUR_KEY" in caught.value.message
    assert "THEIR_KEY" in caught.value.message
    assert "OUR_ACCESS_KEY" not in caught.value.message
    assert "secret" not in caught.value.message
    assert caught.value.provider == "ours"


def test_aliases_that_agree_are_one_setting_and_an_empty_variable_is_none() -> None:
    environ = {"OUR_KEY": "one", "THEIR_KEY": "one", "OUR_ACCESS_KEY": "", "OUR_BUCKET": ""}
    assert read_environment(NAMES, environ) == {"key": "one"}


def test_what_is_missing_is_named_by_its_variables() -> None:
    class Settings(ProviderSettings):
        key: str
        bucket: str
        region: str = "auto"

    assert missing_settings(Settings, NAMES, {"OUR_BUCKET": ""}, {}) == [
        "OUR_KEY or OUR_ACCESS_KEY or THEIR_KEY",
        "OUR_BUCKET",
    ]
    assert missing_settings(Settings, NAMES, {"THEIR_KEY": "x"}, {"bucket": "b"}) == []


@pytest.mark.parametrize("environ", [{}, {"STORAGE_PROVIDER": "", "STORAGE_LOCAL_PATH": ""}])
def test_without_settings_it_is_a_folder_of_the_users_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    provider = StorageProviderFactory.from_env(environ)
    assert isinstance(provider, LocalProvider)
    assert list(tmp_path.iterdir()) == []
    with provider:
        provider.put_bytes("k", b"x")
    (file,) = [path for path in tmp_path.rglob("k") if path.is_file()]
    assert file.read_bytes() == b"x"


def test_the_path_of_the_environment_is_taken_and_not_made_before_the_first_write(tmp_path: Path) -> None:
    provider = StorageProviderFactory.from_env({"STORAGE_LOCAL_PATH": str(tmp_path / "new")})
    assert provider.describe().url == (tmp_path.resolve() / "new").as_uri()
    assert not (tmp_path / "new").exists()
    provider.put_bytes("k", b"x")
    assert (tmp_path / "new" / "k").read_bytes() == b"x"
    provider.disconnect()


def test_the_mapping_given_is_read_and_not_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_PROVIDER", "memory")
    monkeypatch.setenv("STORAGE_LOCAL_PATH", "/somebody/elses")
    given = {"STORAGE_PROVIDER": "local", "STORAGE_LOCAL_PATH": str(tmp_path)}
    assert StorageProviderFactory.from_env(given).describe().url == tmp_path.resolve().as_uri()
    assert isinstance(StorageProviderFactory.from_env(), MemoryProvider)


def test_the_settings_are_told_as_they_would_be_used(tmp_path: Path) -> None:
    environ = {"STORAGE_LOCAL_PATH": str(tmp_path), "STORAGE_LOCAL_DURABLE": "no"}
    assert StorageProviderFactory.settings_from_env(environ) == {"base_path": str(tmp_path), "durable": "no"}


def test_a_variable_that_is_no_boolean_is_named(tmp_path: Path) -> None:
    environ = {"STORAGE_LOCAL_PATH": str(tmp_path), "STORAGE_LOCAL_DURABLE": "perhaps"}
    with pytest.raises(ConfigurationError) as caught:
        StorageProviderFactory.from_env(environ)
    assert "STORAGE_LOCAL_DURABLE" in caught.value.message
    assert "perhaps" not in caught.value.message


def test_an_unknown_provider_lists_the_known_ones() -> None:
    for call in (StorageProviderFactory.from_env, StorageProviderFactory.settings_from_env):
        with pytest.raises(ConfigurationError, match=r"'gopherdrive'.*local.*memory"):
            call({"STORAGE_PROVIDER": "gopherdrive"})


def test_the_status_says_which_is_active_and_that_nothing_is_missing() -> None:
    statuses = {status.name: status for status in StorageProviderFactory.status({"STORAGE_PROVIDER": "disk"})}
    assert statuses["local"].active
    assert statuses["local"].aliases == ("file", "disk")
    assert statuses["local"].missing == ()
    assert not statuses["memory"].active


def test_from_env_works_for_a_program_that_lies_beside_a_config_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text("MINE = 1\n")
    (tmp_path / "script.py").write_text(
        "import config\n"
        "from infrastructure.storage.providers import LocalProvider\n"
        "from infrastructure.storage.storage_factory import StorageProviderFactory\n"
        "assert config.MINE == 1\n"
        "made = StorageProviderFactory.create({'provider_type': 'local', 'base_path': 'store'})\n"
        "assert isinstance(made, LocalProvider)\n"
        "made.put_bytes('a/k', b'x')\n"
        "found = StorageProviderFactory.from_env()\n"
        "print(found.get_bytes('a/k').decode(), found.list_files())\n"
    )
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={"STORAGE_LOCAL_PATH": str(tmp_path / "store"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "x ['a/k']\n"
