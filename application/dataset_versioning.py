"""Versions of datasets: a folder or a file, kept under the hashes of its contents in the layout of a DVC 3 remote."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from application.applying import apply
from application.cached_downloads import Downloads
from application.content_sending import Shown, unseen
from application.dataset_store import DatasetStore
from application.dataset_verification import CheckedFile, verify_version
from application.dataset_writing import NewVersion, write_version
from application.lineage import lineage
from application.local_names import refuse_links_out
from application.local_tree import Symlinks
from application.planning import PlanOptions, plan_transfer
from application.sides import LocalFileAlone, LocalFolder
from application.transfers import refuse_into_store
from application.trash import trash_of_folder
from application.version_files import VersionDownloads, VersionFiles, addressed, restore_mode
from domain.datasets import DatasetVersion
from domain.differences import Differences, differences_of_files
from domain.errors import InvalidRequest, LocalFileError
from domain.lineage import LineageGraph
from domain.local_files import printable_path
from domain.transfer import Comparison, Direction, TransferPlan, TransferReport
from domain.versions import Reference, check_alias


class DatasetVersioning(DatasetStore):
    """Versions of datasets in a store. A version that can be seen is whole."""

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
        shown: Shown = unseen,
    ) -> NewVersion:
        """Make a version of the folder or the file `path`. Where nothing has changed since the last version there is no new one.

        Only contents that the last version and the parents don't have are sent. Until all are there nothing of it can be
        seen; run again after a failure, it sends what is missing.

        Args:
            parents: what it was made from: `ID@V`, `ID@ALIAS`, `model:ID@V`.
            tags: words to find it by.
            metadata: anything that JSON has.
            even_if_unchanged: make one in any case.
            recheck: read every content at the store instead of trusting in what earlier versions have, and send anew what is
                missing or damaged.
            seen: called now and then with the number of files that are read.
            shown: shows the upload while it goes on.

        Raises:
            LocalFileError: a file can't be read, has a name that can't be, or changed meanwhile.
            ObjectNotFound: a parent is not there.
            InvalidRequest: the id, a tag or the metadata can't be, or there is no file in the folder.
        """
        return write_version(
            self,
            path,
            dataset_id,
            message,
            parents,
            tags,
            metadata,
            even_if_unchanged=even_if_unchanged,
            recheck=recheck,
            symlinks=symlinks,
            seen=seen,
            shown=shown,
        )

    # -- looking

    def versions(self, dataset_id: str, *, removed: bool = False) -> list[DatasetVersion]:
        """The versions of a dataset, the oldest first; as `DatasetRecords.versions`."""
        return self.records.versions(dataset_id, removed=removed)

    def get(self, wanted: str | Reference) -> DatasetVersion:
        """One version; as `DatasetRecords.get`."""
        return self.records.get(wanted)

    def diff(self, before: str | Reference, after: str | Reference) -> Differences:
        """What is different between the files of two versions.

        Raises:
            ObjectNotFound: one is not there.
            ContentCorrupted: the table of one's files is missing or damaged.
        """
        return differences_of_files(self.files(self.get(before)), self.files(self.get(after)))

    def lineage(self, wanted: str | Reference) -> LineageGraph:
        """What a version was made from, and what was made from it.

        Raises:
            ObjectNotFound: it is not there.
        """
        return lineage([self.records], self.records.get(wanted, removed=True).reference)

    def verify(self, wanted: str | Reference) -> Iterator[CheckedFile]:
        """Read all that a version is made of; as `dataset_verification.verify_version`."""
        return verify_version(self, self.get(wanted))

    # -- fetching

    def plan_checkout(self, version: DatasetVersion, target: str, options: PlanOptions | None = None) -> TransferPlan:
        """Plan to bring a folder, or of a single file the file `target`, to the state of a version.

        Only what differs is fetched. What the version does not have stays, unless `options` say otherwise.

        Raises:
            LocalFileError: a name can't be a local file, or two would be one; `target` is of the wrong kind, or a symbolic
                link in it leads out of it where a file is to be.
            ContentCorrupted: the table of the version's files is missing or damaged.
            InvalidRequest: `target` is empty.
        """
        if not target:
            raise InvalidRequest(
                f"no target is named for {version.reference}; name a folder, or '.' for the one that you are in"
            )
        options = options or PlanOptions(compare=Comparison.CONTENT)
        refuse_into_store(self.provider, target)
        content, prefix = self.content_of(version)
        source = VersionFiles(version, lambda: self.files(version), content, prefix, self.known)
        if version.is_file:
            if target.endswith("/") or os.path.isdir(target):
                target = os.path.join(target, version.path)
            plan = plan_transfer(source, LocalFileAlone(target, self.known), Direction.DOWNLOAD, options)
        else:
            if os.path.lexists(target) and not os.path.isdir(target):
                raise LocalFileError(
                    f"{printable_path(target)!r} is a file; name a folder for the files of {version.reference}"
                )
            folder = LocalFolder(target, self.known, symlinks=options.symlinks)
            plan = plan_transfer(source, folder, Direction.DOWNLOAD, options)
            refuse_links_out(plan.path_root, (action.path for action in plan.actions))
        return addressed(plan, prefix)

    def checkout(
        self,
        wanted: str | Reference,
        target: str | os.PathLike[str],
        options: PlanOptions | None = None,
        *,
        downloads: Downloads | None = None,
        shown: Shown = unseen,
    ) -> TransferReport:
        """Bring `target` to the state of a version, as `plan_checkout` plans it: each file in one step, and verified.

        A single file can be executed after it where it could when the version was made; the files of a folder have no modes.

        Args:
            downloads: where the files come from, such as a cache; by default the store.
            shown: shows the download while it goes on.

        Raises:
            ObjectNotFound: there is no such version, or a content is missing.
            ContentCorrupted: a content is not what it should be; that file is not written.
        """
        version = self.get(wanted)
        plan = self.plan_checkout(version, os.fspath(target), options)
        trash = trash_of_folder(plan.folder or ".") if plan.deletions or plan.backup else None
        content, _ = self.content_of(version)
        with shown(plan) as observer:
            report = apply(
                content,
                plan,
                observer=observer,
                downloads=VersionDownloads(downloads or content, version, plan),
                known=self.known,
                trash=trash,
                why=f"checkout of {wanted}",
            )
        report.raise_failure()
        restore_mode(version, plan)
        return report

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
