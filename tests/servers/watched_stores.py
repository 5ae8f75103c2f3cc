"""Providers on a real server, with somebody on the line who sees what is asked for and can do harm; as fixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from ceph_rgw import CephRgw
from plain_client import make_bucket, plain_client
from stub_store import PassOn, Request, StubStore

from domain.storage import IStorageProvider
from infrastructure.storage.storage_factory import StorageProviderFactory

MIB = 1 << 20


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried at once."""
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda seconds: None))


@pytest.fixture
def line(ceph_rgw: CephRgw) -> Iterator[StubStore]:
    """The way to a real server, on which a test sees what is asked for, and can do harm."""
    with StubStore(PassOn(ceph_rgw.http_url)) as between:
        yield between


@pytest.fixture
def plain(ceph_rgw: CephRgw) -> Iterator[Any]:
    client = plain_client(ceph_rgw)
    yield client
    client.close()


@pytest.fixture
def made(ceph_rgw: CephRgw, line: StubStore) -> Iterator[Callable[..., IStorageProvider]]:
    """Makes providers of the real server, each on a new bucket."""
    providers = []

    def make(**settings: Any) -> IStorageProvider:
        known = {
            "provider_type": "s3",
            "endpoint_url": line.url,
            "access_key_id": ceph_rgw.access_key,
            "secret_access_key": ceph_rgw.secret_key,
            "quoted_etags": False,
            "max_attempts": 3,
            "multipart_chunksize": 5 * MIB,
        }
        if "bucket_name" not in settings:
            settings["bucket_name"] = make_bucket(ceph_rgw)
        providers.append(StorageProviderFactory.create(known | settings))
        return providers[-1]

    yield make
    for provider in providers:
        provider.disconnect()


@pytest.fixture
def origin(made: Callable[..., IStorageProvider]) -> IStorageProvider:
    return made()


@pytest.fixture
def store(made: Callable[..., IStorageProvider]) -> IStorageProvider:
    return made()


def bucket_of(provider: IStorageProvider) -> str:
    return str(provider.describe().bucket)


def everything(plain: Any, provider: IStorageProvider) -> list[str]:
    """All that is in the bucket, unfinished uploads too."""
    objects = plain.list_objects_v2(Bucket=bucket_of(provider)).get("Contents", [])
    uploads = plain.list_multipart_uploads(Bucket=bucket_of(provider)).get("Uploads", [])
    return [entry["Key"] for entry in objects] + [f"upload of {entry['Key']}" for entry in uploads]


def reads(line: StubStore) -> list[Request]:
    """The requests for the bytes of an object."""
    return [request for request in line.requests if request.method == "GET" and "list-type" not in request.query]


def copies(line: StubStore) -> list[Request]:
    return [request for request in line.requests if "x-amz-copy-source" in request.headers]


def writes(line: StubStore) -> list[Request]:
    """The requests that carry bytes of an object."""
    return [request for request in line.requests if request.method == "PUT" and request.body]
