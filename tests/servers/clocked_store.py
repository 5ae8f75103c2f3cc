"""A store in memory with a clock that is set by hand, and hooks before every request; and versions made in it by hand."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import md5, sha256
from typing import Any

from application.dataset_records import DatasetRecords
from domain.content import DVC_MD5, SHA256
from domain.datasets import DatasetVersion
from domain.manifests import FileEntry, address_of_manifest, read_table, written_dvc_manifest, written_table
from domain.objects import ByteRange, ObjectInfo, WriteCondition
from domain.storage import IStorageProvider
from domain.streams import ObjectReader
from infrastructure.storage.providers.memory_provider import MemoryProvider

START = datetime(2020, 2, 28, tzinfo=UTC)


class Clock:
    """The store's clock."""

    def __init__(self) -> None:
        self.now = START

    def step(self, **units: float) -> None:
        """Let time pass; units as those of `timedelta`."""
        self.now += timedelta(**units)


class ClockedStore(MemoryProvider):
    """The memory provider, with its times from `clock`, and `before(request, key)` called before each request.

    Attributes:
        page: keys of a listing that are looked up at the same moment.
    """

    page = 1000

    def __init__(self, **capabilities: bool) -> None:
        super().__init__({"capabilities": capabilities})
        self.clock = Clock()
        self.before: Callable[[str, str], None] = lambda request, key: None

    def for_bucket(self, bucket: str) -> ClockedStore:
        other = super().for_bucket(bucket)
        assert isinstance(other, ClockedStore)
        other.clock, other.before = self.clock, self.before
        return other

    def another(self) -> ClockedStore:
        """A store of its own with the same objects at the same time."""
        other = ClockedStore()
        other._capabilities, other.page, other.clock.now = self._capabilities, self.page, self.clock.now
        other._server.buckets = {bucket: dict(objects) for bucket, objects in self._server.buckets.items()}
        other._server.etags = itertools.count(next(self._server.etags) + 1)
        return other

    def head(self, key: str) -> ObjectInfo:
        self.before("head", key)
        return super().head(key)

    def open_reader(
        self, key: str, *, byte_range: ByteRange | None = None, if_match: str | None = None
    ) -> ObjectReader:
        self.before("get", key)
        return super().open_reader(key, byte_range=byte_range, if_match=if_match)

    def list_objects(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        # In pages, as a server's: what is written meanwhile is in the later ones.
        while True:
            self.before("list", prefix)
            page = list(itertools.islice(super().list_objects(prefix, start_after=start_after), self.page))
            yield from page
            if len(page) < self.page:
                return
            start_after = page[-1].key

    def delete(self, remote_path: str) -> None:
        self.before("delete", remote_path)
        super().delete(remote_path)

    def _publish(self, data: bytes, info: ObjectInfo, condition: WriteCondition | None) -> ObjectInfo:
        self.before("put", info.key)
        super()._publish(data, info, condition)
        with self._server.lock:
            objects = self._objects()
            there = objects[info.key]
            objects[info.key] = there._replace(info=there.info._replace(last_modified=self.clock.now))
            return objects[info.key].info

    def contents(self, prefix: str = "") -> dict[str, bytes]:
        """Every object, behind the back of the hooks."""
        return {key: stored.data for key, stored in self._objects().items() if key.startswith(prefix)}


def md5_of(data: bytes) -> str:
    """Its address in a DVC store."""
    return md5(data, usedforsecurity=False).hexdigest()


def table_and_manifest(files: Mapping[str, bytes]) -> tuple[bytes, bytes]:
    """What names these files."""
    entries = [
        FileEntry(name, md5_of(data), sha256(data).hexdigest(), len(data))
        for name, data in sorted(files.items(), key=lambda item: item[0].encode())
    ]
    return b"".join(written_table(entries)), written_dvc_manifest(entries)


def objects_of(files: Mapping[str, bytes], dvc: str = "dvc/") -> dict[str, bytes]:
    """The objects that a version of these files is made of, in the order in which they are written."""
    table, manifest = table_and_manifest(files)
    found = {DVC_MD5.key(dvc, md5_of(data)): data for data in files.values()}
    found[DVC_MD5.key(dvc, address_of_manifest(manifest))] = manifest
    found[SHA256.key("cas/", sha256(table).hexdigest())] = table
    return found


def add_record(
    provider: IStorageProvider,
    dataset_id: str,
    files: Mapping[str, bytes],
    created: datetime = START,
    **more: Any,
) -> DatasetVersion:
    """The record of a version of these files, without their content."""
    table, manifest = table_and_manifest(files)
    version = DatasetVersion(
        dataset_id=dataset_id, version=0, created=created, message="", path="data",
        content=address_of_manifest(manifest), table=sha256(table).hexdigest(),
        files=len(files), size=sum(map(len, files.values())), **more,
    )  # fmt: skip
    return DatasetRecords(provider).add(version)


def make_version(
    provider: IStorageProvider, dataset_id: str, files: Mapping[str, bytes], **more: Any
) -> DatasetVersion:
    """A version of these files, as a writer makes it that knows nothing of what is there."""
    for key, data in objects_of(files).items():
        provider.put_bytes(key, data)
    return add_record(provider, dataset_id, files, **more)


def remove_version(provider: IStorageProvider, version: DatasetVersion) -> None:
    """Remove it, as `storage dataset remove` does."""
    DatasetRecords(provider).replace(version.as_removed(START))


def missing(provider: IStorageProvider, versions: Iterable[DatasetVersion] | None = None) -> list[str]:
    """What the versions need, by default all that were not removed, and the store does not have."""
    found = []
    for version in DatasetRecords(provider).all() if versions is None else versions:
        keys = [SHA256.key("cas/", version.table), DVC_MD5.key("dvc/", version.content)]
        if provider.exists(keys[0]):
            with provider.open_reader(keys[0]) as table:
                keys += [DVC_MD5.key("dvc/", entry.md5) for entry in read_table(io.BytesIO(table.read()), "a table")]
        found += [f"{version.reference}: {key}" for key in keys if not provider.exists(key)]
    return found
