"""Which keys can be files of one folder, with one another and with what is there: found out before anything is moved."""

from __future__ import annotations

import errno
import os
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from application import local_names
from application.local_names import LocalNames, folds_names, refuse_links_out
from application.planning import PlanOptions
from application.transfers import plan_download, plan_replication, plan_upload
from domain.errors import InsufficientStorage, LocalFileError, StorageError
from domain.transfer import Comparison, DeleteBudget
from infrastructure.storage.providers import MemoryProvider

COMPARED = PlanOptions(compare=Comparison.CONTENT)
MIRROR = replace(COMPARED, delete=True, budget=DeleteBudget(None, None))
WAYS = pytest.mark.parametrize("options", [PlanOptions(), COMPARED, MIRROR], ids=["asked", "compared", "mirrored"])


def holding(*keys: str) -> MemoryProvider:
    provider = MemoryProvider({})
    for key in keys:
        provider.put_bytes(key, b"x")
    return provider


@pytest.fixture
def folding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_names, "folds_names", lambda folder: True)


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# -- names no local file can have


@WAYS
@pytest.mark.parametrize(
    "name", ["a//b", "../x", "a/../x", "./a", "a/.", "/a", "trail/", "nul\0", "n" * 256, "é" * 128, ".lading-part-1"]
)
def test_a_key_that_can_be_no_file_is_named(tmp_path: Path, name: str, options: PlanOptions) -> None:
    with pytest.raises(LocalFileError, match="no local file can be called") as caught:
        plan_download(holding("p/ok", f"p/{name}"), "p/", str(tmp_path / "out"), options)
    assert repr(name) in caught.value.message
    assert everything(tmp_path) == set()


def test_a_key_that_is_left_out_may_be_called_anything(tmp_path: Path) -> None:
    options = replace(COMPARED, filters=replace(COMPARED.filters, excluded=lambda name: name == "nul\0"))
    plan = plan_download(holding("p/ok", "p/nul\0"), "p/", str(tmp_path / "out"), options)
    assert [action.key for action in plan.actions] == ["p/ok"]


# -- a file and a folder of one name


@WAYS
def test_a_key_that_is_both_file_and_folder_is_named(tmp_path: Path, options: PlanOptions) -> None:
    with pytest.raises(LocalFileError, match=r"'p/a/b/c' needs a folder where the file '.*/out/a' is or would be"):
        plan_download(holding("p/a", "p/a-", "p/a.x/y", "p/a/b/c"), "p/", str(tmp_path / "out"), options)
    assert everything(tmp_path) == set()


@pytest.mark.parametrize("options", [COMPARED, MIRROR], ids=["compared", "mirrored"])
def test_so_is_one_for_which_a_local_file_or_folder_is_in_the_way(tmp_path: Path, options: PlanOptions) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LocalFileError, match="file"):
        plan_download(holding("p/file/below"), "p/", str(tmp_path), options)
    (tmp_path / "file").unlink()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "f").write_bytes(b"")
    with pytest.raises(LocalFileError, match="folder"):
        plan_download(holding("p/folder"), "p/", str(tmp_path), options)
    assert everything(tmp_path) == {"folder", "folder/f"}


NAMES = st.lists(st.lists(st.sampled_from(["a", "b", "a-", "a.", "ab"]), min_size=1, max_size=3).map("/".join))


@settings(max_examples=200)
@given(NAMES)
def test_exactly_the_names_that_can_not_be_together_are_refused(names: list[str]) -> None:
    ordered = sorted(set(names))
    taken = LocalNames("/nowhere", "p/")
    impossible = any(other.startswith(f"{name}/") for name in ordered for other in ordered)
    try:
        for name in ordered:
            taken.wanted(name)
    except LocalFileError:
        assert impossible
    else:
        assert not impossible


# -- a disk that folds names

TOGETHER = [
    ("A", "a"),
    ("x/A", "x/a"),
    ("e\u0301", "\u00e9"),
    ("\u00c9", "e\u0301"),
    ("STRASSE", "stra\u00dfe"),
    ("A", "a/b"),
    ("A/b", "a"),
    ("A/b/c", "a/x"),
    ("x/A/b", "x/a/c"),
    ("A/b", "A/B/c"),
]


