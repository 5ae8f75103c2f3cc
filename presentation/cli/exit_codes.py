"""The exit codes: part of the interface, documented in `storage --help`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from domain.errors import StorageError

FAILED = 1
USAGE = 2
CONFIGURATION = 3
NOT_FOUND = 4
DENIED = 5
PRECONDITION = 6
CORRUPTED = 7
UNAVAILABLE = 8
NO_ROOM = 9
LOCAL_FILE = 10
UNSUPPORTED = 11
INTERNAL = 70
INTERRUPTED = 130

EXIT_CODES_HELP = """\b
Exit codes:
  0    done
  1    failed for another reason; of check: the sides differ
  2    wrong usage: an option, a key, a range
  3    settings: unknown provider, missing or contradictory value
  4    the object or the bucket is not there
  5    access denied
  6    refused: it exists already, has changed meanwhile, or too much would be deleted
  7    content corrupt
  8    the store is away
  9    no room
  10   trouble with a local file
  11   not possible on this provider
  70   internal error
  130  interrupted

\b
Examples:
  storage upload results/ runs/42
  storage list runs/
  STORAGE_LOCAL_PATH=/mnt/big storage sync data/ datasets/
"""


def exit_code(error: StorageError) -> int:
    """The exit code of an error, by its kind and never by its message."""
    from domain import errors

    codes: tuple[tuple[type[StorageError], int], ...] = (
        (errors.ConfigurationError, CONFIGURATION),
        (errors.InvalidRequest, USAGE),
        (errors.ObjectNotFound, NOT_FOUND),
        (errors.BucketNotFound, NOT_FOUND),
        (errors.AccessDenied, DENIED),
        (errors.PreconditionFailed, PRECONDITION),
        (errors.ContentCorrupted, CORRUPTED),
        (errors.StoreUnavailable, UNAVAILABLE),
        (errors.InsufficientStorage, NO_ROOM),
        (errors.LocalFileError, LOCAL_FILE),
        (errors.UnsupportedOperation, UNSUPPORTED),
    )
    return next((code for kind, code in codes if isinstance(error, kind)), FAILED)
