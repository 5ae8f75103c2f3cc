"""The composition root: one provider for the application, chosen by the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from dependency_injector import providers

from config.container import Container, storage_provider_from_env
from config.provider import providers as provider_statuses
from domain.errors import ConfigurationError
from infrastructure.storage.providers import LocalProvider, MemoryProvider


def test_the_environment_picks_the_adapter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STORAGE_PROVIDER", "memory")
    assert isinstance(Container().storage_provider(), MemoryProvider)
    monkeypatch.delenv("STORAGE_PROVIDER")
    monkeypatch.setenv("STORAGE_LOCAL_PATH", str(tmp_path))
    provider = Container().storage_provider()
    assert isinstance(provider, LocalProvider)
    assert provider.describe().url == tmp_path.resolve().as_uri()


def test_there_is_one_provider_and_one_config_in_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_PROVIDER", "memory")
    container = Container()
    assert container.storage_provider() is container.storage_provider()
    assert container.config() is container.config()
    assert container.config().storage_provider == "memory"
    assert Container().storage_provider() is not container.storage_provider()


def test_a_part_can_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_PROVIDER", "nonsuch")
    container = Container()
    mine = MemoryProvider({})
    with container.storage_provider.override(providers.Object(mine)):
        assert container.storage_provider() is mine
    with pytest.raises(ConfigurationError):
        container.storage_provider()


def test_a_provider_from_a_mapping(tmp_path: Path) -> None:
    provider = storage_provider_from_env({"STORAGE_PROVIDER": "local", "STORAGE_LOCAL_PATH": str(tmp_path / "s")})
    assert isinstance(provider, LocalProvider)
    assert not (tmp_path / "s").exists()
    active = [status.name for status in provider_statuses({"STORAGE_PROVIDER": "memory"}) if status.active]
    assert active == ["memory"]
