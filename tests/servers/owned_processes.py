"""Programs of a test server: what starts them, waits for them, tells why they failed, and ends them in every case."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

# What would change how the servers behave, were it to come along from the developer's shell.
_FOREIGN = ("AWS_", "CEPH_", "MOTO_", "PYTHON", "RCLONE_", "S3_", "STORAGE_")


class ServerFailed(Exception):
    """A test server did not come up, or a command to it failed; the message ends with what its programs said."""


class OwnedProcesses:
    """The processes of one server, which live no longer than the process that made them.

    They end with `stop`, else with this interpreter, and on Linux also when it is killed: `setpriv` has the kernel send
    SIGKILL then. The kernel goes by the *thread* that started them, so start servers from a thread that stays. What is
    stored in them is meant to be lost: they are killed, not asked.
    """

    def __init__(self, logs: Path) -> None:
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        self._logs = logs
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._owner = os.getpid()
        self._bound = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        logs.mkdir(parents=True, exist_ok=True)
        atexit.register(self.stop)

    def spawn(self, name: str, *command: str) -> None:
        """Start a program that stays; `name` is also the name of its log."""
        with self._log(name).open("ab") as log:
            self._started[name] = subprocess.Popen(
                [*self._bound, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # a Ctrl-C in the terminal is for the tests to handle
            )

    def run(self, name: str, *command: str, timeout: float) -> str:
        """Run a program to its end; its output."""
        with self._log(name).open("ab") as log:
            try:
                done = subprocess.run(
                    [*self._bound, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=self._environment,
                    encoding="utf-8",
                    timeout=timeout,
                )
            except subprocess.TimeoutExpired as error:
                raise self.failure(f"{name} took more than {timeout} s") from error
        if done.returncode:
            raise self.failure(f"{name} ended with {done.returncode}")
        return done.stdout

    def finish(self, name: str, timeout: float) -> None:
        """Wait for the end of a program that was spawned."""
        try:
            status = self._started[name].wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise self.failure(f"{name} took more than {timeout} s") from error
        if status:
            raise self.failure(f"{name} ended with {status}")
        del self._started[name]

    def wait_until(self, ready: Callable[[], T | None], timeout: float) -> T:
        """What `ready` gives as soon as that is something; fails when a program ends before."""
        end = time.monotonic() + timeout
        while True:
            if (found := ready()) is not None:
                return found
            for name, process in self._started.items():
                if process.poll() is not None:
                    raise self.failure(f"{name} ended with {process.returncode}")
            if time.monotonic() > end:
                raise self.failure(f"not ready after {timeout} s")
            time.sleep(0.01)

    @property
    def pids(self) -> dict[str, int]:
        """The programs that were spawned and not ended, by name."""
        return {name: process.pid for name, process in self._started.items()}

    def announced(self, name: str, pattern: str, timeout: float) -> str:
        """The first group of `pattern`, as soon as a program has written that."""

        def written() -> str | None:
            found = re.search(pattern, _text(self._log(name)))
            return found[1] if found else None

        return self.wait_until(written, timeout)

    def failure(self, reason: str) -> ServerFailed:
        """The exception for `reason`, with the last lines of every log."""
        parts = [reason]
        for log in sorted(self._logs.iterdir()):
            if lines := [line for line in _text(log).splitlines() if line][-15:]:
                parts += [f"-- {log.name}", *lines]
        return ServerFailed("\n".join(parts))

    def stop(self) -> None:
        """End what was started and is still there. In a fork of the owner nothing happens: they are not its own."""
        if os.getpid() != self._owner:
            return
        atexit.unregister(self.stop)
        for process in self._started.values():
            process.kill()
        for process in self._started.values():
            process.wait()
        self._started.clear()

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")
