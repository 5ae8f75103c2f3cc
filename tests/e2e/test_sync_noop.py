"""What a sync asks of a store where little or nothing is to be done: seen on the line to a real gateway."""

import os
import shutil
import time

import pytest
from cloud_environment import minio_variables
from resuming import State
from stub_store import PassOn, StubStore


@pytest.fixture
def line(storage, ceph_rgw, new_bucket):
    """The way to a new bucket, which shows what is asked for."""
    with StubStore(PassOn(ceph_rgw.http_url)) as between:
        storage.env |= minio_variables(ceph_rgw, new_bucket(ceph_rgw), between.url)
        yield between


@pytest.fixture
def state(storage):
    return State(storage.cwd / "home")


@pytest.fixture
def settled(wait_for):
    """Waits until the clock of the file system has gone on since the last change of any file in a folder."""

    def wait(folder):
        newest = max(path.stat().st_ctime_ns for path in folder.rglob("*"))
        wait_for(lambda: time.time_ns() > newest + 110_000_000)

    return wait


def asked(line):
    """What was asked for since this was called last: method, and what of it is worth telling."""
    kinds = [
        f"LIST {request.query['prefix']}" if "list-type" in request.query else request.method
        for request in line.requests
    ]
    line.requests.clear()
    return kinds


SYNC = ("sync", "data", "r")


def files(count):
    return {f"{number % 10}/{number}": f"content {number:05}" for number in range(count)}


@pytest.fixture
def data(storage, folder, line, settled):
    """Thirty files that were sent, and are remembered."""
    made = folder("data", files(30))
    settled(made)
    storage.ok(*SYNC)
    asked(line)
    return made


def test_many_objects_are_two_pages_and_no_more(storage, folder, line, settled, state):
    data = folder("data", files(1500))
    settled(data)
    assert "uploaded 1,500 files" in storage.ok(*SYNC).stderr
    asked(line)
    assert "uploaded 0 files, 0 bytes, 1,500 unchanged" in storage.ok(*SYNC).stderr
    assert asked(line) == ["LIST r/"] * 2
    state.delete()
    assert "1,500 unchanged" in storage.ok(*SYNC).stderr
    found = asked(line)
    assert (found.count("LIST r/"), found.count("HEAD"), len(found)) == (2, 1500, 1502)
    assert "1,500 unchanged" in storage.ok(*SYNC).stderr
    assert asked(line) == ["LIST r/"] * 2


@pytest.mark.parametrize("more", [("--dry-run",), ("--delete",), ("--size-only",)])
def test_nothing_to_do_is_one_listing(storage, data, line, more):
    storage.ok(*SYNC, *more)
    assert asked(line) == ["LIST r/"]


def test_nothing_to_do_the_other_way_is_one_listing(storage, data, line):
    done = storage.ok(*SYNC, "--direction", "download")
    assert "30 unchanged" in done.stderr
    # Whether `r` is an object by itself is asked for as well; that it is not, and the bucket is there.
    assert sorted(asked(line)) == ["HEAD", "HEAD", "LIST r/"]
    storage.ok("sync", "data", "r/", "--direction", "download")
    assert asked(line) == ["LIST r/"]
    storage.ok("check", "data", "r/")
    assert asked(line) == ["LIST r/"]


def test_what_was_touched_or_copied_is_not_sent_again(storage, data, line, settled):
    for path in data.rglob("*"):
        os.utime(path, (1, 1))
    assert "uploaded 0 files, 0 bytes, 30 unchanged" in storage.ok(*SYNC).stderr
    # What is remembered of the objects holds; the files are read here.
    assert asked(line) == ["LIST r/"]
    shutil.copytree(data, storage.cwd / "checkout", copy_function=shutil.copy)
    settled(storage.cwd / "checkout")
    assert "uploaded 0 files, 0 bytes, 30 unchanged" in storage.ok("sync", "checkout", "r").stderr
    assert asked(line) == ["LIST r/"]
    # Elsewhere nothing is remembered at all: a HEAD for each, and no bytes either way.
    storage.env["XDG_CACHE_HOME"] = str(storage.cwd / "elsewhere")
    assert "uploaded 0 files, 0 bytes, 30 unchanged" in storage.ok("sync", "checkout", "r").stderr
    found = asked(line)
    assert (found.count("LIST r/"), found.count("HEAD"), len(found)) == (1, 30, 31)


