"""The test servers as fixtures: each boots when a test first asks for it, once in every process that runs tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from ceph_rgw import CephRgw
from moto_server import MotoServer
from plain_client import make_bucket
from rclone_server import RcloneS3


@pytest.fixture(scope="session")
def ceph_rgw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CephRgw]:
    """A real Ceph gateway, with http and https."""
    _skip_without(CephRgw.missing())
    with CephRgw(tmp_path_factory.mktemp("ceph-rgw")) as server:
        yield server


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoServer]:
    """Moto's imitation of S3. Don't `reset` it: other tests have buckets there."""
    _skip_without(MotoServer.missing())
    with MotoServer(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def rclone_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RcloneS3]:
    """rclone's S3 server over a folder."""
    _skip_without(RcloneS3.missing())
    with RcloneS3(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture
def new_bucket() -> Callable[..., str]:
    """`new_bucket(server, versioned=False)` makes a bucket there that nobody else uses; its name."""
    pytest.importorskip("boto3")
    return make_bucket


def _skip_without(missing: str) -> None:
    if missing:
        pytest.skip(missing)
