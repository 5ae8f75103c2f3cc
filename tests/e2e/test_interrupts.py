"""Ctrl-C and kill: whatever is stopped wherever, each object and each file is whole, and the next run finishes."""

import os
import random
import signal
import subprocess
import time
from contextlib import suppress

import pytest

BIG = 1 << 29


@pytest.fixture
def big(storage, tmp_path):
    """A file that takes its time."""
    storage.env["STORAGE_LOCAL_DURABLE"] = "false"
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.write(b"start")
        file.truncate(BIG)
        file.seek(BIG - 3)
        file.write(b"end")
    return path


FILES = 3000


@pytest.fixture(scope="session")
def folder_of_many(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    for number in range(FILES):
        path = folder / f"{number % 20}" / f"{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"content of {number}" * (number % 30))
    return folder


@pytest.fixture
def many(storage, folder_of_many):
    """Enough small files for several processes."""
    storage.env["STORAGE_LOCAL_DURABLE"] = "false"
    return folder_of_many


def growing(folder, pattern):
    """Unfinished files that have bytes already."""
    found = []
    for path in folder.glob(pattern):
        with suppress(FileNotFoundError):
            if path.name != "alive" and path.stat().st_size:
                found.append(path)
    return found


def end(process):
    _, said = process.communicate(timeout=60)
    assert "Traceback" not in said, said
    assert "internal error" not in said, said
    return process.returncode


@pytest.mark.parametrize("send", [os.kill, os.killpg])
def test_interrupt_of_a_big_upload(storage, store, big, unfinished, living, wait_for, send):
    process = storage.start("upload", "big", "k")
    wait_for(lambda: growing(store, ".lading/tmp/*/*"))
    send(process.pid, signal.SIGINT)
    assert end(process) == 130
    assert [path.name for path in store.iterdir()] == [".lading"]
    assert unfinished(store) == []
    assert living(process.pid) == []


@pytest.mark.parametrize("send", [os.kill, os.killpg])
def test_interrupt_of_a_big_download(storage, store, big, tmp_path, unfinished, wait_for, send):
    store.mkdir()
    big.rename(store / "k")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "k").write_text("old")
    process = storage.start("download", "k", "out")
    wait_for(lambda: growing(tmp_path, "out/.lading-part-*"))
    send(process.pid, signal.SIGINT)
    assert end(process) == 130
    assert (tmp_path / "out" / "k").read_text() == "old"
    assert unfinished(tmp_path) == []


@pytest.mark.parametrize("send", [os.kill, os.killpg])
def test_interrupt_of_many(storage, store, many, contents, unfinished, living, wait_for, send):
    process = storage.start("upload", str(many), "d")
    wait_for((store / "d").exists)
    send(process.pid, signal.SIGINT)
    assert end(process) == 130
    assert living(process.pid) == []
    done = contents(store / "d")
    assert done.items() <= contents(many).items() and len(done) < FILES
    assert unfinished(store) == []
    assert list((store / ".lading" / "tmp").iterdir()) == []
    process = storage.start("download", "d", "out")
    wait_for(lambda: (storage.cwd / "out").exists() or process.poll() is not None)
    send(process.pid, signal.SIGINT)
    assert end(process) in (0, 130)
    assert contents(storage.cwd / "out").items() <= done.items()
    assert unfinished(storage.cwd) == []


def test_interrupts_of_small_downloads_leave_no_parts(storage, store, unfinished, wait_for, tmp_path):
    """Too few files for several processes, and so many that an interrupt comes at any step of one."""
    random.seed(5)
    (store / "d").mkdir(parents=True)
    for number in range(900):
        (store / "d" / f"{number}").write_text("x")
    for turn in range(5):
        process = storage.start("download", "d", f"out{turn}")
        wait_for((tmp_path / f"out{turn}").exists)
        time.sleep(random.random() * 0.03)
        process.send_signal(signal.SIGINT)
        assert end(process) in (0, 130)
        assert unfinished(tmp_path) == []


HOOK = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ.get("INTERRUPT_AT"):
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
"""


@pytest.mark.parametrize(
    "module", ["typer", "presentation.cli.app", "config.provider", "pydantic", "application.transfers"]
)
def test_interrupt_while_the_program_starts(storage, store, observations, tmp_path, module):
    """Ctrl-C at the moment when a module is first imported."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(HOOK)
    env = {"PYTHONPATH": str(tmp_path / "site"), "INTERRUPT_AT": module}
    process = storage.start("upload", str(observations), "d", env=env)
    assert end(process) in (130, -signal.SIGINT)
    assert not store.exists()


