"""What a key, a piece of user metadata and a content type may be: the same on every provider."""

from __future__ import annotations

import re
from collections.abc import Mapping

from domain.errors import InvalidRequest

MAX_KEY_BYTES = 1024
"""UTF-8 bytes; the S3 limit, which every provider shares."""

MAX_METADATA_BYTES = 2048
"""UTF-8 bytes of names and values together; the S3 limit for user metadata."""

RESERVED_METADATA = frozenset({"sha256"})
"""Names under which Lading keeps its own facts beside the user's."""

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_METADATA_NAME = re.compile(r"[a-z0-9-]+")
# RFC 9110 media type with optional parameters; anything else could smuggle a header or break a signature.
_CONTENT_TYPE = re.compile(
    r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?: *; *[\w!#$&^.+-]+=(?:[\w!#$&^.+:-]+|\"[ !#-\[\]-~]*\"))*", re.ASCII
)


def check_key(key: str, *, provider: str | None = None) -> str:
    """Return `key` if it can name an object: text of 1 to 1,024 UTF-8 bytes.

    Keys are opaque: `a//b`, `trail/` and `a/../b` are three good keys.

    Raises:
        InvalidRequest: empty, too long, or not encodable as UTF-8.
    """
    if not isinstance(key, str):
        raise InvalidRequest(f"a key is text, not {type(key).__name__}", provider=provider)
    if not key:
        raise InvalidRequest("the key is empty; name an object", provider=provider)
    if not key.isascii() or len(key) > MAX_KEY_BYTES:
        try:
            length = len(key.encode())
        except UnicodeEncodeError:
            raise InvalidRequest(f"the key {key!r} is not valid UTF-8; rename it", provider=provider) from None
        if length > MAX_KEY_BYTES:
            raise InvalidRequest(
                f"the key {shortened(key)!r} has {length:,} bytes; at most {MAX_KEY_BYTES:,} are possible",
                provider=provider,
                key=key,
            )
    return key


def check_prefix(prefix: str, *, provider: str | None = None) -> str:
    """Return `prefix` if a key can start with it, or be compared with it: any text that is UTF-8, also none.

    Raises:
        InvalidRequest: it is not text, or not UTF-8.
    """
    if not isinstance(prefix, str):
        raise InvalidRequest(f"a prefix is text, not {type(prefix).__name__}", provider=provider)
    try:
        prefix.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"the prefix {prefix!r} is not valid UTF-8", provider=provider) from None
    return prefix


def check_bucket_name(name: str, *, provider: str | None = None) -> str:
    """Return `name` if it can be a bucket's on every provider: 3 to 63 of a-z, 0-9, '.' and '-'.

    Raises:
        InvalidRequest: it can't.
    """
    if not isinstance(name, str) or not _BUCKET.fullmatch(name) or ".." in name:
        raise InvalidRequest(
            f"{shortened(str(name))!r} is no bucket name: 3 to 63 of a-z, 0-9, '.' and '-', a letter or digit at both ends",
            provider=provider,
        )
    return name


def check_metadata(metadata: Mapping[str, str] | None, *, provider: str | None = None) -> dict[str, str]:
    """Return a copy of the user's metadata if every provider can keep it: names `[a-z0-9-]+`, values any text, 2 KiB in all.

    Raises:
        InvalidRequest: a name out of that alphabet or reserved, a value that is not text, too much in all.
    """
    if not metadata:
        return {}
    if not isinstance(metadata, Mapping):
        raise InvalidRequest(
            f"metadata is a mapping of names to text, not {type(metadata).__name__}", provider=provider
        )
    size = 0
    for name, value in metadata.items():
        if not isinstance(name, str) or not _METADATA_NAME.fullmatch(name):
            raise InvalidRequest(f"the metadata name {name!r} may hold a-z, 0-9 and '-' only", provider=provider)
        if name in RESERVED_METADATA:
            raise InvalidRequest(f"the metadata name {name!r} is kept for Lading's own use", provider=provider)
        if not isinstance(value, str):
            raise InvalidRequest(
                f"the metadata value of {name!r} is {type(value).__name__}, not text", provider=provider
            )
        try:
            size += len(name) + len(value.encode())
        except UnicodeEncodeError:
            raise InvalidRequest(f"the metadata value of {name!r} is not valid UTF-8", provider=provider) from None
    if size > MAX_METADATA_BYTES:
        raise InvalidRequest(
            f"the metadata has {size:,} bytes; at most {MAX_METADATA_BYTES:,} are possible", provider=provider
        )
    return dict(metadata)


def check_content_type(content_type: str, *, provider: str | None = None) -> str:
    """Return `content_type` if it is a media type such as `image/fits` or `text/csv; charset=utf-8`.

    Raises:
        InvalidRequest: it is not.
    """
    if not isinstance(content_type, str) or not _CONTENT_TYPE.fullmatch(content_type):
        raise InvalidRequest(f"{content_type!r} is no content type; write for example 'text/csv'", provider=provider)
    return content_type


def shortened(text: str, limit: int = 60) -> str:
    """`text` for a message: the middle of a long one is left out."""
    return text if len(text) <= limit else f"{text[: limit // 2]}…{text[-(limit // 2) :]}"
