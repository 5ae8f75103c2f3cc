"""The addresses in settings: of stores and of proxies."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import SplitResult, urlsplit

_VENDORS = (
    "amazonaws.com", "amazonaws.com.cn", "cloudflarestorage.com", "wasabisys.com", "backblazeb2.com", "digitaloceanspaces.com",
)  # fmt: skip


_HOST = re.compile(r"[A-Za-z0-9.:_-]+")


def checked_endpoint(given: str) -> str:
    """A store's address as scheme, host and port, in small letters.

    Raises:
        ValueError: there is more in it, or less.
    """
    address = _without_slash(given)
    parts = _split(address)
    if "@" in parts.netloc:
        raise ValueError("there are credentials in it; give them as settings of their own")
    if parts.path or set("?#") & set(address):
        raise ValueError("there is more than a host and a port in it; the bucket is a setting of its own")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def with_scheme(settings: Any, scheme: str) -> Any:
    """Raw settings whose `endpoint_url` is `host:port` or a host, with the scheme in front of it; others as they are."""
    endpoint = settings.get("endpoint_url") if isinstance(settings, dict) else None
    if not isinstance(endpoint, str) or "://" in endpoint or not endpoint:
        return settings
    return {**settings, "endpoint_url": f"{scheme}://{endpoint}"}


def checked_proxy(given: str) -> str:
    """A proxy's address as scheme, host and port, perhaps with a name and a password.

    Raises:
        ValueError: it is none.
    """
    address = _without_slash(given)
    parts = _split(address)
    if parts.path or set("?#") & set(address):
        raise ValueError("there is more than a host and a port in it")
    return address


def bucket_in_host(endpoint_url: str, bucket: str) -> bool:
    """Whether the endpoint is a vendor's address of one bucket, and not of the store."""
    host = urlsplit(endpoint_url).hostname or ""
    return host.startswith(f"{bucket}.") and host.endswith(tuple(f".{vendor}" for vendor in _VENDORS))


def _without_slash(given: str) -> str:
    address = given.strip()
    return address if address.endswith("://") else address.removesuffix("/")


def _split(address: str) -> SplitResult:
    scheme, found, _ = address.partition("://")
    if not found:
        raise ValueError("it has no scheme; write https:// (or http://) in front of the host")
    if scheme.lower() not in {"http", "https"}:
        raise ValueError(f"its scheme is {scheme!r}; http or https is possible")
    parts = urlsplit(address)
    if not address.isprintable() or " " in address or not parts.hostname or not _HOST.fullmatch(parts.hostname):
        raise ValueError("it has no host; write for example https://s3.example.org")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("its port is no number from 0 to 65535") from None
    return parts
