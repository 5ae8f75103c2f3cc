"""Objects read to their end, to see whether they are what was stored."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from domain.content import ContentHash
from domain.errors import BucketNotFound, ContentCorrupted, StorageError, StoreUnavailable
from domain.local_files import CHUNK_BYTES
from domain.storage import IStorageProvider, ObjectInfo

_READERS = 8

_Item = TypeVar("_Item")


class Checked(NamedTuple):
    """What came of one object.

    Attributes:
        verdict: `ok`; `no hash`: it could be read, and nothing tells what it should be; `corrupt`; `failed`: it could not be
            read.
        sha256: that is stored with it; empty where none is.
    """

    key: str
    size: int
    sha256: str
    verdict: str
    error: StorageError | None = None


def verify(provider: IStorageProvider, prefix: str, share: float = 1.0) -> Iterator[Checked]:
    """Read the objects whose key starts with `prefix`, several at a time, in the order of their keys.

    Args:
        share: of them, chosen by chance; 1 for all.

    Raises:
        BucketNotFound, AccessDenied, StoreUnavailable: nothing more can be found out.
    """
    chosen: Iterator[ObjectInfo] = (
        info
        for info in provider.list_objects(prefix)
        if share >= 1 or random.random() < share  # noqa: S311 - nobody gains by guessing it
    )
    return _several_at_a_time(provider, chosen, lambda info: _read(provider, info.key, info.size, None))


def verify_contents(provider: IStorageProvider, contents: Iterable[tuple[str, ContentHash]]) -> Iterator[Checked]:
    """Read objects that must have these contents, several at a time, in their order.

    Args:
        contents: keys, each with what its bytes must hash to.

    Raises:
        BucketNotFound, AccessDenied, StoreUnavailable: as `verify`.
    """
    return _several_at_a_time(provider, iter(contents), lambda each: _read(provider, each[0], 0, each[1]))


def _several_at_a_time(
    provider: IStorageProvider, items: Iterator[_Item], read: Callable[[_Item], Checked]
) -> Iterator[Checked]:
    waiting: deque[Future[Checked]] = deque()
    with ThreadPoolExecutor(_READERS if provider.capabilities.remote else 1, thread_name_prefix="lading") as readers:
        try:
            for item in items:
                if len(waiting) >= 2 * _READERS:
                    yield waiting.popleft().result()
                waiting.append(readers.submit(read, item))
            while waiting:
                yield waiting.popleft().result()
        finally:
            readers.shutdown(wait=True, cancel_futures=True)


def _read(provider: IStorageProvider, key: str, listed: int, content: ContentHash | None) -> Checked:
    size = 0
    try:
        with provider.open_reader(key) as reader:
            sha256 = reader.info.sha256 or ""
            if content:
                reader.expect(content)
            while chunk := reader.read(CHUNK_BYTES):
                size += len(chunk)
    except ContentCorrupted as error:
        return Checked(key, listed or size, "", "corrupt", error)
    except (BucketNotFound, StoreUnavailable):
        raise
    except StorageError as error:
        return Checked(key, listed or size, "", "failed", error)
    return Checked(key, listed or size, sha256, "ok" if sha256 or content else "no hash")
