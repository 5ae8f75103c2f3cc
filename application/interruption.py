"""Ctrl-C at a moment when nothing is half done."""

from __future__ import annotations

import signal
import threading
from contextlib import AbstractContextManager
from types import FrameType, TracebackType


class Interruption(AbstractContextManager["Interruption"]):
    """In its block an interrupt is only noted, and `check` raises it, where whoever calls that can clean up.

    An exception between any two instructions could come between a file's creation and the `with` that removes it. A
    second interrupt is not held back, for whoever has no patience with a store that does not answer. Outside of the
    main thread, which alone hears interrupts, the block changes nothing.
    """

    def __init__(self) -> None:
        self._heard = False
        self._installed = False

    def __enter__(self) -> Interruption:
        # A handler of somebody else's, or none, is theirs to keep.
        if threading.current_thread() is threading.main_thread() and (
            signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            signal.signal(signal.SIGINT, self._hear)
            self._installed = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._heard = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def check(self) -> None:
        """Raise the interrupt that was heard.

        Raises:
            KeyboardInterrupt.
        """
        if self._heard:
            raise KeyboardInterrupt
