"""Records that are numbered from 1 on, written once, and never lost to another writer's.

The record `n` is the object `<prefix><n>.json`. Where the bucket can create only if absent, writing it so is all there is to it.
Where it can't, a writer first claims the number by an object of its own, `<n>.<token>.claim`, and looks whether there is another
claim, and then whether there is the record itself: whoever sees a rival withdraws, so at most one goes on, and the record is
that one's alone to write. That needs nothing of a store but that a listing shows what was written before it began.
"""

from __future__ import annotations

import random
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta

from application.garbage.presence import steady
from domain.errors import ObjectNotFound, PreconditionFailed, StorageError
from domain.objects import WriteCondition
from domain.storage import IStorageProvider

_NAME = re.compile(r"([1-9]\d{0,8})\.(?:json|([0-9a-f]{16})\.claim)", re.ASCII)

_ATTEMPTS = 200
"""A writer loses a number only to another that wins one, or to one that withdraws at the same moment."""
_PAUSE_SECONDS = 0.05
_PATIENCE = 30
"""So many times one and the same claim is in the way before who needs that very number gives up: some ten seconds."""

_DEAD = timedelta(minutes=10)
"""A claim that is so much older than the next is a killed writer's; both times are the store's."""
_LATE_SECONDS = 120.0
"""Who needs longer than this to see that the number is its own withdraws: others may soon take it for dead."""

_CONTENT_TYPE = "application/json"


def number_of(name: str) -> int:
    """The number of the record with this name, which is the end of its key; 0 where it is no record's."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found and not found[2] else 0


class NumberedRecords:
    """The records under one prefix of a store.

    Args:
        prefix: ends in '/'.
    """

    def __init__(self, provider: IStorageProvider, prefix: str) -> None:
        self._provider = provider
        self._prefix = prefix

    def numbers(self) -> list[int]:
        """The numbers that have a record, in order."""
        return sorted(number for number, claim in self._names() if not claim)

    def latest(self) -> tuple[int, bytes] | None:
        """The last record with its number; None where there is none."""
        for number in reversed(self.numbers()):
            try:
                return number, self.read(number)
            except ObjectNotFound:  # deleted since
                continue
        return None

    def read(self, number: int) -> bytes:
        """A record.

        Raises:
            ObjectNotFound: there is none with this number.
        """
        return self._provider.get_bytes(self._key(number))

    def read_all(self) -> Iterator[tuple[int, bytes]]:
        """Every record, in order of the numbers.

        Raises:
            StorageError: one can't be read.
        """
        numbers = self.numbers()
        found = dict(self._provider.get_many([self._key(number) for number in numbers]))
        for number in numbers:
            data = found.get(self._key(number))
            if isinstance(data, ObjectNotFound):
                continue
            if isinstance(data, StorageError):
                raise data
            if data is not None:
                yield number, data

    def append(self, made: Callable[[int], bytes], *, after: int | None = None) -> int:
        """Write the next record; its number.

        Args:
            made: the record for a number; called anew for each that is tried.
            after: the number that the last record must have, 0 for none; None for any.

        Raises:
            PreconditionFailed: the last record is another one, somebody was killed a few minutes ago who wrote the next, or
                other writers are faster again and again.
        """
        met: Counter[str] = Counter()
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(random.random() * _PAUSE_SECONDS * min(attempt, 20))  # noqa: S311 - to part from the others
            names = list(self._names())
            if after is None:
                number = max((number for number, _ in names), default=0) + 1
            elif max((number for number, claim in names if not claim), default=0) == after:
                number = after + 1  # nobody else's: of two that set the same thing anew one has to hear of the other
            else:
                raise PreconditionFailed(
                    f"there is a newer record than number {after} under {self._prefix!r}; look at it and run this again",
                    provider=self._provider.name,
                    key=self._key(after + 1),
                )
            if self._write(number, made(number)):
                return number
            met.update(claim for at, claim in names if at == number and claim)
            if after is not None and max(met.values(), default=0) > _PATIENCE:
                raise PreconditionFailed(
                    f"somebody is writing record number {number} under {self._prefix!r}, or was killed at it; run this again in "
                    f"{_DEAD.seconds // 60} minutes",
                    provider=self._provider.name,
                    key=self._key(number),
                )
        raise PreconditionFailed(
            f"other writers were faster {_ATTEMPTS} times under {self._prefix!r}; run this again",
            provider=self._provider.name,
        )

    def replace(self, number: int, data: bytes) -> None:
        """Write another record in the place of one that is there."""
        self._provider.put_bytes(self._key(number), data, content_type=_CONTENT_TYPE)

    def _write(self, number: int, data: bytes) -> bool:
        if self._provider.capabilities.create_if_absent:
            try:
                self._provider.put_bytes(
                    self._key(number), data, content_type=_CONTENT_TYPE, condition=WriteCondition.absent()
                )
            except PreconditionFailed:
                return False
            return True
        claim = f"{self._prefix}{number}.{secrets.token_hex(8)}.claim"
        began = steady()
        self._provider.put_bytes(claim, b"", content_type="application/octet-stream")
        claims = {
            info.key: info.last_modified
            for info in self._provider.list_objects(f"{self._prefix}{number}.")
            if (found := _NAME.fullmatch(info.key, len(self._prefix))) and found[2]
        }
        mine = claims.pop(claim, None)
        won = mine is not None and all(mine - when > _DEAD for when in claims.values())
        # A rival may have written the record and taken back its claim while the listing went on, which then shows neither.
        won = won and not self._provider.exists(self._key(number)) and steady() - began < _LATE_SECONDS
        if won:
            # Where this fails the claim stays, and nobody else takes this number: the record may have been written all the same.
            self._provider.put_bytes(self._key(number), data, content_type=_CONTENT_TYPE)
        # After the record: who looks for both, one after the other, always finds one. What can't be deleted dies.
        with suppress(StorageError):
            self._provider.delete(claim)
        return won

    def _names(self) -> Iterator[tuple[int, str]]:
        for info in self._provider.list_objects(self._prefix):
            if found := _NAME.fullmatch(info.key, len(self._prefix)):
                yield int(found[1]), found[2] or ""

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number}.json"
