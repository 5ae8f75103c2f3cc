"""`storage sync --delete`, both ways, on local disk and a real gateway; seen by reading the disk and by plain boto3."""

import json
import re
import subprocess

import pytest

EIGHT = {**{f"{n}": f"{n}" for n in range(4)}, **{f"d/{n}": f"d{n}" for n in range(4)}}


def under(prefix, files):
    return {prefix + name: content.encode() for name, content in files.items()}


def bytes_of(folder):
    paths = (path for path in folder.rglob("*") if path.is_file())
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    return {name: content for name, content in found.items() if not name.startswith(".lading/")}


def live(place):
    return {key: content for key, content in place.contents().items() if not key.startswith("deleted/")}


@pytest.fixture
def eight(storage, place, folder):
    """Eight objects under r/, of which the folder has lost five."""
    data = folder("data", EIGHT)
    storage.ok("sync", "data", "r")
    assert live(place) == under("r/", EIGHT)
    for name in ("3", "d/0", "d/1", "d/2", "d/3"):
        (data / name).unlink()
    return data


def test_more_than_the_budget_is_refused_before_anything_is_done(storage, place, eight):
    (eight / "new").write_text("new")
    (eight / "1").write_text("changed")
    before = place.contents()
    for options, bound in (
        ((), "50%"),
        (("--dry-run",), "50%"),
        (("--plan", "p.json"), "50%"),
        (("--max-delete", "4"), "at most 4"),
    ):
        said = storage.fails(6, "sync", "data", "r", "--delete", *options)
        assert bound in said and "5 would be deleted" in said
        assert "--max-delete 5" in said and "--force" in said
    done = storage("sync", "data", "r", "--delete", "--json")
    assert (done.returncode, done.stdout) == (6, "")
    assert json.loads(done.stderr)["kind"] == "PreconditionFailed"
    assert place.contents() == before
    assert not (storage.cwd / "p.json").exists()


def test_dry_run_shows_deletions_then_they_are_made_and_undone(storage, place, eight):
    options = ("--max-delete", "5")
    before = place.contents()
    shown = storage.ok("sync", "data", "r", "--delete", *options, "--dry-run").stdout
    assert re.findall(r"^delete (\S+) ", shown, re.MULTILINE) == ["r/3", "r/d/0", "r/d/1", "r/d/2", "r/d/3"]
    assert "delete 5; 3 unchanged" in shown
    told = json.loads(storage.ok("sync", "data", "r", "--delete", "--force", "--dry-run", "--json").stdout)
    assert [(gone["name"], gone["size"]) for gone in told["deletions"]][:2] == [("r/3", 1), ("r/d/0", 2)]
    assert place.contents() == before
    said = storage.ok("sync", "data", "r", "--delete", *options).stderr
    assert "5 objects moved to the trash" in said
    assert live(place) == under("r/", {name: EIGHT[name] for name in "012"})
    command = re.search(r"'storage (undo \S+)'", said).group(1).split()
    kept = {re.sub(r"^deleted/[^/]+/objects/", "", key): content for key, content in place.contents("deleted/").items()}
    assert under("r/", {"3": "3", "d/0": "d0"}).items() <= kept.items()
    storage.ok(*command)
    assert place.contents() == before


def test_a_folder_loses_what_the_store_does_not_have(storage, place, folder, tmp_path):
    folder("data", EIGHT)
    storage.ok("sync", "data", "r")
    mine = EIGHT | {"1": "mine", "gone/deep/x": "x", "gone/y": "y", "z w's": "z"}
    back = folder("back ' up", mine)
    args = ("sync", "back ' up", "r", "--direction", "download", "--delete")
    assert "at most 2" in storage.fails(6, *args, "--max-delete", "2")
    assert bytes_of(back) == under("", mine)
    shown = storage.ok(*args, "--dry-run").stdout
    assert [line for line in shown.splitlines() if line.startswith("delete ")] == [
        f"delete back ' up/{name} (1 byte, not at the source)" for name in ("gone/deep/x", "gone/y", "z w's")
    ]
    assert bytes_of(back) == under("", mine)
    said = storage.ok(*args, "--backup").stderr
    assert bytes_of(back) == under("", EIGHT)
    assert not (back / "gone").exists()
    # Its trash is nobody's business, and not mentioned.
    assert "left out" not in storage.ok(*args).stderr
    # The command it says works as it stands.
    command = re.search(r"'(storage undo .*)' brings", said).group(1)
    subprocess.run(["sh", "-c", command], cwd=tmp_path, env=storage.env, check=True)
    assert bytes_of(back) == under("", mine)


