"""Files moved by several threads: each once, every failure told, nothing begun that need not be."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from application.applying import apply
from application.transfers import plan_download, plan_upload
from application.worker_processes import Outcome, Stored
from application.worker_threads import in_threads
from domain.errors import AccessDenied, ContentCorrupted, LocalFileError, StorageError
from domain.storage import ObjectInfo
from domain.transfer import TransferAction
from infrastructure.storage.providers import MemoryProvider

LARGE = (8 << 20) + 1
PATIENCE = 10.0
Move = Callable[[TransferAction], object]


class Told:
    """An interruption that a test makes."""

    def __init__(self) -> None:
        self.heard = threading.Event()

    def check(self) -> None:
        if self.heard.is_set():
            raise KeyboardInterrupt


class Run:
    """A run in threads, and what was told of it."""

    def __init__(self, actions: Sequence[TransferAction], move: Move, *, go_on: bool = True, threads: int = 8) -> None:
        self.outcomes: list[Outcome] = []
        self.told_in: set[int] = set()
        self.interruption = Told()
        self.go_on = go_on
        self.stopping = threading.Event()

        def moved(action: TransferAction) -> Stored:
            move(action)
            return stored(action)

        self._arguments = (actions, moved, self.done)
        self._threads = threads
        self.move_many: Any = None

    def __call__(self) -> None:
        before = threading.active_count()
        try:
            interruption: Any = self.interruption
            in_threads(*self._arguments, interruption, move_many=self.move_many, threads=self._threads)
        finally:
            assert threading.active_count() == before, "no thread is left"

    def done(self, outcome: Outcome) -> bool:
        self.outcomes.append(outcome)
        self.told_in.add(threading.get_ident())
        if not self.go_on:
            self.stopping.set()
        return self.go_on

    @property
    def finished(self) -> list[str]:
        return [action.key for outcome in self.outcomes for action, _ in outcome.results]

    @property
    def failed(self) -> dict[str, str]:
        return {
            action.key: result.message
            for outcome in self.outcomes
            for action, result in outcome.results
            if isinstance(result, StorageError)
        }

    @property
    def stored(self) -> dict[str, Stored]:
        return {
            action.key: result
            for outcome in self.outcomes
            for action, result in outcome.results
            if isinstance(result, Stored)
        }


def stored(action: TransferAction) -> Stored:
    return Stored(f"etag of {action.key}", action.key * 2)


def actions(count: int, size: int = 1, first: int = 0) -> list[TransferAction]:
    return [TransferAction(f"/f{number}", f"k{number}", size, "asked for") for number in range(first, first + count)]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 64, 65, 2000])
def test_every_action_is_done_once_and_told_in_the_callers_thread(count: int) -> None:
    moved: Counter[str] = Counter()
    lock = threading.Lock()

    def move(action: TransferAction) -> None:
        with lock:
            moved[action.key] += 1

    run = Run(actions(count), move)
    run()
    assert moved == Counter(f"k{number}" for number in range(count))
    assert sorted(run.finished) == sorted(moved)
    assert run.failed == {}
    assert run.told_in <= {threading.get_ident()}


def test_several_are_under_way_at_once_and_no_more_than_asked_for() -> None:
    together = threading.Barrier(3)
    at_once, most, lock = 0, 0, threading.Lock()

    def move(action: TransferAction) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        together.wait(PATIENCE)
        with lock:
            at_once -= 1

    Run(actions(30), move, threads=3)()
    assert most == 3


def test_failures_are_told_and_stop_nobody() -> None:
    def move(action: TransferAction) -> None:
        if action.key.endswith("7"):
            raise ContentCorrupted(f"bad {action.key}", key=action.key)

    run = Run(actions(100), move)
    run()
    assert sorted(run.finished) == sorted(f"k{number}" for number in range(100))
    assert run.failed == {f"k{number}": f"bad k{number}" for number in range(7, 100, 10)}


def test_a_no_from_the_caller_ends_it_and_all_that_was_done_is_told() -> None:
    moved = []

    def move(action: TransferAction) -> None:
        moved.append(action.key)
        time.sleep(0.001)
        if action.key == "k20":
            raise AccessDenied("no")

    run = Run(actions(5000), move, go_on=False)
    run()
    assert 20 < len(moved) < 1000
    assert sorted(run.finished) == sorted(moved)


def test_what_has_begun_is_brought_to_an_end_when_it_is_interrupted() -> None:
    begun, ended = [], []

    def move(action: TransferAction) -> None:
        begun.append(action.key)
        if len(begun) == 4:
            run.interruption.heard.set()
        time.sleep(0.15)
        ended.append(action.key)

    run = Run(actions(100), move, threads=4)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert 4 <= len(begun) <= 8
    assert sorted(begun) == sorted(ended) == sorted(run.finished)


def test_an_interrupt_that_a_file_meets_on_its_way_ends_all() -> None:
    def move(action: TransferAction) -> None:
        if action.key == "k10":
            raise KeyboardInterrupt
        time.sleep(0.001)

    run = Run(actions(5000), move)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert "k10" not in run.finished
    assert 0 < len(run.finished) == len(set(run.finished)) < 1000


def test_an_error_that_nobody_foresaw_surfaces() -> None:
    def move(action: TransferAction) -> None:
        if action.key == "k10":
            raise ZeroDivisionError("boom")
        time.sleep(0.001)

    run = Run(actions(5000), move)
    with pytest.raises(ZeroDivisionError, match="boom"):
        run()
    assert "k10" not in run.finished
    assert len(run.finished) == len(set(run.finished)) < 1000


def test_an_error_of_the_caller_leaves_no_thread() -> None:
    run = Run(actions(5000), lambda action: time.sleep(0.001))

    def broken(outcome: Outcome) -> bool:
        raise ValueError("the screen is gone")

    run._arguments = (*run._arguments[:2], broken)
    with pytest.raises(ValueError, match="the screen is gone"):
        run()


def test_at_most_two_large_files_are_moved_at_once_while_small_ones_go_by() -> None:
    lock, small_gone = threading.Lock(), threading.Event()
    large_now, most, small = 0, 0, 0

    def move(action: TransferAction) -> None:
        nonlocal large_now, most, small
        if action.size < LARGE:
            with lock:
                small += 1
                if small == 50:
                    small_gone.set()
            return
        with lock:
            large_now += 1
            most = max(most, large_now)
        assert small_gone.wait(PATIENCE), "small files go by"
        time.sleep(0.01)
        with lock:
            large_now -= 1

    run = Run([*actions(4, LARGE), *actions(50, LARGE - 1)], move)
    run()
    assert most == 2
    assert len(run.finished) == 54


def test_large_files_that_only_waited_for_their_turn_do_not_begin_after_the_end() -> None:
    begun = []

    def move(action: TransferAction) -> None:
        begun.append(action.key)
        if action.key == "k0":
            raise AccessDenied("no")
        run.stopping.wait(PATIENCE)
        time.sleep(0.1)

    run = Run(actions(8, LARGE), move, go_on=False)
    run()
    # Two at first; and one more that may take the place of the first before its failure was told.
    assert len(begun) <= 3
    assert sorted(run.finished) == sorted(begun)


class Seen:
    """An observer that adds up, whichever thread calls."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.bytes = 0
        self.keys: list[str] = []

    def started(self, action: TransferAction) -> None:
        pass

    def moved(self, action: TransferAction, size: int) -> None:
        with self.lock:
            self.bytes += size

    def finished(self, action: TransferAction, error: StorageError | None) -> None:
        self.keys.append(action.key)


