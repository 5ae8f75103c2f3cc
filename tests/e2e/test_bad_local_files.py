"""What can be wrong on this side of a transfer: one clear sentence, exit code 10, nothing half-written."""

import os
import socket
import subprocess

import pytest


@pytest.fixture
def data(tmp_path):
    """A folder with a good file in it."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.txt").write_text("a")
    return folder


def fifo(folder):
    os.mkfifo(folder / "pipe")


def dangling(folder):
    (folder / "link").symlink_to("nowhere")


def own_loop(folder):
    (folder / "link").symlink_to("link")


def folder_loop(folder):
    (folder / "x" / "y").mkdir(parents=True)
    (folder / "x" / "y" / "link").symlink_to("../../x")


def not_utf_8(folder):
    (folder / os.fsdecode(b"caf\xe9.txt")).touch()


def folder_not_utf_8(folder):
    (folder / os.fsdecode(b"caf\xe9")).mkdir()
    (folder / os.fsdecode(b"caf\xe9") / "x").touch()


def unix_socket(folder):
    here = os.getcwd()
    os.chdir(folder)  # the name of a socket may not be long
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
    os.chdir(here)


@pytest.mark.parametrize("spoil", [fifo, dangling, own_loop, folder_loop, not_utf_8, folder_not_utf_8, unix_socket])
def test_what_can_not_be_stored_is_found_before_anything_is_sent(storage, store, data, spoil):
    spoil(data)
    storage.fails(10, "upload", "data", "d")
    assert not store.exists()


def test_pipe_by_itself(storage, store, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "pipe" in storage.fails(10, "upload", "pipe", "k", timeout=20)
    assert not store.exists()


def test_good_names_below_a_folder_whose_own_name_is_not_utf_8(storage, store, tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "é").write_text("x")
    storage.ok("upload", os.fsencode(folder), "d")
    assert (store / "d" / "é").read_text() == "x"


def test_deep_folders(storage, store, tmp_path):
    """Deeper than Python's stack; the paths are opened step by step, for they are longer than one call takes."""
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    (tmp_path / "d" / "f").write_text("x")
    try:
        storage.ok("upload", "d", "k")
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)
    assert (store / "k" / "f").read_text() == "x"


def test_missing_file_and_path_through_a_file(storage, store, data):
    assert "nothing.txt" in storage.fails(10, "upload", "nothing.txt", "k")
    assert "a.txt/x" in storage.fails(10, "upload", "data/a.txt/x", "k")
    assert "a.txt/" in storage.fails(10, "upload", "data/a.txt/", "k")
    assert storage("upload", "", "k").returncode == 2
    assert not store.exists()


def test_folder_where_a_file_should_be_written(storage, put, data, tmp_path):
    put("d/k")
    (tmp_path / "out" / "k" / "mine").mkdir(parents=True)
    assert "out/k" in storage.fails(10, "download", "d/k", "out")
    assert "out/k" in storage.fails(10, "download", "d/", "out")
    assert "out/k" in storage.fails(10, "sync", "out", "d", "--direction", "download")
    assert (tmp_path / "out" / "k" / "mine").is_dir()
    assert "a.txt/k" in storage.fails(10, "download", "d/k", "data/a.txt/k")
    assert "a.txt" in storage.fails(10, "download", "d/", "data/a.txt")
    assert (data / "a.txt").read_text() == "a"


def test_many_objects_into_a_file_is_said_once(storage, put, data):
    put("o/1", "o/2", "o/3")
    storage.fails(10, "download", "o", "data/a.txt")


def test_unreadable_file(storage, store, data, bound_by_modes):
    (data / "secret").write_text("secret")
    (data / "secret").chmod(0)
    assert "secret" in storage.fails(10, "upload", "data/secret", "k")
    assert "secret" in storage.fails(10, "upload", "data", "d")
    assert (store / "d" / "a.txt").read_text() == "a", "the others are stored"
    assert not (store / "d" / "secret").exists()
    assert not (store / "k").exists()


@pytest.mark.parametrize("mode", [0, 0o400])
def test_unreadable_folder(storage, store, data, bound_by_modes, mode):
    (data / "closed").mkdir()
    (data / "closed" / "x").touch()
    (data / "closed").chmod(mode)
    try:
        assert "closed" in storage.fails(10, "upload", "data", "d")
        assert "closed" in storage.fails(10, "sync", "data", "d")
    finally:
        (data / "closed").chmod(0o755)
    assert not store.exists()


def test_folder_that_can_not_be_written(storage, put, bound_by_modes, unfinished, tmp_path):
    put("d/a.txt")
    (tmp_path / "closed").mkdir(mode=0o555)
    assert "closed" in storage.fails(10, "download", "d/a.txt", "closed/")
    assert "closed" in storage.fails(10, "download", "d", "closed/below")
    assert os.listdir(tmp_path / "closed") == []
    assert unfinished(tmp_path) == []


@pytest.mark.parametrize("how", ["grows", "shrinks", "changes"])
def test_file_that_changes_while_it_is_read(storage, store, unfinished, wait_for, tmp_path, how):
    file = tmp_path / "big"
    file.touch()
    os.truncate(file, 1 << 29)
    process = storage.start("upload", "big", "k", env={"STORAGE_LOCAL_DURABLE": "false"})
    wait_for(lambda: [path for path in store.glob(".lading/tmp/*/*") if path.name != "alive" and path.stat().st_size])
    if how == "changes":
        with file.open("r+b") as changed:
            changed.write(b"x")
    else:
        os.truncate(file, (1 << 29) + (1 if how == "grows" else -(1 << 28)))
    _, said = process.communicate()
    assert (process.returncode, "changed while it was read" in said, "Traceback" in said) == (10, True, False)
    assert [path.name for path in store.iterdir()] == [".lading"]
    assert unfinished(store) == []


def test_file_without_a_size_of_its_own(storage, store):
    if not os.path.exists("/proc/version"):
        pytest.skip("this system has no /proc")
    storage.fails(10, "upload", "/proc/version", "k")
    assert [path.name for path in store.iterdir()] == [".lading"]


def test_folder_that_holds_the_store(storage, store, data, tmp_path):
    storage.ok("upload", "data", "d")
    for local in (".", str(tmp_path), str(store), f"{store}/../"):
        assert str(store) in storage.fails(10, "upload", local, "e")
    assert not (store / "e").exists()
    storage.ok("upload", f"{store}/d", "e")
    assert (store / "e" / "a.txt").read_text() == "a"
