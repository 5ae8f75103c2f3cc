"""What every group of promises stands on."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

from domain.errors import StorageError
from domain.storage import IStorageProvider, ObjectInfo
from infrastructure.storage.contract.harness import Harness

MIB = 1 << 20
PATIENCE = 60.0
"""Seconds that a test waits for its threads."""

Result = TypeVar("Result")

drawing = settings(
    deadline=None,
    database=None,
    report_multiple_bugs=False,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""How the tests that draw their values are run. How often, the harness says."""


class PromiseGroup:
    """Tests of one theme. The subclass of `StorageProviderContract` brings the fixture `harness`."""

    @pytest.fixture
    def provider(self, harness: Harness) -> Iterator[IStorageProvider]:
        """A fresh provider on an empty bucket."""
        provider = harness.provider()
        yield provider
        provider.disconnect()

    @pytest.fixture(autouse=True)
    def known_gap(self, request: pytest.FixtureRequest, harness: Harness) -> None:
        """Let a test fail that the harness names as a gap, and fail it where it passes."""
        for name in (request.node.name, str(getattr(request.node, "originalname", ""))):
            if name in harness.known_gaps:
                request.applymarker(pytest.mark.xfail(reason=harness.known_gaps[name], strict=True))
                return
            if name in harness.racy_gaps:
                request.applymarker(pytest.mark.xfail(reason=harness.racy_gaps[name], strict=False))
                return


def content(size: int, seed: int = 0) -> bytes:
    """`size` bytes without a pattern, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def listed(provider: IStorageProvider, prefix: str = "") -> list[str]:
    """The keys of a listing, as they came."""
    return [info.key for info in provider.list_objects(prefix)]


def for_all(harness: Harness, check: Callable[..., None], **drawn: SearchStrategy[Any]) -> None:
    """Run `check` with values drawn for its arguments: `harness.examples` times, all with the one provider of a test."""
    settings(drawing, max_examples=harness.examples)(given(**drawn)(check))()


@contextmanager
def emptied(provider: IStorageProvider, keys: Iterable[str]) -> Iterator[None]:
    """A block after which `keys` are gone, also where it fails: the next drawn example starts clean."""
    try:
        yield
    finally:
        provider.delete_many(keys)


def facts(info: ObjectInfo) -> tuple[object, ...]:
    """All that `head` says, with its metadata as a dict, so that two answers can be compared.

    The time is left out: a store may round it differently in different answers.
    """
    return info.key, info.size, info.etag, info.content_type, info.sha256, dict(info.metadata or {})


def refusal(kind: type[StorageError], call: Callable[[], object], *, key: str | None = None) -> StorageError:
    """The error that `call` must raise; with `key`, the one that it must carry."""
    with pytest.raises(kind) as caught:
        call()
    if key is not None:
        assert caught.value.key == key
    return caught.value


@contextmanager
def two_of_one_bucket(provider: IStorageProvider) -> Iterator[tuple[IStorageProvider, IStorageProvider]]:
    """Two providers that know nothing of each other on one bucket, as in two processes; without `buckets`, one twice."""
    if not provider.capabilities.buckets:
        yield provider, provider
        return
    name = unused_bucket_name()
    provider.for_bucket(name).create_bucket()
    first, second = provider.for_bucket(name), provider.for_bucket(name)
    yield first, second
    first.disconnect()
    second.disconnect()


def unused_bucket_name() -> str:
    """A bucket's name that no other test has used on this store, which may outlive the tests."""
    return f"contract-{uuid.uuid4().hex}"


def at_once(*calls: Callable[[], Result]) -> list[Result | Exception]:
    """Run the calls in threads that start together; what each returned or raised, in their order."""
    outcomes: list[Result | Exception] = [TimeoutError("still running")] * len(calls)
    start = threading.Barrier(len(calls))

    def run(index: int) -> None:
        try:
            start.wait(PATIENCE)
            outcomes[index] = calls[index]()
        except Exception as error:
            outcomes[index] = error

    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return outcomes


def succeeded(outcomes: list[Result | Exception]) -> list[Result]:
    """What the calls returned; the first error that one of them raised, raised again."""
    results = []
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
        results.append(outcome)
    return results
