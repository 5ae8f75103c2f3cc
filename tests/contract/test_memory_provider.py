"""The memory provider keeps the contract, with its capabilities and without."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from infrastructure.storage.contract import Harness, StorageProviderContract


class TestMemoryProvider(StorageProviderContract):
    @pytest.fixture
    def harness(self, memory_harness: Callable[..., Harness]) -> Harness:
        return memory_harness()


class TestMemoryProviderWithoutCapabilities(StorageProviderContract):
    """What is not a capability is refused, never emulated and never dropped."""

    @pytest.fixture
    def harness(self, memory_harness: Callable[..., Harness]) -> Harness:
        return memory_harness(
            create_if_absent=False, create_if_absent_multipart=False, replace_if_unchanged=False, buckets=False
        )
