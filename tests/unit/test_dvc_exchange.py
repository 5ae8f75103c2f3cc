"""What `dvc push` wrote becomes a version, if all of it is there and can be files below a folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from application.dataset_versioning import DatasetVersioning
from application.dvc_exchange import description_for_dvc, register_pushed
from domain.content import DVC_MD5
from domain.errors import ContentCorrupted, InvalidRequest, ObjectNotFound, StorageError
from domain.manifests import FileEntry
from infrastructure.storage.providers import MemoryProvider


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()  # noqa: S324


def pushed(provider: MemoryProvider, data: bytes, suffix: str = "") -> str:
    """Put content where `dvc push` does; its address."""
    address = md5(data) + suffix
    provider.put_bytes(DVC_MD5.key("dvc/", address), data)
    return address


def pushed_folder(provider: MemoryProvider, files: dict[str, bytes]) -> str:
    entries = [{"md5": pushed(provider, data), "relpath": name} for name, data in sorted(files.items())]
    return pushed(provider, json.dumps(entries).encode(), ".dir")


def test_a_folder_becomes_a_version_whose_files_are_known() -> None:
    provider = MemoryProvider({})
    datasets = DatasetVersioning(provider)
    files = {"a": b"one", "b/c": b"two", "b/d": b"one", "é": b""}
    address = pushed_folder(provider, files)
    before = provider.list_files("dvc/")
    made = register_pushed(datasets, address.upper().replace("DIR", "dir"), "m13", "data", "hello", tags=["a", "a"])
    assert made.created
    version = datasets.get("m13")
    assert version == made.version
    assert (version.content, version.path, version.files, version.size, version.tags) == (address, "data", 4, 9, ("a",))
    assert list(datasets.files(version)) == [
        FileEntry(name, md5(data), hashlib.sha256(data).hexdigest(), len(data)) for name, data in sorted(files.items())
    ]
    assert provider.list_files("dvc/") == before, "no content is moved"
    again = register_pushed(datasets, address, "m13", "data")
    assert (again.created, again.version) == (False, version)
    assert register_pushed(datasets, address, "m13", "data", even_if_unchanged=True).version.version == 2
    assert provider.list_files(".lading/leases/") == []


def test_a_file_becomes_a_version_and_its_parents_are_kept() -> None:
    provider = MemoryProvider({})
    datasets = DatasetVersioning(provider)
    register_pushed(datasets, pushed(provider, b"raw"), "raw", "raw.csv")
    made = register_pushed(
        datasets, pushed(provider, b"clean"), "clean", "clean.csv", "why", ["raw@latest"], ["t"], is_executable=True
    ).version
    assert (made.is_file, made.is_executable, made.files, made.size) == (True, True, 1, 5)
    assert [str(parent) for parent in made.parents] == ["raw@1"]
    told: Any = description_for_dvc(datasets, made)["lading"]
    assert {name: told[name] for name in ("dataset", "version", "store", "message", "made_from", "tags")} == {
        "dataset": "clean", "version": 1, "store": "memory:memory/dvc", "message": "why", "made_from": ["raw@1"], "tags": ["t"],
    }  # fmt: skip
    json.dumps(told)


def refused(kind: type[StorageError], why: str, provider: MemoryProvider, address: str, path: str = "data") -> None:
    datasets = DatasetVersioning(provider)
    with pytest.raises(kind, match=why):
        register_pushed(datasets, address, "m13", path)
    assert datasets.records.ids() == []
    assert provider.list_files("cas/") == []
    assert provider.list_files(".lading/") == []


def test_what_was_not_pushed_as_a_whole_is_refused() -> None:
    provider = MemoryProvider({})
    address = pushed_folder(provider, {"a": b"one", "b": b"two", "c": b"two"})
    provider.delete(DVC_MD5.key("dvc/", md5(b"two")))
    refused(
        ObjectNotFound,
        "1 of 2 contents are not in memory:memory, that of 'b' among them; run 'dvc push'",
        provider,
        address,
    )
    provider.delete(DVC_MD5.key("dvc/", address))
    refused(ObjectNotFound, "there is no content", provider, address)
    refused(ObjectNotFound, "1 of 1 contents", provider, md5(b"none"), "f")


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "a//b", "", "a\0"])
def test_a_hostile_manifest_is_refused(name: str) -> None:
    provider = MemoryProvider({})
    refused(ContentCorrupted, "nothing was done with it", provider, pushed_folder(provider, {name: b"x"}))


def test_a_corrupt_manifest_is_refused() -> None:
    provider = MemoryProvider({})
    address = pushed_folder(provider, {"a": b"x"})
    provider.put_bytes(DVC_MD5.key("dvc/", address), b"[]")
    refused(ContentCorrupted, "corrupt", provider, address)


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/b", "..", "a\0"])
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    provider = MemoryProvider({})
    for address in (pushed(provider, b"x"), pushed_folder(provider, {"a": b"x"})):
        refused(InvalidRequest, "no name of a file or a folder", provider, address, path)


def test_a_record_whose_path_leads_elsewhere_is_not_checked_out(tmp_path: Path) -> None:
    provider = MemoryProvider({})
    datasets = DatasetVersioning(provider)
    register_pushed(datasets, pushed(provider, b"x"), "m13", "x.csv")
    key = ".lading/datasets/m13/1.json"
    provider.put_bytes(key, provider.get_bytes(key).replace(b'"x.csv"', json.dumps(str(tmp_path / "evil")).encode()))
    with pytest.raises(ContentCorrupted, match="m13@1 is damaged"):
        datasets.plan_checkout(datasets.get("m13"), f"{tmp_path}/")
    assert list(tmp_path.iterdir()) == []
