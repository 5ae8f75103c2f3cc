"""`StorageConfig`: what the application as a whole is told, by the environment or by a caller."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Self

from pydantic import ByteSize, ConfigDict, SecretStr, ValidationError
from pydantic.dataclasses import dataclass

from domain.errors import ConfigurationError
from domain.purposes import OWN_PREFIX, Place, Purpose, place_of_url
from infrastructure.storage.provider_settings import EnvironmentNames, read_environment
from infrastructure.storage.storage_factory import DEFAULT_PROVIDER, PROVIDER_VARIABLE, StorageProviderFactory

VARIABLES: EnvironmentNames = {
    "storage_provider": (PROVIDER_VARIABLE,),
    "public_endpoint_url": ("STORAGE_PUBLIC_ENDPOINT_URL",),
    "content_addressing_enabled": ("STORAGE_CONTENT_ADDRESSING_ENABLED",),
    "deduplication_enabled": ("STORAGE_DEDUPLICATION_ENABLED",),
    "content_cache_size": ("STORAGE_CONTENT_CACHE_SIZE",),
    "sync_local": ("STORAGE_SYNC_LOCAL",),
    "sync_remote": ("STORAGE_SYNC_REMOTE",),
    "dvc_remote_url": ("DVC_REMOTE_URL",),
    "dvc_remote_name": ("DVC_REMOTE_NAME",),
    "mlflow_artifact_root": ("MLFLOW_ARTIFACT_ROOT",),
    "database_url": ("STORAGE_DATABASE_URL",),
    "redis_url": ("REDIS_URL",),
    "sentry_dsn": ("SENTRY_DSN",),
    "models_bucket": ("MINIO_MODELS_BUCKET",),
    "video_bucket": ("MINIO_VIDEO_BUCKET",),
    "logs_bucket": ("MINIO_LOGS_BUCKET",),
    "enable_caching": ("MINIO_ENABLE_CACHING",),
    "cache_ttl": ("MINIO_CACHE_TTL",),
    "enable_versioning": ("MINIO_ENABLE_VERSIONING",),
    "enable_encryption": ("MINIO_ENABLE_ENCRYPTION",),
    "enable_compression": ("MINIO_ENABLE_COMPRESSION",),
}

# The provider's own names of what is repeated here.
_OF_THE_PROVIDER = {
    "account_id": "account_id",
    "access_key_id": "access_key_id",
    "secret_access_key": "secret_access_key",
    "key_id": "access_key_id",
    "application_key": "secret_access_key",
    "bucket_name": "bucket_name",
    "region": "region",
    "endpoint_url": "endpoint_url",
    "base_path": "base_path",
}


@dataclass(frozen=True, config=ConfigDict(extra="forbid", hide_input_in_errors=True))
class StorageConfig:
    """The settings of the application. Those of the active provider are repeated here for whoever shows or checks them.

    The keys and the addresses of the database, Redis and Sentry are secrets: they print as `**********`.
    """

    storage_provider: str = DEFAULT_PROVIDER
    account_id: str | None = None
    access_key_id: SecretStr | None = None
    secret_access_key: SecretStr | None = None
    bucket_name: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    base_path: str | None = None
    public_endpoint_url: str | None = None
    content_addressing_enabled: bool = True
    deduplication_enabled: bool = True
    content_cache_size: ByteSize = ByteSize(10 << 30)
    """Of the contents that checkouts keep on this machine; 0 for none."""
    sync_local: str = "data/"
    sync_remote: str = "datasets/"
    dvc_remote_url: str | None = None
    dvc_remote_name: str | None = None
    mlflow_artifact_root: str | None = None
    database_url: SecretStr | None = None
    redis_url: SecretStr | None = None
    sentry_dsn: SecretStr | None = None
    models_bucket: str | None = None
    video_bucket: str | None = None
    logs_bucket: str | None = None
    enable_caching: bool = False
    cache_ttl: int = 300
    """Seconds."""
    enable_versioning: bool = False
    enable_encryption: bool = False
    enable_compression: bool = False

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """The settings that the environment names; an empty variable counts as unset.

        Raises:
            ConfigurationError: a value can't be what its name says, or the active provider is unknown.
        """
        environ = os.environ if environ is None else environ
        settings: dict[str, Any] = dict(read_environment(VARIABLES, environ))
        of_provider = StorageProviderFactory.settings_from_env(environ)
        settings |= {mine: str(of_provider[name]) for name, mine in _OF_THE_PROVIDER.items() if name in of_provider}
        try:
            return cls(**settings)
        except ValidationError as error:
            wrong = "; ".join(
                f"{' or '.join(VARIABLES.get(str(item['loc'][0]), (str(item['loc'][0]),)))}: {item['msg']}"
                for item in error.errors(include_input=False)
            )
            raise ConfigurationError(f"the settings are not right: {wrong}") from None

    def place(self, purpose: Purpose) -> Place:
        """Where a purpose has its place on the active provider.

        Raises:
            ConfigurationError: the URL that is set for it is none of this store.
        """
        if purpose is Purpose.DVC and self.dvc_remote_url:
            return place_of_url(self.dvc_remote_url, "DVC_REMOTE_URL")
        if purpose is Purpose.MLFLOW and self.mlflow_artifact_root:
            return place_of_url(self.mlflow_artifact_root, "MLFLOW_ARTIFACT_ROOT")
        buckets = {
            Purpose.MODELS: self.models_bucket,
            Purpose.VIDEO: self.video_bucket,
            Purpose.LOGS: self.logs_bucket,
        }
        bucket = buckets.get(purpose)
        return Place(bucket, "") if bucket else Place(None, OWN_PREFIX[purpose])

    def validate(self) -> Self:
        """Check what one value alone does not show; returns itself.

        Raises:
            ConfigurationError: the provider is unknown, or only half of a credential is there.
        """
        known = StorageProviderFactory.get_registered_providers()
        if self.storage_provider.strip().lower() not in known:
            raise ConfigurationError(f"there is no provider {self.storage_provider!r}; known are {', '.join(known)}")
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ConfigurationError("half a credential: access_key_id and secret_access_key go together")
        return self
