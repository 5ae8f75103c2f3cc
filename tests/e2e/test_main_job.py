"""The first thing that anybody does: a folder goes to the store and comes back."""

import os
import subprocess
import sys

import pytest


def test_observations_go_and_come_back_with_no_settings(storage, observations, contents, tmp_path):
    storage.env.pop("STORAGE_LOCAL_PATH")
    sent = storage.ok("sync", str(observations), "observations/")
    assert "5 files" in sent.stderr
    listed = storage.ok("list").stdout.splitlines()
    assert [line.split()[-1] for line in listed] == sorted(f"observations/{name}" for name in contents(observations))
    storage.ok("download", "observations/", "back/")
    assert contents(tmp_path / "back") == contents(observations)
    kept = tmp_path / "home" / "share" / "lading" / "storage"
    assert contents(kept / "observations") == contents(observations)


def test_second_sync_sends_nothing(storage, observations, store):
    storage.ok("sync", str(observations), "observations/")
    before = {path: path.stat().st_ino for path in store.rglob("*.fits")}
    assert "uploaded 0 files" in storage.ok("sync", str(observations), "observations/").stderr
    assert {path: path.stat().st_ino for path in store.rglob("*.fits")} == before
    assert before


@pytest.mark.parametrize("age", [0, 3600 * 24 * 365])
def test_edit_of_same_size_is_noticed_whatever_its_time(storage, store, tmp_path, age):
    file = tmp_path / "data" / "a.bin"
    file.parent.mkdir()
    file.write_bytes(b"one")
    then = file.stat()
    storage.ok("sync", "data", "d")
    file.write_bytes(b"two")
    os.utime(file, ns=(then.st_atime_ns, then.st_mtime_ns - age * 10**9))
    assert "uploaded 1 file," in storage.ok("sync", "data", "d").stderr
    assert (store / "d" / "a.bin").read_bytes() == b"two"


def test_fresh_time_with_same_content_is_not_sent(storage, tmp_path):
    file = tmp_path / "data" / "a.bin"
    file.parent.mkdir()
    file.write_bytes(b"one")
    storage.ok("sync", "data", "d")
    os.utime(file)
    assert "uploaded 0 files" in storage.ok("sync", "data", "d").stderr


def test_object_put_there_by_hand_is_compared_by_its_bytes(storage, store, tmp_path):
    (tmp_path / "data").mkdir()
    (store / "d").mkdir(parents=True)
    for name, stored in {"same": b"abc", "other": b"xyz"}.items():
        (tmp_path / "data" / name).write_bytes(b"abc")
        (store / "d" / name).write_bytes(stored)
    assert "uploaded 1 file," in storage.ok("sync", "data", "d").stderr
    assert (store / "d" / "other").read_bytes() == b"abc"


def test_dry_run_changes_nothing(storage, observations, store, contents, tmp_path):
    shown = storage.ok("sync", str(observations), "o", "--dry-run").stdout
    assert all(name in shown for name in contents(observations))
    assert not store.exists()
    storage.ok("upload", str(observations), "o")
    before = contents(store)
    shown = storage.ok("sync", "back", "o", "--direction", "download", "--dry-run").stdout
    assert all(name in shown for name in contents(observations))
    assert not (tmp_path / "back").exists()
    assert contents(store) == before


def test_dry_run_of_a_download_leaves_the_folder_as_it_is(storage, observations, tmp_path):
    storage.ok("upload", str(observations), "o")
    left = tmp_path / "back" / ".lading-part-1-0"
    left.parent.mkdir()
    left.write_bytes(b"of a killed download")
    os.utime(left, (0, 0))
    storage.ok("sync", "back", "o", "--direction", "download", "--dry-run")
    assert left.exists(), "a plan changes nothing on either side"


