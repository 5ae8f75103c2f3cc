"""A large download that was killed goes on with the bytes that are on the disk, if they are still the object's."""

import hashlib
import os
import signal

import pytest
from resuming import Stop

MIB = 1 << 20
SIZE = 60 * MIB + 12345
ALL = {(0, 8 * MIB)} | {(start, min(start + 16 * MIB, SIZE)) for start in range(8 * MIB, SIZE, 16 * MIB)}
FIRST = {each for each in ALL if each[0] < 40 * MIB}


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def put(plain, bucket):
    """Stores an object anew; its bytes."""

    def store(*, hashed=True):
        body = os.urandom(SIZE)
        metadata = {"sha256": hashlib.sha256(body).hexdigest()} if hashed else {}
        plain.put_object(Bucket=bucket, Key="in/large", Body=body, Metadata=metadata)
        return body

    return store


def range_of(request):
    first, _, last = request.headers.get("range", "").removeprefix("bytes=").partition("-")
    return (int(first), min(int(last) + 1, SIZE)) if last else None


def beyond_the_first(request):
    return request.method == "GET" and (range_of(request) or (0, 0))[0] >= 40 * MIB


@pytest.fixture
def killed(storage, line, out, state, wait_for):
    """Runs a download until some ranges are on the disk and noted, and kills it there; the part that it left."""

    def run():
        with Stop(line, beyond_the_first) as stop:
            process = storage.start("download", "in/large", "out/")
            wait_for(lambda: state.ranges() == FIRST and stop.hanging == len(ALL - FIRST))
            process.kill()
            process.communicate()
        (part,) = out.iterdir()
        line.requests.clear()
        return part

    return run


@pytest.fixture
def again(storage, line, out):
    """Downloads once more; the ranges that are fetched, and none twice."""

    def run():
        storage.ok("download", "in/large", "out/")
        gets = [request for request in line.requests if request.method == "GET" and "list-type" not in request.query]
        ranges = [range_of(request) for request in gets]
        assert all("if-match" in request.headers for request in gets if range_of(request)[0])
        line.requests.clear()
        assert len(ranges) == len(set(ranges))
        assert [path.name for path in out.iterdir()] == ["large"], "nothing else is left"
        return set(ranges)

    return run


@pytest.mark.parametrize("hashed", [True, False])
def test_a_killed_download_goes_on(put, killed, again, out, state, hashed):
    body = put(hashed=hashed)
    killed()
    assert again() == ALL - FIRST
    assert (out / "large").read_bytes() == body
    assert state.ranges() == set()
    assert again() == ALL, "the next one has nothing to go on with"


def test_every_range_that_is_fetched_later_is_bound_to_the_same_state(put, killed, storage, line, plain, bucket):
    put()
    killed()
    etag = plain.head_object(Bucket=bucket, Key="in/large")["ETag"]
    storage.ok("download", "in/large", "out/")
    asked = [request.headers.get("if-match") for request in line.requests if request.method == "GET"]
    assert asked == [etag] * len(ALL - FIRST)


def test_an_object_that_has_changed_is_fetched_anew(put, killed, again, out):
    put()
    killed()
    body = put()
    assert again() == ALL
    assert (out / "large").read_bytes() == body


def test_an_object_that_has_become_small_leaves_nothing_of_the_old(put, killed, storage, out, plain, bucket):
    put()
    killed()
    plain.put_object(Bucket=bucket, Key="in/large", Body=b"small")
    storage.ok("download", "in/large", "out/")
    assert [path.name for path in out.iterdir()] == ["large"]
    assert (out / "large").read_bytes() == b"small"


def test_an_object_that_is_gone_takes_the_part_with_it(put, killed, storage, out, plain, bucket):
    put()
    killed()
    plain.delete_object(Bucket=bucket, Key="in/large")
    storage.fails(4, "download", "in/large", "out/large")
    assert not (out / "large").exists()


