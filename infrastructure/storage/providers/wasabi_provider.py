"""Wasabi."""

from __future__ import annotations

from domain.storage import Capabilities
from infrastructure.storage.provider_settings import EnvironmentNames
from infrastructure.storage.s3.dialect import Dialect
from infrastructure.storage.s3.provider import S3CompatibleProvider
from infrastructure.storage.s3.settings import SHARED_ENVIRONMENT, S3Settings


class WasabiProvider(S3CompatibleProvider):
    """A bucket of Wasabi."""

    name = "wasabi"
    settings_model = S3Settings
    environment: EnvironmentNames = {
        **SHARED_ENVIRONMENT,
        "access_key_id": ("WASABI_ACCESS_KEY",),
        "secret_access_key": ("WASABI_SECRET_KEY",),
        "bucket_name": ("WASABI_BUCKET",),
        "region": ("WASABI_REGION",),
        "endpoint_url": ("WASABI_ENDPOINT_URL",),
    }
    dialect = Dialect(
        # docs.wasabi.com, Operations on Objects, names no conditional writes: they are taken to be missing until a
        # bucket shows otherwise.
        Capabilities(presign=True, versioning=True, buckets=True),
        location_constraint=True,
    )

    def _address(self) -> tuple[str, str]:
        region = self._settings.region or "us-east-1"
        host = "s3.wasabisys.com" if region == "us-east-1" else f"s3.{region}.wasabisys.com"
        return self._settings.endpoint_url or f"https://{host}", region
