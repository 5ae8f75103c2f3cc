"""Versions of datasets as a user makes and fetches them, on local disk and in a bucket."""

import hashlib
import json
import os

import pytest

FILES = {
    "a.csv": "1,2\n",
    "runs/1.bin": b"\0" * 70_000,
    "runs/copy.bin": b"\0" * 70_000,
    "runs/é #%.txt": "x",
    "empty": "",
}


def md5(data):
    data = data if isinstance(data, bytes) else data.encode()
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def answer(done):
    """The last JSON value that a command printed."""
    return json.loads(done.stdout.splitlines()[-1])


def make(storage, *args):
    return answer(storage.ok("dataset", "version", *args, "--json"))


def test_a_version_is_kept_by_content_and_comes_back(storage, place, folder, contents, tmp_path):
    data = folder("data", FILES)
    made = make(storage, "data", "--id", "m13", "-m", "first night")
    assert (made["new"], made["version"], made["sent"]) == (True, 1, 4)
    assert (made["files"], made["size"]) == (5, 140_005)
    stored = place.contents("dvc/")
    entries = [{"md5": md5(FILES[name]), "relpath": name} for name in sorted(FILES)]
    manifest = json.dumps(entries, sort_keys=True).encode()
    address = md5(manifest)
    assert stored == {
        f"dvc/files/md5/{digest[:2]}/{digest[2:]}": content.encode() if isinstance(content, str) else content
        for digest, content in {md5(content): content for content in FILES.values()}.items()
    } | {f"dvc/files/md5/{address[:2]}/{address[2:]}.dir": manifest}
    assert made["content"] == f"{address}.dir"
    storage.ok("dataset", "checkout", "m13", "out")
    assert contents(tmp_path / "out") == contents(data)


def test_what_has_not_changed_makes_no_version(storage, folder, contents, tmp_path):
    folder("data", FILES)
    make(storage, "data", "--id", "m13")
    before = contents(tmp_path / "store")
    assert "no new version" in storage.ok("dataset", "version", "data", "--id", "m13", "-m", "again").stderr
    assert contents(tmp_path / "store") == before
    made = make(storage, "data", "--id", "m13", "-m", "again", "--even-if-unchanged")
    assert (made["new"], made["version"], made["sent"]) == (True, 2, 0)


def test_only_new_contents_are_sent_and_only_differences_fetched(storage, place, folder, contents, tmp_path):
    data = folder("data", FILES)
    make(storage, "data", "--id", "m13")
    storage.ok("dataset", "checkout", "m13", "out")
    (data / "runs" / "1.bin").rename(data / "moved.bin")
    (data / "a.csv").write_text("1,2\n3,4\n")
    (data / "runs" / "new").write_text("new")
    made = make(storage, "data", "--id", "m13", "-m", "second")
    assert (made["version"], made["sent"]) == (2, 2)
    (tmp_path / "out" / "mine").write_text("not of the dataset")
    kept = (tmp_path / "out" / "empty").stat()
    told = answer(storage.ok("dataset", "checkout", "m13@2", "out", "--json"))
    assert (told["done"], told["unchanged"]) == (3, 3)
    now = (tmp_path / "out" / "empty").stat()
    assert (now.st_ino, now.st_mtime_ns) == (kept.st_ino, kept.st_mtime_ns)
    assert contents(tmp_path / "out") == contents(data) | {
        name: hashlib.sha256(text).hexdigest()
        for name, text in {"mine": b"not of the dataset", "runs/1.bin": b"\0" * 70_000}.items()
    }
    storage.ok("dataset", "checkout", "m13@2", "out", "--delete")
    assert contents(tmp_path / "out") == contents(data)
    storage.ok("undo", "--local", "out")
    assert (tmp_path / "out" / "mine").read_text() == "not of the dataset"
    storage.ok("dataset", "checkout", "m13@1", "old")
    assert (tmp_path / "old" / "a.csv").read_text() == "1,2\n"


