"""Many deletions in one request."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from xml.sax.saxutils import escape

from domain.errors import StorageError
from infrastructure.storage.s3.dialect import Target
from infrastructure.storage.s3.errors import document_of, of_code
from infrastructure.storage.s3.wire import Wire

MOST = 1000
"""Keys that one request may hold."""

_NOT_IN_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def can_be_bulked(key: str) -> bool:
    """Whether XML can say this key; others are deleted one by one."""
    return _NOT_IN_XML.search(key) is None


def delete_objects(target: Target, wire: Wire, keys: Sequence[str]) -> list[StorageError]:
    """Delete up to `MOST` keys; an error for each that is still there.

    Raises:
        StorageError: the request as a whole was refused.
    """
    listed = "".join(f"<Object><Key>{escape(key, _LINES)}</Key></Object>" for key in keys)
    body = f'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>{listed}</Delete>'.encode()
    # The one call for which every store wants a digest; MD5 is the one that all of them take.
    digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    doing = f"delete objects of {target.place()}"
    answer = wire.send(
        "POST",
        query=[("delete", "")],
        headers={"content-md5": digest, "content-type": "application/xml"},
        body=body,
        doing=doing,
    )
    root = document_of(target, answer.data, "DeleteResult", doing)
    failures = []
    for element in root:
        if element.tag.rpartition("}")[2] == "Error":
            told = {child.tag.rpartition("}")[2]: child.text or "" for child in element}
            key, code = told.get("Key", ""), told.get("Code", "")
            if code != "NoSuchKey":
                doing = f"delete {target.place(key)}"
                failures.append(of_code(target, 200, code, told.get("Message", ""), doing, key=key))
    return failures


_LINES = {"\n": "&#10;", "\t": "&#9;"}
