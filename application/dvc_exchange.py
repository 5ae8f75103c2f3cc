"""Versions of datasets and what `dvc push` wrote, made of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from application.dataset_store import DatasetStore
from application.dataset_writing import NewVersion, publish
from application.garbage.leases import Lease
from domain.content import DVC_MD5
from domain.datasets import DatasetVersion, check_description, checked_path
from domain.errors import InvalidRequest, ObjectNotFound, StorageError
from domain.keys import shortened
from domain.manifests import MAX_DVC_MANIFEST_BYTES, FileEntry, checked_name, read_dvc_manifest, written_table
from domain.versions import Reference, check_id


def register_pushed(
    datasets: DatasetStore,
    address: str,
    dataset_id: str,
    path: str,
    message: str = "",
    parents: Iterable[str | Reference] = (),
    tags: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    *,
    is_executable: bool = False,
    even_if_unchanged: bool = False,
    seen: Callable[[int], object] = int,
) -> NewVersion:
    """Make a version of what `dvc push` put into the DVC store. No content is moved; all of it has to be there.

    Args:
        address: the MD5 in the `.dvc` file, with `.dir` of a folder.
        path: the name of the folder or the file, without those of folders above.
        message, parents, tags, metadata, even_if_unchanged: as `DatasetVersioning.version`.
        seen: called now and then with the number of contents that were looked for.

    Raises:
        ObjectNotFound: some of it is not in the store.
        ContentCorrupted: the manifest is damaged, or names what can't be a file below a folder.
        InvalidRequest: the manifest is enormous, or the id or the name can't be.
    """
    check_id(dataset_id)
    metadata = dict(metadata or {})
    check_description(message, tuple(tags), metadata)
    address = DVC_MD5.checked(address)
    path = checked_path(path, address)
    origins = datasets.references(parents)
    with Lease(datasets.provider, f"import of {dataset_id}") as lease:
        entries = _entries(datasets, address, path, lease, seen)
        table = b"".join(written_table(entries))
        wanted = DatasetVersion(
            dataset_id=dataset_id,
            version=0,
            created=datetime.now(UTC),
            message=message,
            path=path,
            content=address,
            table=datasets.tables.get_content_hash(table),
            files=len(entries),
            size=sum(entry.size for entry in entries),
            place=datasets.place,
            is_executable=is_executable,
            parents=origins,
            tags=tuple(dict.fromkeys(tags)),
            metadata=metadata,
        )
        last = datasets.records.latest(dataset_id)
        if last is not None and (last.content, last.place) == (wanted.content, wanted.place) and not even_if_unchanged:
            return NewVersion(last, False, 0, 0)
        datasets.tables.store_at(wanted.table, table)
        return NewVersion(publish(datasets, wanted, lease), True, 0, 0)


def description_for_dvc(datasets: DatasetStore, version: DatasetVersion) -> dict[str, object]:
    """What stands under `meta:` in the `.dvc` file of a version: which it is, and what it was made from."""
    told: dict[str, object] = {
        "dataset": version.dataset_id,
        "version": version.version,
        "created": version.created.isoformat(),
        "store": f"{datasets.content.describe().url}/{datasets.dvc_prefix}".rstrip("/"),
    }
    if version.message:
        told["message"] = version.message
    if version.parents:
        told["made_from"] = [str(parent) for parent in version.parents]
    if version.tags:
        told["tags"] = list(version.tags)
    return {"lading": told}


def _entries(
    datasets: DatasetStore, address: str, path: str, lease: Lease, seen: Callable[[int], object]
) -> list[FileEntry]:
    store = datasets.dvc_store
    if address.endswith(".dir"):
        shown = f"the manifest {address}"
        size = store.get_metadata(address)["size"]
        if size > MAX_DVC_MANIFEST_BYTES:
            raise InvalidRequest(
                f"{shown} has {size:,} bytes; at most {MAX_DVC_MANIFEST_BYTES:,} are read: make several datasets of it"
            )
        named = read_dvc_manifest(store.retrieve_data(address), shown)
    else:
        named = [(checked_name(path), address)]
    keys = {store.key(md5): md5 for _, md5 in named}
    found: dict[str, tuple[str, int]] = {}
    missing = []
    for count, (key, info) in enumerate(datasets.content.head_many(keys), 1):
        if isinstance(info, ObjectNotFound):
            missing.append(keys[key])
        elif isinstance(info, StorageError):
            raise info
        else:
            found[keys[key]] = (info.sha256 or "", info.size)
        if not count % 1000:
            lease.renewed()
            seen(count)
    if missing:
        first = next(name for name, md5 in named if md5 in set(missing))
        raise ObjectNotFound(
            f"{len(missing):,} of {len(keys):,} contents are not in {datasets.content.describe().url}, that of "
            f"{shortened(first)!r} among them; run 'dvc push' where they are, then this again",
            provider=datasets.content.name,
            key=store.key(missing[0]),
        )
    return [FileEntry(name, md5, *found[md5]) for name, md5 in named]
