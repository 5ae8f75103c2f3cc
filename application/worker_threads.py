"""Many files moved by several threads, for a store behind a network: while one waits for an answer, others send."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import Empty, SimpleQueue

from application.interruption import Interruption
from application.worker_processes import Outcome, Stored
from domain.errors import StorageError
from domain.transfer import TransferAction

_THREADS = 8

_SMALL_BYTES = 1 << 20
_LARGE_BYTES = 8 << 20
"""A file above this is moved in several pieces at once by the provider itself."""
_LARGE_AT_A_TIME = 2
"""Files are held in memory, in whole or in pieces, which must not grow with the number of threads."""
_TOLD_TOGETHER = 64
_TOLD_EVERY = 0.05
_LOOK_EVERY = 0.1


MoveMany = Callable[[Iterable[TransferAction]], Iterator[tuple[TransferAction, Stored | StorageError]]]


def in_threads(
    actions: Sequence[TransferAction],
    move: Callable[[TransferAction], Stored],
    done: Callable[[Outcome], bool],
    interruption: Interruption,
    *,
    move_many: MoveMany | None = None,
    threads: int = _THREADS,
) -> None:
    """Move every action; `done` hears of the outcomes in this thread, and ends it all by returning False.

    What has begun when it ends is brought to an end: a file is moved whole or not at all.

    Args:
        move_many: moves small files, many at a time in one thread; without it they are moved one by one, as others.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    crew = _Crew(move)
    if move_many is None:
        crew.start(actions, min(threads, len(actions)))
    else:
        small = sum(action.size <= _SMALL_BYTES for action in actions)
        larger = (action for action in actions if action.size > _SMALL_BYTES)
        crew.start(larger, min(threads, len(actions) - small))
        crew.start((action for action in actions if action.size <= _SMALL_BYTES), min(1, small), move_many)
    try:
        going = True
        while going and (outcome := crew.next_outcome(interruption)):
            going = done(outcome)
    finally:
        crew.stop()
        while rest := crew.left():
            done(rest)
    if crew.interrupted:
        raise KeyboardInterrupt
    if crew.broken:
        raise crew.broken


class _Shared:
    """An iterator that several threads take from, which a generator does not allow."""

    def __init__(self, actions: Iterable[TransferAction]) -> None:
        self._actions = iter(actions)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[TransferAction]:
        return self

    def __next__(self) -> TransferAction:
        with self._lock:
            return next(self._actions)


class _Crew:
    """The threads, what they have still to do, and what they have done."""

    def __init__(self, move: Callable[[TransferAction], Stored]) -> None:
        self._move = move
        self._outcomes: SimpleQueue[Outcome | None] = SimpleQueue()
        self._stopped = threading.Event()
        self._large = threading.Semaphore(_LARGE_AT_A_TIME)
        self._threads: list[threading.Thread] = []
        self._ended = 0
        self.interrupted = False
        self.broken: BaseException | None = None

    def start(self, actions: Iterable[TransferAction], threads: int, move_many: MoveMany | None = None) -> None:
        """Have so many threads move these."""
        left = _Shared(actions)
        for number in range(threads):
            # Daemons: a second interrupt ends the program also where a store does not answer.
            thread = threading.Thread(
                target=self._work, args=(left, move_many or self._one_by_one), name=f"lading-{number}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def next_outcome(self, interruption: Interruption) -> Outcome | None:
        """What was done since; None when there is nothing more to come."""
        while self._ended < len(self._threads):
            interruption.check()
            try:
                outcome = self._outcomes.get(timeout=_LOOK_EVERY)
            except Empty:
                continue
            if outcome is not None:
                return outcome
            self._ended += 1
        return None

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def left(self) -> Outcome | None:
        """What was done and not yet told, after all have ended."""
        while True:
            try:
                outcome = self._outcomes.get_nowait()
            except Empty:
                return None
            if outcome is not None:
                return outcome

    def _work(self, actions: Iterator[TransferAction], move_many: MoveMany) -> None:
        results: list[tuple[TransferAction, Stored | StorageError]] = []
        told = time.monotonic()
        try:
            for action, result in move_many(self._until_stopped(actions)):
                results.append((action, result))
                # Telling wakes another thread: not for every small file.
                if (
                    isinstance(result, StorageError)
                    or len(results) >= _TOLD_TOGETHER
                    or time.monotonic() - told > _TOLD_EVERY
                ):
                    self._outcomes.put(Outcome(results))
                    results, told = [], time.monotonic()
        except KeyboardInterrupt:
            self.interrupted = True
            self._stopped.set()
        except BaseException as error:
            self.broken = error
            self._stopped.set()
        if results:
            self._outcomes.put(Outcome(results))
        self._outcomes.put(None)

    def _until_stopped(self, actions: Iterator[TransferAction]) -> Iterator[TransferAction]:
        for action in actions:
            if self._stopped.is_set():
                return
            yield action

    def _one_by_one(self, actions: Iterable[TransferAction]) -> Iterator[tuple[TransferAction, Stored | StorageError]]:
        for action in actions:
            try:
                if action.size > _LARGE_BYTES:
                    with self._large:
                        if self._stopped.is_set():  # while this one waited for its turn
                            return
                        info = self._move(action)
                else:
                    info = self._move(action)
            except StorageError as error:
                yield action, error
            else:
                yield action, info
