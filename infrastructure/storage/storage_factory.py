"""Names and aliases of providers, and making a provider from a dict or from the environment."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

from domain.errors import ConfigurationError
from domain.storage import IStorageProvider

ENTRY_POINT_GROUP = "lading.providers"
PROVIDER_VARIABLE = "STORAGE_PROVIDER"
DEFAULT_PROVIDER = "local"


@dataclass(frozen=True, slots=True)
class Registration:
    """A provider's names, and where its class is.

    Attributes:
        target: the class, or `module:Class`, imported when the provider is first made.
        extra: the extra of this package that installs what the provider needs, or None.
    """

    name: str
    target: str | type[IStorageProvider]
    aliases: tuple[str, ...] = ()
    extra: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """What the environment says of one registered provider.

    Attributes:
        problem: why the provider can't be imported, in one sentence, or None.
        missing: the settings that are missing, each as the environment variables that would set it.
    """

    name: str
    aliases: tuple[str, ...]
    active: bool
    problem: str | None
    missing: tuple[str, ...]


_PROVIDERS = "infrastructure.storage.providers"
BUILT_IN = (
    Registration("local", f"{_PROVIDERS}.local_provider:LocalProvider", ("file", "disk")),
    Registration("memory", f"{_PROVIDERS}.memory_provider:MemoryProvider"),
    Registration("s3", f"{_PROVIDERS}.s3_provider:S3Provider", ("aws",), "s3"),
    Registration(
        "r2", f"{_PROVIDERS}.cloudflare_r2_provider:CloudflareR2Provider", ("cloudflare", "cloudflare_r2"), "s3"
    ),
    Registration("minio", f"{_PROVIDERS}.minio_provider:MinIOProvider", (), "s3"),
    Registration("wasabi", f"{_PROVIDERS}.wasabi_provider:WasabiProvider", (), "s3"),
    Registration("b2", f"{_PROVIDERS}.backblaze_provider:BackblazeProvider", ("backblaze",), "s3"),
    Registration("spaces", f"{_PROVIDERS}.digitalocean_provider:DigitalOceanProvider", ("do", "digitalocean"), "s3"),
)


class StorageProviderFactory:
    """The registry of providers. Its methods need no instance: there is one registry in a process."""

    _by_name: ClassVar[dict[str, Registration]] = {}
    _discovered: ClassVar[bool] = False
    _discovery: ClassVar[threading.Lock] = threading.Lock()

    # -- names

    @classmethod
    def register(
        cls,
        name: str,
        target: str | type[IStorageProvider],
        *,
        aliases: tuple[str, ...] = (),
        extra: str | None = None,
    ) -> None:
        """Add a provider.

        Args:
            target: the class, or `module:Class`, which is then imported at the first use only.

        Raises:
            ConfigurationError: one of the names is taken.
        """
        cls._discover()
        cls._add(Registration(name, target, aliases, extra))

    @classmethod
    def get_registered_providers(cls) -> list[str]:
        """All names and aliases, sorted."""
        cls._discover()
        return sorted(cls._by_name)

    @classmethod
    def status(cls, environ: Mapping[str, str] | None = None) -> list[ProviderStatus]:
        """Every provider once, with what the environment lacks for it."""
        from infrastructure.storage.provider_settings import missing_settings

        environ = os.environ if environ is None else environ
        cls._discover()
        active = _plain(environ.get(PROVIDER_VARIABLE) or DEFAULT_PROVIDER)
        found = []
        for registration in dict.fromkeys(cls._by_name.values()):
            problem, missing = None, []
            try:
                provider = _load(registration)
            except ConfigurationError as error:
                problem = error.message
            else:
                model = getattr(provider, "settings_model", None)
                names = getattr(provider, "environment", {})
                if model:
                    missing = missing_settings(model, names, environ, _completed(provider, {}))
            chosen = active in (registration.name, *registration.aliases)
            found.append(ProviderStatus(registration.name, registration.aliases, chosen, problem, tuple(missing)))
        return found

    # -- making

    @classmethod
    def create(cls, config: Mapping[str, Any]) -> IStorageProvider:
        """A provider from a dict: `provider_type` names it, the rest are its settings. The environment is not read.

        Raises:
            ConfigurationError: unknown name (the known ones are listed), missing extra, settings that are not right.
        """
        settings = dict(config)
        name = settings.pop("provider_type", None)
        if not isinstance(name, str):
            raise ConfigurationError(
                f"'provider_type' is missing; known are {', '.join(cls.get_registered_providers())}"
            )
        provider = _load(cls._find(name))
        return _made(provider, settings)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> IStorageProvider:
        """The provider that `STORAGE_PROVIDER` names (default `local`), with the settings of the environment.

        Args:
            environ: variables to read instead of the process's.

        Raises:
            ConfigurationError: as `create`; also two aliases of one setting with different values.
        """
        from infrastructure.storage.provider_settings import parse_settings

        environ = os.environ if environ is None else environ
        provider = _load(cls._find(environ.get(PROVIDER_VARIABLE) or DEFAULT_PROVIDER))
        settings = cls._settings(provider, environ)
        model = getattr(provider, "settings_model", None)
        if model:
            # Made once more by the provider itself; here so that an error names the variable and not the field.
            parse_settings(model, settings, provider=provider.name, names=getattr(provider, "environment", {}))
        return _made(provider, settings)

    @classmethod
    def settings_from_env(cls, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The settings with which `from_env` would make the provider. They hold secrets."""
        environ = os.environ if environ is None else environ
        return cls._settings(_load(cls._find(environ.get(PROVIDER_VARIABLE) or DEFAULT_PROVIDER)), environ)

    # -- inside

    @staticmethod
    def _settings(provider: type[IStorageProvider], environ: Mapping[str, str]) -> dict[str, Any]:
        from infrastructure.storage.provider_settings import read_environment

        given = read_environment(getattr(provider, "environment", {}), environ, provider=provider.name)
        return _completed(provider, given)

    @classmethod
    def _find(cls, name: str) -> Registration:
        cls._discover()
        try:
            return cls._by_name[_plain(name)]
        except KeyError:
            raise ConfigurationError(
                f"there is no provider {name!r}; known are {', '.join(cls.get_registered_providers())}"
            ) from None

    @classmethod
    def _discover(cls) -> None:
        with cls._discovery:
            if cls._discovered:
                return
            from importlib.metadata import entry_points

            cls._by_name.clear()
            for registration in BUILT_IN:
                cls._add(registration)
            targets: dict[str, list[str]] = {}
            for point in entry_points(group=ENTRY_POINT_GROUP):
                targets.setdefault(point.value, []).append(point.name)
            for target, names in targets.items():
                name, *aliases = dict.fromkeys(names)
                cls._add(Registration(name, target, tuple(aliases)))
            cls._discovered = True

    @classmethod
    def _add(cls, registration: Registration) -> None:
        for name in (registration.name, *registration.aliases):
            if name != name.strip().lower() or not name:
                raise ConfigurationError(f"a provider's name is lower-case text, not {name!r}")
            if name in cls._by_name:
                there = cls._by_name[name]
                raise ConfigurationError(
                    f"two providers are called {name!r}: {_shown(there.target)} and {_shown(registration.target)}; "
                    "uninstall or rename one"
                )
        cls._by_name.update(dict.fromkeys((registration.name, *registration.aliases), registration))


