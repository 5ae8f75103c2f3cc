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
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import pycurl

from domain.errors import ConfigurationError
from infrastructure.storage.s3.addresses import checked_proxy
from infrastructure.storage.s3.dialect import Target

_ERROR_BYTES = 1 << 16
"""How much is read of an answer that is no success."""

_RECEIVE_BYTES = 1 << 18
_SEND_BYTES = 1 << 18


class Reply(NamedTuple):
    """An answer with its body; `headers` have their names in small letters."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class ConnectionTrouble(Exception):
    """A request that got no answer, or half of one.

    Attributes:
        code: libcurl's.
        text: libcurl's sentence, which may have the address in it.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{text} (libcurl {code})")
        self.code = code
        self.text = text


class Pieces:
    """A body that is made while it is sent.

    Attributes:
        size: bytes in all.
    """

    def __init__(self, pieces: Iterator[bytes], size: int) -> None:
        self.size = size
        self._pieces = pieces
        self._left = memoryview(b"")

    def read(self, most: int) -> bytes:
        """The next bytes; none at the end."""
        while not self._left:
            following = next(self._pieces, None)
            if following is None:
                return b""
            self._left = memoryview(following)
        piece, self._left = self._left[:most], self._left[most:]
        return bytes(piece)


Sink = Callable[[bytes], object]
"""Takes the bytes of a success as they come, instead of a `Reply` that holds them."""


class Connections:
    """Connections to the host of one bucket, kept open and used again. Thread-safe.

    A handle is one thread's at a time. A child process makes its own: those of its parent are left to the parent.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._idle: list[_Connection] = []
        self._pid = os.getpid()
        self._options = _options(target)

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | Pieces | None = None,
        *,
        limit: int | None = None,
        sink: Sink | None = None,
    ) -> Reply:
        """Send one request; the answer, whatever its status.

        Args:
            limit: bytes of the body after which no more is read; the reply has those.
            sink: gets the body where the status is below 300; what it raises is raised here.

        Raises:
            ConnectionTrouble: there was none, or it broke off.
        """
        if self._pid != os.getpid():
            self._leave_to_parent()
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = _Connection(self._options)
        reply = connection.send(method, url, headers, body, limit, sink)
        # Not after an exception: who knows in what state that left it.
        if len(self._idle) < self._target.connections:
            self._idle.append(connection)
        else:
            connection.close()
        return reply

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


_of_parents: list[Any] = []


class _Connection:
    """A libcurl handle, which keeps its connection between requests."""

    def __init__(self, options: Mapping[int, Any]) -> None:
        self._curl = curl = pycurl.Curl()
        for option, value in options.items():
            curl.setopt(option, value)
        self._lines: list[bytes] = []
        curl.setopt(pycurl.HEADERFUNCTION, self._lines.append)
        curl.setopt(pycurl.WRITEFUNCTION, self._take)
        curl.setopt(pycurl.XFERINFOFUNCTION, _look_for_signals)
        self._parts: list[bytes] = []
        self._room = 0
        self._full = False
        self._sink: Sink | None = None
        self._body: Pieces | None = None
        self._raised: BaseException | None = None

    def close(self) -> None:
        self._curl.close()

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | Pieces | None,
        limit: int | None,
        sink: Sink | None,
    ) -> Reply:
        curl = self._curl
        self._lines.clear()
        self._parts.clear()
        self._raised, self._full = None, False
        self._room = -1 if limit is None else limit
        self._sink = sink
        curl.setopt(pycurl.URL, url)
        # This takes back what the request before has set, in whatever of the ways below.
        curl.setopt(pycurl.HTTPGET, 1)
        curl.setopt(pycurl.FRESH_CONNECT, 0)
        if isinstance(body, Pieces):
            self._body = body
            curl.setopt(pycurl.UPLOAD, 1)
            curl.setopt(pycurl.READFUNCTION, self._give)
            curl.setopt(pycurl.INFILESIZE_LARGE, body.size)
            # One that had ended meanwhile would need the first pieces once more.
            curl.setopt(pycurl.FRESH_CONNECT, 1)
        elif body is not None:
            curl.setopt(pycurl.POSTFIELDS, body)
        elif method == "HEAD":
            curl.setopt(pycurl.NOBODY, 1)
        curl.setopt(pycurl.CUSTOMREQUEST, method)
        # Without a value: of those that libcurl adds by itself.
        lines = ["expect:", "accept:"] if "content-type" in headers else ["expect:", "accept:", "content-type:"]
        # A semicolon: a header that is empty.
        lines += [f"{name}: {value}" if value else f"{name};" for name, value in headers.items()]
        curl.setopt(pycurl.HTTPHEADER, lines)
        # A signal is heeded in the main thread alone, and there only while Python runs now and then.
        curl.setopt(pycurl.NOPROGRESS, threading.current_thread() is not threading.main_thread())
        trouble: pycurl.error | None = None
        try:
            curl.perform()
        except pycurl.error as error:
            trouble = error
        finally:
            self._body = self._sink = None
            if body is not None:
                curl.setopt(pycurl.POSTFIELDS, b"")  # an idle connection holds no bodies
            data = b"".join(self._parts)
            self._parts.clear()
        raised, self._raised = self._raised, None
        if raised is not None:
            raise raised
        if trouble and not (self._full or self._room == 0):
            raise ConnectionTrouble(*trouble.args)
        if not self._lines or self._lines[-1].strip():  # libcurl takes such an answer for a whole one
            raise ConnectionTrouble(pycurl.E_GOT_NOTHING, "the answer ended within its headers")
        return Reply(curl.getinfo(pycurl.RESPONSE_CODE), _parsed(self._lines), data)

    def _take(self, data: bytes) -> int | None:
        try:
            if not self._is_success():
                self._parts.append(data)
                self._full = sum(map(len, self._parts)) >= _ERROR_BYTES
                return 0 if self._full else None
            if self._room >= 0:
                if len(data) > self._room:
                    data, self._full = data[: self._room], True
                self._room -= len(data)
            if self._sink is None:
                self._parts.append(data)
            else:
                self._sink(data)
            return 0 if self._full else None
        except BaseException as error:  # libcurl has no way to pass it on
            self._raised = error
            return 0

    def _is_success(self) -> bool:
        status = next(line for line in reversed(self._lines) if line.startswith(b"HTTP/"))
        return status.partition(b" ")[2][:1] == b"2"

    def _give(self, most: int) -> bytes | int:
        try:
            return self._body.read(most) if self._body else b""
        except BaseException as error:
            self._raised = error
            return int(pycurl.READFUNC_ABORT)


def _look_for_signals(*_: int) -> None:
    """Python runs the handlers of signals before it runs this."""


def _parsed(lines: list[bytes]) -> dict[str, str]:
    """The headers of the last answer: others may come before it, of a proxy or to say that it goes on."""
    headers: dict[str, str] = {}
    for line in b"".join(lines).decode("latin-1").split("\n"):
        if line.startswith("HTTP/"):
            headers.clear()
            continue
        name, colon, value = line.partition(":")
        if colon:
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _options(target: Target) -> dict[int, Any]:
    options: dict[int, Any] = {
        pycurl.NOSIGNAL: 1,
        pycurl.PATH_AS_IS: 1,
        pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
        pycurl.TCP_NODELAY: 1,
        pycurl.TCP_KEEPALIVE: 1,
        pycurl.FOLLOWLOCATION: 0,
        pycurl.USERAGENT: "lading",
        pycurl.BUFFERSIZE: _RECEIVE_BYTES,
        pycurl.UPLOAD_BUFFERSIZE: _SEND_BYTES,
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
