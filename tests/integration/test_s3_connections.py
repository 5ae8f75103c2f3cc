"""What goes over the connections to a store, byte for byte, and what is made of answers that are none."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_server import (
    CHUNKED,
    CUT,
    FINE,
    METHODS,
    ODD,
    OK,
    Got,
    Script,
    arrived,
    in_full,
    no_proxies,
    says,
    whole,
)

from infrastructure.storage.s3.dialect import MIB
from infrastructure.storage.s3.handles import ConnectionTrouble, Pieces, Reply, Request

__all__ = ["no_proxies"]


# -- requests


@pytest.mark.parametrize("path", [ODD, "/", "/bucket?delete=&prefix=a%20b%2F~", "/bucket//", "/%7E~'()*!%2E%2E"])
@pytest.mark.parametrize("method", METHODS)
def test_a_request_arrives_once_and_as_it_is(method: str, path: str) -> None:
    headers = {"x-amz-meta-b": "  a,b ;c: d", "x-amz-meta-a": "%20", "authorization": "AWS4 a=b/c, d=e"}
    body = {"PUT": b"\0\r\n\r\nGET / HTTP/1.1\r\n\r\n\xff", "POST": b"x" * 1_100_000}.get(method)
    with Script(FINE) as server:
        assert server.send(method, path, body, headers=headers).status == 200
    assert arrived(server) == [in_full(server, method, path, headers, body)]


@pytest.mark.parametrize("body", [b"", Pieces(iter(()), 0), Pieces(iter([b"", b""]), 0)])
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_an_empty_body_has_a_length(method: str, body: bytes | Pieces) -> None:
    with Script(FINE) as server:
        server.send(method, ODD, body, headers={"content-type": "text/x"})
    assert arrived(server) == [in_full(server, method, ODD, {"content-type": "text/x"}, b"")]


def test_a_header_without_a_value_arrives() -> None:
    with Script(FINE) as server:
        server.send(headers={"x-amz-meta-a": ""})
    assert ("x-amz-meta-a", "") in server.got[0].headers


@settings(max_examples=12)
@given(st.lists(st.sampled_from([1, 2, 1000, 65_536, 262_144, 262_145, 3 * MIB]), max_size=6))
def test_a_body_in_pieces_arrives_whole(sizes: list[int]) -> None:
    pieces = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
    with Script(FINE) as server:
        server.send("PUT", ODD, Pieces(iter(pieces), sum(sizes)))
    assert arrived(server) == [in_full(server, "PUT", ODD, {}, b"".join(pieces))]


def test_an_empty_piece_is_not_the_end() -> None:
    with Script(FINE) as server:
        server.send("PUT", "/", Pieces(iter([b"a", b"", b"b"]), 2))
    assert server.got[0].body == b"ab"


BODIES = st.sampled_from([None, b"", b"abc", b"z" * 300_000])
REQUESTS = st.tuples(st.sampled_from(METHODS), BODIES, st.booleans(), st.sampled_from(["content-type", "x-amz-meta-q"]))


@settings(max_examples=25)
@given(st.lists(REQUESTS, min_size=1, max_size=8))
def test_requests_share_a_connection_and_nothing_else(requests: list[tuple[str, bytes | None, bool, str]]) -> None:
    expected, lines = [], 0
    with Script(lambda got, _: whole(got.path.encode())[: -len(got.path) if got.method == "HEAD" else None]) as server:
        for number, (method, given_body, in_pieces, name) in enumerate(requests):
            body = given_body if method in {"PUT", "POST"} else None
            path, headers = f"/{number}", {name: str(number)}
            sent = Pieces(iter([body]), len(body)) if body and in_pieces else body
            if (
                isinstance(sent, Pieces) or not lines
            ):  # what can't be sent twice is sent on a connection that can't have ended
                lines += 1
            answer = server.send(method, path, sent, headers=headers)
            assert answer == (200, answer.headers, b"" if method == "HEAD" else path.encode())
            expected.append(in_full(server, method, path, headers, body))
    assert arrived(server) == expected
    assert len(server.sockets) == lines


def test_an_idle_connection_holds_no_bodies() -> None:
    body = b"".join([b"x", b"y" * MIB])
    before = sys.getrefcount(body)
    with Script(FINE) as server:
        server.send("PUT", "/", body)
        assert sys.getrefcount(body) == before


# -- answers


FRAMED = [
    CUT.removeprefix(OK).replace(b"9", b"5"),
    CHUNKED.removeprefix(OK) + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
    b"\r\nhello",
]


@pytest.mark.parametrize("framed", FRAMED)
@pytest.mark.parametrize(
    "before", [b"", b"HTTP/1.1 100 Go\r\nX-One: 0\r\n\r\n", b"HTTP/1.1 103 Hint\r\nA: b\r\n\r\n" * 2]
)
def test_an_answer_is_read(framed: bytes, before: bytes) -> None:
    lines = b'HTTP/1.1 206 Some\r\nX-One:  a \r\nETag: "x"\r\nx-oNe: b\r\nEmpty:\r\nCONTENT-ENCODING: gzip\r\n'
    with Script(says(before + lines + framed, EOFError)) as server:
        answer = server.send()
    named = {"x-one": "a, b", "etag": '"x"', "empty": "", "content-encoding": "gzip"}
    kept = {name: text for name, text in answer.headers.items() if name not in {"content-length", "transfer-encoding"}}
    assert (answer.status, kept, answer.data) == (206, named, b"hello")


def test_a_reason_may_have_a_colon() -> None:
    with Script(says(b"HTTP/1.1 100 Go: on\r\nA: b\r\n\r\nHTTP/1.1 204 OK: fine\r\nC: d\r\n\r\n")) as server:
        assert server.send() == (204, {"c": "d"}, b"")


@pytest.mark.parametrize("limit", [0, 1, 70_000, MIB])
@pytest.mark.parametrize("head", [OK + b"content-length: 999999999999\r\n\r\n", CHUNKED, OK + b"\r\n"])
@pytest.mark.parametrize("to_sink", [False, True])
def test_no_more_is_read_than_the_limit(limit: int, head: bytes, to_sink: bool) -> None:
    pieces = list[bytes]()
    piece = (b"100000\r\n%b\r\n" if head is CHUNKED else b"%b") % (b"x" * MIB)
    with Script(says(head, EOFError, piece)) as server:
        data = server.send(limit=limit, sink=pieces.append if to_sink else None).data
    assert (b"".join(pieces), data) == ((b"x" * limit, b"") if to_sink else (b"", b"x" * limit))
    assert not server.finished


def test_an_answer_within_the_limit_leaves_the_connection_open() -> None:
    with Script(FINE) as server:
        assert [server.send(limit=limit).data for limit in (4, 5, None)] == [b"fine"] * 3
    assert len(server.sockets) == 1


def test_what_comes_after_the_limit_does_not_matter() -> None:
    with Script(says(CUT, EOFError)) as server:
        assert server.send(limit=5).data == b"hello"


@pytest.mark.parametrize("status", [200, 206, 300, 404, 503])
def test_a_sink_gets_successes_only(status: int) -> None:
    body, pieces = b"y" * 50_000, list[bytes]()
    with Script(says(b"HTTP/1.1 100 Continue\r\n\r\n" + whole(body, status))) as server:
        answer = server.send(sink=pieces.append)
    assert (b"".join(pieces), answer.data) == ((body, b"") if status < 300 else (b"", body))


def test_an_error_is_not_read_for_ever() -> None:
    with Script(says(b"HTTP/1.1 500 No\r\n\r\n", EOFError, b"x" * MIB)) as server:
        assert 1 << 16 <= len(server.send(limit=3).data) <= MIB
    assert not server.finished, "64 MiB of an error were read"


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3), ConnectionTrouble(1, "")])
def test_what_callbacks_raise_comes_out(error: BaseException, capfd: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise error from KeyError("why")

    def pieces() -> Iterator[bytes]:
        yield b"x" * MIB
        fail()

    with Script(FINE) as server:
        for method, body, limit in (("GET", None, None), ("GET", None, 2), ("PUT", Pieces(pieces(), 2 * MIB), None)):
            with pytest.raises(type(error)) as caught:
                server.send(method, "/", body, limit=limit, sink=fail)
            assert caught.value is error
            assert capfd.readouterr() == ("", "")
            assert server.send("PUT", "/", b"abc").data == b"fine"
    assert [got.body for got in server.got] == [b"", b"abc", b"", b"abc", b"abc"]
    assert isinstance(error.__cause__, KeyError)


# -- many at a time


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.sampled_from(METHODS), BODIES, st.sampled_from([200, 404, 503])), max_size=30),
    st.integers(1, 8),
)
def test_many_requests_get_their_own_answers(requests: list[tuple[str, bytes | None, int]], width: int) -> None:
    def answer(got: Got, _: object) -> bytes:
        status, number = got.path.strip("/").split("/")
        return whole(number.encode(), int(status))[: -len(number) if got.method == "HEAD" else None]

    with Script(answer, concurrency=width, attempts=1) as server:
        sent = [
            (
                number,
                Request(method, f"{server.url}/{status}/{number}", {}, body if method in {"PUT", "POST"} else None),
            )
            for number, (method, body, status) in enumerate(requests)
        ]
        got = dict(server.connections.send_many(iter(sent)))
    assert got.keys() == dict(sent).keys()
    for number, (method, _, status) in enumerate(requests):
        reply = got[number]
        assert isinstance(reply, Reply)
        assert (reply.status, reply.data) == (status, b"" if method == "HEAD" else b"%d" % number)
    bodies = {int(request.path.rpartition("/")[2]): request.body for request in server.got}
    assert bodies == {number: request.body or b"" for number, request in sent}
    assert len(server.sockets) <= width


def test_many_requests_are_under_way_at_once_and_no_more_than_asked_for() -> None:
    together = threading.Barrier(4)

    def answer(got: Got, _: object) -> bytes:
        together.wait(10)
        return whole(b"fine")

    with Script(answer, concurrency=4) as server:
        sent = ((number, Request("GET", server.url, {})) for number in range(12))
        assert len(list(server.connections.send_many(sent))) == 12
    assert len(server.sockets) == 4


def test_the_trouble_of_one_is_its_own() -> None:
    with Script(
        lambda got, line: whole(b"fine") if got.path != "/3" else says(CUT, EOFError)(got, line), concurrency=3
    ) as server:
        sent = [(number, Request("GET", f"{server.url}/{number}", {})) for number in range(8)]
        got = dict(server.connections.send_many(sent))
        assert isinstance(got.pop(3), ConnectionTrouble)
        assert [reply.data for reply in got.values() if isinstance(reply, Reply)] == [b"fine"] * 7


def test_leaving_early_breaks_off_what_is_under_way() -> None:
    with Script(lambda got, line: whole(b"fine") if got.path == "/0" else server.stall(), concurrency=4) as server:
        sent = [(number, Request("GET", f"{server.url}/{number}", {})) for number in range(8)]
        answers = server.connections.send_many(iter(sent))
        assert next(answers)[0] == 0
        answers.close()  # type: ignore[attr-defined]
        server.answer = FINE
        assert server.send().data == b"fine"
    assert len(server.got) <= 5
