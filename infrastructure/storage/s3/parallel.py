"""Several requests at a time, their results in order, and never more in memory than that."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def in_order(calls: Iterable[Callable[[], Result]], width: int) -> Iterator[Result]:
    """The calls' results in their order; at most `width` of them are under way or waiting to be taken.

    The first error ends it: what has not begun is dropped, what is under way is waited for.
    """
    pool = ThreadPoolExecutor(width, thread_name_prefix="lading-s3")
    waiting: deque[Future[Result]] = deque()
    try:
        for call in calls:
            if len(waiting) == width:
                yield waiting.popleft().result()
            waiting.append(pool.submit(call))
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
