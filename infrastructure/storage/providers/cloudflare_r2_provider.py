"""Cloudflare R2."""

from __future__ import annotations

from pydantic import Field

from domain.errors import ConfigurationError
from domain.storage import Capabilities
from infrastructure.storage.provider_settings import EnvironmentNames
from infrastructure.storage.s3.dialect import GIB, MIB, Dialect
from infrastructure.storage.s3.provider import S3CompatibleProvider
from infrastructure.storage.s3.settings import SHARED_ENVIRONMENT, S3Settings


class CloudflareR2Settings(S3Settings):
    """The settings of `CloudflareR2Provider`."""

    account_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{1,64}$")
    """The account, from which the endpoint follows."""


class CloudflareR2Provider(S3CompatibleProvider):
    """A bucket of Cloudflare R2. An `endpoint_url` (a jurisdiction's, or a MinIO for development) takes precedence."""

    name = "r2"
    settings_model = CloudflareR2Settings
    environment: EnvironmentNames = {
        **SHARED_ENVIRONMENT,
        "account_id": ("CLOUDFLARE_R2_ACCOUNT_ID", "CLOUDFLARE_ACCOUNT_ID"),
        "access_key_id": ("CLOUDFLARE_R2_ACCESS_KEY", "CLOUDFLARE_R2_ACCESS_KEY_ID", "R2_ACCESS_KEY_ID"),
        "secret_access_key": (
            "CLOUDFLARE_R2_SECRET_KEY",
            "CLOUDFLARE_R2_SECRET_ACCESS_KEY",
            "R2_SECRET_ACCESS_KEY",
        ),
        "bucket_name": ("CLOUDFLARE_R2_BUCKET", "CLOUDFLARE_R2_BUCKET_NAME", "R2_BUCKET_NAME"),
        "endpoint_url": ("CLOUDFLARE_R2_ENDPOINT_URL", "R2_ENDPOINT"),
        "region": ("CLOUDFLARE_R2_REGION",),
    }
    dialect = Dialect(
        # developers.cloudflare.com/r2/api/s3/extensions: conditional PutObject (412); its table of
        # CompleteMultipartUpload names no condition, and versioning is not implemented.
        Capabilities(create_if_absent=True, replace_if_unchanged=True, presign=True, buckets=True),
        max_put_bytes=5 * GIB - 5 * MIB,  # developers.cloudflare.com/r2/platform/limits
    )

    def _address(self) -> tuple[str, str]:
        region = self._settings.region or "auto"  # developers.cloudflare.com/r2/api/s3/api: the only one there is
        if self._settings.endpoint_url:
            return self._settings.endpoint_url, region
        account = getattr(self._settings, "account_id", None)
        if not account:
            raise ConfigurationError(
                "account_id (CLOUDFLARE_R2_ACCOUNT_ID) or endpoint_url (R2_ENDPOINT) is needed to find the store",
                provider=self.name,
            )
        return f"https://{account}.r2.cloudflarestorage.com", region
