"""What a person sees of a transfer while it goes on: lines that change on a terminal, now and then one elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Self, TextIO

from presentation.cli.tally import Tally

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from domain.errors import StorageError
    from domain.transfer import TransferAction, TransferPlan

_PERIOD = 0.1
_LARGE_BYTES = 8 << 20
"""A file above this has a line of its own."""
_LARGE_LINES = 4
_NAME_WIDTH = 32
_OTHERS_WIDTH = 62
"""What the other columns need, in cells; a name is cut before them."""

_PLAIN_WAIT = 2.0
_PLAIN_PERIOD = 5.0


class Planning:
    """Hears how far the planning is, and shows it at most ten times a second; without `progress`, nowhere."""

    def __init__(
        self,
        progress: Progress | None = None,
        clock: Callable[[], float] = time.monotonic,
        doing: str = "looking at both sides",
    ) -> None:
        self._progress = progress
        self._doing = doing
        self._task = progress.add_task(doing, total=None) if progress else None
        self._clock = clock
        self._next = 0.0

    def seen(self, count: int) -> None:
        """So many entries, of both sides together, were looked at until now."""
        if self._progress is None or self._task is None or self._clock() < self._next:
            return
        self._next = self._clock() + _PERIOD
        self._progress.update(self._task, description=f"{self._doing}: {count:,} files")
        self._progress.refresh()

    def over(self) -> None:
        """Show nothing any more: something else is going to be shown."""
        if self._progress is not None:
            self._progress.stop()
        self._progress = None


@contextmanager
def planning(quiet: bool, doing: str = "looking at both sides") -> Iterator[Planning]:
    """Say that a plan is being made, as long as the `with` block lasts: comparing may read every file.

    Args:
        quiet: say nothing.
        doing: what is said.
    """
    console = None if quiet else _terminal()
    if console is None:
        yield Planning()
        return
    from rich.progress import Progress, TextColumn

    # No thread of its own: whether files are moved by several processes is decided by whether there are threads.
    with Progress(
        TextColumn("{task.description}"),
        console=console,
        transient=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as progress:
        planned = Planning(progress, doing=doing)
        progress.refresh()
        yield planned


def transfer_display(plan: TransferPlan, *, as_json: bool = False) -> Tally:
    """The observer of a plan's application, at work as long as its `with` block lasts.

    Args:
        as_json: tell a program, on stdout; else a person, on stderr.
    """
    if as_json:
        from presentation.cli.events import TransferEvents

        return TransferEvents(plan, sys.stdout)
    console = _terminal()
    return TerminalDisplay(plan, console) if console else PlainLines(plan, sys.stderr)


def _terminal() -> Console | None:
    """Standard error, where it is a terminal on which lines can change."""
    if not sys.stderr.isatty():
        return None
    from rich.console import Console

    console = Console(stderr=True)
    return None if console.is_dumb_terminal else console


class TerminalDisplay(Tally):
    """A line for the whole, and one for each large file under way; no more than four of these, the others wait."""

    def __init__(
        self, plan: TransferPlan, console: Console, *, clock: Callable[[], float] = time.monotonic, width: int = 24
    ) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.progress import TransferSpeedColumn as Speed
        from rich.table import Column

        super().__init__(_PERIOD, clock=clock)

        def one_line() -> Column:
            return Column(no_wrap=True)

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),  # a name may have brackets
            BarColumn(bar_width=width),
            TextColumn("{task.fields[files]}"),
            DownloadColumn(table_column=one_line()),
            Speed(table_column=one_line()),
            TimeRemainingColumn(table_column=one_line()),
            console=console,
            transient=True,
            auto_refresh=False,  # no thread of its own: a process with threads can't be forked safely
            redirect_stdout=False,
            redirect_stderr=False,
            get_time=clock,
        )
        self._total = len(plan.actions)
        self._whole = self._progress.add_task(_doing(plan), total=plan.size, files=_files(self, self._total))
        self._large: dict[str, TransferAction] = {}
        self._lines: dict[str, TaskID] = {}
        self._name_width = max(8, min(_NAME_WIDTH, console.width - _OTHERS_WIDTH))

    def started(self, action: TransferAction) -> None:
        if action.size > _LARGE_BYTES:
            with self._counting:
                self._large[action.key] = action
        super().started(action)

    def finished(self, action: TransferAction, error: StorageError | None) -> None:
        if action.size > _LARGE_BYTES:
            with self._counting:
                self._large.pop(action.key, None)
        super().finished(action, error)

    def show(self) -> None:
        with self._counting:
            large = [(action, self.under_way(action) or 0) for action in islice(self._large.values(), _LARGE_LINES)]
        update = self._progress.update
        self._progress.disable = True  # else each new line would be a drawing of its own
        for key in self._lines.keys() - {action.key for action, _ in large}:
            self._progress.remove_task(self._lines.pop(key))
        for action, moved in large:
            if action.key not in self._lines:
                name = f"  {_short(action.key, self._name_width)}"
                self._lines[action.key] = self._progress.add_task(name, total=action.size, files="")
            update(self._lines[action.key], completed=moved)
        update(self._whole, completed=self.bytes, files=_files(self, self._total))
        self._progress.disable = False
        self._progress.refresh()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.show()
        self._progress.stop()


class PlainLines(Tally):
    """A line every five seconds, for a log: none for a transfer of two seconds, few for a long one."""

    def __init__(self, plan: TransferPlan, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(_PLAIN_PERIOD, wait=_PLAIN_WAIT, clock=clock)
        self._stream = stream
        self._doing = _doing(plan)
        self._total = len(plan.actions)
        self._size = plan.size
        self._before = (clock(), 0)

    def show(self) -> None:
        from presentation.cli.output import human_size

        now, bytes_now = self.clock(), self.bytes
        then, bytes_then = self._before
        self._before = now, bytes_now
        rate = max(bytes_now - bytes_then, 0) / (now - then) if now > then else 0.0
        said = [f"{self._doing} {_files(self, self._total)}", _of(bytes_now, self._size), f"{human_size(int(rate))}/s"]
        if rate and self._size >= bytes_now:
            said.append(f"{_seconds((self._size - bytes_now) / rate)} left")
        with suppress(OSError):  # nobody reads it: no reason to stop
            print(", ".join(said), file=self._stream, flush=True)


def _doing(plan: TransferPlan) -> str:
    return f"{plan.direction.removesuffix('e')}ing"


def _files(tally: Tally, total: int) -> str:
    failed = f", {tally.failed:,} failed" if tally.failed else ""
    return f"{tally.files:,}/{total:,} files{failed}"


def _of(done: int, total: int) -> str:
    """Both numbers of bytes in the unit of the larger."""
    from rich.filesize import pick_unit_and_suffix

    unit, suffix = pick_unit_and_suffix(total, ["bytes", "kB", "MB", "GB", "TB", "PB"], 1000)
    digits = 0 if unit == 1 else 1
    return f"{done / unit:,.{digits}f}/{total / unit:,.{digits}f} {suffix}"


def _seconds(duration: float) -> str:
    if duration < 120:
        return f"{duration:.0f} s"
    return f"{duration / 60:.0f} min" if duration < 7200 else f"{duration / 3600:.0f} h"


def _short(key: str, width: int) -> str:
    """What so many cells have room for; a key's end says more than its beginning."""
    from rich.cells import cell_len

    from presentation.cli.output import printable

    name = printable(key[-width:])
    cut = len(key) > width or cell_len(name) > width
    while cell_len(name) > width - cut:
        name = name[1:]
    return f"…{name}" if cut else name
