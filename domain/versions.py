"""References to versions of datasets and models, and the names that they have.

A reference is written `ID` (the latest version), `ID@3`, or `ID@ALIAS`, and `model:ID@3` for a model.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple, Self
from urllib.parse import quote, unquote

from domain.errors import InvalidRequest
from domain.keys import shortened

LATEST = "latest"
"""The alias that every dataset has, and nobody can set."""

_MAX_ID_BYTES = 200
"""Percent-encoded it takes three times that, and it has to fit into a key."""

_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_NUMBER = re.compile(r"[1-9]\d{0,8}", re.ASCII)


class Kind(StrEnum):
    """What has versions."""

    DATASET = "dataset"
    MODEL = "model"


class Reference(NamedTuple):
    """One version of a dataset or a model.

    Attributes:
        version: from 1 on.
    """

    kind: Kind
    id: str
    version: int

    def __str__(self) -> str:
        kind = "" if self.kind is Kind.DATASET else f"{self.kind}:"
        return f"{kind}{self.id}@{self.version}"


class Wanted(NamedTuple):
    """What a person names, who may not know a version's number.

    Attributes:
        version: a number, or None where there is an alias.
        alias: `latest` where nothing was said.
    """

    kind: Kind
    id: str
    version: int | None
    alias: str = LATEST

    @classmethod
    def parse(cls, text: str, kind: Kind = Kind.DATASET) -> Self:
        """What `text` names.

        Args:
            kind: of what is named without one.

        Raises:
            InvalidRequest: it is no reference.
        """
        named, colon, rest = text.partition(":")
        if colon and named in list(Kind):
            kind, text = Kind(named), rest
        name, at, selector = text.rpartition("@")
        if not at:
            name, selector = text, LATEST
        check_id(name, kind)
        if _NUMBER.fullmatch(selector):
            return cls(kind, name, int(selector))
        return cls(kind, name, None, check_alias(selector, settable=False))

    def __str__(self) -> str:
        kind = "" if self.kind is Kind.DATASET else f"{self.kind}:"
        return f"{kind}{self.id}@{self.alias if self.version is None else self.version}"


def check_id(text: str, kind: Kind = Kind.DATASET) -> str:
    """Return `text` if a dataset or a model can be called so: 1 to 200 bytes of printable text without `@`.

    Raises:
        InvalidRequest: it can't.
    """
    why = ""
    if not isinstance(text, str) or not text:
        why = "it is empty"
    elif "@" in text:
        why = "it has an '@', which stands before a version"
    elif not text.isprintable():
        why = "it has a sign that can't be printed"
    elif text != text.strip() or not text.strip("."):
        why = "it has spaces at an end, or nothing but dots"
    elif len(text.encode("utf-8", "replace")) > _MAX_ID_BYTES:
        why = f"it has more than {_MAX_ID_BYTES} bytes"
    elif text.partition(":")[0] in list(Kind) and ":" in text:
        why = f"'{text.partition(':')[0]}:' at its beginning has a meaning of its own"
    if why:
        raise InvalidRequest(f"{shortened(repr(text))} is no id of a {kind}: {why}; write for example m13-raw")
    return text


def check_alias(text: str, *, settable: bool = True) -> str:
    """Return `text` if an alias can be called so: up to 100 letters, digits and `._-`, and no number.

    Args:
        settable: whether it is to be set, which `latest` can't.

    Raises:
        InvalidRequest: it can't.
    """
    if not isinstance(text, str) or not _ALIAS.fullmatch(text) or text.isdigit():
        raise InvalidRequest(
            f"{shortened(repr(text))} is neither a version's number nor an alias; write for example 3, latest or train-2026"
        )
    if settable and text == LATEST:
        raise InvalidRequest(f"{LATEST!r} is always the last version; choose another alias")
    return text


def id_segment(text: str) -> str:
    """An id as one segment of a key."""
    return quote(text, safe="")


def id_of_segment(segment: str) -> str:
    """The id that a segment of a key stands for."""
    return unquote(segment)