def test_sync_downwards_fetches_what_differs_and_deletes_nothing(storage, observations, contents, tmp_path):
    storage.ok("upload", str(observations), "o")
    back = tmp_path / "back"
    storage.ok("sync", "back", "o", "--direction", "download")
    (back / "m13.fits").write_bytes(b"spoilt")
    (back / "mine.txt").write_text("mine")
    assert "downloaded 1 file," in storage.ok("sync", "back/", "o/", "--direction", "download").stderr
    assert contents(back).keys() - contents(observations).keys() == {"mine.txt"}
    assert contents(observations).items() <= contents(back).items()


def test_sync_upwards_deletes_nothing(storage, store, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "a").write_text("a")
    storage.ok("sync", "data", "d")
    (data / "a").rename(data / "b")
    storage.ok("sync", "data", "d")
    assert sorted(path.name for path in (store / "d").iterdir()) == ["a", "b"]


def test_documented_forms(storage, store, contents, tmp_path):
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "deep" / "a.csv").write_text("1,2")
    storage.ok("upload", "--local", "data/", "--remote", "datasets/")
    assert contents(store).keys() == {"datasets/deep/a.csv"}
    storage.ok("download", "--remote", "datasets/", "--local", "again/")
    assert contents(tmp_path / "again") == contents(tmp_path / "data")
    storage.ok("sync", "--direction", "upload")
    assert storage.ok("list", "--prefix", "datasets/").stdout.split()[-1] == "datasets/deep/a.csv"
    assert storage.ok("list", "--prefix", "models/").stdout == ""
    storage.ok("sync", "--local", "data/", "--remote", "other/", "--direction", "upload")
    assert (store / "other" / "deep" / "a.csv").read_text() == "1,2"
    storage.ok("info")


def test_sync_without_paths_uses_the_settings(storage, store, contents, tmp_path):
    for folder in ("data", "mine"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{folder}.txt").write_text(folder)
    storage.ok("sync")
    assert contents(store).keys() == {"datasets/data.txt"}
    settings = {"STORAGE_SYNC_LOCAL": "mine", "STORAGE_SYNC_REMOTE": "there"}
    storage.ok("sync", env=settings)
    assert contents(store).keys() == {"datasets/data.txt", "there/mine.txt"}
    storage.ok("sync", "--direction", "download", env=settings | {"STORAGE_SYNC_LOCAL": "back"})
    assert (tmp_path / "back" / "mine.txt").read_text() == "mine"
    storage.ok("sync", "data", env=settings)
    assert (store / "there" / "data.txt").exists()


def test_sync_without_paths_and_without_data_says_what_is_missing(storage, store):
    assert "data/" in storage.fails(10, "sync")
    assert not store.exists()


@pytest.mark.parametrize("words", [("storage", "list"), ("list",)])
def test_module_runs_from_a_checkout(storage, checkout, observations, words):
    storage.ok("upload", str(observations / "m13.fits"), "o/")
    command = [sys.executable, "-m", "presentation.cli", *words]
    done = subprocess.run(command, cwd=checkout, env=storage.env, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()[-1]) == (0, "o/m13.fits")


@pytest.mark.parametrize("remote", ["d", "d/", "/d", "d//"])
def test_contents_go_under_the_target_whatever_the_slashes(storage, store, contents, tmp_path, remote):
    (tmp_path / "data" / "x").mkdir(parents=True)
    (tmp_path / "data" / "a").write_text("a")
    (tmp_path / "data" / "x" / "b").write_text("b")
    for command, local in (("upload", "data"), ("upload", "data/"), ("sync", "./data/")):
        storage.ok(command, local, remote)
        assert contents(store).keys() == {"d/a", "d/x/b"}


@pytest.mark.parametrize("remote", ["d", "d/", "/d", "d//"])
def test_contents_come_back_whatever_the_slashes(storage, store, contents, tmp_path, remote):
    (store / "d" / "x").mkdir(parents=True)
    (store / "d" / "x" / "b").write_text("b")
    (tmp_path / "new").mkdir()
    storage.ok("download", remote, "new")
    assert contents(tmp_path / "new").keys() == {"x/b"}
