"""Promises of `WriteCondition`: true against all other writers, or refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from domain.errors import PreconditionFailed, UnsupportedOperation
from domain.storage import IStorageProvider, ObjectInfo, WriteCondition
from infrastructure.storage.contract.group import (
    MIB,
    PromiseGroup,
    at_once,
    content,
    facts,
    listed,
    refusal,
    succeeded,
    two_of_one_bucket,
)
from infrastructure.storage.contract.harness import Harness

_ROUNDS, _RIVALS = 10, 8
_COUNTERS, _STEPS = 4, 10


def _with_writer(provider: IStorageProvider, condition: WriteCondition, folder: Path) -> ObjectInfo:
    with provider.open_writer("a", condition=condition) as writer:
        writer.write(b"new")
    return writer.info


def _with_upload(provider: IStorageProvider, condition: WriteCondition, folder: Path) -> ObjectInfo:
    (folder / "file").write_bytes(b"new")
    return provider.upload(str(folder / "file"), "a", condition=condition)


def _with_copy(provider: IStorageProvider, condition: WriteCondition, folder: Path) -> ObjectInfo:
    provider.put_bytes("source", b"new")
    try:
        return provider.copy("source", "a", condition=condition)
    finally:
        provider.delete("source")


Write = Callable[[IStorageProvider, WriteCondition, Path], ObjectInfo]
_WRITES: Mapping[str, Write] = {
    "put_bytes": lambda provider, condition, folder: provider.put_bytes("a", b"new", condition=condition),
    "open_writer": _with_writer,
    "upload": _with_upload,
    "copy": _with_copy,
}


_every_write = pytest.mark.parametrize("write", sorted(_WRITES))


class Conditions(PromiseGroup):
    """A condition is checked at the moment of publication, against all other writers."""

    @_every_write
    def test_create_if_absent_creates(self, provider: IStorageProvider, tmp_path: Path, write: str) -> None:
        """`WriteCondition.absent()`: no object has this key, also one that was deleted."""
        if not provider.capabilities.create_if_absent:
            refusal(UnsupportedOperation, lambda: _WRITES[write](provider, WriteCondition.absent(), tmp_path))
            assert listed(provider) == []
            return
        _WRITES[write](provider, WriteCondition.absent(), tmp_path)
        assert provider.get_bytes("a") == b"new"
        provider.delete("a")
        _WRITES[write](provider, WriteCondition.absent(), tmp_path)
        assert provider.get_bytes("a") == b"new"

    @_every_write
    def test_create_if_absent_leaves_what_is_there(
        self, harness: Harness, provider: IStorageProvider, tmp_path: Path, write: str
    ) -> None:
        """`PreconditionFailed`, with the key, where an object is there: nothing was written."""
        before = facts(provider.put_bytes("a", b"first", metadata={"n": "1"}))
        able = provider.capabilities.create_if_absent
        error = refusal(
            PreconditionFailed if able else UnsupportedOperation,
            lambda: _WRITES[write](provider, WriteCondition.absent(), tmp_path),
            key="a" if able else None,
        )
        assert error.provider == provider.name
        assert facts(provider.head("a")) == before
        assert provider.get_bytes("a") == b"first" == harness.peek(provider, "a")
        assert listed(provider) == ["a"]

    @_every_write
    def test_replace_if_unchanged_replaces(self, provider: IStorageProvider, tmp_path: Path, write: str) -> None:
        """`WriteCondition.unchanged(etag)`: the object is there and has this ETag."""
        condition = WriteCondition.unchanged(provider.put_bytes("a", b"old").etag)
        if not provider.capabilities.replace_if_unchanged:
            refusal(UnsupportedOperation, lambda: _WRITES[write](provider, condition, tmp_path))
            assert provider.get_bytes("a") == b"old"
            return
        replaced = _WRITES[write](provider, condition, tmp_path)
        assert provider.get_bytes("a") == b"new"
        assert replaced.etag == provider.head("a").etag != condition.if_match

    @_every_write
    def test_replace_if_unchanged_leaves_a_changed_object(
        self, harness: Harness, provider: IStorageProvider, tmp_path: Path, write: str
    ) -> None:
        """`PreconditionFailed` where the ETag is another one: nothing was written."""
        condition = WriteCondition.unchanged(provider.put_bytes("a", b"data").etag)
        before = facts(provider.put_bytes("a", b"DATA"))
        able = provider.capabilities.replace_if_unchanged
        refusal(
            PreconditionFailed if able else UnsupportedOperation,
            lambda: _WRITES[write](provider, condition, tmp_path),
            key="a" if able else None,
        )
        assert facts(provider.head("a")) == before
        assert harness.peek(provider, "a") == b"DATA"

    @_every_write
    def test_replace_if_unchanged_creates_nothing(self, provider: IStorageProvider, tmp_path: Path, write: str) -> None:
        """`PreconditionFailed` where the object is gone: a replacement is no creation."""
        condition = WriteCondition.unchanged(provider.put_bytes("a", b"data").etag)
        provider.delete("a")
        able = provider.capabilities.replace_if_unchanged
        refusal(
            PreconditionFailed if able else UnsupportedOperation,
            lambda: _WRITES[write](provider, condition, tmp_path),
        )
        assert listed(provider) == []

    def test_unsupported_condition_is_refused_before_any_byte(self, provider: IStorageProvider) -> None:
        """`open_writer`: `UnsupportedOperation` where the condition is not a capability, before any byte is taken."""
        can = provider.capabilities
        for condition, able in (
            (WriteCondition.absent(), can.create_if_absent),
            (WriteCondition.unchanged("some-etag"), can.replace_if_unchanged),
        ):
            if able:
                provider.open_writer("a", condition=condition).abort()
            else:
                error = refusal(UnsupportedOperation, lambda c=condition: provider.open_writer("a", condition=c))  # type: ignore[misc]
                assert error.provider == provider.name
        assert listed(provider) == []

    def test_condition_is_checked_at_the_commit(self, provider: IStorageProvider) -> None:
        """`open_writer`: what counts is the moment of publication, not that of opening."""
        if not provider.capabilities.create_if_absent:
            refusal(UnsupportedOperation, lambda: provider.open_writer("a", condition=WriteCondition.absent()))
            return
        late = provider.open_writer("a", condition=WriteCondition.absent())
        late.write(b"late")
        provider.put_bytes("a", b"early")
        refusal(PreconditionFailed, late.commit, key="a")
        assert provider.get_bytes("a") == b"early"
        provider.put_bytes("b", b"early")
        with provider.open_writer("b", condition=WriteCondition.absent()) as writer:
            writer.write(b"late")
            provider.delete("b")
        assert provider.get_bytes("b") == b"late"

    def test_condition_of_a_large_object(self, harness: Harness, provider: IStorageProvider) -> None:
        """`create_if_absent_multipart`: the same for objects of any size; without it nothing is overwritten either."""
        can = provider.capabilities
        large = content(9 * MIB)

        def create() -> None:
            with provider.open_writer("a", condition=WriteCondition.absent()) as writer:
                for start in range(0, len(large), MIB):
                    writer.write(large[start : start + MIB])

        if can.create_if_absent and can.create_if_absent_multipart:
            create()
            assert harness.peek(provider, "a") == large
        provider.put_bytes("a", b"first")
        with pytest.raises((PreconditionFailed, UnsupportedOperation)) as caught:
            create()
        if can.create_if_absent_multipart:
            assert caught.type is PreconditionFailed
        assert provider.get_bytes("a") == b"first"

    def test_create_if_absent_has_one_winner(self, provider: IStorageProvider) -> None:
        """`create_if_absent`: holds between any number of writers: one wins, and the object is the winner's, whole."""
        outcomes: list[object] = []

        def create(key: str, rival: int) -> str | None:
            try:
                rivals[rival % 2].put_bytes(key, b"%d " % rival * 1000, condition=WriteCondition.absent())
            except (PreconditionFailed, UnsupportedOperation) as error:
                outcomes.append(type(error))
                return None
            return f"{rival} " * 1000

        with two_of_one_bucket(provider) as rivals:
            for number in range(_ROUNDS):
                key = f"race/{number}"
                calls = [lambda rival=rival, key=key: create(key, rival) for rival in range(_RIVALS)]
                winners = [text for text in succeeded(at_once(*calls)) if text is not None]
                if provider.capabilities.create_if_absent:
                    assert len(winners) == 1
                    assert rivals[0].get_bytes(key).decode() == winners[0]
                else:
                    assert winners == []
                    assert not rivals[0].exists(key)
        able = provider.capabilities.create_if_absent
        assert set(outcomes) == {PreconditionFailed if able else UnsupportedOperation}

    def test_replace_if_unchanged_loses_no_update(self, provider: IStorageProvider) -> None:
        """`replace_if_unchanged`: holds between any number of writers: a counter that all of them raise is exact."""
        if not provider.capabilities.replace_if_unchanged:
            condition = WriteCondition.unchanged(provider.put_bytes("counter", b"0").etag)
            refusal(UnsupportedOperation, lambda: provider.put_bytes("counter", b"1", condition=condition))
            assert provider.get_bytes("counter") == b"0"
            return

        def raise_once(own: IStorageProvider) -> None:
            for _ in range(2000):
                with own.open_reader("counter") as reader:
                    etag, value = reader.info.etag, int(reader.read())
                try:
                    own.put_bytes("counter", b"%d" % (value + 1), condition=WriteCondition.unchanged(etag))
                    return
                except PreconditionFailed:
                    continue
            raise AssertionError("no write came through in 2,000 attempts")

        def raise_often(own: IStorageProvider) -> None:
            for _ in range(_STEPS):
                raise_once(own)

        with two_of_one_bucket(provider) as rivals:
            rivals[0].put_bytes("counter", b"0")
            succeeded(at_once(*[lambda n=n: raise_often(rivals[n % 2]) for n in range(_COUNTERS)]))
            assert rivals[1].get_bytes("counter") == b"%d" % (_COUNTERS * _STEPS)
