"""What is remembered of contents saves work, and never changes a plan."""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from application import applying, learning, local_tree, sides
from application.applying import apply
from application.learning import Learning
from application.planning import PlanOptions
from application.transfers import plan_download, plan_upload
from application.trash import trash_of_store
from domain.errors import StorageError
from domain.known_hashes import KnownHash
from domain.storage import ObjectInfo
from domain.streams import ObjectReader
from domain.transfer import Comparison, TransferPlan
from infrastructure.state.hashes import RememberedHashes
from infrastructure.storage.providers import MemoryProvider

COMPARED = PlanOptions(compare=Comparison.CONTENT)
SHA = "ab" * 32


class Counting(MemoryProvider):
    """Counts what is asked of the store."""

    hashless = False

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        self.calls: list[str] = []

    def list_objects(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        self.calls.append("list")
        return super().list_objects(prefix, start_after=start_after)

    def head(self, key: str) -> ObjectInfo:
        self.calls.append("head")
        return super().head(key)._replace(**({"sha256": None} if self.hashless else {}))

    def head_many(self, keys: Iterable[str]) -> Iterator[tuple[str, ObjectInfo | StorageError]]:
        return super().head_many(keys)

    def open_reader(self, key: str, **options: Any) -> ObjectReader:
        self.calls.append("read")
        return super().open_reader(key, **options)

    def counted(self, plan: Callable[[], TransferPlan]) -> tuple[int, int, int]:
        """Listings, looks and reads that a plan takes."""
        self.calls.clear()
        plan()
        return self.calls.count("list"), self.calls.count("head"), self.calls.count("read")


@pytest.fixture
def known(tmp_path: Path) -> RememberedHashes:
    return RememberedHashes(tmp_path / "state.sqlite")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten files, older than any clock's tick."""
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    for number in range(9):
        (folder / f"f{number}").write_bytes(b"%d" % number)
    (folder / "deep" / "é").write_bytes(b"deep")
    settle(folder)
    return folder


def settle(folder: Path) -> None:
    """Wait until the last change of every file is older than the clock's tick."""
    newest = max((path.stat().st_ctime_ns for path in folder.rglob("*")), default=0)
    while time.time_ns() < newest + 110_000_000:
        time.sleep(0.005)


def moved(plan: TransferPlan) -> dict[str, str]:
    return {action.key: action.reason for action in plan.actions}


# -- what it saves


def test_a_second_run_makes_one_listing_and_asks_and_reads_nothing(folder: Path, known: RememberedHashes) -> None:
    provider = Counting({})

    def plan() -> TransferPlan:
        found = plan_upload(provider, str(folder), "p", COMPARED, known=known)
        assert not found.actions or not found.unchanged
        return found

    apply(provider, plan(), known=known)
    assert provider.counted(plan) == (1, 0, 0)
    read = []
    real = sides.LocalFolder.hashes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sides.LocalFolder, "hashes", lambda self, entries: (read.extend(entries), real(self, entries))[1])
        plan()
    assert read == []


def test_after_a_download_nothing_is_asked_or_read_either(tmp_path: Path, known: RememberedHashes) -> None:
    provider, here = Counting({}), tmp_path / "here"
    for number in range(5):
        provider.put_bytes(f"p/{number}", b"%d" % number)
    apply(provider, plan_download(provider, "p/", str(here), COMPARED, known=known), known=known)
    settle(here)
    for expected in ((1, 0, 0), (1, 0, 0)):
        assert provider.counted(lambda: plan_download(provider, "p/", str(here), COMPARED, known=known)) == expected


def test_without_memory_each_object_of_equal_size_is_asked_for_once(folder: Path, tmp_path: Path) -> None:
    provider = Counting({})
    apply(provider, plan_upload(provider, str(folder), "p"))
    (folder / "new").write_bytes(b"new")
    (folder / "f0").write_bytes(b"longer")
    cold = RememberedHashes(tmp_path / "another.sqlite")
    assert provider.counted(lambda: plan_upload(provider, str(folder), "p", COMPARED, known=cold)) == (1, 9, 0)
    settle(folder)
    assert provider.counted(lambda: plan_upload(provider, str(folder), "p", COMPARED, known=cold)) == (1, 0, 0)


def test_objects_without_a_hash_are_read_once_while_they_stay(folder: Path, known: RememberedHashes) -> None:
    provider = Counting({})
    apply(provider, plan_upload(provider, str(folder), "p"))
    provider.hashless = True

    def plan() -> TransferPlan:
        return plan_upload(provider, str(folder), "p", COMPARED, known=known)

    assert provider.counted(plan) == (1, 10, 10)
    assert provider.counted(plan) == (1, 0, 0)
    provider.put_bytes("p/f3", b"3")
    assert provider.counted(plan) == (1, 1, 1)
    assert provider.counted(plan) == (1, 0, 0)
    assert not plan().actions


