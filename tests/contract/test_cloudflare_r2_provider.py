"""The R2 profile keeps the contract, on moto."""

from __future__ import annotations

import pytest
from bucket_harness import MOTO_GAPS, MOTO_RACY_GAPS, BucketHarness, key_pair
from moto_server import MotoServer

from infrastructure.storage.contract import StorageProviderContract


class TestCloudflareR2ProviderOnMoto(StorageProviderContract):
    """With an endpoint of its own instead of the vendor's."""

    @pytest.fixture
    def harness(self, moto_server: MotoServer) -> BucketHarness:
        # R2's own region is `auto`; moto, like AWS, makes no bucket in a region that the request does not name.
        settings = {"endpoint_url": moto_server.http_url, "region": "us-east-1", **key_pair(moto_server)}
        return BucketHarness(moto_server, "r2", settings, known_gaps=MOTO_GAPS, racy_gaps=MOTO_RACY_GAPS)
