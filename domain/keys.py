"""What a key, a piece of user metadata and a content type may be: the same on every provider."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from domain.errors import InvalidRequest

MAX_KEY_BYTES = 1024
"""UTF-8 bytes; the S3 limit, which every provider shares."""

RESERVED_METADATA = {"sha256": 64, "write-id": 32}
"""Names under which Lading keeps its own facts beside the user's, and the length of their values."""

MAX_METADATA_BYTES = 2048 - sum(len(name) + size for name, size in RESERVED_METADATA.items())
"""Names and values together, values as `encoded_metadata_value` gives them: the 2 KiB that S3 has for user metadata, less
what Lading keeps there itself."""

# All of printable ASCII but the percent sign, which marks what is encoded.
_PLAIN_IN_A_HEADER = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
_OUTER_OR_REPEATED_SPACES = re.compile(r"^ +| +$|  +")

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_METADATA_NAME = re.compile(r"[a-z0-9-]+")
# RFC 9110 media type with optional parameters; anything else could smuggle a header or break a signature.
_CONTENT_TYPE = re.compile(
    r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?: *; *[\w!#$&^.+-]+=(?:[\w!#$&^.+:-]+|\"[ !#-\[\]-~]*\"))*", re.ASCII
)


def check_key(key: str, *, provider: str | None = None) -> str:
    """Return `key` if it can name an object: text of 1 to 1,024 UTF-8 bytes.

    Keys are opaque: `a//b`, `trail/` and `a/../b` are three good keys. Only a NUL character in one may be more than a
    store can keep, which it then says by `InvalidRequest`.

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
    """Return a copy of the user's metadata if every provider can keep it: names `[a-z0-9-]+`, any text, 1,938 bytes.

    A character outside of printable ASCII counts as the three bytes that stand for each of its own on the wire.

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
            size += len(name) + len(encoded_metadata_value(value))
        except UnicodeEncodeError:
            raise InvalidRequest(f"the metadata value of {name!r} is not valid UTF-8", provider=provider) from None
    if size > MAX_METADATA_BYTES:
        raise InvalidRequest(
            f"the metadata has {size:,} bytes; at most {MAX_METADATA_BYTES:,} are possible", provider=provider
        )
    return dict(metadata)


def encoded_metadata_value(value: str) -> str:
    """A metadata value as an HTTP header can carry it; `urllib.parse.unquote` gives it back.

    What is not printable ASCII is percent-encoded, and so are spaces where HTTP or a signature would drop them.
    """
    encoded = quote(value, safe=_PLAIN_IN_A_HEADER)
    return _OUTER_OR_REPEATED_SPACES.sub(lambda spaces: "%20" * len(spaces[0]), encoded)


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
