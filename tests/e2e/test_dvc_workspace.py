"""`storage dataset dvc` with the real dvc and git: what it pushed plain dvc pulls in a fresh clone, and the other way round."""

import json
import os
import re
import signal
from pathlib import Path

import pytest
from cloud_environment import minio_variables
from plain_client import plain_client
from plain_dvc import SPECIAL, files_of, fill, plain
from stores_by_hand import BucketByHand


def dvc(storage, *arguments, **more):
    return storage.ok("dataset", "dvc", *arguments, **more).stdout


def refused(storage, code, *arguments, **more):
    return storage.fails(code, "dataset", "dvc", *arguments, **more)


@pytest.mark.parametrize("place", ["local disk", pytest.param("gateway", marks=pytest.mark.nightly)], indirect=True)
def test_both_ways_between_ours_and_plain_dvc(storage, workspace, place, tmp_path):
    data = workspace / "data"
    fill(data, SPECIAL)
    (tmp_path / "elsewhere").write_bytes(b"by a link")
    (data / "link").symlink_to(tmp_path / "elsewhere")
    dvc(storage, "init")
    dvc(storage, "remote")
    commit = dvc(storage, "version", "data/", "-m", "first light").strip()
    dvc(storage, "push", "data")
    expected = SPECIAL | {"link": b"by a link"}
    stored = place.contents("dvc/")
    assert len(stored) == len(set(expected.values())) + 1  # and the manifest
    assert all(re.fullmatch(r"dvc/files/md5/[0-9a-f]{2}/[0-9a-f]{30}(\.dir)?", key) for key in stored)

    # Somebody else clones, brings credentials of their own, and has plain dvc.
    keys = {name: value for name, value in place.variables.items() if "SECRET" in name or "ACCESS_KEY" in name}
    assert not [value for value in keys.values() if value in plain(storage, workspace, "git", "log", "-p", "--all")]
    theirs = dict(zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), keys.values(), strict=False))
    clone = tmp_path / "clone"
    plain(storage, tmp_path, "git", "clone", "--quiet", str(workspace), "clone")
    assert plain(storage, clone, "git", "rev-parse", "HEAD") == commit
    plain(storage, clone, "dvc", "pull", **theirs)
    assert files_of(clone / "data") == expected
    fill(clone / "data", {"new": b"theirs", "empty": b"no more"})
    plain(storage, clone, "dvc", "add", "data")
    plain(storage, clone, "dvc", "push", **theirs)
    plain(storage, clone, "git", "commit", "--quiet", "--all", "-m", "second night\n\nclouds")

    plain(storage, workspace, "git", "pull", "--quiet", "--ff-only", str(clone), "HEAD")
    changed = expected | {"new": b"theirs", "empty": b"no more"}
    told = json.loads(dvc(storage, "pull", "data.dvc", "../target", "--json"))
    assert told["path"] == str(tmp_path / "target")
    assert files_of(tmp_path / "target") == changed
    dvc(storage, "pull", "data")
    assert files_of(data) == changed

    newer, older = map(json.loads, dvc(storage, "versions", "data", "--json").splitlines())
    assert older["commit"] == commit
    assert (older["message"], newer["message"]) == ("first light", "second night\n\nclouds")
    assert (older["nfiles"], newer["nfiles"]) == (len(expected), len(changed))
    assert newer["size"] == sum(map(len, changed.values()))
    assert newer["author"] == "Ada <ada@example.org>"
    assert f"md5: {newer['md5']}\n" in (workspace / "data.dvc").read_text()