def test_two_versions_are_compared(storage, folder):
    data = folder("data", FILES)
    make(storage, "data", "--id", "m13")
    (data / "a.csv").write_text("1,2\n3,4\n")
    (data / "runs" / "é #%.txt").rename(data / "t.txt")
    (data / "empty").unlink()
    (data / "new").write_text("abc")
    make(storage, "data", "--id", "m13")
    told = [json.loads(line) for line in storage.ok("dataset", "diff", "m13@1", "m13@2", "--json").stdout.splitlines()]
    assert [(each["event"], each["name"], each.get("new_name")) for each in told[:-1]] == [
        ("changed", "a.csv", None),
        ("removed", "empty", None),
        ("added", "new", None),
        ("renamed", "runs/é #%.txt", "t.txt"),
    ]
    assert told[-1] == {
        "event": "summary", "added": 1, "removed": 1, "changed": 1, "renamed": 1, "unchanged": 2,
        "bytes_added": 3 + 8, "bytes_removed": 4,
    }  # fmt: skip
    assert storage("dataset", "diff", "m13@1", "m13@2", "--exit-code").returncode == 1
    assert storage.ok("dataset", "diff", "m13@2", "m13@latest", "--exit-code").stdout == ""


@pytest.mark.parametrize("place", ["local disk", pytest.param("gateway", marks=pytest.mark.nightly)], indirect=True)
def test_a_version_has_names_and_what_it_was_made_from(storage, place, folder):
    folder("raw", {"a": "1"})
    folder("clean", {"a": "2"})
    make(storage, "raw", "--id", "raw", "-m", "as it came")
    make(storage, "clean", "--id", "team/clean", "--from", "raw", "--tag", "checked", "--metadata", "dark=d 3")
    storage.ok("dataset", "alias", "team/clean@1", "train-2026")
    told = [json.loads(line) for line in storage.ok("dataset", "versions", "team/clean", "--json").stdout.splitlines()]
    assert [each["aliases"] for each in told] == [["train-2026"]]
    assert told[0]["parents"] == [{"kind": "dataset", "id": "raw", "version": 1}]
    assert (told[0]["tags"], told[0]["metadata"]) == (["checked"], {"dark": "d 3"})
    listed = [json.loads(line) for line in storage.ok("dataset", "list", "--json").stdout.splitlines()]
    assert [(each["dataset_id"], each["versions"]) for each in listed] == [("raw", 1), ("team/clean", 1)]
    (shown,) = [line for line in storage.ok("dataset", "versions", "team/clean").stdout.splitlines() if "@1" in line]
    assert "@train-2026" in shown and "#checked" in shown
    storage.ok("dataset", "checkout", "team/clean@train-2026", "out")
    storage.ok("dataset", "alias", "team/clean", "train-2026", "--remove")
    assert "no alias 'train-2026'" in storage.fails(4, "dataset", "checkout", "team/clean@train-2026", "out")


def test_a_removed_version_stays_removed_and_its_number_is_not_given_again(storage, folder):
    data = folder("data", {"a": "1"})
    make(storage, "data", "--id", "d")
    (data / "a").write_text("2")
    make(storage, "data", "--id", "d")
    storage.ok("dataset", "alias", "d@2", "best")
    assert "'best'" in storage.fails(2, "dataset", "remove", "d@2", "--yes")
    assert "--yes" in storage.fails(2, "dataset", "remove", "d@2")
    storage.ok("dataset", "remove", "d@2", "--yes", "--force")
    assert "was removed" in storage.fails(4, "dataset", "checkout", "d@2", "out")
    assert answer(storage.ok("dataset", "versions", "d", "--json"))["version"] == 1
    assert make(storage, "data", "--id", "d")["version"] == 3


def test_a_single_file_is_a_dataset_too(storage, place, folder, tmp_path):
    folder("data", {"iris.csv": "1,2\n"})
    (tmp_path / "data" / "iris.csv").chmod(0o755)
    made = make(storage, "data/iris.csv", "--id", "iris")
    assert (made["content"], made["is_executable"]) == (md5("1,2\n"), True)
    storage.ok("dataset", "checkout", "iris", "back.csv")
    assert (tmp_path / "back.csv").read_text() == "1,2\n"
    (tmp_path / "into").mkdir()
    storage.ok("dataset", "checkout", "iris", "into")
    assert (tmp_path / "into" / "iris.csv").read_text() == "1,2\n"


