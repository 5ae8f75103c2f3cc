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
from infrastructure.dvc.git_objects import AS_IT_IS, GitObjects
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
    if _git(repository, "rev-parse", "--is-shallow-repository").strip() != b"false":
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
    return name.endswith(b".dvc") or (name.endswith(b".lock") and b"dvc" in name)


def _git(folder: Path, *arguments: str, given: bytes | None = None) -> bytes:
    environment = {**AS_IT_IS, "GIT_LITERAL_PATHSPECS": "0"}
    return run_git(folder, *arguments, given=given, environment=environment) or b""


def _versions(repository: Path) -> Iterator[tuple[str, bytes]]:
    """The name and the path of each version of the files that matter, in history and staged."""
    # A commit is compared with each of its parents, the first one with nothing: what is in any commit is new in one.
    commits = _git(repository, "rev-list", "--all", "--reflog")
    changes = ("--stdin", "-m", "--root", "-r", "-z", "--raw", "--no-commit-id", "--no-renames", "--diff-filter=d")
    told = (
        _git(repository, "diff-tree", *changes, "--", ":(top)*.dvc", ":(top)*.lock", given=commits) if commits else b""
    )
    named = []
    fields = iter(told.split(b"\0"))
    for header in fields:
        if header:
            _, mode, _, blob, _ = header.split()
            named.append((mode, blob, next(fields)))
    for work_tree in _work_trees(repository):
        for entry in _git(work_tree, "ls-files", "--stage", "-z").split(b"\0"):
            if entry:
                header, _, path = entry.partition(b"\t")
                mode, blob, _ = header.split()
                named.append((mode, blob, path))
    seen = set()
    for mode, blob, path in named:
        # A link names nothing itself, and what it points at is looked at by itself; a submodule is a repository of its own.
        if mode not in {b"120000", b"160000"} and blob not in seen and _names_data(path):
            seen.add(blob)
            yield blob.decode(), path


def _work_trees(repository: Path) -> list[Path]:
    """The folders of all work trees.

    Raises:
        StorageError: one is not there, and git does not think it gone for good.
    """
    listing = ("worktree", "list", "--porcelain")
    told = run_git(repository, *listing, "-z", may_fail=True)
    if told is None:  # a git before 2.36, which has no way to say a name with a line break
        told = _git(repository, *listing).replace(b"\n", b"\0")
    found = []
    for block in told.split(b"\0\0"):
        lines = block.split(b"\0")
        if not lines[0].startswith(b"worktree ") or b"bare" in lines:
            continue
        path = Path(os.fsdecode(lines[0].removeprefix(b"worktree ")))
        if path.is_dir():
            found.append(path)
        elif not any(line.startswith(b"prunable") for line in lines):
            raise StorageError(
                f"the work tree {printable_path(path)!r} is not there, and what it names would be lost; bring it back, or run "
                "'git worktree prune'"
            )
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
