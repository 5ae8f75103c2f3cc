"""The memory provider's harness, which two files use."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from domain.storage import IStorageProvider
from infrastructure.storage.contract import Harness
from infrastructure.storage.providers.memory_provider import MemoryProvider


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
