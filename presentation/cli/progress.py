"""What a person sees of a transfer while it goes on: one rich line on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Self

from domain.transfer import TransferAction, TransferPlan

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PERIOD = 0.1
"""Seconds between two updates: a call into rich for each of many small files would cost more than the files."""


class QuietDisplay:
    """An observer that shows nothing."""

    def moved(self, size: int) -> None:
        """Nothing to show."""

    def finished(self, action: TransferAction) -> None:
        """Nothing to show."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        return None


class _RichDisplay(QuietDisplay):
    def __init__(self, progress: Progress, task: TaskID, total: int) -> None:
        self._progress = progress
        self._task = task
        self._total = total
        self._files = 0
        self._bytes = 0
        self._next = 0.0

    def moved(self, size: int) -> None:
        self._bytes += size
        self._refresh()

    def finished(self, action: TransferAction) -> None:
        self._files += 1
        self._refresh()

    def _refresh(self) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _PERIOD
            self._show()

    def _show(self) -> None:
        self._progress.update(self._task, completed=self._bytes, files=f"{self._files:,}/{self._total:,}")
        self._progress.refresh()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._show()
        self._progress.stop()


@contextmanager
def planning(quiet: bool) -> Iterator[None]:
    """Say that a plan is being made, as long as the `with` block lasts: comparing may read every file."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status("looking at both sides"):
        yield


def transfer_display(plan: TransferPlan) -> AbstractContextManager[QuietDisplay]:
    """The observer of a plan's application, shown while the `with` block lasts."""
    if not sys.stderr.isatty():
        return QuietDisplay()
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[files]} files"),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        auto_refresh=False,  # no thread of its own: a process with threads can't be forked safely
    )
    total = len(plan.actions)
    task = progress.add_task(plan.direction, total=plan.size, files=f"0/{total:,}")
    return _RichDisplay(progress, task, total)