def test_checksum_believes_nothing_and_size_only_asks_nothing(folder: Path, known: RememberedHashes) -> None:
    provider = Counting({})
    apply(provider, plan_upload(provider, str(folder), "p"), known=known)
    place, state = f"{os.path.realpath(folder)}/", {file.name: file.state for file in files(folder)}
    known.remember_files(place, [KnownHash(name, state[name], SHA) for name in state])
    known.remember_objects(" memory:memory", "p/", [])

    def plan(compare: Comparison) -> TransferPlan:
        return plan_upload(provider, str(folder), "p", PlanOptions(compare=compare), known=known)

    assert set(moved(plan(Comparison.CONTENT)).values()) == {"content differs"}, "a lie is believed while it is fitting"
    assert provider.counted(lambda: plan(Comparison.CHECKSUM)) == (1, 10, 0)
    assert not plan(Comparison.CHECKSUM).actions
    (folder / "f1").write_bytes(b"x")
    assert moved(plan(Comparison.CHECKSUM)) == {"p/f1": "content differs"}
    (folder / "f2").write_bytes(b"longer")
    assert provider.counted(lambda: plan(Comparison.SIZE)) == (1, 0, 0)
    assert moved(plan(Comparison.SIZE)) == {"p/f2": "size differs"}


def files(folder: Path) -> list[Any]:
    return list(local_tree.scan(str(folder)))


# -- which changes are seen


def test_times_alone_send_nothing_again(folder: Path, known: RememberedHashes) -> None:
    provider = MemoryProvider({})
    apply(provider, plan_upload(provider, str(folder), "p"), known=known)
    for number, path in enumerate(folder.iterdir()):
        os.utime(path, (number, number * 1000))
    assert not plan_upload(provider, str(folder), "p", COMPARED, known=known).actions