def test_a_source_that_is_empty_or_missing_empties_nothing(storage, place, folder, tmp_path):
    folder("data", EIGHT)
    storage.ok("sync", "data", "r")
    before = place.contents()
    (tmp_path / "empty").mkdir()
    for more in ((), ("--force",)):
        assert "nothing at the source" in storage.fails(6, "sync", "empty", "r", "--delete", *more)
        assert "missing" in storage.fails(10, "sync", "missing", "r", "--delete", *more)
        said = storage.fails(6, "sync", "data", "nowhere/", "--direction", "download", "--delete", *more)
        assert "nothing at the source" in said
    assert place.contents() == before
    assert bytes_of(tmp_path / "data") == under("", EIGHT)
    assert "is one file" in storage.fails(2, "sync", "data/1", "r", "--delete")
    # All that is there may be left out by a filter: that is not an empty folder's fault, but it would empty the store.
    storage.fails(6, "sync", "data", "r", "--delete", "--force", "--include", "*.none")
    assert place.contents() == before


def test_what_the_root_keeps_for_others_is_left_out_and_said(storage, place, folder, tmp_path):
    for key in ("deleted/by/hand", "temp/t", "cas/ab/ab12", "dvc/x", "mine/deleted/a", "b", "c"):
        place.put(key, key)
    before = place.contents()
    folder("data", {"mine/deleted/a": "mine/deleted/a", "b": "changed"})
    done = storage.ok("sync", "data", "", "--delete")
    assert "left out: cas/, deleted/, dvc/, temp/" in done.stderr
    now = {key: content for key, content in place.contents().items() if not re.match(r"deleted/\d{8}T", key)}
    assert now == {key: content for key, content in before.items() if key != "c"} | {"b": b"changed"}
    done = storage.ok("sync", "back", ".", "--direction", "download", "--delete")
    assert "left out: cas/, deleted/, dvc/, temp/" in done.stderr
    assert bytes_of(tmp_path / "back") == {"mine/deleted/a": b"mine/deleted/a", "b": b"changed"}
    done = storage.ok("sync", "data", "", "--dry-run", "--json")
    assert (done.stderr, json.loads(done.stdout)["reserved"]) == ("", ["cas/", "deleted/", "dvc/", "temp/"])
    # Named, they are synchronised as anything else.
    storage.ok("sync", "cas", "cas", "--direction", "download")
    assert bytes_of(tmp_path / "cas") == {"ab/ab12": b"cas/ab/ab12"}


def test_backup_keeps_what_is_replaced(storage, place, folder):
    data = folder("data", {"a": "old", "b": "b"})
    storage.ok("sync", "data", "r")
    (data / "a").write_text("new")
    said = storage.ok("sync", "data", "r", "--backup").stderr
    assert "what was replaced is in the trash" in said
    assert live(place) == {"r/a": b"new", "r/b": b"b"}
    told = json.loads(storage.ok("trash", "list", "--json").stdout)
    assert (told["count"], told["bytes"]) == (1, 3)
    assert "replaced r/a" in storage.ok("trash", "list", told["id"]).stdout
    storage.ok("undo")
    assert live(place) == {"r/a": b"old", "r/b": b"b"}
    storage.ok("undo")
    assert live(place) == {"r/a": b"new", "r/b": b"b"}
    # Without it nothing is kept.
    storage.ok("trash", "empty", "--older-than", "0s", "--yes")
    (data / "a").write_text("newer")
    assert "trash" not in storage.ok("sync", "data", "r").stderr
    assert place.contents() == {"r/a": b"newer", "r/b": b"b"}


@pytest.mark.parametrize("place", ["local disk"], indirect=True)
def test_the_undo_that_is_said_works_as_it_stands_for_another_bucket(storage, place, folder):
    data = folder("data", {"a": "old"})
    storage.ok("sync", "data", "r", "--bucket", "models", "--create-bucket")
    (data / "a").write_text("new")
    said = storage.ok("sync", "data", "r", "--backup", "--bucket", "models").stderr
    storage.ok(*re.search(r"'storage (undo .*)' brings", said).group(1).split())
    assert storage.ok("cat", "r/a", "--bucket", "models").stdout == "old"


def test_trash_is_listed_restored_in_part_and_emptied(storage, place, eight):
    storage.ok("sync", "data", "r", "--delete", "--force")
    told = json.loads(storage.ok("trash", "list", "--json").stdout)
    assert (told["count"], told["bytes"]) == (5, 9)
    assert "sync" in told["why"]
    storage.ok("trash", "restore", told["id"], "r/d/", "--json")
    assert live(place) == under("r/", {name: content for name, content in EIGHT.items() if name != "3"})
    storage.ok("trash", "empty", "--older-than", "1d", "--yes")
    assert place.contents("deleted/")
    storage.ok("trash", "empty", "--older-than", "0s", "--yes")
    assert place.contents("deleted/") == {}
    assert "nothing to undo" in storage.fails(4, "undo")


