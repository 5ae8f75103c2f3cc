"""Files moved by forked processes: each once, every failure told, no process left.

Each test is a program of its own: a fork wants a process without other threads.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from application.worker_processes import worth_processes
from domain.transfer import TransferAction

BEGINNING = """
import json, os, signal, sys, time
from application.worker_processes import Stored, WorkerDied, in_processes
from domain.errors import ContentCorrupted, LocalFileError, StorageError
from domain.transfer import TransferAction

folder = sys.argv[1]
parent = os.getpid()
seen, failures, stored = [], [], {}

def actions(count):
    return [TransferAction(f"{folder}/{number}", f"k/{number}", 1, "asked for") for number in range(count)]

def number_of(action):
    return int(action.key[2:])

def mark(action):
    os.close(os.open(action.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))

def stored_as(action):
    return Stored(f"etag of {action.key}", "" if number_of(action) % 2 else action.key * 2, "state")

def done(outcome):
    for action, result in outcome.results:
        seen.append(action.key)
        if isinstance(result, StorageError):
            failures.append((action.key, type(result).__name__, result.message, result.key))
        else:
            stored[action.key] = result
    return True

def run(count, move, processes=2, close=lambda: None, done=done):
    try:
        in_processes(actions(count), processes, lambda action: move(action) or stored_as(action), close, done)
        return None
    except (Exception, KeyboardInterrupt) as error:
        return " ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])

def tell(**facts):
    try:
        left = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        left = None
    print(json.dumps({**facts, "seen": len(seen), "distinct": len(set(seen)), "failures": failures, "left": left}))
