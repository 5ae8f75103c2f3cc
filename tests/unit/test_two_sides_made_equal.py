"""Any two sides: a plan says exactly what differs, and once it is carried out there is nothing more to plan."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from application.applying import apply
from application.filters import Filters
from application.planning import PlanOptions, merged, plan_transfer
from application.sides import Entry
from application.transfers import compare_sides, plan_download, plan_upload
from application.trash import trash_of_folder, trash_of_store
from domain.errors import LocalFileError, StorageError
from domain.known_hashes import KnownHash
from domain.transfer import Comparison, DeleteBudget, Direction, TransferPlan
from infrastructure.storage.providers import MemoryProvider

Files = dict[str, bytes]

MIRROR = PlanOptions(compare=Comparison.CONTENT, delete=True, budget=DeleteBudget(None, None), empty_source=True)
CONTENT = st.sampled_from([b"", b"a", b"b", b"ab", b"ba"])
NAME = st.sampled_from(["a", "b", "a-", "a.", "a/b", "b/a", "c"]) | st.lists(
    st.text("a-.0é\u0301\U0001f600", min_size=1, max_size=3), min_size=1, max_size=3
).map("/".join)


def _can_be(names: Iterable[str]) -> bool:
    found = set(names)
    return not any(part in {".", ".."} for name in found for part in name.split("/")) and not any(
        other.startswith(f"{name}/") for name in found for other in found
    )


FILES = st.dictionaries(NAME, CONTENT, max_size=8).filter(_can_be)


class Fixed:
    """A side that is made up."""

    def __init__(self, files: Files, root: str = "side/") -> None:
        self.root = root
        self.shown = root
        self._files = files

    def entries(self, excluded: Callable[[str], bool] | None = None) -> Iterator[Entry]:
        for name in sorted(self._files, key=str.encode):
            if not (excluded and excluded(name)):
                yield Entry(name, len(self._files[name]), self._files[name].hex(), "")

    def hashes(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, str | StorageError]]:
        for entry in reversed(entries):
            yield entry, self._files[entry.name].hex()

    def remember(self, known: Iterable[KnownHash]) -> None:
        raise AssertionError("a plan remembers nothing but what a side finds out itself")


@settings(max_examples=200)
@given(FILES, FILES)
def test_a_plan_is_the_difference_of_two_sets(source: Files, target: Files) -> None:
    pairs = list(merged(Fixed(source).entries(), Fixed(target).entries()))
    names = [(mine or theirs).name for mine, theirs in pairs if mine or theirs]  # type: ignore[union-attr]
    assert names == sorted(source.keys() | target.keys(), key=str.encode)
    for name, (mine, theirs) in zip(names, pairs, strict=True):
        assert (mine is not None, theirs is not None) == (name in source, name in target)

    plan = plan_transfer(Fixed(source, "from/"), Fixed(target, "to/"), Direction.UPLOAD, MIRROR)
    assert {action.key: action.reason for action in plan.actions} == {
        f"to/{name}": "new"
        if name not in target
        else "size differs"
        if len(target[name]) != len(content)
        else "content differs"
        for name, content in source.items()
        if target.get(name) != content
    }
    assert [action.key for action in plan.actions] == sorted((action.key for action in plan.actions), key=str.encode)
    assert [deletion.name for deletion in plan.deletions] == [
        f"to/{name}" for name in sorted(target.keys() - source.keys(), key=str.encode)
    ]
    assert plan.unchanged == sum(target.get(name) == content for name, content in source.items())
    states = {action.key: (action.source, action.target) for action in plan.actions}
    assert states == {
        key: (source[key[3:]].hex(), target[key[3:]].hex() if key[3:] in target else "") for key in states
    }


def write(folder: Path, files: Files) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def read(folder: Path) -> Files:
    """What is in the folder, but for the trash."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] != ".lading"
    }


def stored(provider: MemoryProvider, prefix: str = "") -> Files:
    return {
        info.key[len(prefix) :]: provider.get_bytes(info.key)
        for info in provider.list_objects(prefix)
        if not info.key.startswith("deleted/")
    }


