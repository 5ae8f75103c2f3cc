"""From what a server or a library says to the port's errors: one table of codes, and one reading for each library."""

from __future__ import annotations

import re
from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring
from xml.parsers import expat

from domain.errors import (
    AccessDenied,
    BucketNotFound,
    ConfigurationError,
    InsufficientStorage,
    InvalidRequest,
    ObjectNotFound,
    PreconditionFailed,
    RangeNotSatisfiable,
    StorageError,
    StoreUnavailable,
    TooManyRequests,
    UnsupportedOperation,
)
from domain.keys import shortened
from infrastructure.storage.s3.dialect import Target


class BytesDamaged(StoreUnavailable):
    """What the store received is not what was signed."""


# The sentences; `{doing}` is what was tried, after "can't".
_SKEWED = "can't {doing}: this machine's clock differs from the store's by more than the store allows; set the clock"
_BUSY = "can't {doing}: the store asks for fewer requests; try again later"
_SIGNED_WRONGLY = "can't {doing}: the secret key does not belong to the access key; check {credentials}"
_UNKNOWN_KEY = "can't {doing}: {endpoint} does not know the access key; check {credentials}"
_EXPIRED = "can't {doing}: the session token has expired or is wrong; sign in again"
_REFUSED = "can't {doing}: access denied; these credentials lack the permission (check {credentials})"
_DENIED = "can't {doing}: access denied; the keys are wrong or lack the permission (check {credentials})"
_NO_BUCKET = "there is no bucket {bucket!r} at {endpoint}; check its name, or make it with --create-bucket"
_ELSEWHERE = "can't {doing}: the bucket is not in region {region!r}; set the region it is in"
_CHANGED = "can't {doing}: it exists already or has changed meanwhile; nothing was written"
_DAMAGED = "can't {doing}: the bytes arrived damaged; try again"
_FULL = "can't {doing}: a quota is used up or the store is full; free some space there"
_UNABLE = "can't {doing}: {endpoint} does not implement this"
_AWAY = "can't {doing}: {endpoint} is not able to answer; try again later"
_PAST_END = "can't {doing}: the range starts at or past the end"
_NO_OBJECT = "can't {doing}: there is no such object"

_BY_CODE: dict[str, tuple[type[StorageError], str]] = {
    "NoSuchBucket": (BucketNotFound, _NO_BUCKET),
    "NoSuchKey": (ObjectNotFound, _NO_OBJECT),
    "InvalidAccessKeyId": (AccessDenied, _UNKNOWN_KEY),
    "SignatureDoesNotMatch": (AccessDenied, _SIGNED_WRONGLY),
    "ExpiredToken": (AccessDenied, _EXPIRED),
    "ExpiredTokenException": (AccessDenied, _EXPIRED),
    "TokenRefreshRequired": (AccessDenied, _EXPIRED),
    "InvalidToken": (AccessDenied, _EXPIRED),
    "InvalidSecurity": (AccessDenied, _REFUSED),
    "AccessDenied": (AccessDenied, _REFUSED),
    "Unauthorized": (AccessDenied, _REFUSED),
    "UnauthorizedAccess": (AccessDenied, _REFUSED),
    "AllAccessDisabled": (AccessDenied, _REFUSED),
    "AccountProblem": (AccessDenied, _REFUSED),
    "RequestTimeTooSkewed": (AccessDenied, _SKEWED),
    "RequestExpired": (AccessDenied, _SKEWED),
    "PermanentRedirect": (ConfigurationError, _ELSEWHERE),
    "TemporaryRedirect": (ConfigurationError, _ELSEWHERE),
    "AuthorizationHeaderMalformed": (ConfigurationError, _ELSEWHERE),
    "IllegalLocationConstraintException": (ConfigurationError, _ELSEWHERE),
    "InvalidLocationConstraint": (ConfigurationError, _ELSEWHERE),
    "InvalidRegion": (ConfigurationError, _ELSEWHERE),
    "PreconditionFailed": (PreconditionFailed, _CHANGED),
    "ConditionalRequestConflict": (StoreUnavailable, _BUSY),  # another write is under way: the next try is told its end
    "OperationAborted": (StoreUnavailable, _BUSY),
    "InvalidRange": (RangeNotSatisfiable, _PAST_END),
    "BadDigest": (BytesDamaged, _DAMAGED),
    "XAmzContentSHA256Mismatch": (BytesDamaged, _DAMAGED),
    "InternalError": (StoreUnavailable, _AWAY),
    "IncompleteBody": (StoreUnavailable, _DAMAGED),
    "RequestTimeout": (StoreUnavailable, _AWAY),
    "QuotaExceeded": (InsufficientStorage, _FULL),
    "InsufficientCapacity": (InsufficientStorage, _FULL),
    "XMinioStorageFull": (InsufficientStorage, _FULL),
    "SlowDown": (TooManyRequests, _BUSY),
    "SlowDownRead": (TooManyRequests, _BUSY),
    "SlowDownWrite": (TooManyRequests, _BUSY),
    "ServiceUnavailable": (TooManyRequests, _BUSY),
    "TooManyRequests": (TooManyRequests, _BUSY),
    "Throttling": (TooManyRequests, _BUSY),
    "RequestLimitExceeded": (TooManyRequests, _BUSY),
    "RequestRateLimitExceeded": (TooManyRequests, _BUSY),
    "NotImplemented": (UnsupportedOperation, _UNABLE),
    "MethodNotAllowed": (UnsupportedOperation, _UNABLE),
}

