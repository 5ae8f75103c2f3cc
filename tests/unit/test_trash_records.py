"""The record of the trash as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.errors import StorageError
from domain.trash import TRASH_ID, Trashed, TrashRecord, decoded_record, new_trash_id, time_of

texts = st.text(st.characters(codec="utf-8"), max_size=20)
entries = st.builds(Trashed, texts, st.integers(0, 1 << 60), texts, st.booleans())
times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
ID = "20261120T224549Z-1e240a7f"


@given(st.lists(entries, unique_by=lambda entry: entry.name), texts, texts, times)
def test_what_is_written_is_read(found: list[Trashed], who: str, why: str, when: datetime) -> None:
    places = {entry.name: "elsewhere" for entry in found[::2]}
    record = TrashRecord(ID, when, who, why, found, "", places)
    data = b"".join(record.encoded())
    assert json.loads(data)["version"] == 1
    assert decoded_record(data, ID) == record


def test_many_entries_in_pieces() -> None:
    found = [Trashed(f"k{number}", number, "e") for number in range(2001)]
    pieces = list(TrashRecord(ID, datetime.now(UTC), "me", "why", found, "", {}).encoded())
    assert len(pieces) > 3
    assert decoded_record(b"".join(pieces), ID).entries == found


@given(st.binary(max_size=200), st.integers(0, 400))
def test_damage_is_an_error_of_ours(noise: bytes, at: int) -> None:
    record = TrashRecord(ID, datetime.now(UTC), "me", "why", [Trashed("a", 1, "e")], "", {"a": "b"})
    data = b"".join(record.encoded())
    try:
        decoded_record(data[:at] + noise + data[at + len(noise) :], ID)
    except StorageError as error:
        assert ID in str(error)


@given(times, st.timedeltas(timedelta(microseconds=1), timedelta(days=1000)))
def test_ids_sort_by_time(when: datetime, later: timedelta) -> None:
    first, second = new_trash_id(when), new_trash_id(when + later)
    assert first < second
    assert TRASH_ID.fullmatch(first)
    assert time_of(first) == when.replace(microsecond=0)
    assert time_of("99999999T999999Z-0000") < when
