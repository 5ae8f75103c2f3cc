"""A transfer while it goes on: on a terminal, in a log, as events; and how it says to go on when it was stopped."""

import json
import re
import shlex
import signal
import subprocess

import pytest

MANY = 1500
SUMMARY = {
    "event", "direction", "done", "bytes", "unchanged", "deleted", "trash_id", "failed", "not_done", "interrupted",
    "stopped_by",
    "left_out",
    "reserved",
}  # fmt: skip


@pytest.fixture
def many(storage, tmp_path):
    """Enough small files for several processes."""
    storage.env["STORAGE_LOCAL_DURABLE"] = "false"
    for number in range(MANY):
        path = tmp_path / "many" / f"{number % 7}" / f"{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {number}" * (number % 5))
    return tmp_path / "many"


def events(text):
    return [json.loads(line) for line in text.splitlines()]


def by_kind(told, kind):
    return [event for event in told if event["event"] == kind]


def test_a_terminal_shows_a_large_file_and_ends_with_the_report(storage, store, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "small").write_text("x")
    with (folder / "large.bin").open("wb") as file:
        file.truncate(64 << 20)
    code, shown = storage.on_terminal(["sync", "data", "d"])
    assert code == 0
    assert "looking at both sides" in shown
    assert re.search(r"uploading .*0/2 files .*/67\.1 MB", shown)
    assert re.search(r"d/large\.bin .*/67\.1 MB", shown)
    assert "d/small" not in shown
    assert (store / "d" / "large.bin").stat().st_size == 64 << 20
    # All lines that changed are wiped away; what stays is the report, after the last control sequence.
    assert re.split(r"\x1b\[[?\d;]*[A-Za-z]", shown)[-1].strip() == "uploaded 2 files, 67.1 MB"


def test_a_terminal_on_which_lines_can_not_change_gets_plain_ones(storage, tmp_path):
    (tmp_path / "f").write_text("x")
    storage.program = ("env", "TERM=dumb", *storage.program)
    code, shown = storage.on_terminal(["upload", "f", "k"])
    assert (code, shown) == (0, "uploaded 1 file, 1 byte\r\n")


def test_a_log_of_a_short_transfer_is_one_line(storage, many):
    assert storage.ok("sync", str(many), "d").stderr == f"uploaded {MANY:,} files, {size_of(many) / 1000:.1f} kB\n"


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_events_of_many_files_moved_by_processes(storage, store, many, tmp_path):
    names = {path.relative_to(many).as_posix(): path.stat().st_size for path in many.rglob("*") if path.is_file()}
    for args, near in ((["upload", str(many), "d"], many), (["download", "d", "back"], tmp_path / "back")):
        done = storage.ok(*args, "--json")
        told = events(done.stdout)
        plan, files, summary = told[0], by_kind(told, "file"), told[-1]
        assert plan == {
            "event": "plan", "direction": args[0], "files": MANY, "bytes": size_of(many), "deletions": 0, "unchanged": 0
        }  # fmt: skip
        assert {event["key"]: event["size"] for event in files} == {f"d/{n}": size for n, size in names.items()}
        assert len(files) == MANY and all(event.keys() == {"event", "path", "key", "size", "reason"} for event in files)
        assert {str(tmp_path / event["path"]) for event in files} == {str(near / name) for name in names}
        assert summary.keys() == SUMMARY
        assert (summary["event"], summary["done"], summary["bytes"]) == ("summary", MANY, size_of(many))
        assert {event["event"] for event in told} <= {"plan", "file", "progress", "summary"}
        assert done.stderr == ""


def test_event_of_a_file_that_failed(storage, observations, tmp_path):
    storage.ok("upload", str(observations), "o")
    (tmp_path / "back" / "m13.fits").mkdir(parents=True)
    done = storage("download", "o", "back", "--json")
    told = events(done.stdout)
    (failed,) = [event for event in by_kind(told, "file") if "error" in event]
    assert (done.returncode, failed["key"], failed["kind"]) == (10, "o/m13.fits", "LocalFileError")
    assert told[-1]["failed"][0]["error"] == failed["error"]
    assert len(by_kind(told, "file")) == 5 == told[-1]["done"] + 1


def test_a_plan_that_can_not_be_made_has_no_events(storage):
    done = storage("upload", "missing", "d", "--json")
    assert (done.returncode, done.stdout) == (10, "")


@pytest.mark.parametrize("count", [20, MANY])
def test_reader_of_events_that_has_had_enough_ends_it(storage, store, many, tmp_path, count, contents):
    for path in sorted(path for path in many.rglob("*") if path.is_file())[count:]:
        path.unlink()
    line = f"{shlex.join(storage.program)} upload many d --json | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], env=storage.env, cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout.splitlines()[1:], done.stderr) == (["0"], "")
    if (store / "d").exists():
        assert contents(store / "d").items() <= contents(many).items()


@pytest.mark.parametrize("as_json", [False, True])
def test_an_interrupt_says_what_was_done_and_how_to_go_on(storage, store, many, wait_for, contents, as_json):
    slower = {"STORAGE_LOCAL_DURABLE": "true"}  # so that the interrupt comes before the end
    process = storage.start("sync", str(many), "d", *(["--json"] if as_json else []), env=slower)
    wait_for((store / "d").exists)
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    there = len(contents(store / "d"))
    if as_json:
        told = events(out)
        summary = told[-1]
        assert (summary["event"], summary["interrupted"], said) == ("summary", True, "")
        assert summary["done"] + summary["not_done"] == MANY
        assert 0 <= summary["done"] - len(by_kind(told, "file")) <= 1, "an interrupt may come between the two"
        count = summary["done"]
    else:
        (line,) = said.splitlines()
        told = re.fullmatch(
            r"storage: interrupted: ([\d,]+) of 1,500 files done, .*; run the same command again to go on", line
        )
        assert told, said
        count = int(told[1].replace(",", ""))
    assert count <= there <= MANY
    assert f"{there:,} unchanged" in storage.ok("sync", str(many), "d").stderr
    assert contents(store / "d") == contents(many)


def test_a_dry_run_lists_what_would_be_done(storage, store, many):
    shown = storage.ok("sync", str(many), "d", "--dry-run").stdout.splitlines()
    assert len(shown) == MANY + 1 and not store.exists()
    assert f"upload {many}/1/1 to d/1/1 (12 bytes, new)" in shown
    assert shown[-1] == f"would upload {MANY:,} files, {size_of(many) / 1000:.1f} kB; 0 unchanged"
