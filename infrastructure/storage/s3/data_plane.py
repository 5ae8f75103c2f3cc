"""Small objects and ranges through obstore: the fastest way, for the keys that it can say."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domain.errors import StorageError
from domain.storage import ObjectInfo, WriteCondition
from infrastructure.storage.s3.attributes import WRITE_ID, Attributes, info_of, plain_etag, written_etag
from infrastructure.storage.s3.dialect import Target
from infrastructure.storage.s3.errors import no_store, of_obstore, said

if TYPE_CHECKING:
    from infrastructure.storage.s3.reading import Body

_STREAM_CHUNK_BYTES = 1 << 18

# It refuses empty, `.` and `..` segments and control characters, and drops a slash at either end without a word.
_SAYABLE = re.compile(r"(?!\.{1,2}(?:/|\Z))[^/\x00-\x1f\x7f]+(?:/(?!\.{1,2}(?:/|\Z))[^/\x00-\x1f\x7f]+)*")

# It reads `AWS_*` of the environment by itself. All that a setting can say is said below; these two have no setting
# that means "no".
_LEAKING = ("AWS_CHECKSUM_ALGORITHM", "AWS_SERVER_SIDE_ENCRYPTION")
_hiding = threading.Lock()

_threads: dict[str, int] = {}
"""The process in which obstore's threads run; after a fork they are in the parent only, and a call would never end."""


def sayable(key: str) -> bool:
    """Whether obstore sends this key as it is."""
    return _SAYABLE.fullmatch(key) is not None


class NotPartial(Exception):
    """The store answers a range with the status of a whole object, which obstore takes for an error."""


class DataPlane:
    """One bucket through obstore. Thread-safe; every call sends one request, and never another one."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._refused: list[StorageError] = []
        self._store = _make_store(target, self._refused)
        _threads.setdefault("in process", os.getpid())

    def head(self, key: str) -> ObjectInfo:
        """Raises: as `IStorageProvider.head`, but for a missing bucket, which a HEAD can't tell from a missing key."""
        return self._info(key, self._get(key, {"head": True}, f"look at {self._target.place(key)}"))

    def written_by(self, key: str) -> tuple[str, str]:
        """The object's ETag, and the id of the conditional write that made it, or empty."""
        result = self._get(key, {"head": True}, f"look at {self._target.place(key)}")
        return plain_etag(result.meta["e_tag"]), result.attributes.get(WRITE_ID, "")

    def get(self, key: str, start: int, stop: int | None, if_match: str | None) -> tuple[ObjectInfo, Body]:
        """The object and its bytes from `start` up to, not including, `stop`."""
        options: dict[str, Any] = {}
        if start or stop is not None:
            options["range"] = {"offset": start} if stop is None else (start, stop)
        if if_match is not None:
            options["if_match"] = f'"{if_match}"'
        doing = f"read {self._target.place(key)}"
        result = self._get(key, options, doing)
        return self._info(key, result), _Bytes(self._target, key, result, doing)

    def put(
        self,
        key: str,
        data: bytes | memoryview,
        attributes: Attributes,
        condition: WriteCondition | None,
    ) -> str:
        """Store the bytes; the ETag."""
        import obstore

        mode: Any = "overwrite"
        if condition is not None and condition.if_match is None:
            mode = "create"
        elif condition is not None and condition.if_match is not None:
            mode = {"e_tag": written_etag(condition.if_match, quoted=self._target.dialect.quoted_etags)}
        sent = {"Content-Type": attributes.content_type, **attributes.encoded()}
        doing = f"write {self._target.place(key)}"
        result = self._asked(
            doing, key, lambda: obstore.put(self._store, key, data, attributes=sent, mode=mode, use_multipart=False)
        )
        if not result["e_tag"]:
            raise no_store(self._target, doing)
        return str(result["e_tag"])

    def _get(self, key: str, options: dict[str, Any], doing: str) -> Any:
        import obstore

        result = self._asked(doing, key, lambda: obstore.get(self._store, key, options=options))  # type: ignore[arg-type]
        if not result.meta["e_tag"]:
            raise no_store(self._target, doing)
        return result

    def _asked(self, doing: str, key: str, call: Callable[[], Any]) -> Any:
        self._check_process()
        try:
            return call()
        except Exception as error:
            if "non-partial response" in str(error):
                raise NotPartial from None
            told = self._refused.pop() if self._refused else of_obstore(self._target, error, doing, key=key)
            cause = said(error)
        # Not from within, where the library's own exception, with all that it repeats, would stay attached.
        raise told from cause

    def _info(self, key: str, result: Any) -> ObjectInfo:
        meta = result.meta
        metadata = dict(result.attributes)
        kept = {name: value for name, value in metadata.items() if name == name.lower()}
        modified: datetime = meta["last_modified"]
        return info_of(key, meta["size"], meta["e_tag"] or "", modified, metadata.get("Content-Type"), kept)

    def _check_process(self) -> None:
        if _threads["in process"] != os.getpid():
            raise StorageError(
                "the S3 client was used before this process was forked, and can't be used in the child; start processes "
                "by 'spawn' (multiprocessing.set_start_method) and give them the provider, which can be pickled",
                provider=self._target.provider,
            )


