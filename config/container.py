"""The container: everything that the application is made of, from the environment, once.

    container = Container()
    provider = container.storage_provider()

A test overrides a part: `container.storage_provider.override(providers.Object(MemoryProvider({})))`.
"""

from __future__ import annotations

from dependency_injector import containers, providers

from config.provider import storage_provider_from_env
from config.settings import StorageConfig
from domain.storage import IStorageProvider

__all__ = ["Container", "storage_provider_from_env"]


class Container(containers.DeclarativeContainer):
    """The composition root."""

    config: providers.Singleton[StorageConfig] = providers.Singleton(StorageConfig.from_env)
    storage_provider: providers.Singleton[IStorageProvider] = providers.Singleton(storage_provider_from_env)
