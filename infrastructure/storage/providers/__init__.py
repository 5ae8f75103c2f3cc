"""One file per provider.

To add a provider:

1. Write `<name>_provider.py` here (or one module in a package of your own) with a class derived from
   `domain.storage.IStorageProvider`: its `name`, its `environment` (field -> environment variables), its
   `settings_model` (derived from `ProviderSettings`), and the port's abstract methods. A store that speaks S3 derives from
   `infrastructure.storage.s3.provider.S3CompatibleProvider` instead and says where it is and how it differs. The port's
   docstrings say what each must promise.
2. Name it: in `BUILT_IN` of `infrastructure.storage.storage_factory` for a file here, or by an entry point of group
   `lading.providers` in your package's pyproject; a second entry point for the same class is an alias.
3. Prove it: derive a test class from `infrastructure.storage.contract.StorageProviderContract` and give it a harness; a
   file here is one row in `tests/contract`.
4. Tell users: a row in the README's table of providers, its variables in `.env.example`.

`examples/sqlite_provider` is a provider outside of this tree, in one file.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infrastructure.storage.providers.backblaze_provider import BackblazeProvider
    from infrastructure.storage.providers.cloudflare_r2_provider import CloudflareR2Provider
    from infrastructure.storage.providers.digitalocean_provider import DigitalOceanProvider
    from infrastructure.storage.providers.local_provider import LocalProvider
    from infrastructure.storage.providers.memory_provider import MemoryProvider
    from infrastructure.storage.providers.minio_provider import MinIOProvider
    from infrastructure.storage.providers.s3_provider import S3Provider
    from infrastructure.storage.providers.wasabi_provider import WasabiProvider

__all__ = [
    "BackblazeProvider",
    "CloudflareR2Provider",
    "DigitalOceanProvider",
    "LocalProvider",
    "MemoryProvider",
    "MinIOProvider",
    "S3Provider",
    "WasabiProvider",
]


def __getattr__(name: str) -> Any:
    # A provider is imported when it is asked for: each may bring a library that the others do without.
    from infrastructure.storage.storage_factory import BUILT_IN

    for registration in BUILT_IN:
        module, _, attribute = str(registration.target).partition(":")
        if attribute == name:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