FILTERED = {
    "a.txt": "a",
    "b.tmp": "b",
    "keep.tmp": "k",
    "logs/x.txt": "12345",
    "sub/logs/y": "123456789",
    "sub/z.txt": "",
}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--exclude", "*.tmp", "--exclude", "!keep.tmp"), {"a.txt", "keep.tmp", "logs/x.txt", "sub/logs/y", "sub/z.txt"}),
        (("--exclude", "logs/"), {"a.txt", "b.tmp", "keep.tmp", "sub/z.txt"}),
        (("--include", "*.txt"), {"a.txt", "logs/x.txt", "sub/z.txt"}),
        (("--include", "*.txt", "--exclude", "sub/**"), {"a.txt", "logs/x.txt"}),
        (("--size-min", "1", "--size-max", "5B"), {"a.txt", "b.tmp", "keep.tmp", "logs/x.txt"}),
        (("--max-files", "2"), {"a.txt", "b.tmp"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["local disk"], indirect=True)
def test_filters_choose_what_is_moved(storage, place, folder, options, names):
    folder("data", FILTERED)
    storage.ok("sync", "data", "r", *options)
    assert place.contents().keys() == {f"r/{name}" for name in names}


@pytest.mark.parametrize("place", ["local disk"], indirect=True)
def test_filters_of_a_download(storage, place, tmp_path):
    for name, content in FILTERED.items():
        place.put(f"s/{name}", content)
    storage.ok(
        "sync", "back", "s", "--direction", "download", "--include", "*.t*", "--exclude", "sub/", "--size-max", "1"
    )
    assert bytes_of(tmp_path / "back").keys() == {"a.txt", "b.tmp", "keep.tmp"}


def test_what_is_filtered_out_is_not_deleted_either(storage, place, folder):
    data = folder("data", FILTERED)
    storage.ok("sync", "data", "r")
    for name in FILTERED:
        if name != "a.txt":
            (data / name).unlink()
    options = ("--delete", "--force", "--exclude", "*.tmp", "--size-min", "1", "--size-max", "5")
    storage.ok("sync", "data", "r", *options)
    assert live(place).keys() == {"r/a.txt", "r/b.tmp", "r/keep.tmp", "r/sub/logs/y", "r/sub/z.txt"}
    # Files left out by --max-files may be those that are to go, under new names: nothing goes.
    folder("data", {"c": "c", "d": "d"})
    said = storage.ok("sync", "data", "r", "--delete", "--force", "--max-files", "1").stderr
    assert "left out: 1 more" in said
    assert live(place).keys() == {"r/a.txt", "r/b.tmp", "r/c", "r/keep.tmp", "r/sub/logs/y", "r/sub/z.txt"}


@pytest.mark.parametrize("place", ["local disk"], indirect=True)
def test_links_are_followed_skipped_or_an_error(storage, place, folder):
    data = folder("data", {"a": "a"})
    folder("outside", {"b": "b"})
    (data / "link").symlink_to("../outside")
    storage.ok("sync", "data", "followed")
    storage.ok("sync", "data", "skipped", "--symlinks", "skip")
    assert "'data/link'" in storage.fails(10, "sync", "data", "refused", "--symlinks", "error")
    assert place.contents() == {"followed/a": b"a", "followed/link/b": b"b", "skipped/a": b"a"}
    (data / "loop").symlink_to(".")
    assert "loop" in storage.fails(10, "sync", "data", "followed", "--delete", "--force")
    storage.ok("sync", "data", "skipped", "--symlinks", "skip", "--delete")
    assert place.contents() == {"followed/a": b"a", "followed/link/b": b"b", "skipped/a": b"a"}


@pytest.mark.parametrize("place", ["local disk"], indirect=True)
def test_nothing_behind_a_link_of_the_destination_is_deleted(storage, place, folder, tmp_path):
    place.put("r/a", "a")
    outside, back = folder("outside", {"b": "b", "c": "c"}), folder("back", {"mine": "mine"})
    (back / "folder").symlink_to("../outside")
    (back / "file").symlink_to("../outside/c")
    done = storage("sync", "back", "r", "--direction", "download", "--delete", "--force")
    assert done.returncode == 10 and "symbolic link" in done.stderr and "Traceback" not in done.stderr
    assert bytes_of(outside) == {"b": b"b", "c": b"c"}
    assert not (back / "mine").exists()
    storage("undo", "--local", "back")
    assert (back / "mine").read_text() == "mine"
    assert bytes_of(outside) == {"b": b"b", "c": b"c"}


@pytest.mark.parametrize(
    "args",
    [
        ("--max-delete", "3"), ("--force",), ("--delete", "--max-delete", "-1"), ("--symlinks", "no"),
        ("--size-min", "huge"), ("--size-max", "-1"), ("--size-only", "--checksum"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["local disk"], indirect=True)
def test_options_that_make_no_sense(storage, place, folder, args):
    folder("data", {"a": "a"})
    done = storage("sync", "data", "r", *args)
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (2, "", False)
    assert "Error: " in done.stderr
    assert place.contents() == {}
