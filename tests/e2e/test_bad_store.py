"""What can be wrong on the side of the store."""

import hashlib
import os
import subprocess

import pytest

from infrastructure.storage.providers import LocalProvider


@pytest.fixture
def put_through_library(store):
    def write(objects):
        with LocalProvider({"base_path": str(store)}) as provider:
            for key, data in objects.items():
                provider.put_bytes(key, data)

    return write


@pytest.mark.parametrize("key", ["k" * 1025, "é" * 513])
def test_key_that_is_too_long(storage, store, put, tmp_path, key):
    (tmp_path / "f").write_text("x")
    put("k")
    for args in (["upload", "f", key], ["copy", "k", key], ["download", key, "out"]):
        assert "1,02" in storage.fails(2, *args)
    assert os.listdir(store) == ["k"]


@pytest.mark.parametrize("args", [["stat", ""], ["cat", ""], ["delete", ""], ["copy", "", "x"]])
def test_key_that_is_empty(storage, store, args):
    store.mkdir()
    assert "empty" in storage.fails(2, *args)
    assert os.listdir(store) == []


@pytest.mark.parametrize("key", [b"\xff", b"a\xff/"])
def test_key_that_is_not_utf_8(storage, store, tmp_path, key):
    store.mkdir()
    (tmp_path / "f").write_text("x")
    assert storage("list", key).returncode in (0, 2), "nothing has such a prefix"
    for args in (["stat", key], ["download", key], ["delete", "-r", "-y", key], ["upload", "f", key]):
        done = storage(*args)
        assert done.returncode in ((2,) if "upload" in args else (2, 4)), (args, done.stderr)
        assert "Traceback" not in done.stderr


def test_key_of_1024_bytes_goes_and_comes_back(storage, tmp_path):
    (tmp_path / "f").write_text("x")
    key = "é" * 512
    storage.ok("upload", "f", key)
    storage.ok("download", key, "out")
    assert (tmp_path / "out").read_text() == "x"
    assert key in storage.ok("list").stdout


def test_folder_with_a_name_that_makes_a_key_too_long(storage, store, tmp_path):
    path = tmp_path / "data" / "/".join(["d" * 200] * 6)
    path.mkdir(parents=True)
    (path / "f").touch()
    (tmp_path / "data" / "good").touch()
    storage.fails(2, "upload", "data", "k")
    assert not store.exists()


@pytest.mark.parametrize("key", ["d/a//b", "d/../x", "d//x", "d/..", "d/../../x", "d/nul\0x", "d/" + "n" * 256])
def test_key_that_no_file_can_have_writes_nothing_outside(storage, put_through_library, tmp_path, key):
    put_through_library({key: b"evil", "d/good": b"good"})
    before = sorted(os.listdir(tmp_path))
    storage.fails(10, "download", "d/", "out/below")
    assert sorted(os.listdir(tmp_path)) == before
    if "\0" not in key:
        storage.ok("download", key, "one")
        assert (tmp_path / "one").read_bytes() == b"evil"


def test_keys_that_need_a_file_and_a_folder_of_one_name(storage, put_through_library, tmp_path):
    put_through_library({"d/a": b"1", "d/a/b": b"2", "d/a/c/d": b"3"})
    assert "d/a/b" in storage.fails(10, "download", "d/", "out")
    assert not (tmp_path / "out").exists()


def test_links_out_of_the_store_are_not_followed(storage, store, put_through_library, contents, tmp_path):
    put_through_library({"d/a": b"1"})
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    (store / "link").symlink_to(tmp_path / "outside")
    (store / "file").symlink_to(tmp_path / "outside" / "secret")
    storage.fails(4, "cat", "link/secret")
    storage.fails(4, "cat", "file")
    assert storage.ok("list").stdout.split()[-1] == "d/a"
    storage.ok("upload", "outside/secret", "link/new")
    storage.ok("upload", "outside/secret", "file")
    storage.ok("delete", "link/new")
    assert contents(tmp_path / "outside").keys() == {"secret"}
    assert (store / "file").is_symlink()


