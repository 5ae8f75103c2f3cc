"""What can go wrong, in few kinds.

A kind decides what a caller does next (the CLI maps kinds to exit codes, the REST API to statuses), so there is a
kind for each different next step and not one for each cause. The message is one sentence for a person: what, where,
and what to do. The vendor's exception stays as the cause (`raise … from`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from domain.content import ContentHash


class StorageError(Exception):
    """Any failure of a store or of a transfer.

    Attributes:
        message: one sentence for a person; never holds a secret.
        provider: the name of the provider that speaks (`local`, `r2`), or None where none is involved.
        key: the key concerned, or None.
        retryable: whether the same call may succeed later with nothing changed here.
    """

    retryable = False

    def __init__(self, message: str, *, provider: str | None = None, key: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.key = key

    def __str__(self) -> str:
        return f"{self.provider}: {self.message}" if self.provider else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Worker processes send their errors home; the default would call cls(message) and lose the rest.
        return _rebuild, (type(self), self.message, self._attributes())

    def _attributes(self) -> dict[str, Any]:
        return {"provider": self.provider, "key": self.key}


def _rebuild(kind: type[StorageError], message: str, attributes: dict[str, Any]) -> StorageError:
    return kind(message, **attributes)


class ConfigurationError(StorageError):
    """The settings can't make a provider: unknown name, missing or contradictory value, missing extra."""


class InvalidRequest(StorageError):
    """The call itself is wrong and no store would take it: a bad key, bad metadata, a bad range."""


class RangeNotSatisfiable(InvalidRequest):
    """The range starts at or past the end of the object."""


class ObjectNotFound(StorageError):
    """No object has this key."""


class BucketNotFound(StorageError):
    """The bucket itself is not there (for local disk: the folder)."""


class AccessDenied(StorageError):
    """The store refuses: credentials are wrong or missing, or lack the permission; a folder is read-only."""


class PreconditionFailed(StorageError):
    """A conditional write found another state than the one it named; nothing was written."""


class UnsupportedOperation(StorageError):
    """This bucket lacks the capability; see `Capabilities`. Nothing was done."""


class ContentCorrupted(StorageError):
    """The bytes read are not those that were stored, or that the caller asked for: they hash to something else.

    Attributes:
        expected: what they should hash to; None where no hash told it, as of an object that ends early.
        actual: what they hash to; None as well.
    """

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        key: str | None = None,
        expected: ContentHash | None = None,
        actual: ContentHash | None = None,
    ) -> None:
        super().__init__(message, provider=provider, key=key)
        self.expected = expected
        self.actual = actual

    def _attributes(self) -> dict[str, Any]:
        return super()._attributes() | {"expected": self.expected, "actual": self.actual}


class InsufficientStorage(StorageError):
    """No room: the disk is full or a quota is used up. Nothing was written."""


class StoreUnavailable(StorageError):
    """The store is away, too slow, or asks to come back later."""

    retryable = True


class TooManyRequests(StoreUnavailable):
    """The store is there and asks for fewer requests; who sends many at once should send fewer."""


class LocalFileError(StorageError):
    """A file on this side of a transfer is missing, unreadable, of the wrong kind, or changed while it was read."""
