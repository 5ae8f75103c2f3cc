"""Objects read to their end, to see whether they are what was stored."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from domain.errors import BucketNotFound, ContentCorrupted, StorageError, StoreUnavailable
from domain.local_files import CHUNK_BYTES
from domain.storage import IStorageProvider, ObjectInfo

_READERS = 8


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
    chosen = (
        info
        for info in provider.list_objects(prefix)
        if share >= 1 or random.random() < share  # noqa: S311 - nobody gains by guessing it
    )
    waiting: deque[Future[Checked]] = deque()
    with ThreadPoolExecutor(_READERS if provider.capabilities.remote else 1, thread_name_prefix="lading") as readers:
        try:
            for info in chosen:
                if len(waiting) >= 2 * _READERS:
                    yield waiting.popleft().result()
                waiting.append(readers.submit(_read, provider, info))
            while waiting:
                yield waiting.popleft().result()
        finally:
            readers.shutdown(wait=True, cancel_futures=True)


def _read(provider: IStorageProvider, listed: ObjectInfo) -> Checked:
    size = 0
    try:
        with provider.open_reader(listed.key) as reader:
            sha256 = reader.info.sha256 or ""
            while chunk := reader.read(CHUNK_BYTES):
                size += len(chunk)
    except ContentCorrupted as error:
        return Checked(listed.key, size, "", "corrupt", error)
    except (BucketNotFound, StoreUnavailable):
        raise
    except StorageError as error:
        return Checked(listed.key, size, "", "failed", error)
    return Checked(listed.key, size, sha256, "ok" if sha256 else "no hash")
