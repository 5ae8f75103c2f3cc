"""Local disk keeps the contract: with extended attributes and without, flushed and not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit
from urllib.request import url2pathname

import pytest

from domain.storage import IStorageProvider
from infrastructure.storage.contract import Harness, StorageProviderContract
from infrastructure.storage.local import records
from infrastructure.storage.storage_factory import StorageProviderFactory


class LocalHarness(Harness):
    """Looks at the disk with the documented layout alone: a path is a key, what can't be one is percent-encoded."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self._folder = folder
        self._durable = durable
        self._serial = count()

    def provider(self) -> IStorageProvider:
        base = self._folder / f"store-{next(self._serial)}"
        base.mkdir()
        return StorageProviderFactory.create({"provider_type": "local", "base_path": base, "durable": self._durable})

    def peek(self, provider: IStorageProvider, key: str) -> bytes | None:
        path = self._path(_base(provider), key)
        return path.read_bytes() if path else None

    def corrupt(self, provider: IStorageProvider, key: str) -> None:
        path = self._path(_base(provider), key)
        assert path is not None
        before = path.stat()
        with path.open("r+b") as file:
            first = file.read(1)
            file.seek(0)
            file.write(bytes([first[0] ^ 0xFF]))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def put_behind(self, provider: IStorageProvider, key: str, data: bytes) -> bool:
        path = _base(provider) / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return True

    def _path(self, base: Path, key: str) -> Path | None:
        names = key.split("/")
        ordinary = not ({"", ".", ".."} & set(names) or names[0] == ".lading" or "\0" in key)
        if ordinary and all(len(name.encode()) <= 255 for name in names):
            path = base.joinpath(*names)
            if self._is_file(path):
                return path
        return _kept_aside(base).get(key)

    def _is_file(self, path: Path) -> bool:
        return path.is_file()


def _base(provider: IStorageProvider) -> Path:
    return Path(url2pathname(urlsplit(provider.describe().url).path))


def _kept_aside(base: Path) -> Mapping[str, Path]:
    folder = base / ".lading" / "keys"
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {unquote_to_bytes(str(path.relative_to(folder)).replace("+/", "")).decode(): path for path in paths}


class TestLocalProvider(StorageProviderContract):
    @pytest.fixture
    def harness(self, tmp_path_factory: pytest.TempPathFactory) -> Harness:
        return LocalHarness(tmp_path_factory.mktemp("local"), durable=True)


class TestLocalProviderNotDurable(StorageProviderContract):
    @pytest.fixture
    def harness(self, tmp_path_factory: pytest.TempPathFactory) -> Harness:
        return LocalHarness(tmp_path_factory.mktemp("local"), durable=False)


class TestLocalProviderWithoutExtendedAttributes(StorageProviderContract):
    """As on macOS and on some network file systems: what is known of an object is a file beside it."""

    @pytest.fixture
    def harness(self, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Harness:
        monkeypatch.setattr(records, "_HAS_ATTRIBUTES", False)
        return LocalHarness(tmp_path_factory.mktemp("local"), durable=False)
