"""The line that does harm does what it says, and only where it says so."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from fault_proxy import KINDS, REFUSALS, STALLS, FaultProxy
from stub_store import Reply, Request, StubStore

BODY = bytes(range(256)) * 400


@pytest.fixture
def store() -> Iterator[StubStore]:
    """Keeps what arrives, and answers with the same bytes to everything."""
    with StubStore(lambda request: Reply(200, BODY)) as server:
        yield server


def ask(proxy: FaultProxy, method: str = "GET", path: str = "/b/k", body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=10)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_no_harm(store: StubStore) -> None:
    with FaultProxy(store.url) as proxy:
        assert ask(proxy, "PUT", body=BODY) == (200, BODY)
    assert store.requests[0].body == BODY
    assert proxy.done == []


@pytest.mark.parametrize("kind", ("request cut", "answer lost", "answer cut", "stalled, then cut"))
def test_a_cut_is_an_error_for_the_client(store: StubStore, kind: str) -> None:
    with (
        FaultProxy(store.url, rate=1, kinds=[kind], stall_seconds=0.01) as proxy,
        pytest.raises((OSError, http.client.HTTPException)),
    ):
        ask(proxy, "PUT", body=BODY)
    assert [(fault.kind, fault.method, fault.target) for fault in proxy.done] == [(kind, "PUT", "/b/k")]
    assert [len(request.body) for request in store.requests] == ([] if kind == "request cut" else [len(BODY)])


def test_a_head_that_is_cut(store: StubStore) -> None:
    with (
        FaultProxy(store.url, rate=1, kinds=["answer cut in its head"]) as proxy,
        socket.create_connection(("127.0.0.1", int(proxy.url.rpartition(":")[2])), timeout=10) as line,
    ):
        line.sendall(b"GET /b/k HTTP/1.1\r\nhost: b\r\n\r\n")
        came = b""
        with suppress(ConnectionResetError):
            while piece := line.recv(1000):
                came += piece
    assert b"\r\n\r\n" not in came and b"HTTP/1.1 200 OK".startswith(came[:15])


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal(store: StubStore, kind: str) -> None:
    with FaultProxy(store.url, rate=1, kinds=[kind]) as proxy:
        status, body = ask(proxy)
    assert status == int(kind[:3])
    assert b"<Code>" in body
    assert len(store.requests) == (kind == "500 though done")


def test_a_short_answer_is_whole_as_far_as_http_goes(store: StubStore) -> None:
    with FaultProxy(store.url, rate=1, kinds=["answer short"]) as proxy:
        status, body = ask(proxy)
    assert status == 200
    assert BODY.startswith(body) and len(body) < len(BODY)


def different_bits(one: bytes, other: bytes) -> int:
    assert len(one) == len(other)
    return sum((a ^ b).bit_count() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("side", ["request", "answer"])
def test_one_bit_flips(store: StubStore, side: str) -> None:
    with FaultProxy(store.url, rate=1, kinds=[f"bit flipped in {side}"]) as proxy:
        status, body = ask(proxy, "PUT" if side == "request" else "GET", body=BODY)
        assert ask(proxy, "GET", "/b?list-type=2") == (200, BODY), "nobody has a hash of a listing"
    assert status == 200
    assert different_bits(body, BODY) == (side == "answer")
    assert different_bits(store.requests[0].body, BODY) == (side == "request")


def test_the_seed_decides(store: StubStore) -> None:
    def harmed(seed: int, **more: Any) -> list[str]:
        kinds = [kind for kind in KINDS if kind not in STALLS]
        with FaultProxy(store.url, seed=seed, rate=0.3, kinds=kinds, **more) as proxy:
            for number in range(60):
                with suppress(OSError, http.client.HTTPException):
                    ask(proxy, path=f"/b/{number}")
        return [f"{fault.kind} {fault.target}" for fault in proxy.done]

    def some(request: Request) -> bool:
        return request.path > "/b/4"

    first = harmed(1)
    assert 5 < len(first) < 40
    assert harmed(1) == first != harmed(2)
    assert harmed(1, concerns=some) == [fault for fault in first if fault.split()[-1] > "/b/4"]
