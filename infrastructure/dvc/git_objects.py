"""The objects of a git repository, read one after the other by one process."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from domain.errors import StorageError
from domain.local_files import printable_path
from infrastructure.dvc.programs import GIT_ENVIRONMENT, clean_environment, missing_git

AS_IT_IS = {"GIT_GRAFT_FILE": os.devnull, "GIT_NO_LAZY_FETCH": "1", "GIT_NO_REPLACE_OBJECTS": "1"}
"""Has git show the objects and the history that are here: none fetched from elsewhere, none in the place of another."""


class GitObjects:
    """The content of git's objects by their names. Used as a context manager."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository

    def __enter__(self) -> Self:
        try:
            self._process = subprocess.Popen(
                ["git", "cat-file", "--batch"],  # noqa: S607 - the one on PATH
                cwd=self._repository,
                env=clean_environment({**GIT_ENVIRONMENT, **AS_IT_IS}),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except FileNotFoundError as error:
            raise missing_git() from error
        return self

    def blob(self, name: str, wanted_for: str) -> bytes:
        """The bytes of the blob with this name, which is a hash.

        Args:
            wanted_for: what it is, for a message.

        Raises:
            StorageError: it can't be read.
        """
        process = self._process
        assert process.stdin is not None and process.stdout is not None  # noqa: S101 - it was made with both
        header: list[bytes] = []
        data = b""
        try:
            process.stdin.write(name.encode() + b"\n")
            process.stdin.flush()
            header = process.stdout.readline().split()
            if len(header) == 3 and header[1] == b"blob":
                size = int(header[2])
                data = process.stdout.read(size)
                if len(data) == size and process.stdout.read(1) == b"\n":
                    return data
        except OSError:
            pass
        why = "it is missing" if header[1:] == [b"missing"] else "git can't read it"
        raise StorageError(
            f"{wanted_for} ({name[:12]}) of the repository {printable_path(self._repository)!r}: {why}; "
            "run 'git fsck' there, or fetch what is missing"
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process as process:  # closes its pipes and waits
            if kind is not None:
                process.kill()
