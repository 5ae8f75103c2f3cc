"""Many small files moved by several processes of this machine.

For a provider that is only system calls, such as local disk, threads are of no use: each call hands the interpreter
lock over and back, and two threads took 1.6 times as long as one (10,000 files of 4 KiB on ext4, two cores), two
processes half as long. The processes are forked, so that each starts with the plan at hand and without an import.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import struct
import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from types import FrameType
from typing import NamedTuple, NoReturn

from domain.errors import StorageError
from domain.transfer import TransferAction

_SLICE = 64
"""Files that a process takes at a time. A ticket for each slice has to fit into a pipe."""
_PIPE_TICKETS = 8192
_TICKET = struct.Struct("=I")
_LENGTH = struct.Struct("=I")
_WORTH_IT = 1000
_SMALL = 1 << 20


class Stored(NamedTuple):
    """What a file was moved to or from, as both were then.

    Attributes:
        etag: of the object.
        sha256: of both; empty where it is not known.
        state: of the file; empty where nobody wants to know.
    """

    etag: str
    sha256: str
    state: str = ""


class Outcome(NamedTuple):
    """What became of one slice: the actions tried, each with the object, or with what kept it from being moved."""

    results: Sequence[tuple[TransferAction, Stored | StorageError]]


class WorkerDied(Exception):
    """A process ended without having done its part; the argument says how."""


def worth_processes(actions: Sequence[TransferAction]) -> int:
    """How many processes to use: 1 where the work is little, the files are large, or a fork would not be safe."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores < 2 or len(actions) < _WORTH_IT or threading.active_count() > 1:
        return 1
    if sum(action.size for action in actions) > _SMALL * len(actions):
        return 1
    return min(cores, 4)


def in_processes(
    actions: Sequence[TransferAction],
    processes: int,
    move: Callable[[TransferAction], Stored],
    close: Callable[[], None],
    done: Callable[[Outcome], bool],
) -> None:
    """Carry out `actions` in forked processes.

    Whatever ends this call, an interrupt too, each process first ends the file that it is at.

    Args:
        move: called for each action, in one of the processes.
        close: called once in each process at its end.
        done: called here for each slice; False asks all processes to stop.

    Raises:
        WorkerDied: one was killed, or met an error that is no `StorageError`.
    """
    size = max(_SLICE, -(-len(actions) // _PIPE_TICKETS))
    tickets, fill = os.pipe()
    for start in range(0, len(actions), size):
        os.write(fill, _TICKET.pack(start))
    os.close(fill)
    pids: dict[int, int] = {}

    told, asked_to_stop = 0, False

    def hear(answers: int) -> bool:
        nonlocal told, asked_to_stop
        heard = _receive(answers)
        if heard is None:
            return False
        start, results, trace = heard
        told += len(results)
        if not done(Outcome(list(zip(actions[start : start + len(results)], results, strict=True)))):
            asked_to_stop = True
            _interrupt(pids.values())
        if trace:
            died = WorkerDied(trace.splitlines()[-1])
            died.add_note(trace)
            raise died
        return True

    try:
        for _ in range(processes):
            answers, speak = os.pipe()
            # An interrupt between the fork and the child's own handler would make a second parent of it.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                pid = os.fork()
                if not pid:
                    # As long as a child can read them itself, the pipes of a parent that is gone do not break.
                    for pipe in (answers, *pids):
                        os.close(pipe)
                    _work(actions, size, tickets, speak, move, close)
                pids[answers] = pid
                os.close(speak)
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        while pids:
            for ready in select.select(list(pids), [], [])[0]:
                if not hear(ready):
                    os.close(ready)
                    _, status = os.waitpid(pids.pop(ready), 0)
                    if status:
                        raise WorkerDied(f"it ended with status {os.waitstatus_to_exitcode(status)}")
        if told < len(actions) and not asked_to_stop:
            raise WorkerDied(f"{len(actions) - told:,} files were not told of")
    finally:
        os.close(tickets)
        _interrupt(pids.values())
        for answers, pid in pids.items():
            # What went wrong first is what is raised; here all that counts is that each process ends.
            heard = True
            while heard:
                with suppress(Exception):
                    heard = hear(answers)
            os.close(answers)
            os.waitpid(pid, 0)


def _work(
    actions: Sequence[TransferAction],
    size: int,
    tickets: int,
    speak: int,
    move: Callable[[TransferAction], Stored],
    close: Callable[[], None],
) -> NoReturn:
    """The life of one process."""
    stopped = False
    parent = os.getppid()

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True

    try:
        # An interrupt ends the work between two files; a parent that is gone ends it at the next answer.
        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        start, trace = 0, ""
        while not stopped and not trace and os.getppid() == parent and (ticket := os.read(tickets, _TICKET.size)):
            (start,) = _TICKET.unpack(ticket)
            results: list[Stored | StorageError] = []
            try:
                for action in actions[start : start + size]:
                    if stopped:
                        break
                    try:
                        results.append(move(action))
                    except StorageError as error:
                        results.append(error)
            except Exception:
                trace = traceback.format_exc()
            message = pickle.dumps((start, results, trace))
            _write(speak, _LENGTH.pack(len(message)) + message)
        close()
    except BaseException:
        os._exit(70)
    finally:
        os._exit(0)


def _interrupt(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)


def _write(pipe: int, message: bytes) -> None:
    view = memoryview(message)
    while view:
        view = view[os.write(pipe, view) :]


def _receive(pipe: int) -> tuple[int, list[Stored | StorageError], str] | None:
    """The next answer of a process; None at its end."""
    head = _read(pipe, _LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    message = _read(pipe, length)
    # Both ends are this program; nobody else writes into the pipe.
    return pickle.loads(message) if len(message) == length else None  # noqa: S301


def _read(pipe: int, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size and (part := os.read(pipe, size - len(parts))):
        parts += part
    return bytes(parts)
