"""Copies that the store makes within itself, from any of its buckets: no byte of them comes by here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from domain.errors import ObjectNotFound, PreconditionFailed, StorageError
from domain.storage import ObjectInfo
from infrastructure.storage.s3.attributes import Attributes, plain_etag
from infrastructure.storage.s3.dialect import MIB, Target
from infrastructure.storage.s3.errors import document_of, no_store
from infrastructure.storage.s3.parallel import in_order

if TYPE_CHECKING:
    from infrastructure.storage.s3.multipart import Multipart
    from infrastructure.storage.s3.retries import Retries
    from infrastructure.storage.s3.wire import Wire

_WIDTH = 6
"""Parts under way at a time."""

_LEAST_PART_BYTES = 512 * MIB
"""A copied part is moved by the store, and may be as large as the store takes it."""


class ServerCopies:
    """Copies from one bucket into this or another one of the store. Thread-safe.

    Args:
        origin: the bucket that is copied from.
        target, wire: the bucket that is copied to.
    """

    def __init__(self, origin: Target, target: Target, wire: Wire) -> None:
        self._origin = origin
        self._target = target
        self._wire = wire

    def copy(self, source: ObjectInfo, destination: str, attributes: Attributes | None) -> str:
        """Copy an object if it still has its ETag, in one request; the copy's ETag, or empty where the store does not tell.

        Args:
            attributes: what the copy is to have instead of the source's; None leaves that to the store, which takes bytes and
                attributes of one state, also where it does not heed the ETag, as Ceph does not.
        """
        headers = {"x-amz-metadata-directive": "COPY"}
        if attributes is not None:
            headers = attributes.headers() | {"x-amz-metadata-directive": "REPLACE"}
        etag, _ = self._ask(source, destination, [], headers, "CopyObjectResult")
        return plain_etag(etag)

    def in_parts(
        self,
        source: ObjectInfo,
        destination: str,
        attributes: Attributes,
        multipart: Multipart,
        retries: Retries,
        look: Callable[[], ObjectInfo],
    ) -> ObjectInfo:
        """Copy an object of any size, as `copy`; the object as the store then tells of it.

        Args:
            look: tells the source as it is now. It is asked before the parts are put together: they may be of several states
                where the store does not heed the ETag.
        """
        upload = multipart.begin(destination, attributes)
        step = max(self._target.part_size(source.size), _LEAST_PART_BYTES)

        def part(number: int, start: int) -> tuple[int, str]:
            query = [("partNumber", str(number)), ("uploadId", upload.upload_id)]
            headers = {"x-amz-copy-source-range": f"bytes={start}-{min(start + step, source.size) - 1}"}
            etag, doing = retries(lambda: self._ask(source, destination, query, headers, "CopyPartResult"))
            if not etag:
                raise no_store(self._target, doing)
            return number, etag

        starts = enumerate(range(0, source.size, step), 1)
        try:
            parts = list(in_order((partial(part, number, start) for number, start in starts), _WIDTH))
            if look().etag != source.etag:
                raise self._changed(source)
            return multipart.complete(upload, parts, None, source.size)
        except BaseException:
            upload.abort()
            raise

    def _ask(
        self, source: ObjectInfo, destination: str, query: list[tuple[str, str]], headers: dict[str, str], result: str
    ) -> tuple[str, str]:
        """Have something copied; the ETag of that, and what was tried, for a message."""
        doing = f"copy {self._origin.place(source.key)}"
        headers = headers | {
            "x-amz-copy-source": f"{self._origin.bucket}/{quote(source.key, safe='/~')}",
            "x-amz-copy-source-if-match": f'"{source.etag}"',
        }
        try:
            reply = self._wire.send("PUT", destination, query=query, headers=headers, body=b"", doing=doing)
        except (ObjectNotFound, PreconditionFailed) as error:
            raise self._changed(source, type(error)) from error
        # A store may begin its answer with 200 before it knows, and then tell of an error.
        document = document_of(self._target, reply.data, result, doing, key=source.key)
        return document.findtext("{*}ETag") or "", doing

    def _changed(self, source: ObjectInfo, kind: type[StorageError] = PreconditionFailed) -> StorageError:
        return kind(
            f"can't copy {self._origin.place(source.key)}: it was replaced or deleted meanwhile; nothing was written",
            provider=self._target.provider,
            key=source.key,
        )
