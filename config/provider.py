"""The active provider: the one line in which the environment becomes an adapter.

It stands apart from `config.container` for the time that takes. `dependency_injector.containers` imports asyncio and,
where they are installed, FastAPI, pydantic-settings and werkzeug: 0.3 to 0.6 times what typer and rich take together
without FastAPI, three times that with it. A command such as `storage list` needs nothing but its provider, so the CLI asks
here, and the container's `storage_provider` is this same function.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from domain.errors import ConfigurationError
from domain.local_files import printable_path
from domain.purposes import Purpose
from domain.storage import IStorageProvider
from infrastructure.storage.storage_factory import PROVIDER_VARIABLE, ProviderStatus, StorageProviderFactory


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


def storage_provider_named(
    name: str, settings_file: str | None = None, limits: Mapping[str, str] | None = None
) -> IStorageProvider:
    """The provider `name`, with its settings from the environment, or from a dotenv file and nothing else.

    Args:
        limits: variables that count before all others.

    Raises:
        ConfigurationError: as `storage_provider_from_env`; or the file can't be read, or is none.
    """
    if settings_file is None:
        return storage_provider_from_env({**os.environ, **(limits or {}), PROVIDER_VARIABLE: name})
    from dotenv.parser import parse_stream

    shown = printable_path(settings_file)
    try:
        with open(settings_file, encoding="utf-8") as lines:
            bindings = list(parse_stream(lines))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigurationError(f"the settings in {shown!r} can't be read: {reason}") from None
    given: dict[str, str] = {}
    for binding in bindings:
        variable, value = binding.key, binding.value
        if binding.error or (variable is not None and value is None):
            # Left out, it would make another store of this one.
            text = binding.original.string  # with the empty lines before it
            line = binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
            raise ConfigurationError(f"line {line} of {shown!r} is no setting; write NAME=VALUE")
        if variable is None or value is None:
            continue  # a comment, or nothing at all
        if variable == PROVIDER_VARIABLE and value.strip().lower() != name.strip().lower():
            raise ConfigurationError(f"{shown!r} is for the provider {value!r}, not for {name!r}")
        given[variable] = value
    given |= {**(limits or {}), PROVIDER_VARIABLE: name}
    settings = StorageProviderFactory.settings_from_env(given)
    if settings.get("credential_chain") and not settings.get("profile"):
        raise ConfigurationError(f"{shown!r} has no credentials, and those of the environment are not for it; add them")
    return storage_provider_from_env(given)
