"""`storage retention apply` and `storage gc` as a user types them, on local disk and on a real server."""

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from clocked_store import make_version, md5_of, missing, objects_of, remove_version
from stores_by_hand import FolderByHand

from application.dataset_records import DatasetRecords
from application.garbage.condemned import CONDEMNED
from application.garbage.leases import LEASES, SWEEPS, Lease
from domain.content import DVC_MD5
from domain.manifests import read_dvc_manifest
from infrastructure.storage.providers import LocalProvider
from infrastructure.storage.storage_factory import StorageProviderFactory

FIRST, SECOND, THIRD = {"a": b"1", "both": b"2"}, {"b": b"3", "both": b"2"}, {"c é": b"4", "both": b"2"}


@pytest.fixture
def provider(place):
    """The store of `storage`, for what another program does in it."""
    provider = StorageProviderFactory.from_env(dict(place.variables))
    yield provider
    provider.disconnect()


@pytest.fixture
def local(storage, store):
    """The same on local disk alone."""
    storage.env |= FolderByHand(store).variables
    return LocalProvider({"base_path": store, "durable": False})


def content(place):
    return {key for key in place.contents() if key.startswith(("cas/", "dvc/"))}


def files_below(folder):
    """How many, also while somebody deletes them."""
    return sum(len(files) for _, _, files in os.walk(folder))


def summary(done):
    return json.loads(done.stdout.splitlines()[-1])


def only(one, *others):
    return set(objects_of(one)) - {key for other in others for key in objects_of(other)}


def test_versions_that_no_rule_keeps_go_and_then_what_only_they_needed(storage, place, provider):
    for files, tags in ((FIRST, ()), (SECOND, ("paper",)), (THIRD, ())):
        make_version(provider, "m13/raw", files, tags=tags)
    everything = content(place)
    rules = ("--keep-last", "1", "--keep-tag", "paper")
    told = storage.ok("retention", "apply", *rules, "--dry-run").stdout
    assert [line.split("  ")[-1] for line in told.splitlines()] == ["remove", "tagged paper", "the latest"]
    assert "1 version" in storage.fails(2, "retention", "apply", *rules)
    assert "removed 1 version, 2 stay" in storage.ok("retention", "apply", *rules, "--yes").stderr
    assert "removed 0 versions" in storage.ok("retention", "apply", "m13/raw", *rules).stderr
    assert [version.version for version in DatasetRecords(provider).versions("m13/raw")] == [2, 3]

    going = only(FIRST, SECOND, THIRD)
    done = storage.ok("gc", "--grace", "0s", "--sole-owner", "--dry-run", "--json")
    assert {event["key"] for event in map(json.loads, done.stdout.splitlines()[:-1])} == going
    assert content(place) == everything
    storage.ok("gc", "--grace", "0s")
    assert content(place) == everything - {key for key in going if key.startswith("cas/")}
    done = summary(storage.ok("gc", "--grace", "0s", "--sole-owner", "--json"))
    assert [(one["name"], one["deleted"]) for one in done["places"]] == [("content", 0), ("DVC store", len(going) - 1)]
    assert content(place) == everything - going
    assert not missing(provider)
    assert not list(provider.list_objects(".lading/gc/")) and not list(provider.list_objects(LEASES))


def git(folder, *args):
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.example")
    subprocess.run(["git", *identity, *args], cwd=folder, env=env, check=True, capture_output=True)


def test_what_a_commit_of_a_repository_names_stays(storage, place, provider, tmp_path):
    make_version(provider, "kept", FIRST)
    pushed = make_version(provider, "pushed", THIRD)
    for version in (pushed, make_version(provider, "gone", SECOND)):
        remove_version(provider, version)
    repository = tmp_path / "survey"
    repository.mkdir()
    git(repository, "init", "-q")
    for content_hash in (pushed.content, "0" * 32):
        (repository / "data.dvc").write_text(f"outs:\n- md5: {content_hash}\n  hash: md5\n  path: data\n")
        git(repository, "add", "data.dvc")
        git(repository, "commit", "-q", "-m", "data")
    command = ("gc", "--grace", "0s", "--dvc-repo", "survey")
    assert "no git repository" in storage.fails(3, *command, "--dvc-repo", "nothing")
    storage.ok(*command)
    of_dvc = {key for files in (FIRST, THIRD) for key in objects_of(files) if key.startswith("dvc/")}
    assert {key for key in content(place) if key.startswith("dvc/")} == of_dvc
    (repository / "data.dvc").write_text(f"outs:\n- md5: {'1' * 32}.dir\n")
    remove_version(provider, make_version(provider, "gone", SECOND))
    before = content(place)
    said = storage.fails(4, *command)
    assert "1" * 32 in said and "data.dvc" in said and "--allow-missing" in said
    assert content(place) == before
    storage.ok(*command, "--allow-missing")
    assert {key for key in content(place) if key.startswith("dvc/")} == of_dvc


