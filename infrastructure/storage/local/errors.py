"""The one table from what the operating system says of a store's folder to the port's errors."""

from __future__ import annotations

import errno
import os

from domain.errors import (
    AccessDenied,
    BucketNotFound,
    ConfigurationError,
    InsufficientStorage,
    StorageError,
    StoreUnavailable,
)
from domain.local_files import is_no_room

_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_AWAY = frozenset({errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENODEV})


def store_error(error: OSError, what: str, *, provider: str, key: str | None) -> StorageError:
    """The port's error for `error`; `what` is the first half of the sentence."""
    reason = error.strerror or str(error)
    if is_no_room(error):
        return InsufficientStorage(f"{what}: {reason}; free some space, nothing was stored", provider=provider, key=key)
    if error.errno in _DENIED:
        return AccessDenied(f"{what}: {reason}; check owner and mode of the folder", provider=provider, key=key)
    if error.errno in _AWAY:
        return StoreUnavailable(f"{what}: {reason}; check the disk or mount", provider=provider, key=key)
    if error.errno in {errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG}:
        place = error.filename or "base_path"
        if error.errno == errno.ENOTDIR:
            place = os.path.dirname(place)
        fault = (
            "is a symbolic link that is not followed"
            if error.errno == errno.ELOOP
            else "is no folder, or too long a name"
        )
        return ConfigurationError(f"{what}: {place} {fault}; put a folder there or name another", provider=provider)
    if error.errno == errno.EXDEV:
        return StorageError(
            f"{what}: a folder on the way is another file system; make it a store of its own",
            provider=provider,
            key=key,
        )
    return StorageError(f"{what}: {reason}", provider=provider, key=key)


def store_missing(base: str, bucket: str | None, *, provider: str) -> StorageError:
    """The port's error for a store whose folder is not there."""
    if bucket:
        return BucketNotFound(
            f"there is no bucket {bucket!r}; name another, or have it made (create_bucket(), or --create-bucket when uploading)",
            provider=provider,
        )
    above = base
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if not os.path.isdir(above):
        return ConfigurationError(f"base_path {base!r}: {above!r} is not a folder; name one", provider=provider)
    return BucketNotFound(
        f"the folder {base!r} is not there; the first upload makes it, or STORAGE_LOCAL_PATH should name another",
        provider=provider,
    )