def test_bytes_that_the_disk_has_otherwise_are_found_and_fetched_again(put, killed, storage, line, out):
    body = put()
    part = killed()
    with part.open("r+b") as file:
        file.seek(30 * MIB)
        byte = file.read(1)
        file.seek(30 * MIB)
        file.write(bytes([byte[0] ^ 1]))
    storage.ok("download", "in/large", "out/")
    assert (out / "large").read_bytes() == body
    assert [path.name for path in out.iterdir()] == ["large"]
    # What was missing, then all of it, once.
    assert sum(request.method == "GET" and range_of(request) is not None for request in line.requests) == len(
        ALL - FIRST
    ) + len(ALL)


@pytest.mark.parametrize("hashed", [True, False])
def test_a_part_that_is_shorter_than_noted_is_not_trusted(put, killed, again, out, hashed):
    body = put(hashed=hashed)
    os.truncate(killed(), 20 * MIB)
    assert again() == ALL
    assert (out / "large").read_bytes() == body


@pytest.mark.parametrize("hashed", [True, False])
def test_another_file_of_that_name_is_not_trusted(put, killed, again, out, hashed):
    body = put(hashed=hashed)
    part = killed()
    other = out / "other"
    other.write_bytes(os.urandom(part.stat().st_size))
    other.rename(part)
    assert again() == ALL
    assert (out / "large").read_bytes() == body


@pytest.mark.parametrize("trouble", ["delete", "corrupt"])
def test_without_the_state_all_is_fetched(put, killed, again, out, state, trouble):
    body = put()
    killed()
    getattr(state, trouble)()
    assert again() == ALL
    assert (out / "large").read_bytes() == body


def test_ctrl_c_keeps_what_is_there(put, storage, line, out, state, again, wait_for, plain, bucket):
    body = put()
    held = []
    real = line.answer

    def slow(request):
        if beyond_the_first(request):
            held.append(request)
            wait_for(lambda: not held[0])
        return real(request)

    line.answer = slow
    process = storage.start("download", "in/large", "out/")
    wait_for(lambda: state.ranges() == FIRST and held)
    process.send_signal(signal.SIGINT)
    held[0] = None
    process.communicate(timeout=60)
    assert process.returncode == 130
    line.answer = real
    line.requests.clear()
    kept = state.ranges()
    assert kept >= FIRST
    assert again() == ALL - kept
    assert (out / "large").read_bytes() == body


def test_a_store_that_goes_away_leaves_what_is_there(put, storage, line, out, again, state):
    body = put()
    real = line.answer

    def answer(request):
        if beyond_the_first(request):
            raise ConnectionAbortedError
        return real(request)

    line.answer = answer
    assert storage("download", "in/large", "out/").returncode == 8
    line.answer = real
    line.requests.clear()
    kept = state.ranges()
    assert kept
    assert again() == ALL - kept
    assert (out / "large").read_bytes() == body


def test_two_downloads_of_one_file_at_once(put, storage, line, out, state, wait_for):
    """One takes up what was left, or begins it; the other goes its own way."""
    body = put()
    over = []
    with Stop(line, lambda request: not over and beyond_the_first(request)):
        first = storage.start("download", "in/large", "out/")
        wait_for(lambda: state.ranges() == FIRST)
        over.append(True)
        storage.ok("download", "in/large", "out/")
        assert (out / "large").read_bytes() == body
        assert len(list(out.iterdir())) == 2
        (out / "large").unlink()
    _, said = first.communicate(timeout=60)
    assert first.returncode == 0, said
    assert (out / "large").read_bytes() == body
    assert [path.name for path in out.iterdir()] == ["large"]


def test_the_download_of_a_folder_goes_on_as_well(put, killed, storage, line, out, plain, bucket):
    body = put()
    killed()
    plain.put_object(Bucket=bucket, Key="in/small", Body=b"small")
    storage.ok("download", "in/", "out")
    fetched = {range_of(request) for request in line.requests if request.method == "GET"} - {None}
    assert fetched == ALL - FIRST
    assert (out / "large").read_bytes() == body
    assert sorted(path.name for path in out.iterdir()) == ["large", "small"]
