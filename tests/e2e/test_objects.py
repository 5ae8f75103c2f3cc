"""Commands on single objects and on prefixes: list, stat, cat, copy, delete."""

import hashlib
import json
import random

import pytest


def keys_of(text):
    return [line.split()[-1] for line in text.splitlines()]


def test_list_is_in_byte_order_and_takes_the_prefix_as_it_is(storage, put):
    put("c", "cc/0", "a/b", "a-b", "Z", "é")
    assert keys_of(storage.ok("list").stdout) == ["Z", "a-b", "a/b", "c", "cc/0", "é"]
    assert keys_of(storage.ok("list", "c").stdout) == ["c", "cc/0"]
    assert keys_of(storage.ok("list", "--limit", "2").stdout) == ["Z", "a-b"]
    assert storage.ok("list", "nothing").stdout == ""


def test_stat_says_what_the_disk_says(storage, observations):
    file = observations / "m13.fits"
    storage.ok("upload", str(file), "o/m13.fits")
    shown = storage.ok("stat", "o/m13.fits").stdout
    assert hashlib.sha256(file.read_bytes()).hexdigest() in shown
    assert f"{file.stat().st_size:,} bytes" in shown
    assert "image/fits" in shown or "application/fits" in shown
    assert "o/m14.fits" in storage.fails(4, "stat", "o/m14.fits")
    storage.fails(4, "stat", "o")


def test_cat_gives_the_bytes_and_no_others(storage, store):
    data = random.Random(2).randbytes(2_500_000)
    store.mkdir()
    (store / "k").write_bytes(data)
    assert storage.ok("cat", "k", binary=True).stdout == data
    assert storage.ok("cat", "k", "--offset", "1048575", "--length", "3", binary=True).stdout == data[1048575:1048578]
    assert storage.ok("cat", "k", "--offset", "2499999", binary=True).stdout == data[-1:]
    assert storage.ok("cat", "k", "--length", "9999999", binary=True).stdout == data


def test_cat_of_a_range_past_the_end_and_of_an_empty_object(storage, put):
    put("empty", content="")
    assert storage.ok("cat", "empty").stdout == ""
    storage.fails(2, "cat", "empty", "--offset", "1")
    storage.fails(2, "cat", "empty", "--length", "1")
    storage.fails(4, "cat", "missing")
    assert storage("cat", "empty", "--offset=-1").returncode == 2
    assert storage("cat", "empty", "--length", "0").returncode == 2


def test_copy_goes_to_a_key_or_into_a_folder(storage, store, put, contents):
    put("x/a.pt")
    storage.ok("copy", "x/a.pt", "b.pt")
    storage.ok("copy", "x/a.pt", "folder/")
    assert contents(store).keys() == {"x/a.pt", "b.pt", "folder/a.pt"}
    storage.fails(4, "copy", "missing", "c")
    assert len(set(contents(store).values())) == 1


def test_copy_and_delete_leave_nothing_behind(storage, store, put):
    put("a")
    storage.ok("copy", "a", "b")
    storage.ok("delete", "a")
    assert list((store / ".lading" / "tmp").iterdir()) == []


def test_delete_takes_one_key_and_nothing_else(storage, store, put, contents):
    put("a/b", "a/bc", "ab")
    storage.ok("delete", "a/b")
    assert contents(store).keys() == {"a/bc", "ab"}
    storage.fails(4, "delete", "a/b")
    storage.ok("delete", "a/b", "--missing-ok")
    assert contents(store).keys() == {"a/bc", "ab"}


@pytest.mark.parametrize("prefix", ["obs", "obs/"])
def test_prefix_is_deleted_only_when_asked_for(storage, store, put, contents, prefix):
    put("obs/1", "obs/x/2", "observations2/1", "obs2")
    assert "--recursive" in storage.fails(2, "delete", prefix)
    assert "2 objects" in storage.fails(2, "delete", prefix, "--recursive"), "without a terminal it needs --yes"
    assert len(contents(store)) == 4
    assert "2 objects" in storage.ok("delete", prefix, "--recursive", "--yes").stderr
    assert contents(store).keys() == {"observations2/1", "obs2"}
    storage.fails(4, "delete", prefix, "-r", "-y")
    storage.ok("delete", prefix, "-r", "-y", "--missing-ok")


def test_recursive_takes_the_object_of_that_name_too_and_counts_it(storage, store, contents):
    for number, key in enumerate(["a", "a/b", "ab"]):
        (store.parent / "f").write_text(str(number))
        storage.ok("upload", "f", key)
    assert "2 objects" in storage.ok("delete", "a", "-r", "-y").stderr
    assert contents(store).keys() == {"ab"}


@pytest.mark.parametrize("key", ["", "/", "//"])
def test_whole_store_is_never_deleted(storage, store, put, contents, key):
    put("a", "b/c")
    storage.fails(2, "delete", key, "--recursive", "--yes")
    assert contents(store).keys() == {"a", "b/c"}


def test_question_on_a_terminal_answered_with_no(storage, store, put, contents):
    put("obs/1", "obs/2", "obs2")
    code, shown = storage.on_terminal(["delete", "obs/", "--recursive"], b"n\n")
    assert code == 1 and "internal error" not in shown
    assert "2 objects" in shown
    assert len(contents(store)) == 3


def test_question_on_a_terminal_answered_with_yes(storage, store, put, contents):
    put("obs/1", "obs/2", "obs2")
    code, shown = storage.on_terminal(["delete", "obs/", "--recursive"], b"y\n")
    assert (code, "Traceback" in shown) == (0, False)
    assert contents(store).keys() == {"obs2"}


def test_terminal_gets_a_table_and_progress_but_no_control_characters_of_keys(storage, store, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "evil\x1b[31m\x07\nname").write_text("x")
    code, shown = storage.on_terminal(["sync", "data", "d"], b"")
    assert (code, "uploaded 1 file" in shown) == (0, True)
    code, shown = storage.on_terminal(["list"], b"")
    assert (code, "modified" in shown) == (0, True)
    assert "\x1b[31m" not in shown and "\x07" not in shown
    assert "evil\\x1b[31m\\x07\\nname" in shown.replace("\r\n", "").replace(" ", "")


def test_info_says_where_and_what_and_whether_it_answers(storage, store):
    missing = storage("info")
    assert (missing.returncode, str(store) in missing.stdout) == (4, True)
    store.mkdir()
    shown = storage.ok("info").stdout
    assert all(word in shown for word in ("local", str(store), "create_if_absent", "presign", "yes"))
    answer = json.loads(storage.ok("info", "--json").stdout)
    assert (answer["answers"], answer["capabilities"]["presign"], answer["location"]["provider"]) == (
        True,
        False,
        "local",
    )
    assert "nowhere" in storage("info", "--bucket", "nowhere").stdout
    assert storage("info", "--bucket", "nowhere").returncode == 4


def test_providers_names_each_with_its_aliases(storage):
    shown = storage.ok("providers").stdout
    assert all(word in shown for word in ("local", "memory", "ready"))
    listed = [json.loads(line) for line in storage.ok("providers", "--json").stdout.splitlines()]
    assert [one["name"] for one in listed if one["active"]] == ["local"]
    assert all(one.keys() >= {"name", "aliases", "missing"} for one in listed)
