"""The Spaces profile keeps the contract, on moto."""

from __future__ import annotations

import pytest
from bucket_harness import MOTO_GAPS, MOTO_PLAIN_LISTING_GAPS, MOTO_RACY_GAPS, BucketHarness, key_pair
from moto_server import MotoServer

from infrastructure.storage.contract import StorageProviderContract


class TestDigitalOceanProviderOnMoto(StorageProviderContract):
    """With an endpoint of its own instead of the vendor's."""

    @pytest.fixture
    def harness(self, moto_server: MotoServer) -> BucketHarness:
        settings = {"endpoint_url": moto_server.http_url, **key_pair(moto_server)}
        gaps = {**MOTO_GAPS, **MOTO_PLAIN_LISTING_GAPS}
        return BucketHarness(moto_server, "spaces", settings, known_gaps=gaps, racy_gaps=MOTO_RACY_GAPS)
