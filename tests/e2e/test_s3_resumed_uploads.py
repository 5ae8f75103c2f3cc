"""A large upload that was killed goes on with the parts that the store has, and with no others."""

import hashlib
import os
import signal

import pytest
from resuming import Stop

MIB = 1 << 20
PART = 8 * MIB
ALL = set(range(1, 10))
FIRST = set(range(1, 7))


@pytest.fixture
def line(storage, line):
    storage.env["MINIO_MULTIPART_CHUNKSIZE"] = str(PART)
    return line


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(len(ALL) * PART - 5))
    return path


@pytest.fixture
def uploads(plain, bucket):
    return lambda: [left["UploadId"] for left in plain.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]


@pytest.fixture
def killed(storage, line, large, state, wait_for):
    """Runs an upload until the first six parts are stored and noted, and kills it there."""

    def run(further=3):
        with Stop(line, lambda request: int(request.query.get("partNumber", 0)) > len(FIRST)) as stop:
            process = storage.start("upload", "large.bin", "in/")
            wait_for(lambda: state.parts() == FIRST and stop.hanging == further)
            process.kill()
            process.communicate()
        line.requests.clear()

    return run


@pytest.fixture
def again(storage, line):
    """Uploads once more; the numbers of the parts that are sent."""

    def run(*more):
        storage.ok("upload", "large.bin", "in/", *more)
        numbers = [int(request.query["partNumber"]) for request in line.requests if "partNumber" in request.query]
        assert len(numbers) == len(set(numbers))
        line.requests.clear()
        return set(numbers)

    return run


@pytest.fixture
def is_whole(plain, bucket, large, uploads, state):
    """Whether the object is the file, byte for byte and with its hash, and nothing else is left."""

    def look():
        found = plain.get_object(Bucket=bucket, Key="in/large.bin")
        there, here = found["Body"].read(), large.read_bytes()
        assert there == here
        assert found["Metadata"]["sha256"] == hashlib.sha256(here).hexdigest()
        assert uploads() == []
        assert state.parts() == set()
        return True

    return look


def test_a_killed_upload_goes_on(killed, again, is_whole, uploads, plain, bucket):
    killed()
    (upload_id,) = uploads()
    stored = plain.list_parts(Bucket=bucket, Key="in/large.bin", UploadId=upload_id)["Parts"]
    assert {part["PartNumber"] for part in stored} == FIRST
    assert again() == ALL - FIRST
    assert is_whole()
    assert again() == ALL, "the next one has nothing to go on with"


def test_a_killed_upload_of_the_default_size_of_parts_goes_on(storage, killed, again, is_whole, large):
    del storage.env["MINIO_MULTIPART_CHUNKSIZE"]
    large.write_bytes(os.urandom(128 * MIB))
    killed(further=2)
    assert again() == {7, 8}
    assert is_whole()


def test_it_may_be_killed_again_and_again(killed, storage, line, state, wait_for, again, is_whole, uploads):
    killed()
    with Stop(line, lambda request: int(request.query.get("partNumber", 0)) > 8) as stop:
        process = storage.start("upload", "large.bin", "in/")
        wait_for(lambda: state.parts() == set(range(1, 9)) and stop.hanging == 1)
        process.kill()
        process.communicate()
    assert {int(r.query["partNumber"]) for r in line.requests if "partNumber" in r.query}.isdisjoint(FIRST)
    line.requests.clear()
    assert len(uploads()) == 1
    assert again() == {9}
    assert is_whole()


def test_a_file_that_has_changed_is_sent_anew_and_its_old_parts_are_freed(killed, again, is_whole, uploads, large):
    killed()
    (old,) = uploads()
    with large.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    assert again() == ALL
    assert old not in uploads()
    assert is_whole()


def test_other_metadata_are_another_upload(killed, again, is_whole, plain, bucket):
    killed()
    assert again("--metadata", "a=b") == ALL
    assert is_whole()
    assert plain.head_object(Bucket=bucket, Key="in/large.bin")["Metadata"]["a"] == "b"


