"""The Wasabi profile keeps the contract, on moto."""

from __future__ import annotations

import pytest
from bucket_harness import MOTO_GAPS, MOTO_RACY_GAPS, BucketHarness, key_pair
from moto_server import MotoServer

from infrastructure.storage.contract import StorageProviderContract


class TestWasabiProviderOnMoto(StorageProviderContract):
    """With an endpoint of its own instead of the vendor's."""

    @pytest.fixture
    def harness(self, moto_server: MotoServer) -> BucketHarness:
        settings = {"endpoint_url": moto_server.http_url, **key_pair(moto_server)}
        return BucketHarness(moto_server, "wasabi", settings, known_gaps=MOTO_GAPS, racy_gaps=MOTO_RACY_GAPS)
