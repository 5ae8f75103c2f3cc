"""What a program hears of a transfer while it goes on: events, one JSON value a line."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, TextIO

from presentation.cli.output import json_line
from presentation.cli.tally import Tally

if TYPE_CHECKING:
    from domain.errors import StorageError
    from domain.transfer import TransferAction, TransferPlan

_PROGRESS_PERIOD = 1.0
_WRITE_PERIOD = 0.5


class TransferEvents(Tally):
    """An observer that writes `plan` first, `file` for each that ended, `progress` at most once a second.

    The last event, `summary`, is the report's.

    Raises:
        OSError: from `finished` or at the end: nobody reads the events any more, or there is no room for them.
    """

    def __init__(self, plan: TransferPlan, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(_WRITE_PERIOD, wait=_WRITE_PERIOD, clock=clock)
        self._plan = plan
        self._stream = stream
        self._lines: list[str] = []
        self._next_progress = clock() + _PROGRESS_PERIOD
        self._broken: OSError | None = None
        self._told = False

    def finished(self, action: TransferAction, error: StorageError | None) -> None:
        said: dict[str, Any] = {
            "event": "file",
            "path": action.path,
            "key": action.key,
            "size": action.size,
            "reason": action.reason,
        }
        if error is not None:
            said |= {"error": str(error), "kind": type(error).__name__}
        self._say(said)
        super().finished(action, error)
        self._raise_what_broke()

    def show(self) -> None:
        if self.clock() >= self._next_progress:
            self._next_progress = self.clock() + _PROGRESS_PERIOD
            self._say({"event": "progress", "files": self.files, "bytes": self.bytes})
        self._write()

    def __enter__(self) -> Self:
        plan = self._plan
        counts = {"files": len(plan.actions), "bytes": plan.size, "deletions": len(plan.deletions)}
        self._say({"event": "plan", "direction": plan.direction, **counts, "unchanged": plan.unchanged})
        self._write()
        self._raise_what_broke()
        return self

    def __exit__(self, *exception: object) -> None:
        self._write()
        if exception[0] is None:
            self._raise_what_broke()

    def _say(self, event: dict[str, Any]) -> None:
        line = json_line(event)
        with self._counting:
            self._lines.append(line)

    def _write(self) -> None:
        with self._counting:
            lines, self._lines = self._lines, []
        if self._broken is None:
            try:
                self._stream.write("".join(lines))
                self._stream.flush()
            except OSError as error:
                self._broken = error  # told between two files: this may be a thread that is in the middle of one

    def _raise_what_broke(self) -> None:
        # Once: what is under way is then brought to its end, and comes by here as well.
        if self._broken and not self._told:
            self._told = True
            raise self._broken