class _Bytes:
    """The bytes of an answer, as they come or all at once."""

    def __init__(self, target: Target, key: str, result: Any, doing: str) -> None:
        self._target = target
        self._key = key
        self._result = result
        self._doing = doing

    def whole(self) -> bytes | memoryview:
        """All bytes; meant for what fits into memory."""
        try:
            return memoryview(self._result.bytes())
        except Exception as error:
            told, cause = of_obstore(self._target, error, self._doing, key=self._key), said(error)
        raise told from cause

    def chunks(self) -> Iterator[bytes]:
        """The bytes as they come, about a quarter of a mebibyte at a time."""
        try:
            yield from self._result.stream(min_chunk_size=_STREAM_CHUNK_BYTES)
        except Exception as error:
            told, cause = of_obstore(self._target, error, self._doing, key=self._key), said(error)
        else:
            return
        raise told from cause

    def close(self) -> None:
        """Let go of the connection."""
        self._result = None


def _make_store(target: Target, refused: list[StorageError]) -> Any:
    from obstore.store import S3Store

    endpoint = target.bucket_address(target.endpoint_url)
    client: dict[str, Any] = {
        "allow_http": not target.secure,
        "connect_timeout": f"{int(target.connect_timeout * 1000)}ms",
        "read_timeout": f"{int(target.read_timeout * 1000)}ms",
        "timeout": "7days",  # of a whole request: a large object over a thin line takes as long as it takes
        "pool_max_idle_per_host": str(target.connections),
    }
    if target.ca_bundle:
        client["root_certificate"] = Path(target.ca_bundle).read_text()
    if target.proxy_url:
        client["proxy_url"] = target.proxy_url

    def credentials() -> dict[str, Any]:
        try:
            pair = target.credentials.current()
        except StorageError as error:
            refused.append(error)  # obstore tells of it in words of its own
            raise
        return {
            "access_key_id": pair.access_key_id,
            "secret_access_key": pair.secret_access_key,
            "token": pair.session_token,
            "expires_at": pair.expires_at,
        }

    config: Any = {
        "endpoint": endpoint,
        "aws_endpoint_url_s3": endpoint,
        "region": target.region,
        "default_region": target.region,
        "virtual_hosted_style_request": not target.path_style,
        "unsigned_payload": target.secure,  # TLS guards the bytes; without it the signature does
        "conditional_put": "etag",
        "skip_signature": False,
        "s3_express": False,
        "request_payer": False,
        "disable_tagging": False,
    }
    options: Any = {"client_options": client, "retry_config": {"max_retries": 0}, "credential_provider": credentials}
    with _hiding:
        hidden = {name: os.environ.pop(name) for name in _LEAKING if name in os.environ}
        try:
            return S3Store(target.bucket, config=config, **options)
        finally:
            os.environ.update(hidden)
