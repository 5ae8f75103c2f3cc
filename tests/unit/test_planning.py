"""Planning a transfer: what is to be moved and why, with nothing changed on either side."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from application.local_tree import check_local_name
from application.planning import PlanOptions
from application.transfers import folder_prefix, plan_download, plan_upload, refuse_existing
from domain.errors import BucketNotFound, InvalidRequest, LocalFileError, ObjectNotFound, PreconditionFailed
from domain.local_files import PART_PREFIX
from domain.storage import ObjectInfo
from domain.streams import ObjectReader
from domain.transfer import Comparison, Direction, TransferPlan
from infrastructure.storage.providers import LocalProvider, MemoryProvider

COMPARED = PlanOptions(compare=Comparison.CONTENT)


class WithoutHashes(MemoryProvider):
    """A store that others write: no object has a hash. Counts what is read."""

    reads = 0

    def head(self, key: str) -> ObjectInfo:
        return super().head(key)._replace(sha256=None)

    def open_reader(self, key: str, **options: Any) -> ObjectReader:
        type(self).reads += 1
        return super().open_reader(key, **options)


@pytest.fixture
def provider() -> MemoryProvider:
    return MemoryProvider({})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`same` and `deep/same` are everywhere alike; the others differ in one way each."""
    folder = tmp_path / "data"
    for name, content in {
        "new": b"new",
        "size": b"longer",
        "content": b"abc",
        "same": b"xyz",
        "deep/same": b"",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def fill(provider: MemoryProvider, prefix: str = "") -> None:
    for name, content in {
        "size": b"short",
        "content": b"abd",
        "same": b"xyz",
        "deep/same": b"",
        "only-there": b"x",
    }.items():
        provider.put_bytes(prefix + name, content)


def reasons(plan: TransferPlan) -> dict[str, str]:
    return {action.key: action.reason for action in plan.actions}


def compared(yes: bool) -> PlanOptions:
    return COMPARED if yes else PlanOptions()


def snapshot(folder: Path) -> dict[str, tuple[int, int, int]]:
    return {
        str(path.relative_to(folder)): (path.lstat().st_ino, path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in folder.rglob("*")
    }


# -- reasons


def test_an_upload_says_why_each_file_goes(provider: MemoryProvider, folder: Path) -> None:
    fill(provider, "d/")
    plan = plan_upload(provider, str(folder), "d", COMPARED)
    assert reasons(plan) == {"d/new": "new", "d/size": "size differs", "d/content": "content differs"}
    assert plan.unchanged == 2
    assert plan.direction is Direction.UPLOAD
    assert {action.key: action.size for action in plan.actions} == {"d/new": 3, "d/size": 6, "d/content": 3}
    assert plan.size == 12
    assert all(action.path == str(folder / action.key[2:]) for action in plan.actions)


def test_a_download_says_why_each_object_comes(provider: MemoryProvider, folder: Path) -> None:
    fill(provider, "d/")
    plan = plan_download(provider, "d", str(folder), COMPARED)
    assert reasons(plan) == {"d/only-there": "new", "d/size": "size differs", "d/content": "content differs"}
    assert plan.unchanged == 2
    assert {action.key: action.size for action in plan.actions} == {"d/only-there": 1, "d/size": 5, "d/content": 3}


def test_what_is_asked_for_goes_whatever_is_there(provider: MemoryProvider, folder: Path) -> None:
    fill(provider)
    assert set(reasons(plan_upload(provider, str(folder), "")).values()) == {"asked for"}
    assert set(reasons(plan_download(provider, "", str(folder))).values()) == {"asked for"}


@pytest.mark.parametrize("direction", [Direction.UPLOAD, Direction.DOWNLOAD])
def test_an_object_without_a_hash_is_compared_by_reading_it(folder: Path, direction: Direction) -> None:
    class Counting(WithoutHashes):
        reads = 0

    provider = Counting({})
    fill(provider)
    plan = plan_upload if direction is Direction.UPLOAD else plan_download
    found = plan(provider, *([str(folder), ""] if direction is Direction.UPLOAD else ["", str(folder)]), COMPARED)
    assert found.unchanged == 2
    assert reasons(found)["content"] == "content differs"
    assert Counting.reads == 3, "those of equal size, and no others"


def test_a_missing_bucket_has_nothing_yet(folder: Path) -> None:
    provider = MemoryProvider({}).for_bucket("other")
    assert set(reasons(plan_upload(provider, str(folder), "", COMPARED)).values()) == {"new"}
    with pytest.raises(BucketNotFound):
        plan_download(provider, "", str(folder))


# -- nothing is changed


@pytest.mark.parametrize("compare", [True, False])
def test_planning_changes_nothing(tmp_path: Path, folder: Path, compare: bool) -> None:
    provider = LocalProvider({"base_path": tmp_path / "store", "durable": False})
    for name in ("size", "content", "same", "a//b"):
        provider.put_bytes(f"d/{name}", b"abc")
    provider.disconnect()
    part = folder / f"{PART_PREFIX}dead"
    part.write_bytes(b"half")
    os.utime(part, (time.time() - 3600,) * 2)
    provider.delete("d/a//b")
    before = snapshot(tmp_path)
    plan_upload(provider, str(folder), "d", compared(compare))
    plan_download(provider, "d", str(folder), compared(compare))
    plan_download(provider, "d", str(tmp_path / "new" / "deep"), compared(compare))
    assert snapshot(tmp_path) == before


# -- slashes


@settings(deadline=None)
@given(st.text("/", max_size=3), st.sampled_from(["", "runs", "runs/42", "a b"]), st.text("/", max_size=3))
def test_the_slashes_around_a_folder_do_not_matter(before: str, name: str, after: str) -> None:
    assert folder_prefix(before + name + after) == (f"{name}/" if name else "")


@pytest.mark.parametrize("remote", ["runs", "runs/", "/runs", "/runs//"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folders_contents_go_under_the_target(
    provider: MemoryProvider, folder: Path, remote: str, slash: str
) -> None:
    provider.put_bytes("runs/earlier", b"")
    keys = set(reasons(plan_upload(provider, f"{folder}{slash}", remote)))
    assert keys == {"runs/new", "runs/size", "runs/content", "runs/same", "runs/deep/same"}


@pytest.mark.parametrize(("remote", "key"), [("", "new"), ("runs/", "runs/new"), ("runs/x", "runs/x"), ("new", "new")])
def test_a_file_goes_to_the_key_or_under_its_own_name(
    provider: MemoryProvider, folder: Path, remote: str, key: str
) -> None:
    (action,) = plan_upload(provider, str(folder / "new"), remote).actions
    assert (action.key, action.path, action.size) == (key, str(folder / "new"), 3)


@pytest.mark.parametrize("slash", ["", "/"])
def test_objects_come_below_the_folder(provider: MemoryProvider, tmp_path: Path, slash: str) -> None:
    provider.put_bytes("runs/1/a", b"1")
    provider.put_bytes("runs2", b"2")
    plan = plan_download(provider, f"runs{slash}", f"{tmp_path}/out{slash}")
    assert [(os.path.normpath(action.path), action.key) for action in plan.actions] == [
        (f"{tmp_path}/out/1/a", "runs/1/a")
    ]


def test_one_object_goes_to_the_file_or_into_the_folder(provider: MemoryProvider, tmp_path: Path) -> None:
    provider.put_bytes("runs/a", b"1")
    provider.put_bytes("runs/a/below", b"2")
    for local, path in {f"{tmp_path}/x": "x", f"{tmp_path}/new/": "new/a", f"{tmp_path}": "a"}.items():
        (action,) = plan_download(provider, "runs/a", local).actions
        assert (action.path, action.key) == (str(tmp_path / path), "runs/a")


def test_what_is_not_there_is_not_found(provider: MemoryProvider, tmp_path: Path) -> None:
    provider.put_bytes("runs/a", b"1")
    for remote in ("run", "runs/b", "runs/a/", "nonsuch/"):
        with pytest.raises(ObjectNotFound):
            plan_download(provider, remote, str(tmp_path))
    with pytest.raises(LocalFileError):
        plan_upload(provider, str(tmp_path / "nonsuch"), "x")


# -- names


@pytest.mark.parametrize("name", ["a//b", "../x", "a/../../x", "./a", "/a", "nul\0", "n" * 256, f"{PART_PREFIX}x"])
def test_a_key_that_can_be_no_local_file_is_found_while_planning(
    provider: MemoryProvider, tmp_path: Path, name: str
) -> None:
    provider.put_bytes("p/ok", b"")
    provider.put_bytes(f"p/{name}", b"")
    with pytest.raises(LocalFileError):
        plan_download(provider, "p/", str(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(["a", "", ".", "..", "é", "\0", "~", "...", " "]), min_size=1).map("/".join))
def test_no_key_leads_out_of_the_folder(relative: str) -> None:
    try:
        path = f"/out/folder/{check_local_name(relative)}"
    except LocalFileError:
        return
    assert os.path.normpath(path) == path
    assert path.startswith("/out/folder/")


@pytest.mark.parametrize("local", ["", ".", "out", "out/", "./out"])
def test_a_file_where_another_object_needs_a_folder_is_found_while_planning(
    provider: MemoryProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local: str
) -> None:
    monkeypatch.chdir(tmp_path)
    provider.put_bytes("p/a", b"file")
    provider.put_bytes("p/a-", b"file")
    provider.put_bytes("p/a/b/c", b"file")
    with pytest.raises(LocalFileError, match="'p/a/b/c' needs a folder"):
        plan_download(provider, "p", local)


@pytest.mark.parametrize("compare", [True, False])
def test_a_link_that_leads_nowhere_or_in_a_loop_in_the_target_is_no_crash(
    provider: MemoryProvider, tmp_path: Path, compare: bool
) -> None:
    """Either the plan says it, or the transfer of that file; a bare `OSError` is neither."""
    provider.put_bytes("p/loop", b"x")
    provider.put_bytes("p/nowhere", b"x")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    try:
        plan = plan_download(provider, "p", str(tmp_path), compared(compare))
    except LocalFileError:
        return
    assert {action.key for action in plan.actions} == {"p/loop", "p/nowhere"}


def test_a_key_that_would_be_too_long_is_found_while_planning(provider: MemoryProvider, folder: Path) -> None:
    deep = folder.joinpath(*["n" * 200] * 5)
    deep.mkdir(parents=True)
    (deep / ("x" * 100)).write_bytes(b"")
    with pytest.raises(InvalidRequest):
        plan_upload(provider, str(folder), "")
    assert provider.list_files() == []


def test_folders_nested_deeper_than_any_key_are_a_clear_error(provider: MemoryProvider, tmp_path: Path) -> None:
    (tmp_path / "beside").write_bytes(b"")
    deepest = os.path.join(tmp_path, "top", *["d"] * 1100)
    for end in range(len(str(tmp_path)) + 4, len(deepest) + 1, 2):
        os.mkdir(deepest[:end])
    file = os.path.join(deepest, "f")
    open(file, "wb").close()
    try:
        with pytest.raises((InvalidRequest, LocalFileError)):
            plan_upload(provider, str(tmp_path / "top"), "")
    finally:
        os.unlink(file)
        os.removedirs(deepest)


def odd_things(folder: Path) -> Iterator[Path]:
    (folder / "loop").symlink_to(folder)
    yield folder / "loop"
    (folder / "nowhere").symlink_to(folder / "missing")
    yield folder / "nowhere"
    (folder / "self").symlink_to(folder / "self")
    yield folder / "self"
    os.mkfifo(folder / "pipe")
    yield folder / "pipe"
    path = os.fsencode(folder) + b"/\xff"
    open(path, "wb").close()
    yield Path(os.fsdecode(path))


def test_whatever_can_not_be_stored_is_found_while_planning(provider: MemoryProvider, folder: Path) -> None:
    for odd in odd_things(folder):
        with pytest.raises(LocalFileError) as caught:
            plan_upload(provider, str(folder), "")
        assert caught.value.message.encode()
        odd.unlink()
    assert len(plan_upload(provider, str(folder), "").actions) == 5


def test_links_are_followed_and_unfinished_downloads_left_out(provider: MemoryProvider, folder: Path) -> None:
    (folder / "link").symlink_to(folder / "new")
    (folder / "linked").symlink_to(folder / "deep")
    (folder / f"{PART_PREFIX}1-2").write_bytes(b"half")
    (folder / "empty").mkdir()
    keys = set(reasons(plan_upload(provider, str(folder), "")))
    assert keys == {"new", "size", "content", "same", "deep/same", "link", "linked/same"}


def test_a_store_is_not_uploaded_into_itself(tmp_path: Path) -> None:
    store = tmp_path / "home" / "störe x"
    store.mkdir(parents=True)
    provider = LocalProvider({"base_path": store})
    (tmp_path / "link").symlink_to(store)
    for local in (store, tmp_path, tmp_path / "home", tmp_path / "link"):
        for into in (provider, provider.for_bucket("other")):
            with pytest.raises(LocalFileError, match="holds the store itself"):
                plan_upload(into, str(local), "x")
    beside = tmp_path / "home" / "störe"
    beside.mkdir()
    assert list(plan_upload(provider, str(beside), "x").actions) == []


def test_existing_files_can_be_refused(provider: MemoryProvider, folder: Path, tmp_path: Path) -> None:
    fill(provider)
    with pytest.raises(PreconditionFailed):
        refuse_existing(plan_download(provider, "", str(folder)))
    plan = plan_download(provider, "", str(tmp_path / "new"))
    refuse_existing(plan)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "same").symlink_to("nowhere")
    with pytest.raises(PreconditionFailed, match="same"):
        refuse_existing(plan)