@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_corrupt_object_is_noticed_and_nothing_is_replaced(storage, store, unfinished, tmp_path, size):
    (tmp_path / "f").write_bytes(os.urandom(size))
    (tmp_path / "out").write_text("old")
    storage.ok("upload", "f", "k")
    before = (store / "k").stat()
    with (store / "k").open("r+b") as file:
        byte = file.read(1)
        file.seek(0)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(store / "k", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "corrupt" in storage.fails(7, "download", "k", "out")
    assert (tmp_path / "out").read_text() == "old"
    done = storage("cat", "k", binary=True)
    assert (done.returncode, b"Traceback" in done.stderr) == (7, False)
    storage.ok("copy", "k", "k2")
    storage.fails(7, "download", "k2", "new")
    assert not (tmp_path / "new").exists()
    assert unfinished(tmp_path) == []


def test_file_edited_in_place_is_its_own_content(storage, store, tmp_path):
    (tmp_path / "f").write_text("one")
    storage.ok("upload", "f", "k")
    (store / "k").write_text("two")
    storage.ok("download", "k", "out")
    assert (tmp_path / "out").read_text() == "two"
    assert hashlib.sha256(b"one").hexdigest() not in storage.ok("stat", "k").stdout
    assert "uploaded 1 file," in storage.ok("sync", "f", "k").stderr


@pytest.fixture
def read_only_folder(bound_by_modes, store):
    folders = [store, store / "d"]
    folders[1].mkdir(parents=True)
    (store / "d" / "k").write_text("stored")
    for folder in folders:
        folder.chmod(0o555)
    yield store
    for folder in folders:
        folder.chmod(0o755)


@pytest.fixture
def read_only_file_system(storage, mounted):
    point = mounted("size=1m")
    (point / "d").mkdir()
    (point / "d" / "k").write_text("stored")
    subprocess.run(["mount", "-o", "remount,ro", point], check=True)
    storage.env["STORAGE_LOCAL_PATH"] = str(point)
    return point


@pytest.mark.parametrize("kind", ["read_only_folder", "read_only_file_system"])
def test_store_that_can_only_be_read(storage, tmp_path, request, kind):
    folder = request.getfixturevalue(kind)
    (tmp_path / "f").write_text("x")
    for args in ("upload f new", "sync f d/k", "copy d/k new", "delete d/k", "delete -r -y d"):
        assert str(folder) in storage.fails(5, *args.split())
    storage.fails(5, "upload", "f", "k", "--bucket", "new", "--create-bucket")
    assert storage.ok("cat", "d/k").stdout == "stored"
    storage.ok("download", "d", "out")
    assert (tmp_path / "out" / "k").read_text() == "stored"
    assert storage.ok("list").stdout.split()[-1] == "d/k"
    storage.ok("info")


def test_store_that_can_not_be_read(storage, store, bound_by_modes, tmp_path):
    (store / "closed").mkdir(parents=True)
    (store / "k").write_text("x")
    (store / "k").chmod(0)
    (store / "closed").chmod(0)
    try:
        storage.fails(5, "cat", "k")
        storage.fails(5, "download", "k", "out")
        storage.fails(5, "list")
    finally:
        (store / "closed").chmod(0o755)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", [3000, 3 << 20])
def test_full_store(storage, tmp_path, mounted, contents, unfinished, size):
    point = mounted("size=1m")
    storage.env["STORAGE_LOCAL_PATH"] = str(point / "store")
    (tmp_path / "data").mkdir()
    for number in range(max(2, (3 << 20) // size // 2)):
        (tmp_path / "data" / f"{number}").write_bytes(os.urandom(size))
    storage.fails(9, "upload", "data", "d")
    whole = contents(tmp_path / "data")
    assert contents(point / "store" / "d").items() <= whole.items()
    assert unfinished(point) == []
    (tmp_path / "small").write_text("x")
    if size > 3000:
        storage.ok("upload", "small", "s")


def test_objects_of_a_full_disk_can_be_deleted(storage, tmp_path, mounted):
    point = mounted("size=1m,nr_inodes=60")
    storage.env["STORAGE_LOCAL_PATH"] = str(point)
    (tmp_path / "f").write_bytes(bytes(100_000))
    storage.ok("upload", "f", "k")
    with pytest.raises(OSError, match="No space"):
        for number in range(100):
            (point / f"{number}").touch()
    storage.ok("delete", "k")
    assert not (point / "k").exists()


def test_full_disk_on_this_side(storage, tmp_path, mounted, unfinished):
    point = mounted("size=1m")
    for number in range(3):
        (tmp_path / f"f{number}").write_bytes(os.urandom(700_000))
        storage.ok("upload", f"f{number}", f"d/{number}")
    (point / "1").write_text("old")
    (point / "fill").write_bytes(bytes(600_000))
    assert "no room" in storage.fails(9, "download", "d/1", f"{point}/1")
    assert (point / "1").read_text() == "old"
    storage.fails(9, "download", "d/", str(point))
    assert unfinished(point) == []


def test_file_with_a_time_beyond_all_calendars_does_not_stop_a_listing(storage, mounted):
    point = mounted("size=1m")
    (point / "k").touch()
    os.utime(point / "k", (3 * 10**11, 3 * 10**11))
    assert storage.ok("list", env={"STORAGE_LOCAL_PATH": str(point)}).stdout.split()[-1] == "k"
