"""Files and folders of all sorts, to a store and back."""

import random

import pytest


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("1,2\n")
    return path


@pytest.mark.parametrize(
    ("remote", "key"), [("k.csv", "k.csv"), ("x/y", "x/y"), ("folder/", "folder/a.csv"), (None, "a.csv")]
)
def test_file_goes_to_a_key_or_into_a_folder(storage, store, contents, file, remote, key):
    storage.ok("upload", str(file), *([remote] if remote else []))
    assert contents(store).keys() == {key}


@pytest.mark.parametrize(
    ("local", "path"), [("b.csv", "b.csv"), ("new/b", "new/b"), ("there", "there/a.csv"), ("new/", "new/a.csv")]
)
def test_object_goes_to_a_file_or_into_a_folder(storage, put, tmp_path, local, path):
    (tmp_path / "there").mkdir()
    put("x/a.csv")
    storage.ok("download", "x/a.csv", local)
    assert (tmp_path / path).read_text() == "x"


def test_object_goes_here_without_a_local_path(storage, put, tmp_path):
    put("x/k")
    storage.ok("download", "x/k")
    assert (tmp_path / "k").read_text() == "x"


def test_no_clobber_refuses_what_exists_and_changes_nothing(storage, store, put, contents, file, tmp_path):
    put("k", "other")
    (tmp_path / "out").write_text("mine")
    before = contents(store)
    storage.fails(6, "upload", str(file), "k", "--no-clobber")
    storage.fails(6, "download", "k", "out", "--no-clobber")
    storage.fails(6, "copy", "k", "other", "--no-clobber")
    assert (contents(store), (tmp_path / "out").read_text()) == (before, "mine")


def test_no_clobber_lets_pass_what_is_new(storage, store, put, file, tmp_path):
    put("k")
    storage.ok("upload", str(file), "new", "-n")
    storage.ok("download", "k", "out", "-n")
    storage.ok("copy", "k", "copied", "-n")
    assert (tmp_path / "out").read_text() == (store / "copied").read_text() == "x"


def test_destination_that_exists_is_replaced(storage, store, put, file, tmp_path):
    put("k", content="old")
    (tmp_path / "out").write_text("older")
    storage.ok("upload", str(file), "k")
    storage.ok("download", "k", "out")
    assert (store / "k").read_text() == (tmp_path / "out").read_text() == "1,2\n"


def test_names_and_sizes_of_all_sorts_come_back_identical(storage, contents, tmp_path):
    random.seed(1)
    names = [
        "plain",
        "with space",
        "é",
        "e\u0301",
        "日本/語",
        ".hidden/.x",
        "-n",
        "new\nline",
        "%41",
        "a" * 255,
        "~",
        "*?[x]",
    ]
    sizes = [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_000]
    for number, name in enumerate(names):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.randbytes(sizes[number % len(sizes)]))
    storage.ok("upload", "data", "d")
    storage.ok("download", "d", "back")
    assert contents(tmp_path / "back") == contents(tmp_path / "data")
    assert len(contents(tmp_path / "back")) == len(names)
    assert "uploaded 0 files" in storage.ok("sync", "data", "d").stderr


def test_several_processes_move_many_files(storage, store, contents, unfinished, tmp_path):
    for number in range(1500):
        path = tmp_path / "data" / f"{number % 7}" / f"{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content {number}")
    storage.env["STORAGE_LOCAL_DURABLE"] = "false"
    assert "uploaded 1,500 files" in storage.ok("sync", "data", "d").stderr
    assert contents(store / "d") == contents(tmp_path / "data")
    assert "downloaded 1,500 files" in storage.ok("download", "d", "back").stderr
    assert contents(tmp_path / "back") == contents(tmp_path / "data")
    assert unfinished(tmp_path) == []
    assert list((store / ".lading" / "tmp").iterdir()) == []


def test_key_beside_the_folder_of_the_same_name(storage, put, file, tmp_path):
    put("a")
    storage.ok("upload", str(file), "a/b")
    assert storage.ok("list").stdout.split()[2::3] == ["a", "a/b"]
    storage.ok("download", "a", "one")
    storage.ok("download", "a/", "more")
    assert ((tmp_path / "one").read_text(), (tmp_path / "more" / "b").read_text()) == ("x", "1,2\n")


def test_link_to_a_file_outside_is_followed(storage, store, file, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(file)
    storage.ok("upload", "data", "d")
    assert not (store / "d" / "link").is_symlink()
    assert (store / "d" / "link").read_text() == "1,2\n"


def test_type_and_metadata_are_kept_and_copied(storage, file):
    storage.ok(
        "upload", str(file), "k", "--content-type", "text/x-mine", "--metadata", "run=4=2", "--metadata", "who=é"
    )
    storage.ok("copy", "k", "k2")
    shown = storage.ok("stat", "k2").stdout
    assert all(text in shown for text in ("text/x-mine", "4=2", "é"))


@pytest.mark.parametrize(
    "options",
    [("--metadata", "no-equals"), ("--metadata", "BAD=1"), ("--metadata", "sha256=1"), ("--content-type", "x")],
)
def test_bad_option_is_said_once_for_a_whole_folder(storage, store, observations, contents, options):
    done = storage("upload", str(observations), "o", *options)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    complaints = [line for line in done.stderr.splitlines() if line.startswith(("storage: ", "Error: "))]
    assert len(complaints) == 1, done.stderr
    assert contents(store) == {}


def test_missing_object_and_missing_prefix(storage, put, tmp_path):
    put("observations/a")
    for remote in ("obs", "observations/b", "nothing/"):
        assert remote in storage.fails(4, "download", remote, "back")
    assert not (tmp_path / "back").exists()


def test_bucket_that_is_missing(storage, put, file):
    put("k")
    assert "--create-bucket" in storage.fails(4, "upload", str(file), "k2", "--bucket", "models")
    for args in (["list"], ["sync", str(file), "k2"], ["stat", "k"], ["download", "k"], ["delete", "k"]):
        assert "models" in storage.fails(4, *args, "--bucket", "models")


def test_buckets_stand_beside_each_other(storage, put, file, contents, store):
    put("k")
    storage.ok("upload", str(file), "k2", "--bucket", "models", "--create-bucket")
    assert storage.ok("list", "--bucket", "models").stdout.split()[-1] == "k2"
    assert storage.ok("cat", "k2", "--bucket", "models").stdout == "1,2\n"
    storage.ok("delete", "k2", "--bucket", "models")
    assert contents(store).keys() == {"k"}


@pytest.mark.parametrize("name", ["..", "a/b", "UPPER", "x", "-ab", "a\nb"])
def test_name_that_no_bucket_has(storage, store, file, name):
    done = storage("upload", str(file), "k", f"--bucket={name}", "--create-bucket")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert not store.exists()
