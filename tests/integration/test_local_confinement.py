"""No key reads, writes, lists or deletes anything outside of `base_path`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import BucketNotFound, InvalidRequest, ObjectNotFound, StorageError
from infrastructure.storage.providers import LocalProvider

ESCAPES = [
    "../outside/secret",
    "a/../../outside/secret",
    "in/../../outside/secret",
    "./../outside/secret",
    "folder-link/secret",
    "folder-link/new",
    "folder-link/../secret",
    "file-link",
    "deep/folder-link/secret",
    "deep/up/outside/secret",
    "up/outside/secret",
    "dangling",
]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    return outside


@pytest.fixture
def provider(store: Path, outside: Path) -> Iterator[LocalProvider]:
    (store / "deep").mkdir(parents=True)
    (store / "in").mkdir()
    for link in (store / "folder-link", store / "deep" / "folder-link"):
        link.symlink_to(outside)
    (store / "file-link").symlink_to(outside / "secret")
    (store / "dangling").symlink_to(outside / "created-by-a-write")
    (store / "up").symlink_to("..")
    (store / "deep" / "up").symlink_to("../..")
    provider = LocalProvider({"base_path": store, "durable": False})
    yield provider
    provider.disconnect()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def keys(outside: Path) -> list[str]:
    return [*ESCAPES, f"{outside}/secret", f"/{outside}/secret", f"{outside}/new", f"{outside}"[1:] + "/secret"]


def test_nothing_outside_is_read(provider: LocalProvider, outside: Path, tmp_path: Path) -> None:
    for key in keys(outside):
        assert not provider.exists(key)
        for read in (provider.get_bytes, provider.head, lambda key: provider.download(key, str(tmp_path / "x"))):
            with pytest.raises(ObjectNotFound):
                read(key)
        with pytest.raises(ObjectNotFound):
            provider.copy(key, "stolen")
    assert not (tmp_path / "x").exists()


def test_nothing_outside_is_written_and_the_key_still_works(provider: LocalProvider, outside: Path) -> None:
    for number, key in enumerate(keys(outside)):
        provider.put_bytes(key, b"%d" % number)
        provider.upload(str(outside / "secret"), key + "-")
    for number, key in enumerate(keys(outside)):
        assert provider.get_bytes(key) == b"%d" % number
        provider.copy(key, key + "+")
        assert provider.get_bytes(key + "+") == b"%d" % number
    assert set(provider.list_files()) == {key + end for key in keys(outside) for end in ("", "-", "+")}
    assert contents(outside) == {"secret": b"secret"}
    assert sorted(os.listdir(outside.parent)) == ["outside", "store"]


def test_nothing_outside_is_deleted(provider: LocalProvider, outside: Path, store: Path) -> None:
    before = set(os.listdir(store))
    for key in keys(outside):
        provider.delete(key)
    assert provider.delete_many([*keys(outside), "up", "folder-link", "deep/up", "in", "deep", "in/", "."]) == []
    assert contents(outside) == {"secret": b"secret"}
    assert before <= set(os.listdir(store))


@pytest.mark.parametrize(
    "prefix", ["", "folder-link", "folder-link/", "up/", "up/outside/", "../", "../outside/", "deep/", "/", "in/../"]
)
def test_a_listing_does_not_follow_links(provider: LocalProvider, prefix: str) -> None:
    assert provider.list_files(prefix) == []


def test_the_folder_of_the_store_itself_is_not_made_of_keys(provider: LocalProvider, store: Path) -> None:
    provider.put_bytes("a//b", b"aside")
    provider.put_bytes(".lading/keys/a%2f%2fb", b"not that one")
    provider.put_bytes(".lading/locks/00", b"x")
    provider.put_bytes(".lading", b"y")
    provider.delete(".lading/tmp")
    assert provider.get_bytes("a//b") == b"aside"
    assert provider.list_files(".lading") == [".lading", ".lading/keys/a%2f%2fb", ".lading/locks/00"]
    assert (store / ".lading" / "tmp").is_dir()


def test_a_base_path_that_is_a_link_is_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    provider = LocalProvider({"base_path": tmp_path / "link"})
    provider.put_bytes("k", b"x")
    provider.disconnect()
    assert (tmp_path / "real" / "k").read_bytes() == b"x"


@pytest.mark.parametrize("name", ["..", "../..", "a/b", "/etc", "", ".", "ab", "A" * 5, "x" * 64, "abc\n", "é" * 4])
def test_no_name_of_a_bucket_leads_out(provider: LocalProvider, name: str) -> None:
    with pytest.raises(InvalidRequest):
        provider.for_bucket(name)


def test_buckets_do_not_see_each_other(provider: LocalProvider) -> None:
    first, second = provider.for_bucket("first-one"), provider.for_bucket("second-one")
    with pytest.raises(BucketNotFound):
        first.put_bytes("k", b"x")
    first.create_bucket()
    second.create_bucket()
    first.put_bytes("../second-one/k", b"1")
    first.put_bytes("k", b"2")
    assert provider.list_files() == second.list_files() == []
    assert first.list_files() == ["../second-one/k", "k"]
    for bucket in (first, second):
        bucket.disconnect()


def test_no_key_at_all_touches_what_is_outside(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("any")
    outside = folder / "outside"
    (outside / "below").mkdir(parents=True)
    (outside / "f").write_bytes(b"secret")
    base = folder / "a" / "store"
    (base / "real").mkdir(parents=True)
    (base / "link").symlink_to(outside)
    (base / "real" / "link").symlink_to("../../..")
    provider = LocalProvider({"base_path": base, "durable": False})
    names = st.sampled_from(["..", ".", "", "link", "real", "outside", "f", "below", "new", str(outside)[1:]])

    @settings(deadline=None, max_examples=150)
    @given(st.lists(names, min_size=1, max_size=6).map("/".join).filter(bool))
    def check(key: str) -> None:
        provider.put_bytes(key, b"mine")
        assert provider.get_bytes(key) == b"mine"
        provider.delete(key)
        assert not provider.exists(key)

    check()
    provider.disconnect()
    assert contents(outside) == {"f": b"secret"}
    assert sorted(os.listdir(folder)) == ["a", "outside"]
    assert os.listdir(folder / "a") == ["store"]


@pytest.mark.parametrize("inner", [".lading", ".lading/keys"])
def test_links_inside_of_the_stores_own_folder_lead_nowhere(tmp_path: Path, inner: str) -> None:
    outside, base = tmp_path / "outside", tmp_path / "store"
    below = {".lading": outside / "keys", ".lading/keys": outside}[inner]
    below.mkdir(parents=True)
    (below / "secret%2f").write_bytes(b"SECRET")
    (base / inner).parent.mkdir(parents=True)
    (base / inner).symlink_to(outside)
    before = sorted(str(path) for path in outside.rglob("*"))
    provider = LocalProvider({"base_path": base})
    assert provider.list_files() == []
    with pytest.raises(ObjectNotFound):
        provider.get_bytes("secret/")
    with pytest.raises(StorageError, match="symbolic link"):
        provider.delete("secret/")
    with pytest.raises(StorageError, match="symbolic link"):
        provider.put_bytes("x//y", b"x")
    provider.disconnect()
    after = [path for path in outside.rglob("*") if not {"tmp", "locks"} & set(path.relative_to(outside).parts)]
    assert sorted(map(str, after)) == before


def test_a_bucket_behind_a_link_is_not_there(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"SECRET")
    buckets = tmp_path / "store" / ".lading" / "buckets"
    buckets.mkdir(parents=True)
    (buckets / "linked").symlink_to(outside)
    bucket = LocalProvider({"base_path": tmp_path / "store"}).for_bucket("linked")
    with pytest.raises(BucketNotFound):
        bucket.list_files()
    with pytest.raises(BucketNotFound):
        bucket.get_bytes("secret")
    with pytest.raises(BucketNotFound):
        bucket.put_bytes("new", b"x")
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]