class Remote(MemoryProvider):
    """A store behind a network; `failures` has what the upload of a key raises."""

    def __init__(self, failures: dict[str, BaseException] | None = None) -> None:
        super().__init__({"capabilities": {"remote": True}})
        self.failures = failures or {}
        self.threads: set[str] = set()

    def upload(self, local_path: str, remote_path: str, *others: Any, **options: Any) -> ObjectInfo:
        self.threads.add(threading.current_thread().name)
        if remote_path in self.failures:
            raise self.failures[remote_path]
        return super().upload(local_path, remote_path, *others, **options)


def files(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"f{number:03d}").write_bytes(bytes([number]) * 10)
    return folder


def test_the_report_of_a_transfer_by_threads_is_right(tmp_path: Path) -> None:
    provider, seen = Remote(), Seen()
    source = files(tmp_path / "in", 100)
    report = apply(provider, plan_upload(provider, str(source), "d"), observer=seen, metadata={"who": "me"})
    assert (report.done, report.moved, report.failures) == (100, 1000, [])
    assert report.stopped_by is None and not report.interrupted
    assert seen.bytes == 1000
    assert sorted(seen.keys) == provider.list_files() == [f"d/f{number:03d}" for number in range(100)]
    assert all(name.startswith("lading-") for name in provider.threads)
    assert provider.head("d/f001").metadata == {"who": "me"}
    seen = Seen()
    report = apply(provider, plan_download(provider, "d", str(tmp_path / "out")), observer=seen)
    assert (report.done, report.moved, seen.bytes) == (100, 1000, 1000)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        path.name: path.read_bytes() for path in source.iterdir()
    }


