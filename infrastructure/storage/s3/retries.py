"""Sending a request again: what may be, how often, and who is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from domain.errors import StorageError
from domain.storage import Progress

Answer = TypeVar("Answer")

RetryObserver = Callable[[StorageError], None]
"""Called with each failure that is going to be tried again, before the pause, from the thread that met it.

`StoreUnavailable.throttled` tells a store that asks for fewer requests from one that is away.
"""


class Asked(Protocol):
    """Makes a call, and makes it again where that may help."""

    def __call__(self, call: Callable[[], Answer]) -> Answer: ...


def told_once(progress: Progress | None) -> Callable[[], Progress]:
    """Makes what each attempt tells its progress to: bytes that are moved again are no progress."""
    told = 0

    def attempt() -> Progress:
        at = 0

        def moved(size: int) -> None:
            nonlocal at, told
            at += size
            if progress and at > told:
                progress(at - told)
                told = at

        return moved

    return attempt


class Retries:
    """A budget of attempts with growing, random pauses between them.

    The clients below never repeat a request by themselves: whoever controls concurrency has to see every refusal.
    """

    def __init__(self, attempts: int) -> None:
        self._attempts = attempts
        self.observer: RetryObserver | None = None

    def __call__(self, call: Callable[[], Answer]) -> Answer:
        """`call()`, again where its error is retryable."""
        try:
            return call()
        except StorageError as error:
            if not error.retryable or self._attempts < 2:
                raise
            first = error
        return self._again(call, first)

    def _again(self, call: Callable[[], Answer], first: StorageError) -> Answer:
        # Imported when something failed: a command that goes well does without it.
        from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

        failed = iter([first])

        def attempt() -> Answer:
            for error in failed:  # the attempt that was made already counts as the first
                raise error
            return call()

        def told(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            if self.observer and isinstance(error, StorageError):
                self.observer(error)

        return Retrying(
            stop=stop_after_attempt(self._attempts),
            wait=wait_random_exponential(multiplier=0.3, max=10),
            retry=retry_if_exception(lambda error: isinstance(error, StorageError) and error.retryable),
            before_sleep=told,
            reraise=True,
        )(attempt)
