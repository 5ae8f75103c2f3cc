"""Names that one program at a time holds."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from infrastructure.state.locks import try_hold

HOLDER = (
    "import sys, time\n"
    "from pathlib import Path\n"
    "from infrastructure.state.locks import try_hold\n"
    "held = try_hold('name', Path(sys.argv[1]))\n"
    "print('held' if held else 'not', flush=True)\n"
    "sys.stdin.read()\n"
)


def test_a_name_is_held_once_also_within_a_process(tmp_path: Path) -> None:
    held = try_hold("name", tmp_path)
    assert held
    assert try_hold("name", tmp_path) is None
    with try_hold("other", tmp_path) as other:  # type: ignore[union-attr]
        assert other
    held.release()
    held.release()
    with try_hold("name", tmp_path) as again:  # type: ignore[union-attr]
        assert again
        assert try_hold("name", tmp_path) is None
    assert os.listdir(tmp_path) == []


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        assert try_hold("name", tmp_path) is None
    finally:
        holder.kill()
        holder.communicate()
    assert try_hold("name", tmp_path)


def test_of_many_that_come_and_go_never_two_hold_it(tmp_path: Path) -> None:
    inside, most, took = [0], [0], [0]

    def work() -> None:
        for _ in range(400):
            if held := try_hold("name", tmp_path):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                took[0] += 1
                inside[0] -= 1
                held.release()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert took[0] >= 4
    assert os.listdir(tmp_path) == []


def test_odd_names(tmp_path: Path) -> None:
    assert all(try_hold(name, tmp_path) for name in ("", "a/b", "\0", "\udcff", "n" * 5000, "../x"))


def test_where_there_are_no_locks_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        try_hold("name", tmp_path / "file" / "below")