def test_tls_a_place_of_its_own_and_a_stranger_in_the_environment(storage, workspace, ceph_rgw, new_bucket):
    bucket, other = new_bucket(ceph_rgw), new_bucket(ceph_rgw)
    storage.env |= minio_variables(ceph_rgw, bucket, ceph_rgw.https_url) | {
        "STORAGE_CA_BUNDLE": str(ceph_rgw.ca_bundle),
        "DVC_REMOTE_URL": f"s3://{other}/of/dvc",
        "DVC_REMOTE_NAME": "Cold",
        "AWS_SESSION_TOKEN": "of somebody else",
        "AWS_ACCESS_KEY_ID": "of somebody else",
        "AWS_SECRET_ACCESS_KEY": "of somebody else",
    }
    fill(workspace, {"table.csv": b"1,2\n"})
    dvc(storage, "init")
    url = f"s3://{other}/of/dvc"
    assert json.loads(dvc(storage, "remote", "--json")) == {"url": url}
    local = workspace / ".dvc" / "config.local"
    assert local.stat().st_mode & 0o777 == 0o600
    assert ceph_rgw.secret_key in local.read_text()
    dvc(storage, "version", "table.csv", "-m", "m")
    dvc(storage, "push", "table.csv")
    client = plain_client(ceph_rgw)
    assert list(BucketByHand(ceph_rgw, client, other).contents("of/dvc/files/md5/").values()) == [b"1,2\n"]
    assert BucketByHand(ceph_rgw, client, bucket).contents() == {}
    client.close()
    assert "config.local" not in plain(storage, workspace, "git", "status", "--porcelain", "--untracked-files=all")
    local.write_text(local.read_text().replace(ceph_rgw.secret_key, "wr0ng/secret"))
    plain(storage, workspace, "rm", "-r", ".dvc/cache", "table.csv")
    said = refused(storage, 5, "pull", "table.csv")
    assert "wr0ng" not in said and "dvc pull" in said


def test_corrupt_and_missing_content(storage, workspace, store, tmp_path):
    fill(workspace / "data", {"a": b"a", "b": b"b"})
    dvc(storage, "init")
    dvc(storage, "remote")
    dvc(storage, "version", "data", "-m", "m")
    dvc(storage, "push", "data")
    [damaged] = [path for path in store.rglob("*") if path.is_file() and path.read_bytes() == b"b"]
    plain(storage, workspace, "rm", "-rf", ".dvc/cache", "data")
    os.chmod(damaged, 0o644)
    damaged.write_bytes(b"?")
    assert "is corrupt" in refused(storage, 7, "pull", "data", "../target")
    assert "is corrupt" in refused(storage, 7, "pull", "data")
    damaged.unlink()
    assert "dvc fetch" in refused(storage, 4, "pull", "data", "../target")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "site", "store", "workspace"]
    plain(storage, workspace, "rm", "-rf", ".dvc/cache", "../site", "../store")
    assert "Missing cache files" in refused(storage, 4, "push", "data")  # dvc itself calls that done


def test_a_version_is_one_commit_of_what_belongs_to_it(storage, workspace):
    identity = {name: None for name in storage.env if name.startswith(("GIT_AUTHOR", "GIT_COMMITTER"))}
    dvc(storage, "init")
    dvc(storage, "init")  # once more changes nothing
    dvc(storage, "remote")
    fill(workspace, {"sub/it's ü#": b"1", "staged": b"", "untracked": b""})
    (workspace / "sub" / "it's ü#").chmod(0o755)
    plain(storage, workspace, "git", "add", "staged")
    odd = "sub/it's ü#"
    nobody = identity | {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "user.useConfigOnly",
        "GIT_CONFIG_VALUE_0": "true",
    }
    assert "git config --global user.name" in refused(storage, 3, "version", odd, "-m", "m", env=nobody)
    assert not (workspace / f"{odd}.dvc").exists()
    refused(storage, 2, "version", odd, "-m", " \n")

    first = json.loads(dvc(storage, "version", odd, "-m", "# not a comment\n\n- x", "--json"))["commit"]
    listed = plain(storage, workspace, "git", "-c", "core.quotePath=false", "show", "--format=%B", "--name-only")
    message, _, names = listed.rpartition("\n\n")
    assert message.rstrip() == "# not a comment\n\n- x"
    assert names.split("\n") == [".dvc/.gitignore", ".dvc/config", ".dvcignore", "sub/.gitignore", f"{odd}.dvc"]
    assert plain(storage, workspace, "git", "status", "--porcelain") == "A  staged\n?? untracked"

    assert dvc(storage, "version", odd, "-m", "again").strip() == first
    shown = dvc(storage, "versions", f"{odd}.dvc")
    assert shown.startswith(f"{first[:12]} ") and shown.endswith("  # not a comment\n")
    dvc(storage, "pull", odd, "copy")
    assert os.access(workspace / "copy", os.X_OK)

    with (workspace / ".dvc" / "config").open("a") as config:
        config.write("['remote \"mine\"']\n    url = https://x\n    password = hunter2\n")
    said = refused(storage, 3, "version", odd, "-m", "with a secret")
    assert "password" in said and "hunter2" not in said


