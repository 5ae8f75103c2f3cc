"""The S3 engine keeps the contract on a real server: plain and TLS, unversioned and versioned; and on two others.

What is marked runs at night: the MinIO profile is on the same server without TLS, the vendors' profiles are on moto.
"""

from __future__ import annotations

import pytest
from bucket_harness import (
    CEPH_VERSIONED_RACY_GAPS,
    MOTO_GAPS,
    MOTO_RACY_GAPS,
    RCLONE_GAPS,
    RCLONE_RACY_GAPS,
    BucketHarness,
    key_pair,
)
from ceph_rgw import CephRgw
from moto_server import MotoServer
from rclone_server import RcloneS3

from infrastructure.storage.contract import StorageProviderContract

_CEPH = {"region": "us-east-1", "quoted_etags": False, "capabilities": {"create_if_absent_multipart": False}}


@pytest.mark.nightly
class TestS3ProviderOnCeph(StorageProviderContract):
    """Plain http; conditions hold where ETags are sent as this server compares them."""

    @pytest.fixture
    def harness(self, ceph_rgw: CephRgw) -> BucketHarness:
        settings = {"endpoint_url": ceph_rgw.http_url, **key_pair(ceph_rgw), **_CEPH}
        return BucketHarness(ceph_rgw, "s3", settings)


class TestS3ProviderOnCephByTls(StorageProviderContract):
    """TLS with a CA of its own: payloads are not hashed for the signature."""

    @pytest.fixture
    def harness(self, ceph_rgw: CephRgw) -> BucketHarness:
        settings = {
            "endpoint_url": ceph_rgw.https_url,
            "ca_bundle": str(ceph_rgw.ca_bundle),
            **key_pair(ceph_rgw),
            **_CEPH,
        }
        return BucketHarness(ceph_rgw, "s3", settings)


class TestS3ProviderOnCephVersioned(StorageProviderContract):
    """A versioned bucket there lets every writer win, so the capability is off, and the contract asks for a refusal."""

    @pytest.fixture
    def harness(self, ceph_rgw: CephRgw) -> BucketHarness:
        capabilities = {"create_if_absent": False, "create_if_absent_multipart": False, "replace_if_unchanged": False}
        settings = {"endpoint_url": ceph_rgw.http_url, **key_pair(ceph_rgw), "capabilities": capabilities}
        return BucketHarness(ceph_rgw, "s3", settings, versioned=True, racy_gaps=CEPH_VERSIONED_RACY_GAPS)


@pytest.mark.nightly
class TestS3ProviderOnMoto(StorageProviderContract):
    """The profile of AWS itself, on moto."""

    @pytest.fixture
    def harness(self, moto_server: MotoServer) -> BucketHarness:
        settings = {"endpoint_url": moto_server.http_url, **key_pair(moto_server)}
        return BucketHarness(moto_server, "s3", settings, known_gaps=MOTO_GAPS, racy_gaps=MOTO_RACY_GAPS)


@pytest.mark.nightly
class TestS3ProviderOnRclone(StorageProviderContract):
    """A second real server, over a folder: its keys are paths."""

    @pytest.fixture
    def harness(self, rclone_s3: RcloneS3) -> BucketHarness:
        capabilities = {"create_if_absent": False, "create_if_absent_multipart": False, "replace_if_unchanged": False}
        settings = {
            "endpoint_url": rclone_s3.http_url,
            **key_pair(rclone_s3),
            "capabilities": capabilities,
            "max_attempts": 1,
        }
        return BucketHarness(rclone_s3, "s3", settings, known_gaps=RCLONE_GAPS, racy_gaps=RCLONE_RACY_GAPS)
