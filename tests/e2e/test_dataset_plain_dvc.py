"""Versions of datasets and plain dvc: each reads what the other wrote."""

import hashlib
import json
import sys

import pytest
from plain_dvc import SPECIAL, files_of, fill, plain

OPEN = "import dvc.api, sys; sys.stdout.buffer.write(dvc.api.read(sys.argv[1], mode='rb'))"


def credentials(place):
    """What somebody else brings who has plain dvc alone."""
    of_place = place.variables
    names = {"AWS_ACCESS_KEY_ID": "MINIO_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY": "MINIO_SECRET_KEY"}
    return {name: of_place[ours] for name, ours in names.items() if ours in of_place}


@pytest.mark.parametrize("place", ["gateway", pytest.param("local disk", marks=pytest.mark.nightly)], indirect=True)
def test_plain_dvc_pulls_a_version_that_was_never_added_to_it(storage, workspace, place, tmp_path):
    fill(tmp_path / "data", SPECIAL)
    (tmp_path / "data" / "link").symlink_to(tmp_path / "data" / "same")
    storage.ok("dataset", "version", str(tmp_path / "data"), "--id", "m13", "-m", "first night", "--tag", "raw")
    storage.ok("dataset", "dvc", "init")
    storage.ok("dataset", "dvc", "remote")
    storage.ok("dataset", "export-dvc", "m13@1", "data.dvc")
    plain(storage, workspace, "git", "add", "--all")
    plain(storage, workspace, "git", "commit", "--quiet", "-m", "the dataset")

    clone, theirs = tmp_path / "clone", credentials(place)
    plain(storage, tmp_path, "git", "clone", "--quiet", str(workspace), "clone")
    plain(storage, clone, "dvc", "pull", **theirs)
    expected = SPECIAL | {"link": SPECIAL["same"]}
    assert files_of(clone / "data") == expected
    assert plain(storage, clone, "dvc", "status") == "Data and pipelines are up to date."
    assert "in sync" in plain(storage, clone, "dvc", "status", "--cloud", **theirs)
    exported = (clone / "data.dvc").read_text()
    assert "dataset: m13" in exported and "message: first night" in exported
    plain(storage, tmp_path, "dvc", "get", str(clone), "data/a#b", "--out", "got", **theirs)
    assert (tmp_path / "got").read_bytes() == SPECIAL["a#b"]
    assert plain(storage, clone, sys.executable, "-c", OPEN, "data/with space", **theirs) == "1"

    # And back: what they push becomes the next version.
    fill(clone / "data", {"new": b"theirs", "empty": b"no more"})
    plain(storage, clone, "dvc", "add", "data")
    plain(storage, clone, "dvc", "push", **theirs)
    made = json.loads(
        storage.ok("dataset", "import-dvc", str(clone / "data.dvc"), "--id", "m13", "--from", "m13@1", "--json").stdout
    )
    assert (made["new"], made["version"], made["sent"]) == (True, 2, 0)
    storage.ok("dataset", "verify", "m13")
    storage.ok("dataset", "checkout", "m13", str(tmp_path / "out"))
    assert files_of(tmp_path / "out") == expected | {"new": b"theirs", "empty": b"no more"}
    storage.ok("dataset", "checkout", "m13", str(tmp_path / "out"))  # of what dvc wrote no SHA-256 is known
    again = storage.ok("dataset", "import-dvc", str(clone / "data.dvc"), "--id", "m13")
    assert "no new version" in again.stderr

    digest = hashlib.md5(b"theirs", usedforsecurity=False).hexdigest()
    place.put(f"dvc/files/md5/{digest[:2]}/{digest[2:]}", b"tHeirs")
    assert "new: " in storage.fails(7, "dataset", "verify", "m13")
    done = storage("dataset", "checkout", "m13", str(tmp_path / "bad"), "--no-cache")
    assert done.returncode == 7 and not (tmp_path / "bad" / "new").exists()


@pytest.mark.nightly
def test_a_single_file_goes_both_ways(storage, workspace, tmp_path):
    (workspace / "iris.csv").write_text("1,2\n")
    (workspace / "iris.csv").chmod(0o755)
    storage.ok("dataset", "version", "iris.csv", "--id", "iris")
    storage.ok("dataset", "dvc", "init")
    storage.ok("dataset", "dvc", "remote")
    storage.ok("dataset", "export-dvc", "iris", "back.csv.dvc")
    plain(storage, workspace, "dvc", "pull", "back.csv.dvc")
    assert (workspace / "back.csv").read_text() == "1,2\n"
    assert (workspace / "back.csv").stat().st_mode & 0o111
    made = storage.ok("dataset", "import-dvc", "back.csv.dvc", "--id", "again", "--json")
    assert json.loads(made.stdout)["content"] == hashlib.md5(b"1,2\n", usedforsecurity=False).hexdigest()


def pushed(place, manifest):
    digest = hashlib.md5(manifest, usedforsecurity=False).hexdigest()
    place.put(f"dvc/files/md5/{digest[:2]}/{digest[2:]}.dir", manifest)
    return f"outs:\n- md5: {digest}.dir\n  hash: md5\n  path: data\n"


@pytest.mark.parametrize("place", ["local disk", pytest.param("gateway", marks=pytest.mark.nightly)], indirect=True)
def test_a_hostile_manifest_is_refused(storage, place, tmp_path, contents):
    name = hashlib.md5(b"x", usedforsecurity=False).hexdigest()
    place.put(f"dvc/files/md5/{name[:2]}/{name[2:]}", b"x")
    before = place.contents()
    for paths in (["../../x"], ["/etc/x"], ["a/../../x"], ["a", "a"], ["a", "a/b"], [""], ["a//b"], [["a"]]):
        manifest = json.dumps([{"md5": name, "relpath": path} for path in paths]).encode()
        (tmp_path / "data.dvc").write_text(pushed(place, manifest))
        assert "damaged" in storage.fails(7, "dataset", "import-dvc", "data.dvc", "--id", "d")
    assert {key for key in place.contents() if not key.startswith("dvc/")} == {
        key for key in before if not key.startswith("dvc/")
    }
    (tmp_path / "data.dvc").write_text(pushed(place, json.dumps([{"md5": "00" * 16, "relpath": "gone"}]).encode()))
    assert "'gone'" in storage.fails(4, "dataset", "import-dvc", "data.dvc", "--id", "d")
