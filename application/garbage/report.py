"""What a collection did, or would do."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from application.garbage.presence import Seen
from domain.errors import StorageError


class Item(NamedTuple):
    """An object that is condemned or deleted.

    Attributes:
        size: bytes.
        since: when it was found unused.
    """

    key: str
    size: int
    since: datetime


@dataclass
class PlaceReport:
    """What became of the content of one place.

    Attributes:
        name, place: which.
        kept, kept_size: objects in use, and their bytes.
        young, young_size: unused, and written too short a time ago to be condemned.
        condemned: unused for some time; they stay until the grace period is over.
        deleted: unused for long, and gone; of a dry run, what would go.
        failures: what could not be deleted.
    """

    name: str
    place: str
    kept: int = 0
    kept_size: int = 0
    young: int = 0
    young_size: int = 0
    condemned: list[Item] = field(default_factory=list)
    deleted: list[Item] = field(default_factory=list)
    failures: list[StorageError] = field(default_factory=list)


@dataclass
class GarbageReport:
    """What one run did.

    Attributes:
        dry_run: nothing was written or deleted: it says what a run would do.
        places: those that were looked at.
        deferred_by: who is writing, for which nothing was deleted.
        leftovers: leases, markers and claims of killed programs that were removed.
    """

    dry_run: bool
    places: list[PlaceReport] = field(default_factory=list)
    deferred_by: list[Seen] = field(default_factory=list)
    leftovers: int = 0
