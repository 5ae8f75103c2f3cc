"""Versions of datasets: a folder or a file, kept under the hashes of its contents in the layout of a DVC 3 remote.

What a version is made of is written first and its record last: a version that can be seen is whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from application.applying import apply
from application.content_addressed_storage import SMALL_BYTES, ContentAddressedStorage
from application.dataset_records import DatasetRecords
from application.digesting import Digested, digested_file, digested_folder
from application.garbage.leases import Lease
from application.local_tree import Symlinks
from application.planning import PlanOptions, plan_transfer
from application.sides import LocalFileAlone, LocalFolder
from application.version_files import VersionFiles, addressed, files_of, plan_of_contents
from domain.content import DVC_MD5
from domain.datasets import DatasetVersion, check_description
from domain.errors import BucketNotFound, InvalidRequest, LocalFileError, StorageError
from domain.known_hashes import KnownHashes, NothingKnown
from domain.local_files import printable_path
from domain.manifests import FileEntry, address_of_manifest, written_dvc_manifest, written_table
from domain.storage import IStorageProvider
from domain.transfer import Comparison, Direction, TransferObserver, TransferPlan
from domain.versions import Kind, Reference, Wanted, check_alias, check_id

DVC_PREFIX = "dvc/"

Shown = Callable[[TransferPlan], AbstractContextManager[TransferObserver | None]]
"""Shows a transfer while its block goes on."""


class NewVersion(NamedTuple):
    """What came of `DatasetVersioning.version`.

    Attributes:
        version: the new one, or the last one where nothing had changed.
        created: whether it is new.
        sent: contents that the store did not have, and `sent_bytes` of them.
    """

    version: DatasetVersion
    created: bool
    sent: int
    sent_bytes: int


class DatasetVersioning:
    """Versions of datasets in a store.

    Args:
        provider: of the records, and of what Lading alone reads.
        content: of the files; the same by default.
        dvc_prefix: where at `content` the DVC store is; ends in '/'.
        known: a memory of hashes.
        deduplicate: whether content that is there is not written again.
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
        self.provider = provider
        self._known = known or NothingKnown()
        self._deduplicate = deduplicate
        self.tables = ContentAddressedStorage(provider, deduplicate=deduplicate, pinned=False)
        self.dvc_store = ContentAddressedStorage(
            self.content, dvc_prefix, scheme=DVC_MD5, deduplicate=deduplicate, pinned=False
        )

    # -- making

    def version(
        self,
        path: str | os.PathLike[str],
        dataset_id: str,
        message: str = "",
        parents: Iterable[str | Reference] = (),
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        *,
        even_if_unchanged: bool = False,
        recheck: bool = False,
        symlinks: Symlinks = Symlinks.FOLLOW,
        seen: Callable[[int], object] = int,
        shown: Shown = lambda plan: nullcontext(),
    ) -> NewVersion:
        """Make a version of the folder or the file `path`. Where nothing has changed since the last version there is no new one.

        Only contents that the last version and the parents don't have are sent. Until all are there nothing of it can be
        seen; run again after a failure, it sends what is missing.

        Args:
            parents: what it was made from: `ID@V`, `ID@ALIAS`, `model:ID@V`.
            tags: words to find it by.
            metadata: anything that JSON has.
            even_if_unchanged: make one in any case.
            recheck: ask the store for every content instead of trusting in what earlier versions have.
            seen: called now and then with the number of files that are read.
            shown: shows the upload while it goes on.

        Raises:
            LocalFileError: a file can't be read, has a name that can't be, or changed meanwhile.
            ObjectNotFound: a parent is not there.
            InvalidRequest: the id, a tag or the metadata can't be, or there is no file in the folder.
        """
        check_id(dataset_id)
        metadata = dict(metadata or {})
        check_description(message, tuple(tags), metadata)
        path = os.fspath(path)
        origins = self.references(parents)
        digested, is_file = self._digested(path, symlinks, seen)
        entries = [each.entry for each in digested]
        table = b"".join(written_table(entries))
        manifest = b"" if is_file else written_dvc_manifest(entries)
        last = self._last(dataset_id)
        wanted = DatasetVersion(
            dataset_id=dataset_id,
            version=0,
            created=datetime.now(UTC),
            message=message,
            path=os.path.basename(os.path.abspath(path)),
            content=entries[0].md5 if is_file else address_of_manifest(manifest),
            table=self.tables.get_content_hash(table),
            files=len(entries),
            size=sum(entry.size for entry in entries),
            is_executable=is_file and os.access(path, os.X_OK),
            parents=origins,
            tags=tuple(dict.fromkeys(tags)),
            metadata=metadata,
        )
        if last is not None and last.has_files_of(wanted) and not even_if_unchanged and not recheck:
            return NewVersion(last, False, 0, 0)
        with Lease(self.provider, f"version of {dataset_id}") as lease:
            # What was there before the lease may be collected by now.
            last = self.records.latest(dataset_id)
            folder = os.path.dirname(path) if is_file else path
            sent, sent_bytes = self._send(folder, digested, () if recheck else self._base(last, origins), lease, shown)
            if not is_file:
                self.dvc_store.store_at(wanted.content, manifest)
            self.tables.store_at(wanted.table, table)
            if last is not None and last.has_files_of(wanted) and not even_if_unchanged:
                return NewVersion(last, False, sent, sent_bytes)
            return NewVersion(self.publish(wanted, lease), True, sent, sent_bytes)

    def publish(self, version: DatasetVersion, lease: Lease) -> DatasetVersion:
        """Write the record of a version, all of which is in the store; it with its number.

        Raises:
            PreconditionFailed: the lease, under which that was found out, has lapsed.
        """
        lease.check()
        made = self.records.add(replace(version, created=datetime.now(UTC)))
        try:
            lease.check()
        except StorageError:
            self.records.replace(made.as_removed(datetime.now(UTC)))
            raise
        return made

    def _last(self, dataset_id: str) -> DatasetVersion | None:
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

    def _digested(self, path: str, symlinks: Symlinks, seen: Callable[[int], object]) -> tuple[list[Digested], bool]:
        if not os.path.isdir(path):
            _check_file_name(path)
            return [digested_file(path)], True
        digested = list(digested_folder(path, self._known, symlinks=symlinks, seen=seen))
        if not digested:
            raise InvalidRequest(f"there is no file in {printable_path(path)!r}; name a folder that has some")
        return digested, False

    def _base(self, last: DatasetVersion | None, parents: Iterable[Reference]) -> Iterator[str]:
        """The MD5 of contents that are there because a version has them."""
        bases = [last] if last else []
        for parent in parents:
            if parent.kind is Kind.DATASET:
                bases.append(self.records.get(parent, removed=True))
        for base in bases:
            if not base.removed:
                yield from (entry.md5 for entry in files_of(base, self.tables))

    def _send(
        self, folder: str, digested: Iterable[Digested], base: Iterable[str], lease: Lease, shown: Shown
    ) -> tuple[int, int]:
        there = {bytes.fromhex(md5) for md5 in base} if self._deduplicate else set()
        wanted: dict[bytes, tuple[FileEntry, str]] = {}
        for entry, state in digested:
            digest = bytes.fromhex(entry.md5)
            if digest not in there:
                wanted.setdefault(digest, (entry, state))
        # What is small is sent over a network on the condition that it is not there; for all else it takes less to ask first.
        conditional = self.content.capabilities.create_if_absent and self.content.capabilities.remote
        asked = [entry for entry, _ in wanted.values() if not conditional or entry.size > SMALL_BYTES]
        if asked and self._deduplicate:
            missing = set(self.dvc_store.missing(entry.md5 for entry in asked))
            for entry in asked:
                if entry.md5 not in missing:
                    del wanted[bytes.fromhex(entry.md5)]
        plan = plan_of_contents(os.path.join(folder, ""), self.dvc_prefix, wanted.values())
        if not plan.actions:
            return 0, 0
        with shown(plan) as observer:
            report = apply(
                self.content,
                plan,
                observer=_Renewing(lease, observer),
                by_content=True,
                content_type="application/octet-stream",
            )
        if report.interrupted:
            raise KeyboardInterrupt
        error = report.stopped_by or (report.failures[0][1] if report.failures else None)
        if error:
            more = f" (and {len(report.failures) - 1:,} more)" if len(report.failures) > 1 else ""
            raise type(error)(
                f"{error.message}{more}; no version was made: run this again, and it goes on with what is missing",
                provider=error.provider,
                key=error.key,
            ) from error
        return report.done - report.existing, report.moved

    # -- looking

    def versions(self, dataset_id: str, *, removed: bool = False) -> list[DatasetVersion]:
        """The versions of a dataset, the oldest first; as `DatasetRecords.versions`."""
        return self.records.versions(dataset_id, removed=removed)

    def get(self, wanted: str | Reference) -> DatasetVersion:
        """One version; as `DatasetRecords.get`."""
        return self.records.get(wanted)

    def files(self, version: DatasetVersion) -> Iterator[FileEntry]:
        """The files of a version, in UTF-8 byte order of their names.

        Raises:
            ContentCorrupted: the table of its files is missing or damaged.
        """
        return files_of(version, self.tables)

    # -- fetching

    def plan_checkout(self, version: DatasetVersion, target: str, options: PlanOptions | None = None) -> TransferPlan:
        """Plan to bring a folder, or of a single file the file `target`, to the state of a version.

        Only what differs is fetched. What the version does not have stays, unless `options` say otherwise.

        Raises:
            LocalFileError: a name can't be a local file, or two would be one; `target` is of the wrong kind.
            ContentCorrupted: the table of the version's files is missing or damaged.
        """
        options = options or PlanOptions(compare=Comparison.CONTENT)
        source = VersionFiles(version, lambda: self.files(version), self.content, self.dvc_prefix, self._known)
        if version.is_file:
            if target.endswith("/") or os.path.isdir(target):
                target = os.path.join(target, version.path)
            plan = plan_transfer(source, LocalFileAlone(target, self._known), Direction.DOWNLOAD, options)
        else:
            if os.path.lexists(target) and not os.path.isdir(target):
                raise LocalFileError(
                    f"{printable_path(target)!r} is a file; name a folder for the files of {version.reference}"
                )
            folder = LocalFolder(target, self._known, symlinks=options.symlinks)
            plan = plan_transfer(source, folder, Direction.DOWNLOAD, options)
        return addressed(plan, self.dvc_prefix)

    # -- names and ends

    def alias(self, wanted: str | Reference, alias: str) -> DatasetVersion:
        """Have `alias` name this version from now on; the version.

        Raises:
            ObjectNotFound: there is no such version.
            PreconditionFailed: somebody else set the alias at the same time.
        """
        check_alias(alias)
        version = self.records.get(wanted)
        self.records.set_alias(version.dataset_id, alias, version.version)
        return version

    def remove_alias(self, dataset_id: str, alias: str) -> None:
        """Have `alias` name nothing.

        Raises:
            ObjectNotFound: there is no such alias.
        """
        self.records.named(dataset_id, check_alias(alias))
        self.records.set_alias(dataset_id, alias, 0)

    def remove(self, wanted: str | Reference, *, force: bool = False) -> DatasetVersion:
        """Remove a version. Its record stays, without content; `storage gc` frees what nothing else needs.

        Args:
            force: also where an alias names it.

        Raises:
            ObjectNotFound: there is no such version.
            InvalidRequest: an alias names it.
        """
        version = self.records.get(wanted)
        names = [name for name, number in self.records.aliases(version.dataset_id).items() if number == version.version]
        if names and not force:
            raise InvalidRequest(
                f"{version.reference} is what the alias {names[0]!r} names; set that to another version first, or add --force"
            )
        for name in names:
            self.records.set_alias(version.dataset_id, name, 0)
        gone = version.as_removed(datetime.now(UTC))
        self.records.replace(gone)
        return gone


class _Renewing:
    """Keeps a lease while files are moved, and passes on what it hears."""

    def __init__(self, lease: Lease, observer: TransferObserver | None) -> None:
        self._lease = lease
        self._observer = observer

    def started(self, action: Any) -> None:
        if self._observer:
            self._observer.started(action)

    def moved(self, action: Any, size: int) -> None:
        self._lease.renewed()
        if self._observer:
            self._observer.moved(action, size)

    def finished(self, action: Any, error: StorageError | None) -> None:
        if self._observer:
            self._observer.finished(action, error)


def _check_file_name(path: str) -> None:
    try:
        os.path.basename(path).encode()
    except UnicodeEncodeError:
        raise LocalFileError(
            f"the name of {printable_path(path)!r} is not UTF-8; rename it and run this again"
        ) from None
