"""What is made of connections that fail, of encryption, proxies, forks, signals and threads."""

from __future__ import annotations

import pickle
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from raw_server import (
    CHUNKED,
    CUT,
    FINE,
    NOBODY,
    ODD,
    OK,
    TARGET,
    Answer,
    Got,
    Script,
    arrived,
    in_full,
    no_proxies,
    says,
    trouble,
    whole,
)

from infrastructure.storage.s3.connections import Connections
from infrastructure.storage.s3.dialect import MIB
from infrastructure.storage.s3.handles import Pieces, Request

__all__ = ["no_proxies"]


# -- trouble


TROUBLES: dict[str, tuple[Answer, set[int]]] = {
    "no answer": (says(b"", EOFError), {52}),
    "a reset": (says(b"", ConnectionResetError), {56}),
    "half a status line": (says(b"HTTP/1.", EOFError), {1, 8, 52, 56}),
    "half the headers": (says(OK + b"content-le", EOFError), {8, 18, 52, 56}),
    "headers without an end": (says(OK + b'ETag: "x"\r\n', EOFError), {8, 18, 52, 56}),
    "a cut body": (says(CUT, EOFError), {18}),
    "a cut chunk": (says(CHUNKED + b"9\r\nhello", EOFError), {18, 56}),
    "no last chunk": (says(CHUNKED + b"5\r\nhello\r\n", EOFError), {18, 56}),
    "a cut error": (says(CUT.replace(b"200", b"500"), EOFError), {18}),
    "garbage": (says(b"SSH-2.0-OpenSSH_9.9\r\n" * 9, EOFError), {1, 8}),
    "a bad length": (says(OK + b"content-length: many\r\n\r\nhello", EOFError), {8}),
}


@pytest.mark.parametrize("kind", TROUBLES)
@pytest.mark.parametrize("body", [None, b"abc"])
def test_trouble_is_told_and_the_next_request_goes_well(kind: str, body: bytes | None) -> None:
    answer, codes = TROUBLES[kind]
    with Script(answer) as server:
        assert trouble(server, "PUT", "/", body) in codes
        assert len(server.got) == 1
        server.answer = FINE
        assert server.send().data == b"fine"
    assert len(server.sockets) == 2


@pytest.mark.parametrize(("in_pieces", "times"), [(False, 2), (True, 1)])
def test_a_request_is_sent_once_more_where_a_kept_connection_had_ended(in_pieces: bool, times: int) -> None:
    with Script(FINE) as server:
        server.send()
        server.answer = says(b"", EOFError)
        assert trouble(server, "POST", "/", Pieces(iter([b"abc"]), 3) if in_pieces else b"abc") == 52
    assert [got.body for got in server.got] == [b"", *[b"abc"] * times]


@pytest.mark.parametrize("in_pieces", [False, True])
def test_an_idle_connection_that_was_closed_is_no_trouble(in_pieces: bool) -> None:
    with Script(FINE) as server:
        for turn in range(1, 4):
            assert server.send("PUT", "/", Pieces(iter([b"abc"]), 3) if in_pieces else b"abc").data == b"fine"
            assert (len(server.got), len(server.sockets)) == (turn, turn)
            server.sockets[-1].shutdown(socket.SHUT_RDWR)


def test_nobody_listens_yet() -> None:
    server = Script(FINE)
    assert trouble(server) == 7
    with server:
        assert server.send().data == b"fine"


@pytest.mark.parametrize("in_pieces", [False, True])
def test_a_reset_or_an_answer_while_a_body_is_sent(in_pieces: bool) -> None:
    def refuse(got: Got, line: socket.socket) -> bytes:
        line.sendall(whole(b"no", 403))
        while line.recv(1 << 20):
            pass
        raise EOFError

    def body() -> bytes | Pieces:
        return Pieces(iter([b"x" * MIB] * 64), 64 * MIB) if in_pieces else b"x" * (64 * MIB)

    with Script(says(b"", ConnectionResetError), reads=False) as server:
        assert trouble(server, "PUT", "/", body()) in {55, 56}
        server.answer = refuse
        assert server.send("PUT", "/", body())[::2] == (403, b"no")
        server.answer = FINE
        assert server.send().data == b"fine"


def test_stalls_end() -> None:
    def stalled(begun: bytes | None) -> None:
        with Script(FINE, reads=begun is not None, read_timeout=1) as server:
            server.answer = lambda got, line: server.stall(line.send(begun or b""))
            assert trouble(server, "PUT", "/", b"x" * (16 * MIB) if begun is None else None) == 28
            server.answer = FINE
            assert server.send().data == b"fine"

    before = time.monotonic()
    with ThreadPoolExecutor(4) as pool:  # libcurl looks at some seconds, so that most of these take more than one
        list(pool.map(stalled, [None, b"", OK, CUT]))
    assert time.monotonic() - before < 25


# -- encryption


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ssl.SSLContext, str]]:
    """What a server needs to be trusted by whoever trusts the file."""
    trustme = pytest.importorskip("trustme")
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issuer = trustme.CA()
    issuer.issue_cert("127.0.0.1").configure_cert(context)
    issuer.cert_pem.write_to_path(str(path))
    yield context, str(path)


