"""What others than this program need of a DVC store, for whoever cleans it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path


def named_by_repositories(repositories: Sequence[Path]) -> Callable[[], Iterator[tuple[str, str]]]:
    """Gives the addresses that any commit of these git repositories names, each with the place where.

    Raises, when called:
        StorageError: a repository can't be read to its end.
    """

    def named() -> Iterator[tuple[str, str]]:
        from infrastructure.dvc.roots import referenced_objects

        for repository in repositories:
            yield from referenced_objects(repository)

    return named
