"""The MinIO profile keeps the contract, on moto."""

from __future__ import annotations

import pytest
from bucket_harness import MOTO_GAPS, MOTO_RACY_GAPS, BucketHarness, key_pair
from moto_server import MotoServer

from infrastructure.storage.contract import StorageProviderContract


class TestMinIOProviderOnMoto(StorageProviderContract):
    """Its endpoint as `host:port`."""

    @pytest.fixture
    def harness(self, moto_server: MotoServer) -> BucketHarness:
        endpoint = moto_server.http_url.removeprefix("http://")
        settings = {"endpoint_url": endpoint, **key_pair(moto_server)}
        return BucketHarness(moto_server, "minio", settings, known_gaps=MOTO_GAPS, racy_gaps=MOTO_RACY_GAPS)
