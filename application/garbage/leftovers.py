"""What killed programs left among the records: leases, markers and claims that nobody will ever take back."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from itertools import chain

from application.dataset_records import ALIASES, RECORDS
from application.garbage.leases import LEASES, SWEEPS
from application.garbage.presence import others
from domain.errors import StorageError
from domain.storage import IStorageProvider

_CLAIM = re.compile(r".*/[1-9]\d{0,8}\.[0-9a-f]{16}\.claim", re.ASCII | re.DOTALL)
_CLAIM_IS_DEAD = timedelta(days=1)


def leftovers(provider: IStorageProvider, now: datetime) -> list[str]:
    """The keys of those there are.

    Args:
        now: by the store's clock.
    """
    _, leases = others(provider, LEASES, now)
    _, markers = others(provider, SWEEPS, now)
    claims = (
        info.key
        for info in chain(provider.list_objects(RECORDS), provider.list_objects(ALIASES))
        if _CLAIM.fullmatch(info.key) and now - info.last_modified > _CLAIM_IS_DEAD
    )
    return [*leases, *markers, *claims]


def remove_leftovers(provider: IStorageProvider, now: datetime) -> int:
    """Remove them; how many. One that can't be removed is for the next time."""
    keys = leftovers(provider, now)
    failed: list[StorageError] = provider.delete_many(keys)
    return len(keys) - len(failed)
