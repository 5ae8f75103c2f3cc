"""What a checkout leaves alone, what it says of what it replaced, and what mode a file has after it."""

import json
import os

import pytest


def made(storage, path, dataset="d"):
    storage.ok("dataset", "version", path, "--id", dataset)


def mode(path):
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("what", ["data", "data/a"])
def test_an_empty_target_is_refused(storage, folder, tmp_path, what):
    folder("data", {"a": "1"})
    made(storage, what)
    before = sorted(os.listdir(tmp_path))
    assert "no target is named for d@1" in storage.fails(2, "dataset", "checkout", "d", "")
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("link", ["copy", "hardlink"])
def test_a_single_file_can_be_executed_where_it_could(storage, folder, tmp_path, link):
    tool = folder("data", {"tool.sh": "#!/bin/sh\n"}) / "tool.sh"
    back = tmp_path / "back.sh"
    made(storage, "data/tool.sh")
    tool.chmod(0o755)
    made(storage, "data/tool.sh")
    for version in ("d@2", "d@1", "d@2", "d@2"):  # new, and then the same content each time
        storage.ok("dataset", "checkout", version, "back.sh", "--link", link)
        assert bool(mode(back) & 0o111) == (version == "d@2")
        assert back.read_text() == "#!/bin/sh\n"
    assert mode(back) & 0o111 == (mode(back) & 0o444) >> 2
    # The file of the cache is still one that is given out, and has no such mode.
    storage.ok("dataset", "checkout", "d@1", "other.sh", "--link", "hardlink")
    assert mode(tmp_path / "other.sh") == 0o444


def test_a_file_that_is_left_out_keeps_its_mode(storage, folder, tmp_path):
    folder("data", {"tool.sh": "#!/bin/sh\n", "mine": "mine, and longer than the other"})
    (tmp_path / "data" / "tool.sh").chmod(0o755)
    (tmp_path / "data" / "mine").chmod(0o640)
    made(storage, "data/tool.sh")
    storage.ok("dataset", "checkout", "d", "data/mine", "--exclude", "*")
    assert mode(tmp_path / "data" / "mine") == 0o640


def test_what_is_replaced_is_told(storage, folder, tmp_path):
    folder("data", {"a": "1", "b": "2", "c": "3"})
    made(storage, "data")
    folder("out", {"a": "mine", "b": "other", "c": "3"})
    said = storage.ok("dataset", "checkout", "d", "out").stderr
    assert said.splitlines()[-1] == "replaced 2 files that differed; --backup keeps such files"
    (tmp_path / "out" / "a").write_text("again")
    done = storage.ok("dataset", "checkout", "d", "out", "--json")
    assert json.loads(done.stdout.splitlines()[-1])["replaced"] == 1
    assert "replaced" not in storage.ok("dataset", "checkout", "d", "new").stderr


@pytest.mark.parametrize("kept", ["--cache", "--no-cache"])
def test_a_content_that_is_missing_is_told_by_the_files_name(storage, place, folder, tmp_path, kept):
    folder("data", {"runs/1.bin": "one", "two": "two"})
    made(storage, "data")
    made(storage, "data/two", "alone")
    for address in [name for name in place.contents("dvc/") if not name.endswith(".dir")]:
        place.delete(address)
    done = storage("dataset", "checkout", "d", "out", kept)
    assert done.returncode == 4
    complaints = [line for line in done.stderr.splitlines() if line.startswith("storage: ")]
    assert len(complaints) == 2
    assert all("verify d@1'" in line for line in complaints)
    for name in ("runs/1.bin", "two"):
        assert any(f"the content of '{name}' of d@1 is missing" in line for line in complaints)
    said = storage.fails(4, "dataset", "checkout", "alone", "out.txt", kept)
    assert "the content of 'two' of alone@1 is missing" in said


def test_a_copy_over_a_hard_link_can_be_written_to(storage, folder, tmp_path):
    data = folder("data", {"a": "1"})
    made(storage, "data")
    (data / "a").write_text("2")
    made(storage, "data")
    storage.ok("dataset", "checkout", "d@1", "out", "--link", "hardlink")
    assert mode(tmp_path / "out" / "a") == 0o444
    storage.ok("dataset", "checkout", "d@2", "out")
    assert mode(tmp_path / "out" / "a") & 0o200
    assert (tmp_path / "out" / "a").read_text() == "2"


def test_nothing_is_written_through_a_link_out_of_the_target(storage, folder, tmp_path):
    folder("data", {"a": "1", "sub/deep/b": "2"})
    made(storage, "data")
    folder("else", {"theirs": "x"})
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")  # which the target itself may be
    (tmp_path / "real" / "sub").symlink_to("../else")
    said = storage.fails(10, "dataset", "checkout", "d", "out")
    assert "'out/sub' is a symbolic link that leads out of 'out/'" in said
    assert os.listdir(tmp_path / "else") == ["theirs"]
    assert not (tmp_path / "real" / "a").exists()
    (tmp_path / "real" / "sub").unlink()
    storage.ok("dataset", "checkout", "d", "out")
    assert (tmp_path / "real" / "sub" / "deep" / "b").read_text() == "2"


def test_what_the_trash_does_not_take_leaves_nothing_to_undo(storage, folder, tmp_path):
    folder("data", {name: name for name in "abcdef"})
    made(storage, "data")
    storage.ok("dataset", "checkout", "d", "out")
    folder("else", {"x": "1", "y": "2"})
    (tmp_path / "out" / "link").symlink_to("../else")
    done = storage("dataset", "checkout", "d", "out", "--delete")
    assert done.returncode == 10
    assert "undo" not in done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == len(set(lines))
    assert "2 deletions not done" in lines
    assert sorted(os.listdir(tmp_path / "else")) == ["x", "y"]
