"""What the settings of all S3-compatible providers have in common."""

from __future__ import annotations

import os
from typing import Any, ClassVar, Self

from pydantic import ByteSize, Field, SecretStr, field_validator, model_validator

from domain.keys import check_bucket_name
from infrastructure.storage.provider_settings import EnvironmentNames, ProviderSettings
from infrastructure.storage.s3.addresses import bucket_in_host, checked_endpoint, checked_proxy
from infrastructure.storage.s3.concurrency import MOST as MOST_AT_ONCE
from infrastructure.storage.s3.credentials import Credentials, GivenCredentials, KeyPair
from infrastructure.storage.s3.dialect import GIB, MIB

SHARED_ENVIRONMENT: EnvironmentNames = {
    "capabilities": ("STORAGE_CAPABILITIES",),
    "public_endpoint_url": ("STORAGE_PUBLIC_ENDPOINT_URL",),
    "ca_bundle": ("STORAGE_CA_BUNDLE",),
    "proxy_url": ("STORAGE_PROXY_URL",),
    "connect_timeout": ("STORAGE_CONNECT_TIMEOUT",),
    "read_timeout": ("STORAGE_READ_TIMEOUT",),
    "max_attempts": ("STORAGE_MAX_ATTEMPTS",),
    "max_pool_connections": ("STORAGE_MAX_POOL_CONNECTIONS",),
    "multipart_threshold": ("STORAGE_MULTIPART_THRESHOLD",),
    "multipart_chunksize": ("STORAGE_MULTIPART_CHUNKSIZE",),
    "create_buckets": ("STORAGE_CREATE_BUCKETS",),
    "concurrency": ("STORAGE_CONCURRENCY",),
    "bandwidth": ("STORAGE_BANDWIDTH",),
    "requests_per_second": ("STORAGE_REQUESTS_PER_SECOND",),
    "memory": ("STORAGE_MEMORY",),
}
"""The variables that every S3-compatible provider reads; a vendor's own names come beside them."""


class S3Settings(ProviderSettings):
    """The settings of every S3-compatible provider. Sizes are in bytes, times in seconds."""

    bucket_name: str
    access_key_id: SecretStr | None = None
    secret_access_key: SecretStr | None = None
    session_token: SecretStr | None = None
    region: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{1,64}$")
    endpoint_url: str | None = None
    public_endpoint_url: str | None = None
    """The address under which presigned URLs reach the store, where it is another one for those who use them."""
    ca_bundle: str | None = None
    """A PEM file with the certificates to trust."""
    proxy_url: SecretStr | None = None
    """Instead of the machine's own `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, which hold otherwise."""
    connect_timeout: float = Field(default=5.0, gt=0, le=86_400)
    read_timeout: float = Field(default=60.0, gt=0, le=86_400)
    """Of each wait for the store; a transfer as a whole takes as long as it takes."""
    max_attempts: int = Field(default=5, ge=1, le=100)
    max_pool_connections: int = Field(default=32, ge=1)
    multipart_threshold: int = Field(default=64 * MIB, ge=5 * MIB, le=5 * GIB)
    multipart_chunksize: int = Field(default=16 * MIB, ge=5 * MIB, le=5 * GIB)
    create_buckets: bool = False
    """Make the bucket where it is missing."""
    concurrency: int = Field(default=64, ge=1, le=MOST_AT_ONCE)
    """Requests under way at most; how many of them help is found out."""
    bandwidth: ByteSize | None = Field(default=None, ge=1000)
    """Bytes a second, sent and received each: a number, or one such as `500K`, `10MB` or `1GiB`."""
    requests_per_second: float | None = Field(default=None, gt=0, le=1_000_000)
    memory: ByteSize = Field(default=ByteSize(256 * MIB), ge=MIB)
    """Bytes of objects that are held at a time; written as `bandwidth`."""
    quoted_etags: bool | None = None
    """Whether this store compares the ETag of a conditional write with its quotes; by default the vendor's way."""

    credential_fields: ClassVar[tuple[str, str]] = ("access_key_id", "secret_access_key")
    """Under which names the two halves of the credential are given."""

    @field_validator("bucket_name")
    @classmethod
    def _check_bucket_name(cls, name: str) -> str:
        from domain.errors import InvalidRequest

        try:
            return check_bucket_name(name)
        except InvalidRequest as error:
            raise ValueError(error.message) from None

    @field_validator("endpoint_url", "public_endpoint_url")
    @classmethod
    def _check_endpoint(cls, given: str | None) -> str | None:
        return None if given is None else checked_endpoint(given)

    @field_validator("proxy_url")
    @classmethod
    def _check_proxy(cls, given: SecretStr | None) -> SecretStr | None:
        return None if given is None else SecretStr(checked_proxy(given.get_secret_value()))

    @field_validator("ca_bundle")
    @classmethod
    def _check_ca_bundle(cls, path: str | None) -> str | None:
        if path is None:
            return None
        import ssl

        path = os.path.expanduser(path)
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except FileNotFoundError:
            raise ValueError(f"there is no file {path!r}; name a PEM file with the certificates to trust") from None
        except (ssl.SSLError, OSError, ValueError):
            raise ValueError(f"no certificate can be read from {path!r}; name a PEM file with those to trust") from None
        return path

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        one, other = self.credential_fields
        if (self.first_half is None) != (self.second_half is None):
            given, missing = (one, other) if self.first_half else (other, one)
            raise ValueError(f"half a credential: {given} without {missing}; give both or neither")
        if self.session_token and not self.first_half:
            raise ValueError(f"session_token without {one} and {other}; give all three")
        if self.endpoint_url and bucket_in_host(self.endpoint_url, self.bucket_name):
            raise ValueError(f"endpoint_url begins with the bucket's name; write it without {self.bucket_name + '.'!r}")
        return self

    @property
    def first_half(self) -> SecretStr | None:
        """The first half of the credential, whatever the vendor calls it."""
        found: SecretStr | None = getattr(self, self.credential_fields[0])
        return found

    @property
    def second_half(self) -> SecretStr | None:
        """The other half."""
        found: SecretStr | None = getattr(self, self.credential_fields[1])
        return found

    def credentials(self, provider: str, names: str) -> Credentials:
        """Who asks.

        Args:
            names: the settings that hold the credentials, for the message.

        Raises:
            ConfigurationError: no credential is given.
        """
        from domain.errors import ConfigurationError

        if self.first_half is None or self.second_half is None:
            raise ConfigurationError(f"there are no credentials; set {names}", provider=provider)
        token = self.session_token.get_secret_value() if self.session_token else None
        return GivenCredentials(KeyPair(self.first_half.get_secret_value(), self.second_half.get_secret_value(), token))

    def secrets(self) -> dict[str, Any]:
        """The settings as a dict from which they can be made again, with the secrets in clear."""
        dumped = self.model_dump(exclude_unset=True)
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in dumped.items()
        }
