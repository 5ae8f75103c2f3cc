"""What is remembered from one run to the next, only to save work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from domain.errors import PreconditionFailed
from domain.known_hashes import KnownHashes
from domain.local_files import printable_path
from domain.storage import IStorageProvider


def known_hashes() -> KnownHashes:
    """The memory of hashes among the user's caches."""
    from infrastructure.state.hashes import RememberedHashes

    return RememberedHashes()


@contextmanager
def hold_pair(source: str, provider: IStorageProvider, prefix: str) -> Iterator[None]:
    """In its block no other sync of these two sides runs on this machine.

    Args:
        source: what the prefix is synchronised with: a folder, or the address of a store's prefix.

    Raises:
        PreconditionFailed: one is running.
    """
    from application.sides import store_name
    from infrastructure.state.locks import try_hold

    place = source if "://" in source else os.path.realpath(source)
    try:
        held: AbstractContextManager[object] | None = try_hold(
            f"sync {place} {store_name(provider)} {prefix.strip('/')}"
        )
    except OSError:  # no place for locks: two at a time waste work, and harm nothing
        held = nullcontext()
    if held is None:
        raise PreconditionFailed(
            f"another sync of {printable_path(source)!r} and {prefix!r} is running; wait for its end and run this again",
            provider=provider.name,
        )
    with held:
        yield
