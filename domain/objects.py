"""The values that the storage port speaks: what a store says of an object, and what a caller asks of a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import NamedTuple

from domain.errors import ConfigurationError, InvalidRequest

Progress = Callable[[int], None]
"""Called with the number of bytes moved since the last call, from whichever thread moved them."""


class ObjectInfo(NamedTuple):
    """What a store says of one object.

    Attributes:
        key: the name, exactly as it was given.
        size: bytes.
        etag: opaque; another one whenever the content changes (of the same content written again it may be the same).
            Compare it for equality and nothing else.
        last_modified: time of the write, timezone-aware UTC.
        content_type: media type; None in a listing.
        sha256: 64 lower-case hex digits; None where unknown, as in a listing or for an object that others put there.
        metadata: the user's own; None in a listing.
    """

    key: str
    size: int
    etag: str
    last_modified: datetime
    content_type: str | None = None
    sha256: str | None = None
    metadata: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes from `start` up to, not including, `stop`; to the end where `stop` is None.

    Raises:
        InvalidRequest: negative start, or nothing between start and stop.
    """

    start: int
    stop: int | None = None

    def __post_init__(self) -> None:
        if self.start < 0 or (self.stop is not None and self.stop <= self.start):
            raise InvalidRequest(
                f"a byte range from {self.start} to {self.stop} holds nothing; start >= 0 and stop > start"
            )


@dataclass(frozen=True, slots=True)
class WriteCondition:
    """What must be true at the moment a write is published. Made by `absent()` or `unchanged(etag)`."""

    if_match: str | None
    """The ETag the object must still have; None: there must be no object."""

    @classmethod
    def absent(cls) -> WriteCondition:
        """Create only: no object has this key (capability `create_if_absent`)."""
        return cls(None)

    @classmethod
    def unchanged(cls, etag: str) -> WriteCondition:
        """Replace only: the object is there and its ETag is `etag` (capability `replace_if_unchanged`)."""
        return cls(etag)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this bucket can do beyond the port's floor.

    They are declared, never emulated, and enforced: where one is False the call that needs it raises
    `UnsupportedOperation` and does nothing. The default is a store that can do none of them.
    """

    create_if_absent: bool = False
    """`WriteCondition.absent()` holds between any number of writers."""
    create_if_absent_multipart: bool = False
    """The same for objects of any size, not only those sent in one request."""
    replace_if_unchanged: bool = False
    """`WriteCondition.unchanged(etag)` holds between any number of writers."""
    presign: bool = False
    """`presign` makes a URL that any HTTP client can use."""
    versioning: bool = False
    """The bucket can keep what was overwritten or deleted."""
    buckets: bool = False
    """`for_bucket` reaches other buckets of the same store."""
    fork_safe: bool = False
    """The provider can be used in a forked child: it has no connections, and its objects are not in this process."""
    remote: bool = False
    """Calls wait for a network: several at a time end sooner than one after the other."""

    def overridden(self, settings: Mapping[str, bool], *, provider: str | None = None) -> Capabilities:
        """These capabilities with the given ones set otherwise.

        Raises:
            ConfigurationError: a name that is no capability.
        """
        known = [field.name for field in fields(self)]
        for name in settings:
            if name not in known:
                raise ConfigurationError(
                    f"{name!r} in capabilities (STORAGE_CAPABILITIES) is none; known are {', '.join(known)}",
                    provider=provider,
                )
        return replace(self, **settings)


class UnfinishedUpload(NamedTuple):
    """An upload in parts that was begun, and neither completed nor aborted. No reader sees it; its parts take up room.

    Attributes:
        upload_id: the store's name for it; one key can have several.
        started: when, timezone-aware; None where the store does not say.
    """

    key: str
    upload_id: str
    started: datetime | None


@dataclass(frozen=True, slots=True)
class StorageLocation:
    """Where a provider's objects are, without secrets: enough to point another program at them.

    Attributes:
        provider: the provider's name.
        bucket: the bucket's name; None for a store without buckets or for local disk's own folder.
        url: `s3://bucket`, `file:///folder`, `memory:`; what a person is shown.
        endpoint_url: the address of the service, or None.
        region: the region, or None.
    """

    provider: str
    bucket: str | None
    url: str
    endpoint_url: str | None = None
    region: str | None = None
