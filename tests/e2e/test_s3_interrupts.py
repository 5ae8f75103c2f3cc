"""Ctrl-C and kill on the way to a cloud: nothing is half visible, what is left can be found and freed, a rerun finishes."""

import hashlib
import json
import os
import signal

import pytest

MIB = 1 << 20


@pytest.fixture
def keys(plain, bucket):
    return lambda: [entry["Key"] for entry in plain.list_objects_v2(Bucket=bucket).get("Contents", [])]


@pytest.fixture
def uploads(plain, bucket):
    """The unfinished uploads, as boto3 sees them."""
    return lambda: plain.list_multipart_uploads(Bucket=bucket).get("Uploads", [])


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.write(b"start")
        file.truncate(100 * MIB)
    return path


def sending(line):
    """Parts that are on their way, some bytes of each here."""
    return [
        request for request in line.requests if "partNumber" in request.query and request.received and not request.body
    ]


def end(process):
    _, said = process.communicate(timeout=60)
    assert "Traceback" not in said and "internal error" not in said, said
    return process.returncode, said


@pytest.mark.parametrize("signals", [1, 2])
def test_interrupt_of_a_large_upload(storage, line, large, keys, uploads, wait_for, signals):
    line.seconds_per_mib = 0.15
    process = storage.start("upload", "large.bin", "in/")
    wait_for(lambda: len(sending(line)) >= 4)
    assert len(uploads()) == 1
    for _ in range(signals):
        process.send_signal(signal.SIGINT)
    code, said = end(process)
    assert code == 130, said
    assert keys() == []
    (left,) = uploads()
    assert left["UploadId"] in storage.ok("uploads", "list").stdout
    line.seconds_per_mib = 0
    storage.ok("upload", "large.bin", "in/")
    assert keys() == ["in/large.bin"]
    assert uploads() == []


def test_what_an_interrupted_upload_keeps_can_be_freed(storage, line, large, keys, uploads, wait_for):
    line.seconds_per_mib = 0.05
    process = storage.start("upload", "large.bin", "in/")
    wait_for(lambda: len(sending(line)) >= 4)
    process.send_signal(signal.SIGINT)
    assert end(process)[0] == 130
    assert len(uploads()) == 1
    assert "aborted 1 upload" in storage.ok("uploads", "abort", "--older-than", "0s", "--yes").stderr
    assert uploads() == []
    line.seconds_per_mib = 0
    storage.ok("upload", "large.bin", "in/")
    assert keys() == ["in/large.bin"]
    assert uploads() == []


def test_interrupt_of_a_large_upload_over_an_object(
    storage, line, large, plain, bucket, keys, uploads, wait_for, tmp_path
):
    data = tmp_path / "data"
    data.mkdir()
    large.rename(data / "large.bin")
    plain.put_object(Bucket=bucket, Key="k", Body=b"old")
    line.seconds_per_mib = 0.15
    process = storage.start("sync", ".", "d", cwd=data)
    wait_for(lambda: len(sending(line)) >= 4)
    process.send_signal(signal.SIGINT)
    assert end(process)[0] == 130
    assert keys() == ["k"]
    assert [left["Key"] for left in uploads()] == ["d/large.bin"]
    assert plain.get_object(Bucket=bucket, Key="k")["Body"].read() == b"old"
    line.seconds_per_mib = 0
    storage.ok("sync", ".", "d", cwd=data)
    assert uploads() == []


def test_killed_upload_is_found_and_freed(storage, line, large, keys, uploads, wait_for):
    line.seconds_per_mib = 0.15
    process = storage.start("upload", "large.bin", "in/large.bin")
    wait_for(lambda: len(sending(line)) >= 4)
    process.kill()
    process.communicate()
    line.seconds_per_mib = 0
    assert keys() == []
    (left,) = uploads()
    listed = storage.ok("uploads", "list").stdout.splitlines()
    assert len(listed) == 1
    assert listed[0].split()[1:] == ["in/large.bin", left["UploadId"]]
    told = json.loads(storage.ok("uploads", "list", "in/", "--json").stdout)
    assert (told["key"], told["upload_id"]) == ("in/large.bin", left["UploadId"])
    assert storage.ok("uploads", "list", "other/").stdout == ""
    assert storage.ok("uploads", "list", "--older-than", "1h").stdout == ""
    assert "aborted 0 uploads" in storage.ok("uploads", "abort", "--yes").stderr
    assert "--yes" in storage.fails(2, "uploads", "abort", "--older-than", "0s")
    assert len(uploads()) == 1
    assert "aborted 1 upload" in storage.ok("uploads", "abort", "--older-than", "0s", "--yes").stderr
    assert uploads() == []
    # The next one goes through as if nothing had been.
    assert "aborted 0" in storage.ok("uploads", "abort", "--older-than", "0s", "--yes").stderr
    storage.ok("upload", "large.bin", "in/large.bin")
    assert keys() == ["in/large.bin"]