def sides(folder: str, local: Files, remote: Files) -> tuple[Path, MemoryProvider]:
    place, provider = Path(folder) / "data", MemoryProvider({})
    place.mkdir()
    write(place, local)
    for name, content in remote.items():
        provider.put_bytes(f"p/{name}", content)
    for beside in ("p", "p-", "p0/a", "pp"):
        provider.put_bytes(beside, b"beside")
    return place, provider


def left_out(name: str) -> bool:
    return "-" in name


FILTERS = st.sampled_from(
    [
        (Filters(), lambda name, size: True),
        (Filters(excluded=left_out), lambda name, size: "-" not in name),
        (Filters(included=lambda name: "a" in name), lambda name, size: "a" in name),
        (Filters(size_min=1), lambda name, size: size >= 1),
        (Filters(size_max=1), lambda name, size: size <= 1),
    ]
)


def check(before: Files, source: Files, after: Files, meant: Callable[[str, int], bool]) -> None:
    """The target has what is meant as the source has it, and the rest as it was."""
    wanted = {name: content for name, content in source.items() if meant(name, len(content))}
    kept = {name: content for name, content in before.items() if not meant(name, len(content)) or name in source}
    assert after == kept | wanted


@settings(max_examples=60)
@given(FILES, FILES, FILTERS)
def test_an_upload_makes_the_prefix_equal_and_touches_nothing_else(
    local: Files, remote: Files, chosen: tuple[Filters, Callable[[str, int], bool]]
) -> None:
    filters, meant = chosen
    options = replace(MIRROR, filters=filters)
    with tempfile.TemporaryDirectory() as folder:
        place, provider = sides(folder, local, remote)
        plan = plan_upload(provider, str(place), "p", options)
        report = apply(provider, plan, trash=trash_of_store(provider))
        assert not report.failures and not report.stopped_by
        assert (report.done, report.deleted) == (len(plan.actions), len(plan.deletions))
        check(remote, local, stored(provider, "p/"), meant)
        assert read(place) == local
        assert {name for name in stored(provider) if not name.startswith("p/")} == {"p", "p-", "p0/a", "pp"}
        assert is_empty(plan_upload(provider, str(place), "p", options))
        if not filters.name_filter and not filters.size_min and filters.size_max is None:
            assert is_empty(compare_sides(provider, str(place), "p", options))


@settings(max_examples=60)
@given(FILES, FILES, FILTERS)
def test_a_download_makes_the_folder_equal_or_says_why_it_can_not(
    local: Files, remote: Files, chosen: tuple[Filters, Callable[[str, int], bool]]
) -> None:
    filters, meant = chosen
    options = replace(MIRROR, filters=filters)
    with tempfile.TemporaryDirectory() as folder:
        place, provider = sides(folder, local, remote)
        objects = stored(provider)
        try:
            plan = plan_download(provider, "p/", str(place), options)
        except LocalFileError:
            looked_at = {name for name in local if not filters.leaves_out(name)} | set(remote)
            assert not _can_be(looked_at), "only where a file stands in the way of a folder"
            assert read(place) == local
            return
        except StorageError as error:
            assert not remote, error
            return
        report = apply(provider, plan, trash=trash_of_folder(str(place)))
        if report.failures:  # a file that is left out stands in the way
            assert filters.name_filter and not _can_be({*local, *remote})
            assert read(place).items() >= {name: local[name] for name in local if name not in remote}.items()
            return
        check(local, remote, read(place), meant)
        assert stored(provider) == objects
        assert is_empty(plan_download(provider, "p/", str(place), options))


def is_empty(plan: TransferPlan) -> bool:
    return not plan.actions and not plan.deletions


@settings(max_examples=100)
@given(FILES, FILES, st.integers(0, 4))
def test_what_is_cut_short_deletes_nothing_and_is_gone_on_with(source: Files, target: Files, most: int) -> None:
    whole = plan_transfer(Fixed(source), Fixed(target), Direction.UPLOAD, MIRROR)
    part = plan_transfer(
        Fixed(source), Fixed(target), Direction.UPLOAD, replace(MIRROR, filters=Filters(max_files=most))
    )
    assert list(part.actions) == list(whole.actions)[:most]
    assert part.left_out == len(whole.actions) - len(part.actions)
    assert list(part.deletions) == ([] if part.left_out else list(whole.deletions))
