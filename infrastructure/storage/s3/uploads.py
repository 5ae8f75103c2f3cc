"""The life of a multipart upload, request by request."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from xml.sax.saxutils import escape

from domain.errors import ObjectNotFound
from domain.storage import WriteCondition
from infrastructure.storage.s3.attributes import Attributes, plain_etag
from infrastructure.storage.s3.dialect import Target
from infrastructure.storage.s3.errors import document_of, no_store
from infrastructure.storage.s3.wire import Wire


class Uploads:
    """The multipart uploads of one bucket. Thread-safe; every call sends one request."""

    def __init__(self, target: Target, wire: Wire) -> None:
        self._target = target
        self._wire = wire

    def create(self, key: str, attributes: Attributes) -> str:
        """Begin an upload; its id."""
        doing = f"begin a multipart upload of {self._target.place(key)}"
        reply = self._wire.send(
            "POST", key, query=[("uploads", "")], headers=attributes.headers(), body=b"", doing=doing
        )
        upload_id = document_of(self._target, reply.data, "InitiateMultipartUploadResult", doing, key=key).findtext(
            "{*}UploadId"
        )
        if not upload_id:
            raise no_store(self._target, doing)
        return upload_id

    def send_part(self, key: str, upload_id: str, number: int, piece: bytes, sha256: str | None) -> str:
        """Store a part; its ETag.

        Args:
            sha256: as `Wire.send`.
        """
        doing = f"write part {number} of {self._target.place(key)}"
        query = [("partNumber", str(number)), ("uploadId", upload_id)]
        reply = self._wire.send("PUT", key, query=query, body=piece, sha256=sha256, doing=doing)
        if "etag" not in reply.headers:
            raise no_store(self._target, doing)
        return reply.headers["etag"]

    def stored_parts(self, key: str, upload_id: str, after: int = 0) -> tuple[dict[int, tuple[int, str]], int | None]:
        """Some of the parts that the store has, by number: their size and plain ETag; and where to go on, or None.

        Args:
            after: only parts of higher numbers.

        Raises:
            ObjectNotFound: there is no such upload any more.
        """
        doing = f"list the parts of the multipart upload of {self._target.place(key)}"
        query = [("part-number-marker", str(after)), ("uploadId", upload_id)]
        reply = self._wire.send("GET", key, query=query, doing=doing)
        page = document_of(self._target, reply.data, "ListPartsResult", doing, key=key)
        try:
            parts = {
                int(part.findtext("{*}PartNumber", "")): (
                    int(part.findtext("{*}Size", "")),
                    plain_etag(part.findtext("{*}ETag")),
                )
                for part in page.iterfind("{*}Part")
            }
            if page.findtext("{*}IsTruncated") != "true":
                return parts, None
            further = int(page.findtext("{*}NextPartNumberMarker", ""))
        except ValueError:
            raise no_store(self._target, doing) from None
        if further <= after:  # it would never end
            raise no_store(self._target, doing)
        return parts, further

    def complete(
        self, key: str, upload_id: str, parts: Sequence[tuple[int, str]], condition: WriteCondition | None
    ) -> None:
        """Put the object in its place from the parts (number, ETag), in the order of their numbers.

        Args:
            condition: None, or that there is no object yet; a replacement is never sent in parts.
        """
        doing = f"complete the multipart upload of {self._target.place(key)}"
        listed = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>" for number, etag in parts
        )
        body = (
            '<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"{listed}</CompleteMultipartUpload>"
        )
        headers = {"content-type": "application/xml"}
        if condition is not None:
            headers["if-none-match"] = "*"
        reply = self._wire.send(
            "POST", key, query=[("uploadId", upload_id)], headers=headers, body=body.encode(), doing=doing
        )
        document_of(self._target, reply.data, "CompleteMultipartUploadResult", doing, key=key)

    def abort(self, key: str, upload_id: str) -> None:
        """Give up an upload and free its parts; one that is gone is no error."""
        doing = f"abort the multipart upload of {self._target.place(key)}"
        with suppress(ObjectNotFound):  # NoSuchUpload
            self._wire.send("DELETE", key, query=[("uploadId", upload_id)], doing=doing)
