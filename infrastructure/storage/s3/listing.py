"""Listings, page by page, through a C parser: keys come back exactly as they are, whatever is in them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from urllib.parse import unquote
from xml.parsers import expat

from domain.errors import ConfigurationError, StorageError
from domain.keys import shortened
from domain.storage import ObjectInfo
from infrastructure.storage.s3.attributes import plain_etag
from infrastructure.storage.s3.dialect import Target
from infrastructure.storage.s3.errors import CUT, answer_cut
from infrastructure.storage.s3.retries import Asked
from infrastructure.storage.s3.wire import Wire

_AHEAD_AFTER = 100
"""Objects of a page that are taken before the next page is asked for."""

_STANDS_IN = "\uf8ff"

# References to characters that XML does not have, and such bytes themselves.
_NO_CHARACTER = re.compile(rb"&#(?:x([0-9A-Fa-f]+)|([0-9]+));|[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")


def list_objects(target: Target, wire: Wire, asked: Asked, prefix: str, start_after: str = "") -> Iterator[ObjectInfo]:
    """Every object whose key starts with `prefix` and is greater than `start_after`, in byte order."""
    doing = f"list {target.place()}"
    query = [("list-type", "2"), ("max-keys", "1000")]
    if target.dialect.url_encoded_listing:
        query.append(("encoding-type", "url"))
    if prefix:
        query.append(("prefix", prefix))

    def ask(after: bytes, token: str) -> _Page:
        page_query = list(query)
        if token:
            page_query.append(("continuation-token", token))
        elif after:  # also where a token can't be read: a key says as well where to go on
            page_query.append(("start-after", after.decode()))
        return asked(lambda: _Page(target, wire.send("GET", query=page_query, doing=doing).data, doing))

    after, token, begun = start_after.encode(), "", False
    page = ask(after, token)
    while True:
        following = None
        ends = not page.objects or bool(token and page.token == token)
        if page.objects:
            ask_next = partial(ask, max(after, page.objects[-1].key.encode()), page.token)
        for number, info in enumerate(page.objects):
            if number == _AHEAD_AFTER and page.truncated and not ends:
                # The store looks for the next page while somebody works on this one, and does not only look into it.
                following = _ahead(ask_next)
            key = info.key.encode()
            if key <= after and after:
                if not begun:
                    continue  # a store that does not know where to begin is read on until there
                # One that begins again, or sorts otherwise, would make a sync see gaps that are none.
                raise StorageError(
                    f"can't {doing}: the store lists {shortened(info.key)!r} twice or out of order; its listing can't be "
                    "relied on",
                    provider=target.provider,
                )
            after, begun = key, True
            yield info
        if not page.truncated:
            return
        if ends or not (page.token or begun):
            raise StorageError(
                f"can't {doing}: the store says that there is more, but not how to go on", provider=target.provider
            )
        token = page.token
        page = following.result() if following else ask_next()


def _ahead(call: Callable[[], _Page]) -> Future[_Page]:
    """What comes of `call`, which a thread makes meanwhile; nobody waits for it at the end of the program."""
    answer: Future[_Page] = Future()

    def make() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=make, name="lading-list", daemon=True).start()
    return answer


def check_listing(target: Target, wire: Wire, doing: str) -> None:
    """Ask for one object of the bucket.

    Raises:
        StorageError: the bucket is not there or refuses, or what answers is no store.
    """
    _Page(target, wire.send("GET", query=[("list-type", "2"), ("max-keys", "1")], doing=doing).data, doing)


def _kept_if_possible(found: re.Match[bytes]) -> bytes:
    code = int(found[1], 16) if found[1] else int(found[2]) if found[2] else 0
    possible = code in {9, 10, 13} or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF
    return found[0] if possible else _STANDS_IN.encode()


class _Page:
    """One answer to `ListObjectsV2`."""

    def __init__(self, target: Target, document: bytes, doing: str) -> None:
        self._entries: list[dict[str, str]] = []
        self.truncated = False
        self.token = ""
        self._target = target
        self._root = ""
        self._encoded = False
        self._text: list[str] = []
        self._entry: dict[str, str] | None = None
        try:
            self._parse(document)
        except expat.ExpatError:
            # Some stores encode the keys, but not what they repeat of the question, nor their token.
            self._entries, self._root, self.token = [], "", ""
            try:
                self._parse(_NO_CHARACTER.sub(_kept_if_possible, document))
            except expat.ExpatError as error:
                if self._root == "ListBucketResult" and error.code in CUT:
                    raise answer_cut(target, doing) from None
                self._refuse(doing, error)
            if not self._encoded and any(_STANDS_IN in entry.get("Key", "") for entry in self._entries):
                self._refuse(doing)
            self.token = ""
        if self._root != "ListBucketResult":
            self._refuse(doing)
        # The answer says at any place of it whether it is encoded; a store that ignores the wish says nothing.
        try:
            self.objects = [self._object(entry) for entry in self._entries]
        except (KeyError, ValueError) as error:
            self._refuse(doing, error)

    def _parse(self, document: bytes) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.Parse(document, True)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._root:
            self._root = name
        elif name == "Contents":
            self._entry = {}
        self._text.clear()

    def _end(self, name: str) -> None:
        entry = self._entry
        if entry is None:
            if name == "IsTruncated":
                self.truncated = "".join(self._text) == "true"
            elif name == "NextContinuationToken":
                self.token = "".join(self._text)
            elif name == "EncodingType":
                self._encoded = "".join(self._text) == "url"
        elif name == "Contents":
            self._entry = None
            self._entries.append(entry)
        else:
            entry[name] = "".join(self._text)
        self._text.clear()

    def _object(self, entry: dict[str, str]) -> ObjectInfo:
        key = entry["Key"]
        if self._encoded:
            # Some stores write a space as a plus, as forms do; a plus of the key itself is always `%2B` then.
            key = unquote(key.replace("+", " ")) if "%" in key or "+" in key else key
        modified = datetime.fromisoformat(entry["LastModified"])
        if modified.tzinfo is None:
            modified = modified.replace(tzinfo=UTC)
        return ObjectInfo(key, int(entry["Size"]), plain_etag(entry.get("ETag")), modified)

    def _refuse(self, doing: str, error: Exception | None = None) -> None:
        raise ConfigurationError(
            f"can't {doing}: what {self._target.endpoint_url} answers is no S3 listing; check the endpoint",
            provider=self._target.provider,
        ) from error
