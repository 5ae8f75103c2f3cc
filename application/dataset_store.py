"""Where datasets are kept: their records, the tables of their files, and the contents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from application.content_addressed_storage import ContentAddressedStorage
from application.dataset_records import DatasetRecords
from application.version_files import files_of
from domain.content import DVC_MD5
from domain.datasets import DatasetVersion
from domain.errors import BucketNotFound, InvalidRequest
from domain.known_hashes import KnownHashes, NothingKnown
from domain.manifests import FileEntry
from domain.purposes import place_of_url
from domain.storage import IStorageProvider
from domain.versions import Kind, Reference, Wanted

DVC_PREFIX = "dvc/"


class DatasetStore:
    """The datasets of a store, and what they are made of.

    Args:
        provider: of the records, and of what Lading alone reads.
        content: of the files; the same by default.
        dvc_prefix: where at `content` the DVC store is; ends in '/'.
        known: a memory of hashes.
        deduplicate: whether content that is there is not written again.

    Attributes:
        place: where new versions have their files, as a record names it.
        tables: the content store of the tables of files.
        dvc_store: that of the files.
    """

    def __init__(
        self,
        provider: IStorageProvider,
        *,
        content: IStorageProvider | None = None,
        dvc_prefix: str = DVC_PREFIX,
        known: KnownHashes | None = None,
        deduplicate: bool = True,
    ) -> None:
        self.records = DatasetRecords(provider)
        self.content = content or provider
        self.dvc_prefix = dvc_prefix
        bucket = None if self.content is provider else self.content.describe().bucket
        self.place = f"s3://{bucket}/{dvc_prefix}" if bucket else dvc_prefix
        self.provider = provider
        self.known = known or NothingKnown()
        self.deduplicate = deduplicate
        self.tables = ContentAddressedStorage(provider, deduplicate=deduplicate, pinned=False)
        self.dvc_store = ContentAddressedStorage(
            self.content, dvc_prefix, scheme=DVC_MD5, deduplicate=deduplicate, pinned=False
        )

    def content_of(self, version: DatasetVersion) -> tuple[IStorageProvider, str]:
        """The provider and the prefix of a version's files, which may be elsewhere than those of new ones.

        Raises:
            UnsupportedOperation: they are in another bucket, and the provider has none.
        """
        if version.place == self.place:
            return self.content, self.dvc_prefix
        if not version.place.startswith("s3://"):
            return self.provider, version.place
        place = place_of_url(version.place, f"the place of {version.reference}")
        return (self.provider.for_bucket(place.bucket) if place.bucket else self.provider), place.prefix

    def files(self, version: DatasetVersion) -> Iterator[FileEntry]:
        """The files of a version, in UTF-8 byte order of their names.

        Raises:
            ContentCorrupted: the table of its files is missing or damaged.
        """
        return files_of(version, self.tables)

    def last(self, dataset_id: str) -> DatasetVersion | None:
        """The last version of a dataset; None where there is none, and no bucket either."""
        try:
            return self.records.latest(dataset_id)
        except BucketNotFound:  # the first write makes it, or tells
            return None

    def references(self, parents: Iterable[str | Reference]) -> tuple[Reference, ...]:
        """The versions that are named, each once.

        Raises:
            ObjectNotFound: one is not there.
        """
        return tuple(dict.fromkeys(self._resolved(parent) for parent in parents))

    def _resolved(self, parent: str | Reference) -> Reference:
        wanted = Wanted.parse(parent) if isinstance(parent, str) else parent
        if wanted.kind is Kind.DATASET:
            return self.records.get(wanted, removed=True).reference
        if wanted.version is None:
            raise InvalidRequest(f"{wanted} names no version of a model; write its number")
        return Reference(wanted.kind, wanted.id, wanted.version)
