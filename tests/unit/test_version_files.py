"""Files of versions as a library checks them out: what a missing one is called, and what mode a single one has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from application.dataset_versioning import DatasetVersioning
from domain.content import DVC_MD5
from domain.errors import InvalidRequest, ObjectNotFound
from infrastructure.storage.providers import MemoryProvider


def test_a_missing_content_is_told_by_the_name_of_its_file(tmp_path: Path) -> None:
    store = MemoryProvider({})
    datasets = DatasetVersioning(store)
    (tmp_path / "data" / "runs").mkdir(parents=True)
    for name in ("a", "runs/1.bin"):
        (tmp_path / "data" / name).write_text(name)
    made = datasets.version(tmp_path / "data", "d").version
    (_, second) = datasets.files(made)
    address = DVC_MD5.key("dvc/", second.md5)
    store.delete(address)
    with pytest.raises(ObjectNotFound, match=r"the content of 'runs/1.bin' of d@1 is missing") as caught:
        datasets.checkout("d", tmp_path / "out")
    assert "'storage dataset verify d@1'" in caught.value.message
    assert (caught.value.key, os.listdir(tmp_path / "out")) == (address, ["a"])


def test_a_single_file_has_its_mode_also_where_a_link_shares_it(tmp_path: Path) -> None:
    datasets = DatasetVersioning(MemoryProvider({}))
    tool, out, other = (tmp_path / name for name in ("tool", "out", "other"))
    tool.write_text("x")
    tool.chmod(0o700)
    datasets.version(tool, "d")
    datasets.checkout("d", out)
    mode = out.stat().st_mode
    assert mode & 0o111 == (mode & 0o444) >> 2 != 0
    out.chmod(0o640)
    os.link(out, other)
    assert datasets.checkout("d", out).done == 0
    assert [path.stat().st_mode & 0o777 for path in (out, other)] == [0o750, 0o640]
    assert (out.read_text(), other.read_text()) == ("x", "x")


def test_an_empty_target_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = DatasetVersioning(MemoryProvider({}))
    (tmp_path / "a").write_text("x")
    datasets.version(tmp_path, "d")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(InvalidRequest, match="no target is named for d@1"):
        datasets.checkout("d", "")
    datasets.checkout("d", ".")
    assert os.listdir() == ["a"]
