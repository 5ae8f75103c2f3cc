"""Requests of our own making, signed by botocore and sent by urllib3: for what obstore can't say.

That is: any key whatever, listings page by page, the parts of multipart uploads, bodies from a file, bulk deletes, and
URLs for others to use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote, urlencode, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import urllib3
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SigningKeys

from domain.errors import ConfigurationError, UnsupportedOperation
from domain.storage import ObjectInfo, WriteCondition
from infrastructure.storage.s3.addresses import checked_proxy
from infrastructure.storage.s3.attributes import META, WRITE_ID, Attributes, info_of_headers, plain_etag, written_etag
from infrastructure.storage.s3.dialect import Target
from infrastructure.storage.s3.errors import no_store, of_reply, of_trouble
from infrastructure.storage.s3.redaction import redact_logs

if TYPE_CHECKING:
    from infrastructure.storage.s3.reading import Body

UNSIGNED = "UNSIGNED-PAYLOAD"
_NOTHING = hashlib.sha256(usedforsecurity=False).hexdigest()
_ERROR_BYTES = 1 << 16
_STREAM_CHUNK_BYTES = 1 << 20


class Answer(NamedTuple):
    """A success. `data` is empty where the answer is a stream, which `response` then is."""

    headers: Mapping[str, str]
    data: bytes
    response: urllib3.BaseHTTPResponse


class Wire:
    """One bucket by plain HTTP requests. Thread-safe; every call sends one request, and never another one."""

    def __init__(self, target: Target) -> None:
        self._target = target
        redact_logs()
        self._pool, self._proxy_headers = _make_pool(target, self.url(""))

    def close(self) -> None:
        """Close idle connections."""
        self._pool.close()

    # -- objects

    def head(self, key: str) -> ObjectInfo:
        """As `DataPlane.head`."""
        doing = f"look at {self._target.place(key)}"
        answer = self.send("HEAD", key, doing=doing)
        return self._info(key, answer, doing)

    def written_by(self, key: str) -> tuple[str, str]:
        """As `DataPlane.written_by`."""
        headers = self.send("HEAD", key, doing=f"look at {self._target.place(key)}").headers
        return plain_etag(headers.get("etag")), headers.get(META + WRITE_ID, "")

    def get(self, key: str, start: int, stop: int | None, if_match: str | None) -> tuple[ObjectInfo, Body]:
        """As `DataPlane.get`."""
        headers = {}
        if start or stop is not None:
            headers["range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        if if_match is not None:
            headers["if-match"] = f'"{if_match}"'
        doing = f"read {self._target.place(key)}"
        answer = self.send("GET", key, headers=headers, doing=doing, stream=True)
        info = self._info(key, answer, doing)
        if start and answer.response.status != 206 and "content-range" not in answer.headers:
            answer.response.close()
            raise UnsupportedOperation(
                f"can't {doing}: the store gives the whole object where a range was asked for",
                provider=self._target.provider,
                key=key,
            )
        return info, _Bytes(self._target, key, answer.response, doing)

    def put(
        self,
        key: str,
        data: Any,
        attributes: Attributes,
        condition: WriteCondition | None,
        *,
        size: int | None = None,
    ) -> str:
        """As `DataPlane.put`; the bytes may also come in pieces, of `size` bytes in all.

        The request is signed with the SHA-256 of the bytes, so that the store itself checks what arrives.
        """
        headers = attributes.headers()
        if condition is not None and condition.if_match is None:
            headers["if-none-match"] = "*"
        elif condition is not None and condition.if_match is not None:
            headers["if-match"] = written_etag(condition.if_match, quoted=self._target.dialect.quoted_etags)
        headers["content-length"] = str(len(data) if size is None else size)
        doing = f"write {self._target.place(key)}"
        answer = self.send("PUT", key, headers=headers, body=data, sha256=attributes.sha256, doing=doing)
        self._check_etag(answer, doing)
        return plain_etag(answer.headers.get("etag"))

    def delete(self, key: str) -> None:
        """Delete the object; a missing one is no error."""
        doing = f"delete {self._target.place(key)}"
        if self.send("DELETE", key, doing=doing).data:  # a success has no body, and a web page has
            raise no_store(self._target, doing)

    def _info(self, key: str, answer: Answer, doing: str) -> ObjectInfo:
        self._check_etag(answer, doing)
        try:
            return info_of_headers(key, answer.headers)
        except ValueError:
            answer.response.close()
            raise no_store(self._target, doing) from None

    def _check_etag(self, answer: Answer, doing: str) -> None:
        if "etag" not in answer.headers:
            answer.response.close()
            raise no_store(self._target, doing)

    # -- requests

    def send(
        self,
        method: str,
        key: str = "",
        *,
        query: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        sha256: str | None = None,
        doing: str,
        stream: bool = False,
    ) -> Answer:
        """Send one signed request; the answer, read to its end but for a `stream`.

        Args:
            key: the object; empty for the bucket itself.
            sha256: of the body, in hex, or `UNSIGNED`.

        Raises:
            StorageError: the answer is no success.
        """
        url = self.url(key, query)
        signed = AWSRequest(method, url, headers=dict(headers or {}))
        signed.context["payload"] = sha256 or _NOTHING
        _Signature(self._keys(), "s3", self._target.region).add_auth(signed)
        # urllib3 would take `.` and `..` out of a whole URL's path; of a path alone it leaves them in.
        address = urlsplit(url)
        forwarded = self._proxy_headers is not None
        where = url if forwarded else url[len(f"{address.scheme}://{address.netloc}") :]
        sent = {**dict(signed.headers.items()), **(self._proxy_headers or {})}
        try:
            response = self._pool.urlopen(
                method, where, body, sent, preload_content=False, redirect=False, retries=False, assert_same_host=False
            )
            data = b""
            if response.status >= 300:
                data = response.read(_ERROR_BYTES)
                response.close()
            elif not stream:
                data = response.read()
                response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise of_trouble(self._target, error, doing, key=key or None) from error
        if response.status >= 300:
            region = response.headers.get("x-amz-bucket-region")
            text = data.decode("utf-8", "replace")
            raise of_reply(self._target, response.status, text, doing, key=key or None, region=region)
        return Answer(response.headers, data, response)

    def presigned(
        self, method: str, key: str, headers: Mapping[str, str], query: Iterable[tuple[str, str]], expires_in: int
    ) -> str:
        """A URL that holds its own signature; whoever uses it has to send exactly these headers along."""
        url = self.url(key, query, public=True)
        request = AWSRequest(method, url, headers=dict(headers))
        S3SigV4QueryAuth(self._keys(), "s3", self._target.region, expires=expires_in).add_auth(request)
        return str(request.url)

    def url(self, key: str, query: Iterable[tuple[str, str]] = (), *, public: bool = False) -> str:
        """The address of an object, or of the bucket where the key is empty."""
        endpoint = (self._target.public_endpoint_url if public else None) or self._target.endpoint_url
        path = f"/{quote(key, safe='/~')}"
        if self._target.path_style:
            path = f"/{self._target.bucket}{path if key else ''}"
        pairs = urlencode(list(query), quote_via=quote, safe="~")
        return f"{self._target.bucket_address(endpoint)}{path}{'?' if pairs else ''}{pairs}"

    def _keys(self) -> SigningKeys:
        pair = self._target.credentials.current()
        return SigningKeys(pair.access_key_id, pair.secret_access_key, pair.session_token)


class _Signature(S3SigV4Auth):
    """Signs with the payload's hash that the request was given; the body itself is never read for it."""

    def payload(self, request: AWSRequest) -> str:
        return str(request.context["payload"])


