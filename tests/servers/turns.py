"""Programs on one store, each in a thread, that go on one request at a time and in an order that is given."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

from clocked_store import ClockedStore


class _Program(threading.Thread):
    def __init__(self, name: str, work: Callable[[], object]) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self.go = threading.Semaphore(0)
        self.waits = threading.Semaphore(0)
        self.ended = False
        self.error: BaseException | None = None

    def run(self) -> None:
        self.go.acquire()
        try:
            self._work()
        except BaseException as error:
            self.error = error
        self.ended = True
        self.waits.release()

    def turn(self) -> None:
        """Called in the thread, before each request."""
        self.waits.release()
        self.go.acquire()

    def step(self) -> None:
        """Called by who has the say: one request, and all that comes until the next."""
        self.go.release()
        assert self.waits.acquire(timeout=30), f"{self.name} hangs"


def take_turns(
    store: ClockedStore, programs: Mapping[str, Callable[[], object]], turns: Iterable[tuple[str, int]]
) -> dict[str, BaseException | None]:
    """Run these programs to their end; what each failed with.

    Args:
        turns: whose turn it is, and for how many requests; after the last all go on in rotation.
    """
    running = {name: _Program(name, work) for name, work in programs.items()}

    def before(request: str, key: str) -> None:
        me = threading.current_thread()
        if isinstance(me, _Program):
            me.turn()

    store.before = before
    for program in running.values():
        program.start()

    def step(program: _Program) -> None:
        if not program.ended:
            program.step()

    for name, count in turns:
        for _ in range(count):
            step(running[name])
    for _ in range(100_000):
        if all(program.ended for program in running.values()):
            break
        for program in running.values():
            step(program)
    else:
        raise AssertionError("they don't come to an end")
    store.before = lambda request, key: None
    return {name: program.error for name, program in running.items()}