@pytest.mark.usefixtures("folding")
@pytest.mark.parametrize("pair", TOGETHER, ids=ascii)
@WAYS
def test_names_that_are_one_file_on_this_disk_are_found(
    tmp_path: Path, pair: tuple[str, str], options: PlanOptions
) -> None:
    provider = holding(*(f"p/{name}" for name in (*pair, "m", "x/m", "x/mm/n")))
    with pytest.raises(LocalFileError, match="differs from another name only by case or by the form") as caught:
        plan_download(provider, "p/", str(tmp_path), options)
    assert any(
        repr(f"p/{name}")[:-1] in caught.value.message for name in ("a", "A", "x", "\u00e9", "e", "stra", "\u00c9")
    )
    one = replace(options, filters=replace(options.filters, excluded=lambda name: name == pair[1]))
    assert len(plan_download(provider, "p/", str(tmp_path), one).actions) == 4


@pytest.mark.parametrize("pair", TOGETHER, ids=ascii)
@WAYS
def test_on_a_disk_that_does_not_fold_they_are_two_files(
    tmp_path: Path, pair: tuple[str, str], options: PlanOptions
) -> None:
    plan = plan_download(holding(*(f"p/{name}" for name in pair)), "p/", str(tmp_path / "new" / "deep"), options)
    assert {action.key for action in plan.actions} == {f"p/{name}" for name in pair}
    assert everything(tmp_path) == set(), "planning leaves nothing behind"


@pytest.mark.usefixtures("folding")
@settings(max_examples=150)
@given(st.text(min_size=1, max_size=4))
def test_another_spelling_of_a_name_is_that_name(name: str) -> None:
    if "/" in name or "\0" in name or name in {".", ".."} or not name.isprintable():
        return
    for spelled in (str.upper, str.lower, str.casefold, "NFC", "NFD"):
        other = spelled(name) if callable(spelled) else unicodedata.normalize(spelled, name)
        same = unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold()) == unicodedata.normalize(
            "NFC", unicodedata.normalize("NFD", other).casefold()
        )
        if other == name or not same or (spelled is str.upper and len(other) != len(name)):
            continue
        taken = LocalNames("/nowhere", "")
        taken.wanted(min(name, other))
        with pytest.raises(LocalFileError):
            taken.wanted(max(name, other))


@pytest.mark.usefixtures("folding")
def test_a_file_that_is_there_and_one_that_comes_are_one_when_mirroring(tmp_path: Path) -> None:
    (tmp_path / "Readme").write_bytes(b"mine")
    with pytest.raises(LocalFileError, match="only by case"):
        plan_download(holding("p/README"), "p/", str(tmp_path), MIRROR)
    assert (tmp_path / "Readme").read_bytes() == b"mine"


def test_what_folds_is_found_out_by_a_file_that_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not folds_names(str(tmp_path))
    assert not folds_names(str(tmp_path / "not" / "there"))
    assert everything(tmp_path) == set()
    seen: list[set[str]] = []
    real = os.path.lexists

    def lexists(path: str) -> bool:
        seen.append(everything(tmp_path))
        return real(path)

    monkeypatch.setattr(os.path, "lexists", lexists)
    folds_names(str(tmp_path))
    assert len(seen[0]) == 1, "there was one, and it was looked for by another name"
    assert everything(tmp_path) == set()
    monkeypatch.setattr(os, "open", lambda *args: (_ for _ in ()).throw(PermissionError()))
    assert folds_names(str(tmp_path)), "where nobody can tell, caution"


