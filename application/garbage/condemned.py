"""What a collection found to be unused, written down, so that a later one can delete what was unused for long.

`.lading/gc/condemned/<place>/<time>-<token>.jsonl` has a first line with the format and the place, then a line for each object:
`["address", "etag", "last modified", "since"]`. An object that was written again since is another one. A new list takes
the place of those before it; whatever is lost of them is condemned anew, from then on.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from application.garbage.addresses import Contents, packed, unpacked
from domain.errors import ContentCorrupted, InvalidRequest, ObjectNotFound, UnsupportedOperation
from domain.objects import ObjectInfo
from domain.storage import IStorageProvider

CONDEMNED = ".lading/gc/condemned/"

_FORMAT = "lading.condemned/1"
_TOGETHER = 1000


class Condemned(NamedTuple):
    """An object that was found unused.

    Attributes:
        state: what tells it from another under the same key, as `state_of` says it.
        since: when it was found unused first and never in use after, by the store's clock.
    """

    state: str
    since: datetime


def state_of(info: ObjectInfo) -> str:
    """What tells an object from one that is written in its place: of the same content the ETag may be the same."""
    return f"{info.etag} {info.last_modified.astimezone(UTC).isoformat()}"


class CondemnedList:
    """What is condemned in one place.

    Args:
        provider: of the records; the place may be at another.
    """

    def __init__(self, provider: IStorageProvider, contents: Contents) -> None:
        self._provider = provider
        self._contents = contents
        self._place = contents.place
        self._prefix = f"{CONDEMNED}{hashlib.sha256(self._place.encode()).hexdigest()[:16]}/"

    def read(self) -> tuple[dict[bytes, Condemned], list[str]]:
        """What is condemned, by address, and the keys of the lists that say so.

        Raises:
            ContentCorrupted: a list is damaged.
            UnsupportedOperation: it is of a later format.
        """
        found: dict[bytes, Condemned] = {}
        keys = [info.key for info in self._provider.list_objects(self._prefix)]
        read = []
        for key in keys:
            try:
                data = self._provider.get_bytes(key)
            except ObjectNotFound:
                continue  # another collection has written a newer one
            read.append(key)
            for address, one in self._lines(key, data):
                before = found.get(address)
                # Of two lists, by two collections at once, what is said later counts.
                if before is None or one.since > before.since:
                    found[address] = one
        return found, read

    def _lines(self, key: str, data: bytes) -> Iterator[tuple[bytes, Condemned]]:
        times: dict[str, datetime] = {}
        lines = iter(data.splitlines())
        try:
            head = json.loads(next(lines, b""))
            if str(head["format"]).startswith("lading.condemned/") and head["format"] != _FORMAT:
                raise UnsupportedOperation(
                    f"{key!r} has the format {head['format']!r}; a newer version reads it", key=key
                )
            if (head["format"], head["place"]) != (_FORMAT, self._place):
                raise ValueError("it is of another place")
            for line in lines:
                address, etag, modified, since = json.loads(line)
                if since not in times:
                    times[since] = datetime.fromisoformat(since).astimezone(UTC)
                yield packed(self._contents.scheme.checked(address)), Condemned(f"{etag} {modified}", times[since])
        except (ValueError, KeyError, TypeError, RecursionError, InvalidRequest) as error:
            raise ContentCorrupted(
                f"the list of unused content {key!r} is damaged, and nothing was deleted; delete the list: what it names is "
                "found anew",
                provider=self._provider.name,
                key=key,
            ) from error

    def replace(self, condemned: Mapping[bytes, Condemned], before: Iterable[str], now: datetime) -> list[str]:
        """Write a new list, or none where nothing is condemned, and delete those before it; the keys of what there is now."""
        keys = []
        if condemned:
            key = f"{self._prefix}{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(8)}.jsonl"
            with self._provider.open_writer(key, content_type="application/x-ndjson") as writer:
                for piece in self._written(condemned):
                    writer.write(piece)
                writer.commit()
            keys.append(key)
        for error in self._provider.delete_many(before):
            raise error
        return keys

    def _written(self, condemned: Mapping[bytes, Condemned]) -> Iterator[bytes]:
        yield json.dumps({"format": _FORMAT, "place": self._place}).encode() + b"\n"
        lines: list[str] = []
        for address, (state, since) in condemned.items():
            etag, _, modified = state.rpartition(" ")
            lines.append(json.dumps([unpacked(address), etag, modified, since.isoformat()]) + "\n")
            if len(lines) >= _TOGETHER:
                yield "".join(lines).encode()
                lines.clear()
        yield "".join(lines).encode()
