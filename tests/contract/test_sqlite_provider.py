"""A stranger's provider, found by its entry point as an installed package's would be, keeps the contract."""

from __future__ import annotations

import sqlite3
import tomllib
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from domain.storage import IStorageProvider
from infrastructure.storage.contract import Harness, StorageProviderContract
from infrastructure.storage.storage_factory import StorageProviderFactory

EXAMPLE = Path(__file__).parents[2] / "examples" / "sqlite_provider"


class SQLiteHarness(Harness):
    """Looks into the database with SQL of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._serial = count()

    def provider(self) -> IStorageProvider:
        database = self._folder / f"objects-{next(self._serial)}.db"
        return StorageProviderFactory.create({"provider_type": "sqlite", "database": database})

    def peek(self, provider: IStorageProvider, key: str) -> bytes | None:
        with closing(_opened(provider)) as database:
            there = database.execute("SELECT id FROM objects WHERE key = ?", (key.encode(),)).fetchone()
            if there is None:
                return None
            rows = database.execute("SELECT data FROM chunks WHERE object = ? ORDER BY number", there)
            return b"".join(data for (data,) in rows)

    def corrupt(self, provider: IStorageProvider, key: str) -> None:
        with closing(_opened(provider)) as database, database:
            (number,) = database.execute("SELECT id FROM objects WHERE key = ?", (key.encode(),)).fetchone()
            (data,) = database.execute("SELECT data FROM chunks WHERE object = ? AND number = 0", (number,)).fetchone()
            damaged = bytes([data[0] ^ 0xFF]) + data[1:]
            database.execute("UPDATE chunks SET data = ? WHERE object = ? AND number = 0", (damaged, number))

    def put_behind(self, provider: IStorageProvider, key: str, data: bytes) -> bool:
        provider.connect()
        with closing(_opened(provider)) as database, database:
            row = (key.encode(), len(data), "2020-01-01T00:00:00+00:00", "text/plain", None, "{}")
            done = database.execute("INSERT INTO objects VALUES (NULL, ?, ?, ?, ?, ?, ?)", row)
            database.execute("INSERT INTO chunks VALUES (?, 0, ?)", (done.lastrowid, data))
        return True


def _opened(provider: IStorageProvider) -> sqlite3.Connection:
    return sqlite3.connect(provider.describe().url.removeprefix("sqlite://"), timeout=30)


@pytest.fixture
def installed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What `pip install` of the example leaves behind: its module on the path, and its metadata."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    site = tmp_path_factory.mktemp("site")
    metadata = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    sections = (
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in points.items())
        for group, points in project["entry-points"].items()
    )
    (metadata / "entry_points.txt").write_text("\n".join(sections))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.syspath_prepend(str(EXAMPLE))
    _forget_providers()
    yield
    _forget_providers()


def _forget_providers() -> None:
    StorageProviderFactory._by_name.clear()
    StorageProviderFactory._discovered = False


@pytest.mark.usefixtures("installed")
class TestSQLiteProvider(StorageProviderContract):
    @pytest.fixture
    def harness(self, installed: None, tmp_path_factory: pytest.TempPathFactory) -> Harness:
        return SQLiteHarness(tmp_path_factory.mktemp("sqlite"))


def test_entry_point_makes_the_provider_known(installed: None, tmp_path: Path) -> None:
    """Installing the package is all: the factory lists the name, and `from_env` reads the provider's own variable."""
    assert "sqlite" in StorageProviderFactory.get_registered_providers()
    environ = {"STORAGE_PROVIDER": "sqlite", "SQLITE_STORAGE_DATABASE": str(tmp_path / "objects.db")}
    provider = StorageProviderFactory.from_env(environ)
    assert provider.describe().url == f"sqlite://{tmp_path}/objects.db"


def test_provider_is_unknown_without_its_package() -> None:
    """Nothing of the example is built in."""
    assert "sqlite" not in StorageProviderFactory.get_registered_providers()
