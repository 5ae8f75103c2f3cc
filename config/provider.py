"""The active provider: the one line in which the environment becomes an adapter.

It stands apart from `config.container` for the time that takes. `dependency_injector.containers` imports asyncio and,
where they are installed, FastAPI, pydantic-settings and werkzeug: 0.3 to 0.6 times what typer and rich take together
without FastAPI, three times that with it. A command such as `storage list` needs nothing but its provider, so the CLI asks
here, and the container's `storage_provider` is this same function.
"""

from __future__ import annotations

from collections.abc import Mapping

from domain.purposes import Purpose
from domain.storage import IStorageProvider
from infrastructure.storage.storage_factory import ProviderStatus, StorageProviderFactory


def storage_provider_from_env(environ: Mapping[str, str] | None = None) -> IStorageProvider:
    """The provider that `STORAGE_PROVIDER` names, with its settings from the environment; not yet connected.

    Args:
        environ: variables to read instead of the process's.

    Raises:
        ConfigurationError: unknown name, missing extra, settings that are not right.
    """
    return StorageProviderFactory.from_env(environ)


def storage_provider_for(purpose: Purpose, environ: Mapping[str, str] | None = None) -> tuple[IStorageProvider, str]:
    """The active provider on the bucket that a purpose has, and the prefix that it has there.

    Raises:
        ConfigurationError: as `storage_provider_from_env`; or the purpose's URL is none of this store.
        UnsupportedOperation: the purpose has a bucket of its own, and the provider has no buckets.
    """
    from config.settings import StorageConfig

    place = StorageConfig.from_env(environ).place(purpose)
    provider = storage_provider_from_env(environ)
    return (provider.for_bucket(place.bucket) if place.bucket else provider), place.prefix


def providers(environ: Mapping[str, str] | None = None) -> list[ProviderStatus]:
    """Every registered provider, with what the environment lacks for it."""
    return StorageProviderFactory.status(environ)
