"""Amazon S3, and with `endpoint_url` any store that speaks its protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from domain.storage import Capabilities
from infrastructure.storage.provider_settings import EnvironmentNames
from infrastructure.storage.s3.credentials import ChainCredentials, Credentials
from infrastructure.storage.s3.dialect import Dialect
from infrastructure.storage.s3.provider import S3CompatibleProvider
from infrastructure.storage.s3.settings import SHARED_ENVIRONMENT, S3Settings


class S3ProviderSettings(S3Settings):
    """The settings of `S3Provider`."""

    credential_chain: bool = False
    """Take the credentials from boto3's chain (environment, profiles, SSO, roles) and have it renew them."""
    profile: str | None = None
    """The profile of the AWS configuration that the chain is to use."""

    def credentials(self, provider: str, names: str) -> Credentials:
        if self.credential_chain and self.first_half is None:
            return ChainCredentials(provider, self.profile)
        return super().credentials(provider, names)


class S3Provider(S3CompatibleProvider):
    """A bucket of Amazon S3, or of another S3-compatible store at `endpoint_url`.

    Built from the environment without a key pair, it asks boto3's credential chain; built from a dict it does that only
    where `credential_chain` says so.
    """

    name = "s3"
    settings_model = S3ProviderSettings
    environment: EnvironmentNames = {
        **SHARED_ENVIRONMENT,
        "bucket_name": ("AWS_BUCKET_NAME",),
        "access_key_id": ("AWS_ACCESS_KEY_ID",),
        "secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
        "session_token": ("AWS_SESSION_TOKEN",),
        "profile": ("AWS_PROFILE",),
        "region": ("AWS_REGION",),
        "endpoint_url": ("AWS_ENDPOINT_URL",),
        "ca_bundle": ("AWS_CA_BUNDLE", "STORAGE_CA_BUNDLE"),
    }
    dialect = Dialect(
        # docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html: If-None-Match and If-Match on
        # PutObject and CompleteMultipartUpload.
        Capabilities(
            create_if_absent=True,
            create_if_absent_multipart=True,
            replace_if_unchanged=True,
            presign=True,
            versioning=True,
            buckets=True,
        ),
        checksums=True,
        location_constraint=True,
    )

    @classmethod
    def complete_environment(cls, given: dict[str, Any]) -> dict[str, Any]:
        """The settings of the environment; without a key pair in it, the chain's credentials."""
        return given if given.keys() & {"access_key_id", "secret_access_key"} else {"credential_chain": True, **given}

    def _address(self) -> tuple[str, str]:
        region = self._settings.region or "us-east-1"
        # dualstack and FIPS addresses are a matter of endpoint_url.
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        return self._settings.endpoint_url or f"https://s3.{region}.{suffix}", region

    def _path_style(self) -> bool:
        # A dot in the name makes a host that AWS's certificate does not cover.
        return self._settings.endpoint_url is not None or "." in self._settings.bucket_name

    def _dialect(self) -> Dialect:
        if self._settings.endpoint_url is None:
            return self.dialect
        # Whatever answers there need not know AWS's newer checksums and conditions, nor have its regions.
        can = replace(self.dialect.capabilities, create_if_absent_multipart=False)
        return replace(self.dialect, capabilities=can, checksums=False, location_constraint=False)
