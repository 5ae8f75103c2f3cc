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
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import pycurl

from domain.errors import ConfigurationError
from infrastructure.storage.s3.addresses import checked_proxy
from infrastructure.storage.s3.dialect import Target

_ERROR_BYTES = 1 << 16
"""How much is read of an answer that is no success."""

_BUFFER_BYTES = 1 << 14
_LARGE_BUFFER_BYTES = 1 << 19
"""Of what is large; for what is small a large one takes longer to be had than to be filled."""

_SELECT_SECONDS = 0.1


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


class Request(NamedTuple):
    """A request as it is sent.

    Attributes:
        limit: bytes of the body after which no more is read; the reply has those.
        sink: gets the body where the status is below 300; what it raises is raised where the request was sent.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | Pieces | None = None
    limit: int | None = None
    sink: Sink | None = None


Tag = TypeVar("Tag")


class Connections:
    """Connections to the host of one bucket, kept open and used again. Thread-safe.

    A handle is one thread's at a time. A child process makes its own: those of its parent are left to the parent.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._idle: list[_Connection] = []
        self._pid = os.getpid()
        self._options = _options(target)

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
            connection = _Connection(self._options)
        reply = connection.send(request)
        # Not after an exception: who knows in what state that left it.
        if len(self._idle) < self._target.connections:
            self._idle.append(connection)
        else:
            connection.close()
        return reply

    def send_many(
        self, requests: Iterable[tuple[Tag, Request]], width: int
    ) -> Iterator[tuple[Tag, Reply | ConnectionTrouble]]:
        """Send requests, `width` of them at a time, and give the answers as they come, each with its request's tag.

        All in this thread: threads that wait for one answer each spend more on taking turns than on the requests. Leaving the
        iteration early breaks off what is under way.

        Args:
            requests: taken one by one, as there is room; without `Pieces`.
        """
        multi = pycurl.CurlMulti()
        idle: list[_Connection] = []
        busy: dict[Any, tuple[Tag, _Connection]] = {}
        waiting = iter(requests)
        try:
            while True:
                while len(busy) < width and (following := next(waiting, None)) is not None:
                    tag, request = following
                    connection = idle.pop() if idle else _Connection(self._options)
                    connection.begin(request, heed_signals=False)
                    multi.add_handle(connection.curl)
                    busy[connection.curl] = tag, connection
                if not busy:
                    return
                while multi.perform()[0] == pycurl.E_CALL_MULTI_PERFORM:
                    pass
                _, good, bad = multi.info_read()
                ended: list[tuple[Any, ConnectionTrouble | None]] = [(curl, None) for curl in good]
                ended += [(curl, ConnectionTrouble(code, text)) for curl, code, text in bad]
                for curl, trouble in ended:
                    tag, connection = busy.pop(curl)
                    multi.remove_handle(curl)
                    try:
                        outcome: Reply | ConnectionTrouble = connection.end(trouble)
                    except ConnectionTrouble as broken:
                        outcome = broken
                    idle.append(connection)
                    yield tag, outcome
                if not ended:
                    multi.select(_SELECT_SECONDS)
        finally:
            for curl, (_, connection) in busy.items():
                multi.remove_handle(curl)
                connection.close()
            for connection in idle:
                connection.close()
            multi.close()

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
        self.curl = curl = pycurl.Curl()
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
        self.curl.close()

    def send(self, request: Request) -> Reply:
        self.begin(request, heed_signals=threading.current_thread() is threading.main_thread())
        trouble = None
        try:
            self.curl.perform()
        except pycurl.error as error:
            trouble = ConnectionTrouble(*error.args)
        except BaseException:
            self._let_go()
            raise
        return self.end(trouble)

    def begin(self, request: Request, *, heed_signals: bool) -> None:
        """Make the handle ready to send this request."""
        method, url, headers, body, limit, sink = request
        curl = self.curl
        self._lines.clear()
        self._full = False
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
        large = isinstance(body, Pieces) or (body is not None and len(body) > _LARGE_BUFFER_BYTES)
        curl.setopt(pycurl.UPLOAD_BUFFERSIZE, _LARGE_BUFFER_BYTES if large else _BUFFER_BYTES)
        curl.setopt(pycurl.BUFFERSIZE, _LARGE_BUFFER_BYTES if sink else _BUFFER_BYTES)
        curl.setopt(pycurl.CUSTOMREQUEST, method)
        # Without a value: of those that libcurl adds by itself.
        lines = ["expect:", "accept:"] if "content-type" in headers else ["expect:", "accept:", "content-type:"]
        # A semicolon: a header that is empty.
        lines += [f"{name}: {value}" if value else f"{name};" for name, value in headers.items()]
        curl.setopt(pycurl.HTTPHEADER, lines)
        # A signal is heeded in the main thread alone, and there only while Python runs now and then.
        curl.setopt(pycurl.NOPROGRESS, not heed_signals)

    def end(self, trouble: ConnectionTrouble | None) -> Reply:
        """What came of the request."""
        data = b"".join(self._parts)
        raised = self._raised
        self._let_go()
        if raised is not None:
            raise raised
        if trouble and not (self._full or self._room == 0):
            raise trouble
        if not self._lines or self._lines[-1].strip():  # libcurl takes such an answer for a whole one
            raise ConnectionTrouble(pycurl.E_GOT_NOTHING, "the answer ended within its headers")
        return Reply(self.curl.getinfo(pycurl.RESPONSE_CODE), _parsed(self._lines), data)

    def _let_go(self) -> None:
        # An idle connection holds no bodies.
        self._body = self._sink = self._raised = None
        self._parts.clear()
        self.curl.setopt(pycurl.POSTFIELDS, b"")

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
