"""The memory provider's harness, which two files use; and which promises of which profile are for the night."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from domain.storage import IStorageProvider
from infrastructure.storage.contract import Harness
from infrastructure.storage.providers.memory_provider import MemoryProvider

_PROFILES = {"TestWasabiProviderOnMoto", "TestDigitalOceanProviderOnMoto", "TestBackblazeProviderOnMoto"}
_OF_THE_ENGINE = {
    "concurrency", "expected_content", "files", "keys", "listing", "many", "many_objects", "model", "replicating",
}  # fmt: skip
"""Promises that the S3 engine keeps, or breaks, whatever the profile: by day R2 shows them on moto, MinIO and S3 on Ceph."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of profiles that differ in address, credentials and dialect alone, all that is the engine's is for the night."""
    for item in items:
        if (
            isinstance(item, pytest.Function)
            and getattr(item.cls, "__name__", "") in _PROFILES
            and item.function.__module__.rpartition(".")[2] in _OF_THE_ENGINE
        ):
            item.add_marker(pytest.mark.nightly)


class MemoryHarness(Harness):
    """Objects in memory have no second door but the dict that holds them."""

    def __init__(self, kind: type[MemoryProvider], capabilities: Mapping[str, bool]) -> None:
        self._kind = kind
        self._capabilities = capabilities

    def provider(self) -> IStorageProvider:
        return self._kind({"capabilities": dict(self._capabilities)})

    def peek(self, provider: IStorageProvider, key: str) -> bytes | None:
        stored = self._objects(provider).get(key)
        return stored.data if stored else None

    def corrupt(self, provider: IStorageProvider, key: str) -> None:
        objects = self._objects(provider)
        stored = objects[key]
        objects[key] = stored._replace(data=bytes([stored.data[0] ^ 0xFF]) + stored.data[1:])

    def put_behind(self, provider: IStorageProvider, key: str, data: bytes) -> bool:
        written = provider.put_bytes(key, data)
        objects = self._objects(provider)
        objects[key] = objects[key]._replace(info=objects[key].info._replace(sha256=None))
        return written.size == len(data)

    def _objects(self, provider: IStorageProvider):
        assert isinstance(provider, MemoryProvider)
        return provider._server.buckets[provider._bucket]


@pytest.fixture
def memory_harness() -> Callable[..., Harness]:
    """Makes a harness of the memory provider, or of a class derived from it, with some capabilities set otherwise."""

    def make(kind: type[MemoryProvider] = MemoryProvider, **capabilities: bool) -> Harness:
        return MemoryHarness(kind, capabilities)

    return make
