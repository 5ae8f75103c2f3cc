"""A libcurl handle: one request at a time over a connection that is kept, and what a request and an answer are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pycurl

from infrastructure.storage.s3.limits import BUFFER_BYTES, PACED_BYTES, Traffic

_ERROR_BYTES = 1 << 16
"""How much is read of an answer that is no success."""

_LARGE_BUFFER_BYTES = 1 << 19
"""Of what is large; for what is small a large one takes longer to be had than to be filled."""


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


class Connection:
    """A libcurl handle, which keeps its connection between requests."""

    def __init__(self, options: Mapping[int, Any], traffic: Traffic) -> None:
        self.curl = curl = pycurl.Curl()
        for option, value in options.items():
            curl.setopt(option, value)
        self._sent, self._received = traffic.sent, traffic.received
        self._lines: list[bytes] = []
        curl.setopt(pycurl.HEADERFUNCTION, self._lines.append)
        curl.setopt(pycurl.WRITEFUNCTION, self._take)
        curl.setopt(pycurl.XFERINFOFUNCTION, _look_for_signals)
        self._parts: list[bytes] = []
        self._room = 0
        self._full = False
        self._success: bool | None = None
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
        self._success = None
        self._room = -1 if limit is None else limit
        self._sink = sink
        curl.setopt(pycurl.URL, url)
        # This takes back what the request before has set, in whatever of the ways below.
        curl.setopt(pycurl.HTTPGET, 1)
        curl.setopt(pycurl.FRESH_CONNECT, 0)
        if self._sent and isinstance(body, bytes) and len(body) > PACED_BYTES:
            body = Pieces(iter((body,)), len(body))
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
        # A pace is kept by waiting between two buffers, and a small one makes short pauses.
        curl.setopt(pycurl.UPLOAD_BUFFERSIZE, _LARGE_BUFFER_BYTES if large and not self._sent else BUFFER_BYTES)
        curl.setopt(pycurl.BUFFERSIZE, _LARGE_BUFFER_BYTES if sink and not self._received else BUFFER_BYTES)
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
            if self._received:
                self._received.wait(len(data))
            if self._success is None:
                self._success = self._is_success()
            if not self._success:
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
            piece = self._body.read(most) if self._body else b""
            if self._sent and self._body and self._body.size > PACED_BYTES:
                self._sent.wait(len(piece))
            return piece
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
