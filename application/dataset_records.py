"""The records of datasets in a store: which versions there are, and what they are called.

`.lading/datasets/<id>/<n>.json` is a version, `.lading/aliases/dataset/<id>/<alias>/<k>.json` what an alias names since it was
last set; ids are percent-encoded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from application.numbered_records import NumberedRecords, number_of
from domain.datasets import DatasetVersion
from domain.errors import ContentCorrupted, InvalidRequest, ObjectNotFound, StorageError
from domain.storage import IStorageProvider
from domain.versions import LATEST, Kind, Reference, Wanted, check_alias, check_id, id_of_segment, id_segment

RECORDS = ".lading/datasets/"
ALIASES = ".lading/aliases/"


class DatasetRecords:
    """The records of all datasets of a store."""

    def __init__(self, provider: IStorageProvider) -> None:
        self._provider = provider

    # -- versions

    def ids(self) -> list[str]:
        """Every dataset that has a record, in order."""
        return sorted(
            {
                dataset_id
                for dataset_id, number, key in self._names()
                if key == f"{RECORDS}{id_segment(dataset_id)}/{number}.json"  # no other key is looked for
            }
        )

    def versions(self, dataset_id: str, *, removed: bool = False) -> list[DatasetVersion]:
        """The versions of a dataset, the oldest first.

        Args:
            removed: whether those that were removed are among them.

        Raises:
            ObjectNotFound: there is no such dataset.
        """
        read = self._records(dataset_id).read_all()
        found = [DatasetVersion.decoded(data, dataset_id, number) for number, data in read]
        if not found:
            raise self._no_dataset(dataset_id)
        return [version for version in found if removed or not version.removed]

    def latest(self, dataset_id: str) -> DatasetVersion | None:
        """The last version that was not removed; None where there is none."""
        records = self._records(dataset_id)
        for number in reversed(records.numbers()):
            version = DatasetVersion.decoded(records.read(number), dataset_id, number)
            if not version.removed:
                return version
        return None

    def get(self, wanted: Wanted | Reference | str, *, removed: bool = False) -> DatasetVersion:
        """One version.

        Args:
            removed: whether it may be one that was removed.

        Raises:
            ObjectNotFound: there is no such dataset, version or alias, or it was removed.
        """
        if isinstance(wanted, str):
            wanted = Wanted.parse(wanted)
        if wanted.kind is not Kind.DATASET:
            raise InvalidRequest(f"{wanted} is a {wanted.kind}; name a dataset")
        number = wanted.version
        if number is None:
            alias = wanted.alias if isinstance(wanted, Wanted) else LATEST
            if alias == LATEST:
                latest = self.latest(wanted.id)
                if latest is None and self._records(wanted.id).numbers():
                    raise ObjectNotFound(
                        f"all versions of {wanted.id!r} were removed; 'storage dataset versions --removed' lists them",
                        provider=self._provider.name,
                    )
                if latest is None:
                    raise self._no_dataset(wanted.id)
                return latest
            number = self.named(wanted.id, alias)
        try:
            data = self._records(wanted.id).read(number)
        except ObjectNotFound as error:
            if not self._records(wanted.id).numbers():
                raise self._no_dataset(wanted.id) from error
            raise ObjectNotFound(
                f"the dataset {wanted.id!r} has no version {number}; 'storage dataset versions' lists them",
                provider=self._provider.name,
                key=error.key,
            ) from error
        version = DatasetVersion.decoded(data, wanted.id, number)
        if version.removed and not removed:
            raise ObjectNotFound(
                f"{version.reference} was removed on {version.removed:%Y-%m-%d}; 'storage dataset versions' lists them",
                provider=self._provider.name,
            )
        return version

    def add(self, version: DatasetVersion) -> DatasetVersion:
        """Write the record of a new version; it with the number that it got.

        Raises:
            PreconditionFailed: other writers are faster again and again.
        """
        number = self._records(version.dataset_id).append(lambda number: replace(version, version=number).encoded())
        return replace(version, version=number)

    def replace(self, version: DatasetVersion) -> None:
        """Write another record for a version that there is."""
        self._records(version.dataset_id).replace(version.version, version.encoded())

    def all(self, *, removed: bool = False) -> Iterator[DatasetVersion]:
        """Every version of every dataset, in order of ids and numbers.

        Raises:
            StorageError: a record can't be read: whoever goes on without one takes what it names for unused.
        """
        named = sorted(self._names())
        read: dict[str, bytes] = {}
        for key, data in self._provider.get_many([key for _, _, key in named]):
            if isinstance(data, StorageError):
                raise data
            read[key] = data
        for dataset_id, number, key in named:
            version = DatasetVersion.decoded(read[key], dataset_id, number)
            if removed or not version.removed:
                yield version

    def _names(self) -> Iterator[tuple[str, int, str]]:
        for info in self._provider.list_objects(RECORDS):
            segment, _, name = info.key[len(RECORDS) :].partition("/")
            if number := number_of(name):
                yield id_of_segment(segment), number, info.key

    def _records(self, dataset_id: str) -> NumberedRecords:
        return NumberedRecords(self._provider, f"{RECORDS}{id_segment(check_id(dataset_id))}/")

    def _no_dataset(self, dataset_id: str) -> ObjectNotFound:
        return ObjectNotFound(
            f"there is no dataset {dataset_id!r} in {self._provider.describe().url}; 'storage dataset list' lists them",
            provider=self._provider.name,
        )

    # -- aliases

    def aliases(self, dataset_id: str) -> dict[str, int]:
        """The aliases of a dataset, each with the number that it names."""
        root = f"{ALIASES}{Kind.DATASET}/{id_segment(check_id(dataset_id))}/"
        found = set()
        for info in self._provider.list_objects(root):
            alias, _, name = info.key[len(root) :].partition("/")
            if number_of(name):
                found.add(alias)
        named = {alias: self._named(dataset_id, alias) for alias in sorted(found)}
        return {alias: number for alias, number in named.items() if number}

    def named(self, dataset_id: str, alias: str) -> int:
        """The number that an alias names.

        Raises:
            ObjectNotFound: there is no such alias.
        """
        number = self._named(dataset_id, alias)
        if not number:
            raise ObjectNotFound(
                f"the dataset {dataset_id!r} has no alias {alias!r}; 'storage dataset alias {dataset_id}' shows those there are",
                provider=self._provider.name,
            )
        return number

    def set_alias(self, dataset_id: str, alias: str, number: int) -> None:
        """Have an alias name this version from now on; 0 for none.

        Raises:
            PreconditionFailed: somebody else set it at the same time.
        """
        records = self._alias(dataset_id, check_alias(alias))
        before = max(records.numbers(), default=0)
        records.append(lambda _: json.dumps({"version": number}).encode() + b"\n", after=before)

    def _named(self, dataset_id: str, alias: str) -> int:
        last = self._alias(dataset_id, alias).latest()
        if last is None:
            return 0
        try:
            number = json.loads(last[1])["version"]
            if type(number) is not int or number < 0:
                raise ValueError("it names no number")
            return number
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ContentCorrupted(
                f"the alias {alias!r} of {dataset_id!r} is damaged; set it again with 'storage dataset alias'",
                provider=self._provider.name,
            ) from error

    def _alias(self, dataset_id: str, alias: str) -> NumberedRecords:
        return NumberedRecords(self._provider, f"{ALIASES}{Kind.DATASET}/{id_segment(check_id(dataset_id))}/{alias}/")
