"""Where a key's file is.

An ordinary key is the relative path of an ordinary file, so that a person can browse a store and put files there by
hand. A key that a file system can't hold as such (`a//b`, `trail/`, `a/../b`, `.lading/x`, a name over 255 bytes), and
a key whose place is taken (`a` beside `a/b`, or anything behind a symbolic link), is kept under
`.lading/keys/<escaped>`. Escaping is percent-encoding of all but `a-z 0-9 . _ -`, cut into names that every file system
takes; capitals are encoded too, for the sake of file systems that fold case.
"""

from __future__ import annotations

import re

INTERNAL = ".lading"
"""The one folder of a store that is not made of keys."""

_NAME_BYTES = 255
_PIECE = 180
_CONTINUED = "+"  # '+' itself is always escaped, so a piece that ends in it is a folder and never a whole key

_ORDINARY = re.compile(r"(?!\.lading(?:/|\Z))(?:(?!\.{1,2}(?:/|\Z))[^/\0]{1,255}(?:/(?!\Z)|\Z))+")
_KEPT = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789._-")
_ESCAPES = [chr(byte) if byte in _KEPT else f"%{byte:02x}" for byte in range(256)]
_ESCAPE = re.compile(r"%([0-9a-f]{2})")


def is_ordinary(key: str) -> bool:
    """Whether the key can be a relative path as it stands."""
    if not _ORDINARY.fullmatch(key):
        return False
    return key.isascii() or all(len(name.encode()) <= _NAME_BYTES for name in key.split("/"))


def escaped(key: str) -> str:
    """The path of the key below `.lading/keys`."""
    text = "".join([_ESCAPES[byte] for byte in key.encode()])
    pieces = []
    while len(text) > _PIECE:
        # An escape is not cut in two: each name stays readable by itself.
        cut = _PIECE - (2 if text[_PIECE - 2] == "%" else 1 if text[_PIECE - 1] == "%" else 0)
        pieces.append(text[:cut] + _CONTINUED)
        text = text[cut:]
    # '.' and '..' are names a file system keeps for itself.
    pieces.append(text.replace(".", "%2e") if text in {".", ".."} else text)
    return "/".join(pieces)


def unescaped(path: str) -> str | None:
    """The key of a path below `.lading/keys`; None where it is no path that `escaped` makes."""
    text = path.replace(_CONTINUED + "/", "")
    try:
        key = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text).encode("latin-1").decode()
    except (UnicodeEncodeError, UnicodeDecodeError):
        return None
    return key if key and escaped(key) == path else None
