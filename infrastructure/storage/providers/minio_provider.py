"""MinIO, and other self-hosted stores that speak S3 (Ceph, SeaweedFS, RustFS, Garage)."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from domain.storage import Capabilities
from infrastructure.storage.provider_settings import EnvironmentNames
from infrastructure.storage.s3.addresses import with_scheme
from infrastructure.storage.s3.dialect import Dialect
from infrastructure.storage.s3.provider import S3CompatibleProvider
from infrastructure.storage.s3.settings import SHARED_ENVIRONMENT, S3Settings


class MinIOSettings(S3Settings):
    """The settings of `MinIOProvider`. The endpoint may be `host:port`; `secure` then says whether it speaks TLS."""

    endpoint_url: str
    secure: bool = False

    @model_validator(mode="before")
    @classmethod
    def _with_scheme(cls, given: Any) -> Any:
        wish = given.get("secure", False) if isinstance(given, dict) else False
        secure = str(wish).strip().lower() in {"1", "true", "yes", "on", "t", "y"}
        return with_scheme(given, "https" if secure else "http")


class MinIOProvider(S3CompatibleProvider):
    """A bucket of a MinIO server."""

    name = "minio"
    settings_model = MinIOSettings
    environment: EnvironmentNames = {
        **SHARED_ENVIRONMENT,
        "endpoint_url": ("MINIO_ENDPOINT",),
        "secure": ("MINIO_SECURE",),
        "access_key_id": ("MINIO_ACCESS_KEY",),
        "secret_access_key": ("MINIO_SECRET_KEY",),
        "region": ("MINIO_REGION",),
        "bucket_name": ("MINIO_DEFAULT_BUCKET",),
        "create_buckets": ("MINIO_CREATE_BUCKETS", "STORAGE_CREATE_BUCKETS"),
        "multipart_threshold": ("MINIO_MULTIPART_THRESHOLD", "STORAGE_MULTIPART_THRESHOLD"),
        "multipart_chunksize": ("MINIO_MULTIPART_CHUNKSIZE", "STORAGE_MULTIPART_CHUNKSIZE"),
        "max_pool_connections": ("MINIO_MAX_POOL_CONNECTIONS", "STORAGE_MAX_POOL_CONNECTIONS"),
    }
    dialect = Dialect(
        # docs.min.io/enterprise/aistor-object-store/reference: conditional PutObject; of uploads in parts it takes a
        # condition at their beginning, which is no promise for their end.
        Capabilities(create_if_absent=True, replace_if_unchanged=True, presign=True, versioning=True, buckets=True),
    )

    def _address(self) -> tuple[str, str]:
        return self._settings.endpoint_url or "", self._settings.region or "us-east-1"
