"""What a git repository refers to in a DVC store: every address in any version of a `.dvc` or `dvc.lock` file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from domain.content import DVC_MD5
from domain.errors import ConfigurationError, StorageError
from domain.local_files import LocalSource, printable_path
from infrastructure.dvc.git_objects import GitObjects
from infrastructure.dvc.programs import run_git

_ADDRESS = re.compile(rb"(?<![0-9A-Fa-f])([0-9A-Fa-f]{32})(\.dir)?(?![0-9A-Fa-f])")
_CHUNK_BYTES = 1 << 20


class Reference(NamedTuple):
    """An address that somebody's repository names.

    Attributes:
        address: 32 hex digits, with `.dir` after those of a folder's manifest. What the manifest names in turn only the
            store knows.
        where: the file that names it, for a message; a version of it as `<blob>:<path>`.
    """

    address: str
    where: str


def referenced_objects(repository: Path) -> Iterator[Reference]:
    """Every address that this repository names, each once for each file that does, for whoever is to delete all the others.

    Looked at are all commits behind every branch, tag, remote branch, stash, HEAD and entry of a reflog, of all work trees;
    what is staged; and the files of every work tree as they are now, also those that git does not know. Too many addresses
    do no harm and one too few loses data, so that whatever in such a file looks like an address is one: also in a file
    that is no YAML, and with the hashes of DVC 2.

    Raises:
        StorageError: something can't be read, or the clone has not all of the history. What was given until then is no answer.
        ConfigurationError: it is no git repository, or git is not installed.
    """
    shown = printable_path(repository)
    if not repository.is_dir() or run_git(repository, "rev-parse", "--git-dir", may_fail=True) is None:
        raise ConfigurationError(f"{shown!r} is no git repository; name the folder of one that uses DVC")
    if (run_git(repository, "rev-parse", "--is-shallow-repository") or b"").strip() != b"false":
        raise StorageError(
            f"the clone {shown!r} has not all of the history, and so can't tell what is in use; run 'git fetch --unshallow'"
        )
    with GitObjects(repository) as objects:
        for blob, path in _versions(repository):
            where = f"{blob[:12]}:{printable_path(os.fsdecode(path))}"
            yield from _found(objects.blob(blob, f"the version {where!r}"), where)
    for work_tree in _work_trees(repository):
        for file in _files(work_tree):
            with LocalSource(file) as source:
                parts = []
                while part := source.read(_CHUNK_BYTES):
                    parts.append(part)
            yield from _found(b"".join(parts), printable_path(file))


def _names_data(path: bytes) -> bool:
    name = path.rpartition(b"/")[2]
    return name.endswith(b".dvc") or name == b"dvc.lock" or (name.endswith(b".lock") and b"dvc" in name)


def _versions(repository: Path) -> Iterator[tuple[str, bytes]]:
    """The name and the path of each version of the files that matter, in history and staged."""
    seen: set[bytes] = set()
    arguments = (
        "log", "--all", "--reflog", "--full-history", "-m", "--root", "--raw", "-z", "--no-abbrev", "--no-renames",
        "--no-show-signature", "--diff-filter=d", "--format=",
    )  # fmt: skip
    told = (run_git(repository, *arguments) or b"").split(b"\0")
    fields = iter(told)
    for field in fields:
        header = field.strip(b"\n")
        if not header.startswith(b":"):
            continue
        _, mode, _, blob, _ = header.split()
        path = next(fields)
        if _names_data(path) and blob not in seen:
            seen.add(blob)
            yield from _checked(mode, blob, path)
    if (run_git(repository, "rev-parse", "--is-bare-repository") or b"").strip() == b"true":
        return
    for work_tree in _work_trees(repository):
        for entry in (run_git(work_tree, "ls-files", "--stage", "-z") or b"").split(b"\0"):
            header, _, path = entry.partition(b"\t")
            if _names_data(path):
                mode, blob, _ = header.split()
                if blob not in seen:
                    seen.add(blob)
                    yield from _checked(mode, blob, path)


def _checked(mode: bytes, blob: bytes, path: bytes) -> Iterator[tuple[str, bytes]]:
    # A link names nothing itself, and what it points at is looked at by itself; a submodule is a repository of its own.
    if mode not in {b"120000", b"160000"}:
        yield blob.decode(), path


def _work_trees(repository: Path) -> list[Path]:
    """The folders of all work trees that are there."""
    found = []
    for block in (run_git(repository, "worktree", "list", "--porcelain", "-z") or b"").split(b"\0\0"):
        lines = block.split(b"\0")
        if lines[0].startswith(b"worktree ") and b"bare" not in lines:
            path = Path(os.fsdecode(lines[0].removeprefix(b"worktree ")))
            if path.is_dir():
                found.append(path)
    return found


def _files(work_tree: Path) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise StorageError(
            f"{printable_path(error.filename or work_tree)!r} can't be listed: {error.strerror}; what it names would be lost"
        ) from error

    for folder, folders, names in os.walk(work_tree, onerror=refuse):
        if ".git" in folders:
            folders.remove(".git")
        if os.path.basename(folder) == ".dvc":
            folders[:] = []  # its cache and its temporary files
        for name in names:
            if _names_data(os.fsencode(name)):
                yield os.path.join(folder, name)


def _found(data: bytes, where: str) -> Iterator[Reference]:
    for digits, suffix in set(_ADDRESS.findall(data)):
        yield Reference(DVC_MD5.checked((digits.lower() + suffix).decode()), where)
