"""Local disk as an object store: a folder whose files are the objects."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import field_validator

from domain.content import ContentHash
from domain.content_check import ContentCheck, cut_short
from domain.errors import ObjectNotFound, PreconditionFailed, StorageError
from domain.keys import check_bucket_name, check_key, check_prefix, shortened
from domain.local_files import LocalSource, ReplacementFile, check_content
from domain.media_types import content_type_of_upload, guess_content_type
from domain.storage import (
    ByteRange,
    Capabilities,
    IStorageProvider,
    ObjectInfo,
    Progress,
    StorageLocation,
    WriteCondition,
)
from domain.streams import ObjectReader, ObjectWriter, extent
from infrastructure.storage.local.errors import store_error, store_missing
from infrastructure.storage.local.layout import INTERNAL
from infrastructure.storage.local.pump import copier, pump, write_all
from infrastructure.storage.local.records import Record
from infrastructure.storage.local.store import ConditionFailed, LocalStore, NotThere, OpenObject, StoreMissing
from infrastructure.storage.local.tree import etag_of, info_of
from infrastructure.storage.provider_settings import EnvironmentNames, ProviderSettings, parse_settings

_DEFAULTS = Capabilities(
    create_if_absent=True, create_if_absent_multipart=True, replace_if_unchanged=True, buckets=True, fork_safe=True
)


class LocalSettings(ProviderSettings):
    """The settings of `LocalProvider`."""

    base_path: Path
    """The folder of the objects; `connect` or the first write makes it."""
    durable: bool = True
    """Whether a write returns only when it would outlive a power cut. False leaves the flush to the system."""

    @field_validator("base_path", mode="before")
    @classmethod
    def _absolute(cls, given: object) -> object:
        """Fixed once: a provider stays where it is when the process changes its folder."""
        if not isinstance(given, str | os.PathLike):
            return given
        path = os.fspath(given)
        if not path or "\0" in path:
            raise ValueError("it is empty or holds a NUL character; name a folder")
        expanded = os.path.expanduser(path)
        if expanded.startswith("~"):
            raise ValueError("there is no such user; name a folder")
        try:
            return os.path.abspath(expanded)
        except OSError:
            raise ValueError("the current folder is gone; name a folder by its whole path") from None


class LocalProvider(IStorageProvider):
    """Objects are files below `base_path`, with their keys as paths (`infrastructure.storage.local.layout`).

    Symbolic links below `base_path` are not followed: no key reads or writes outside of it (somebody who can write to
    the folder, and swaps a folder for a link between two system calls, is not held off). Other buckets are folders
    of `.lading/buckets`. Presigned URLs are not possible.
    """

    name = "local"
    settings_model = LocalSettings
    environment: EnvironmentNames = {"base_path": ("STORAGE_LOCAL_PATH",), "durable": ("STORAGE_LOCAL_DURABLE",)}

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Raises: ConfigurationError. Touches nothing on disk."""
        self._settings = parse_settings(LocalSettings, settings, provider=self.name)
        self._open_bucket(None)

    def _open_bucket(self, bucket: str | None) -> None:
        self._bucket = bucket
        self._capabilities = _DEFAULTS.overridden(self._settings.capabilities, provider=self.name)
        root = os.path.realpath(self._settings.base_path)
        base = f"{root}/{INTERNAL}/buckets/{bucket}" if bucket else root
        self._store = LocalStore(base, durable=self._settings.durable, create=bucket is None)

    @classmethod
    def complete_environment(cls, given: dict[str, Any]) -> dict[str, Any]:
        """The settings of the environment; where they name no folder, one among the user's data."""
        if "base_path" in given:
            return given
        from platformdirs import user_data_path

        return {"base_path": user_data_path("lading", appauthor=False) / "storage", **given}

    # -- life

    def connect(self) -> None:
        with self._errors("open the store"):
            if self._bucket is None:
                self._store.make()
            if not self._store.present():
                raise StoreMissing
            os.scandir(self._store.base).close()

    def disconnect(self) -> None:
        self._store.workspace.close()

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def describe(self) -> StorageLocation:
        return StorageLocation(self.name, self._bucket, Path(self._store.base).as_uri())

    def for_bucket(self, bucket: str) -> LocalProvider:
        if not self._capabilities.buckets:
            raise self.unsupported("other buckets")
        check_bucket_name(bucket, provider=self.name)
        return _restore(type(self), self._settings.model_dump(), bucket)

    def create_bucket(self) -> None:
        if not self._capabilities.buckets:
            raise self.unsupported("making buckets")
        with self._errors("make the bucket"):
            self._store.make()

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self._settings.model_dump(), self._bucket)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._store.base!r})"

    # -- reading

    def head(self, key: str) -> ObjectInfo:
        check_key(key, provider=self.name)
        with self._errors("read", key):
            opened = self._store.open(key)
            os.close(opened.fd)
            return _full_info(key, opened.status, opened.record)

    def open_reader(
        self, key: str, *, byte_range: ByteRange | None = None, if_match: str | None = None
    ) -> ObjectReader:
        check_key(key, provider=self.name)
        with self._errors("read", key):
            opened = self._store.open(key)
        try:
            info = _full_info(key, opened.status, opened.record)
            start, length = extent(info, byte_range, if_match, provider=self.name)
            if start:
                os.lseek(opened.fd, start, os.SEEK_SET)
        except BaseException:
            os.close(opened.fd)
            raise
        source = _File(opened.fd, lambda: self._errors("read", key))
        return ObjectReader(
            source, info, length=length, provider=self.name, at_end=lambda: self._check_unchanged(opened, key)
        )

    def download(
        self,
        remote_path: str,
        local_path: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
        content: ContentHash | None = None,
    ) -> ObjectInfo:
        check_key(remote_path, provider=self.name)
        with self._errors("read", remote_path):
            opened = self._store.open(remote_path)
        with _File(opened.fd, lambda: self._errors("read", remote_path)), ReplacementFile(local_path) as file:
            info = _full_info(remote_path, opened.status, opened.record)
            check = ContentCheck(info.sha256, content)
            moved = pump(opened.fd, file.fileno(), info.size, progress, file.errors, check if check.needed else None)
            self._check_unchanged(opened, remote_path)
            then = f"{os.fspath(local_path)!r} is as it was"
            if moved != info.size:
                raise cut_short(remote_path, info.size - moved, then, provider=self.name)
            check.finish(remote_path, then, provider=self.name)
            file.commit()
        return info

    def _check_unchanged(self, opened: OpenObject, key: str) -> None:
        if etag_of(os.fstat(opened.fd)) != etag_of(opened.status):
            raise StorageError(
                f"the object {shortened(key)!r} was edited in place while it was read; read it anew",
                provider=self.name,
                key=key,
            )

    # -- listing

    def list_objects(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        check_prefix(prefix, provider=self.name)
        check_prefix(start_after, provider=self.name)
        with self._errors("list"):
            yield from self._store.list(prefix, start_after)

    # -- writing

    def open_writer(
        self,
        key: str,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        condition: WriteCondition | None = None,
    ) -> ObjectWriter:
        record = self._accepted(key, content_type, metadata, condition)
        with self._errors("write", key):
            fd, temporary = self._store.temporary()
        return _LocalWriter(self, key, fd, temporary, record, condition)

    def upload(
        self,
        local_path: str | os.PathLike[str],
        remote_path: str,
        metadata: Mapping[str, str] | None = None,
        *,
        content_type: str | None = None,
        condition: WriteCondition | None = None,
        progress: Progress | None = None,
        sha256: str | None = None,
    ) -> ObjectInfo:
        content_type = content_type or content_type_of_upload(remote_path, os.fspath(local_path))
        record = self._accepted(remote_path, content_type, metadata, condition)
        errors, digest = self._errors("write", remote_path), hashlib.sha256(usedforsecurity=False)
        with LocalSource(local_path) as source:
            with errors:
                fd, temporary = self._store.temporary()
            try:
                source.check_unchanged(pump(source.fileno(), fd, source.size, progress, errors, digest))
                check_content(local_path, digest.hexdigest(), sha256)
                record = Record(digest.digest(), record.content_type, record.metadata)
                with errors:
                    return self._publish(fd, temporary, remote_path, record, condition)
            except BaseException:
                self._store.discard(fd, temporary)
                raise

    def copy(self, source: str, destination: str, *, condition: WriteCondition | None = None) -> ObjectInfo:
        check_key(source, provider=self.name)
        check_key(destination, provider=self.name)
        self.check_condition(condition)
        with self._errors("read", source):
            opened = self._store.open(source)
        with _File(opened.fd, lambda: self._errors("read", source)):
            info = _full_info(source, opened.status, opened.record)
            if source == destination and condition is None:
                return info
            record = opened.record._replace(content_type=_uncommon(destination, info.content_type))
            with self._errors("write", destination):
                fd, temporary = self._store.temporary()
                try:
                    step = copier(opened.fd, fd)
                    while step():
                        pass
                    self._check_unchanged(opened, source)
                    return self._publish(fd, temporary, destination, record, condition)
                except BaseException:
                    self._store.discard(fd, temporary)
                    raise

    def _accepted(
        self, key: str, content_type: str | None, metadata: Mapping[str, str] | None, condition: WriteCondition | None
    ) -> Record:
        kept = self.check_write(key, content_type, metadata, condition)
        return Record(None, _uncommon(key, content_type), kept)

    def _publish(
        self, fd: int, temporary: str, key: str, record: Record, condition: WriteCondition | None
    ) -> ObjectInfo:
        try:
            status = self._store.publish(fd, temporary, key, record, condition)
        except ConditionFailed as failed:
            state = f"it has ETag {failed.args[0]!r} now" if failed.args[0] else "it is not there"
            wanted = "exists already" if condition and condition.if_match is None else f"is not as expected: {state}"
            raise PreconditionFailed(
                f"the object {shortened(key)!r} {wanted}; nothing was written", provider=self.name, key=key
            ) from None
        os.close(fd)
        return _full_info(key, status, record)

    # -- deleting

    def delete(self, remote_path: str) -> None:
        check_key(remote_path, provider=self.name)
        with self._errors("delete", remote_path):
            self._store.remove(remote_path)

    # -- errors

    def _errors(self, doing: str, key: str | None = None) -> _Translated:
        return _Translated(self, doing, key)

    def _translate(self, error: BaseException | None, doing: str, key: str | None) -> StorageError | None:
        base = self._store.base
        if isinstance(error, StoreMissing):
            return store_missing(base, self._bucket, provider=self.name)
        if isinstance(error, NotThere):
            return ObjectNotFound(f"there is no object {shortened(key or '')!r} in {base}", provider=self.name, key=key)
        if isinstance(error, OSError):
            what = f"can't {doing} {shortened(key)!r}" if key else f"can't {doing}"
            return store_error(error, f"{what} in {base}", provider=self.name, key=key)
        return None


class _Translated(AbstractContextManager[None]):
    """In its block what the store says becomes the port's errors. A class, for a generator takes three times as long."""

    def __init__(self, provider: LocalProvider, doing: str, key: str | None) -> None:
        self._provider = provider
        self._doing = doing
        self._key = key

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        if translated := self._provider._translate(error, self._doing, self._key):
            raise translated from error


class _File:
    """An open descriptor as the source of a reader."""

    def __init__(self, fd: int, errors: Callable[[], Any]) -> None:
        self._fd = fd
        self._errors = errors

    def read(self, size: int, /) -> bytes:
        with self._errors():
            return os.read(self._fd, size)

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _LocalWriter(ObjectWriter):
    def __init__(
        self,
        provider: LocalProvider,
        key: str,
        fd: int,
        temporary: str,
        record: Record,
        condition: WriteCondition | None,
    ) -> None:
        super().__init__()
        self._pid = os.getpid()
        self._provider = provider
        self._key = key
        self._fd = fd
        self._temporary = temporary
        self._record = record
        self._condition = condition

    def _append(self, data: memoryview) -> None:
        with self._provider._errors("write", self._key):
            write_all(self._fd, data)

    def _publish(self, size: int, sha256: str) -> ObjectInfo:
        record = self._record._replace(sha256=bytes.fromhex(sha256))
        with self._provider._errors("write", self._key):
            return self._provider._publish(self._fd, self._temporary, self._key, record, self._condition)

    def _discard(self) -> None:
        if self._pid == os.getpid():
            self._provider._store.discard(self._fd, self._temporary)
        else:
            os.close(self._fd)  # a forked child: the file is its parent's


def _restore(kind: type[LocalProvider], settings: Mapping[str, Any], bucket: str | None) -> LocalProvider:
    provider = kind(settings)
    if bucket:
        provider._open_bucket(bucket)
    return provider


def _uncommon(key: str, content_type: str | None) -> str | None:
    """The type as the record keeps it: only where the key's suffix does not say it already."""
    return None if content_type is None or content_type == guess_content_type(key) else content_type


def _full_info(key: str, status: os.stat_result, record: Record) -> ObjectInfo:
    content_type = record.content_type or guess_content_type(key)
    return info_of(key, status, content_type, record.sha256.hex() if record.sha256 else None, dict(record.metadata))
