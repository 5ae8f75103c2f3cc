"""What went to the trash, as a record that outlives the program: one of each transfer that deleted or replaced something.

A record is a JSON document of version 1, written before anything moves:
`{"version": 1, "id": …, "when": …, "who": …, "why": …, "undoes": …, "entries": [{"name": …, "size": …, "state": …,
"kind": "deleted" | "replaced", "place": …}]}`, where `place` is there for an entry that is kept under another name than its own.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from domain.errors import ContentCorrupted, InvalidRequest, UnsupportedOperation
from domain.keys import shortened

VERSION = 1

TRASH_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4,16}", re.ASCII)
"""What a record is called: they sort by time."""

_WRITTEN_TOGETHER = 1000


class Trashed(NamedTuple):
    """One thing that goes to the trash.

    Attributes:
        name: the key at a provider; on the local side the path below the folder, with '/' between names.
        size: bytes.
        state: what it was when this was planned: the ETag of an object, `application.local_tree.state_of` of a file;
            empty where it does not matter.
        replaced: True for what stays in its place, to be replaced, and of which the trash gets a copy; False for what is
            deleted, and moves.
    """

    name: str
    size: int
    state: str
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class TrashRecord:
    """What one transfer, or one undo, put into the trash.

    Attributes:
        id: a `TRASH_ID`.
        when: timezone-aware UTC.
        who: user and machine.
        why: a few words.
        undoes: the record whose undoing replaced these; empty where it was no undoing.
        places: under which name the trash keeps an entry, for those that can't be kept under their own.
    """

    id: str
    when: datetime
    who: str
    why: str
    entries: Sequence[Trashed]
    undoes: str
    places: dict[str, str]

    @property
    def size(self) -> int:
        """Bytes of all entries, as they were when the record was made."""
        return sum(entry.size for entry in self.entries)

    def encoded(self) -> Iterator[bytes]:
        """The JSON document, in pieces."""
        head = {"version": VERSION, "id": self.id, "when": self.when.isoformat(), "who": self.who, "why": self.why}
        yield (json.dumps(head | {"undoes": self.undoes})[:-1] + ', "entries": [').encode()
        for start in range(0, len(self.entries), _WRITTEN_TOGETHER):
            lines = [json.dumps(self._as_dict(one)) for one in self.entries[start : start + _WRITTEN_TOGETHER]]
            yield ((",\n" if start else "\n") + ",\n".join(lines)).encode()
        yield b"\n]}\n"

    def _as_dict(self, entry: Trashed) -> dict[str, Any]:
        kind = "replaced" if entry.replaced else "deleted"
        told = {"name": entry.name, "size": entry.size, "state": entry.state, "kind": kind}
        return told | ({"place": self.places[entry.name]} if entry.name in self.places else {})


def new_trash_id(now: datetime) -> str:
    """An id for a record made at `now` (UTC). Of two made within one second, the later one has the greater id."""
    return f"{now:%Y%m%dT%H%M%SZ}-{now.microsecond:05x}{secrets.token_hex(2)[:3]}"


def time_of(trash_id: str) -> datetime:
    """When the record with this id was made; the oldest time there is where the id has none that can be."""
    try:
        return datetime.strptime(trash_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def check_trash_id(trash_id: str) -> str:
    """Return `trash_id` if a record can be called so.

    Raises:
        InvalidRequest: it can't.
    """
    if not TRASH_ID.fullmatch(trash_id):
        raise InvalidRequest(f"{trash_id!r} is no id of the trash; 'storage trash list' shows those there are")
    return trash_id


def decoded_record(data: bytes, trash_id: str) -> TrashRecord:
    """The record that `encoded` wrote. What its names may be is for the side that they are names of to check.

    Raises:
        ContentCorrupted: it is damaged, or of another id than `trash_id`.
        UnsupportedOperation: it is of a later version.
    """
    try:
        told = json.loads(data)
        if told["version"] != VERSION:
            raise UnsupportedOperation(
                f"the record {trash_id} of the trash is of version {told['version']!r}; "
                f"this program knows version {VERSION}: use a newer one"
            )
        if told["id"] != trash_id:
            raise ValueError(f"it calls itself {told['id']!r}")
        when = datetime.fromisoformat(told["when"]).astimezone(UTC)
        entries = [_entry(one) for one in told["entries"]]
        places = {one["name"]: _text(one["place"]) for one in told["entries"] if "place" in one}
        if len({entry.name for entry in entries}) != len(entries):
            raise ValueError("it has a name twice")
        return TrashRecord(
            trash_id, when, _text(told["who"]), _text(told["why"]), entries, _text(told["undoes"]), places
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise damaged(trash_id, what) from error


def damaged(trash_id: str, what: str) -> ContentCorrupted:
    """The error for a record that is not as this program writes them."""
    return ContentCorrupted(
        f"the record {trash_id} of the trash is damaged ({shortened(what)}); nothing was done with it, "
        "and what it kept is still beside it"
    )


def _entry(told: dict[str, Any]) -> Trashed:
    size = told["size"]
    if type(size) is not int or size < 0 or told["kind"] not in {"deleted", "replaced"}:
        raise ValueError(f"an entry of size {size!r} and kind {told['kind']!r}")
    return Trashed(_text(told["name"]), size, _text(told["state"]), told["kind"] == "replaced")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    value.encode()
    return value
