"""A store is a folder that people browse and change by hand; what they do is seen, and survived."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.errors import ContentCorrupted, StorageError
from infrastructure.storage.providers import LocalProvider


@pytest.fixture
def provider(store: Path) -> Iterator[LocalProvider]:
    store.mkdir()
    provider = LocalProvider({"base_path": store, "durable": False})
    yield provider
    provider.disconnect()


def needs_attributes(folder: Path) -> None:
    probe = folder / "probe"
    probe.write_bytes(b"")
    try:
        os.setxattr(probe, "user.probe", b"x")
    except (OSError, AttributeError):
        pytest.skip("this file system has no extended attributes; records are kept by key and state there")
    finally:
        probe.unlink()


def test_files_put_there_are_objects(provider: LocalProvider, store: Path) -> None:
    (store / "by" / "hand").mkdir(parents=True)
    (store / "by" / "hand" / "t.csv").write_bytes(b"a,b\n")
    (store / "m31.fits").write_bytes(b"")
    assert provider.list_files() == ["by/hand/t.csv", "m31.fits"]
    info = provider.head("by/hand/t.csv")
    assert (info.size, info.content_type, info.sha256, info.metadata) == (4, "text/csv", None, {})
    assert provider.head("m31.fits").content_type == "image/fits"
    assert provider.get_bytes("by/hand/t.csv") == b"a,b\n"
    copied = provider.copy("by/hand/t.csv", "copy")
    assert (copied.size, copied.content_type) == (4, "text/csv")
    assert provider.get_bytes("copy") == b"a,b\n"


def test_a_file_edited_in_place_loses_its_hash_and_nothing_else(provider: LocalProvider, store: Path) -> None:
    needs_attributes(store)
    provider.put_bytes("k", b"before", content_type="text/x", metadata={"who": "me"})
    with (store / "k").open("ab") as file:
        file.write(b" and after")
    info = provider.head("k")
    assert (info.size, info.sha256, info.content_type, info.metadata) == (16, None, "text/x", {"who": "me"})
    assert provider.get_bytes("k") == b"before and after"


def test_an_edit_of_the_same_size_and_time_is_corruption(provider: LocalProvider, store: Path, tmp_path: Path) -> None:
    provider.put_bytes("k", b"before")
    status = (store / "k").stat()
    with (store / "k").open("r+b") as file:
        file.write(b"B")
    os.utime(store / "k", ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(ContentCorrupted):
        provider.get_bytes("k")
    with pytest.raises(ContentCorrupted):
        provider.download("k", str(tmp_path / "out"))
    assert os.listdir(tmp_path) == ["store"]


def test_a_moved_file_keeps_its_record(provider: LocalProvider, store: Path) -> None:
    needs_attributes(store)
    written = provider.put_bytes("a/t", b"x", content_type="text/x", metadata={"who": "me"})
    (store / "b").mkdir()
    subprocess.run(["mv", store / "a" / "t", store / "b" / "u"], check=True)
    info = provider.head("b/u")
    assert (info.sha256, info.content_type, info.metadata) == (written.sha256, "text/x", {"who": "me"})
    assert provider.list_files() == ["b/u"]


def test_a_copied_store_keeps_all_records(provider: LocalProvider, store: Path, tmp_path: Path) -> None:
    needs_attributes(store)
    odd = ["a", "a/b", "x//y", "trail/", "Ä/..", "n" * 300, "deep/down/t.csv"]
    for key in odd:
        provider.put_bytes(key, key.encode(), metadata={"key": key})
    subprocess.run(["cp", "-a", store, tmp_path / "copy"], check=True)
    copy = LocalProvider({"base_path": tmp_path / "copy"})
    assert sorted(copy.list_files()) == sorted(odd)
    for key in odd:
        info = copy.head(key)
        assert info.metadata == {"key": key}
        assert info.sha256 == hashlib.sha256(key.encode()).hexdigest()
        assert copy.get_bytes(key) == key.encode()


def test_a_name_that_is_not_utf_8_is_left_out_with_a_warning(
    provider: LocalProvider, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    provider.put_bytes("a", b"1")
    provider.put_bytes("z/é", b"2")
    open(os.fsencode(store) + b"/b\xff", "wb").close()
    os.mkdir(os.fsencode(store) + b"/c\xfe")
    open(os.fsencode(store) + b"/c\xfe/inner", "wb").close()
    with caplog.at_level(logging.WARNING):
        assert provider.list_files() == ["a", "z/é"]
    assert "b\\xff" in caplog.text
    assert "c\\xfe" in caplog.text


@pytest.mark.parametrize("prefix", ["\udcff", "\udcff/", "a/\udcff/x", "\ud800/"])
def test_a_prefix_that_is_no_text_is_an_empty_answer_or_a_clear_error(
    provider: LocalProvider, store: Path, prefix: str
) -> None:
    provider.put_bytes("a/b", b"1")
    os.mkdir(os.fsencode(store) + b"/\xff")
    open(os.fsencode(store) + b"/\xff/inner", "wb").close()
    try:
        assert provider.list_files(prefix) == []
    except StorageError as error:
        assert error.message.encode()


def test_empty_folders_and_special_files_are_no_objects(provider: LocalProvider, store: Path) -> None:
    (store / "empty" / "deeper").mkdir(parents=True)
    os.mkfifo(store / "pipe")
    assert provider.list_files() == []
    assert not provider.exists("empty")
    assert not provider.exists("pipe")
    provider.put_bytes("empty", b"1")
    provider.put_bytes("pipe", b"2")
    assert [(key, provider.get_bytes(key)) for key in provider.list_files()] == [("empty", b"1"), ("pipe", b"2")]
    provider.delete_many(["empty", "pipe", "empty/deeper"])
    assert provider.list_files() == []
    assert sorted(os.listdir(store)) == [".lading", "empty", "pipe"]
    assert (store / "empty" / "deeper").is_dir()


def test_a_delete_removes_the_folders_that_it_leaves_empty_and_no_others(provider: LocalProvider, store: Path) -> None:
    (store / "a" / "by-hand").mkdir(parents=True)
    for key in ("a/b/c/d", "x/y/z", "x//y", "top"):
        provider.put_bytes(key, b"")
    for key in ("a/b/c/d", "x/y/z", "x//y", "top"):
        provider.delete(key)
    assert sorted(os.listdir(store)) == [".lading", "a"]
    assert os.listdir(store / "a") == ["by-hand"]
    assert provider.list_files() == []
    provider.connect()


def test_a_file_put_beside_a_key_kept_aside_is_the_object(provider: LocalProvider, store: Path) -> None:
    provider.put_bytes("a/b", b"1")
    provider.put_bytes("a", b"aside")
    provider.delete("a/b")
    (store / "a").write_bytes(b"by hand")
    assert [(info.key, info.size) for info in provider.list_objects()] == [("a", 7)]
    assert provider.get_bytes("a") == b"by hand"
    provider.put_bytes("a", b"new")
    assert provider.get_bytes("a") == b"new"
    provider.delete("a")
    assert provider.list_files() == []
    assert not provider.exists("a")


def test_names_out_of_order_for_text_are_in_byte_order(provider: LocalProvider, store: Path) -> None:
    names = ["a", "a-", "a.b", "a0", "é", "z", "日", "\U00010000", "\uffff", "~"]
    for name in names:
        (store / name).write_bytes(b"")
        (store / f"{name}x").mkdir()
        (store / f"{name}x" / "in").write_bytes(b"")
    expected = sorted([*names, *(f"{name}x/in" for name in names)], key=str.encode)
    assert provider.list_files() == expected


def test_removing_the_internal_folder_is_survived(provider: LocalProvider, store: Path) -> None:
    numbers = range(100)
    provider.put_bytes("first", b"1")
    for number in numbers:
        (store / f"hand-{number}").write_bytes(b"")
    shutil.rmtree(store / ".lading")
    assert provider.get_bytes("first") == b"1"
    for number in numbers:
        provider.delete(f"hand-{number}")
    provider.put_bytes("a//b", b"2")
    shutil.rmtree(store / ".lading")
    provider.put_bytes("second", b"3")
    with provider.open_writer("third") as writer:
        writer.write(b"4")
    assert provider.list_files() == ["first", "second", "third"]


def test_a_closed_reader_never_reads_another_file(provider: LocalProvider, store: Path) -> None:
    provider.put_bytes("mine", b"0123456789")
    (store / "other").write_bytes(b"somebody else's")
    reader = provider.open_reader("mine")
    reader.close()
    with (store / "other").open("rb") as other:
        with pytest.raises(ValueError):
            reader.read(4)
        assert other.read() == b"somebody else's"


def test_a_file_from_the_far_future_does_not_end_the_listing() -> None:
    if not os.path.isdir("/dev/shm"):
        pytest.skip("no file system here that keeps such times")
    folder = Path("/dev/shm") / f"lading-test-{os.getpid()}-{time.time_ns()}"
    folder.mkdir()
    try:
        (folder / "a").write_bytes(b"")
        (folder / "b").write_bytes(b"")
        os.utime(folder / "a", (10**12, 10**12))
        assert LocalProvider({"base_path": folder}).list_files() == ["a", "b"]
    finally:
        shutil.rmtree(folder)
