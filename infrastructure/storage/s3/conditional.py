"""A conditional write, repeated only where nothing was written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from domain.errors import BucketNotFound, ObjectNotFound, PreconditionFailed, StoreUnavailable, TooManyRequests
from domain.keys import shortened
from domain.storage import WriteCondition
from infrastructure.storage.s3.attributes import Attributes
from infrastructure.storage.s3.dialect import Target


class Writer(Protocol):
    """Knows which write made an object."""

    def written_by(self, key: str) -> tuple[str, str]: ...


class ConditionalWrite:
    """One conditional write. Calling it sends it; calling it again is safe.

    An answer that was lost, or an error that tells nothing, leaves open whether the write was carried out. The object itself
    tells: it has the id of the write that made it.
    """

    def __init__(
        self,
        target: Target,
        plane: Writer,
        key: str,
        condition: WriteCondition,
        attributes: Attributes,
        send: Callable[[Attributes], str],
    ) -> None:
        self._target = target
        self._plane = plane
        self._key = key
        self._condition = condition
        self._attributes = attributes
        self._send = send

    def __call__(self) -> str:
        try:
            return self._send(self._attributes)
        except (TooManyRequests, BucketNotFound):
            raise
        except PreconditionFailed as error:
            # It may be our own: an earlier attempt's, or the same request's, sent again where its connection had ended.
            if etag := self._own():
                return etag
            raise self._lost() from error
        except StoreUnavailable as error:
            there, write_id = self._there()
            if write_id == self._attributes.write_id:
                return there or ""
            if there != self._condition.if_match:
                raise self._lost() from error
            raise  # as it was before: the next attempt is the first that can be carried out
        except ObjectNotFound as error:
            raise self._lost() from error  # nothing there to replace

    def _own(self) -> str | None:
        there, write_id = self._there()
        return there if write_id == self._attributes.write_id else None

    def _there(self) -> tuple[str | None, str]:
        try:
            return self._plane.written_by(self._key)
        except ObjectNotFound:
            return None, ""

    def _lost(self) -> PreconditionFailed:
        return condition_failed(self._target, self._key, self._condition)


def condition_failed(target: Target, key: str, condition: WriteCondition) -> PreconditionFailed:
    """The error for a conditional write that found another state."""
    what = "exists already" if condition.if_match is None else "is not as expected"
    return PreconditionFailed(
        f"the object {shortened(key)!r} {what}; nothing was written", provider=target.provider, key=key
    )