def test_an_upload_to_another_key_has_nothing_of_it(killed, storage, line, uploads):
    killed()
    storage.ok("upload", "large.bin", "other/")
    assert len([request for request in line.requests if "partNumber" in request.query]) == len(ALL)
    assert len(uploads()) == 1


def test_without_the_state_all_is_sent(killed, again, plain, bucket, large, state):
    killed()
    state.delete()
    assert again() == ALL
    assert plain.get_object(Bucket=bucket, Key="in/large.bin")["Body"].read() == large.read_bytes()


def test_with_a_state_that_is_damaged_all_is_sent(killed, again, plain, bucket, large, state):
    killed()
    state.corrupt()
    assert again() == ALL
    assert plain.get_object(Bucket=bucket, Key="in/large.bin")["Body"].read() == large.read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        ("sha256", "0" * 64),  # other bytes were sent than the file has now
        ("etag", '"other"'),  # somebody has stored another part since
        ("size", 5),
    ],
)
def test_a_part_of_which_anything_is_otherwise_is_sent_again(killed, again, is_whole, state, change):
    killed()
    column, value = change
    state.ask(f"UPDATE parts SET {column} = ? WHERE number = 3", value)  # noqa: S608 - a column's name
    assert again() == (ALL - FIRST) | {3}
    assert is_whole()


def test_a_part_that_the_store_has_otherwise_is_sent_again(killed, again, is_whole, plain, bucket, uploads):
    killed()
    (upload_id,) = uploads()
    place = {"Bucket": bucket, "Key": "in/large.bin", "UploadId": upload_id}
    plain.upload_part(**place, PartNumber=2, Body=b"of somebody else" * MIB)
    assert again() == (ALL - FIRST) | {2}
    assert is_whole()


def test_an_upload_that_was_aborted_meanwhile_is_begun_anew(killed, again, is_whole, plain, bucket, uploads):
    killed()
    plain.abort_multipart_upload(Bucket=bucket, Key="in/large.bin", UploadId=uploads()[0])
    assert again() == ALL
    assert is_whole()


def test_what_a_living_program_sends_is_left_to_it(
    storage, line, state, wait_for, again, uploads, large, plain, bucket
):
    over = []
    with Stop(line, lambda request: not over and int(request.query.get("partNumber", 0)) > len(FIRST)) as stop:
        process = storage.start("upload", "large.bin", "in/")
        wait_for(lambda: state.parts() == FIRST and stop.hanging == len(ALL - FIRST))
        line.requests.clear()
        over.append(True)  # for the second one, and for what the first tries again
        storage.ok("upload", "large.bin", "in/")
    sent = [int(request.query["partNumber"]) for request in line.requests if "partNumber" in request.query]
    assert set(sent) >= FIRST, "the second program sends all by itself"
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert uploads() == []
    assert plain.get_object(Bucket=bucket, Key="in/large.bin")["Body"].read() == large.read_bytes()


def test_a_store_that_goes_away_keeps_the_parts(storage, line, large, state, again, is_whole, uploads):
    real = line.answer

    def answer(request):
        if int(request.query.get("partNumber", 0)) > len(FIRST):
            raise ConnectionAbortedError
        return real(request)

    line.answer = answer
    done = storage("upload", "large.bin", "in/")
    said = done.stderr
    assert done.returncode == 8, said
    assert "run this again" in said and "storage uploads abort" in said
    assert len(uploads()) == 1
    line.answer = real
    line.requests.clear()
    assert again() == ALL - FIRST
    assert is_whole()


def test_ctrl_c_keeps_the_parts(storage, line, large, state, again, is_whole, uploads, wait_for):
    line.seconds_per_mib = 0.05
    process = storage.start("upload", "large.bin", "in/")
    wait_for(lambda: len(state.parts()) > 2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    line.seconds_per_mib = 0
    kept = state.parts()
    assert len(uploads()) == 1
    line.requests.clear()
    assert again() == ALL - kept
    assert is_whole()
