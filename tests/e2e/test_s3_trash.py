"""The trash on a real server: what others see of it, and what comes back."""

import json

import pytest
from cloud_environment import minio_variables
from plain_client import plain_client

from application.trash import trash_of_store
from domain.errors import PreconditionFailed
from domain.trash import Trashed
from infrastructure.storage.providers import MinIOProvider


@pytest.fixture
def bucket(ceph_rgw, new_bucket):
    return new_bucket(ceph_rgw)


@pytest.fixture
def plain(ceph_rgw):
    """boto3 with nothing of ours."""
    client = plain_client(ceph_rgw)
    yield client
    client.close()


@pytest.fixture
def trash(ceph_rgw, bucket):
    settings = {
        "endpoint_url": ceph_rgw.http_url,
        "access_key_id": ceph_rgw.access_key,
        "secret_access_key": ceph_rgw.secret_key,
        "bucket_name": bucket,
    }
    with MinIOProvider(settings) as provider:
        yield trash_of_store(provider)


def contents(plain, bucket, prefix=""):
    for _ in range(20):
        pages = plain.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        try:
            return {key: plain.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
        except plain.exceptions.NoSuchKey:
            pass  # the store is still at work for a program that was killed: what it has is looked at again
    raise AssertionError("the store does not come to rest")


def planned(plain, bucket, *keys, replaced=False):
    found = [(key, plain.head_object(Bucket=bucket, Key=key)) for key in keys]
    return [Trashed(key, head["ContentLength"], head["ETag"].strip('"'), replaced) for key, head in found]


def test_many_objects_go_and_come_back(storage, ceph_rgw, bucket, plain, trash, tmp_path):
    storage.env |= minio_variables(ceph_rgw, bucket)
    (tmp_path / "data" / "d").mkdir(parents=True)
    for number in range(230):
        (tmp_path / "data" / "d" / f"{number} é+").write_text(f"{number}")
    storage.ok("upload", "data", "x", "--metadata", "who=me")
    for key in ("a//b", "a/../b", "trail/", "k" * 1024):
        plain.put_object(Bucket=bucket, Key=key, Body=key.encode(), ContentType="x/y")
    before = contents(plain, bucket)
    entries = planned(plain, bucket, *before)
    batch = trash.open("sync data/ x/", entries)
    assert [error for _, error in batch.put(entries) if error] == []
    assert contents(plain, bucket).keys() == contents(plain, bucket, f"deleted/{batch.id}/").keys()
    told = json.loads(storage.ok("trash", "list", "--json").stdout)
    assert (told["id"], told["count"]) == (batch.id, len(before))
    storage.ok("trash", "restore", batch.id, "x/d/7 é+")
    assert contents(plain, bucket, "x/") == {"x/d/7 é+": b"7"}
    storage.ok("undo")
    assert contents(plain, bucket) == before
    head = plain.head_object(Bucket=bucket, Key="x/d/9 é+")
    assert head["Metadata"].keys() == {"sha256", "who"}
    assert plain.head_object(Bucket=bucket, Key="a//b")["ContentType"] == "x/y"


def test_replaced_and_changed_objects(storage, ceph_rgw, bucket, plain, trash):
    storage.env |= minio_variables(ceph_rgw, bucket)
    for key in ("changed", "deleted-one", "replaced"):
        plain.put_object(Bucket=bucket, Key=key, Body=b"old")
    entries = planned(plain, bucket, "changed", "deleted-one") + planned(plain, bucket, "replaced", replaced=True)
    plain.put_object(Bucket=bucket, Key="changed", Body=b"by others")
    batch = trash.open("sync", entries)
    outcomes = {entry.name: type(error) for entry, error in batch.put(entries) if error}
    assert outcomes == {"changed": PreconditionFailed}
    plain.put_object(Bucket=bucket, Key="replaced", Body=b"new")
    plain.put_object(Bucket=bucket, Key="deleted-one", Body=b"other")
    done = storage("undo")
    assert (done.returncode, "deleted-one" in done.stderr) == (6, True)
    now = {"changed": b"by others", "deleted-one": b"other", "replaced": b"old"}
    assert {key: body for key, body in contents(plain, bucket).items() if key[:8] != "deleted/"} == now
    storage.ok("undo", "--force")
    assert plain.get_object(Bucket=bucket, Key="deleted-one")["Body"].read() == b"old"
    assert sorted(
        body for key, body in contents(plain, bucket, "deleted/").items() if not key.endswith("record.json")
    ) == [b"new", b"other"]
    storage.ok("trash", "empty", "--older-than", "0s", "--yes")
    assert contents(plain, bucket).keys() == now.keys()


@pytest.mark.parametrize("at", [1, 40, 130])
def test_a_sync_that_is_killed_while_it_deletes_can_be_undone(storage, ceph_rgw, bucket, plain, tmp_path, wait_for, at):
    storage.env |= minio_variables(ceph_rgw, bucket)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "keep").write_text("k")
    for number in range(300):
        plain.put_object(Bucket=bucket, Key=f"d/{number}", Body=f"{number}".encode())
    before = contents(plain, bucket, "d/")
    process = storage.start("sync", "data", "d", "--delete", "--force")

    def copies():
        return plain.list_objects_v2(Bucket=bucket, Prefix="deleted/").get("KeyCount", 0) > at

    wait_for(lambda: copies() or process.poll() is not None)
    process.kill()
    process.communicate()
    there = contents(plain, bucket)
    for key, body in before.items():
        assert body in {there.get(key)} | {found for name, found in there.items() if name.endswith(f"/objects/{key}")}
    storage.ok("undo")
    now = contents(plain, bucket)
    assert {key: body for key, body in now.items() if key != "d/keep"} == before
