"""The contract's second door to an S3-compatible server: boto3 with nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plain_client import S3Server, make_bucket, plain_client

from domain.storage import IStorageProvider
from infrastructure.storage.contract import Harness
from infrastructure.storage.storage_factory import StorageProviderFactory

MOTO_GAPS: Mapping[str, str] = {}


class BucketHarness(Harness):
    """Gives each test a bucket of its own on a server that is up."""

    def __init__(
        self,
        server: S3Server,
        provider_type: str,
        settings: Mapping[str, Any],
        *,
        versioned: bool = False,
        known_gaps: Mapping[str, str] | None = None,
    ) -> None:
        self._server = server
        self._client = plain_client(server)
        self._settings = {"provider_type": provider_type, **settings}
        self._versioned = versioned
        self.known_gaps = known_gaps or {}
        self.secrets = (server.secret_key,)

    def provider(self) -> IStorageProvider:
        bucket = make_bucket(self._server, versioned=self._versioned)
        return StorageProviderFactory.create({**self._settings, "bucket_name": bucket})

    def peek(self, provider: IStorageProvider, key: str) -> bytes | None:
        try:
            return self._client.get_object(Bucket=_bucket(provider), Key=key)["Body"].read()
        except self._client.exceptions.NoSuchKey:
            return None

    def corrupt(self, provider: IStorageProvider, key: str) -> None:
        found = self._client.get_object(Bucket=_bucket(provider), Key=key)
        data = found["Body"].read()
        self._client.put_object(
            Bucket=_bucket(provider),
            Key=key,
            Body=bytes([data[0] ^ 0xFF]) + data[1:],
            ContentType=found["ContentType"],
            Metadata=found["Metadata"],
        )

    def put_behind(self, provider: IStorageProvider, key: str, data: bytes) -> bool:
        self._client.put_object(Bucket=_bucket(provider), Key=key, Body=data)
        return True

    def close(self) -> None:
        """Close the second door."""
        self._client.close()


def _bucket(provider: IStorageProvider) -> str:
    bucket = provider.describe().bucket
    assert bucket is not None
    return bucket


def key_pair(server: S3Server) -> dict[str, str]:
    """The credentials of a server as most providers' settings name them."""
    return {"access_key_id": server.access_key, "secret_access_key": server.secret_key}
