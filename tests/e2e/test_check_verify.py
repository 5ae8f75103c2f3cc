"""`storage check` and `storage verify`, on local disk and a real gateway: they find what is wrong, and change nothing."""

import hashlib
import json
import re

import pytest


def listed(done):
    """What a check printed: name and difference; and the summary, which is the last line."""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["event"] for line in lines] == ["difference"] * (len(lines) - 1) + ["summary"]
    return {line["name"]: line["difference"] for line in lines[:-1]}, lines[-1]


def tree(folder):
    """All of a folder, with what changes when somebody writes there."""
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino, path.stat().st_size) for path in folder.rglob("*")}


@pytest.fixture
def sides(storage, place, folder):
    """A folder and the prefix r/: two the same, one edited, one longer, one only here, one only there."""
    data = folder("data", {"same": "same", "sub/same": "s", "edited": "new", "longer": "longer", "here": "here"})
    for name, content in (("same", "same"), ("edited", "old"), ("longer", "long"), ("there", "there")):
        place.put(f"r/{name}", content)
    storage.ok("upload", "data/sub/same", "r/sub/same")
    return data


FOUND = {
    "edited": "content differs", "here": "only at LOCAL", "longer": "size differs", "there": "only at REMOTE",
}  # fmt: skip


def test_check_says_what_differs_and_changes_nothing(storage, place, sides):
    before, files = place.contents(), tree(sides)
    done = storage("check", "data", "r")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [f"{FOUND[name]}: {name}" for name in sorted(FOUND)]
    assert done.stderr.endswith("2 the same, 4 different\n")
    for options, expected in (
        ((), FOUND),
        (("--one-way",), {name: text for name, text in FOUND.items() if name != "there"}),
        (("--size-only",), {name: text for name, text in FOUND.items() if name != "edited"}),
        (("--checksum", "--exclude", "here", "--size-max", "5"), {k: FOUND[k] for k in ("edited", "there")}),
    ):
        done = storage("check", "data", "r/", "--json", *options)
        differences, summary = listed(done)
        assert (done.returncode, differences) == (1, expected), options
        assert summary["different"] == len(listed(done)[0])
    assert (place.contents(), tree(sides)) == (before, files)


def test_check_of_equal_sides(storage, place, sides):
    storage.ok("sync", "data", "r", "--delete")
    done = storage.ok("check", "data", "r", "--checksum")
    assert (done.stdout, done.stderr) == ("", "5 the same, 0 different\n")
    place.put("r/there", "x")
    assert listed(storage.ok("check", "data", "r", "--one-way", "--json")) == (
        {}, {"event": "summary", "same": 5, "different": 0},
    )  # fmt: skip


def test_check_of_what_is_not_there(storage, place, folder):
    folder("data", {"a": "a"})
    place.put("other", "x")
    assert "'nothing'" in storage.fails(10, "check", "nothing", "r")
    assert "is a file" in storage.fails(10, "check", "data/a", "r")
    assert storage("check", "data", "r").returncode == 1
    (storage.cwd / "empty").mkdir()
    storage.ok("check", "empty", "r")
    done = storage("check", "nothing", "r", "--json")
    assert (done.returncode, done.stdout, json.loads(done.stderr)["exit_code"]) == (10, "", 10)
    assert place.contents() == {"other": b"x"}


@pytest.fixture
def tampered(storage, place, folder):
    """Six objects, of which one has other bytes than it was stored with, and one no hash."""
    folder("data", {f"{number}": f"content {number}" for number in range(4)} | {"big": bytes(3_000_000)})
    storage.ok("sync", "data", "r")
    place.put("r/by hand", "by hand")
    place.tamper("r/2", b"Content 2")


def test_verify_names_what_is_corrupt(storage, place, tampered):
    before = place.contents()
    done = storage("verify", "r/")
    assert done.returncode == 7
    assert "'r/2' is corrupt" in done.stderr and done.stderr.count("storage: ") == 1
    assert "verified 4 objects" in done.stderr and "1 without a stored hash, 1 corrupt" in done.stderr
    done = storage("verify", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 7
    verdicts = {line["key"]: line["verdict"] for line in lines[:-1]}
    assert verdicts == dict.fromkeys(("r/0", "r/1", "r/3", "r/big"), "ok") | {"r/2": "corrupt", "r/by hand": "no hash"}
    assert {line["sha256"] for line in lines if line.get("verdict") == "ok"} == {
        hashlib.sha256(before[key]).hexdigest() for key in ("r/0", "r/1", "r/3", "r/big")
    }
    assert lines[-1].items() >= {"event": "summary", "ok": 4, "no_hash": 1, "corrupt": 1, "failed": 0}.items()
    assert place.contents() == before
    place.delete("r/2")
    done = storage.ok("verify", "r/")
    assert "verified 4 objects" in done.stderr and "corrupt" not in done.stderr


def test_download_keeps_corrupt_bytes_out(storage, place, tampered, tmp_path):
    done = storage("download", "r/", "back")
    assert done.returncode == 7
    assert "'r/2' is corrupt" in done.stderr and "downloaded 5 files" in done.stderr and "1 not done" in done.stderr
    assert {path.name for path in (tmp_path / "back").rglob("*")} == {"0", "1", "3", "big", "by hand"}
    assert (
        hashlib.sha256((tmp_path / "back" / "big").read_bytes()).digest() == hashlib.sha256(bytes(3_000_000)).digest()
    )
    (tmp_path / "back" / "2").write_text("mine")
    done = storage("sync", "back", "r/", "--direction", "download", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, lines[-1]["event"]) == (7, "summary")
    assert [failed["key"] for failed in lines[-1]["failed"]] == ["r/2"]
    assert (tmp_path / "back" / "2").read_text() == "mine"


@pytest.mark.parametrize("place", ["local disk"], indirect=True)
def test_verify_of_some(storage, place):
    for number in range(400):
        place.put(f"r/{number}", "x")
    said = storage.ok("verify", "r/", "--sample", "25%").stderr
    count = int(re.search(r"(\d+) without a stored hash", said).group(1))
    assert 40 < count < 180  # the odds against are beyond a million million to one
    for share in ("0%", "101%", "x", "nan"):
        done = storage("verify", f"--sample={share}")
        assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (2, "", False), share
        assert "is no share" in done.stderr
    assert "verified 0 objects" in storage.ok("verify", "nothing/").stderr
