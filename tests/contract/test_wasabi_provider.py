"""The Wasabi profile keeps the contract, on moto."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bucket_harness import MOTO_GAPS, BucketHarness, key_pair
from moto_server import MotoServer

from infrastructure.storage.contract import StorageProviderContract


class TestWasabiProvider(StorageProviderContract):
    """With an endpoint of its own instead of the vendor's."""

    @pytest.fixture
    def harness(self, moto_server: MotoServer) -> Iterator[BucketHarness]:
        settings = {"endpoint_url": moto_server.http_url, **key_pair(moto_server)}
        harness = BucketHarness(moto_server, "wasabi", settings, known_gaps=MOTO_GAPS)
        yield harness
        harness.close()