def _plain(name: str) -> str:
    return name.strip().lower()


def _load(registration: Registration) -> type[IStorageProvider]:
    if not isinstance(registration.target, str):
        return registration.target
    module, _, attribute = registration.target.partition(":")
    try:
        loaded = getattr(import_module(module), attribute)
    except Exception as error:  # somebody else's module may raise anything
        if registration.extra and isinstance(error, ImportError):
            needs = getattr(error, "name", None) or "another package"
            advice = f"it needs {needs}: pip install 'lading[{registration.extra}]'"
        else:
            advice = f"{registration.target} can't be imported ({error}); install its package again"
        raise ConfigurationError(f"the provider {registration.name!r} is not usable: {advice}") from error
    if not (isinstance(loaded, type) and issubclass(loaded, IStorageProvider)):
        raise ConfigurationError(
            f"the provider {registration.name!r} is not usable: {registration.target} is no IStorageProvider"
        )
    return loaded


def _made(provider: type[IStorageProvider], settings: Mapping[str, Any]) -> IStorageProvider:
    # The port does not fix a constructor; that a provider is made from one dict is this factory's rule.
    make: Any = provider
    made: IStorageProvider = make(settings)
    return made


def _completed(provider: type[IStorageProvider], given: dict[str, Any]) -> dict[str, Any]:
    """The settings that the environment gives, with what a provider adds where it leaves something open."""
    complete = getattr(provider, "complete_environment", None)
    return complete(given) if complete else given


def _shown(target: str | type[IStorageProvider]) -> str:
    return target if isinstance(target, str) else f"{target.__module__}:{target.__qualname__}"
