"""A local folder as a transfer sees it: every file once, in the order of keys, and what can't be stored found at once."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from application.local_tree import Symlinks, is_settled, scan, state_of
from application.sides import StorePrefix
from domain.errors import LocalFileError
from domain.known_hashes import NothingKnown
from domain.local_files import PART_PREFIX
from infrastructure.storage.providers import MemoryProvider

PARTS = st.text("a-./0é\U0001f600\uffff ~", min_size=1, max_size=4)
NAMES = st.lists(st.lists(PARTS, min_size=1, max_size=4).map("/".join), max_size=12)


def tree(folder: str, names: list[str]) -> set[str]:
    """Make these files, as far as they can be with one another; what is there after."""
    made = set()
    for name in names:
        if any(part in {"", ".", ".."} for part in name.split("/")):
            continue
        path = os.path.join(folder, name)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(name.encode())
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue
        made.add(name)
    return made


def names_of(folder: Path | str, **options: object) -> list[str]:
    return [file.name for file in scan(str(folder), **options)]  # type: ignore[arg-type]


@settings(max_examples=200)
@given(NAMES)
def test_every_file_comes_once_and_in_the_order_of_its_bytes(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = tree(folder, names)
        assert names_of(folder) == sorted(made, key=str.encode)


PATTERNS = st.lists(
    st.sampled_from(
        ["a/", "!a/-", "a", "*.-", "!a", "-*", "!-/a", "/a", "a/*", "!a/a", "**/a", "*", "!*/", "-/", "!-/a/", "a/**"]
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=300)
@given(st.lists(st.lists(st.text("a-.", min_size=1, max_size=2), min_size=1, max_size=3).map("/".join)), PATTERNS)
def test_a_folder_and_a_prefix_are_left_out_alike(names: list[str], patterns: list[str]) -> None:
    """What one side leaves out and the other does not would be moved, or deleted."""
    from pathspec import GitIgnoreSpec

    excluded = GitIgnoreSpec.from_lines(patterns).match_file
    provider = MemoryProvider({})
    with tempfile.TemporaryDirectory() as folder:
        for name in tree(folder, names):
            provider.put_bytes(f"p/{name}", b"x")
        there = [entry.name for entry in StorePrefix(provider, "p/", NothingKnown()).entries(excluded)]
        assert there == names_of(folder, excluded=excluded)


def test_the_state_is_another_one_after_each_change(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"abc")

    def state() -> str:
        return state_of(os.stat(file))

    states = [state()]

    def changed(how: Callable[[], object]) -> None:
        while file.stat().st_ctime_ns >= time.time_ns() - 20_000_000:
            time.sleep(0.001)  # the clock of the file system stands still for a while
        how()
        states.append(state())

    before = file.stat()
    changed(lambda: file.write_bytes(b"abd"))
    changed(lambda: os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns)))
    (tmp_path / "other").write_bytes(b"abe")
    os.utime(tmp_path / "other", ns=(before.st_atime_ns, before.st_mtime_ns))
    changed(lambda: os.rename(tmp_path / "other", file))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert len(set(states)) == 4
    file.read_bytes()
    assert state() == states[-1], "who only reads changes nothing"


@pytest.mark.parametrize(
    ("changed", "when", "settled"),
    [
        (10_000_000_007, 10_000_000_008, False),
        (10_000_000_007, 10_050_000_000, False),
        (10_000_000_007, 10_200_000_000, True),
        # A disk that knows whole seconds only, or every other one.
        (10_000_000_000, 11_500_000_000, False),
        (10_000_000_000, 12_200_000_000, True),
        (10_000_000_007, 9_000_000_000, False),
    ],
)
def test_a_state_has_settled_once_the_clock_has_moved_on(changed: int, when: int, settled: bool) -> None:
    assert is_settled(f"3.0.{changed:x}.1", when) is settled


# -- links


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A folder with a link to a file, one to a folder, one to nothing, and two that form loops."""
    folder, beside = tmp_path / "data", tmp_path / "beside"
    for made in (folder, beside):
        made.mkdir()
        (made / "file").write_bytes(b"x")
    (folder / "to-file").symlink_to(beside / "file")
    (folder / "to-folder").symlink_to(beside)
    return folder


