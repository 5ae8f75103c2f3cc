"""What every provider refuses before it begins, in the same words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from domain.errors import UnsupportedOperation
from domain.keys import check_content_type, check_key, check_metadata
from domain.objects import Capabilities, StorageLocation, WriteCondition


class WriteChecks(ABC):
    """For implementers of the port, which is derived from this."""

    name: str
    """The provider's name in the factory, in errors and in `describe()`."""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this bucket can do. Cheap: no request."""

    @abstractmethod
    def describe(self) -> StorageLocation:
        """Where the objects are, without secrets. Cheap: no request."""

    def unsupported(self, what: str) -> UnsupportedOperation:
        """The error to raise for a missing capability."""
        return UnsupportedOperation(f"{what}: {self.describe().url} can't do this", provider=self.name)

    def check_write(
        self,
        key: str,
        content_type: str | None,
        metadata: Mapping[str, str] | None,
        condition: WriteCondition | None,
    ) -> dict[str, str]:
        """Refuse what no write takes, before its first byte; a copy of the metadata.

        Raises:
            InvalidRequest, UnsupportedOperation.
        """
        check_key(key, provider=self.name)
        self.check_condition(condition)
        if content_type is not None:
            check_content_type(content_type, provider=self.name)
        return check_metadata(metadata, provider=self.name)

    def check_condition(self, condition: WriteCondition | None) -> None:
        """Refuse a condition that is not among the capabilities.

        Raises:
            UnsupportedOperation.
        """
        if condition is None:
            return
        if condition.if_match is None and not self.capabilities.create_if_absent:
            raise self.unsupported("create-if-absent")
        if condition.if_match is not None and not self.capabilities.replace_if_unchanged:
            raise self.unsupported("replace-if-unchanged")
