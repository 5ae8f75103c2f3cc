"""The services that stand on the active provider: content, and versions of datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.settings import StorageConfig
from domain.purposes import Purpose
from domain.storage import IStorageProvider

if TYPE_CHECKING:
    from application.content_addressed_storage import ContentAddressedStorage
    from application.dataset_versioning import DatasetVersioning
    from domain.content_cache import ContentCache


def content_addressed_storage(
    provider: IStorageProvider, config: StorageConfig | None = None
) -> ContentAddressedStorage:
    """The content store of this provider, as the settings want it.

    Raises:
        ConfigurationError: the settings are not right, or switch it off.
    """
    from application.content_addressed_storage import ContentAddressedStorage

    config = config or StorageConfig.from_env()
    return ContentAddressedStorage(
        provider, deduplicate=config.deduplication_enabled, enabled=config.content_addressing_enabled
    )


def dataset_versioning(provider: IStorageProvider, config: StorageConfig | None = None) -> DatasetVersioning:
    """The datasets of this provider, with their files where `DVC_REMOTE_URL` says.

    Raises:
        ConfigurationError: the settings are not right, or content addressing is switched off.
        UnsupportedOperation: the files have a bucket of their own, and the provider has no buckets.
    """
    from application.dataset_versioning import DatasetVersioning
    from config.state import known_hashes

    config = config or StorageConfig.from_env()
    content_addressed_storage(provider, config)  # it refuses where it is switched off
    content, prefix = dvc_store(provider, config)
    return DatasetVersioning(
        provider, content=content, dvc_prefix=prefix, known=known_hashes(), deduplicate=config.deduplication_enabled
    )


def dvc_store(provider: IStorageProvider, config: StorageConfig | None = None) -> tuple[IStorageProvider, str]:
    """Where the files of datasets are, and plain DVC has its remote: the bucket, and the prefix in it.

    Raises:
        ConfigurationError: `DVC_REMOTE_URL` is none of this store.
        UnsupportedOperation: it names a bucket, and the provider has none.
    """
    place = (config or StorageConfig.from_env()).place(Purpose.DVC)
    return provider.for_bucket(place.bucket) if place.bucket else provider, place.prefix


def content_cache(size: int, config: StorageConfig | None = None) -> ContentCache | None:
    """The cache for a checkout that writes so many bytes; None where it is switched off, or where it could not hold them.

    Raises:
        ConfigurationError: the settings are not right.
    """
    from infrastructure.state.content_cache import FolderCache

    bound = (config or StorageConfig.from_env()).content_cache_size
    return FolderCache(bound) if 0 < size <= bound else None
