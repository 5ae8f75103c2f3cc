"""Local disk where names that differ in case or normal form are one, as on macOS: keys stay apart all the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from application.planning import PlanOptions
from application.transfers import plan_download
from domain.errors import LocalFileError
from domain.transfer import Comparison
from infrastructure.storage.providers.local_provider import LocalProvider
from infrastructure.storage.providers.memory_provider import MemoryProvider

_FILE_SYSTEM = Path(__file__).with_name("folding_file_system.py")

ALIKE = [
    "A",
    "a",
    "x/A",
    "X/a",
    "x/a",
    "X/A/b",
    "\u00e9",
    "e\u0301",
    "\u00c9",
    "stra\u00dfe",
    "STRASSE",
    ".LADING/keys/a",
    ".lading/keys/a",
]


@pytest.fixture(scope="module")
def folding_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    try:
        import fuse  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"needs fusepy and libfuse2 for a file system that folds names: {error}")
    if not (os.access("/dev/fuse", os.R_OK | os.W_OK) and shutil.which("fusermount")):
        pytest.skip("needs /dev/fuse and fusermount for a file system that folds names")
    behind, mount = tmp_path_factory.mktemp("behind"), tmp_path_factory.mktemp("folding")
    server = subprocess.Popen([sys.executable, _FILE_SYSTEM, behind, mount])
    try:
        for _ in range(100):
            if os.path.ismount(mount):
                break
            time.sleep(0.05)
        (mount / "Probe").touch()
        assert (mount / "pROBE").exists()
        yield mount
    finally:
        subprocess.run(["fusermount", "-u", "-z", mount], check=True)
        server.wait(10)


@pytest.fixture
def provider(folding_disk: Path, tmp_path: Path) -> Iterator[LocalProvider]:
    with LocalProvider({"base_path": folding_disk / tmp_path.name, "durable": False}) as provider:
        yield provider


@pytest.mark.parametrize("keys", [ALIKE, ALIKE[::-1]], ids=["one order", "the other"])
def test_keys_that_the_disk_takes_for_one_are_kept_apart(provider: LocalProvider, keys: list[str]) -> None:
    for key in keys:
        provider.put_bytes(key, key.encode(), metadata={"key": key})
    assert provider.list_files() == sorted(keys)
    for key in keys:
        assert provider.get_bytes(key) == key.encode()
        assert provider.head(key).metadata == {"key": key}
    for gone, key in enumerate(keys):
        provider.delete(key)
        assert provider.list_files() == sorted(keys[gone + 1 :])


def test_another_spelling_is_another_object(provider: LocalProvider) -> None:
    provider.put_bytes("Folder/Name.txt", b"x")
    for other in ("folder/Name.txt", "Folder/name.txt", "FOLDER/NAME.TXT"):
        assert not provider.exists(other)
        provider.delete(other)
    assert provider.list_files("folder/") == []
    assert provider.get_bytes("Folder/Name.txt") == b"x"


def test_files_put_there_by_hand_keep_their_spelling(
    provider: LocalProvider, folding_disk: Path, tmp_path: Path
) -> None:
    (folding_disk / tmp_path.name / "README.md").write_bytes(b"mine")
    provider.put_bytes("readme.md", b"another")
    assert provider.list_files() == ["README.md", "readme.md"]
    assert (folding_disk / tmp_path.name / "README.md").read_bytes() == b"mine"
    assert provider.get_bytes("readme.md") == b"another"


def test_writers_of_two_spellings_at_once_lose_nothing(provider: LocalProvider) -> None:
    keys = ["Name", "name", "NAME", "nAME"]
    start = threading.Barrier(len(keys))

    def write(key: str) -> None:
        start.wait(10)
        for number in range(10):
            provider.put_bytes(key, f"{key} {number}".encode())

    threads = [threading.Thread(target=write, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {key: provider.get_bytes(key) for key in provider.list_files()} == {key: f"{key} 9".encode() for key in keys}


@pytest.mark.parametrize("pair", [("A", "a"), ("\u00e9", "e\u0301"), ("A", "a/b"), ("A/b", "a"), ("x/A/b", "x/a/c")])
@pytest.mark.parametrize("compare", [Comparison.NOTHING, Comparison.CONTENT])
def test_a_download_of_two_names_that_are_one_file_here_is_not_begun(
    folding_disk: Path, tmp_path: Path, pair: tuple[str, str], compare: Comparison
) -> None:
    source, folder = MemoryProvider({}), folding_disk / tmp_path.name
    for name in pair:
        source.put_bytes(f"p/{name}", b"x")
    before = set(os.listdir(folding_disk))
    with pytest.raises(LocalFileError, match="only by case or by the form of its accents"):
        plan_download(source, "p/", str(folder), PlanOptions(compare=compare))
    assert set(os.listdir(folding_disk)) == before
    source.delete(f"p/{pair[0]}")
    assert len(plan_download(source, "p/", str(folder), PlanOptions(compare=compare)).actions) == 1
    assert len(plan_download(source, "p/", str(tmp_path), PlanOptions(compare=compare)).actions) == 1
