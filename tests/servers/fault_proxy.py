"""A way to a real S3 server on which, by the seed, requests and answers come to harm."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any, NamedTuple

from stub_store import PassOn, Reply, Request, StubStore, refusal

CUTS = ("request cut", "answer lost", "answer cut in its head", "answer cut", "answer short")
STALLS = ("stalled", "stalled, then cut")
REFUSALS = ("500", "503", "429", "500 though done")
FLIPS = ("bit flipped in request", "bit flipped in answer")
KINDS = (*CUTS, *STALLS, *REFUSALS, *FLIPS)
"""What can happen.

A cut keeps the Content-Length; a short answer has that of what is left, and is whole as far as HTTP goes. Bits flip only in what
somebody has a hash of: the bodies of requests, which are signed over plain http, and those of objects.
"""


class Fault(NamedTuple):
    """What was done to which request."""

    kind: str
    method: str
    target: str


class FaultProxy(StubStore):
    """Passes requests on to the server at `url`, and harms about `rate` of them as long as the `with` block lasts.

    What happens to a request depends on the seed, the request, and how often it came before: not on the order in which
    threads send theirs.

    Attributes:
        rate: from 0 to 1; may be changed at any time.
        kinds: those of `KINDS` that happen.
        concerns: which requests may come to harm.
        done: what happened so far.
    """

    def __init__(
        self,
        url: str,
        *,
        seed: int = 0,
        rate: float = 0,
        kinds: Sequence[str] = KINDS,
        concerns: Callable[[Request], bool] = lambda request: True,
        stall_seconds: float = 1,
    ) -> None:
        super().__init__(self._answered)
        self.rate, self.kinds, self.concerns = rate, kinds, concerns
        self.done: list[Fault] = []
        self._seed, self._stall_seconds = seed, stall_seconds
        self._real = PassOn(url)
        self._came: Counter[tuple[str, str, str]] = Counter()
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        super().__exit__(*error)

    def counts(self) -> Counter[str]:
        """How often each kind happened."""
        return Counter(fault.kind for fault in self.done)

    def began(self, request: Request) -> int | None:
        super().began(request)
        _, _, key = request.path.removeprefix("/").partition("/")  # buckets have another name each time
        part = request.headers.get("range", "") + request.query.get("partNumber", "")
        with self._lock:
            self._came[come := (request.method, key, part)] += 1
            random = Random(f"{self._seed} {come} {self._came[come]}")
        size = int(request.headers.get("content-length") or 0)
        possible = [kind for kind in self.kinds if _possible(kind, request, size)]
        harmed = random.random() < self.rate and possible and self.concerns(request)
        request.fate = (random.choice(possible) if harmed else None), random
        if request.fate[0] == "request cut":
            self._note("request cut", request)
            return random.randrange(size)
        return None

    def _answered(self, request: Request) -> Reply:
        kind, random = request.fate
        if kind is None:
            return self._real(request)
        if kind in {"500", "503", "429"}:
            self._note(kind, request)
            return _refusal(kind)
        if kind == "bit flipped in request":
            self._note(kind, request)
            request.body = _flipped(request.body, random)
            return self._real(request)
        reply = self._real(request)
        if kind in {"answer cut", "answer short", "bit flipped in answer"} and not reply.body:
            kind = "answer cut in its head"
        self._note(kind, request)
        return self._harmed(reply, kind, random)

    def _harmed(self, reply: Reply, kind: str, random: Random) -> Reply:
        at = random.randrange(len(reply.body)) if reply.body else 0
        reset = random.random() < 0.5
        match kind:
            case "answer lost":
                return replace(reply, cut_head_after=0, reset=reset)
            case "answer cut in its head":
                return replace(reply, cut_head_after=random.randrange(1, 36), reset=reset)
            case "answer cut":
                return replace(reply, cut_after=at, reset=reset)
            case "answer short":
                return replace(reply, body=reply.body[:at], headers=reply.headers | {"content-length": str(at)})
            case "stalled":
                self._ended.wait(self._stall_seconds)
                return reply
            case "stalled, then cut":
                self._ended.wait(self._stall_seconds)
                return replace(reply, cut_head_after=0, reset=reset)
            case "bit flipped in answer":
                return replace(reply, body=_flipped(reply.body, random))
            case "500 though done":
                return _refusal("500")
        raise ValueError(kind)

    def _note(self, kind: str, request: Request) -> None:
        self.done.append(Fault(kind, request.method, request.target))


def _possible(kind: str, request: Request, size: int) -> bool:
    if kind in {"request cut", "bit flipped in request"}:
        return size > 0
    if kind == "bit flipped in answer":
        return request.method == "GET" and not request.query
    return True


def _flipped(body: bytes, random: Random) -> bytes:
    changed = bytearray(body)
    changed[random.randrange(len(body))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _refusal(status: str) -> Reply:
    codes: dict[str, Any] = {"500": "InternalError", "503": "SlowDown", "429": "TooManyRequests"}
    return refusal(int(status), codes[status])
