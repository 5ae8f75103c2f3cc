"""Programs of their own, for what one process can't show; whatever they leave is ended with them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts `python -c script arguments…`, with pipes for its input and output."""
    started: list[subprocess.Popen[str]] = []

    def begin(script: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", script, *map(str, arguments)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
        started.append(process)
        return process

    yield begin
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def run(start: Start) -> Callable[..., str]:
    """Runs such a program to its end; its output."""

    def to_the_end(script: str, *arguments: object) -> str:
        process = start(script, *arguments)
        output, complaints = process.communicate(timeout=60)
        assert process.returncode == 0, complaints
        return output

    return to_the_end


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The folder of a local store, not made yet."""
    return tmp_path / "store"
