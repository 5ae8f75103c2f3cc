"""What files a version has: a table of Lading's own, and the manifest of a directory as DVC 3 writes it.

The table has a line for each file, `["relpath", "md5", "sha256", size]` in JSON, in UTF-8 byte order of the paths, after a first
line with the format. It is read line by line. Of a file that only DVC has seen the SHA-256 is not known, and empty.

Both come from a store that others can write to: paths that lead out of a folder are refused, and so is whatever no
writer makes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from hashlib import md5
from typing import IO, NamedTuple

from domain.content import DVC_MD5, SHA256, AddressScheme, ContentHash
from domain.errors import ContentCorrupted, InvalidRequest
from domain.keys import shortened

MAX_DVC_MANIFEST_BYTES = 512 << 20
"""Room for five million files: DVC itself reads a manifest whole."""

MAX_LINE_BYTES = 64 << 10

MAX_NAME_BYTES = 4096
"""No path is longer; written as JSON it still has room in a line."""

_KEYS = {"md5", "relpath"}
_HEADER = b'{"format": "lading.files/1"}\n'


class FileEntry(NamedTuple):
    """A file of a version.

    Attributes:
        name: its path below the folder, with '/' between names; of a single file, its name.
        md5, sha256: hex digits; the second may be empty.
        size: bytes.
    """

    name: str
    md5: str
    sha256: str
    size: int

    @property
    def content(self) -> ContentHash:
        """What its bytes hash to."""
        return ContentHash("sha256", self.sha256) if self.sha256 else ContentHash("md5", self.md5)


def written_table(entries: Iterable[FileEntry]) -> Iterator[bytes]:
    """The table of these files, in pieces; they come in UTF-8 byte order of their names."""
    yield _HEADER
    for entry in entries:
        yield f"{json.dumps(entry)}\n".encode()


def read_table(stream: IO[bytes], shown: str) -> Iterator[FileEntry]:
    """The files of a table, as they are read.

    Args:
        shown: what the table is of, for a message.

    Raises:
        ContentCorrupted: it is none, or has a path in it that no file below a folder has.
    """
    if stream.readline(MAX_LINE_BYTES) != _HEADER:
        raise damaged(shown, "it does not begin as one")
    order = _Order(shown)
    while line := stream.readline(MAX_LINE_BYTES):
        entry = _entry(line, shown)
        order.check(entry.name)
        yield entry


def _entry(line: bytes, shown: str) -> FileEntry:
    try:
        told = json.loads(line)
        if not line.endswith(b"\n") or not isinstance(told, list):
            raise ValueError("it is cut off, too long, or no list")
        name, md5_digits, sha256, size = told
        if type(size) is not int or size < 0:
            raise ValueError("a size is none")
        if sha256 != "":
            _check_digits(sha256, SHA256)
        return FileEntry(checked_name(name), _check_digits(md5_digits, DVC_MD5), sha256, size)
    except (ValueError, TypeError, RecursionError, InvalidRequest) as error:
        raise damaged(shown, f"a line can't be read: {shortened(str(error))}") from error


def _check_digits(text: str, scheme: AddressScheme) -> str:
    # As they are written, and of a file: no writer makes capital letters, or names a manifest here.
    if scheme.checked(text) != text or len(text) != scheme.digits:
        raise ValueError(f"{shortened(text)!r} is no {scheme.algorithm.upper()} of a file")
    return text


class _Order:
    """Sees that names come in UTF-8 byte order, each once, and none as a file and as a folder."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._before = ""
        # Others may stand between `a` and `a/b`, such as `a.b`: these are the names with which the last one begins, each
        # the beginning of the next, and their lengths.
        self._open: list[str] = []
        self._lengths: set[int] = set()

    def check(self, name: str) -> None:
        """Take the next name."""
        if name <= self._before:
            raise damaged(self._shown, f"{shortened(name)!r} comes twice, or out of order")
        while self._open and not name.startswith(self._open[-1]):
            self._lengths.remove(len(self._open.pop()))
        at = name.find("/")
        while at >= 0:
            if at in self._lengths:
                raise damaged(self._shown, f"{shortened(name[:at])!r} is a file and a folder")
            at = name.find("/", at + 1)
        self._open.append(name)
        self._lengths.add(len(name))
        self._before = name


def written_dvc_manifest(entries: Iterable[FileEntry]) -> bytes:
    """The manifest of a folder with these files, byte for byte as DVC writes it; they come in order of their names."""
    # As json.dumps of a list of dicts would, without the dicts.
    return (
        "[" + ", ".join(f'{{"md5": "{entry.md5}", "relpath": {json.dumps(entry.name)}}}' for entry in entries) + "]"
    ).encode()


def address_of_manifest(manifest: bytes) -> str:
    """The address of a DVC manifest."""
    return f"{md5(manifest, usedforsecurity=False).hexdigest()}.dir"


def read_dvc_manifest(data: bytes, shown: str) -> list[tuple[str, str]]:
    """Path and MD5 of each file of a DVC manifest, in UTF-8 byte order of the paths.

    Raises:
        ContentCorrupted: it is none, or a path leads out of the folder, comes twice, or is a file and a folder.
    """
    try:
        told = json.loads(data)
        if not isinstance(told, list):
            raise ValueError("it is no list")
        if any(entry.keys() != _KEYS for entry in told):
            raise ValueError("an entry has other keys than md5 and relpath")
        found = sorted((checked_name(entry["relpath"]), _check_digits(entry["md5"], DVC_MD5)) for entry in told)
    except (ValueError, TypeError, AttributeError, RecursionError, InvalidRequest) as error:
        raise damaged(shown, shortened(str(error))) from error
    order = _Order(shown)
    for name, _ in found:
        order.check(name)
    return found


def checked_name(name: object) -> str:
    """Return `name` if it is the path of a file below a folder.

    Raises:
        InvalidRequest: it is not: absolute, empty, with `.` or `..` in it, too long, or no text.
    """
    if not isinstance(name, str) or "\0" in name or not {"", ".", ".."}.isdisjoint(name.split("/")):
        raise InvalidRequest(f"{shortened(repr(name))} is no path of a file below a folder")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidRequest(f"{shortened(repr(name))} is not UTF-8") from None
    if size > MAX_NAME_BYTES:
        raise InvalidRequest(f"{shortened(repr(name))} has {size:,} bytes; a path has at most {MAX_NAME_BYTES:,}")
    return name


def damaged(shown: str, why: str) -> ContentCorrupted:
    """The error to raise for a table or a manifest that no writer makes."""
    return ContentCorrupted(f"{shown} is damaged: {why}; nothing was done with it")
