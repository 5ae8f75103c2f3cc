"""DigitalOcean Spaces."""

from __future__ import annotations

from pydantic import Field

from domain.storage import Capabilities
from infrastructure.storage.provider_settings import EnvironmentNames
from infrastructure.storage.s3.dialect import Dialect
from infrastructure.storage.s3.provider import S3CompatibleProvider
from infrastructure.storage.s3.settings import SHARED_ENVIRONMENT, S3Settings


class DigitalOceanSettings(S3Settings):
    """The settings of `DigitalOceanProvider`. The region (`nyc3`, `ams3`, `sgp1`, `fra1`, …) makes the address."""

    region: str = Field(default="nyc3", pattern=r"^[A-Za-z0-9-]{1,64}$")


class DigitalOceanProvider(S3CompatibleProvider):
    """A Space of DigitalOcean."""

    name = "spaces"
    settings_model = DigitalOceanSettings
    environment: EnvironmentNames = {
        **SHARED_ENVIRONMENT,
        "access_key_id": ("DO_SPACES_KEY",),
        "secret_access_key": ("DO_SPACES_SECRET",),
        "bucket_name": ("DO_SPACES_NAME",),
        "region": ("DO_SPACES_REGION",),
        "endpoint_url": ("DO_SPACES_ENDPOINT_URL",),
    }
    dialect = Dialect(
        # docs.digitalocean.com/products/spaces/reference/s3-compatibility does not document conditional writes.
        # If-None-Match was seen to hold; reports of If-Match contradict each other, and where it works the ETag
        # has to stand without quotes.
        Capabilities(create_if_absent=True, presign=True, versioning=True, buckets=True),
        quoted_etags=False,
        url_encoded_listing=False,  # its answers are then encoded twice over
    )

    def _address(self) -> tuple[str, str]:
        region = self._settings.region or "nyc3"
        # The region of a signature is not looked at; SDKs of AWS need one that they know.
        return self._settings.endpoint_url or f"https://{region}.digitaloceanspaces.com", "us-east-1"
