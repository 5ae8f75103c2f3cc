"""The connections to one store: libcurl, which sends each request as it is given, whatever its path.

It sends a request again, by itself, where a connection that was kept turns out to have ended before any answer came. So a request
that changes something may arrive twice: writes know their own object again.

Why libcurl: client CPU seconds for 5,000 objects of 4 KiB, a Ceph gateway on the same two cores, eight threads, medians of three.
What the client saves there the server has: the same objects go up in 4.6 s by libcurl and in 5.3 s by obstore.

                                up      down
libcurl, our signature          1.3     1.9
obstore (object_store in Rust)  1.6     2.0     changes or refuses keys such as `a//b` and `a/../b`
urllib3, our signature          3.0     3.5
boto3                           10      10
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import pycurl

from domain.errors import ConfigurationError
from infrastructure.storage.s3.addresses import checked_proxy
from infrastructure.storage.s3.dialect import Target
from infrastructure.storage.s3.handles import Connection, ConnectionTrouble, Reply, Request
from infrastructure.storage.s3.limits import Traffic
from infrastructure.storage.s3.multi import Tag, refusal_of, send_all, size_of_body


class Connections:
    """Connections to the host of one bucket, kept open and used again. Thread-safe.

    A handle is one thread's at a time. A child process makes its own: those of its parent are left to the parent.

    Attributes:
        traffic: what limits them.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._idle: list[Connection] = []
        self._pid = os.getpid()
        self._options = _options(target)
        self.traffic = Traffic(target)

    def send(self, request: Request) -> Reply:
        """Send one request; the answer, whatever its status.

        Raises:
            ConnectionTrouble: there was none, or it broke off.
        """
        if self._pid != os.getpid():
            self._leave_to_parent()
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = Connection(self._options, self.traffic)
        reply = self._in_turn(connection, request)
        # Not after an exception: who knows in what state that left it.
        if len(self._idle) < self._target.connections:
            self._idle.append(connection)
        else:
            connection.close()
        return reply

    def _in_turn(self, connection: Connection, request: Request) -> Reply:
        traffic, size = self.traffic, size_of_body(request)
        delay = traffic.start_of(size) - time.monotonic()
        if delay > 0:
            time.sleep(delay)
        began = traffic.level.enter()
        refused = None
        try:
            reply = connection.send(request)
            size += len(reply.data) if request.sink is None else request.limit or 0
            refused = refusal_of(reply)
        finally:
            traffic.level.leave(began, size, refused)
        return reply

    def send_many(
        self, requests: Iterable[tuple[Tag, Request]], largest: int = 0
    ) -> Iterator[tuple[Tag, Reply | ConnectionTrouble]]:
        """Send requests, many of them at a time, and give the answers as they come, each with its request's tag.

        One that the store refuses because it wants fewer is sent again, later and a few times; then the refusal is its answer.
        Leaving the iteration early breaks off what is under way.

        Args:
            requests: taken one by one, as there is room; without `Pieces`.
            largest: bytes that a request holds in memory at most, as its body or its answer.
        """
        if self._pid != os.getpid():
            self._leave_to_parent()
        return send_all(requests, largest, self.traffic, lambda: Connection(self._options, self.traffic))

    def close(self) -> None:
        """Close what is idle; the next request connects anew."""
        if self._pid != os.getpid():
            self._leave_to_parent()
        while self._idle:
            self._idle.pop().close()

    def _leave_to_parent(self) -> None:
        # Closing them here would say goodbye on the parent's encrypted connections.
        _of_parents.append(self._idle)
        self._idle, self._pid = [], os.getpid()
        self.traffic = Traffic(self._target)  # whose locks may be held there


_of_parents: list[Any] = []


def _options(target: Target) -> dict[int, Any]:
    options: dict[int, Any] = {
        pycurl.NOSIGNAL: 1,
        pycurl.PATH_AS_IS: 1,
        pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
        pycurl.TCP_NODELAY: 1,
        pycurl.TCP_KEEPALIVE: 1,
        pycurl.FOLLOWLOCATION: 0,
        pycurl.USERAGENT: "lading",
        pycurl.CONNECTTIMEOUT_MS: math.ceil(target.connect_timeout * 1000),
        # No byte for so long, either way; a transfer as a whole takes as long as it takes.
        pycurl.LOW_SPEED_LIMIT: 1,
        pycurl.LOW_SPEED_TIME: math.ceil(target.read_timeout),
        # Empty: nothing is looked up in the environment, in `.netrc`, or anywhere.
        pycurl.PROXY: target.proxy_url or _proxy_of_this_machine(target) or "",
        pycurl.NOPROXY: "",
    }
    if target.secure or options[pycurl.PROXY].startswith("https:"):
        trusted = target.ca_bundle
        folder = None
        if not trusted:
            trusted, folder = _certificates()
        for name, value in (("CAINFO", trusted), ("CAPATH", folder)):
            if value:
                options[getattr(pycurl, name)] = value
                options[getattr(pycurl, f"PROXY_{name}")] = value
    return options


def _certificates() -> tuple[str | None, str | None]:
    """The file and the folder of this machine's trusted certificates; botocore brings some for a machine without."""
    import ssl
    from importlib.util import find_spec

    found = ssl.get_default_verify_paths()  # heeds SSL_CERT_FILE and SSL_CERT_DIR
    if found.cafile or found.capath:
        return found.cafile, found.capath
    botocore = find_spec("botocore")
    return (str(Path(botocore.origin).with_name("cacert.pem")) if botocore and botocore.origin else None), None


def _proxy_of_this_machine(target: Target) -> str | None:
    """The proxy that the standard variables name; they describe the network and not the provider."""
    address = urlsplit(target.endpoint_url)
    if proxy_bypass_environment(address.netloc):
        return None
    proxy = getproxies_environment().get(address.scheme)
    if not proxy:
        return None
    try:
        return checked_proxy(proxy if "://" in proxy else f"http://{proxy}")
    except ValueError as error:
        raise ConfigurationError(
            f"{address.scheme.upper()}_PROXY names no proxy that can be used: {error}", provider=target.provider
        ) from None