def test_interrupt_of_a_sync_of_many(storage, line, keys, plain, bucket, tmp_path, wait_for):
    data = tmp_path / "many"
    data.mkdir()
    for number in range(300):
        (data / f"{number:03}").write_bytes(b"content of %d" % number * 50)
    answer = line.answer
    process = storage.start("sync", "many", "d")
    wait_for(lambda: sum(request.method == "PUT" for request in line.requests) > 40)
    process.send_signal(signal.SIGINT)
    code, said = end(process)
    assert code == 130, said
    there = keys()
    assert 0 < len(there) < 300
    for key in there:
        found = plain.get_object(Bucket=bucket, Key=key)
        body = found["Body"].read()
        assert body == (data / key[2:]).read_bytes()
        assert found["Metadata"]["sha256"] == hashlib.sha256(body).hexdigest()
    assert f"interrupted: {len(there)} of 300 files done" in said, "what is told is what is there"
    line.answer = answer
    again = storage.ok("sync", "many", "d").stderr
    assert f"{len(there)} unchanged" in again
    assert f"uploaded {300 - len(there)} files" in again
    assert len(keys()) == 300


@pytest.mark.parametrize("how", ["one", "folder"])
def test_interrupt_of_a_download(storage, line, plain, bucket, tmp_path, unfinished, wait_for, how):
    body = os.urandom(40 * MIB)
    plain.put_object(Bucket=bucket, Key="d/large", Body=body, Metadata={"sha256": hashlib.sha256(body).hexdigest()})
    plain.put_object(Bucket=bucket, Key="d/small", Body=b"small")
    out = tmp_path / "out"
    out.mkdir()
    (out / "large").write_text("old")
    real, held = line.answer, []

    def slow(request):
        # The first range comes at once, the others when somebody has seen the first.
        if request.method == "GET" and request.headers.get("range", "").startswith("bytes=8388608-"):
            held.append(request)
            wait_for(lambda: held[0] is None)
        return real(request)

    line.answer = slow
    process = storage.start("download", "d/large" if how == "one" else "d/", "out")
    wait_for(lambda: held and any(path.stat().st_size for path in out.glob(".lading-part-*")))
    process.send_signal(signal.SIGINT)
    held[0] = None
    code, said = end(process)
    assert code == 130, said
    assert (out / "large").read_text() == "old"
    (kept,) = unfinished(tmp_path)  # the ranges that were whole
    assert {path.name for path in out.iterdir()} <= {"large", "small", kept.removeprefix("out/")}
    line.answer = real
    storage.ok("download", "d/", "out")
    assert (out / "large").read_bytes() == body
    assert unfinished(tmp_path) == []


def test_killed_download_leaves_no_file_under_the_final_name(
    storage, line, plain, bucket, tmp_path, wait_for, unfinished
):
    body = os.urandom(40 * MIB)
    plain.put_object(Bucket=bucket, Key="large", Body=body, Metadata={"sha256": hashlib.sha256(body).hexdigest()})
    real, held = line.answer, []

    def slow(request):
        if request.headers.get("range", "").startswith("bytes=8388608-"):
            held.append(request)
            wait_for(lambda: held[0] is None)
        return real(request)

    line.answer = slow
    process = storage.start("download", "large", "out/large")
    wait_for(lambda: held and any(path.stat().st_size for path in tmp_path.glob("out/.lading-part-*")))
    process.kill()
    process.communicate()
    held[0] = None
    assert not (tmp_path / "out" / "large").exists()
    line.answer = real
    storage.ok("download", "large", "out/large")
    assert (tmp_path / "out" / "large").read_bytes() == body
    assert unfinished(tmp_path) == []
