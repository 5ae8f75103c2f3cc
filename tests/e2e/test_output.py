"""What programs and terminals get: JSON, plain lines, closed pipes, odd locales."""

import json
import os
import shlex
import subprocess
from datetime import datetime

import pytest

FIELDS = {"key", "size", "etag", "last_modified"}


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_answer_in_json(storage, observations, tmp_path):
    (planned,) = lines(storage.ok("sync", str(observations), "o", "--dry-run", "--json"))
    assert planned["direction"] == "upload" and len(planned["actions"]) == 5
    for args in (["upload", str(observations), "o"], ["download", "o", "back"]):
        report = lines(storage.ok(*args, "--json"))[-1]
        assert (report["direction"], report["done"], report["failed"], report["not_done"]) == (args[0], 5, [], 0)
        assert report["bytes"] == sum(path.stat().st_size for path in observations.iterdir())
    report = lines(storage.ok("sync", str(observations), "o", "--json"))[-1]
    assert (report["done"], report["unchanged"]) == (0, 5)
    listed = lines(storage.ok("list", "--json"))
    assert len(listed) == 5 and all(one.keys() >= FIELDS for one in listed)
    assert all(datetime.fromisoformat(one["last_modified"]).tzinfo for one in listed)
    (stat,) = lines(storage.ok("stat", "o/m13.fits", "--json"))
    assert stat.keys() >= FIELDS | {"content_type", "sha256", "metadata"}
    assert stat["size"] == (observations / "m13.fits").stat().st_size
    (copied,) = lines(storage.ok("copy", "o/m13.fits", "k", "--json"))
    assert (copied["key"], copied["sha256"]) == ("k", stat["sha256"])
    assert lines(storage.ok("delete", "k", "--json")) == [{"deleted": 1}]
    assert lines(storage.ok("delete", "o", "-r", "-y", "--json")) == [{"deleted": 5}]


@pytest.mark.parametrize(
    ("code", "args"),
    [(4, ["stat", "missing"]), (4, ["download", "missing", "x"]), (10, ["upload", "missing", "x"]), (2, ["stat", ""])],
)
def test_errors_in_json_are_json(storage, store, code, args):
    store.mkdir()
    done = storage(*args, "--json")
    said = json.loads(done.stderr)
    assert (done.returncode, said["exit_code"], done.stdout) == (code, code, "")
    assert said.keys() == {"error", "kind", "key", "exit_code"}


def test_failure_of_one_file_in_json(storage, observations, tmp_path):
    storage.ok("upload", str(observations), "o")
    (tmp_path / "back" / "m13.fits").mkdir(parents=True)
    done = storage("download", "o", "back", "--json")
    report = lines(done)[-1]
    assert (done.returncode, report["done"], report["not_done"]) == (10, 4, 1)
    assert [one["key"] for one in report["failed"]] == ["o/m13.fits"]


EVIL = "evil\x1b[31m\x07\r\nname\x7f\x9b31m\u202e"


def controls(text):
    return sorted({sign for sign in text if sign != "\n" and not sign.isprintable()})


def test_control_characters_of_a_key_reach_no_terminal(storage, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / EVIL).write_text("x")
    storage.ok("upload", "data", "d")
    said = [
        storage.ok("list"), storage.ok("stat", f"d/{EVIL}"), storage.ok("copy", f"d/{EVIL}", f"e/{EVIL}"),
        storage("stat", f"f/{EVIL}"), storage.ok("sync", "new", "d", "--direction", "download", "--dry-run"),
        storage("delete", "-r", f"d/{EVIL}"), storage("upload", f"missing{EVIL}", "x"),
    ]  # fmt: skip
    for done in said:
        assert controls(done.stdout + done.stderr) == [], done.args
    assert storage.ok("list").stdout.count("\n") == 2


def test_control_characters_of_a_key_are_escaped_in_json(storage, tmp_path):
    (tmp_path / "f").write_text("x")
    storage.ok("upload", "f", EVIL)
    text = storage.ok("list", "--json").stdout
    assert json.loads(text)["key"] == EVIL
    assert controls(text) == []


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_json_is_json_whatever_the_terminal_can_show(storage, tmp_path, encoding):
    (tmp_path / "f").write_text("x")
    storage.ok("upload", "f", "é日")
    done = storage.ok("list", "--json", binary=True, env={"PYTHONIOENCODING": encoding})
    assert json.loads(done.stdout.decode(encoding))["key"] == "é日"


def test_c_locale(storage, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "é日").write_text("x")
    storage.env |= {"LC_ALL": "C", "LANG": "C"}
    storage.ok("sync", "data", "d")
    assert "d/é日" in storage.ok("list").stdout
    storage.ok("download", "d/é日", "back/")
    assert (tmp_path / "back" / "é日").read_text() == "x"


@pytest.mark.parametrize(
    "args", ["list", "list --json", "stat k", "info", "providers", "cat k", "upload store/k d --json"]
)
def test_reader_that_has_had_enough_is_no_error(storage, store, args):
    store.mkdir()
    (store / "k").write_text("x" * 100_000)
    reader, writer = os.pipe()
    os.close(reader)
    done = storage(*args.split(), stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_head_of_a_long_listing(storage, store):
    (store / "d").mkdir(parents=True)
    for number in range(3000):
        (store / "d" / f"{number}").touch()
    line = f"{shlex.join(storage.program)} list | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], env=storage.env, capture_output=True, text=True)
    assert (done.stdout.split()[-2:], done.stderr) == (["d/0", "0"], "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("args", ["list", "cat k"])
def test_full_disk_behind_stdout_is_no_room(storage, store, args):
    store.mkdir()
    (store / "k").write_text("x" * 100_000)
    with open("/dev/full", "w") as full:
        done = storage(*args.split(), stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 9, done.stderr
    assert "internal error" not in done.stderr and "Traceback" not in done.stderr
