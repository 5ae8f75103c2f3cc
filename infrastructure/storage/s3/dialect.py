"""In what the S3-compatible stores differ, and where one of them is: all that the engine has to know of a vendor."""

from __future__ import annotations

from dataclasses import dataclass, field

from domain.keys import shortened
from domain.storage import Capabilities
from infrastructure.storage.s3.credentials import Credentials, of_one_account

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Dialect:
    """A vendor's deviations from AWS.

    Attributes:
        capabilities: what a bucket there can do, as far as the vendor's documents say; settings override it.
        quoted_etags: `If-Match` of a write carries the ETag in quotes, as HTTP has it; some stores compare without.
        url_encoded_listing: `encoding-type=url` works; without it keys that XML can't hold make a listing fail.
        checksums: the store takes the checksums that newer AWS clients send unasked; others reject such requests.
        location_constraint: a bucket outside of the default region is created with its region's name.
        max_put_bytes: the largest object that one request may carry.
    """

    capabilities: Capabilities
    quoted_etags: bool = True
    url_encoded_listing: bool = True
    checksums: bool = False
    location_constraint: bool = False
    max_put_bytes: int = 5 * GIB


@dataclass(frozen=True, slots=True)
class Target:
    """One bucket and the way to it. Made by a provider from its settings.

    Attributes:
        endpoint_url: scheme, host and port; no bucket in it, no final slash.
        public_endpoint_url: what presigned URLs carry instead, or None.
        path_style: the bucket goes into the path and not into the host's name.
        credential_names: the settings that hold the credentials, for messages.
        ca_bundle: path of a PEM file to trust instead of the system's certificates, or None.
        proxy_url: the proxy of all requests; None leaves it to the machine's `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`.
        connect_timeout, read_timeout: seconds; the latter between two pieces of an answer, not for the whole of it.
        connections: how many are kept open.
        attempts: how often a request is sent before its failure is told.
        multipart_threshold, part_bytes: bytes.
        concurrency: requests under way at most.
        bandwidth: bytes a second, in each direction, or None.
        requests_per_second: or None.
        memory: bytes of objects that are held at a time.
    """

    provider: str
    bucket: str
    endpoint_url: str
    region: str
    credentials: Credentials
    credential_names: str
    dialect: Dialect
    capabilities: Capabilities
    path_style: bool = True
    public_endpoint_url: str | None = None
    ca_bundle: str | None = None
    proxy_url: str | None = field(default=None, repr=False)
    connect_timeout: float = 5.0
    read_timeout: float = 60.0
    connections: int = 32
    attempts: int = 5
    multipart_threshold: int = 64 * MIB
    part_bytes: int = 16 * MIB
    concurrency: int = 64
    bandwidth: int | None = None
    requests_per_second: float | None = None
    memory: int = 256 * MIB

    @property
    def secure(self) -> bool:
        """Whether requests are encrypted."""
        return self.endpoint_url.startswith("https:")

    def is_store_of(self, other: Target) -> bool:
        """Whether the other bucket is of the same store, and one that these credentials are known to reach.

        Raises:
            AccessDenied: there are no credentials.
        """
        return self.endpoint_url == other.endpoint_url and of_one_account(self.credentials, other.credentials)

    def bucket_address(self, endpoint_url: str) -> str:
        """The endpoint, with the bucket in its host's name where it does not go into the path."""
        if self.path_style:
            return endpoint_url
        scheme, _, host = endpoint_url.partition("://")
        return f"{scheme}://{self.bucket}.{host}"

    def place(self, key: str | None = None) -> str:
        """Where a request goes, for a message."""
        return f"{shortened(key)!r} in bucket {self.bucket!r}" if key else f"bucket {self.bucket!r}"

    def part_size(self, size: int) -> int:
        """Bytes of each part but the last of an upload of `size` bytes: all equal, and no more than 10,000 of them."""
        least = -(-size // 10_000)
        return max(self.part_bytes, -(-least // MIB) * MIB)
