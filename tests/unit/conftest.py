"""The factory's registry, empty before and after a test that adds to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infrastructure.storage.storage_factory import StorageProviderFactory


def _forget() -> None:
    StorageProviderFactory._discovered = False
    StorageProviderFactory._by_name.clear()


@pytest.fixture
def fresh_registry() -> Iterator[None]:
    _forget()
    yield
    _forget()
