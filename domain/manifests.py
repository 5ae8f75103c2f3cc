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

from domain.content import DVC_MD5, SHA256, ContentHash
from domain.errors import ContentCorrupted, InvalidRequest
from domain.keys import shortened

MAX_DVC_MANIFEST_BYTES = 512 << 20
"""Room for five million files: DVC itself reads a manifest whole."""

MAX_LINE_BYTES = 64 << 10

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
    before = ""
    while line := stream.readline(MAX_LINE_BYTES):
        entry = _entry(line, shown)
        _check_order(before, entry.name, shown)
        before = entry.name
        yield entry


def _entry(line: bytes, shown: str) -> FileEntry:
    try:
        name, md5_digits, sha256, size = json.loads(line)
        if type(size) is not int or size < 0:
            raise ValueError("a size is none")
        DVC_MD5.checked(md5_digits)
        if sha256:
            SHA256.checked(sha256)
        return FileEntry(checked_name(name), md5_digits, sha256, size)
    except (ValueError, TypeError, RecursionError, InvalidRequest) as error:
        raise damaged(shown, f"a line can't be read: {shortened(str(error))}") from error


def _check_order(before: str, name: str, shown: str) -> None:
    if name <= before:
        raise damaged(shown, f"{shortened(name)!r} comes twice, or out of order")
    # In byte order others may stand between `a` and `a/b`, such as `a.b`: this finds the neighbours only; the rest shows
    # when a folder is to be made where a file is.
    if name.startswith(f"{before}/") and before:
        raise damaged(shown, f"{shortened(before)!r} is a file and a folder")


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
        found = sorted((checked_name(entry["relpath"]), DVC_MD5.checked(entry["md5"])) for entry in told)
    except (ValueError, TypeError, KeyError, RecursionError, InvalidRequest) as error:
        raise damaged(shown, shortened(str(error))) from error
    before = ""
    for name, digits in found:
        if digits.endswith(".dir"):
            raise damaged(shown, f"{shortened(name)!r} is a manifest in a manifest")
        _check_order(before, name, shown)
        before = name
    return found


def checked_name(name: object) -> str:
    """Return `name` if it is the path of a file below a folder.

    Raises:
        InvalidRequest: it is not: absolute, empty, with `.` or `..` in it, or no text.
    """
    if not isinstance(name, str) or "\0" in name or not {"", ".", ".."}.isdisjoint(name.split("/")):
        raise InvalidRequest(f"{shortened(repr(name))} is no path of a file below a folder")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"{shortened(repr(name))} is not UTF-8") from None
    return name


def damaged(shown: str, why: str) -> ContentCorrupted:
    """The error to raise for a table or a manifest that no writer makes."""
    return ContentCorrupted(f"{shown} is damaged: {why}; nothing was done with it")
