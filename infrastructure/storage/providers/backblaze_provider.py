"""Backblaze B2, by its S3-compatible interface."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr, model_validator

from domain.storage import Capabilities
from infrastructure.storage.provider_settings import EnvironmentNames
from infrastructure.storage.s3.addresses import with_scheme
from infrastructure.storage.s3.dialect import Dialect
from infrastructure.storage.s3.provider import S3CompatibleProvider
from infrastructure.storage.s3.settings import SHARED_ENVIRONMENT, S3Settings


class BackblazeSettings(S3Settings):
    """The settings of `BackblazeProvider`, under the names that Backblaze gives an application key's two halves."""

    key_id: SecretStr | None = None
    application_key: SecretStr | None = None
    endpoint_url: str

    credential_fields = ("key_id", "application_key")

    @model_validator(mode="before")
    @classmethod
    def _with_scheme(cls, given: Any) -> Any:
        return with_scheme(given, "https")  # the console shows it without a scheme


class BackblazeProvider(S3CompatibleProvider):
    """A bucket of Backblaze B2. It takes application keys, not the account's master key."""

    name = "b2"
    settings_model = BackblazeSettings
    environment: EnvironmentNames = {
        **SHARED_ENVIRONMENT,
        "key_id": ("BACKBLAZE_KEY_ID",),
        "application_key": ("BACKBLAZE_APPLICATION_KEY",),
        "bucket_name": ("BACKBLAZE_BUCKET",),
        "endpoint_url": ("BACKBLAZE_ENDPOINT",),
        "region": ("BACKBLAZE_REGION",),
    }
    dialect = Dialect(
        # backblaze.com/apidocs/s3-put-object: no conditional headers (they are answered with 501).
        Capabilities(presign=True, versioning=True, buckets=True),
    )

    def _address(self) -> tuple[str, str]:
        endpoint_url = self._settings.endpoint_url or ""
        # backblaze.com/docs/cloud-storage-s3-compatible-api: the region is the second part of the host.
        found = re.fullmatch(r"s3\.([\w-]+)\.backblazeb2\.com", urlsplit(endpoint_url).hostname or "")
        return endpoint_url, self._settings.region or (found[1] if found else "us-east-1")