def test_links_are_followed_skipped_or_an_error(linked: Path) -> None:
    assert names_of(linked) == ["file", "to-file", "to-folder/file"]
    assert names_of(linked, symlinks=Symlinks.SKIP) == ["file"]
    with pytest.raises(LocalFileError, match="to-file' is a symbolic link"):
        names_of(linked, symlinks=Symlinks.ERROR)
    assert names_of(linked, symlinks=Symlinks.ERROR, excluded=lambda name: name.startswith("to-")) == ["file"]


def make_above(folder: Path) -> None:
    (folder / "odd").symlink_to("..", target_is_directory=True)


def make_itself(folder: Path) -> None:
    (folder / "odd").symlink_to("odd")


def make_two(folder: Path) -> None:
    (folder / "odd").symlink_to("ring")
    (folder / "ring").symlink_to("odd")


def make_nowhere(folder: Path) -> None:
    (folder / "odd").symlink_to("missing/deep")


@pytest.mark.parametrize("make", [make_above, make_itself, make_two, make_nowhere])
def test_links_that_lead_nowhere_are_errors_unless_nobody_wants_them(
    linked: Path, make: Callable[[Path], None]
) -> None:
    make(linked)
    with pytest.raises(LocalFileError, match=r"loop|nowhere") as caught:
        names_of(linked)
    assert "odd" in caught.value.message
    assert names_of(linked, symlinks=Symlinks.SKIP) == ["file"]
    rest = names_of(linked, excluded=lambda name: name.rstrip("/") in {"odd", "ring"})
    assert rest == ["file", "to-file", "to-folder/file"]


def test_one_folder_reached_by_two_links_is_no_loop(linked: Path) -> None:
    (linked / "again").symlink_to(linked / "to-folder")
    assert names_of(linked) == ["again/file", "file", "to-file", "to-folder/file"]


# -- what is no data


def test_names_that_are_not_utf8_are_errors_unless_left_out(tmp_path: Path) -> None:
    (tmp_path / "ok").write_bytes(b"")
    odd = os.fsencode(tmp_path) + b"/\xff\xfe"
    for make in (lambda: os.close(os.open(odd, os.O_CREAT)), lambda: (os.unlink(odd), os.mkdir(odd))):
        make()
        with pytest.raises(LocalFileError, match="not UTF-8") as caught:
            names_of(tmp_path)
        caught.value.message.encode()
        assert names_of(tmp_path, excluded=lambda name: "\udcff" in name) == ["ok"]


def test_what_is_neither_file_nor_folder_is_an_error_unless_left_out(tmp_path: Path) -> None:
    (tmp_path / "ok").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LocalFileError, match="pipe' is neither"):
        names_of(tmp_path)
    assert names_of(tmp_path, excluded=lambda name: name == "pipe") == ["ok"]


def test_the_stores_own_and_unfinished_downloads_are_left_out(tmp_path: Path) -> None:
    for name in (".lading/trash/x", ".ladingx", "deep/.lading/mine", f"{PART_PREFIX}1", f"deep/{PART_PREFIX}2"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert names_of(tmp_path) == [".ladingx", "deep/.lading/mine"]


def test_a_folder_that_is_taken_away_meanwhile_is_an_error(tmp_path: Path) -> None:
    """Whoever went on would take all that was in it for deleted."""
    for name in ("a/f", "b/f"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"")
    found = scan(str(tmp_path))
    assert next(found).name == "a/f"
    (tmp_path / "b").rename(tmp_path / "gone")
    with pytest.raises(LocalFileError, match="b"):
        list(found)
