"""Objects in the memory of this process: for tests and for trying things out. They end with the process."""

from __future__ import annotations

import io
import itertools
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from domain.errors import BucketNotFound, ObjectNotFound, PreconditionFailed
from domain.keys import check_bucket_name, check_key, check_prefix, shortened
from domain.media_types import guess_content_type
from domain.storage import ByteRange, Capabilities, IStorageProvider, ObjectInfo, StorageLocation, WriteCondition
from domain.streams import ObjectReader, ObjectWriter, extent
from infrastructure.storage.provider_settings import EnvironmentNames, ProviderSettings, parse_settings

_DEFAULTS = Capabilities(
    create_if_absent=True, create_if_absent_multipart=True, replace_if_unchanged=True, buckets=True
)


class MemorySettings(ProviderSettings):
    """The settings of `MemoryProvider`."""

    bucket_name: str = "memory"
    """The bucket of the provider; it is there from the start."""


class _Stored(NamedTuple):
    data: bytes
    info: ObjectInfo


class _Server:
    """What the providers of one store share: all its buckets."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.buckets: dict[str, dict[str, _Stored]] = {}
        self.etags = itertools.count(1)


class MemoryProvider(IStorageProvider):
    """A bucket in memory. Each provider made from settings is a store of its own; `for_bucket` stays in it."""

    name = "memory"
    settings_model = MemorySettings
    environment: EnvironmentNames = {}

    def __init__(self, settings: Mapping[str, Any]) -> None:
        parsed = parse_settings(MemorySettings, settings, provider=self.name)
        self._server = _Server()
        self._bucket = parsed.bucket_name
        self._server.buckets[self._bucket] = {}
        self._capabilities = _DEFAULTS.overridden(parsed.capabilities, provider=self.name)

    # -- life

    def connect(self) -> None:
        self._objects()

    def disconnect(self) -> None:
        pass  # the objects are this provider's only resource, and they stay

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def describe(self) -> StorageLocation:
        return StorageLocation(self.name, self._bucket, f"memory:{self._bucket}")

    def for_bucket(self, bucket: str) -> MemoryProvider:
        if not self._capabilities.buckets:
            raise self.unsupported("other buckets")
        check_bucket_name(bucket, provider=self.name)
        other = object.__new__(type(self))
        other._server, other._capabilities, other._bucket = self._server, self._capabilities, bucket
        return other

    def create_bucket(self) -> None:
        if not self._capabilities.buckets:
            raise self.unsupported("making buckets")
        with self._server.lock:
            self._server.buckets.setdefault(self._bucket, {})

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a memory provider can't go to another process: its objects are in this one")

    # -- reading

    def head(self, key: str) -> ObjectInfo:
        return _own(self._stored(key).info)

    def open_reader(
        self, key: str, *, byte_range: ByteRange | None = None, if_match: str | None = None
    ) -> ObjectReader:
        data, info = self._stored(key)
        start, length = extent(info, byte_range, if_match, provider=self.name)
        data = data[start : start + length]
        return ObjectReader(io.BytesIO(data), _own(info), length=len(data), provider=self.name)

    def list_objects(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        check_prefix(prefix, provider=self.name)
        check_prefix(start_after, provider=self.name)
        with self._server.lock:
            stored = sorted(self._objects().items())
        for key, (_, info) in stored:
            if key.startswith(prefix) and key > start_after:
                yield info._replace(content_type=None, sha256=None, metadata=None)

    # -- writing

    def open_writer(
        self,
        key: str,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        condition: WriteCondition | None = None,
    ) -> ObjectWriter:
        kept = self.check_write(key, content_type, metadata, condition)
        self._objects()
        return _MemoryWriter(self, key, content_type or guess_content_type(key), kept, condition)

    def copy(self, source: str, destination: str, *, condition: WriteCondition | None = None) -> ObjectInfo:
        check_key(destination, provider=self.name)
        self.check_condition(condition)
        data, info = self._stored(source)
        if source == destination and condition is None:
            return _own(info)
        return self._publish(data, info._replace(key=destination), condition)

    def delete(self, remote_path: str) -> None:
        check_key(remote_path, provider=self.name)
        with self._server.lock:
            self._objects().pop(remote_path, None)

    # -- the store

    def _objects(self) -> dict[str, _Stored]:
        try:
            return self._server.buckets[self._bucket]
        except KeyError:
            raise BucketNotFound(
                f"there is no bucket {self._bucket!r}; name another, or have it made by create_bucket()",
                provider=self.name,
            ) from None

    def _stored(self, key: str) -> _Stored:
        check_key(key, provider=self.name)
        try:
            return self._objects()[key]
        except KeyError:
            raise ObjectNotFound(
                f"there is no object {shortened(key)!r} in {self._bucket}", provider=self.name, key=key
            ) from None

    def _publish(self, data: bytes, info: ObjectInfo, condition: WriteCondition | None) -> ObjectInfo:
        with self._server.lock:
            objects = self._objects()
            if condition:
                there = objects.get(info.key)
                if (there.info.etag if there else None) != condition.if_match:
                    raise PreconditionFailed(
                        f"the object {shortened(info.key)!r} is not as expected; nothing was written",
                        provider=self.name,
                        key=info.key,
                    )
            info = info._replace(etag=f"{next(self._server.etags):x}", last_modified=datetime.now(UTC))
            objects[info.key] = _Stored(data, info)
            return _own(info)


def _own(info: ObjectInfo) -> ObjectInfo:
    """The caller's own copy: what is stored is nobody's to change."""
    return info._replace(metadata=dict(info.metadata or {}))


class _MemoryWriter(ObjectWriter):
    def __init__(
        self,
        provider: MemoryProvider,
        key: str,
        content_type: str,
        metadata: dict[str, str],
        condition: WriteCondition | None,
    ) -> None:
        super().__init__()
        self._provider = provider
        self._blank = ObjectInfo(key, 0, "", datetime.min, content_type, None, metadata)
        self._condition = condition
        self._buffer = bytearray()

    def _append(self, data: memoryview) -> None:
        self._buffer += data

    def _publish(self, size: int, sha256: str) -> ObjectInfo:
        info = self._blank._replace(size=size, sha256=sha256)
        return self._provider._publish(bytes(self._buffer), info, self._condition)

    def _discard(self) -> None:
        self._buffer.clear()
