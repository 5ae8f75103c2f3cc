"""What the six S3-compatible providers are made of: the port on one side, the engine on the other."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from os import PathLike
from typing import Any

from domain.content import ContentHash
from domain.copies import pour
from domain.errors import InvalidRequest, PreconditionFailed, RangeNotSatisfiable, StorageError
from domain.keys import check_bucket_name, check_content_type, check_key, check_prefix, shortened
from domain.local_files import ReplacementFile
from domain.many_files import File
from domain.storage import (
    ByteRange,
    Capabilities,
    IStorageProvider,
    ObjectInfo,
    Progress,
    StorageLocation,
    UnfinishedUpload,
    WriteCondition,
)
from domain.streams import ObjectReader, extent
from infrastructure.storage.provider_settings import EnvironmentNames, parse_settings
from infrastructure.storage.s3.credentials import ChainCredentials, StoreAccess
from infrastructure.storage.s3.dialect import Dialect, Target
from infrastructure.storage.s3.engine import S3Engine
from infrastructure.storage.s3.many import download_small, get_small, look_at
from infrastructure.storage.s3.reading import FIRST_READ_BYTES, RangedSource, download, first_bytes
from infrastructure.storage.s3.retries import RetryObserver
from infrastructure.storage.s3.sending import S3Sending
from infrastructure.storage.s3.settings import S3Settings

for _needed in ("boto3", "pycurl", "tenacity"):
    # They are imported when they are first used; that one is missing should be known before.
    if find_spec(_needed) is None:
        raise ImportError(f"No module named {_needed!r}", name=_needed)

_LONGEST_PRESIGNED = 7 * 24 * 3600


class S3CompatibleProvider(S3Sending):
    """One bucket of an S3-compatible store. A vendor's provider says what is its own: settings, address, dialect."""

    settings_model: type[S3Settings]
    environment: EnvironmentNames
    dialect: Dialect

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Raises: ConfigurationError. Makes no request."""
        self._settings = parse_settings(self.settings_model, settings, provider=self.name)
        self._engine = S3Engine(self._target(), create_bucket=self._settings.create_buckets)

    @abstractmethod
    def _address(self) -> tuple[str, str]:
        """The endpoint's URL and the region, from the settings.

        Raises:
            ConfigurationError: they don't tell.
        """

    def _path_style(self) -> bool:
        return True

    def _dialect(self) -> Dialect:
        return self.dialect

    def _target(self) -> Target:
        settings = self._settings
        endpoint_url, region = self._address()
        dialect = self._dialect()
        if settings.quoted_etags is not None:
            dialect = replace(dialect, quoted_etags=settings.quoted_etags)
        return Target(
            provider=self.name,
            bucket=settings.bucket_name,
            endpoint_url=endpoint_url,
            region=region,
            credentials=settings.credentials(self.name, self._credential_names()),
            credential_names=self._credential_names(),
            dialect=dialect,
            capabilities=dialect.capabilities.overridden({"remote": True, **settings.capabilities}, provider=self.name),
            path_style=self._path_style(),
            public_endpoint_url=settings.public_endpoint_url,
            ca_bundle=settings.ca_bundle,
            proxy_url=settings.proxy_url.get_secret_value() if settings.proxy_url else None,
            connect_timeout=settings.connect_timeout,
            read_timeout=settings.read_timeout,
            connections=settings.max_pool_connections,
            attempts=settings.max_attempts,
            multipart_threshold=settings.multipart_threshold,
            part_bytes=settings.multipart_chunksize,
            concurrency=settings.concurrency,
            bandwidth=settings.bandwidth,
            requests_per_second=settings.requests_per_second,
            memory=settings.memory,
        )

    def _credential_names(self) -> str:
        fields = self._settings.credential_fields
        variables = [self.environment[field][0] for field in fields if field in self.environment]
        return f"{' and '.join(fields)} ({', '.join(variables)})"

    # -- life

    def connect(self) -> None:
        self._engine.check_bucket()

    def disconnect(self) -> None:
        self._engine.close()

    @property
    def capabilities(self) -> Capabilities:
        return self._engine.target.capabilities

    def describe(self) -> StorageLocation:
        target = self._engine.target
        return StorageLocation(self.name, target.bucket, f"s3://{target.bucket}", target.endpoint_url, target.region)

    def access(self) -> StoreAccess:
        """What another program needs beside `describe()` to reach this bucket. It holds secrets in clear."""
        target = self._engine.target
        if isinstance(target.credentials, ChainCredentials):
            return StoreAccess(None, target.credentials.profile, target.ca_bundle)
        return StoreAccess(target.credentials.current(), None, target.ca_bundle)

    def for_bucket(self, bucket: str) -> S3CompatibleProvider:
        if not self.capabilities.buckets:
            raise self.unsupported("other buckets")
        check_bucket_name(bucket, provider=self.name)
        return type(self)({**self._settings.secrets(), "bucket_name": bucket})

    def create_bucket(self) -> None:
        if not self.capabilities.buckets:
            raise self.unsupported("making buckets")
        self._engine.create_bucket()

    def watch_retries(self, observer: RetryObserver | None) -> None:
        """Have `observer` called with every failure that is going to be tried again."""
        self._engine.retries.observer = observer

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._settings.secrets(),)

    def __repr__(self) -> str:
        target = self._engine.target
        return f"{type(self).__name__}({target.bucket!r} at {target.endpoint_url!r})"

    # -- reading

    def head(self, key: str) -> ObjectInfo:
        return self._engine.head(check_key(key, provider=self.name))

    def open_reader(
        self, key: str, *, byte_range: ByteRange | None = None, if_match: str | None = None
    ) -> ObjectReader:
        check_key(key, provider=self.name)
        start, stop = (byte_range.start, byte_range.stop) if byte_range else (0, None)
        engine = self._engine
        changed = PreconditionFailed(
            f"the object {shortened(key)!r} has changed since its ETag was {if_match!r}; read it anew",
            provider=self.name,
            key=key,
        )
        most = start + FIRST_READ_BYTES
        first_stop = most if stop is None else min(stop, most)

        def ask() -> tuple[ObjectInfo, bytes]:
            if byte_range:
                return engine.get(key, start, first_stop, if_match)
            return first_bytes(engine.get, key, first_stop, if_match)

        try:
            info, first = engine.asked(ask)
        except PreconditionFailed as error:
            raise changed from error
        if if_match not in {None, info.etag}:  # not every store heeds the condition
            raise changed
        if byte_range and start >= info.size:  # not every store takes a range past the end for an error
            raise RangeNotSatisfiable(
                f"the range starts at byte {start:,}, but {shortened(key)!r} has {info.size:,} bytes",
                provider=self.name,
                key=key,
            )
        end = info.size if stop is None else min(stop, info.size)
        source = RangedSource(engine.get, engine.retries, info, first, start, end, self.name)
        return ObjectReader(source, info, length=end - start, provider=self.name)

    def download(
        self,
        remote_path: str,
        local_path: str | PathLike[str],
        *,
        progress: Progress | None = None,
        content: ContentHash | None = None,
    ) -> ObjectInfo:
        check_key(remote_path, provider=self.name)
        engine = self._engine
        with ReplacementFile(local_path, identity=engine.wire.url(remote_path)) as file:
            info = download(engine.get, engine.head, engine.asked, remote_path, file, progress, content, self.name)
            file.commit()
            return info

    def download_many(self, files: Iterable[File]) -> Iterator[tuple[File, ObjectInfo | StorageError]]:
        def one(file: File) -> ObjectInfo:
            return self.download(file.key, file.path, content=file.content)

        return download_small(self._engine.wire, files, one)

    def get_many(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes | StorageError]]:
        return get_small(self._engine.wire, keys, self.get_bytes)

    def head_many(self, keys: Iterable[str]) -> Iterator[tuple[str, ObjectInfo | StorageError]]:
        return look_at(self._engine.wire, keys, self._engine.bucket_is_there, self.head)

    def list_objects(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        check_prefix(prefix, provider=self.name)
        check_prefix(start_after, provider=self.name)
        return self._engine.list_objects(prefix, start_after)

    # -- copying

    def copy(self, source: str, destination: str, *, condition: WriteCondition | None = None) -> ObjectInfo:
        check_key(destination, provider=self.name)
        self.check_condition(condition)
        info = self.head(source)
        if condition is not None:
            return self._copy_through(info, destination, condition)
        if source == destination:
            return info
        return self._engine.copy(info, destination)

    def _copy_through(self, info: ObjectInfo, destination: str, condition: WriteCondition) -> ObjectInfo:
        # Most stores take no condition on a copy, and some that are sent one copy all the same: the bytes go by here.
        with (
            self.open_reader(info.key, if_match=info.etag) as reader,
            self.open_writer(
                destination, content_type=info.content_type, metadata=info.metadata, condition=condition
            ) as writer,
        ):
            return pour(reader, writer)

    def copy_from(
        self,
        origin: IStorageProvider,
        source: str,
        destination: str,
        *,
        if_match: str | None = None,
        progress: Progress | None = None,
    ) -> ObjectInfo:
        check_key(destination, provider=self.name)
        if isinstance(origin, S3CompatibleProvider):
            here, there = self._engine, origin._engine
            if here.target.is_store_of(there.target) and (info := origin.head(source)).sha256:
                # A copy of one without a hash would have none either; what comes by here gets one.
                extent(info, None, if_match, provider=origin.name)
                itself = (there.target.bucket, source) == (here.target.bucket, destination)
                if copied := info if itself else here.copy_exactly(info, destination, there):
                    if progress:
                        progress(info.size)
                    return copied
        return super().copy_from(origin, source, destination, if_match=if_match, progress=progress)

    # -- deleting

    def delete(self, remote_path: str) -> None:
        self._engine.delete(check_key(remote_path, provider=self.name))

    def delete_many(self, keys: Any) -> list[Any]:
        return self._engine.delete_many(keys)

    # -- leftovers

    def unfinished_uploads(self, prefix: str = "") -> Iterator[UnfinishedUpload]:
        check_prefix(prefix, provider=self.name)
        return self._engine.multipart.unfinished(prefix)

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        self._engine.multipart.abort(upload)

    # -- signing

    def presign(
        self,
        key: str,
        *,
        method: str = "GET",
        expires_in: int = 3600,
        content_type: str | None = None,
        content_length: int | None = None,
        once: bool = False,
    ) -> str:
        check_key(key, provider=self.name)
        if not self.capabilities.presign:
            raise self.unsupported("presigned URLs")
        if method not in {"GET", "PUT"}:
            raise InvalidRequest(f"a URL can be signed for GET or PUT, not for {method!r}", provider=self.name, key=key)
        if not 1 <= expires_in <= _LONGEST_PRESIGNED:
            raise InvalidRequest(
                f"a presigned URL lives from 1 second to 7 days, not {expires_in:,} seconds",
                provider=self.name,
                key=key,
            )
        if content_type is not None:
            check_content_type(content_type, provider=self.name)
        headers: dict[str, str] = {}
        query: list[tuple[str, str]] = []
        if method == "GET":
            if content_length is not None or once:
                raise InvalidRequest("length and once can be bound to a PUT only", provider=self.name, key=key)
            if content_type:
                query.append(("response-content-type", content_type))
        else:
            if content_type:
                headers["content-type"] = content_type
            if content_length is not None:
                if content_length < 0:
                    raise InvalidRequest(f"a length of {content_length} bytes can't be", provider=self.name, key=key)
                headers["content-length"] = str(content_length)
            if once:
                self.check_condition(WriteCondition.absent())
                headers["if-none-match"] = "*"
        return self._engine.wire.presigned(method, key, headers, query, expires_in)
