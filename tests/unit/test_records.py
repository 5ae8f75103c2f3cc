"""The record of a file: kept beside its bytes, about one state of it, and never a reason to fail."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infrastructure.storage.local import records
from infrastructure.storage.local.records import NOTHING, Record, forget, load, save

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
RECORDS = st.builds(
    Record,
    st.one_of(st.none(), st.binary(min_size=32, max_size=32).filter(any)),
    st.one_of(st.none(), st.just("text/x; a=b")),
    st.dictionaries(st.from_regex(r"[a-z0-9-]{1,9}", fullmatch=True), TEXT, max_size=3),
)


@pytest.fixture(params=["attribute", "sidecar"])
def kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "sidecar":
        monkeypatch.setattr(records, "_HAS_ATTRIBUTES", False)
    return str(request.param)


def test_a_record_comes_back(kept: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("records")
    path, side = folder / "file", str(folder / "side")

    @settings(deadline=None, max_examples=50)
    @given(RECORDS, st.binary(max_size=20))
    def check(record: Record, data: bytes) -> None:
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        fd = os.open(path, os.O_RDWR)
        try:
            save(record, fd, os.fstat(fd), side, "k")
            assert load(fd, os.fstat(fd), side, "k") == record
        finally:
            forget(os.fstat(fd), side, "k")
            os.close(fd)

    check()
    assert [file for file in (folder / "side").rglob("*") if file.is_file()] == []


def test_an_ordinary_record_is_49_bytes(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x")
    fd = os.open(path, os.O_RDWR)
    try:
        save(Record(bytes(range(32))), fd, os.fstat(fd), str(tmp_path / "side"), "k")
    finally:
        os.close(fd)
    try:
        assert len(os.getxattr(path, "user.lading")) == 49
        assert not (tmp_path / "side").exists()
    except OSError:
        assert (tmp_path / "side").exists()


@settings(deadline=None, max_examples=100)
@given(
    st.one_of(
        st.binary(max_size=80),
        st.binary(max_size=30).map(lambda tail: struct.pack(">BQQ32s", 1, 1, 1, bytes(32)) + tail),
        st.recursive(
            st.one_of(st.none(), st.integers(), st.text(max_size=5)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=2),
                st.dictionaries(st.sampled_from(["content_type", "metadata", "x"]), inner, max_size=2),
            ),
            max_leaves=5,
        ).map(lambda tail: struct.pack(">BQQ32s", 1, 1, 1, bytes(32)) + json.dumps(tail).encode()),
    )
)
def test_a_record_that_others_wrote_or_that_is_damaged_is_no_failure(packed: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "_attribute", lambda fd: packed)
        record = load(-1, os.stat("."), "/nonexistent", "k")
    assert record.sha256 is None or len(record.sha256) == 32
    assert record.content_type is None or isinstance(record.content_type, str)
    assert all(isinstance(value, str) for value in dict(record.metadata).values())


def test_a_record_of_a_later_version_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_attribute", lambda fd: struct.pack(">BQQ32s", 2, 1, 1, b"x" * 32))
    assert load(-1, os.stat("."), "/nonexistent", "k") == NOTHING