def test_encrypted(authority: tuple[ssl.SSLContext, str]) -> None:
    context, trusted = authority
    with Script(FINE, tls=context, ca_bundle=trusted) as server:
        for method in ("GET", "PUT", "POST"):
            assert server.send(method, ODD, b"a" * MIB).data == b"fine"
        assert [(got.path, len(got.body), got.connection) for got in server.got] == [(ODD, MIB, 1)] * 3
        server.url = server.url.replace("127.0.0.1", "localhost")
        assert trouble(server) == 60
        server.connections = Connections(replace(server.target, ca_bundle=None))
        assert trouble(server) == 60
    assert len(server.got) == 3


# -- the environment


@pytest.mark.parametrize("given", ["HTTP_PROXY", "proxy_url"])
def test_a_proxy_is_asked(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Script(FINE) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url if given == "HTTP_PROXY" else NOBODY)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,other.invalid" if given == "HTTP_PROXY" else "*")
        target = replace(TARGET, endpoint_url="http://store.invalid:9000")
        connections = Connections(target if given == "HTTP_PROXY" else replace(target, proxy_url=proxy.url))
        assert connections.send(Request("GET", target.endpoint_url + ODD, {"x-a": "b"})).data == b"fine"
        connections.close()
    assert proxy.got[0][:2] == ("GET", f"http://store.invalid:9000{ODD}")
    names = {"Host": "store.invalid:9000", "User-Agent": "lading", "x-a": "b"}
    assert {name: value for name, value in proxy.got[0].headers if name != "Proxy-Connection"} == names


@pytest.mark.parametrize("exempt", ["127.0.0.1", "other, 127.0.0.1", "*", "127.0.0.1:PORT"])
def test_no_proxy_is_heeded(exempt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", NOBODY)
    with Script(FINE) as server:
        monkeypatch.setenv("NO_PROXY", exempt.replace("PORT", str(server.server_address[1])))
        server.connections = Connections(server.target)
        assert server.send().data == b"fine"


def test_nothing_else_of_the_environment_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("all_proxy", "ALL_PROXY", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, NOBODY)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (tmp_path / ".curlrc").write_text(f"proxy = {NOBODY}\n")
    with Script(FINE) as server:
        server.send()
    assert arrived(server) == [in_full(server, "GET", "/k", {}, None)]


# -- processes, signals, threads

BEGIN = """
import os, pickle, signal, sys, time
from infrastructure.storage.s3.connections import Connections
from infrastructure.storage.s3.handles import Pieces, Request
target = pickle.loads(bytes.fromhex(sys.argv[1]))
url = target.endpoint_url
connections = Connections(target)
signal.signal(signal.SIGINT, signal.default_int_handler)
"""

FORK = """
assert connections.send(Request("GET", url + "/first", {})).data == b"/first"
for turn in range(3):
    pid = os.fork()
    if not pid:
        good = all(connections.send(Request("GET", url + f"/child{i}", {})).data == b"/child%d" % i for i in range(2))
        connections.close()
        os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert connections.send(Request("GET", url + "/parent", {})).data == b"/parent"
"""

INTERRUPTED = """
import threading
for turn in range(48):
    kind, method = ("stalled", "endless", "endless")[turn % 3], ("GET", "PUT")[turn % 2]
    body = Pieces(iter(lambda: b"x" * 1000, 0), 1 << 40) if method == "PUT" else None
    timer = threading.Timer(0.02 + turn / 2000, os.kill, (os.getpid(), signal.SIGINT))
    begun = time.monotonic()
    try:
        timer.start()
        connections.send(Request(method, url + "/" + kind, {}, body, sink=len))
    except KeyboardInterrupt:
        assert time.monotonic() - begun < 5
        timer.join()
        continue
    sys.exit("not stopped")
"""


def test_after_a_fork_it_works_in_both(run: Callable[..., str], authority: tuple[ssl.SSLContext, str]) -> None:
    context, trusted = authority
    with Script(lambda got, _: whole(got.path.encode()), tls=context, ca_bundle=trusted) as server:
        assert run(BEGIN + FORK, pickle.dumps(server.target).hex()) == ""
    assert len(server.sockets) == 4
    assert {got.connection for got in server.got if got.path in {"/first", "/parent"}} == {1}


def test_an_interrupt_at_any_moment_comes_out_soon_and_without_noise(start: Callable[..., Any]) -> None:
    def answer(got: Got, line: socket.socket) -> bytes:
        if got.path == "/stalled":
            return server.stall()
        line.sendall(OK + b"\r\n" if got.method == "GET" else b"")
        while line.send(b"x" * 1000) if got.method == "GET" else line.recv(100_000):
            pass
        raise EOFError

    with Script(answer, reads=False) as server:
        process = start(BEGIN + INTERRUPTED, pickle.dumps(server.target).hex())
        assert process.communicate(timeout=60) == ("", "")
        assert process.returncode == 0
    assert len(server.got) > 40


def test_threads_get_their_own_answers() -> None:
    together = threading.Barrier(16)

    def many(thread: int) -> list[bytes]:
        together.wait(10)
        sent = [b"%d %d " % (thread, turn) * (turn * 500 + 1) for turn in range(20)]
        return [body for body in sent if server.send("PUT", "/", body).data != body]

    with Script(lambda got, _: whole(got.body), connections=4) as server, ThreadPoolExecutor(16) as pool:
        assert list(pool.map(many, range(16))) == [[]] * 16
    assert len(server.got) == 16 * 20
