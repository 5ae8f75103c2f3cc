"""The options that limit what goes over a network, as a user gives them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from stub_store import Reply, Request, StubStore

KEYS = {
    "STORAGE_PROVIDER": "minio",
    "MINIO_ACCESS_KEY": "access",
    "MINIO_SECRET_KEY": "secret",
    "MINIO_DEFAULT_BUCKET": "bucket",
}


class Counting:
    """Takes everything, and counts how many requests are there at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now = self.most = 0

    def __call__(self, request: Request) -> Reply:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.01)
        with self.lock:
            self.now -= 1
        return Reply(headers={"etag": '"e"'})


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def server(counting: Counting, storage) -> Iterator[StubStore]:
    with StubStore(counting) as server:
        storage.env |= KEYS | {"MINIO_ENDPOINT": server.url}
        yield server


@pytest.fixture
def folder(tmp_path) -> str:
    (tmp_path / "in").mkdir()
    for number in range(60):
        (tmp_path / "in" / f"f{number}").write_bytes(bytes(1000))
    return str(tmp_path / "in")


def test_the_option_counts_before_the_variable(storage, server, counting, folder) -> None:
    storage.ok("upload", folder, "d")
    assert counting.most > 2
    counting.most = 0
    storage.ok("upload", folder, "d", env={"STORAGE_CONCURRENCY": "2"})
    assert counting.most == 2
    counting.most = 0
    storage.ok("upload", folder, "d", "--concurrency", "1", env={"STORAGE_CONCURRENCY": "9"})
    assert counting.most == 1


@pytest.mark.parametrize("limit", [("--bandwidth", "60KB"), ("--requests-per-second", "60")])
def test_a_limit_is_kept(storage, server, folder, limit) -> None:
    began = time.monotonic()
    storage.ok("upload", folder, "d", *limit)
    assert time.monotonic() - began >= 0.8  # 60 files of 1,000 bytes, less the little that may be made up for


@pytest.mark.parametrize("command", [("upload", "in", "d"), ("download", "d", "out"), ("sync", "in", "d")])
@pytest.mark.parametrize(
    ("option", "value", "code"),
    [
        ("--concurrency", "0", 3),
        ("--concurrency", "many", 2),
        ("--bandwidth", "fast", 3),
        ("--bandwidth", "0", 3),
        ("--requests-per-second", "-1", 3),
        ("--requests-per-second", "nan", 3),
    ],
)
def test_a_bad_limit_is_told_in_one_sentence(storage, server, folder, command, option, value, code) -> None:
    if code == 2:
        assert option in storage(*command, option, value).stderr
        assert storage(*command, option, value).returncode == 2
    else:
        assert option[2:].replace("-", "_").upper() in storage.fails(code, *command, option, value)


def test_a_local_store_takes_the_options_and_heeds_none(storage, store, folder) -> None:
    storage.ok("upload", folder, "d", "--concurrency", "1", "--bandwidth", "1KB", "--requests-per-second", "1")
    assert len(list((store / "d").iterdir())) == 60
