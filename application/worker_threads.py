"""Many files moved by several threads, for a store behind a network: while one waits for an answer, others send."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

from application.interruption import Interruption
from application.worker_processes import Outcome
from domain.errors import StorageError
from domain.transfer import TransferAction

UPLOADING_THREADS = 32
DOWNLOADING_THREADS = 8
"""More threads are not more speed. 5,000 files of 4 KiB, medians of four, server and client on the same two cores:

threads             8       16      32      64
up, seconds         4.8     4.5     3.8     4.3
down, seconds       3.4     3.4     3.3     4.0
down, CPU seconds   1.9     2.1     2.3     2.9
"""

_MIDDLING_BYTES = 1 << 20
_MIDDLING_AT_A_TIME = 8
_LARGE_BYTES = 8 << 20
"""A file above this is moved in several pieces at once by the provider itself."""
_LARGE_AT_A_TIME = 2
"""Files are held in memory, in whole or in pieces, which must not grow with the number of threads."""
_TOLD_TOGETHER = 64
_TOLD_EVERY = 0.05
_LOOK_EVERY = 0.1


def in_threads(
    actions: Sequence[TransferAction],
    move: Callable[[TransferAction], None],
    done: Callable[[Outcome], bool],
    interruption: Interruption,
    *,
    threads: int,
) -> None:
    """Move every action; `done` hears of the outcomes in this thread, and ends it all by returning False.

    What has begun when it ends is brought to an end: a file is moved whole or not at all.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    crew = _Crew(actions, move)
    crew.start(min(threads, len(actions)))
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


class _Crew:
    """The threads, what they have still to do, and what they have done."""

    def __init__(self, actions: Sequence[TransferAction], move: Callable[[TransferAction], None]) -> None:
        self._actions = iter(actions)  # `next` on it is one step for all threads
        self._move = move
        self._outcomes: SimpleQueue[Outcome | None] = SimpleQueue()
        self._stopped = threading.Event()
        self._middling = threading.Semaphore(_MIDDLING_AT_A_TIME)
        self._large = threading.Semaphore(_LARGE_AT_A_TIME)
        self._threads: list[threading.Thread] = []
        self._ended = 0
        self.interrupted = False
        self.broken: BaseException | None = None

    def start(self, threads: int) -> None:
        # Daemons: a second interrupt ends the program also where a store does not answer.
        self._threads = [
            threading.Thread(target=self._work, name=f"lading-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
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

    def _work(self) -> None:
        finished: list[TransferAction] = []
        failures: list[tuple[TransferAction, StorageError]] = []
        told = time.monotonic()
        try:
            for action in self._actions:
                if self._stopped.is_set():
                    break
                try:
                    if action.size > _MIDDLING_BYTES:
                        with self._large if action.size > _LARGE_BYTES else self._middling:
                            if self._stopped.is_set():  # while this one waited for its turn
                                break
                            self._move(action)
                    else:
                        self._move(action)
                except StorageError as error:
                    failures.append((action, error))
                finished.append(action)
                # Telling wakes another thread: not for every small file.
                if failures or len(finished) >= _TOLD_TOGETHER or time.monotonic() - told > _TOLD_EVERY:
                    self._outcomes.put(Outcome(finished, failures))
                    finished, failures, told = [], [], time.monotonic()
        except KeyboardInterrupt:
            self.interrupted = True
            self._stopped.set()
        except BaseException as error:
            self.broken = error
            self._stopped.set()
        if finished:
            self._outcomes.put(Outcome(finished, failures))
        self._outcomes.put(None)
