"""Ports for programs that can't be told to take a free one and say which."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

_SIZE = 16
# Below 32768, where Linux starts to take ports for outgoing connections; so nobody gets one of these by chance.
_FIRST, _END = 20_000, 32_000


class PortBlock:
    """Neighbouring ports of 127.0.0.1 that no other block has, in any process of this machine, until it is closed.

    The first port of a block is bound by the block itself. That is its mark for others, and it goes with the process.
    """

    def __init__(self) -> None:
        starts = range(_FIRST, _END, _SIZE)
        for start in random.SystemRandom().sample(starts, len(starts)):  # not what a test has seeded
            if (mark := _claim(start)) is not None:
                self._mark = mark
                self.numbers = range(start + 1, start + _SIZE)
                return
        raise OSError(f"no {_SIZE} neighbouring ports are free from {_FIRST} to {_END}")

    def close(self) -> None:
        self._mark.close()


def _claim(start: int) -> socket.socket | None:
    """The bound socket of a block's first port, where the others can be bound too."""
    with ExitStack() as bound:
        try:
            mark, *_ = (bound.enter_context(_bind(port)) for port in range(start, start + _SIZE))
        except OSError:
            return None
        return mark.dup()


def _bind(port: int) -> socket.socket:
    probe = socket.socket()
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        probe.close()
        raise
    return probe