def test_another_remote_an_empty_folder_and_a_part_of_a_repository(storage, workspace, tmp_path):
    plain(storage, workspace, "git", "init", "--quiet")
    part = workspace / "part"
    (part / "nothing").mkdir(parents=True)
    storage.cwd = tmp_path
    at = ("-C", "workspace/part")
    dvc(storage, "init", *at)
    assert (part / ".dvc").is_dir() and not (workspace / ".dvc").exists()
    dvc(storage, "remote", *at)
    dvc(storage, "remote", *at, env={"DVC_REMOTE_NAME": "cold", "STORAGE_LOCAL_PATH": str(tmp_path / "cold")})
    assert dvc(storage, "add", "nothing", "--remote", "storage", *at) == "nothing.dvc\n"
    assert (part / "nothing.dvc").read_text().endswith("  path: nothing\n  remote: storage\n")
    dvc(storage, "push", "nothing", *at)
    assert (tmp_path / "store" / "dvc" / "files").is_dir() and not (tmp_path / "cold").exists()
    dvc(storage, "pull", "nothing", "../../target", *at)
    assert (tmp_path / "target").is_dir() and not list((tmp_path / "target").iterdir())
    assert "there is cold, storage" in refused(storage, 3, "add", "nothing", "--remote", "nosuch", *at)
    assert dvc(storage, "versions", "nothing", *at) == ""  # none is committed yet
    assert "there already" in refused(storage, 6, "pull", "nothing", "../../store", *at)


def test_what_can_not_be_is_one_sentence(storage, workspace, tmp_path):
    fill(workspace, {"f": b""})
    assert "storage dataset dvc init" in refused(storage, 3, "add", "f")
    assert "storage dataset dvc init" in refused(storage, 3, "versions", "f")
    assert "there is no folder" in refused(storage, 10, "add", "f", "-C", "nosuch")
    plain(storage, workspace, "git", "init", "--quiet")
    (workspace / ".dvc").mkdir()
    (workspace / "way-out").symlink_to(tmp_path)
    for path, reason in {
        "way-out/x": "outside of the workspace",
        "\n\x1b[31m": r"there is no file or folder",
    }.items():
        assert reason in refused(storage, 10, "add", path)
    said = storage("dataset", "dvc", "push", "f", "--json")
    assert json.loads(said.stderr)["kind"] == "ObjectNotFound"
    assert "can't reach a store of the kind 'memory'" in refused(
        storage, 11, "remote", env={"STORAGE_PROVIDER": "memory"}
    )
    assert "DVC_REMOTE_URL" in refused(storage, 3, "remote", env={"DVC_REMOTE_URL": "https://x"})
    assert "DVC_REMOTE_NAME" in refused(storage, 3, "remote", env={"DVC_REMOTE_NAME": "a b"})
    keys = {"AWS_BUCKET_NAME": "sky", "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "hunter2"}
    assert "git does not ignore" in refused(storage, 3, "remote", env={"STORAGE_PROVIDER": "s3", **keys})
    assert not (workspace / ".dvc" / "config.local").exists()
    only_ours = str(tmp_path / "bin")
    Path(only_ours).mkdir()
    assert "needs git" in refused(storage, 3, "init", env={"PATH": only_ours})


def test_an_interrupt_ends_what_was_started(storage, workspace, tmp_path, living, wait_for):
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nsleep 1\necho > started\nexec sleep 600\n")  # by then it is known to whoever started it
    slow.chmod(0o755)
    path = f"{slow.parent}{os.pathsep}{storage.env['PATH']}"
    process = storage.start("dataset", "dvc", "versions", "f", env={"PATH": path})
    wait_for((workspace / "started").exists)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in stderr and "Traceback" not in stderr
    assert living(process.pid) == []
