"""The versions of a dataset that a git history tells: each commit that changed its `.dvc` file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from domain.errors import ConfigurationError, LocalFileError, StorageError
from infrastructure.dvc.dvc_file import DvcFile, parse_dvc_file
from infrastructure.dvc.git_objects import GitObjects
from infrastructure.dvc.programs import run_git

_COMMIT = "\x1e"
_FORMAT = f"--format={_COMMIT}%H%x00%aI%x00%an <%ae>%x00%B%x00"
_FIELDS = 4


class HistoryEntry(NamedTuple):
    """A commit that changed a `.dvc` file.

    Attributes:
        time: of the commit's author, as ISO 8601 with the offset there.
        author: name and mail address.
        dvc_file: what the file says since then, or None where that can't be read.
        problem: why it can't.
    """

    commit: str
    time: str
    author: str
    message: str
    dvc_file: DvcFile | None
    problem: str | None


def history(root: Path, dvc_file: str) -> Iterator[HistoryEntry]:
    """The commits behind HEAD that wrote this file, the newest first. Those that removed it are left out.

    Args:
        root: the top of the git work tree.
        dvc_file: the file's path from there.

    Raises:
        StorageError: git failed, or lacks an object.
    """
    if run_git(root, "rev-parse", "--verify", "--quiet", "HEAD", may_fail=True) is None:
        return  # no commit yet
    told = run_git(
        root, "log", "-z", "--raw", "--no-abbrev", "--no-renames", "-m", "--encoding=UTF-8",
        "--no-show-signature", "--no-color", _FORMAT, "HEAD", "--", dvc_file,
    )  # fmt: skip
    last = ""
    with GitObjects(root) as objects:
        for commit, time, author, message, blob in _parsed((told or b"").decode("utf-8", "replace")):
            if blob is None or commit == last:  # a merge that is like none of its parents is told for each of them
                continue
            last = commit
            found, problem = None, None
            try:
                found = parse_dvc_file(
                    objects.blob(blob, f"{dvc_file!r} of {commit[:12]}"), f"{commit[:12]}:{dvc_file}"
                )
            except ConfigurationError:
                raise
            except LocalFileError as error:
                problem = str(error)
            yield HistoryEntry(commit, time, author, message.strip(), found, problem)


def _parsed(told: str) -> Iterator[tuple[str, str, str, str, str | None]]:
    """Commit, time, author, message, and the name of the blob or None, of each entry of a log in our format."""
    fields = told.split("\0")
    start = 0
    while start < len(fields):
        head = fields[start].lstrip("\n")
        if not head.startswith(_COMMIT):
            start += 1
            continue
        if start + _FIELDS > len(fields):
            raise StorageError("'git log' ended in the middle of a commit; run this again")
        commit, time, author, message = head[1:], *fields[start + 1 : start + _FIELDS]
        start += _FIELDS
        blob = None
        while start < len(fields) and not fields[start].lstrip("\n").startswith(_COMMIT):
            raw = fields[start].lstrip("\n")
            if raw.startswith(":"):
                mode, name = raw.split()[1], raw.split()[3]
                blob = None if mode in {"000000", "120000"} else name
                start += 1  # and the path, which may look like anything
            start += 1
        yield commit, time, author, message, blob
