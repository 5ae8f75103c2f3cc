"""The B2 profile keeps the contract, on moto."""

from __future__ import annotations

import pytest
from bucket_harness import MOTO_GAPS, MOTO_RACY_GAPS, BucketHarness
from moto_server import MotoServer

from infrastructure.storage.contract import StorageProviderContract


class TestBackblazeProviderOnMoto(StorageProviderContract):
    """With the names that Backblaze gives the two halves of a key."""

    @pytest.fixture
    def harness(self, moto_server: MotoServer) -> BucketHarness:
        settings = {
            "endpoint_url": moto_server.http_url,
            "key_id": moto_server.access_key,
            "application_key": moto_server.secret_key,
        }
        return BucketHarness(moto_server, "b2", settings, known_gaps=MOTO_GAPS, racy_gaps=MOTO_RACY_GAPS)
