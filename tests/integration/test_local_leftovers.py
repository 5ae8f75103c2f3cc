"""What a killed writer leaves is swept by the next process that writes; what a living one writes is left alone."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from domain.errors import StorageError
from infrastructure.storage.providers import LocalProvider

WRITER = """
import sys
from infrastructure.storage.providers import LocalProvider
provider = LocalProvider({"base_path": sys.argv[1], "durable": False})
writer = provider.open_writer("k")
writer.write(b"x" * 100_000)
print("written", flush=True)
sys.stdin.readline()
writer.commit()
print("committed", flush=True)
"""


def unfinished(store: Path) -> list[Path]:
    return [path for path in (store / ".lading" / "tmp").rglob("*") if path.is_file() and path.name != "alive"]


def write_and_close(store: Path, key: str) -> None:
    provider = LocalProvider({"base_path": store, "durable": False})
    provider.put_bytes(key, b"mine")
    provider.disconnect()


def test_the_leftovers_of_a_killed_writer_are_swept_by_the_next_writer(start, store: Path) -> None:
    writer = start(WRITER, store)
    assert writer.stdout.readline() == "written\n"
    assert len(unfinished(store)) == 1
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    assert len(unfinished(store)) == 1
    write_and_close(store, "other")
    assert os.listdir(store / ".lading" / "tmp") == []
    assert LocalProvider({"base_path": store}).list_files() == ["other"]


def test_a_living_writer_keeps_its_file_and_can_commit(start, store: Path) -> None:
    writer = start(WRITER, store)
    assert writer.stdout.readline() == "written\n"
    for number in range(3):
        write_and_close(store, f"other-{number}")
    assert len(unfinished(store)) == 1
    output, complaints = writer.communicate("go on\n", timeout=30)
    assert (output, writer.returncode) == ("committed\n", 0), complaints
    assert LocalProvider({"base_path": store}).get_bytes("k") == b"x" * 100_000
    write_and_close(store, "last")
    assert unfinished(store) == []


def test_reading_sweeps_nothing_and_makes_nothing(start, store: Path) -> None:
    store.mkdir()
    (store / "by-hand").write_bytes(b"1")
    provider = LocalProvider({"base_path": store})
    with provider:
        assert provider.get_bytes("by-hand") == b"1"
        assert provider.list_files() == ["by-hand"]
        provider.delete("nonsuch")
        assert not provider.exists("nonsuch")
    assert os.listdir(store) == ["by-hand"]


@pytest.mark.parametrize("end", ["abort", "drop", "raise"])
def test_a_writer_that_does_not_commit_leaves_nothing(store: Path, end: str) -> None:
    provider = LocalProvider({"base_path": store, "durable": False})
    writer = provider.open_writer("a/b/c")
    writer.write(b"x")
    if end == "abort":
        writer.abort()
    elif end == "drop":
        del writer
    else:
        with pytest.raises(KeyboardInterrupt), writer:
            raise KeyboardInterrupt
    assert unfinished(store) == []
    assert os.listdir(store) == [".lading"]
    provider.disconnect()
    assert os.listdir(store / ".lading" / "tmp") == []


def test_a_write_that_is_under_way_survives_the_disconnect_of_another_thread(store: Path) -> None:
    """A provider is shared by threads; the next call after a disconnect takes the resources again."""
    provider = LocalProvider({"base_path": store, "durable": False})
    with provider.open_writer("k") as writer:
        writer.write(b"x")
        with provider:
            provider.put_bytes("other", b"y")
    assert provider.get_bytes("k") == b"x"
    provider.disconnect()
    assert unfinished(store) == []


def test_threads_survive_that_the_unfinished_files_folder_is_removed(store: Path) -> None:
    provider = LocalProvider({"base_path": store, "durable": False})
    provider.put_bytes("first", b"")
    failures: list[StorageError] = []

    def put(turn: int, number: int) -> None:
        barrier.wait()
        try:
            provider.put_bytes(f"{turn}/{number}", b"x")
        except StorageError as error:
            failures.append(error)

    barrier = threading.Barrier(4)
    for turn in range(30):
        for path in sorted((store / ".lading" / "tmp").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        threads = [threading.Thread(target=put, args=(turn, number)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    provider.disconnect()
    assert failures == []
    assert len(provider.list_files()) == 1 + 30 * 4


def test_a_full_disk_publishes_nothing(run, store: Path) -> None:
    """A limit on the size of files stands for the disk: the system refuses to write more."""
    script = """
import os, resource, signal, sys
from domain.errors import InsufficientStorage
from infrastructure.storage.providers import LocalProvider
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
provider = LocalProvider({"base_path": sys.argv[1], "durable": False})
provider.put_bytes("k", b"old")
open(sys.argv[2], "wb").write(b"n" * 3_000_000)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
for attempt in (lambda: provider.put_bytes("k", b"n" * 3_000_000), lambda: provider.upload(sys.argv[2], "k")):
    try:
        attempt()
    except InsufficientStorage as error:
        print(error.key)
writer = provider.open_writer("k")
try:
    writer.write(b"n" * 3_000_000)
except InsufficientStorage:
    try:
        writer.commit()
    except Exception:
        pass
print(provider.get_bytes("k") == b"old", provider.head("k").size)
"""
    assert run(script, store, store.parent / "big") == "k\nk\nTrue 3\n"
    assert unfinished(store) == []