@pytest.mark.parametrize(
    ("number", "kind", "reason"),
    [
        (errno.EROFS, LocalFileError, "its file system is read-only"),
        (errno.EACCES, LocalFileError, "permission denied"),
        (errno.ENOSPC, InsufficientStorage, "no room"),
    ],
)
def test_where_nothing_can_be_written_that_is_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[StorageError], reason: str
) -> None:
    def refused(*args: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(kind, match=reason) as caught:
        plan_download(holding("p/A", "p/a"), "p/", str(tmp_path), COMPARED)
    assert repr(str(tmp_path)) in caught.value.message


# -- a link in the place of a folder


def test_only_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    real = tmp_path / "real"
    (real / "b").mkdir(parents=True)
    out = tmp_path / "out"
    out.symlink_to(real)
    (real / "in").symlink_to("b")
    (real / "self").symlink_to(".")
    (real / "b" / "away").symlink_to(tmp_path / "else")
    (real / "sibling").symlink_to(tmp_path / "real-not")
    root = f"{out}/"
    refuse_links_out(root, [f"{root}{name}" for name in ("f", "b/f", "in/f", "self/b/f", "new/deep/f")])
    refuse_links_out("./", ["./f", "./nowhere/f"])
    for name, link in (("b/away/f", "b/away"), ("in/away/new/f", "in/away"), ("sibling/f", "sibling")):
        with pytest.raises(LocalFileError, match="leads out of") as caught:
            refuse_links_out(root, [f"{root}b/f", f"{root}{name}"])
        assert caught.value.message.startswith(repr(root + link))


# -- what is kept for other uses

ROOT = ["a", "cas/ab", "data/cas/x", "deleted/x", "deletedx", "dvc/files", "temp/y", ".lading/keys", "tempo"]


def plan_up(provider: MemoryProvider, folder: Path, prefix: str, options: PlanOptions) -> tuple[set[str], list[str]]:
    for name in ROOT:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    plan = plan_upload(provider, str(folder), prefix, options)
    return {action.key[len(prefix) :] for action in plan.actions}, list(plan.reserved)


def plan_down(provider: MemoryProvider, folder: Path, prefix: str, options: PlanOptions) -> tuple[set[str], list[str]]:
    for name in ROOT:
        provider.put_bytes(prefix + name, b"x")
    plan = plan_download(provider, prefix, str(folder), options)
    return {action.key[len(prefix) :] for action in plan.actions}, list(plan.reserved)


def plan_across(
    provider: MemoryProvider, folder: Path, prefix: str, options: PlanOptions
) -> tuple[set[str], list[str]]:
    other = holding(*(prefix + name for name in ROOT)).for_bucket("memory")
    to = MemoryProvider({"bucket_name": "other"})
    plan = plan_replication(other, prefix, to, prefix, options)
    return {action.key[len(prefix) :] for action in plan.actions}, list(plan.reserved)


@pytest.mark.parametrize("plan", [plan_up, plan_down, plan_across])
def test_reserved_folders_are_left_out_of_the_root_and_told(
    tmp_path: Path, plan: Callable[..., tuple[set[str], list[str]]]
) -> None:
    moved, reserved = plan(MemoryProvider({}), tmp_path, "", COMPARED)
    assert moved == {"a", "data/cas/x", "deletedx", "tempo"}
    told = ["cas/", "deleted/", "dvc/", "temp/"]
    # That a folder keeps its own things for itself is nothing to be told each time.
    assert reserved == (told if plan is plan_up else [".lading/", *told])


@pytest.mark.parametrize("options", [PlanOptions(), COMPARED], ids=["asked", "compared"])
@pytest.mark.parametrize(("plan", "prefix"), [(plan_up, "p/"), (plan_down, "p/"), (plan_across, "p/")])
def test_below_a_prefix_no_name_is_reserved_but_the_folders_own(
    tmp_path: Path, plan: Callable[..., tuple[set[str], list[str]]], prefix: str, options: PlanOptions
) -> None:
    moved, reserved = plan(MemoryProvider({}), tmp_path, prefix, options)
    everywhere = set(ROOT) - {".lading/keys"}
    if plan is plan_across:
        assert (moved, reserved) == (set(ROOT), [])
    else:
        assert (moved, reserved) == (everywhere, [".lading/"] if plan is plan_down else [])


def test_nothing_reserved_is_deleted(tmp_path: Path) -> None:
    provider = holding(*ROOT, "old")
    (tmp_path / "a").write_bytes(b"x")
    plan = plan_upload(provider, str(tmp_path), "", MIRROR)
    assert [deletion.name for deletion in plan.deletions] == ["data/cas/x", "deletedx", "old", "tempo"]
    assert set(plan.reserved) == {"cas/", "deleted/", "dvc/", "temp/", ".lading/"}


def test_markers_of_folders_are_no_files(tmp_path: Path) -> None:
    provider = holding("p/a", "p/deep/f")
    for marker in ("p/", "p/deep/", "p/empty/"):
        provider.put_bytes(marker, b"")
    plan = plan_download(provider, "p/", str(tmp_path), MIRROR)
    assert [action.key for action in plan.actions] == ["p/a", "p/deep/f"]
    (tmp_path / "a").write_bytes(b"x")
    assert [deletion.name for deletion in plan_upload(provider, str(tmp_path), "p", MIRROR).deletions] == ["p/deep/f"]
