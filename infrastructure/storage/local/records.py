"""What is known of a stored file beyond its bytes: SHA-256, content type, user metadata.

The record is the extended attribute `user.lading`, set on the temporary file before it is renamed, so that bytes and
record appear in one step and travel together (`mv`, `cp -a`). It is 49 bytes for most objects: version (1), size (8),
mtime in ns (8), SHA-256 (32), big-endian, then a JSON tail where there is user metadata or an uncommon content type.
Short on purpose: 49 bytes fit into an ext4 inode, a JSON text would cost every file a 4 KiB block of its own.

Size and mtime say which state of the file the record is about. A file that was edited in place since has its own
content: its SHA-256 is then unknown, type and metadata still hold.

Where extended attributes are missing (macOS, some network file systems) or full, the record is a file
`.lading/records/<2 hex>/<key's hash>-<size>-<mtime>`, written before the rename: a name that only the new state of the
file has, so that a reader never joins old bytes with a new record. Of a file that was edited in place it knows nothing.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

_ATTRIBUTE = "user.lading"
_HEAD = struct.Struct(">BQQ32s")
_VERSION = 1
_UNKNOWN = bytes(32)  # of a copy of a file that a person put there
_NO_ATTRIBUTES = frozenset(
    {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOSPC, errno.E2BIG, errno.ERANGE, errno.EPERM, errno.EDQUOT}
)
_HAS_ATTRIBUTES = hasattr(os, "setxattr")


class Record(NamedTuple):
    """What is known of one state of one file. `content_type` is None where it is what the key's suffix says."""

    sha256: bytes | None = None
    content_type: str | None = None
    metadata: Mapping[str, str] = {}


NOTHING = Record()
"""Of a file that a person put there."""


def save(record: Record, fd: int, stat: os.stat_result, records: str, key: str) -> None:
    """Keep `record` for the open file `fd`, whose size and mtime are `stat`'s and stay so.

    Raises:
        OSError.
    """
    packed = _HEAD.pack(_VERSION, stat.st_size, stat.st_mtime_ns, record.sha256 or _UNKNOWN)
    if record.content_type or record.metadata:
        tail = {"content_type": record.content_type, "metadata": dict(record.metadata)}
        packed += json.dumps(tail, ensure_ascii=False, separators=(",", ":")).encode()
    if _HAS_ATTRIBUTES:
        try:
            os.setxattr(fd, _ATTRIBUTE, packed)
            return
        except OSError as error:
            if error.errno not in _NO_ATTRIBUTES:
                raise
    path = _sidecar(records, key, stat)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    part = f"{path}.{os.getpid():x}"
    side = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        os.write(side, packed)
        os.fsync(side)
    finally:
        os.close(side)
    os.rename(part, path)


def load(fd: int, stat: os.stat_result, records: str, key: str) -> Record:
    """What is known of the open file `fd`."""
    packed = _attribute(fd)
    if packed is None:
        try:
            with open(_sidecar(records, key, stat), "rb") as side:
                packed = side.read()
        except OSError:
            return NOTHING
    try:
        version, size, mtime_ns, sha256 = _HEAD.unpack_from(packed)
        tail = json.loads(packed[_HEAD.size :]) if len(packed) > _HEAD.size else {}
    except (struct.error, ValueError):
        return NOTHING
    if version != _VERSION or not isinstance(tail, dict):
        return NOTHING
    content_type, metadata = tail.get("content_type"), tail.get("metadata")
    current = (size, mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    return Record(
        sha256 if current and sha256 != _UNKNOWN else None,
        content_type if isinstance(content_type, str) else None,
        {str(name): str(value) for name, value in metadata.items()} if isinstance(metadata, dict) else {},
    )


def forget(stat: os.stat_result, records: str, key: str) -> None:
    """Remove the record of a file that is gone; the extended attribute went with it."""
    if os.path.isdir(records):
        with suppress(FileNotFoundError):
            os.unlink(_sidecar(records, key, stat))


def _attribute(fd: int) -> bytes | None:
    if not _HAS_ATTRIBUTES:
        return None
    try:
        return os.getxattr(fd, _ATTRIBUTE)
    except OSError:
        return None


def _sidecar(records: str, key: str, stat: os.stat_result) -> str:
    name = hashlib.sha256(key.encode(), usedforsecurity=False).hexdigest()[:40]
    return f"{records}/{name[:2]}/{name}-{stat.st_size:x}-{stat.st_mtime_ns:x}"
