"""An HTTP server on this machine whose answers a test makes up, or passes on from a real server after a look at them."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_PIECE = 1 << 16


@dataclass
class Request:
    """A request as it came.

    Attributes:
        headers: their names in lower case.
        body: empty until all of it is here.
        received: bytes of the body that are here.
        fate: what its receiver has in mind for it.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""
    received: int = 0
    fate: Any = None

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        pairs = parse_qs(urlsplit(self.target).query, keep_blank_values=True)
        return {name: values[0] for name, values in pairs.items()}


@dataclass
class Reply:
    """An answer.

    Attributes:
        cut_after: where given, the connection ends after as many bytes of the body.
        cut_head_after: where given, it ends after as many bytes of what comes before the body.
        reset: how it ends then: by a reset instead of an orderly end.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    cut_head_after: int | None = None
    reset: bool = False


Answer = Callable[[Request], Reply]


def refusal(status: int, code: str, more: str = "", **headers: str) -> Reply:
    """An error as S3 tells it; `more` is XML beside the code."""
    body = f"<?xml version='1.0'?><Error><Code>{escape(code)}</Code><Message>no</Message>{more}</Error>"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, body.encode(), {"content-type": "application/xml", **named})


def page(status: int) -> Reply:
    """What a web server says that is no store."""
    return Reply(status, b"<!DOCTYPE html>\n<html><body>Welcome</body></html>", {"content-type": "text/html"})


class PassOn:
    """Answers with what the server at `url` answers to the same request. Signatures hold: the host stays as it was."""

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).netloc

    def __call__(self, request: Request) -> Reply:
        connection = http.client.HTTPConnection(self._host, timeout=60)
        try:
            connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name not in {"connection", "expect"}:
                    connection.putheader(name, value.encode("latin-1"))
            connection.endheaders(request.body or None)
            answer = connection.getresponse()
            body = answer.read()
            kept = {name.lower(): value for name, value in answer.getheaders()}
            for name in ("connection", "transfer-encoding", "keep-alive"):
                kept.pop(name, None)
            return Reply(answer.status, body, kept)
        finally:
            connection.close()


class StubStore:
    """Listens on a free port as long as the `with` block lasts.

    Attributes:
        url: where it listens.
        requests: all that came, each from the moment on when its headers were there.
        answer: makes the replies; may be replaced at any time.
        seconds_per_mib: how long it takes to receive a mebibyte of a body, in each connection.
    """

    def __init__(self, answer: Answer, *, seconds_per_mib: float = 0) -> None:
        self.answer = answer
        self.seconds_per_mib = seconds_per_mib
        self.requests: list[Request] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.store = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def began(self, request: Request) -> int | None:
        """Called as soon as a request's headers are there: after how many bytes of its body the connection ends."""
        self.requests.append(request)
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    store: StubStore

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """A test looks at `requests`."""

    def _answer(self) -> None:
        store = self.server.store
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers)
        cut = store.began(request)
        body, left = [], int(headers.get("content-length") or 0) if cut is None else cut
        while left:
            piece = self.rfile.read(min(left, _PIECE))
            if not piece:
                self.close_connection = True
                return
            body.append(piece)
            left -= len(piece)
            request.received += len(piece)
            if store.seconds_per_mib:
                time.sleep(store.seconds_per_mib * len(piece) / (1 << 20))
        if cut is not None:
            self.close_connection = True
            return
        request.body = b"".join(body)
        self._send(store.answer(request))

    def _send(self, reply: Reply) -> None:
        headers = {"content-length": str(len(reply.body))} | reply.headers
        lines = [f"HTTP/1.1 {reply.status} {responses.get(reply.status, '')}", *map(": ".join, headers.items()), "", ""]
        self.wfile.write("\r\n".join(lines).encode("latin-1")[: reply.cut_head_after])
        if self.command != "HEAD" and reply.cut_head_after is None:
            self.wfile.write(reply.body[: reply.cut_after])
        if (reply.cut_head_after, reply.cut_after) != (None, None):
            self.close_connection = True
            with suppress(OSError):
                if reply.reset:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                else:
                    self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _answer
