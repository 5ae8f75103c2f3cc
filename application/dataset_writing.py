"""A version of a dataset being made: what it consists of goes to the store first, and its record last."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from application.content_sending import Shown, send_contents
from application.dataset_store import DatasetStore
from application.digesting import Digested, digested_file, digested_folder
from application.garbage.leases import Lease
from application.local_tree import Symlinks
from application.transfers import refuse_own_store
from domain.datasets import DatasetVersion, check_description
from domain.errors import InvalidRequest, LocalFileError, StorageError
from domain.local_files import printable_path
from domain.manifests import address_of_manifest, written_dvc_manifest, written_table
from domain.versions import Kind, Reference, check_id


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


def write_version(
    store: DatasetStore,
    path: str | os.PathLike[str],
    dataset_id: str,
    message: str,
    parents: Iterable[str | Reference],
    tags: Sequence[str],
    metadata: Mapping[str, Any] | None,
    *,
    even_if_unchanged: bool,
    recheck: bool,
    symlinks: Symlinks,
    seen: Callable[[int], object],
    shown: Shown,
) -> NewVersion:
    """As `DatasetVersioning.version`."""
    check_id(dataset_id)
    metadata = dict(metadata or {})
    check_description(message, tuple(tags), metadata)
    path = os.fspath(path)
    refuse_own_store(store.provider, path)
    origins = store.references(parents)
    digested, is_file = _digested(store, path, symlinks, seen)
    entries = [each.entry for each in digested]
    table = b"".join(written_table(entries))
    manifest = b"" if is_file else written_dvc_manifest(entries)
    last = store.last(dataset_id)
    wanted = DatasetVersion(
        dataset_id=dataset_id,
        version=0,
        created=datetime.now(UTC),
        message=message,
        path=os.path.basename(os.path.abspath(path)),
        content=entries[0].md5 if is_file else address_of_manifest(manifest),
        table=store.tables.get_content_hash(table),
        files=len(entries),
        size=sum(entry.size for entry in entries),
        place=store.place,
        is_executable=is_file and os.access(path, os.X_OK),
        parents=origins,
        tags=tuple(dict.fromkeys(tags)),
        metadata=metadata,
    )
    if last is not None and last.has_files_of(wanted) and not even_if_unchanged and not recheck:
        return NewVersion(last, False, 0, 0)
    with Lease(store.provider, f"version of {dataset_id}") as lease:
        # What was there before the lease may be collected by now.
        last = store.records.latest(dataset_id)
        folder = os.path.dirname(path) if is_file else path
        base = [] if recheck else _bases(store, last, origins)
        sent, sent_bytes = send_contents(store, folder, digested, base, lease, shown, recheck=recheck)
        if not is_file:
            store.dvc_store.store_at(wanted.content, manifest)
        store.tables.store_at(wanted.table, table)
        if last is not None and last.has_files_of(wanted) and not even_if_unchanged:
            return NewVersion(last, False, sent, sent_bytes)
        return NewVersion(publish(store, wanted, lease), True, sent, sent_bytes)


def publish(store: DatasetStore, version: DatasetVersion, lease: Lease) -> DatasetVersion:
    """Write the record of a version, all of which is in the store; it with its number.

    Raises:
        PreconditionFailed: the lease, under which that was found out, has lapsed.
    """
    lease.check()
    made = store.records.add(replace(version, created=datetime.now(UTC)))
    try:
        lease.check()
    except StorageError:
        store.records.replace(made.as_removed(datetime.now(UTC)))
        raise
    return made


def _digested(
    store: DatasetStore, path: str, symlinks: Symlinks, seen: Callable[[int], object]
) -> tuple[list[Digested], bool]:
    if not os.path.isdir(path):
        _check_file_name(path)
        return [digested_file(path)], True
    digested = list(digested_folder(path, store.known, symlinks=symlinks, seen=seen))
    if not digested:
        raise InvalidRequest(f"there is no file in {printable_path(path)!r}; name a folder that has some")
    return digested, False


def _bases(store: DatasetStore, last: DatasetVersion | None, parents: Iterable[Reference]) -> Iterator[DatasetVersion]:
    """Versions whose contents are where those of the new one are to be."""
    found = [last] if last else []
    found += [store.records.get(parent, removed=True) for parent in parents if parent.kind is Kind.DATASET]
    return (base for base in found if not base.removed and base.place == store.place)


def _check_file_name(path: str) -> None:
    try:
        os.path.basename(path).encode()
    except UnicodeEncodeError:
        raise LocalFileError(
            f"the name of {printable_path(path)!r} is not UTF-8; rename it and run this again"
        ) from None