@pytest.mark.parametrize("place", ["local disk", pytest.param("gateway", marks=pytest.mark.nightly)], indirect=True)
@pytest.mark.parametrize("what", ["file", "manifest", "table", "record"])
def test_a_flipped_bit_is_found_and_named_in_every_kind_of_object(storage, place, folder, what, tmp_path):
    folder("data", {"a.csv": "1,2\n", "b/c.fits": "x" * 5000})
    made = make(storage, "data", "--id", "d")
    if what == "record" and place.provider == "local":  # not an ordinary file
        (record,) = (tmp_path / "store").rglob("*datasets%2fd%2f1.json")
        record.write_bytes(flipped(record.read_bytes()))
    else:
        key = {
            "file": f"dvc/files/md5/{md5('x' * 5000)[:2]}/{md5('x' * 5000)[2:]}",
            "manifest": f"dvc/files/md5/{made['content'][:2]}/{made['content'][2:]}",
            "table": f"cas/{made['table'][:2]}/{made['table']}",
            "record": ".lading/datasets/d/1.json",
        }[what]
        place.tamper(key, flipped(place.contents(key)[key]))
    complaint = storage.fails(7, "dataset", "verify", "d")
    of_record = "the record of d@1" if place.provider == "local" else "datasets/d/1.json"
    named = {"file": "b/c.fits: ", "manifest": "the manifest for DVC: ", "table": "cas/", "record": of_record}
    assert named[what] in complaint
    if what != "manifest":  # which is there for DVC alone
        done = storage("dataset", "checkout", "d", "out")
        assert done.returncode == 7 and "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "b" / "c.fits").exists() or what == "manifest"


def flipped(data):
    return data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]


@pytest.mark.parametrize("place", ["local disk", pytest.param("gateway", marks=pytest.mark.nightly)], indirect=True)
def test_content_that_was_moved_to_another_address_is_found(storage, place, folder):
    folder("data", {"a": "1", "b": "2"})
    make(storage, "data", "--id", "d")
    place.put(f"dvc/files/md5/{md5('1')[:2]}/{md5('1')[2:]}", "2")  # whole, and not what the address says
    assert "a: " in storage.fails(7, "dataset", "verify", "d")
    assert storage("dataset", "checkout", "d", "out").returncode == 7


@pytest.mark.parametrize("place", ["local disk", pytest.param("gateway", marks=pytest.mark.nightly)], indirect=True)
def test_a_content_that_is_gone_is_found_and_stored_again(storage, place, folder):
    folder("data", {"a": "1", "b": "2"})
    make(storage, "data", "--id", "d")
    place.delete(f"dvc/files/md5/{md5('1')[:2]}/{md5('1')[2:]}")
    assert "a: " in storage.fails(4, "dataset", "verify", "d")
    storage.ok("dataset", "version", "data", "--id", "d", "--recheck")
    storage.ok("dataset", "verify", "d")


def test_a_checkout_is_planned_before_anything_is_written(storage, folder, tmp_path):
    folder("data", {"a": "1"})
    make(storage, "data", "--id", "d")
    assert "would download 1 file" in storage.ok("dataset", "checkout", "d", "out", "--dry-run").stdout
    assert not (tmp_path / "out").exists()


def test_what_is_replaced_can_be_kept(storage, folder, tmp_path):
    folder("data", {"a": "1"})
    make(storage, "data", "--id", "d")
    folder("out", {"a": "my work"})
    storage.ok("dataset", "checkout", "d", "out", "--backup")
    assert (tmp_path / "out" / "a").read_text() == "1"
    storage.ok("undo", "--local", "out")
    assert (tmp_path / "out" / "a").read_text() == "my work"


def test_hard_links_are_read_only_and_share_the_file(storage, folder, tmp_path):
    folder("data", {"a": "1", "b/c": "2"})
    make(storage, "data", "--id", "d")
    storage.ok("dataset", "checkout", "d", "one", "--link", "hardlink")
    storage.ok("dataset", "checkout", "d", "two", "--link", "hardlink")
    one, two = (tmp_path / name / "b" / "c" for name in ("one", "two"))
    assert os.path.samefile(one, two)
    assert one.stat().st_mode & 0o777 == 0o444
    storage.ok("dataset", "checkout", "d", "mine")
    (tmp_path / "mine" / "a").write_text("changed")
    assert (tmp_path / "one" / "a").read_text() == "1"


def test_a_cached_file_that_somebody_has_written_to_is_not_given_out(storage, place, folder, tmp_path):
    folder("data", {"a": "1"})
    make(storage, "data", "--id", "d")
    storage.ok("dataset", "checkout", "d", "one", "--link", "hardlink")
    (tmp_path / "one" / "a").chmod(0o644)
    (tmp_path / "one" / "a").write_text("2")
    storage.ok("dataset", "checkout", "d", "two", "--link", "hardlink")
    assert (tmp_path / "two" / "a").read_text() == "1"