def test_by_default_what_is_unused_is_condemned_and_goes_a_week_later(storage, store, local):
    make_version(local, "kept", FIRST)
    remove_version(local, make_version(local, "gone", THIRD))
    going = only(THIRD, FIRST)
    assert summary(storage.ok("gc", "--sole-owner", "--json"))["places"][1]["young"] == 2
    week_ago = (datetime.now(UTC) - timedelta(days=7, seconds=1)).timestamp()
    for key in going:
        os.utime(store / key, (week_ago, week_ago))
    done = storage.ok("gc", "--sole-owner")
    assert "2 condemned" in done.stderr and " until " in done.stderr
    told = summary(storage.ok("gc", "--sole-owner", "--json"))
    assert [(one["condemned"], one["deleted"]) for one in told["places"]] == [(1, 0), (2, 0)]
    assert all((store / key).exists() for key in going)
    for info in list(local.list_objects(CONDEMNED)):
        head, *lines = local.get_bytes(info.key).splitlines()
        since = datetime.fromtimestamp(week_ago, UTC).isoformat()
        aged = [json.dumps([*json.loads(line)[:3], since]).encode() for line in lines]
        local.put_bytes(info.key, b"\n".join([head, *aged]))
    written_again = DVC_MD5.key("dvc/", md5_of(b"4"))
    local.put_bytes(written_again, b"4")
    storage.ok("gc", "--sole-owner")
    assert {key for key in going if (store / key).exists()} == {written_again}


def test_a_writer_puts_it_off_and_a_killed_collection_is_named(storage, place, provider):
    make_version(provider, "kept", FIRST)
    remove_version(provider, make_version(provider, "gone", THIRD))
    before = content(place)
    with Lease(provider, "dataset m14"):
        done = storage.ok("gc", "--grace", "0s", "--sole-owner")
        assert "put off" in done.stderr and "dataset m14" in done.stderr
        told = summary(storage.ok("gc", "--grace", "0s", "--sole-owner", "--json"))
        assert [writer["what"] for writer in told["deferred_by"]] == ["dataset m14"]
    assert content(place) == before
    marker = f"{SWEEPS}killed.json"
    provider.put_bytes(marker, b'{"who": "ann@home", "what": "garbage collection"}')
    said = storage.fails(6, "gc", "--grace", "0s", "--sole-owner")
    assert marker in said and "ann@home" in said
    storage.ok("delete", marker)
    storage.ok("gc", "--grace", "0s", "--sole-owner")
    assert content(place) == before - only(THIRD, FIRST)


def test_killed_while_it_deletes_it_leaves_no_manifest_without_its_files(storage, store, local, wait_for):
    make_version(local, "kept", {f"{number}": f"{number}".encode() for number in range(20)})
    for folder in range(4):
        files = {f"{number}": f"{folder}.{number}".encode() for number in range(200)}
        remove_version(local, make_version(local, "gone", files))
    count = files_below(store / "dvc")
    process = storage.start("gc", "--grace", "0s", "--sole-owner")
    wait_for(lambda: files_below(store / "dvc") < count or process.poll() is not None)
    process.kill()
    process.communicate()
    assert not missing(local)
    for manifest in store.rglob("dvc/files/md5/*/*.dir"):
        for _, md5 in read_dvc_manifest(manifest.read_bytes(), "a manifest"):
            assert (store / DVC_MD5.key("dvc/", md5)).exists()
    for info in list(local.list_objects(SWEEPS)):
        local.delete(info.key)
    storage.ok("gc", "--grace", "0s", "--sole-owner")
    assert files_below(store / "dvc") == 21
    assert not missing(local)


def test_interrupted_it_says_so_and_holds_nobody_up(storage, store, local, wait_for):
    make_version(local, "kept", FIRST)
    files = {f"{number}": f"{number}.".encode() for number in range(700)}
    remove_version(local, make_version(local, "gone", files))
    process = storage.start("gc", "--grace", "0s", "--sole-owner")
    wait_for(lambda: next(local.list_objects(SWEEPS), None) or process.poll() is not None)
    process.send_signal(2)
    _, said = process.communicate()
    assert process.returncode in {0, 130} and "Traceback" not in said
    assert not list(local.list_objects(SWEEPS))
    assert not missing(local)


def test_what_is_refused(storage, store, local):
    remove_version(local, make_version(local, "gone", FIRST))
    assert "--allow-empty" in storage.fails(6, "gc", "--grace", "0s")
    assert "--allow-empty" in storage.fails(6, "gc", "--dry-run")
    assert "duration" in storage.fails(2, "gc", "--grace", "soon")
    assert "hundred years" in storage.fails(2, "gc", "--grace", "999999999w")
    assert "no rule" in storage.fails(2, "retention", "apply")
    assert "hundred years" in storage.fails(2, "retention", "apply", "--younger-than", "999999999w")
    assert "nothing" in storage.fails(4, "retention", "apply", "nothing", "--keep-last", "1")
    assert len(only(FIRST)) == sum((store / key).exists() for key in objects_of(FIRST))
    storage.ok("gc", "--grace", "0s", "--allow-empty", "--sole-owner")
    assert not any((store / key).exists() for key in objects_of(FIRST))


def test_retention_asks(storage, store, local):
    for files in (FIRST, SECOND, THIRD):
        make_version(local, "m13", files)
    command = ["retention", "apply", "--keep-last", "1"]
    code, shown = storage.on_terminal(command, b"n\n")
    assert code == 1 and "remove 2 versions of 1 dataset" in shown
    assert len(DatasetRecords(local).versions("m13")) == 3
    code, shown = storage.on_terminal(command, b"y\n")
    assert code == 0 and "storage gc" in shown
    assert len(DatasetRecords(local).versions("m13")) == 1