_BY_STATUS: dict[int, tuple[type[StorageError], str]] = {
    301: (ConfigurationError, _ELSEWHERE),
    304: (PreconditionFailed, _CHANGED),
    307: (ConfigurationError, _ELSEWHERE),
    401: (AccessDenied, _DENIED),
    403: (AccessDenied, _DENIED),
    404: (ObjectNotFound, _NO_OBJECT),
    405: (UnsupportedOperation, _UNABLE),
    408: (StoreUnavailable, _AWAY),
    409: (StoreUnavailable, _BUSY),
    412: (PreconditionFailed, _CHANGED),
    416: (RangeNotSatisfiable, _PAST_END),
    429: (TooManyRequests, _BUSY),
    501: (UnsupportedOperation, _UNABLE),
    503: (TooManyRequests, _BUSY),
    507: (InsufficientStorage, _FULL),
}

# What is told of a connection that failed.
_UNRESOLVED = (StoreUnavailable, "its name does not resolve; check the endpoint's spelling and the network")
_UNTRUSTED = (ConfigurationError, "its certificate is not trusted; name its CA in STORAGE_CA_BUNDLE (ca_bundle)")
_NO_TLS = (ConfigurationError, "it does not speak TLS; write http:// in front of the endpoint if that is meant")
_NO_PROXY = (StoreUnavailable, "the proxy does not let this through; check HTTPS_PROXY and HTTP_PROXY")
_NOBODY = (StoreUnavailable, "nothing listens there; check the address and whether the store runs")
_LATE = (StoreUnavailable, "no answer in time; try again later")
_NO_SERVICE = (
    ConfigurationError,
    "what answers there is no S3 service; check the endpoint (http or https, port)",
)

_BY_CURL_CODE: dict[int, tuple[type[StorageError], str]] = {
    1: _NO_SERVICE,  # no HTTP at all
    5: _NO_PROXY,
    6: _UNRESOLVED,
    7: _NOBODY,
    8: _NO_SERVICE,
    28: _LATE,
    35: _NO_TLS,
    60: _UNTRUSTED,
    77: _UNTRUSTED,
    97: _NO_PROXY,
}

