"""Contents kept on this machine: never given out where they are damaged, never more than the bound, and never in the way."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from application.cached_downloads import CachedDownloads
from domain.content import ContentHash
from domain.content_cache import Link
from domain.errors import ContentCorrupted, InsufficientStorage, LocalFileError, ObjectNotFound, StorageError
from domain.many_files import File
from domain.storage import ObjectInfo
from infrastructure.state.content_cache import FolderCache
from infrastructure.storage.providers import MemoryProvider

BOTH = pytest.mark.parametrize("link", list(Link))
BIG = bytes(range(256)) * 20_000


def sha(data: bytes) -> ContentHash:
    return ContentHash("sha256", hashlib.sha256(data).hexdigest())


def md5(data: bytes) -> ContentHash:
    return ContentHash("md5", hashlib.md5(data).hexdigest())  # noqa: S324


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(place: Path) -> FolderCache:
    return FolderCache(1 << 30, place)


def kept(place: Path) -> list[Path]:
    """The files of the cache, whatever they are."""
    return sorted(path for path in place.rglob("*") if not path.is_dir())


def keep(cache: FolderCache, folder: Path, data: bytes, content: ContentHash | None = None) -> ContentHash:
    content = content or sha(data)
    path = folder / f"source-{content.digest[:8]}"
    path.write_bytes(data)
    cache.keep(content, str(path))
    return content


# -- keeping and placing


def test_what_is_kept_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new" / "caches"))
    old = os.umask(0o022)
    try:
        keep(FolderCache(1 << 30), tmp_path, b"data")
    finally:
        os.umask(old)
    place = tmp_path / "new" / "caches" / "lading"
    assert len(kept(place)) == 1
    assert [stat.S_IMODE(each.stat().st_mode) for each in (place, place / "content")] == [0o700, 0o700]


@pytest.mark.parametrize("link", list(Link))
def test_a_copy_over_a_linked_file_can_be_written_to(
    link: Link, cache: FolderCache, place: Path, tmp_path: Path
) -> None:
    before, after = keep(cache, tmp_path, b"before"), keep(cache, tmp_path, b"after")
    target = tmp_path / "f"
    cache.place(before, str(target), link)
    target.chmod(0o444)
    (tmp_path / "fresh").write_bytes(b"")
    cache.place(after, str(target), Link.COPY)
    fresh = (tmp_path / "fresh").stat().st_mode
    assert target.read_bytes() == b"after"
    # A file that is nobody else's is read-only because somebody wanted that.
    assert stat.S_IMODE(target.stat().st_mode) == (stat.S_IMODE(fresh) if link is Link.HARD else 0o444)
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept(place)} == {0o444}


@BOTH
@pytest.mark.parametrize("data", [b"", b"data", BIG], ids=["empty", "small", "large"])
@pytest.mark.parametrize("hashed", [sha, md5], ids=["sha256", "md5"])
def test_what_is_kept_can_be_placed(
    data: bytes, hashed: Any, link: Link, cache: FolderCache, place: Path, tmp_path: Path
) -> None:
    target = tmp_path / "deep" / "er" / "f"
    content = hashed(data)
    assert cache.place(content, str(target), link) is None
    assert not target.parent.exists()
    keep(cache, tmp_path, data, content)
    (file,) = kept(place)
    assert file == place / content.algorithm / content.digest[:2] / content.digest
    assert stat.S_IMODE(file.stat().st_mode) == 0o444
    for _ in range(2):
        assert cache.place(content, str(target), link) == len(data)
        assert target.read_bytes() == data
        assert list(target.parent.iterdir()) == [target]
    assert cache.place(hashed(b"other"), str(target), link) is None
    assert target.read_bytes() == data


def test_a_copy_is_a_file_of_its_own_that_can_be_written(cache: FolderCache, place: Path, tmp_path: Path) -> None:
    content = keep(cache, tmp_path, b"data")
    target = tmp_path / "f"
    cache.place(content, str(target), Link.COPY)
    (file,) = kept(place)
    assert target.stat().st_mode & stat.S_IWUSR
    assert (target.stat().st_nlink, file.stat().st_nlink) == (1, 1)
    target.write_bytes(b"mine")
    assert file.read_bytes() == b"data"
    cache.place(content, str(tmp_path / "g"), Link.COPY)
    assert (tmp_path / "g").read_bytes() == b"data"
    (tmp_path / f"source-{content.digest[:8]}").write_bytes(b"other")
    assert file.read_bytes() == b"data", "what was kept is a copy too"


def test_a_hard_link_is_the_file_of_the_cache_and_read_only(cache: FolderCache, place: Path, tmp_path: Path) -> None:
    content = keep(cache, tmp_path, b"data")
    targets = [tmp_path / "f", tmp_path / "g"]
    targets[0].write_bytes(b"before")
    for target in targets:
        cache.place(content, str(target), Link.HARD)
    (file,) = kept(place)
    assert {target.stat().st_ino for target in targets} == {file.stat().st_ino}
    assert all(stat.S_IMODE(target.stat().st_mode) == 0o444 for target in targets)
    targets[0].unlink()
    assert targets[1].read_bytes() == file.read_bytes() == b"data"


@BOTH
@pytest.mark.parametrize("damage", ["changed", "longer", "shorter", "empty"])
def test_a_damaged_file_is_never_given_out_and_is_dropped(
    damage: str, link: Link, cache: FolderCache, place: Path, tmp_path: Path
) -> None:
    content = keep(cache, tmp_path, BIG)
    (file,) = kept(place)
    spoilt = {"changed": b"!" + BIG[1:], "longer": BIG + b"!", "shorter": BIG[:-1], "empty": b""}[damage]
    file.chmod(0o644)
    file.write_bytes(spoilt)
    file.chmod(0o444)
    target = tmp_path / "out" / "f"
    target.parent.mkdir()
    target.write_bytes(b"before")
    assert cache.place(content, str(target), link) is None
    assert target.read_bytes() == b"before"
    assert list(target.parent.iterdir()) == [target]
    assert kept(place) == []
    keep(cache, tmp_path, BIG)
    assert cache.place(content, str(target), link) == len(BIG)
    assert target.read_bytes() == BIG


def test_a_file_that_somebody_made_writable_is_not_linked(cache: FolderCache, place: Path, tmp_path: Path) -> None:
    content = keep(cache, tmp_path, b"data")
    (file,) = kept(place)
    file.chmod(0o644)
    assert cache.place(content, str(tmp_path / "f"), Link.HARD) is None
    assert kept(place) == []


def test_a_link_or_a_folder_in_the_place_of_a_file_is_not_followed(
    cache: FolderCache, place: Path, tmp_path: Path
) -> None:
    content = keep(cache, tmp_path, b"data")
    (file,) = kept(place)
    file.unlink()
    file.symlink_to(tmp_path / f"source-{content.digest[:8]}")
    for link in Link:
        assert cache.place(content, str(tmp_path / "f"), link) is None
    file.unlink()
    for make in (os.mkdir, os.mkfifo):
        make(file)
        for link in Link:
            assert cache.place(content, str(tmp_path / "f"), link) is None
        if make is os.mkdir:
            file.rmdir()
    cache.keep(content, str(tmp_path / f"source-{content.digest[:8]}"))
    assert not (tmp_path / "f").exists()


def test_what_is_not_this_content_is_not_kept(cache: FolderCache, place: Path, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"other")
    cache.keep(sha(b"data"), str(tmp_path / "f"))
    cache.keep(sha(b"data"), str(tmp_path / "missing"))
    cache.keep(sha(b"data"), str(tmp_path))
    assert kept(place) == []


@BOTH
def test_what_can_be_no_file_is_told_and_nothing_is_left(
    link: Link, cache: FolderCache, place: Path, tmp_path: Path
) -> None:
    content = keep(cache, tmp_path, b"data")
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (tmp_path / "file").write_bytes(b"")
    for target, why in ((folder / "inner", "is a directory"), (tmp_path / "file" / "f", "is a file, not a folder")):
        with pytest.raises(LocalFileError, match=why):
            cache.place(content, str(target), link)
    assert list(folder.iterdir()) == [folder / "inner"]
    assert len(kept(place)) == 1, "the cache is not to blame"


@BOTH
def test_a_full_disk_is_told_and_nothing_is_left(
    link: Link, cache: FolderCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = keep(cache, tmp_path, b"data")
    target = tmp_path / "out" / "f"
    target.parent.mkdir()

    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("infrastructure.state.content_cache.copier", full)
    monkeypatch.setattr("infrastructure.state.content_cache._cloned", lambda source, target: False)
    monkeypatch.setattr(os, "link", full)
    with pytest.raises(InsufficientStorage):
        cache.place(content, str(target), link)
    assert list(target.parent.iterdir()) == []
    cache.keep(sha(b"new"), str(tmp_path / f"source-{content.digest[:8]}"))


def test_on_another_file_system_the_way_out_is_told(
    cache: FolderCache, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = keep(cache, tmp_path, b"data")

    def elsewhere(*arguments: object, **options: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", elsewhere)
    with pytest.raises(LocalFileError, match=r"another file system than .*cache.*; have it copied"):
        cache.place(content, str(tmp_path / "f"), Link.HARD)
    assert len(kept(place)) == 1


def test_a_file_with_all_the_names_it_can_have_is_copied(
    cache: FolderCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = keep(cache, tmp_path, b"data")

    def enough(*arguments: object, **options: object) -> None:
        raise OSError(errno.EMLINK, "Too many links")

    monkeypatch.setattr(os, "link", enough)
    assert cache.place(content, str(tmp_path / "f"), Link.HARD) == 4
    assert (tmp_path / "f").read_bytes() == b"data"


def test_a_file_that_is_forgotten_in_this_moment_is_not_here(
    cache: FolderCache, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = keep(cache, tmp_path, b"data")
    real = os.link

    def late(source: Path, target: str) -> None:
        source.unlink()
        real(source, target)

    monkeypatch.setattr(os, "link", late)
    assert cache.place(content, str(tmp_path / "f"), Link.HARD) is None
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize("what", ["a file", "a file above", "a broken link"])
def test_without_a_folder_it_is_done_without(what: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "broken").symlink_to("/dev/null/x")
    places = {"a file": "file", "a file above": "file/cache", "a broken link": "broken"}
    cache = FolderCache(1 << 30, tmp_path / places[what])
    content = keep(cache, tmp_path, b"data")
    for link in Link:
        assert cache.place(content, str(tmp_path / "f"), link) is None
    cache.trim()
    assert not (tmp_path / "f").exists()


def test_its_own_folder_is_among_the_users_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    keep(FolderCache(1 << 30), tmp_path, b"data")
    assert len(kept(tmp_path / "caches" / "lading" / "content")) == 1


# -- the bound


def use(place: Path, content: ContentHash, when: int) -> None:
    os.utime(place / content.algorithm / content.digest[:2] / content.digest, (when, when))


def test_what_was_not_used_for_the_longest_time_is_forgotten(place: Path, tmp_path: Path) -> None:
    cache = FolderCache(100, place)
    contents = [keep(cache, tmp_path, b"%d" % number * 30) for number in range(6)]
    assert len(kept(place)) == 6, "only `trim` forgets"
    for number, content in enumerate(contents):
        use(place, content, 1000 + number)
    assert cache.place(contents[0], str(tmp_path / "f"), Link.COPY) == 30
    assert cache.place(contents[1], str(tmp_path / "g"), Link.HARD) == 30
    cache.trim()
    assert {path.name for path in kept(place)} == {contents[number].digest for number in (0, 1, 5)}
    assert sum(path.stat().st_size for path in kept(place)) <= 100
    assert (tmp_path / "g").read_bytes() == b"1" * 30


def test_what_is_larger_than_the_bound_is_not_kept(place: Path, tmp_path: Path) -> None:
    cache = FolderCache(10, place)
    keep(cache, tmp_path, b"x" * 11)
    assert kept(place) == []
    keep(cache, tmp_path, b"x" * 10)
    cache.trim()
    assert len(kept(place)) == 1


def test_whoever_took_nothing_has_nothing_to_forget(place: Path, tmp_path: Path) -> None:
    content = keep(FolderCache(1 << 30, place), tmp_path, b"data")
    cache = FolderCache(1, place)
    cache.place(content, str(tmp_path / "f"), Link.COPY)
    cache.trim()
    assert len(kept(place)) == 1


def test_what_a_killed_program_left_is_forgotten_in_its_turn(place: Path, tmp_path: Path) -> None:
    cache = FolderCache(50, place)
    content = keep(cache, tmp_path, b"x" * 30)
    part = place / "sha256" / content.digest[:2] / ".lading-part-0011223344556677"
    part.write_bytes(b"y" * 30)
    os.utime(part, (1, 1))
    cache.trim()
    assert [path.name for path in kept(place)] == [content.digest]


def test_a_file_that_cannot_be_forgotten_still_counts(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = FolderCache(30, place)
    contents = [keep(cache, tmp_path, b"%d" % number * 30) for number in range(3)]
    for number, content in enumerate(contents):
        use(place, content, 1000 + number)
    real = os.unlink

    def unlink(path: str, **options: Any) -> None:
        if path.endswith(contents[0].digest):
            raise PermissionError(errno.EPERM, "no")
        real(path, **options)

    monkeypatch.setattr(os, "unlink", unlink)
    cache.trim()
    assert [path.name for path in kept(place)] == [contents[0].digest]


def test_many_at_once(place: Path, tmp_path: Path) -> None:
    contents = [b"%d" % number * 1000 for number in range(12)]

    def work(worker: int) -> None:
        cache = FolderCache(20_000, place)
        folder = tmp_path / f"w{worker}"
        folder.mkdir()
        for round_ in range(3):
            for number, data in enumerate(contents):
                target = folder / f"{number}"
                link = list(Link)[(worker + round_) % 2]
                if cache.place(sha(data), str(target), link) is None:
                    target.unlink(missing_ok=True)
                    target.write_bytes(data)
                    cache.keep(sha(data), str(target))
                assert target.read_bytes() == data
            cache.trim()
        assert sorted(path.name for path in folder.iterdir()) == sorted(str(number) for number in range(12))

    with ThreadPoolExecutor(6) as workers:
        list(workers.map(work, range(6)))
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in kept(place))
    cache = FolderCache(20_000, place)
    keep(cache, tmp_path, b"last")
    cache.trim()
    assert sum(path.stat().st_size for path in kept(place)) <= 20_000


# -- downloads with the cache before them


class Wanted(NamedTuple):
    key: str
    path: str
    size: int
    content: ContentHash | None


class Counting(MemoryProvider):
    """Counts what is fetched, and what is taken before the first is given back."""

    def __init__(self) -> None:
        super().__init__({})
        self.fetched: list[str] = []

    def download(self, remote_path: str, *arguments: Any, **options: Any) -> ObjectInfo:
        self.fetched.append(remote_path)
        return super().download(remote_path, *arguments, **options)


def wanted(provider: MemoryProvider, folder: Path, count: int) -> list[Wanted]:
    found = []
    for number in range(count):
        data = b"%d" % number
        provider.put_bytes(f"k{number}", data)
        found.append(Wanted(f"k{number}", str(folder / f"{number}"), len(data), sha(data)))
    return found


@BOTH
def test_what_was_fetched_once_comes_from_the_cache(link: Link, cache: FolderCache, tmp_path: Path) -> None:
    provider = Counting()
    files = wanted(provider, tmp_path / "out", 10)
    downloads = CachedDownloads(provider, cache, link)
    for expected in (10, 0):
        provider.fetched.clear()
        found = {file.key: info for file, info in downloads.download_many(iter(files))}
        assert len(provider.fetched) == expected
        assert len(found) == 10
        for file in files:
            info = found[file.key]
            assert isinstance(info, ObjectInfo)
            assert file.content
            assert (info.key, info.size, info.sha256) == (file.key, file.size, file.content.digest)
            assert Path(file.path).read_bytes() == file.key[1:].encode()
            assert Path(file.path).stat().st_nlink == (2 if link is Link.HARD else 1)
            os.unlink(file.path)
    provider.delete("k3")
    told: list[int] = []
    info = downloads.download("k3", files[3].path, progress=told.append, content=files[3].content)
    assert (info.size, told) == (1, [1])


def test_one_file_is_fetched_verified_and_kept(cache: FolderCache, place: Path, tmp_path: Path) -> None:
    provider = Counting()
    provider.put_bytes("k", b"data")
    downloads = CachedDownloads(provider, cache)
    target = str(tmp_path / "f")
    told: list[int] = []
    assert downloads.download("k", target, progress=told.append, content=sha(b"data")).etag
    assert told == [4]
    assert downloads.download("k", target).etag, "without a hash it is always fetched"
    assert len(provider.fetched) == 2
    with pytest.raises(ContentCorrupted):
        downloads.download("k", target, content=sha(b"other"))
    with pytest.raises(ObjectNotFound):
        downloads.download("none", target, content=md5(b"none"))
    assert [path.name for path in kept(place)] == [sha(b"data").digest]


def test_a_damaged_file_of_the_cache_is_fetched_again(cache: FolderCache, place: Path, tmp_path: Path) -> None:
    provider = Counting()
    (file,) = wanted(provider, tmp_path / "out", 1)
    downloads = CachedDownloads(provider, cache)
    list(downloads.download_many([file]))
    (inner,) = kept(place)
    inner.chmod(0o644)
    inner.write_bytes(b"!")
    assert [result for _, result in downloads.download_many([file]) if isinstance(result, StorageError)] == []
    assert provider.fetched == ["k0", "k0"]
    assert Path(file.path).read_bytes() == inner.read_bytes() == b"0"


@pytest.mark.parametrize("here", [set(range(1000)), set(), set(range(0, 1000, 2)), set(range(400, 900)), {999}],
                         ids=["all", "none", "every other", "a run", "the last"])  # fmt: skip
def test_each_is_told_once_and_not_all_of_them_at_the_end(here: set[int], cache: FolderCache, tmp_path: Path) -> None:
    provider = Counting()
    files = wanted(provider, tmp_path / "out", 1000)
    for number in here:
        keep(cache, tmp_path, b"%d" % number)
    taken = 0

    def counting() -> Iterator[Wanted]:
        nonlocal taken
        for file in files:
            taken += 1
            yield file

    told = []
    for file, result in CachedDownloads(provider, cache).download_many(counting()):
        assert isinstance(result, ObjectInfo)
        told.append(file.key)
        assert taken - len(told) <= 257
    assert sorted(told) == sorted(file.key for file in files)
    assert len(provider.fetched) == 1000 - len(here)


def test_one_that_cannot_be_written_stops_no_other(cache: FolderCache, tmp_path: Path) -> None:
    provider = Counting()
    files = wanted(provider, tmp_path / "out", 6)
    for number in (1, 2):
        keep(cache, tmp_path, b"%d" % number)
    for number in (1, 4):
        Path(files[number].path).mkdir(parents=True)
    provider.delete("k5")
    found = dict(CachedDownloads(provider, cache).download_many(files))
    errors = {file.key: type(result) for file, result in found.items() if isinstance(result, StorageError)}
    assert errors == {"k1": LocalFileError, "k4": LocalFileError, "k5": ObjectNotFound}
    assert len(found) == 6


def test_one_that_was_fetched_and_cannot_be_linked_stops_no_other(
    cache: FolderCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = Counting()
    files = wanted(provider, tmp_path / "out", 4)
    real = os.link

    def link(source: Path, target: str) -> None:
        if source.name == files[1].content.digest:  # type: ignore[union-attr]
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    found = dict(CachedDownloads(provider, cache, Link.HARD).download_many(files))
    assert [file.key for file, result in found.items() if isinstance(result, LocalFileError)] == ["k1"]
    assert len(found) == 4


def test_a_cache_that_can_keep_nothing_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    provider = Counting()
    files: Iterable[File] = wanted(provider, tmp_path / "out", 3)  # type: ignore[type-var]
    for link in Link:
        downloads = CachedDownloads(provider, FolderCache(1 << 30, tmp_path / "file"), link)
        results = [result for _, result in downloads.download_many(files)]
        assert not any(isinstance(result, StorageError) for result in results)
    assert (tmp_path / "out" / "2").read_bytes() == b"2"
