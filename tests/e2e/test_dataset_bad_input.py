"""What `storage dataset` and `storage cas` say to what can't be: one sentence, an exit code, and nothing done."""

import json
import os
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("code", "args", "said"),
    [
        (10, ["version", "missing", "--id", "d"], "there is no such file"),
        (2, ["version", "hollow", "--id", "d"], "there is no file in"),
        (2, ["version", "data", "--id", ""], "it is empty"),
        (2, ["version", "data", "--id", "a@b"], "'@'"),
        (2, ["version", "data", "--id", ".."], "dots"),
        (2, ["version", "data", "--id", "a\nb"], "printed"),
        (2, ["version", "data", "--id", "x" * 201], "200 bytes"),
        (2, ["version", "data", "--id", "model:x"], "a meaning of its own"),
        (2, ["version", "data", "--id", "d", "--tag", " "], "no tag"),
        (2, ["version", "data", "--id", "d", "-m", "x" * 70_000], "at most"),
        (4, ["version", "data", "--id", "d", "--from", "nothing@1"], "no dataset 'nothing'"),
        (4, ["versions", "nothing"], "no dataset 'nothing'"),
        (4, ["checkout", "there@7", "out"], "no version 7"),
        (2, ["checkout", "there@0", "out"], "neither a version's number nor an alias"),
        (4, ["checkout", "there@nobody", "out"], "no alias 'nobody'"),
        (10, ["checkout", "there", "data/a"], "is a file"),
        (2, ["alias", "there@1", "latest"], "always the last version"),
        (2, ["alias", "there@1", "12"], "neither a version's number"),
        (4, ["alias", "there@9", "best"], "no version 9"),
        (4, ["diff", "there@1", "there@2"], "no version 2"),
        (4, ["remove", "there@5", "--yes"], "no version 5"),
        (4, ["verify", "there@5"], "no version 5"),
    ],
)
def test_what_can_not_be_is_one_sentence(storage, folder, tmp_path, contents, code, args, said):
    folder("data", {"a": "1"})
    (tmp_path / "hollow" / "inner").mkdir(parents=True)
    storage.ok("dataset", "version", "data", "--id", "there")
    before = contents(tmp_path)
    told = storage("dataset", *args, "--json")
    assert (told.returncode, json.loads(told.stderr)["exit_code"]) == (code, code), told.stderr
    assert said in json.loads(told.stderr)["error"]
    assert contents(tmp_path) == before


def test_an_odd_id_is_an_id(storage, folder):
    folder("data", {"a": "1"})
    odd = ["#1", "'quote\"", "-dash", "..x", "a%2Fb", "a:b", "team/images", "ünï côde"]
    for dataset_id in odd:
        storage.ok("dataset", "version", "data", f"--id={dataset_id}")
    listed = [json.loads(line) for line in storage.ok("dataset", "list", "--json").stdout.splitlines()]
    assert [each["dataset_id"] for each in listed] == odd
    storage.ok("dataset", "checkout", "--", "-dash", "out")


def test_content_addressing_that_is_switched_off_is_refused(storage, folder):
    folder("data", {"a": "1"})
    storage.env["STORAGE_CONTENT_ADDRESSING_ENABLED"] = "false"
    assert "switched off" in storage.fails(3, "dataset", "version", "data", "--id", "d")
    assert "switched off" in storage.fails(3, "cas", "put", "data/a")


def test_a_bucket_that_is_not_there_and_a_store_that_is_away(storage, folder, ceph_rgw):
    from cloud_environment import minio_variables

    folder("data", {"a": "1"})
    storage.env |= minio_variables(ceph_rgw, "no-such-bucket")
    assert "no-such-bucket" in storage.fails(4, "dataset", "version", "data", "--id", "d")
    assert "no-such-bucket" in storage.fails(4, "dataset", "list")
    storage.env |= {"MINIO_ENDPOINT": "http://127.0.0.1:9", "STORAGE_MAX_ATTEMPTS": "1"}
    assert "127.0.0.1:9" in storage.fails(8, "dataset", "version", "data", "--id", "d")


def test_a_full_disk_makes_no_version_and_the_next_run_goes_on(storage, folder, mounted, tmp_path):
    disk = mounted("size=12m")
    (disk / "ballast").write_bytes(bytes(9_000_000))
    storage.env["STORAGE_LOCAL_PATH"] = str(disk / "store")
    folder("data", {f"{number:03}": bytes([number]) * 100_000 for number in range(60)})
    assert "no version was made" in storage.fails(9, "dataset", "version", "data", "--id", "d")
    assert storage.ok("dataset", "list").stdout == ""
    (disk / "ballast").unlink()
    storage.ok("dataset", "version", "data", "--id", "d")
    storage.ok("dataset", "verify", "d")


def test_a_name_that_is_not_utf8_is_refused_before_anything_is_sent(storage, folder, tmp_path, contents):
    data = folder("data", {"a": "1"})
    Path(os.fsdecode(os.fsencode(data) + b"/\xff")).write_text("2")
    assert "not UTF-8" in storage.fails(10, "dataset", "version", "data", "--id", "d")
    assert not (tmp_path / "store" / "dvc").exists()


def test_content_by_its_hash(storage, folder, tmp_path):
    folder("data", {"a.csv": "1,2\n"})
    (line,) = storage.ok("cas", "put", "data/a.csv").stdout.splitlines()
    address = line.split()[0]
    assert (tmp_path / "store" / "cas" / address[:2] / address).read_text() == "1,2\n"
    assert storage.ok("cas", "put", "-", input="1,2\n", stdin=None).stdout.split() == [address, "-"]
    assert storage.ok("cas", "get", address).stdout == "1,2\n"
    storage.ok("cas", "get", address.upper(), "back.csv")
    assert (tmp_path / "back.csv").read_text() == "1,2\n"
    assert json.loads(storage.ok("cas", "stat", address, "--json").stdout)["size"] == 4
    storage.ok("cas", "verify")
    (tmp_path / "store" / "cas" / address[:2] / address).write_text("1,3\n")
    assert address[:12] in storage.fails(7, "cas", "verify", address)
    assert "is as it was" in storage.fails(7, "cas", "get", address, "back.csv")
    assert (tmp_path / "back.csv").read_text() == "1,2\n"
    storage.ok("cas", "delete", address)
    for command in ("get", "stat", "delete"):
        assert "there is no content" in storage.fails(4, "cas", command, address)
    assert "is no SHA256" in storage.fails(2, "cas", "get", "abc")
    storage.ok("dataset", "version", "data", "--id", "d")
    table = json.loads(storage.ok("dataset", "versions", "d", "--json").stdout)["table"]
    assert "d@1 needs this content" in storage.fails(6, "cas", "delete", table)
