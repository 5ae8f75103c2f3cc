"""The MinIO profile keeps the contract on a real server, without TLS."""

from __future__ import annotations

import pytest
from bucket_harness import BucketHarness, key_pair
from ceph_rgw import CephRgw

from infrastructure.storage.contract import StorageProviderContract


class TestMinIOProviderOnCeph(StorageProviderContract):
    """Its endpoint as `host:port`; conditions hold where ETags are sent as this server compares them."""

    @pytest.fixture
    def harness(self, ceph_rgw: CephRgw) -> BucketHarness:
        settings = {
            "endpoint_url": ceph_rgw.http_url.removeprefix("http://"),
            **key_pair(ceph_rgw),
            "quoted_etags": False,
            "capabilities": {"create_if_absent_multipart": False},
        }
        return BucketHarness(ceph_rgw, "minio", settings)