class _Bytes:
    """The bytes of an answer that is still being received."""

    def __init__(self, target: Target, key: str, answer: urllib3.BaseHTTPResponse, doing: str) -> None:
        self._target = target
        self._key = key
        self._answer = answer
        self._doing = doing

    def whole(self) -> bytes:
        """All bytes; meant for what fits into memory."""
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """The bytes as they come, at most a mebibyte at a time."""
        try:
            yield from self._answer.stream(_STREAM_CHUNK_BYTES, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise of_trouble(self._target, error, self._doing, key=self._key) from error

    def close(self) -> None:
        """Let go of the connection; where bytes are left to come it can't be used again."""
        self._answer.close()


def _make_pool(target: Target, url: str) -> tuple[urllib3.HTTPConnectionPool, dict[str, str] | None]:
    """The connections to the bucket's host, and the headers for a proxy that passes plain requests on, if there is one."""
    options: dict[str, Any] = {
        "maxsize": target.connections,
        "timeout": urllib3.Timeout(connect=target.connect_timeout, read=target.read_timeout),
        "blocksize": _STREAM_CHUNK_BYTES,
    }
    if target.ca_bundle:
        options["ca_certs"] = target.ca_bundle
    proxy = target.proxy_url or _proxy_of_this_machine(target)
    if not proxy:
        return urllib3.PoolManager(**options).connection_from_url(url), None
    address = urlsplit(proxy)
    headers = {}
    if address.username:
        pair = f"{unquote(address.username)}:{unquote(address.password or '')}"
        headers = dict(urllib3.make_headers(proxy_basic_auth=pair))
    manager = urllib3.ProxyManager(
        f"{address.scheme}://{address.netloc.rpartition('@')[2]}", proxy_headers=headers, **options
    )
    return manager.connection_from_url(url), None if target.secure else headers


def _proxy_of_this_machine(target: Target) -> str | None:
    """The proxy that the standard variables name; they describe the network and not the provider."""
    address = urlsplit(target.endpoint_url)
    if proxy_bypass_environment(address.hostname or ""):
        return None
    proxy = getproxies_environment().get(address.scheme)
    if not proxy:
        return None
    try:
        return checked_proxy(proxy if "://" in proxy else f"http://{proxy}")
    except ValueError as error:
        raise ConfigurationError(
            f"{address.scheme.upper()}_PROXY names no proxy that can be used: {error}", provider=target.provider
        ) from None
