"""What is different between the files of two versions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from domain.manifests import FileEntry


class Change(NamedTuple):
    """A file that both versions have, with another content or another name."""

    before: FileEntry
    after: FileEntry


@dataclass(slots=True)
class Differences:
    """What has to be done to the files of one version to have those of another.

    Attributes:
        added, removed: files that one of them has only.
        changed: files of one name and different contents.
        renamed: files of one content that have another name.
        unchanged: how many are the same.
    """

    added: list[FileEntry] = field(default_factory=list)
    removed: list[FileEntry] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    renamed: list[Change] = field(default_factory=list)
    unchanged: int = 0

    @property
    def bytes_added(self) -> int:
        """Of files that are new, and of the new contents of those that changed."""
        return sum(entry.size for entry in self.added) + sum(change.after.size for change in self.changed)

    @property
    def bytes_removed(self) -> int:
        """Of files that are gone, and of the old contents of those that changed."""
        return sum(entry.size for entry in self.removed) + sum(change.before.size for change in self.changed)


def differences_of_files(before: Iterable[FileEntry], after: Iterable[FileEntry]) -> Differences:
    """Compare two versions' files; both come in UTF-8 byte order of the names, and are read as they come."""
    found = Differences()
    left, right = iter(before), iter(after)
    old, new = next(left, None), next(right, None)
    while old is not None or new is not None:
        if new is None or (old is not None and old.name < new.name):
            assert old is not None  # noqa: S101 - for the type checker
            found.removed.append(old)
            old = next(left, None)
        elif old is None or new.name < old.name:
            found.added.append(new)
            new = next(right, None)
        else:
            if old.md5 == new.md5:
                found.unchanged += 1
            else:
                found.changed.append(Change(old, new))
            old, new = next(left, None), next(right, None)
    _pair_up(found)
    return found


def _pair_up(found: Differences) -> None:
    """What is gone under one name and new under another was renamed; of several of one content each only once."""
    gone: dict[str, list[FileEntry]] = {}
    for entry in reversed(found.removed):
        gone.setdefault(entry.md5, []).append(entry)
    added = []
    for entry in found.added:
        if same := gone.get(entry.md5):
            found.renamed.append(Change(same.pop(), entry))
        else:
            added.append(entry)
    if found.renamed:
        renamed = {change.before.name for change in found.renamed}
        found.added = added
        found.removed = [entry for entry in found.removed if entry.name not in renamed]