"""

Run = Callable[[str], dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def start(script: str) -> dict[str, Any]:
        # In a session of its own, so that whatever it may leave behind can be ended with it.
        command = [sys.executable, "-c", BEGINNING + script, str(tmp_path)]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, start_new_session=True, **pipes) as process:
            try:
                output, complaints = process.communicate(timeout=12)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        assert process.returncode == 0, complaints
        (line,) = output.splitlines()
        said: dict[str, Any] = json.loads(line)
        assert said["left"] is None, "a process is left"
        return said

    return start


def test_every_action_is_done_once(run: Run, tmp_path: Path) -> None:
    said = run("tell(error=run(1000, mark, processes=4))")
    assert said["error"] is None
    assert (said["seen"], said["distinct"], said["failures"]) == (1000, 1000, [])
    assert {int(name) for name in os.listdir(tmp_path)} == set(range(1000))


def test_what_is_known_of_each_object_comes_home(run: Run) -> None:
    said = run("tell(error=run(200, mark), stored=[[key, *stored[key]] for key in seen])")
    assert sorted(said["stored"]) == sorted(
        [f"k/{number}", f"etag of k/{number}", "" if number % 2 else f"k/{number}k/{number}", "state"]
        for number in range(200)
    )


def test_nothing_is_done_in_this_process_and_each_other_one_closes_once(run: Run, tmp_path: Path) -> None:
    said = run(
        "def close():\n"
        "    mark(TransferAction(f'{folder}/closed-{os.getpid()}', '', 0, ''))\n"
        "def move(action):\n"
        "    assert os.getpid() != parent\n"
        "tell(error=run(500, move, processes=3, close=close))"
    )
    assert (said["error"], said["distinct"]) == (None, 500)
    assert len(os.listdir(tmp_path)) == 3


def test_failures_come_home_with_kind_message_and_key(run: Run) -> None:
    said = run(
        "def move(action):\n"
        "    if number_of(action) % 100 == 7:\n"
        "        raise ContentCorrupted(f'bad {action.key}', provider='p', key=action.key)\n"
        "tell(error=run(1000, move))"
    )
    assert (said["error"], said["distinct"]) == (None, 1000)
    assert sorted(said["failures"], key=lambda failure: failure[0]) == sorted(
        [f"k/{number}", "ContentCorrupted", f"bad k/{number}", f"k/{number}"] for number in range(7, 1000, 100)
    )


def test_a_killed_process_is_noticed(run: Run) -> None:
    said = run(
        "def move(action):\n"
        "    if number_of(action) == 700:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "tell(error=run(2000, move))"
    )
    assert said["error"].startswith("WorkerDied: ")
    assert "-9" in said["error"]
    assert said["distinct"] == said["seen"] < 2000


def test_an_error_that_nobody_foresaw_comes_home_with_its_trace(run: Run) -> None:
    said = run(
        "def move(action):\n"
        "    if number_of(action) == 700:\n"
        "        raise TypeError('boom')\n"
        "tell(error=run(1000, move))"
    )
    assert said["error"].startswith("WorkerDied: ")
    assert "TypeError: boom" in said["error"]
    assert "Traceback" in said["error"]


def test_no_process_is_left_where_all_meet_such_an_error(run: Run) -> None:
    said = run(
        "def move(action):\n"
        "    time.sleep(0.05)\n"
        "    raise TypeError('boom ' * 50_000)\n"
        "tell(error=run(1000, move, processes=4)[:20])"
    )
    assert said["error"].startswith("WorkerDied: ")


@pytest.mark.parametrize(
    "failure",
    [
        "class Odd(StorageError): pass\n    raise Odd('x', key=action.key)",  # of a local class: it can't be pickled
        "raise SystemExit(0)",
        "raise StorageError('x', key=lambda: 0)",
        "os._exit(0)",
        "os.kill(os.getpid(), signal.SIGINT)",
    ],
)
def test_what_can_not_come_home_is_not_taken_for_done(run: Run, failure: str) -> None:
    said = run(f"def move(action):\n    {failure}\ntell(error=run(100, move, processes=2))")
    assert said["error"] is not None or len(said["failures"]) == said["distinct"] == 100


def test_a_failing_close_is_noticed(run: Run) -> None:
    said = run(
        "def close():\n    raise OSError('disk gone')\n"
        # Of several, the one that ends first stops the others.
        "tell(error=run(100, lambda action: None, close=close, processes=1))"
    )
    assert said["error"] is not None
    assert said["distinct"] == 100


def test_a_no_from_the_caller_stops_all(run: Run, tmp_path: Path) -> None:
    said = run(
        "def move(action):\n"
        "    mark(action)\n"
        "    time.sleep(0.001)\n"
        "def no(outcome):\n"
        "    done(outcome)\n"
        "    return False\n"
        "tell(error=run(20_000, move, done=no))"
    )
    assert said["error"] is None
    assert 0 < said["seen"] == said["distinct"] < 2000
    assert len(os.listdir(tmp_path)) == said["seen"], "all that was done is told"


def test_an_error_of_the_caller_leaves_no_process(run: Run) -> None:
    said = run(
        "def fail(outcome):\n"
        "    raise ValueError('the screen is gone')\n"
        "tell(error=run(20_000, lambda action: time.sleep(0.001), processes=4, done=fail))"
    )
    assert said["error"] == "ValueError: the screen is gone"


def test_an_interrupt_lets_each_process_end_its_file(run: Run, tmp_path: Path) -> None:
    said = run(
        "def interrupt(number, frame):\n"
        "    raise KeyboardInterrupt\n"
        "def move(action):\n"
        "    mark(action)\n"
        "    time.sleep(0.002)\n"
        "    os.rename(action.path, action.path + '.whole')\n"
        "signal.signal(signal.SIGALRM, interrupt)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.3)\n"
        "tell(error=run(20_000, move, processes=3))"
    )
    assert said["error"].startswith("KeyboardInterrupt")
    names = os.listdir(tmp_path)
    assert names
    assert all(name.endswith(".whole") for name in names)
    assert said["distinct"] == said["seen"] == len(names), "what was done is told also then"


def test_an_interrupt_just_after_the_fork_does_not_make_a_second_parent(run: Run) -> None:
    said = run(
        "import application.worker_processes as module\n"
        "fork = os.fork\n"
        "def interrupted():\n"
        "    pid = fork()\n"
        "    if not pid:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        for _ in range(100): pass\n"
        "    return pid\n"
        "module.os.fork = interrupted\n"
        "error = run(100, lambda action: None)\n"
        "if os.getpid() != parent:\n"
        "    print('a second parent')\n"
        "    sys.exit(3)\n"
        "tell(error=error)"
    )
    assert said["seen"] == said["distinct"] <= 100


def test_more_slices_than_a_pipe_holds_tickets(run: Run) -> None:
    said = run("tell(error=run(64 * 8192 + 1000, lambda action: None))")
    assert said["error"] is None
    assert said["seen"] == said["distinct"] == 64 * 8192 + 1000


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65])
def test_few_actions_are_all_done(run: Run, count: int) -> None:
    said = run(f"tell(error=run({count}, lambda action: None, processes=4))")
    assert (said["error"], said["seen"], said["distinct"]) == (None, count, count)


def test_processes_are_used_for_many_small_files_of_a_program_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    small = [TransferAction("p", "k", 4096, "new")] * 5000
    assert worth_processes(small) > 1
    assert worth_processes(small[:10]) == 1
    assert worth_processes([action._replace(size=100 << 20) for action in small]) == 1
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    assert worth_processes(small) == 1


def test_an_interrupt_just_after_a_fork_leaves_nobody_waiting(run: Run) -> None:
    said = run(
        "fork = os.fork\n"
        "def interrupted_fork():\n"
        "    pid = fork()\n"
        "    if pid:\n"
        "        os.kill(parent, signal.SIGINT)\n"
        "    return pid\n"
        "os.fork = interrupted_fork\n"
        "tell(error=run(1000, mark))"
    )
    assert said["error"].startswith("KeyboardInterrupt")
    assert said["seen"] == said["distinct"] < 1000
    assert said["left"] is None
