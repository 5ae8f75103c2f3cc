"""Which files of a folder or a prefix a transfer is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Matcher = Callable[[str], bool]
"""Whether a name below the root, a folder's with a '/' at its end, is meant. Patterns are a library's business."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What is looked at. A name that is left out is left out on both sides: neither moved nor deleted.

    Attributes:
        included: only these; None for all.
        excluded: not these, whether included or not.
        size_min, size_max: bytes, both inclusive; what is smaller or larger is neither moved nor deleted.
        max_files: at most so many are moved, the first ones by name.
    """

    included: Matcher | None = None
    excluded: Matcher | None = None
    size_min: int = 0
    size_max: int | None = None
    max_files: int | None = None

    def leaves_out(self, name: str) -> bool:
        """Whether this name is not looked at."""
        if self.excluded and self.excluded(name):
            return True
        # A folder may hold what is included, whatever it is called itself.
        return bool(self.included and not name.endswith("/") and not self.included(name))

    @property
    def name_filter(self) -> Matcher | None:
        """`leaves_out`, or None where every name is looked at."""
        return self.leaves_out if self.included or self.excluded else None

    def takes(self, size: int) -> bool:
        """Whether a file of so many bytes is meant."""
        return size >= self.size_min and (self.size_max is None or size <= self.size_max)