def test_edit_of_one_size_and_an_older_time_is_found(storage, data, line):
    path = data / "3" / "13"
    before = path.stat()
    path.write_text("CONTENT 00013")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert storage.ok(*SYNC, "--dry-run").stdout.startswith("upload data/3/13 to r/3/13 (13 bytes, content differs)\n")
    assert "uploaded 1 file, 13 bytes, 29 unchanged" in storage.ok(*SYNC).stderr
    assert line.requests[-1].body == b"CONTENT 00013"
    assert "30 unchanged" in storage.ok(*SYNC, "--checksum").stderr


def test_object_changed_by_others_is_found(storage, data, line, ceph_rgw):
    from plain_client import plain_client

    client = plain_client(ceph_rgw)
    bucket = storage.env["MINIO_DEFAULT_BUCKET"]
    client.put_object(Bucket=bucket, Key="r/3/13", Body=b"CONTENT 00013")
    assert "uploaded 1 file, 13 bytes, 29 unchanged" in storage.ok(*SYNC).stderr
    assert client.get_object(Bucket=bucket, Key="r/3/13")["Body"].read() == b"content 00013"
    client.close()


def test_state_that_is_corrupt_or_can_not_be_written_does_no_harm(storage, data, line, state):
    state.corrupt()
    assert "30 unchanged" in storage.ok(*SYNC).stderr
    (data / "3" / "13").write_text("CONTENT 00013")
    state.corrupt()
    assert "uploaded 1 file, 13 bytes, 29 unchanged" in storage.ok(*SYNC).stderr
    # A file where the folder of caches should be.
    (storage.cwd / "cache").write_text("mine")
    storage.env["XDG_CACHE_HOME"] = str(storage.cwd / "cache")
    (data / "3" / "13").write_text("Content 00013")
    assert "uploaded 1 file, 13 bytes, 29 unchanged" in storage.ok(*SYNC).stderr
    assert "30 unchanged" in storage.ok(*SYNC).stderr
    assert (storage.cwd / "cache").read_text() == "mine"


def test_folder_of_caches_that_may_not_be_written_does_no_harm(storage, data, line, bound_by_modes):
    (storage.cwd / "cache").mkdir(mode=0o500)
    storage.env["XDG_CACHE_HOME"] = str(storage.cwd / "cache")
    (data / "3" / "13").write_text("CONTENT 00013")
    assert "uploaded 1 file, 13 bytes, 29 unchanged" in storage.ok(*SYNC).stderr
    assert "30 unchanged" in storage.ok("sync", "data", "r", "--delete").stderr
    assert list((storage.cwd / "cache").iterdir()) == []


@pytest.mark.parametrize("place", ["local disk", "gateway"], indirect=True)
def test_two_syncs_of_one_pair_at_once(storage, place, folder, wait_for):
    """The second says that one is running, or both end well; what is there is what was sent."""
    folder("data", {f"{number}": f"{number}" for number in range(300)})
    processes = [storage.start("sync", "data", "r", "--delete") for _ in range(3)]
    said = [process.communicate(timeout=120)[1] for process in processes]
    codes = [process.returncode for process in processes]
    assert set(codes) <= {0, 6} and 0 in codes, said
    assert all(
        "another sync of 'data' and 'r' is running" in text for text, code in zip(said, codes, strict=True) if code
    )
    assert place.contents() == {f"r/{number}": f"{number}".encode() for number in sorted(map(str, range(300)))}
    assert "300 unchanged" in storage.ok("sync", "data", "r").stderr


@pytest.mark.parametrize("place", ["local disk", "gateway"], indirect=True)
def test_two_syncs_of_one_pair_from_two_machines(storage, place, folder, tmp_path):
    """They can't know of each other; nothing is lost, and each says what it found changed."""
    wanted = {f"{number:03}": f"{number}" for number in range(100)}
    folder("data", wanted)
    extra = {f"r/x{number:03}": f"x{number}".encode() for number in range(100)}
    for key, content in extra.items():
        place.put(key, content)
    before = {"env": {"XDG_CACHE_HOME": str(tmp_path / "another machine")}}
    args = ("sync", "data", "r", "--delete", "--force")
    processes = [storage.start(*args), storage.start(*args, **before)]
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert {process.returncode for process in processes} <= {0, 4, 6}, said
    assert all("Traceback" not in text and "internal error" not in text for text in said)
    storage.ok(*args)
    live = {key: content for key, content in place.contents().items() if not key.startswith("deleted/")}
    assert live == {f"r/{name}": content.encode() for name, content in wanted.items()}
    trash = set(place.contents("deleted/").values())
    assert trash >= set(extra.values())