# What a text of botocore holds. The first that fits counts.
_TROUBLE: tuple[tuple[str, tuple[type[StorageError], str]], ...] = (
    (r"name resolution|NameResolution|getaddrinfo|Could not resolve|Name or service not known", _UNRESOLVED),
    (r"CERTIFICATE_VERIFY_FAILED|self.signed|certificate|doesn't match", _UNTRUSTED),
    (r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|UNEXPECTED_MESSAGE|UNKNOWN_PROTOCOL", _NO_TLS),
    (r"proxy|Proxy", _NO_PROXY),
    (r"refused|Refused", _NOBODY),
    (r"[Tt]imed? ?[Oo]ut", _LATE),
    (r"BadStatusLine|LineTooLong|InvalidHeader|[Ii]nvalid HTTP", _NO_SERVICE),
)

_REGION = re.compile(r"<Region>([\w-]+)</Region>|expecting '([\w-]+)'")


def of_reply(
    target: Target, status: int, body: str, doing: str, *, key: str | None = None, region: str | None = None
) -> StorageError:
    """The error that an HTTP answer tells.

    Args:
        body: the answer's text: XML with a code, or anything else, or nothing.
        doing: what was tried, after "can't".
        region: the region that the answer names as the bucket's.
    """
    code, message = _code_of(body)
    if status == 400 and not code and re.search(r"\bHTTPS\b", body):
        return ConfigurationError(
            f"can't {doing}: {target.endpoint_url} speaks TLS; write https:// in front of the endpoint",
            provider=target.provider,
        )
    if found := _REGION.search(body):
        region = region or found[1] or found[2]
    return of_code(target, status, code, message, doing, key=key, region=region, page=_is_page(body))


def of_code(
    target: Target,
    status: int,
    code: str,
    message: str,
    doing: str,
    *,
    key: str | None = None,
    region: str | None = None,
    page: bool = False,
) -> StorageError:
    """The error for a status and the code that came with it, if one did."""
    if page and status < 500:  # a page with a 5xx is of something in between that misses the store as well
        return ConfigurationError(
            f"can't {doing}: {target.endpoint_url} answers with a web page (status {status}), not as an S3 service does; "
            "check the endpoint",
            provider=target.provider,
        )
    if code == "InvalidArgument" and "region" in message.lower():
        code = "InvalidRegion"
    found = _BY_CODE.get(code) or _BY_STATUS.get(status)
    if found is None and status >= 500:
        found = (StoreUnavailable, _AWAY)
    if found is None:
        words = " ".join(_shown(target, message).split())
        told = (shortened(code) or f"status {status}", shortened(words, 200))
        says = ": ".join(part for part in told if part).encode("unicode_escape").decode()
        kind: type[StorageError] = InvalidRequest if status == 400 else StorageError
        return kind(f"can't {doing}: the store says {says}", provider=target.provider, key=key)
    kind, sentence = found
    text = sentence.format(
        doing=doing,
        endpoint=target.endpoint_url,
        bucket=target.bucket,
        region=target.region,
        credentials=target.credential_names,
    )
    if kind is ObjectNotFound and key is not None:
        text = f"there is no object {target.place(key)}"
    if sentence is _ELSEWHERE and region:
        text = (
            f"can't {doing}: bucket {target.bucket!r} is in region {region!r}, not in {target.region!r}; set the region"
        )
    return kind(text, provider=target.provider, key=None if kind is BucketNotFound else key)


def of_curl(target: Target, code: int, text: str, doing: str, *, key: str | None = None) -> StorageError:
    """The error for a request of libcurl's that got no answer, or half of one; its code says why, and seldom its text."""
    told = _BY_CURL_CODE.get(code)
    if code == 7 and re.search(r"over proxy|CONNECT tunnel", text):
        told = _NO_PROXY
    elif code == 35 and not re.search(r"wrong version|packet length|unknown protocol|record", text):
        told = None  # it went away before it could say what it speaks
    return _of_trouble(target, told, text, doing, key)


def _of_trouble(
    target: Target, told: tuple[type[StorageError], str] | None, text: str, doing: str, key: str | None
) -> StorageError:
    if told is None:
        hint = "" if target.secure else ", or write https:// in front of the endpoint if it speaks TLS"
        told = (StoreUnavailable, f"the connection broke ({text}); try again{hint}")
    kind, what = told
    return kind(f"can't {doing} at {target.endpoint_url}: {what}", provider=target.provider, key=key)


def of_botocore(target: Target, error: Exception, doing: str, *, key: str | None = None) -> StorageError:
    """The error for an exception of boto3 or botocore."""
    response: dict[str, Any] | None = getattr(error, "response", None)
    if response is None:
        if cause := _storage_error_within(error):
            return cause
        text = f"{type(error).__name__} {_cause_in(error)}"
        fits = (found for pattern, found in _TROUBLE if re.search(pattern, text))
        trouble = next((found for found in fits if found is not _UNTRUSTED or target.secure), None)
        return _of_trouble(target, trouble, type(error).__name__, doing, key)
    told = response.get("Error", {})
    meta = response.get("ResponseMetadata", {})
    region = meta.get("HTTPHeaders", {}).get("x-amz-bucket-region") or told.get("Region")
    code, message = str(told.get("Code", "")), str(told.get("Message", ""))
    page = "html" in meta.get("HTTPHeaders", {}).get("content-type", "")
    if code.isdigit():  # the answer told none; botocore repeats the status
        code = ""
    return of_code(target, int(meta.get("HTTPStatusCode", 0)), code, message, doing, key=key, region=region, page=page)


def _cause_in(error: BaseException) -> str:
    """The part of a library's text that tells the cause: not the address, where a key may read like one."""
    inner = getattr(error, "kwargs", {}).get("error")  # botocore's text has the address, its cause stands beside it
    if inner is not None:
        return f"{type(inner).__name__} {inner}"
    return re.sub(r"https?://\S+|url: \S+|host='[^']*'", "", str(error))


def _storage_error_within(error: BaseException | None) -> StorageError | None:
    """An error of ours that a library was given by a callback of ours, and wrapped."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, StorageError):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def document_of(target: Target, answer: bytes, name: str, doing: str, *, key: str | None = None) -> Element:
    """The XML document of a success.

    Args:
        name: of its outermost element.

    Raises:
        StorageError: it is an error after all, which a store may find when it has begun to answer, or nothing of an S3 service.
        StoreUnavailable: it ends early.
    """
    try:
        root = fromstring(answer)  # noqa: S314 - the answer of the store that was asked
    except ParseError as error:
        if error.code in CUT and (f"<{name}".encode() in answer or answer.startswith(b"<?xml")):
            raise answer_cut(target, doing, key=key) from None
        raise no_store(target, doing) from None
    found = root.tag.rpartition("}")[2]
    if found == "Error":
        raise of_reply(target, 500, answer.decode("utf-8", "replace"), doing, key=key)
    if found != name:
        raise no_store(target, doing)
    return root


CUT = frozenset(
    expat.errors.codes[text]
    for text in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
    )
)
"""What is wrong with a document that ends early, as the parser tells it."""


def answer_cut(target: Target, doing: str, *, key: str | None = None) -> StoreUnavailable:
    """The error for an answer that is one of an S3 service, as far as it goes."""
    return StoreUnavailable(
        f"can't {doing}: the answer of {target.endpoint_url} ended early; try again", provider=target.provider, key=key
    )


def no_store(target: Target, doing: str) -> ConfigurationError:
    """The error for a success that lacks what every S3 service tells with it."""
    return ConfigurationError(
        f"can't {doing}: what {target.endpoint_url} answers is not of an S3 service; check the endpoint",
        provider=target.provider,
    )


def _shown(target: Target, text: str) -> str:
    """A store's words without the secrets that it may repeat."""
    try:
        pair = target.credentials.current()
    except StorageError:
        return text
    for secret in (pair.secret_access_key, pair.session_token):
        if secret:
            text = text.replace(secret, "**********")
    return text


def _is_page(body: str) -> bool:
    return re.search(r"<!doctype html|<html[\s>]", body[:2000], re.I) is not None


def _code_of(body: str) -> tuple[str, str]:
    if "<Error>" not in body and "<Error " not in body:
        return "", ""
    try:
        root = fromstring(body)  # noqa: S314 - the answer of the store that was asked; expat has its own limits
    except ParseError:
        found = re.search(r"<Code>(\w+)</Code>", body)
        return (found[1], "") if found else ("", "")
    texts = {element.tag.rpartition("}")[2]: element.text or "" for element in root.iter()}
    return texts.get("Code", ""), texts.get("Message", "")
