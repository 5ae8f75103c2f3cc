"""What is kept beside an object's bytes: its media type, its SHA-256 and the user's metadata, as headers and back."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from domain.keys import encoded_metadata_value
from domain.storage import ObjectInfo

META = "x-amz-meta-"
WRITE_ID = "write-id"
_SHA256 = "sha256"
_SHA256_DIGITS = re.compile("[0-9a-f]{64}")
_DEFAULT_TYPE = "application/octet-stream"


class Attributes(NamedTuple):
    """What a write sends along with the bytes.

    Attributes:
        metadata: the user's own, as given.
        sha256: hex digits; empty where it is not known.
        write_id: 32 hex digits by which a conditional write knows its own object again, or empty.
    """

    content_type: str
    metadata: Mapping[str, str]
    sha256: str
    write_id: str = ""

    def marked(self) -> Attributes:
        """The same with a new `write_id`."""
        return self._replace(write_id=uuid.uuid4().hex)

    def encoded(self) -> dict[str, str]:
        """The metadata as it goes over the wire, without the header's prefix."""
        encoded = {name: encoded_metadata_value(value) for name, value in self.metadata.items()}
        if self.sha256:
            encoded[_SHA256] = self.sha256
        if self.write_id:
            encoded[WRITE_ID] = self.write_id
        return encoded

    def headers(self) -> dict[str, str]:
        """All as HTTP headers."""
        return {"content-type": self.content_type} | {META + name: value for name, value in self.encoded().items()}


def info_of_write(key: str, size: int, etag: str, attributes: Attributes) -> ObjectInfo:
    """The object as it was just written. The time is this machine's: a store's answer to a write has none."""
    return ObjectInfo(
        key,
        size,
        plain_etag(etag),
        datetime.now(UTC),
        attributes.content_type,
        attributes.sha256 or None,
        dict(attributes.metadata),
    )


def info_of(
    key: str, size: int, etag: str, modified: datetime, content_type: str | None, metadata: Mapping[str, str]
) -> ObjectInfo:
    """The object as a store tells of it; `metadata` as it came over the wire, without the header's prefix."""
    own = {name: unquote(value) for name, value in metadata.items()}
    own.pop(WRITE_ID, None)
    sha256 = own.pop(_SHA256, "").lower()
    known = sha256 if _SHA256_DIGITS.fullmatch(sha256) else None
    return ObjectInfo(key, size, plain_etag(etag), modified, content_type or _DEFAULT_TYPE, known, own)


def info_of_headers(key: str, headers: Mapping[str, str]) -> ObjectInfo:
    """The object as the headers of a HEAD or GET tell of it; of a range they tell the size of the whole.

    Args:
        headers: names in small letters.

    Raises:
        ValueError: a date or a length is none.
    """
    whole = headers.get("content-range", "").rpartition("/")[2]
    size = int(whole) if whole.isdigit() else int(headers.get("content-length") or 0)
    metadata = {name[len(META) :]: value for name, value in headers.items() if name.startswith(META)}
    modified = headers.get("last-modified")
    when = _time_of(modified) if modified else datetime.now(UTC)
    return info_of(key, size, headers.get("etag", ""), when, headers.get("content-type"), metadata)


@lru_cache  # objects that were stored together have it in common, and reading it takes longer than all the rest
def _time_of(header: str) -> datetime:
    when = parsedate_to_datetime(header)
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when


def plain_etag(etag: str | None) -> str:
    """An ETag without the quotes that HTTP wraps around it."""
    return (etag or "").strip('"')


def written_etag(etag: str, *, quoted: bool) -> str:
    """An ETag as the `If-Match` of a write has it: in quotes, but for stores that compare it without."""
    return f'"{etag}"' if quoted else etag
