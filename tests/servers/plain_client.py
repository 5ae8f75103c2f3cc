"""A second way to the buckets of a test server: boto3 with nothing of ours, so that a test does not trust what it tests."""

from __future__ import annotations

import functools
import secrets
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from boto3.session import Session


class S3Server(Protocol):
    """What a client has to know of a server that runs."""

    http_url: str
    access_key: str
    secret_key: str


def plain_client(server: S3Server, **overrides: Any) -> Any:
    """A client of `server`: path style, no checksums beyond the required, one attempt, no proxy, nobody's settings.

    `overrides` are arguments of boto3's `client`, such as `endpoint_url` and `verify` for https.
    """
    from botocore.config import Config  # not at the top: tests without a server should not wait for it

    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"total_max_attempts": 1},
        proxies={},
    )
    settings: dict[str, Any] = {
        "endpoint_url": server.http_url,
        "aws_access_key_id": server.access_key,
        "aws_secret_access_key": server.secret_key,
        "region_name": "us-east-1",
        "config": config,
    }
    return _session().client("s3", **settings | overrides)


@functools.cache
def _session() -> Session:
    """It remembers what boto3 has read of S3, which takes most of the time of making a client."""
    from boto3.session import Session

    return Session()


def make_bucket(server: S3Server, *, versioned: bool = False) -> str:
    """The name of a new bucket. It is not removed: it goes with the server."""
    name = f"t-{secrets.token_hex(8)}"
    client = plain_client(server)
    try:
        client.create_bucket(Bucket=name)
        if versioned:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    finally:
        client.close()
    return name
