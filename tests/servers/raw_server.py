"""A server on this machine that keeps what arrives byte for byte and answers with any bytes."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any, NamedTuple, Self

import pytest

from domain.objects import Capabilities
from infrastructure.storage.s3.connections import Connections
from infrastructure.storage.s3.credentials import GivenCredentials, KeyPair
from infrastructure.storage.s3.dialect import Dialect, Target
from infrastructure.storage.s3.handles import ConnectionTrouble, Pieces, Reply, Request

NOBODY = "http://127.0.0.1:9"
TARGET = Target(
    provider="s3",
    bucket="bucket",
    endpoint_url=NOBODY,
    region="us-east-1",
    credentials=GivenCredentials(KeyPair("AKIA", "secret")),
    credential_names="names",
    dialect=Dialect(Capabilities()),
    capabilities=Capabilities(),
)
METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE"]
ODD = "/bucket/a/../b/./c//d%00%0A"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
CUT = OK + b"content-length: 9\r\n\r\nhello"


class Got(NamedTuple):
    """A request as it came, and on which connection."""

    method: str
    path: str
    version: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int


Answer = Callable[[Got, socket.socket], bytes]
"""The bytes to send; or sends them itself. `EOFError` ends the connection, and `ConnectionResetError` resets it."""


class Script(ThreadingTCPServer):
    """Listens within its `with` block, though it has its port before. `reads`: bodies are taken before the answer."""

    request_queue_size = 64

    def __init__(self, answer: Answer, *, reads: bool = True, tls: Any = None, **changed: Any) -> None:
        super().__init__(("127.0.0.1", 0), _Handler, bind_and_activate=False)
        self.server_bind()
        self.answer, self.reads, self.tls = answer, reads, tls
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server_address[1]}"
        self.target = replace(TARGET, endpoint_url=self.url, **changed)
        self.connections = Connections(self.target)
        self.got: list[Got] = []
        self.sockets: list[socket.socket] = []
        self.ended, self.finished = threading.Event(), 0
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    def send(self, method: str = "GET", path: str = "/k", body: bytes | Pieces | None = None, **more: Any) -> Reply:
        return self.connections.send(Request(method, self.url + path, more.pop("headers", {}), body, **more))

    def stall(self, *_: object) -> bytes:
        """Nothing more comes until the test is over."""
        self.ended.wait(30)
        raise EOFError

    def __enter__(self) -> Self:
        self.server_activate()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.connections.close()
        self.shutdown()
        self._thread.join()
        for one in self.sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self.server_close()  # waits for the threads

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self.tls:
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self.sockets.append(connection)
        return connection, address


class _Handler(StreamRequestHandler):
    server: Script

    def handle(self) -> None:
        number = len(self.server.sockets)
        try:
            while line := self._line():
                (method, path, version), pairs = line.split(" "), []
                while header := self._line():
                    name, _, value = header.partition(":")
                    pairs.append((name, value.removeprefix(" ")))
                length = int(dict(pairs).get("Content-Length", 0)) if self.server.reads else 0
                body = self.rfile.read(length)
                if len(body) == length:
                    self.server.got.append(got := Got(method, path, version, pairs, body, number))
                    self.request.sendall(self.server.answer(got, self.request))
        except ConnectionResetError:
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.request.close()
        except EOFError:
            self.server.finished += 1
        except OSError:
            pass

    def _line(self) -> str:
        return self.rfile.readline().decode("latin-1").removesuffix("\r\n")


def whole(body: bytes = b"", status: int = 200) -> bytes:
    """A whole answer."""
    return b"HTTP/1.1 %d Something\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


def says(data: bytes, end: type[Exception] | None = None, piece: bytes = b"") -> Answer:
    """Sends it, and 64 times the piece, and may end the connection."""

    def answer(got: Got, line: socket.socket) -> bytes:
        for part in [data] + [piece] * (64 if piece else 0):
            line.sendall(part)
        if end:
            raise end
        return b""

    return answer


FINE = says(whole(b"fine"))


@pytest.fixture(autouse=True, scope="module")
def no_proxies() -> Iterator[None]:
    """An environment without anybody's proxies."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method"):
            patch.delenv(name, raising=False)
            patch.delenv(name.upper(), raising=False)
        yield


def trouble(server: Script, *request: Any) -> int:
    """The code of the trouble that a request ends with."""
    with pytest.raises(ConnectionTrouble) as caught:
        server.send(*request)
    assert caught.value.text in str(caught.value)
    return caught.value.code


def arrived(server: Script) -> list[tuple[Any, ...]]:
    return [(*got[:3], sorted(got.headers), got.body) for got in server.got]


def in_full(server: Script, method: str, path: str, headers: dict[str, str], body: bytes | None) -> tuple[Any, ...]:
    """What has to arrive."""
    own = {"Host": server.url.partition("://")[2], "User-Agent": "lading"}
    length = {} if body is None else {"Content-Length": str(len(body))}
    return method, path, "HTTP/1.1", sorted((own | length | headers).items()), body or b""