def test_an_edit_of_one_size_is_seen_even_where_its_time_is_set_back(folder: Path, known: RememberedHashes) -> None:
    provider = MemoryProvider({})
    apply(provider, plan_upload(provider, str(folder), "p"), known=known)
    before = (folder / "f1").stat()
    with open(folder / "f1", "r+b") as file:
        file.write(b"x")
    os.utime(folder / "f1", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (folder / "f1").stat().st_mtime_ns == before.st_mtime_ns
    assert moved(plan_upload(provider, str(folder), "p", COMPARED, known=known)) == {"p/f1": "content differs"}


@pytest.fixture
def coarse_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is on a file system whose clock stands still for 80 ms; most stand still for 4, some not at all."""

    def coarse(status: os.stat_result) -> str:
        times = [time // 80_000_000 * 80_000_000 + 1 for time in (status.st_mtime_ns, status.st_ctime_ns)]
        return f"{status.st_size:x}.{times[0]:x}.{times[1]:x}.{status.st_ino:x}"

    for module in (local_tree, sides, learning, applying):
        monkeypatch.setattr(module, "state_of", coarse)


def in_one_tick(path: Path, between: Callable[[], object]) -> None:
    """Write to a file before and after something, within one tick of its file system's clock."""
    states = {1, 2}
    while len(states) > 1:
        path.write_bytes(b"abc")
        states = {sides.state_of(os.stat(path))}
        between()
        path.write_bytes(b"abd")
        states.add(sides.state_of(os.stat(path)))


@pytest.mark.usefixtures("coarse_clock")
def test_an_edit_in_the_tick_of_the_last_change_is_seen(tmp_path: Path, known: RememberedHashes) -> None:
    """The file is hashed right after it was written, and written again before the clock moves on."""
    folder = tmp_path / "data"
    folder.mkdir()
    side = sides.LocalFolder(str(folder), known)
    hashing: list[Iterator[Any]] = []

    def begin() -> None:
        hashing[:] = [side.hashes(list(side.entries()))]
        next(hashing[0])

    in_one_tick(folder / "f", begin)
    settle(folder)  # as when many more are hashed before what was learnt is written down
    list(hashing[0])
    assert [entry.sha256 for entry in side.entries()] == [""]
    list(side.hashes(list(side.entries())))
    assert [entry.sha256 for entry in side.entries()] == [hashlib.sha256(b"abd").hexdigest()]


@pytest.mark.usefixtures("coarse_clock")
def test_an_edit_in_the_tick_of_the_last_change_is_seen_after_an_upload(
    tmp_path: Path, known: RememberedHashes
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    provider = MemoryProvider({})
    application: list[Learning] = []

    def upload() -> None:
        plan = plan_upload(provider, str(folder), "p", COMPARED, known=known)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Learning, "keep", lambda self: application.append(self))  # noqa: PLW0108 - bound as a method
            apply(provider, plan, known=known)

    in_one_tick(folder / "f", upload)
    settle(folder)  # as when many more are moved before what was learnt is written down
    application[-1].keep()
    assert moved(plan_upload(provider, str(folder), "p", COMPARED, known=known)) == {"p/f": "content differs"}


# -- it never changes a plan

EDIT = st.sampled_from(["write", "rewrite", "touch", "back", "remove", "put", "delete", "sync", "forget", "damage"])


def snapshot_of(plan: TransferPlan) -> list[Any]:
    return [list(plan.actions), list(plan.deletions), plan.unchanged]


@settings(max_examples=25)
@given(
    st.lists(st.tuples(EDIT, st.integers(0, 3), st.sampled_from([b"", b"a", b"b", b"ab"])), max_size=14), st.randoms()
)
def test_a_warm_a_cold_and_a_damaged_state_give_one_plan(
    steps: Sequence[tuple[str, int, bytes]], chance: random.Random
) -> None:
    """Objects with and without a hash; edits of one size, with times kept and set back; both directions."""
    mirror = PlanOptions(compare=Comparison.CONTENT)
    with tempfile.TemporaryDirectory() as place:
        folder, state = Path(place) / "data", Path(place) / "state.sqlite"
        folder.mkdir()
        (folder / "always").write_bytes(b"")
        provider, known = Counting({}), RememberedHashes(state)
        provider.put_bytes("p/always", b"")
        for what, number, content in steps:
            file, key = folder / f"f{number}", f"p/f{number}"
            if what == "write" or (what == "rewrite" and file.exists()):
                file.write_bytes(content)
            elif what in {"touch", "back"} and file.exists():
                then = file.stat()
                if what == "back":
                    file.write_bytes(content)
                os.utime(file, ns=(0, then.st_mtime_ns if what == "back" else number))
            elif what == "remove":
                file.unlink(missing_ok=True)
            elif what == "put":
                provider.put_bytes(key, content)
            elif what == "delete":
                provider.delete(key)
            elif what == "sync":
                settle(folder)
                plan = plan_upload(provider, str(folder), "p", mirror, known=known)
                apply(provider, plan, known=known, trash=trash_of_store(provider))
            elif what == "forget":
                state.unlink(missing_ok=True)
            elif what == "damage" and state.exists():
                data = bytearray(state.read_bytes())
                for _ in range(20):
                    data[chance.randrange(min(len(data), 4096))] = chance.randrange(256)
                state.write_bytes(data[: chance.choice([len(data), len(data) // 2, 100])])
            provider.hashless = number % 2 == 1
            for warm, cold in (
                (
                    plan_upload(provider, str(folder), "p", mirror, known=known),
                    plan_upload(provider, str(folder), "p", mirror),
                ),
                (
                    plan_download(provider, "p/", str(folder), mirror, known=known),
                    plan_download(provider, "p/", str(folder), mirror),
                ),
            ):
                assert snapshot_of(warm) == snapshot_of(cold), what


# -- the memory itself

ROWS = st.dictionaries(st.text("a/é\U0001f600\uffff-", min_size=1, max_size=5), st.text(max_size=3), max_size=20)


@settings(max_examples=30)
@given(ROWS)
def test_what_was_remembered_comes_back_in_order_for_this_folder_only(rows: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        known = RememberedHashes(Path(place) / "state.sqlite")
        given_ = [KnownHash(name, state.encode("utf-8", "replace").decode(), SHA) for name, state in rows.items()]
        for beside in ("/d", "/d-/", "/d0/", "/"):
            known.remember_files(beside, [KnownHash("~beside", "s", SHA)])
            known.remember_objects("store", beside, [KnownHash("~beside", "s", SHA)])
        known.remember_objects("another", "/d/", [KnownHash("beside", "s", SHA)])
        known.remember_files("/d/", given_)
        known.remember_objects("store", "/d/", given_)
        expected = sorted(given_, key=lambda item: item.name.encode())
        assert list(known.files("/d/")) == expected
        assert list(known.objects("store", "/d/")) == expected
        if given_:
            known.remember_files("/d/", [given_[0]._replace(state="newer")])
            assert given_[0]._replace(state="newer") in list(known.files("/d/"))


def test_more_than_a_page_comes_back_whole(known: RememberedHashes) -> None:
    rows = [KnownHash(f"{number:06}", "s", SHA) for number in range(12_345)]
    known.remember_files("/d/", rows)
    assert list(known.files("/d/")) == rows


@pytest.mark.parametrize(
    "damage",
    ["sha256 = 'text'", "sha256 = x'00'", "sha256 = 7", "state = x'ff00'", "path = 5", "path = 'text'"],
)
def test_rows_of_another_kind_are_done_without(tmp_path: Path, known: RememberedHashes, damage: str) -> None:
    known.remember_files("/d/", [KnownHash("a", "s", SHA), KnownHash("b", "s", SHA)])
    database = sqlite3.connect(tmp_path / "state.sqlite")
    with database:
        database.execute(f"UPDATE files SET {damage} WHERE path = ?", (b"/d/b",))  # noqa: S608
    database.close()
    assert all(row == KnownHash("a", "s", SHA) for row in known.files("/d/"))


def test_where_nothing_can_be_kept_nothing_is_known(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    known = RememberedHashes(tmp_path / "file" / "state.sqlite")
    known.remember_files("/d/", [KnownHash("a", "s", SHA)])
    assert list(known.files("/d/")) == []
    provider = MemoryProvider({})
    apply(provider, plan_upload(provider, str(folder), "p", known=known), known=known)
    assert not plan_upload(provider, str(folder), "p", COMPARED, known=known).actions
