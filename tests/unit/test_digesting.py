"""Both hashes of every file of a folder, by one read at most, and what is remembered of them."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from application import digesting
from application.digesting import Digested, digested_file, digested_folder
from application.local_tree import Symlinks, state_of
from domain.errors import LocalFileError
from domain.known_hashes import KnownHash, NothingKnown
from domain.local_files import LocalSource
from domain.manifests import FileEntry
from infrastructure.state.hashes import RememberedHashes

MIB = 1 << 20
OTHER_MD5, OTHER_SHA = "e" * 32, "f" * 64


def entry(name: str, data: bytes) -> FileEntry:
    return FileEntry(name, hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest(), len(data))  # noqa: S324


def settle(folder: Path) -> None:
    """Wait until the last change of every file is older than the clock's tick."""
    newest = max(path.stat().st_ctime_ns for path in folder.rglob("*"))
    while time.time_ns() < newest + 110_000_000:
        time.sleep(0.005)


def place(folder: Path) -> str:
    return f"{os.path.realpath(folder)}/"


@pytest.fixture
def known(tmp_path: Path) -> RememberedHashes:
    return RememberedHashes(tmp_path / "state.sqlite")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "data"
    (found / "a").mkdir(parents=True)
    for name in ("a/b", "a.b", "é", "\U0001f600", "\uffff", "empty"):
        (found / name).write_bytes(b"" if name == "empty" else name.encode())
    settle(found)
    return found


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are opened to be hashed."""
    found: list[str] = []
    real = digested_file

    def counting(path: str, name: str | None = None, *, stopped: Event | None = None) -> Digested:
        found.append(path)
        return real(path, name, stopped=stopped)

    monkeypatch.setattr(digesting, "digested_file", counting)
    return found


# -- one file


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 7])
@pytest.mark.parametrize("beside", [False, True], ids=["one thread", "two threads"])
def test_both_hashes_of_a_file(size: int, beside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if beside:
        monkeypatch.setattr(digesting, "_BOTH_AT_ONCE_BYTES", 0)
    data = os.urandom(size)
    path = tmp_path / "f"
    path.write_bytes(data)
    assert digested_file(str(path)) == Digested(entry("f", data), state_of(path.stat()))
    assert digested_file(str(path), "other").entry.name == "other"


@pytest.mark.parametrize("beside", [False, True], ids=["one thread", "two threads"])
@pytest.mark.parametrize("change", ["append", "cut", "rewrite", "set back"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    change: str, beside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if beside:
        monkeypatch.setattr(digesting, "_BOTH_AT_ONCE_BYTES", 0)
    path = tmp_path / "f"
    path.write_bytes(bytes(2 * MIB))
    settle(tmp_path)
    real = LocalSource.read
    changed: list[int] = []

    def read(source: LocalSource, size: int) -> bytes:
        data = real(source, size)
        if not changed:
            changed.append(1)
            before = path.stat()
            if change == "cut":
                os.truncate(path, MIB)
            else:
                with open(path, "r+b") as file:
                    file.seek(0, os.SEEK_END if change == "append" else os.SEEK_SET)
                    file.write(b"x")
            if change == "set back":
                os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        return data

    monkeypatch.setattr(LocalSource, "read", read)
    with pytest.raises(LocalFileError, match="changed while it was read"):
        digested_file(str(path))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing", "pipe", "."):
        with pytest.raises(LocalFileError):
            digested_file(str(tmp_path / name))


def test_a_large_file_is_given_up_when_nobody_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digesting, "_BOTH_AT_ONCE_BYTES", 0)
    (tmp_path / "f").write_bytes(bytes(2 * MIB))
    stopped = Event()
    stopped.set()
    with pytest.raises(KeyboardInterrupt):
        digested_file(str(tmp_path / "f"), stopped=stopped)


# -- a folder


def test_files_come_in_byte_order_of_their_names_whatever_their_size(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digesting, "_SMALL_BYTES", 2)
    expected = [
        entry(name, name.encode() if name != "empty" else b"")
        for name in ("a.b", "a/b", "empty", "é", "\uffff", "\U0001f600")
    ]
    assert [found.entry for found in digested_folder(str(folder), NothingKnown())] == expected
    assert [found.entry for found in digested_folder(f"{folder}/", NothingKnown())] == expected
    for found in digested_folder(str(folder), NothingKnown()):
        assert found.state == state_of((folder / found.entry.name).stat())


def test_many_large_files_come_in_order_and_not_all_are_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digesting, "_SMALL_BYTES", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    for number in range(60):
        (tmp_path / f"{number:02}").write_bytes(b"%d" % number)
    begun: list[str] = []
    lock = threading.Lock()
    real = digested_file

    def counting(path: str, name: str, *, stopped: Event) -> Digested:
        with lock:
            begun.append(name)
        return real(path, name, stopped=stopped)

    monkeypatch.setattr(digesting, "digested_file", counting)
    found = digested_folder(str(tmp_path), NothingKnown())
    for number in range(10):
        assert next(found).entry == entry(f"{number:02}", b"%d" % number)
        assert len(begun) <= number + 6
    found.close()
    assert len(begun) < 20, "whoever stops does not wait for the rest"


def test_a_second_run_reads_nothing(folder: Path, known: RememberedHashes, reads: list[str]) -> None:
    first = list(digested_folder(str(folder), known))
    assert len(reads) == 6
    reads.clear()
    assert list(digested_folder(str(folder), known)) == first
    link = folder.parent / "link"
    link.symlink_to(folder)
    assert list(digested_folder(str(link), known)) == first, "it is the same place"
    assert reads == []
    (folder / "a.b").write_bytes(b"new")
    assert entry("a.b", b"new") in [found.entry for found in digested_folder(str(folder), known)]
    assert [os.path.basename(path) for path in reads] == ["a.b"]


def test_what_a_sync_remembers_lacks_the_md5_and_is_read_once(
    folder: Path, known: RememberedHashes, reads: list[str]
) -> None:
    states = {found.entry.name: found.state for found in digested_folder(str(folder), NothingKnown())}
    known.remember_files(place(folder), [KnownHash("a.b", states["a.b"], OTHER_SHA)])
    reads.clear()
    found = {each.entry.name: each.entry for each in digested_folder(str(folder), known)}
    assert found["a.b"] == entry("a.b", b"a.b"), "the SHA-256 is that of the one read too"
    assert len(reads) == 6
    reads.clear()
    list(digested_folder(str(folder), known))
    assert reads == []


def test_a_file_changed_a_moment_ago_is_not_remembered(folder: Path, known: RememberedHashes, reads: list[str]) -> None:
    (folder / "later").write_bytes(b"x")
    future = time.time_ns() + 60_000_000_000
    real = digesting.is_settled
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digesting, "is_settled", lambda state, when: real(state, when) and not state.startswith("1."))
        patch.setattr(time, "time_ns", lambda: future)
        list(digested_folder(str(folder), known))
    assert "later" not in {each.name for each in known.files(place(folder))}
    reads.clear()
    list(digested_folder(str(folder), known))
    assert [os.path.basename(path) for path in reads] == ["later"]


def test_what_was_learnt_before_an_error_is_kept(folder: Path, known: RememberedHashes, reads: list[str]) -> None:
    os.mkfifo(folder / "zz")
    with pytest.raises(LocalFileError):
        list(digested_folder(str(folder), known))
    assert {each.name for each in known.files(place(folder))} >= {"a.b", "a/b", "empty"}
    os.unlink(folder / "zz")
    reads.clear()
    assert len(list(digested_folder(str(folder), known))) == 6
    assert {os.path.basename(path) for path in reads} <= {"é", "\uffff", "\U0001f600"}


def test_who_stops_early_leaves_what_was_learnt(folder: Path, known: RememberedHashes) -> None:
    found = digested_folder(str(folder), known)
    for _ in range(3):
        next(found)
    found.close()
    assert {each.name for each in known.files(place(folder))} == {"a.b", "a/b", "empty"}


def test_a_memory_that_keeps_nothing_is_enough(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    unusable = RememberedHashes(tmp_path / "file" / "state.sqlite")
    for _ in range(2):
        assert len(list(digested_folder(str(folder), unusable))) == 6


def test_links_are_followed_skipped_or_refused(folder: Path) -> None:
    (folder / "link").symlink_to("a.b")
    names = [found.entry.name for found in digested_folder(str(folder), NothingKnown())]
    assert "link" in names
    skipped = digested_folder(str(folder), NothingKnown(), symlinks=Symlinks.SKIP)
    assert [found.entry.name for found in skipped] == [name for name in names if name != "link"]
    with pytest.raises(LocalFileError, match="symbolic link"):
        list(digested_folder(str(folder), NothingKnown(), symlinks=Symlinks.ERROR))


def test_progress_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digesting, "_TOLD_EVERY", 2)
    told: list[int] = []
    seen: Callable[[int], object] = told.append
    list(digested_folder(str(folder), NothingKnown(), seen=seen))
    assert told[:3] == [2, 4, 6]
    assert told[-1] == 6


# -- the memory of both hashes


def test_the_md5_outlives_who_knows_only_the_sha256_of_the_same_state(known: RememberedHashes) -> None:
    both = KnownHash("f", "1.2.3.4", OTHER_SHA, OTHER_MD5)
    known.remember_files("/d/", [both])
    known.remember_files("/d/", [both._replace(md5="")])
    assert list(known.files("/d/")) == [both]


def test_the_md5_of_another_state_is_forgotten(known: RememberedHashes) -> None:
    both = KnownHash("f", "1.2.3.4", OTHER_SHA, OTHER_MD5)
    known.remember_files("/d/", [both])
    other = KnownHash("f", "1.2.3.5", "a" * 64)
    known.remember_files("/d/", [other])
    assert list(known.files("/d/")) == [other]
    known.remember_files("/d/", [other._replace(md5=OTHER_MD5)])
    known.remember_files("/d/", [both])
    assert list(known.files("/d/")) == [both]


def test_of_objects_only_the_sha256_is_known(known: RememberedHashes) -> None:
    known.remember_objects("s", "p/", [KnownHash("f", "etag", OTHER_SHA, OTHER_MD5)])
    assert list(known.objects("s", "p/")) == [KnownHash("f", "etag", OTHER_SHA)]
