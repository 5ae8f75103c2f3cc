"""Signed requests about one bucket, and what its answers mean."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from urllib.parse import quote

from domain.errors import ObjectNotFound, PreconditionFailed, StorageError, UnsupportedOperation
from domain.storage import ObjectInfo, WriteCondition
from infrastructure.storage.s3.attributes import (
    META,
    WRITE_ID,
    Attributes,
    info_of_headers,
    info_of_write,
    plain_etag,
    written_etag,
)
from infrastructure.storage.s3.conditional import condition_failed
from infrastructure.storage.s3.connections import Connections
from infrastructure.storage.s3.dialect import Target
from infrastructure.storage.s3.errors import no_store, of_curl, of_reply
from infrastructure.storage.s3.handles import ConnectionTrouble, Pieces, Reply, Request, Sink
from infrastructure.storage.s3.limits import Memory
from infrastructure.storage.s3.multi import Tag
from infrastructure.storage.s3.signing import NOTHING, UNSIGNED, Signer, canonical_query


class Wire:
    """One bucket by plain HTTP requests. Thread-safe; every call sends one request."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._signer = Signer(target.credentials, target.region)
        self._connections = Connections(target)
        self._base, self._host, self._bucket = _address(target, target.endpoint_url)

    def close(self) -> None:
        """Close idle connections."""
        self._connections.close()

    @property
    def memory(self) -> Memory:
        """For what is held of objects while they are moved."""
        return self._connections.traffic.memory

    # -- objects

    def head(self, key: str) -> ObjectInfo:
        """Raises: as `IStorageProvider.head`, but for a missing bucket, which a HEAD can't tell from a missing key."""
        doing = f"look at {self._target.place(key)}"
        return self._info(key, self.send("HEAD", key, doing=doing), doing)

    def written_by(self, key: str) -> tuple[str, str]:
        """The object's ETag, and the id of the conditional write that made it, or empty."""
        return _write_of(self.send("HEAD", key, doing=f"look at {self._target.place(key)}").headers)

    def get(
        self, key: str, start: int, stop: int | None, if_match: str | None, sink: Sink | None = None
    ) -> tuple[ObjectInfo, bytes]:
        """The object and its bytes from `start` up to, not including, `stop`, or to the end; a `sink` gets those instead."""
        headers = {}
        if start or stop is not None:
            headers["range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        if if_match is not None:
            headers["if-match"] = f'"{if_match}"'
        doing = f"read {self._target.place(key)}"
        limit = None if stop is None else stop - start
        with self.memory.holding(0 if sink else limit or 0):
            reply = self.send("GET", key, headers=headers, doing=doing, limit=limit, sink=sink)
        info = self._info(key, reply, doing)
        if start and reply.status != 206 and "content-range" not in reply.headers:
            raise UnsupportedOperation(
                f"can't {doing}: the store gives the whole object where a range was asked for",
                provider=self._target.provider,
                key=key,
            )
        return info, reply.data

    def put(self, key: str, body: bytes | Pieces, attributes: Attributes, condition: WriteCondition | None) -> str:
        """Store the bytes; the ETag.

        The request is signed with their SHA-256, so that the store itself checks what arrives.
        """
        headers = self._headers(attributes, condition)
        doing = f"write {self._target.place(key)}"
        reply = self.send("PUT", key, headers=headers, body=body, sha256=attributes.sha256, doing=doing)
        self._check_etag(reply, doing)
        return plain_etag(reply.headers["etag"])

    def put_many(
        self,
        objects: Iterable[tuple[Tag, str, bytes, Attributes]],
        largest: int,
        condition: WriteCondition | None = None,
    ) -> Iterator[tuple[Tag, ObjectInfo | PreconditionFailed | None]]:
        """Store objects of at most `largest` bytes. None for one that is to be stored by `put`, which tells why it was not.

        `PreconditionFailed` is what the store says of a conditional one: it may have been stored by this very request, if that
        went twice.
        """
        unsigned: list[Tag] = []

        def requests() -> Iterator[tuple[tuple[Tag, str, int, Attributes], Request]]:
            for tag, key, body, attributes in objects:
                try:
                    request = self._request(
                        "PUT",
                        key,
                        headers=self._headers(attributes, condition),
                        body=body,
                        sha256=attributes.sha256,
                    )
                except StorageError:
                    unsigned.append(tag)
                else:
                    yield (tag, key, len(body), attributes), request

        for (tag, key, size, attributes), reply in self._connections.send_many(requests(), largest):
            if isinstance(reply, Reply) and reply.status == 200 and "etag" in reply.headers:
                yield tag, info_of_write(key, size, reply.headers["etag"], attributes)
            elif isinstance(reply, Reply) and reply.status == 412 and condition is not None:
                yield tag, condition_failed(self._target, key, condition)
            else:
                yield tag, None
        yield from ((tag, None) for tag in unsigned)

    def get_many(
        self, keys: Iterable[tuple[Tag, str]], limit: int
    ) -> Iterator[tuple[Tag, tuple[ObjectInfo, bytes] | None]]:
        """Read whole objects of at most `limit` bytes; None for one that is to be read by `get`."""
        for tag, key, reply in self._ask_many("GET", keys, limit):
            found = None
            if reply is not None and reply.status == 200:
                with suppress(StorageError):
                    info = self._info(key, reply, "")
                    found = (info, reply.data) if len(reply.data) == info.size else None
            yield tag, found

    def head_many(self, keys: Iterable[str]) -> Iterator[tuple[str, ObjectInfo | ObjectNotFound | None]]:
        """Look at objects; `ObjectNotFound` as `head`. None for one that is to be asked for by `head`."""
        for _, key, reply in self._ask_many("HEAD", ((None, key) for key in keys)):
            found: ObjectInfo | ObjectNotFound | None = None
            if reply is not None and reply.status == 200:
                with suppress(StorageError):
                    found = self._info(key, reply, "")
            elif reply is not None and reply.status == 404:
                error = of_reply(self._target, 404, "", f"look at {self._target.place(key)}", key=key)
                found = error if isinstance(error, ObjectNotFound) else None
            yield key, found

    def written_by_many(self, keys: Iterable[tuple[Tag, str]]) -> Iterator[tuple[Tag, tuple[str, str] | None]]:
        """As `written_by`, of many objects; None for one of which that can't be told."""
        for tag, _, reply in self._ask_many("HEAD", keys):
            there = reply is not None and reply.status == 200 and "etag" in reply.headers
            yield tag, _write_of(reply.headers) if there and reply is not None else None

    def _ask_many(
        self, method: str, keys: Iterable[tuple[Tag, str]], limit: int | None = None
    ) -> Iterator[tuple[Tag, str, Reply | None]]:
        """Send a request without a body about each object; None where there was no answer."""
        unsigned: list[tuple[Tag, str]] = []

        def requests() -> Iterator[tuple[tuple[Tag, str], Request]]:
            for tag, key in keys:
                try:
                    yield (tag, key), self._request(method, key)._replace(limit=limit)
                except StorageError:
                    unsigned.append((tag, key))

        for (tag, key), reply in self._connections.send_many(requests(), limit or 0):
            yield tag, key, reply if isinstance(reply, Reply) else None
        yield from ((tag, key, None) for tag, key in unsigned)

    def delete(self, key: str) -> None:
        """Delete the object; a missing one is no error."""
        doing = f"delete {self._target.place(key)}"
        if self.send("DELETE", key, doing=doing).data:  # a success has no body, and a web page has
            raise no_store(self._target, doing)

    def _info(self, key: str, reply: Reply, doing: str) -> ObjectInfo:
        self._check_etag(reply, doing)
        try:
            return info_of_headers(key, reply.headers)
        except ValueError:
            raise no_store(self._target, doing) from None

    def _headers(self, attributes: Attributes, condition: WriteCondition | None) -> dict[str, str]:
        """Those of a write."""
        headers = attributes.headers()
        if condition is not None and condition.if_match is None:
            headers["if-none-match"] = "*"
        elif condition is not None and condition.if_match is not None:
            headers["if-match"] = written_etag(condition.if_match, quoted=self._target.dialect.quoted_etags)
        return headers

    def _check_etag(self, reply: Reply, doing: str) -> None:
        if "etag" not in reply.headers:
            raise no_store(self._target, doing)

    # -- requests

    def send(
        self,
        method: str,
        key: str = "",
        *,
        query: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | Pieces | None = None,
        sha256: str | None = None,
        doing: str,
        limit: int | None = None,
        sink: Sink | None = None,
    ) -> Reply:
        """Send one signed request; the answer to it.

        Args:
            key: the object; empty for the bucket itself.
            sha256: of the body, in hex, or `UNSIGNED`; computed where it is not given.
            limit, sink: as `Request`.

        Raises:
            StorageError: the answer is no success.
        """
        request = self._request(method, key, query, headers, body, sha256)._replace(limit=limit, sink=sink)
        try:
            reply = self._connections.send(request)
        except ConnectionTrouble as trouble:
            raise of_curl(self._target, trouble.code, trouble.text, doing, key=key or None) from trouble
        if reply.status >= 300:
            raise of_reply(
                self._target,
                reply.status,
                reply.data.decode("utf-8", "replace"),
                doing,
                key=key or None,
                region=reply.headers.get("x-amz-bucket-region"),
            )
        return reply

    def _request(
        self,
        method: str,
        key: str,
        query: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | Pieces | None = None,
        sha256: str | None = None,
    ) -> Request:
        """A signed request; as `send`."""
        path = _path(self._bucket, key)
        asked = canonical_query(query) if query else ""
        if body is None:
            sha256 = NOTHING
        elif sha256 is None:
            sha256 = hashlib.sha256(body, usedforsecurity=False).hexdigest() if isinstance(body, bytes) else UNSIGNED
        signed = self._signer.sign(method, self._host, path, asked, headers or {}, sha256)
        return Request(method, f"{self._base}{path}?{asked}" if asked else self._base + path, signed, body)

    # -- addresses

    def presigned(
        self, method: str, key: str, headers: Mapping[str, str], query: Iterable[tuple[str, str]], expires_in: int
    ) -> str:
        """A URL that holds its own signature; whoever uses it has to send exactly these headers along."""
        endpoint = self._target.public_endpoint_url or self._target.endpoint_url
        base, host, bucket = _address(self._target, endpoint)
        path = _path(bucket, key)
        return f"{base}{path}?{self._signer.presign(method, host, path, query, headers, expires_in)}"

    def url(self, key: str) -> str:
        """The address of an object, or of the bucket where the key is empty."""
        return self._base + _path(self._bucket, key)


def _write_of(headers: Mapping[str, str]) -> tuple[str, str]:
    return plain_etag(headers.get("etag")), headers.get(META + WRITE_ID, "")


def _path(bucket: str, key: str) -> str:
    """The path of an object, or of the bucket itself, percent-encoded."""
    return f"{bucket}/{quote(key, safe='/~')}" if key else bucket or "/"


def _address(target: Target, endpoint_url: str) -> tuple[str, str, str]:
    """Where the bucket is: scheme and host, the host as it is signed, and the path of the bucket, without a slash at its end."""
    base = target.bucket_address(endpoint_url)
    scheme, _, host = base.partition("://")
    host = host.removesuffix(":443" if scheme == "https" else ":80")
    return f"{scheme}://{host}", host, f"/{target.bucket}" if target.path_style else ""