def test_a_file_that_fails_is_in_the_report_and_the_others_are_moved(tmp_path: Path) -> None:
    failures: dict[str, BaseException] = {f"f{number:03d}": LocalFileError(f"bad {number}") for number in (3, 50)}
    provider = Remote(failures)
    report = apply(provider, plan_upload(provider, str(files(tmp_path / "in", 60)), ""))
    assert (report.done, report.moved) == (58, 580)
    assert sorted((action.key, error.message) for action, error in report.failures) == [
        ("f003", "bad 3"),
        ("f050", "bad 50"),
    ]
    assert report.stopped_by is None and len(provider.list_files()) == 58


def test_a_failure_that_the_next_file_would_meet_too_stops_the_threads(tmp_path: Path) -> None:
    error = AccessDenied("no")
    provider = Remote({f"f{number:03d}": error for number in range(10, 200)})
    report = apply(provider, plan_upload(provider, str(files(tmp_path / "in", 200)), ""))
    assert report.stopped_by is error
    assert report.failures == []
    assert (report.done, report.moved) == (10, 100)
    assert provider.list_files() == [f"f{number:03d}" for number in range(10)]


def test_an_interrupt_and_a_bug_are_told_apart(tmp_path: Path) -> None:
    source = str(files(tmp_path / "in", 30))
    provider = Remote({"f005": KeyboardInterrupt()})
    report = apply(provider, plan_upload(provider, source, ""))
    assert report.interrupted and report.stopped_by is None
    assert report.done == len(provider.list_files())
    provider = Remote({"f005": ZeroDivisionError()})
    with pytest.raises(ZeroDivisionError):
        apply(provider, plan_upload(provider, source, ""))


def test_one_file_alone_is_moved_in_the_callers_thread(tmp_path: Path) -> None:
    provider = Remote()
    apply(provider, plan_upload(provider, str(files(tmp_path / "in", 1)), ""))
    assert provider.threads == {threading.current_thread().name}


def test_small_files_go_many_at_a_time_and_others_one_by_one() -> None:
    alone: list[str] = []
    together: list[str] = []

    def move_many(files: Iterable[TransferAction]) -> Iterator[tuple[TransferAction, Stored | StorageError]]:
        for file in files:
            together.append(file.key)
            yield file, AccessDenied(f"no {file.key}") if file.key == "k3" else stored(file)

    run = Run([*actions(5), *actions(3, size=2 << 20, first=5)], lambda action: alone.append(action.key))
    run.move_many = move_many
    run()
    assert sorted(together) == ["k0", "k1", "k2", "k3", "k4"]
    assert sorted(alone) == ["k5", "k6", "k7"]
    assert sorted(run.finished) == [f"k{number}" for number in range(8)]
    assert run.failed == {"k3": "no k3"}
    assert run.stored == {
        f"k{number}": Stored(f"etag of k{number}", f"k{number}k{number}") for number in range(8) if number != 3
    }


def test_a_no_from_the_caller_ends_many_as_well() -> None:
    moved: list[str] = []

    def move_many(files: Iterable[TransferAction]) -> Iterator[tuple[TransferAction, Stored | StorageError]]:
        for file in files:
            moved.append(file.key)
            run.stopping.wait(PATIENCE)
            yield file, AccessDenied("no")

    run = Run(actions(1000), lambda action: None, go_on=False)
    run.move_many = move_many
    run()
    assert len(moved) < 20
    assert sorted(run.finished) == sorted(moved)
