"""The S3 engine: one bucket, and which of the clients does what.

Objects, their parts, copies and listings go as signed requests of our own; buckets are boto3's. Neither repeats a request:
`Retries` does, for both.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from domain.errors import (
    AccessDenied,
    BucketNotFound,
    ConfigurationError,
    InvalidRequest,
    ObjectNotFound,
    PreconditionFailed,
    RangeNotSatisfiable,
    StorageError,
    StoreUnavailable,
    UnsupportedOperation,
)
from domain.keys import check_key
from domain.local_files import LocalSource
from domain.storage import ObjectInfo, Progress, WriteCondition
from infrastructure.storage.s3.attributes import Attributes, info_of_write
from infrastructure.storage.s3.conditional import ConditionalWrite
from infrastructure.storage.s3.dialect import GIB, Target
from infrastructure.storage.s3.errors import BytesDamaged, of_code
from infrastructure.storage.s3.retries import Retries, told_once

if TYPE_CHECKING:
    from infrastructure.storage.s3.control_plane import ControlPlane
    from infrastructure.storage.s3.handles import Sink
    from infrastructure.storage.s3.multipart import Multipart
    from infrastructure.storage.s3.wire import Wire
    from infrastructure.storage.s3.writing import FileContent

Answer = TypeVar("Answer")

SMALL_BYTES = 8 << 20
"""Up to here an object is sent from memory."""

_SEEN_SECONDS = 60.0
_SENT_PIECE_BYTES = 1 << 20


class S3Engine:
    """The objects of one bucket. Thread-safe; its clients are made when they are first needed."""

    def __init__(self, target: Target, *, create_bucket: bool = False) -> None:
        self.target = target
        self.retries = Retries(target.attempts)
        self._create_bucket = create_bucket
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._wire: Wire | None = None
        self._control: ControlPlane | None = None
        self._multipart: Multipart | None = None
        self._seen = -_SEEN_SECONDS

    # -- clients

    @property
    def wire(self) -> Wire:
        """Signed requests of our own."""
        wire = self._wire
        if wire is not None:  # without the lock: every object passes here
            return wire
        with self._lock:
            if self._wire is None:
                from infrastructure.storage.s3.wire import Wire

                self._wire = Wire(self.target)
            return self._wire

    @property
    def control(self) -> ControlPlane:
        """boto3."""
        with self._lock:
            if self._pid != os.getpid():
                # A child that went on with its parent's connections would read the answers to its parent's questions.
                self._pid, self._control = os.getpid(), None
            if self._control is None:
                from infrastructure.storage.s3.control_plane import ControlPlane

                self._control = ControlPlane(self.target)
            return self._control

    @property
    def multipart(self) -> Multipart:
        """Objects in parts."""
        with self._lock:
            if self._multipart is None:
                from infrastructure.storage.s3.multipart import Multipart

                self._multipart = Multipart(self.target, self.wire, lambda: self.control, self.retries, self._look)
            return self._multipart

    def close(self) -> None:
        """Let go of all connections; the next call makes them anew."""
        with self._lock:
            if self._wire is not None:
                self._wire.close()
            if self._control is not None:
                self._control.close()
            self._wire = self._control = self._multipart = None

    # -- the bucket

    def check_bucket(self) -> None:
        """Raises: BucketNotFound, AccessDenied, StoreUnavailable, ConfigurationError for one in another region."""
        self.asked(self._probe)

    def create_bucket(self) -> None:
        """Create the bucket where it is missing."""
        self.retries(self.control.create_bucket)
        self.retries(self._probe)  # what is no store may say yes to anything

    def asked(self, call: Callable[[], Answer], *, repeated: bool = True) -> Answer:
        """`call()` with retries, and once more where it made known that the bucket is missing and may be made.

        Args:
            repeated: False for what repeats its own requests: to repeat that as a whole would multiply the attempts.
        """
        attempt = partial(self.retries, call) if repeated else call
        try:
            answer = attempt()
        except BucketNotFound:
            if not self._create_bucket:
                raise
            self.create_bucket()
            answer = attempt()
        except (AccessDenied, ConfigurationError, InvalidRequest) as error:
            if not isinstance(error, RangeNotSatisfiable):
                self._explain(error)
            raise
        self._seen = time.monotonic()
        return answer

    def _probe(self) -> None:
        from infrastructure.storage.s3.listing import check_listing

        check_listing(self.target, self.wire, f"reach {self.target.place()}")

    def _explain(self, error: StorageError) -> None:
        """Raise a refusal that has more words: the answer to a HEAD has none.

        One that is about this object alone stays as it is.
        """
        try:
            self._probe()
        except (AccessDenied, ConfigurationError, BucketNotFound) as clearer:
            if "access denied" not in clearer.message:
                raise type(clearer)(clearer.message, provider=clearer.provider, key=error.key) from error
        except StorageError:
            pass

    def _head_bucket(self) -> None:
        try:
            self.wire.send("HEAD", doing=f"reach {self.target.place()}")
        except ObjectNotFound as error:
            raise of_code(self.target, 404, "NoSuchBucket", "", "reach it") from error

    # -- reading

    def head(self, key: str) -> ObjectInfo:
        """As `IStorageProvider.head`."""
        return self.asked(partial(self._look, key))

    def _look(self, key: str) -> ObjectInfo:
        try:
            return self.wire.head(key)
        except ObjectNotFound:
            # The answer to a HEAD has no body that would tell which of the two is missing.
            if not self.bucket_is_there():
                self._head_bucket()
                self._seen = time.monotonic()
            raise

    def bucket_is_there(self) -> bool:
        """Whether the bucket answered a moment ago: who looks for many keys should not pay twice for each."""
        return time.monotonic() - self._seen < _SEEN_SECONDS

    def get(
        self, key: str, start: int, stop: int | None, if_match: str | None, sink: Sink | None = None
    ) -> tuple[ObjectInfo, bytes]:
        """As `Wire.get`; one request, not repeated."""
        return self.wire.get(key, start, stop, if_match, sink)

    def list_objects(self, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
        """As `IStorageProvider.list_objects`."""
        from infrastructure.storage.s3.listing import list_objects

        return list_objects(self.target, self.wire, self.asked, prefix, start_after)

    # -- writing

    def put(self, key: str, data: bytes, attributes: Attributes, condition: WriteCondition | None) -> ObjectInfo:
        """Store bytes that are in memory, in one request."""
        with self.wire.memory.holding(len(data)):
            return self._put(
                key, len(data), attributes, condition, lambda sent: self.wire.put(key, data, sent, condition)
            )

    def content_of(self, source: LocalSource) -> FileContent:
        """The file, read once for what has to be known before it is sent."""
        from infrastructure.storage.s3.writing import FileContent

        in_parts = source.size >= self.target.multipart_threshold
        return FileContent(source, self.target.part_size(source.size) if in_parts else None)

    def put_file(
        self,
        key: str,
        content: FileContent,
        attributes: Attributes,
        condition: WriteCondition | None,
        progress: Progress | None = None,
    ) -> ObjectInfo:
        """Store a file: in one request below the threshold, in parts above."""
        can = self.target.capabilities
        in_parts = content.part_bytes is not None
        if condition is not None and not (can.create_if_absent_multipart and condition.if_match is None):
            in_parts = False  # one request can be conditional where the end of many can't
            if content.size > self.target.dialect.max_put_bytes:
                raise UnsupportedOperation(
                    f"a condition on more than {self.target.dialect.max_put_bytes / GIB:.0f} GiB: this bucket can't do this",
                    provider=self.target.provider,
                )
        attempt = told_once(progress)
        if in_parts:
            return self.asked(lambda: self._in_parts(key, content, attributes, condition, attempt()), repeated=False)

        def pieces() -> Iterator[bytes]:
            moved = attempt()
            for piece in content.pieces(_SENT_PIECE_BYTES):
                yield piece
                moved(len(piece))

        def send(sent: Attributes) -> str:
            from infrastructure.storage.s3.handles import Pieces

            return self.wire.put(key, Pieces(pieces(), content.size), sent, condition)

        return self._put(key, content.size, attributes, condition, send)

    def _in_parts(
        self,
        key: str,
        content: FileContent,
        attributes: Attributes,
        condition: WriteCondition | None,
        progress: Progress,
    ) -> ObjectInfo:
        upload = self.multipart.begin_or_resume(key, content, attributes, progress)
        try:
            for piece, sha256 in content.parts(upload.there):
                upload.send(piece, sha256)
            return upload.complete(condition)
        except BytesDamaged:  # on their way, or before
            upload.abort()
            content.check_unchanged()
            raise
        except StoreUnavailable as error:
            if not upload.keep():
                raise
            raise type(error)(
                f"{error.message}; what is stored is kept: run this again to go on, or free it with 'storage uploads abort'",
                provider=error.provider,
                key=error.key,
            ) from error
        except KeyboardInterrupt:
            upload.keep()
            raise
        except BaseException:
            upload.abort()
            raise

    def _put(
        self,
        key: str,
        size: int,
        attributes: Attributes,
        condition: WriteCondition | None,
        send: Callable[[Attributes], str],
    ) -> ObjectInfo:
        if condition is None:
            etag = self.asked(lambda: send(attributes))
        else:
            marked = attributes if attributes.write_id else attributes.marked()
            etag = self.asked(ConditionalWrite(self.target, self.wire, key, condition, marked, send))
        return info_of_write(key, size, etag, attributes)

    def copy(self, info: ObjectInfo, destination: str, *, origin: S3Engine | None = None) -> ObjectInfo:
        """Copy an object with all that is known of it, within the store.

        Args:
            origin: of another bucket of this store, which has it.
        """
        return self._copy(origin or self, info, destination, None)

    def copy_as(self, info: ObjectInfo, destination: str, attributes: Attributes) -> ObjectInfo:
        """Copy an object's bytes within the bucket, and give the copy these attributes."""
        return self._copy(self, info, destination, attributes)

    def _copy(self, origin: S3Engine, info: ObjectInfo, destination: str, attributes: Attributes | None) -> ObjectInfo:
        from infrastructure.storage.s3.copies import ServerCopies

        copies = ServerCopies(origin.target, self.target, self.wire)
        known = attributes or Attributes(info.content_type or "", info.metadata or {}, info.sha256 or "")
        if info.size > self.target.dialect.max_put_bytes:
            look = partial(origin.head, info.key)
            return self.asked(lambda: copies.in_parts(info, destination, known, self.multipart, self.retries, look))
        etag = self.asked(lambda: copies.copy(info, destination, attributes))
        if not etag or (attributes is None and etag != info.etag):
            # Some stores don't tell, or don't heed that the source is to be unchanged. What they copied is of one state.
            return self.head(destination)
        return info_of_write(destination, info.size, etag, known)

    def copy_exactly(self, info: ObjectInfo, destination: str, origin: S3Engine) -> ObjectInfo | None:
        """Copy an object as `copy`, and look at what became of it; None where the store can't, or tells something else of it."""
        with suppress(UnsupportedOperation, PreconditionFailed, ObjectNotFound):
            self.copy(info, destination, origin=origin)
            found = self.head(destination)
            if found._replace(key=info.key, etag=info.etag, last_modified=info.last_modified) == info:
                return found
        return None

    # -- deleting

    def delete(self, key: str) -> None:
        """As `IStorageProvider.delete`."""
        with suppress(ObjectNotFound):  # some stores complain
            self.asked(lambda: self.wire.delete(key))

    def delete_many(self, keys: Iterable[str]) -> list[StorageError]:
        """As `IStorageProvider.delete_many`."""
        from infrastructure.storage.s3.bulk_delete import MOST, can_be_bulked, delete_objects

        failures: list[StorageError] = []
        rest = iter(keys)
        while batch := list(islice(rest, MOST)):
            together = []
            for key in dict.fromkeys(batch):
                try:
                    check_key(key, provider=self.target.provider)
                    if can_be_bulked(key):
                        together.append(key)
                    else:
                        self.delete(key)
                except (BucketNotFound, StoreUnavailable):
                    raise
                except StorageError as error:
                    failures.append(error)
            if together:
                failures += self.asked(partial(delete_objects, self.target, self.wire, together))
        return failures
