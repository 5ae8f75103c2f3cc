"""Promises of `upload` and `download`: the files on this side."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from domain.errors import InvalidRequest, LocalFileError, ObjectNotFound
from domain.storage import IStorageProvider
from infrastructure.storage.contract.group import MIB, PromiseGroup, content, facts, listed, refusal
from infrastructure.storage.contract.harness import Harness


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _shrink(path: Path) -> None:
    os.truncate(path, 10)


def _edit(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"edited")
    # A file system's clock may tick slower than this test runs.
    later = path.stat().st_mtime_ns + 1_000_000_000
    os.utime(path, ns=(later, later))


_CHANGES: Mapping[str, Callable[[Path], None]] = {"grows": _grow, "shrinks": _shrink, "edited": _edit}


def _folder(path: Path) -> None:
    path.mkdir()


def _nothing(path: Path) -> None:
    assert not path.exists()


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


_NO_FILES: Mapping[str, Callable[[Path], None]] = {
    "missing": _nothing,
    "directory": _folder,
    "pipe": os.mkfifo,
    "loop of links": _loop,
}


class Uploading(PromiseGroup):
    """`upload`."""

    @pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, 3 * MIB + 5])
    def test_upload_stores_the_file(
        self, harness: Harness, provider: IStorageProvider, tmp_path: Path, size: int
    ) -> None:
        """`upload`: stores the file under the key; promises as `open_writer`."""
        data = content(size)
        (tmp_path / "file").write_bytes(data)
        info = provider.upload(str(tmp_path / "file"), "a/object.csv", {"run": "7"})
        assert facts(info) == facts(provider.head("a/object.csv"))
        assert (info.size, info.sha256) == (size, hashlib.sha256(data).hexdigest())
        assert provider.get_bytes("a/object.csv") == data
        assert harness.peek(provider, "a/object.csv") == data

    @pytest.mark.parametrize(
        ("file", "key", "given", "expected"),
        [
            ("x.csv", "a.json", None, "application/json"),
            ("x.csv", "a", None, "text/csv"),
            ("x", "a", None, "application/octet-stream"),
            ("x.csv", "a.json", "image/fits", "image/fits"),
        ],
    )
    def test_upload_guesses_the_content_type(
        self, provider: IStorageProvider, tmp_path: Path, file: str, key: str, given: str | None, expected: str
    ) -> None:
        """`upload`: by default guessed from the key's suffix, or else from the file's."""
        (tmp_path / file).write_bytes(b"data")
        provider.upload(str(tmp_path / file), key, content_type=given)
        assert provider.head(key).content_type == expected

    def test_upload_follows_a_link_to_a_file(self, provider: IStorageProvider, tmp_path: Path) -> None:
        """`upload`: what the path names is the file, through a link too."""
        (tmp_path / "file").write_bytes(b"data")
        (tmp_path / "link").symlink_to("file")
        provider.upload(str(tmp_path / "link"), "a")
        assert provider.get_bytes("a") == b"data"

    @pytest.mark.parametrize("kind", sorted(_NO_FILES))
    def test_upload_of_no_regular_file_is_a_local_file_error(
        self, provider: IStorageProvider, tmp_path: Path, kind: str
    ) -> None:
        """`upload`: `LocalFileError` where the file is missing or not a regular file; no waiting for a pipe."""
        _NO_FILES[kind](tmp_path / "file")
        provider.put_bytes("a", b"old")
        error = refusal(LocalFileError, lambda: provider.upload(str(tmp_path / "file"), "a"))
        assert "file" in error.message
        assert provider.get_bytes("a") == b"old"

    def test_upload_of_an_unreadable_file_is_a_local_file_error(
        self, provider: IStorageProvider, tmp_path: Path
    ) -> None:
        """`upload`: `LocalFileError` where the file is unreadable; who may read everything reads it."""
        (tmp_path / "file").write_bytes(b"data")
        (tmp_path / "file").chmod(0)
        if os.access(tmp_path / "file", os.R_OK):
            assert provider.upload(str(tmp_path / "file"), "a").size == 4
        else:
            refusal(LocalFileError, lambda: provider.upload(str(tmp_path / "file"), "a"))
            assert listed(provider) == []

    @pytest.mark.parametrize("change", sorted(_CHANGES))
    def test_upload_of_a_changing_file_publishes_nothing(
        self, harness: Harness, provider: IStorageProvider, tmp_path: Path, change: str
    ) -> None:
        """`upload`: a file that changes while it is read is not published."""
        path = tmp_path / "file"
        path.write_bytes(content(3 * MIB))
        changes = [_CHANGES[change]]

        def progress(moved: int) -> None:
            while changes:
                changes.pop()(path)

        refusal(LocalFileError, lambda: provider.upload(str(path), "a", progress=progress))
        assert changes == []
        assert listed(provider) == []
        assert harness.peek(provider, "a") is None

    def test_upload_that_fails_leaves_the_old_object(self, provider: IStorageProvider, tmp_path: Path) -> None:
        """`upload`: whole or not at all; an exception on the way publishes nothing."""
        (tmp_path / "file").write_bytes(content(3 * MIB))
        provider.put_bytes("a", b"old")

        def progress(moved: int) -> None:
            raise KeyError(moved)

        with pytest.raises(KeyError):
            provider.upload(str(tmp_path / "file"), "a", progress=progress)
        assert provider.get_bytes("a") == b"old"

    @pytest.mark.parametrize("size", [0, 1, 4 * MIB + 9])
    def test_upload_progress_sums_to_the_size(self, provider: IStorageProvider, tmp_path: Path, size: int) -> None:
        """`Progress`: called with the number of bytes moved since the last call."""
        (tmp_path / "file").write_bytes(bytes(size))
        moved: list[int] = []
        provider.upload(str(tmp_path / "file"), "a", progress=moved.append)
        assert sum(moved) == size
        assert all(step >= 0 for step in moved)


class Downloading(PromiseGroup):
    """`download`. What a corrupt object does is among the promises of verification."""

    @pytest.mark.parametrize("size", [0, 1, MIB, 3 * MIB + 5])
    def test_download_writes_the_file(self, provider: IStorageProvider, tmp_path: Path, size: int) -> None:
        """`download(remote_path, local_path)`: writes the object to the file, and nothing else beside it."""
        data = content(size)
        provider.put_bytes("a/object", data, metadata={"run": "7"})
        info = provider.download("a/object", str(tmp_path / "file"))
        assert (tmp_path / "file").read_bytes() == data
        assert facts(info) == facts(provider.head("a/object"))
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    def test_download_makes_missing_folders(self, provider: IStorageProvider, tmp_path: Path) -> None:
        """`download`: missing folders are made."""
        provider.put_bytes("a", b"data")
        provider.download("a", str(tmp_path / "one" / "two" / "file"))
        assert (tmp_path / "one" / "two" / "file").read_bytes() == b"data"

    def test_download_into_the_working_folder(
        self, provider: IStorageProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`download`: a relative name is one in the working folder."""
        monkeypatch.chdir(tmp_path)
        provider.put_bytes("a", b"data")
        provider.download("a", "file")
        assert (tmp_path / "file").read_bytes() == b"data"

    def test_download_replaces_in_one_step(self, provider: IStorageProvider, tmp_path: Path) -> None:
        """`download`: an existing file is replaced in one step: who has it open keeps the old one, whole."""
        provider.put_bytes("a", content(2 * MIB))
        path = tmp_path / "file"
        path.write_bytes(b"before")
        seen = []
        with path.open("rb") as old:
            provider.download("a", str(path), progress=lambda moved: seen.append(path.read_bytes()))
            assert old.read() == b"before"
        assert seen and set(seen) == {b"before"}
        assert path.read_bytes() == content(2 * MIB)

    def test_download_keeps_the_mode_of_the_file(self, provider: IStorageProvider, tmp_path: Path) -> None:
        """`download`: what is replaced is the content; a new file has the mode that every new file gets."""
        provider.put_bytes("a", b"data")
        (tmp_path / "old").write_bytes(b"before")
        (tmp_path / "old").chmod(0o640)
        (tmp_path / "usual").write_bytes(b"")
        provider.download("a", str(tmp_path / "old"))
        provider.download("a", str(tmp_path / "new"))
        assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o640
        assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode

    @pytest.mark.parametrize("there", [True, False])
    def test_download_through_a_link_keeps_the_link(
        self, provider: IStorageProvider, tmp_path: Path, there: bool
    ) -> None:
        """`download`: a link keeps pointing where it does; the file it points at is written."""
        provider.put_bytes("a", b"data")
        (tmp_path / "folder").mkdir()
        (tmp_path / "link").symlink_to("folder/file")
        if there:
            (tmp_path / "folder" / "file").write_bytes(b"before")
        provider.download("a", str(tmp_path / "link"))
        assert (tmp_path / "link").readlink() == Path("folder/file")
        assert (tmp_path / "folder" / "file").read_bytes() == b"data"
        assert [path.name for path in (tmp_path / "folder").iterdir()] == ["file"]

    def test_download_onto_a_directory_is_a_local_file_error(self, provider: IStorageProvider, tmp_path: Path) -> None:
        """`download`: `LocalFileError` where `local_path` is a directory; it stays as it was."""
        provider.put_bytes("a", b"data")
        (tmp_path / "folder").mkdir()
        for target in (f"{tmp_path}/folder", f"{tmp_path}/folder/", f"{tmp_path}/missing/"):
            refusal(LocalFileError, lambda target=target: provider.download("a", target))  # type: ignore[misc]
        assert list((tmp_path / "folder").iterdir()) == []

    def test_download_below_a_file_is_a_local_file_error(self, provider: IStorageProvider, tmp_path: Path) -> None:
        """`download`: `LocalFileError` where the folder can't be written, as when it is a file."""
        provider.put_bytes("a", b"data")
        (tmp_path / "file").write_bytes(b"before")
        refusal(LocalFileError, lambda: provider.download("a", str(tmp_path / "file" / "below")))
        assert (tmp_path / "file").read_bytes() == b"before"

    def test_download_that_fails_leaves_the_old_file(self, provider: IStorageProvider, tmp_path: Path) -> None:
        """`download`: an existing file stays as it was on any failure, and no part of the new one stays."""
        provider.put_bytes("a", content(2 * MIB))
        (tmp_path / "file").write_bytes(b"before")

        def progress(moved: int) -> None:
            raise KeyError(moved)

        with pytest.raises(KeyError):
            provider.download("a", str(tmp_path / "file"), progress=progress)
        assert (tmp_path / "file").read_bytes() == b"before"
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    def test_download_of_a_missing_key_makes_no_file(self, provider: IStorageProvider, tmp_path: Path) -> None:
        """`download`: `ObjectNotFound`; there is no file, and an old one stays."""
        refusal(ObjectNotFound, lambda: provider.download("missing", str(tmp_path / "file")), key="missing")
        refusal(InvalidRequest, lambda: provider.download("", str(tmp_path / "file")))
        assert list(tmp_path.iterdir()) == []
        (tmp_path / "file").write_bytes(b"before")
        refusal(ObjectNotFound, lambda: provider.download("missing", str(tmp_path / "file")))
        assert (tmp_path / "file").read_bytes() == b"before"

    @pytest.mark.parametrize("size", [0, 1, 4 * MIB + 9])
    def test_download_progress_sums_to_the_size(self, provider: IStorageProvider, tmp_path: Path, size: int) -> None:
        """`Progress`: called with the number of bytes moved since the last call."""
        provider.put_bytes("a", bytes(size))
        moved: list[int] = []
        provider.download("a", str(tmp_path / "file"), progress=moved.append)
        assert sum(moved) == size
        assert all(step >= 0 for step in moved)
