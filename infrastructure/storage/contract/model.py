"""The port against its model: any sequence of calls has the answers that a dict would give."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from domain.errors import ObjectNotFound, PreconditionFailed, RangeNotSatisfiable, UnsupportedOperation
from domain.media_types import guess_content_type
from domain.storage import ByteRange, IStorageProvider, ObjectInfo, WriteCondition
from infrastructure.storage.contract.group import PromiseGroup, drawing, facts, refusal
from infrastructure.storage.contract.harness import Harness

# Few, so that they meet; each is in the way of another in some store.
_KEYS = st.sampled_from(
    [
        "a", "a/b", "a/b/c", "a/b.csv", "a/", "a//b", "/a", "A", "a-b", "a/../b", ".", "b", "é", "e\u0301", "é/a",
        ".lading", ".lading/keys/a", ".lading/keys/a%2fb", "%61", "n" * 256, "n" * 256 + "/a",
    ]
)  # fmt: skip
_PREFIXES = st.sampled_from(
    ["", "a", "a/", "a/b", "a//", "/", ".", ".lading/", "e", "é", "n" * 256, "n" * 257, "b", "z"]
)
_DATA = st.binary(max_size=40)
_METADATA = st.dictionaries(st.sampled_from(["one", "two"]), st.text("xé\n%", max_size=4), max_size=2)
_TYPES = st.sampled_from([None, None, "text/csv", "image/fits"])


class _Object(NamedTuple):
    data: bytes
    content_type: str
    metadata: dict[str, str]
    etag: str


def make_state_machine(make_provider: Callable[[], IStorageProvider]) -> type[RuleBasedStateMachine]:
    """The state machine over providers that `make_provider` makes, each on an empty bucket; one for every example.

    The contract runs it briefly; run it longer with `hypothesis.stateful.run_state_machine_as_test`.
    """
    return type("StorageMachine", (_Machine,), {"make_provider": staticmethod(make_provider)})


class _Machine(RuleBasedStateMachine):
    make_provider: Callable[[], IStorageProvider]

    def __init__(self) -> None:
        super().__init__()
        self.provider = self.make_provider()
        self.objects: dict[str, _Object] = {}
        self.past_etags: dict[str, bytes] = {"never-an-etag": b"never stored"}

    def teardown(self) -> None:
        self.provider.delete_many(list(self.objects))
        self.provider.disconnect()

    # -- writing

    @rule(key=_KEYS, data=_DATA, content_type=_TYPES, metadata=_METADATA, streamed=st.booleans())
    def write(self, key: str, data: bytes, content_type: str | None, metadata: dict[str, str], streamed: bool) -> None:
        self._write(key, data, content_type, metadata, streamed, None)

    @rule(key=_KEYS, data=_DATA, metadata=_METADATA, streamed=st.booleans())
    def create(self, key: str, data: bytes, metadata: dict[str, str], streamed: bool) -> None:
        self._write(key, data, None, metadata, streamed, WriteCondition.absent())

    @rule(key=_KEYS, data=_DATA, streamed=st.booleans(), stale=st.booleans(), choice=st.randoms(use_true_random=False))
    def replace(self, key: str, data: bytes, streamed: bool, stale: bool, choice: Any) -> None:
        there = self.objects.get(key)
        etag = choice.choice(list(self.past_etags)) if stale or there is None else there.etag
        self._write(key, data, None, {}, streamed, WriteCondition.unchanged(etag))

    @rule(key=_KEYS, data=_DATA)
    def abort(self, key: str, data: bytes) -> None:
        writer = self.provider.open_writer(key)
        writer.write(data)
        writer.abort()

    @rule(source=_KEYS, destination=_KEYS, create=st.booleans())
    def copy(self, source: str, destination: str, create: bool) -> None:
        condition = WriteCondition.absent() if create else None
        there = self.objects.get(source)
        if there is None:
            if not create:
                refusal(ObjectNotFound, lambda: self.provider.copy(source, destination), key=source)
            return

        def copy() -> ObjectInfo:
            return self.provider.copy(source, destination, condition=condition)

        info = self._conditional(destination, condition, copy)
        if info is not None:
            self._keep(info, there.data, there.content_type, there.metadata)

    def _write(
        self,
        key: str,
        data: bytes,
        content_type: str | None,
        metadata: dict[str, str],
        streamed: bool,
        condition: WriteCondition | None,
    ) -> None:
        def put() -> ObjectInfo:
            if not streamed:
                return self.provider.put_bytes(
                    key, data, content_type=content_type, metadata=metadata, condition=condition
                )
            writing = self.provider.open_writer(key, content_type=content_type, metadata=metadata, condition=condition)
            with writing as writer:
                writer.write(data[:3])
                writer.write(data[3:])
            return writer.info

        info = self._conditional(key, condition, put)
        if info is not None:
            self._keep(info, data, content_type or guess_content_type(key), metadata)

    def _conditional(
        self, key: str, condition: WriteCondition | None, write: Callable[[], ObjectInfo]
    ) -> ObjectInfo | None:
        """What `write` answers where the model lets it through; None where it must be refused, and was."""
        there = self.objects.get(key)
        can = self.provider.capabilities
        if condition is not None:
            able = can.create_if_absent if condition.if_match is None else can.replace_if_unchanged
            if not able:
                refusal(UnsupportedOperation, write)
                return None
            if (there.etag if there else None) != condition.if_match:
                refusal(PreconditionFailed, write, key=key)
                return None
        return write()

    def _keep(self, info: ObjectInfo, data: bytes, content_type: str, metadata: dict[str, str]) -> None:
        # One ETag never stands for two contents; the same content may have had it before.
        assert self.past_etags.setdefault(info.etag, data) == data
        self.objects[info.key] = _Object(data, content_type, metadata, info.etag)

    # -- deleting

    @rule(key=_KEYS)
    def delete(self, key: str) -> None:
        self.provider.delete(key)
        self.objects.pop(key, None)

    @rule(keys=st.lists(_KEYS, max_size=4))
    def delete_many(self, keys: list[str]) -> None:
        assert self.provider.delete_many(keys) == []
        for key in keys:
            self.objects.pop(key, None)

    # -- reading

    @rule(key=_KEYS)
    def read(self, key: str) -> None:
        there = self.objects.get(key)
        assert self.provider.exists(key) is (there is not None)
        if there is None:
            refusal(ObjectNotFound, lambda: self.provider.get_bytes(key), key=key)
            refusal(ObjectNotFound, lambda: self.provider.head(key), key=key)
            return
        assert self.provider.get_bytes(key, if_match=there.etag) == there.data

    @rule(key=_KEYS, start=st.integers(0, 45), length=st.none() | st.integers(1, 45))
    def read_range(self, key: str, start: int, length: int | None) -> None:
        there = self.objects.get(key)
        byte_range = ByteRange(start, None if length is None else start + length)
        if there is None:
            refusal(ObjectNotFound, lambda: self.provider.get_bytes(key, byte_range=byte_range), key=key)
        elif start >= len(there.data):
            refusal(RangeNotSatisfiable, lambda: self.provider.get_bytes(key, byte_range=byte_range), key=key)
        else:
            found = self.provider.get_bytes(key, byte_range=byte_range)
            assert found == there.data[byte_range.start : byte_range.stop]

    @rule(prefix=_PREFIXES, start_after=st.just("") | _KEYS)
    def list_some(self, prefix: str, start_after: str) -> None:
        found = [info.key for info in self.provider.list_objects(prefix, start_after=start_after)]
        wanted = (k for k in self.objects if k.startswith(prefix) and k.encode() > start_after.encode())
        assert found == sorted(wanted, key=str.encode)

    @rule()
    def reconnect(self) -> None:
        self.provider.disconnect()
        self.provider.connect()

    # -- always

    @invariant()
    def the_listing_is_the_model(self) -> None:
        found = [(info.key, info.size, info.etag) for info in self.provider.list_objects()]
        expected = [(key, len(there.data), there.etag) for key, there in self.objects.items()]
        assert found == sorted(expected, key=lambda item: item[0].encode())

    @invariant()
    def every_head_is_the_model(self) -> None:
        for key, there in self.objects.items():
            info = self.provider.head(key)
            sha256 = hashlib.sha256(there.data).hexdigest()
            assert facts(info) == (key, len(there.data), there.etag, there.content_type, sha256, there.metadata)


class Model(PromiseGroup):
    """All promises at once, in sequences that nobody thought of."""

    def test_any_sequence_of_calls_agrees_with_the_model(self, harness: Harness) -> None:
        """The port as a whole: a dict from keys to objects, listed in byte order."""
        machine = make_state_machine(harness.provider)
        often = settings(drawing, max_examples=max(1, harness.examples // 2), stateful_step_count=25)
        run_state_machine_as_test(machine, settings=often)
