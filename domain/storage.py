"""The storage port and the values it speaks.

`IStorageProvider` is addressed to two readers. Who calls it finds in each docstring what may be relied on. Who
implements it finds what must be guaranteed, and what need not be; the contract suite
(`infrastructure.storage.contract`) asks for exactly that, method by method.

An implementer writes the abstract methods. The others stand on them and need an override only where a store can do
better, as local disk does for `upload` and `download`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from types import TracebackType
from typing import Any, Self

from domain.content import ContentHash
from domain.copies import Copies
from domain.errors import BucketNotFound, ObjectNotFound, StorageError, StoreUnavailable
from domain.local_files import CHUNK_BYTES, LocalSource, ReplacementFile, check_content
from domain.many_files import ManyFiles
from domain.media_types import content_type_of_upload
from domain.objects import (
    ByteRange,
    Capabilities,
    ObjectInfo,
    Progress,
    StorageLocation,
    UnfinishedUpload,
    WriteCondition,
)
from domain.streams import ObjectReader, ObjectWriter
from domain.write_checks import WriteChecks

__all__ = [
    "ByteRange",
    "Capabilities",
    "IStorageProvider",
    "ObjectInfo",
    "Progress",
    "StorageLocation",
    "UnfinishedUpload",
    "WriteCondition",
]


class IStorageProvider(ManyFiles, Copies, WriteChecks):
    """One bucket of one store.

    Promises that hold for every method:
      - thread-safe: one provider serves any number of threads;
      - keys are opaque and come back exactly as given (`domain.keys.check_key` says what a key may be);
      - errors are `StorageError` kinds with `provider` and, where one is concerned, `key`; a missing bucket is
        `BucketNotFound`, never `ObjectNotFound` and never an empty answer;
      - no secret in any message, `repr` or `describe()`;
      - an object is readable as soon as the write returned, from any process, and is then in every listing begun later.

    Not promised: order between concurrent writers of one key (the last one published wins, whole), what a reader sees
    that was opened before a write (the old bytes or an error, never a mixture), retries.

    The base class has no state: an implementation need not call `super().__init__()`.
    """

    # -- life

    @abstractmethod
    def connect(self) -> None:
        """Check that the store answers and the bucket is there (local disk makes its own folder here, as a write does).

        Idempotent; other methods work without it.

        Raises:
            BucketNotFound, AccessDenied, StoreUnavailable.
        """

    @abstractmethod
    def disconnect(self) -> None:
        """Release connections and other resources. Idempotent; the next call of another method takes them again."""

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()

    @abstractmethod
    def for_bucket(self, bucket: str) -> IStorageProvider:
        """The same store and credentials, another bucket. Makes no request: a missing one shows at the first use.

        Raises:
            InvalidRequest: the name can't be a bucket's.
            UnsupportedOperation: without capability `buckets`.
        """

    @abstractmethod
    def create_bucket(self) -> None:
        """Create this provider's bucket where it is missing; succeed where it is there.

        Raises:
            AccessDenied, InsufficientStorage, StoreUnavailable; UnsupportedOperation without capability `buckets`.
        """

    # -- reading

    @abstractmethod
    def head(self, key: str) -> ObjectInfo:
        """Everything the store knows of one object: no field is None but `sha256`, and that only where unknown.

        Raises:
            ObjectNotFound, BucketNotFound, InvalidRequest.
        """

    @abstractmethod
    def open_reader(
        self, key: str, *, byte_range: ByteRange | None = None, if_match: str | None = None
    ) -> ObjectReader:
        """A stream of the object's bytes, of one state of the object: a write meanwhile never mixes in.

        A range that runs past the end is clipped; one that starts at or past the end is an error, also on an empty
        object. A read of the whole object is verified: the read that meets the end raises `ContentCorrupted` where
        the bytes don't match the stored SHA-256. Ranges are not verified. Memory does not grow with the object.

        Args:
            byte_range: None reads all.
            if_match: the ETag the object must have.

        Raises:
            ObjectNotFound, BucketNotFound, InvalidRequest.
            RangeNotSatisfiable: the range starts at or past the end.
            PreconditionFailed: the ETag is another one.
        """

    def get_bytes(self, key: str, *, byte_range: ByteRange | None = None, if_match: str | None = None) -> bytes:
        """The object's bytes, verified as `open_reader` says; nothing is returned of a corrupt object."""
        with self.open_reader(key, byte_range=byte_range, if_match=if_match) as reader:
            return reader.read()

    def download(
        self,
        remote_path: str,
        local_path: str | PathLike[str],
        *,
        progress: Progress | None = None,
        content: ContentHash | None = None,
    ) -> ObjectInfo:
        """Write the object to the file `local_path`, which appears whole and verified or not at all.

        An existing file is replaced in one step and stays as it was on any failure; missing folders are made. Not
        promised: that the file outlives a power cut in the next seconds, for it can be fetched again.

        Args:
            remote_path: the key.
            content: what the bytes must hash to, whatever is stored beside them.

        Raises:
            ObjectNotFound, BucketNotFound, StoreUnavailable.
            ContentCorrupted: the bytes don't match the stored SHA-256, or `content`.
            InvalidRequest: nobody knows the algorithm of `content`.
            LocalFileError: `local_path` is a directory, or its folder can't be written.
            InsufficientStorage: the local disk is full.
        """
        with self.open_reader(remote_path) as reader, ReplacementFile(local_path) as file:
            if content is not None:
                reader.expect(content)
            while chunk := reader.read(CHUNK_BYTES):
                file.write(chunk)
                if progress:
                    progress(len(chunk))
            file.commit()
            return reader.info

    def exists(self, remote_path: str) -> bool:
        """Whether an object has exactly this key. A prefix of other keys is not an object.

        Raises:
            BucketNotFound: also here; a missing bucket is not a "no".
        """
        try:
            self.head(remote_path)
        except ObjectNotFound:
            return False
        return True

    def get_file_size(self, remote_path: str) -> int:
        """The object's size in bytes. Raises as `head`."""
        return self.head(remote_path).size

    def get_metadata(self, remote_path: str) -> dict[str, Any]:
        """`head` as a dict: `size content_type etag last_modified sha256` (None where unknown) and `metadata`."""
        info = self.head(remote_path)
        return {
            "size": info.size,
            "content_type": info.content_type,
            "etag": info.etag,
            "last_modified": info.last_modified,
            "sha256": info.sha256,
            "metadata": dict(info.metadata or {}),
        }

    # -- listing

    @abstractmethod
    def list_objects(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix`, in UTF-8 byte order of the keys, as a stream.

        The prefix is a raw string: `c` also lists `cc/0`. Complete or an error: a listing that can't go on raises, it
        never just ends. Objects written or deleted while it runs may or may not appear; all others appear once.
        A missing bucket raises at the first step at the latest. Each item has key, size, etag and last_modified.

        Args:
            start_after: only keys greater than this one in byte order.

        Raises:
            BucketNotFound, AccessDenied, StoreUnavailable; InvalidRequest for a prefix that is not UTF-8.
        """

    def list_files(self, prefix: str | None = None) -> list[str]:
        """The keys of `list_objects`, as a list."""
        return [info.key for info in self.list_objects(prefix or "")]

    # -- writing

    @abstractmethod
    def open_writer(
        self,
        key: str,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        condition: WriteCondition | None = None,
    ) -> ObjectWriter:
        """A stream that becomes the object when it is committed, as leaving its `with` block does.

        The object appears whole or not at all: until the commit the key shows what it showed before; an exception in
        the block, an abort, a kill or a lost writer publishes nothing. The SHA-256 of what was written is kept with
        the object. A commit that returned is durable. Memory does not grow with
        the object.

        Args:
            content_type: media type; by default guessed from the key's suffix.
            metadata: names `[a-z0-9-]+`, values any text, `MAX_METADATA_BYTES` in all; replaces all that the key had.
            condition: checked at the moment of publication, against all other writers.

        Raises:
            InvalidRequest: the key, content type or metadata can't be; before any byte is taken.
            UnsupportedOperation: the condition is not a capability; before any byte is taken.
            PreconditionFailed: from the commit.
            BucketNotFound, AccessDenied, InsufficientStorage, StoreUnavailable.
        """

    def put_bytes(
        self,
        key: str,
        data: bytes | bytearray | memoryview,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        condition: WriteCondition | None = None,
    ) -> ObjectInfo:
        """Store `data` under `key`. Promises and errors as `open_writer`."""
        with self.open_writer(key, content_type=content_type, metadata=metadata, condition=condition) as writer:
            writer.write(data)
            return writer.commit()

    def upload(
        self,
        local_path: str | PathLike[str],
        remote_path: str,
        metadata: Mapping[str, str] | None = None,
        *,
        content_type: str | None = None,
        condition: WriteCondition | None = None,
        progress: Progress | None = None,
        sha256: str | None = None,
    ) -> ObjectInfo:
        """Store the file `local_path` under the key `remote_path`. Promises as `open_writer`.

        A file that changes while it is read is not published.

        Args:
            content_type: by default guessed from the key's suffix, or else from the file's.
            sha256: that the file must have, in lower-case hex digits; None takes any.

        Raises:
            LocalFileError: the file is missing, unreadable, not a regular file, changed meanwhile, or has another SHA-256.
        """
        content_type = content_type or content_type_of_upload(remote_path, str(local_path))
        with (
            LocalSource(local_path) as source,
            self.open_writer(remote_path, content_type=content_type, metadata=metadata, condition=condition) as writer,
        ):
            while chunk := source.read(CHUNK_BYTES):
                writer.write(chunk)
                if progress:
                    progress(len(chunk))
            source.check_unchanged()
            check_content(local_path, writer.sha256, sha256)
            return writer.commit()

    @abstractmethod
    def copy(self, source: str, destination: str, *, condition: WriteCondition | None = None) -> ObjectInfo:
        """Copy an object within the bucket, bytes, content type, metadata and SHA-256, without moving bytes through the caller.

        Whole or not at all, as any write; copying a key onto itself leaves the object as it is.

        Raises:
            ObjectNotFound: there is no `source`.
            PreconditionFailed, UnsupportedOperation: as `open_writer`, for the destination.
        """

    # -- deleting

    @abstractmethod
    def delete(self, remote_path: str) -> None:
        """Delete one object. A missing key succeeds. Never deletes anything else, whatever the key looks like.

        Raises:
            BucketNotFound, AccessDenied, StoreUnavailable.
        """

    def delete_many(self, keys: Iterable[str]) -> list[StorageError]:
        """Delete every key given, in as few requests as the store allows; missing ones succeed.

        One failure does not stop the others. Memory does not grow with the number of keys.

        Returns:
            What could not be deleted, an error for each, with its `key` if it can be one; empty where all went well.

        Raises:
            BucketNotFound, StoreUnavailable: the store as a whole can't do it; some keys may be gone.
        """
        failures: list[StorageError] = []
        for key in keys:
            try:
                self.delete(key)
            except (BucketNotFound, StoreUnavailable):
                raise
            except StorageError as error:
                failures.append(error)
        return failures

    # -- leftovers

    def unfinished_uploads(self, prefix: str = "") -> Iterator[UnfinishedUpload]:
        """Uploads in parts that somebody began and did not finish; none where a store keeps no such thing.

        An upload that is under way looks the same as one whose program was killed; its age tells them apart.

        Raises:
            BucketNotFound, AccessDenied, StoreUnavailable.
        """
        return iter(())

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        """Free the parts of an unfinished upload; one that is gone is no error.

        Raises:
            UnsupportedOperation: where a store keeps no such thing.
        """
        raise self.unsupported("uploads in parts")

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
        """A URL with which anybody can GET or PUT this object until it expires (capability `presign`).

        What is bound to a PUT is part of the signature: the request has to carry exactly these headers, and one with
        others is refused by the store.

        Args:
            method: `GET` or `PUT`.
            expires_in: seconds, at most 7 days.
            content_type: for PUT, bound as `Content-Type`; for GET, the type that the answer is to have.
            content_length: for PUT, bytes, bound as `Content-Length`.
            once: for PUT, bound as `If-None-Match: *`: it creates the object and never replaces one (capability
                `create_if_absent`).

        Raises:
            UnsupportedOperation: without the capability.
            InvalidRequest: another method, a lifetime out of range, or something bound to a GET.
        """
        raise self.unsupported("presigned URLs")
