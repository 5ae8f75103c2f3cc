"""What is shown of a transfer while it goes on, by a clock that the test turns: on a terminal, in a log, in JSON."""

from __future__ import annotations

import io
import json
import re
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.progress import Progress, TextColumn

from domain.errors import AccessDenied
from domain.transfer import Deletion, Direction, TransferAction, TransferPlan
from presentation.cli.events import TransferEvents
from presentation.cli.progress import PlainLines, Planning, TerminalDisplay
from presentation.cli.tally import Tally

MB = 1_000_000
LARGE = 10 * MB


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Screen:
    """A terminal that remembers, and gives what came since the last look, as lines of plain text."""

    def __init__(self, width: int = 120) -> None:
        self.file = io.StringIO()
        self.console = Console(file=self.file, force_terminal=True, width=width, height=20, color_system=None)

    def frame(self) -> list[str]:
        text = self.file.getvalue()
        self.file.seek(0)
        self.file.truncate()
        return [line for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", text)) if line.strip()]


def plan_of(*sizes: int, direction: Direction = Direction.UPLOAD) -> TransferPlan:
    return TransferPlan(direction, [TransferAction(f"in/{n}", f"d/{n}", size, "new") for n, size in enumerate(sizes)])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def often_switched() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_counts_are_right_whichever_thread_tells() -> None:
    plan = plan_of(*[40_000] * 8)
    tally = Tally(0.0)

    def tell(action: TransferAction) -> None:
        tally.started(action)
        for _ in range(20_000):
            tally.moved(action, 2)
        tally.finished(action, None)

    threads = [threading.Thread(target=tell, args=(action,)) for action in plan.actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tally.files, tally.failed, tally.bytes) == (8, 0, 320_000)


def test_bytes_of_a_file_that_failed_are_taken_back_and_those_of_an_earlier_run_counted() -> None:
    failed, resumed, small = plan_of(100, 200, 5).actions
    tally = Tally(0.0)
    for action, told in ((failed, 60), (resumed, 50)):
        tally.started(action)
        tally.moved(action, told)
    tally.moved(small, 5)
    assert (tally.bytes, tally.under_way(failed), tally.under_way(small)) == (115, 60, None)
    tally.finished(failed, AccessDenied("no"))
    tally.finished(resumed, None)
    tally.finished(small, None)
    assert (tally.files, tally.failed, tally.bytes) == (2, 1, 205)


def test_the_line_for_the_whole_has_files_bytes_rate_and_time_left(clock: Clock) -> None:
    screen, plan = Screen(), plan_of(*[MB] * 40)
    with TerminalDisplay(plan, screen.console, clock=clock) as display:
        for action in plan.actions[:20]:
            display.moved(action, MB)
            display.finished(action, None)
            clock.now += 0.5
        display.moved(plan.actions[20], 0)
        (line,) = screen.frame()[-1:]
        assert line.startswith("uploading ")
        assert "20/40 files" in line and "20.0/40.0 MB" in line and "2.0 MB/s" in line and "0:00:10" in line, line
        display.finished(plan.actions[20], AccessDenied("no"))
        clock.now += 1
        display.moved(plan.actions[21], MB)
        assert "20/40 files, 1 failed" in screen.frame()[-1]
    assert "22.0" not in "".join(screen.frame()), "at its end it is wiped away, for the report to take its place"


def test_large_files_have_lines_of_their_own_four_at_most(clock: Clock) -> None:
    screen, plan = Screen(width=100), plan_of(*[LARGE] * 6, 8 << 20, 5)
    with TerminalDisplay(plan, screen.console, clock=clock) as display:

        def lines() -> list[str]:
            screen.frame()
            clock.now += 1
            display.moved(plan.actions[7], 0)
            return [line.split()[0] for line in screen.frame()]

        for action in plan.actions:
            display.started(action)
        assert lines() == ["uploading", "d/0", "d/1", "d/2", "d/3"]
        display.moved(plan.actions[1], LARGE // 2)
        clock.now += 1
        screen.frame()
        display.moved(plan.actions[1], 0)
        (line,) = [line for line in screen.frame() if "d/1" in line]
        assert "5.0/10.0 MB" in line and "files" not in line
        display.finished(plan.actions[1], None)
        assert lines() == ["uploading", "d/0", "d/2", "d/3", "d/4"], "the next takes the place of one that ended"
        for action in plan.actions[:6]:
            display.finished(action, None)
        assert lines() == ["uploading"]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_file_is_one_line_whatever_its_name_and_the_width(clock: Clock, width: int) -> None:
    screen = Screen(width=width)
    names = ["a/" * 60 + "end", "[bold]x[/bold]", "evil\x1b[31m\x07\nname", "日本" * 30]
    plan = TransferPlan(Direction.DOWNLOAD, [TransferAction("f", name, LARGE, "new") for name in names])
    with TerminalDisplay(plan, screen.console, clock=clock) as display:
        for action in plan.actions:
            display.started(action)
        screen.frame()
        clock.now += 1
        display.moved(plan.actions[0], 3)
        shown = screen.file.getvalue()
        frame = screen.frame()
        assert len(frame) == 5 and all(cell_len(line) <= width for line in frame), frame
        assert all("0.0/" in line for line in frame), frame
        if width >= 80:
            assert all("0.0/10.0 MB" in line and "-:--:--" in line for line in frame[1:]), frame
        assert "\x1b[31m" not in shown and "\x07" not in shown
        if width == 120:
            assert cell_len(frame[4].split()[0]) == 31, "two cells a sign, and one for what is left out"
            assert frame[1].split()[0].startswith("…") and frame[1].split()[0].endswith("a/end")
            assert "[bold]x[/bold]" in frame[2] and "evil\\x1b[31m\\x07\\nname" in frame[3]


def test_the_terminal_is_written_to_ten_times_a_second_at_most(clock: Clock) -> None:
    screen, plan = Screen(), plan_of(*[10] * 1000)
    draws = 0
    with TerminalDisplay(plan, screen.console, clock=clock) as display:
        for action in plan.actions:
            screen.frame()
            clock.now += 0.005
            display.moved(action, 10)
            display.finished(action, None)
            draws += bool(screen.frame())
    assert 40 <= draws <= 51


def test_nothing_to_move_is_shown_without_an_error(clock: Clock) -> None:
    screen = Screen()
    with TerminalDisplay(plan_of(), screen.console, clock=clock):
        clock.now += 1
    assert "0/0 files" in screen.frame()[0]


def test_planning_says_how_far_it_is(clock: Clock) -> None:
    screen = Screen()
    with Progress(TextColumn("{task.description}"), console=screen.console, auto_refresh=False) as progress:
        planned = Planning(progress, clock)
        planned.seen(1000)
        assert screen.frame()[-1].strip() == "looking at both sides: 1,000 files"
        planned.seen(2000)
        assert screen.frame() == []
        clock.now += 0.2
        planned.seen(3000)
        assert screen.frame()[-1].strip() == "looking at both sides: 3,000 files"
    Planning().seen(1000)


def test_a_log_gets_a_line_now_and_then(clock: Clock) -> None:
    log, plan = io.StringIO(), plan_of(*[4000] * 10_000)
    with PlainLines(plan, log, clock=clock) as display:
        for action in plan.actions[:1200]:
            clock.now += 0.002
            display.moved(action, 4000)
            display.finished(action, None)
        assert re.fullmatch(r"uploading (999|1,000)/10,000 files, 4.0/40.0 MB, 2.0 MB/s, 18 s left\n", log.getvalue())
        clock.now += 4
        display.finished(plan.actions[1200], AccessDenied("no"))
        assert log.getvalue().count("\n") == 1
        clock.now += 1
        display.moved(plan.actions[1201], 4000)
        assert log.getvalue().splitlines()[1].startswith("uploading 1,200/10,000 files, 1 failed, 4.8/40.0 MB, ")
        clock.now += 5
        display.finished(plan.actions[1201], None)
        assert log.getvalue().splitlines()[2] == "uploading 1,201/10,000 files, 1 failed, 4.8/40.0 MB, 0 bytes/s"


@pytest.mark.parametrize(("per_second", "left"), [(MB, "100 s"), (MB // 10, "17 min"), (MB // 200, "6 h")])
def test_the_time_left_in_a_unit_that_fits(clock: Clock, per_second: int, left: str) -> None:
    log, plan = io.StringIO(), plan_of(102 * MB, direction=Direction.DOWNLOAD)
    display = PlainLines(plan, log, clock=clock)
    clock.now += 2
    display.moved(plan.actions[0], 2 * per_second)
    assert log.getvalue().startswith("downloading 0/1 files, ") and log.getvalue().endswith(f", {left} left\n")


@given(st.lists(st.tuples(st.floats(0, 10), st.booleans()), max_size=60))
def test_a_log_is_never_flooded(steps: list[tuple[float, bool]]) -> None:
    clock, log, plan = Clock(), io.StringIO(), plan_of(*[10] * len(steps))
    display = PlainLines(plan, log, clock=clock)
    begin, written = clock.now, []
    for (seconds, well), action in zip(steps, plan.actions, strict=True):
        clock.now += seconds
        before = log.getvalue()
        display.finished(action, None if well else AccessDenied("no"))
        written += [clock.now] * log.getvalue().removeprefix(before).count("\n")
    assert all(moment >= begin + 2 for moment in written)
    assert all(later - sooner >= 4.999 for sooner, later in pairwise(written))
    assert bool(written) == (clock.now >= begin + 2 and bool(steps))


class Pipe(io.StringIO):
    """Counts what reaches the other end, until nobody reads there."""

    def __init__(self) -> None:
        super().__init__()
        self.flushes = 0
        self.closed_by_reader = False

    def flush(self) -> None:
        if self.closed_by_reader:
            raise BrokenPipeError(32, "Broken pipe")
        self.flushes += 1


def events(pipe: Pipe) -> list[dict[str, Any]]:
    return [json.loads(line) for line in pipe.getvalue().splitlines()]


def test_events_of_a_transfer_with_a_failure(clock: Clock) -> None:
    pipe, plan = Pipe(), plan_of(5, 6)
    plan = TransferPlan(plan.direction, plan.actions, 3, [Deletion("d/x", 1, "")])
    with TransferEvents(plan, pipe, clock=clock) as observer:
        assert events(pipe) == [
            {"event": "plan", "direction": "upload", "files": 2, "bytes": 11, "deletions": 1, "unchanged": 3}
        ], "what is planned is told before the first file, and to no process that is forked"
        observer.moved(plan.actions[0], 5)
        observer.finished(plan.actions[0], None)
        observer.finished(plan.actions[1], AccessDenied("no\nway"))
    one = {"event": "file", "path": "in/0", "key": "d/0", "size": 5, "reason": "new"}
    other = {"event": "file", "path": "in/1", "key": "d/1", "size": 6, "reason": "new"}
    assert events(pipe)[1:] == [one, other | {"error": "no\nway", "kind": "AccessDenied"}]


def test_events_of_many_files_are_written_together(clock: Clock) -> None:
    pipe, plan = Pipe(), plan_of(*[10] * 10_000)
    with TransferEvents(plan, pipe, clock=clock) as observer:
        for action in plan.actions:
            clock.now += 0.001
            observer.moved(action, 10)
            observer.finished(action, None)
    assert pipe.flushes <= 22, "10 seconds, twice a second, begin and end"
    told = events(pipe)
    assert [one["key"] for one in told if one["event"] == "file"] == [action.key for action in plan.actions]
    sums = [one for one in told if one["event"] == "progress"]
    assert 8 <= len(sums) <= 10
    assert all(one["bytes"] - 10 * one["files"] in (0, 10) for one in sums)
    assert all(two["files"] - one["files"] >= 600 for one, two in pairwise(sums))


def test_progress_of_one_large_file_is_told_by_its_own_thread(clock: Clock) -> None:
    pipe, plan = Pipe(), plan_of(LARGE)
    with TransferEvents(plan, pipe, clock=clock) as observer:
        observer.started(plan.actions[0])
        for _ in range(10):
            clock.now += 0.5
            observer.moved(plan.actions[0], MB)
        told = [one["bytes"] for one in events(pipe) if one["event"] == "progress"]
        assert told == [2 * MB, 4 * MB, 6 * MB, 8 * MB, 10 * MB]


def test_reader_that_has_gone_is_told_once_and_between_two_files(clock: Clock) -> None:
    pipe, plan = Pipe(), plan_of(5, 6, 7)
    observer = TransferEvents(plan, pipe, clock=clock).__enter__()
    observer.started(plan.actions[0])
    pipe.closed_by_reader = True
    clock.now += 1
    observer.moved(plan.actions[0], 5)
    with pytest.raises(BrokenPipeError):
        observer.finished(plan.actions[0], None)
    observer.finished(plan.actions[1], None)
    observer.__exit__(None, None, None)


def test_reader_that_has_gone_before_the_first_file_or_at_the_end(clock: Clock) -> None:
    pipe, plan = Pipe(), plan_of(5)
    with pytest.raises(BrokenPipeError), TransferEvents(plan, pipe, clock=clock) as observer:
        observer.finished(plan.actions[0], None)
        pipe.closed_by_reader = True
    with pytest.raises(BrokenPipeError):
        TransferEvents(plan, pipe, clock=clock).__enter__()


def test_no_event_is_lost_between_threads(clock: Clock) -> None:
    pipe, plan = Pipe(), plan_of(*[1] * 2000)
    with TransferEvents(plan, pipe) as observer:
        observer._period = 0.0

        def move() -> None:
            for action in plan.actions:
                observer.moved(action, 1)

        mover = threading.Thread(target=move)
        mover.start()
        for action in plan.actions:
            observer.finished(action, None)
        mover.join()
    assert sorted(one["key"] for one in events(pipe) if one["event"] == "file") == sorted(a.key for a in plan.actions)