def test_killed_uploads_of_a_big_file(storage, store, big, contents, unfinished, wait_for):
    random.seed(3)
    (storage.cwd / "small").write_text("old")
    storage.ok("upload", "small", "k")
    assert contents(store).keys() == {"k"}
    for _ in range(3):
        process = storage.start("upload", "big", "k")
        amount = random.randrange(1, BIG // 2)
        wait_for(lambda least=amount: sum(path.stat().st_size for path in growing(store, ".lading/tmp/*/*")) > least)
        process.kill()
        process.communicate()
        assert (store / "k").read_text() == "old"
        assert storage.ok("cat", "k").stdout == "old"
    assert unfinished(store)
    storage.ok("upload", "small", "next")
    assert unfinished(store) == [], "the next command that writes sweeps"
    assert list((store / ".lading" / "tmp").iterdir()) == []


def test_killed_downloads_of_a_big_file(storage, store, big, unfinished, wait_for, tmp_path):
    random.seed(4)
    store.mkdir()
    big.rename(store / "k")
    (store / "small").write_text("small")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "k").write_text("old")
    for _ in range(2):
        process = storage.start("download", "k", "out")
        amount = random.randrange(1, BIG // 2)
        wait_for(lambda least=amount: max((p.stat().st_size for p in growing(tmp_path, "out/.*")), default=0) > least)
        process.kill()
        process.communicate()
        assert (tmp_path / "out" / "k").read_text() == "old"
        for part in unfinished(tmp_path):
            os.truncate(tmp_path / part, 1)
    storage.ok("download", "small", "out")
    assert unfinished(tmp_path) == [], "the next download sweeps"


def test_next_download_in_the_folder_where_one_stands_sweeps(storage, store, unfinished, tmp_path):
    store.mkdir()
    (store / "small").write_text("small")
    left = tmp_path / ".lading-part-1-0"
    left.write_bytes(b"of a killed download")
    os.utime(left, (0, 0))
    storage.ok("download", "small", "name")
    assert unfinished(tmp_path) == []


def test_killed_download_does_not_stop_the_next_of_the_same_process_number(storage, store, big, wait_for, tmp_path):
    """In a container each run may have the same process number."""
    if subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespace of process numbers can be made here; it needs root on Linux")
    store.mkdir()
    big.rename(store / "k")
    (store / "small").write_text("small")
    plain = storage.program
    storage.program = ("unshare", "--pid", "--fork", "--kill-child", *plain)
    process = storage.start("download", "k", "out/")
    wait_for(lambda: growing(tmp_path, "out/.lading-part-*"))
    process.kill()
    process.communicate()
    storage.ok("download", "small", "out/")
    assert (tmp_path / "out" / "small").read_text() == "small"


def test_killed_transfers_of_many_files(storage, store, many, contents, unfinished, living, wait_for):
    random.seed(1)
    whole = contents(many)
    for args, target in ((["upload", str(many), "d"], store / "d"), (["download", "d", "out"], storage.cwd / "out")):
        for _ in range(2):
            process = storage.start(*args)
            wait_for(lambda folder=target, one=process: folder.exists() or one.poll() is not None)
            time.sleep(random.random() * 0.3)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            there = {name: digest for name, digest in contents(target).items() if ".lading-part-" not in name}
            assert there.items() <= whole.items(), "what can be read is whole"
        storage.ok(*args)
        assert living(process.pid) == []
        assert {n: d for n, d in contents(target).items() if ".lading-part-" not in n} == whole
        assert "uploaded 0 files" in storage.ok("sync", str(many), "d").stderr
    (storage.cwd / "small").write_text("x")
    storage.ok("upload", "small", "s")
    assert list((store / ".lading" / "tmp").iterdir()) == []


@pytest.fixture
def several():
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one processor: there are no worker processes")


def test_workers_end_when_their_parent_is_killed(storage, store, many, several, living, wait_for, contents):
    process = storage.start("upload", str(many), "d")
    wait_for(lambda: (store / "d").exists() and len(living(process.pid)) > 2)
    process.kill()
    process.communicate()
    wait_for(lambda: living(process.pid) == [])
    assert contents(store / "d").items() <= contents(many).items()
    storage.ok("upload", str(many), "d")
    assert contents(store / "d") == contents(many)
    assert list((store / ".lading" / "tmp").iterdir()) == []


def test_worker_that_is_killed_is_reported(storage, store, many, several, living, wait_for, contents):
    process = storage.start("upload", str(many), "d")
    wait_for(lambda: (store / "d").exists() and len(living(process.pid)) > 2)
    worker = max(set(living(process.pid)) - {process.pid})
    os.kill(worker, signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in said) == (1, False)
    assert len([line for line in said.splitlines() if line.startswith("storage: ")]) == 1, said
    assert living(process.pid) == []
    storage.ok("upload", str(many), "d")
    assert contents(store / "d") == contents(many)
