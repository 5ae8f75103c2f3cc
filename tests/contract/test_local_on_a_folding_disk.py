"""Local disk keeps the contract where names that differ in case or normal form are one, as on macOS."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infrastructure.storage.contract import Harness, StorageProviderContract
from tests.contract.test_local_provider import LocalHarness

_FILE_SYSTEM = Path(__file__).with_name("folding_file_system.py")


@pytest.fixture(scope="session")
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
        assert os.path.ismount(mount)
        (mount / "Probe").touch()
        assert (mount / "pROBE").exists()
        yield mount
    finally:
        subprocess.run(["fusermount", "-u", "-z", mount], check=True)
        server.wait(10)


class FoldingHarness(LocalHarness):
    """Sees a file only under the name that it has on the disk."""

    def _is_file(self, path: Path) -> bool:
        while path.name and path != self._folder:
            if not (path.exists() and path.name in os.listdir(path.parent)):
                return False
            path = path.parent
        return True


class TestLocalProviderOnAFoldingDisk(StorageProviderContract):
    @pytest.fixture
    def harness(self, folding_disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
        folder = folding_disk / tmp_path_factory.mktemp("local").name
        folder.mkdir()
        yield FoldingHarness(folder, durable=False)
        shutil.rmtree(folder)
