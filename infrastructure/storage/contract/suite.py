"""The whole contract as one class."""

from __future__ import annotations

from inspect import getattr_static as _of
from typing import Any, ClassVar

from infrastructure.storage.contract.concurrency import Concurrency
from infrastructure.storage.contract.conditions import Conditions
from infrastructure.storage.contract.copying import Copying
from infrastructure.storage.contract.deleting import Deleting
from infrastructure.storage.contract.expected_content import ExpectedContent
from infrastructure.storage.contract.files import Downloading, Uploading
from infrastructure.storage.contract.keys import Keys
from infrastructure.storage.contract.life import Life
from infrastructure.storage.contract.listing import Listing
from infrastructure.storage.contract.many import ManyFiles
from infrastructure.storage.contract.many_objects import ManyObjects
from infrastructure.storage.contract.metadata import Metadata
from infrastructure.storage.contract.model import Model
from infrastructure.storage.contract.reading import Reading
from infrastructure.storage.contract.replicating import Replicating
from infrastructure.storage.contract.verification import Verification
from infrastructure.storage.contract.writing import Writing

_MUTING = frozenset({"skip", "skipif", "xfail"})


class StorageProviderContract(
    Life,
    Reading,
    Verification,
    Writing,
    Metadata,
    Uploading,
    Downloading,
    ExpectedContent,
    Listing,
    Keys,
    Conditions,
    Copying,
    Replicating,
    Deleting,
    ManyFiles,
    ManyObjects,
    Concurrency,
    Model,
):
    """Every promise of the port. A subclass defines the fixture `harness` and may add tests, but not change one."""

    promises: ClassVar[frozenset[str]]
    """The names of all tests."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Raises: TypeError, where the subclass would mute a promise."""
        super().__init_subclass__(**options)
        for name in ("known_gap", "promises", *sorted(cls.promises)):
            if _of(cls, name) is not _of(StorageProviderContract, name):
                raise TypeError(f"{cls.__name__} overrides {name}; name it in Harness.known_gaps, with the reason")
        marks = cls.__dict__.get("pytestmark", [])
        for mark in marks if isinstance(marks, list) else [marks]:
            if mark.name in _MUTING:
                raise TypeError(f"{cls.__name__} is marked {mark.name}; name what fails in Harness.known_gaps")


StorageProviderContract.promises = frozenset(name for name in dir(StorageProviderContract) if name.startswith("test_"))
