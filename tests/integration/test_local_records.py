"""Without extended attributes the records are files of their own: they follow their objects, and none is left over."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.errors import PreconditionFailed
from domain.storage import WriteCondition
from infrastructure.storage.local import records
from infrastructure.storage.providers import LocalProvider


@pytest.fixture
def provider(store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalProvider]:
    monkeypatch.setattr(records, "_HAS_ATTRIBUTES", False)
    provider = LocalProvider({"base_path": store, "durable": False})
    yield provider
    provider.disconnect()


def kept(store: Path) -> list[Path]:
    return [path for path in (store / ".lading" / "records").rglob("*") if path.is_file()]


def test_everything_is_kept_and_an_overwritten_object_leaves_nothing(provider: LocalProvider, store: Path) -> None:
    for number in range(5):
        provider.put_bytes("k", b"%d" % number, content_type="text/x", metadata={"n": str(number)})
        assert len(kept(store)) == 1
    info = provider.head("k")
    assert (info.content_type, info.metadata) == ("text/x", {"n": "4"})
    assert info.sha256 == hashlib.sha256(b"4").hexdigest()
    provider.copy("k", "other//key")
    assert provider.head("other//key").metadata == {"n": "4"}
    assert len(kept(store)) == 2
    provider.delete("k")
    provider.delete("other//key")
    assert kept(store) == []


def test_a_key_kept_aside_has_its_own_record(provider: LocalProvider, store: Path) -> None:
    for key in ("a", "a/b", "a//b", "A"):
        provider.put_bytes(key, b"same", metadata={"key": key})
    assert {key: provider.head(key).metadata for key in provider.list_files()} == {
        key: {"key": key} for key in ("a", "a/b", "a//b", "A")
    }


@pytest.mark.parametrize("attributes", [True, False])
def test_a_write_that_was_not_published_leaves_no_record(
    provider: LocalProvider, store: Path, monkeypatch: pytest.MonkeyPatch, attributes: bool
) -> None:
    monkeypatch.setattr(records, "_HAS_ATTRIBUTES", attributes and hasattr(records.os, "setxattr"))
    heavy = {"n": "\1" * 640}
    provider.put_bytes("k", b"1", metadata=heavy)
    before = kept(store)
    for _ in range(3):
        with pytest.raises(PreconditionFailed):
            provider.put_bytes("k", b"2", metadata=heavy, condition=WriteCondition.absent())
    with pytest.raises(ZeroDivisionError), provider.open_writer("k", metadata=heavy) as writer:
        writer.write(b"3")
        raise ZeroDivisionError
    assert kept(store) == before
    assert provider.get_bytes("k") == b"1"


@pytest.mark.parametrize("attributes", [True, False])
@pytest.mark.parametrize("value", ["\1" * 645, '"' * 1937, "é" * 322, "\\" * 1937, "\u2028" * 215])
def test_as_much_metadata_as_there_may_be_is_kept(
    provider: LocalProvider, store: Path, monkeypatch: pytest.MonkeyPatch, attributes: bool, value: str
) -> None:
    monkeypatch.setattr(records, "_HAS_ATTRIBUTES", attributes and hasattr(records.os, "setxattr"))
    provider.put_bytes("k", b"x", metadata={"n": value})
    assert provider.head("k").metadata == {"n": value}
    assert provider.head("k").sha256 == hashlib.sha256(b"x").hexdigest()
    provider.put_bytes("k", b"y", metadata={"n": "short"})
    assert provider.head("k").metadata == {"n": "short"}
    provider.delete("k")
    assert kept(store) == []


def test_a_file_edited_by_hand_has_no_hash(provider: LocalProvider, store: Path) -> None:
    provider.put_bytes("k", b"before")
    (store / "k").write_bytes(b"after")
    assert provider.head("k").sha256 is None
    assert provider.get_bytes("k") == b"after"


def test_an_object_that_is_overwritten_all_the_time_is_never_without_its_record(provider: LocalProvider) -> None:
    provider.put_bytes("k", b"x", metadata={"who": "me"})
    ended = threading.Event()

    def overwrite() -> None:
        while not ended.is_set():
            provider.put_bytes("k", b"x", metadata={"who": "me"})

    writer = threading.Thread(target=overwrite)
    writer.start()
    try:
        found = [provider.head("k") for _ in range(4000)]
    finally:
        ended.set()
        writer.join()
    assert [info for info in found if info.metadata != {"who": "me"} or info.sha256 is None] == []
