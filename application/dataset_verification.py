"""A version of a dataset read to its last byte: its table, its manifest, and every file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import tee
from typing import NamedTuple

from application.content_addressed_storage import ContentAddressedStorage
from application.dataset_store import DatasetStore
from application.verification import verify_contents
from domain.content import DVC_MD5, ContentHash
from domain.content_check import corrupted
from domain.datasets import DatasetVersion
from domain.errors import ContentCorrupted, ObjectNotFound, StorageError
from domain.manifests import FileEntry, read_dvc_manifest
from domain.storage import IStorageProvider


class CheckedFile(NamedTuple):
    """What came of one part of a version.

    Attributes:
        name: the file's; empty for the manifest.
        key: of its object.
        size: bytes.
        error: what is wrong, or None.
    """

    name: str
    key: str
    size: int
    error: StorageError | None = None


def verify_version(datasets: DatasetStore, version: DatasetVersion) -> Iterator[CheckedFile]:
    """Read all that a version is made of. A content that several files have is read once, and named by the first of them.

    Raises:
        ContentCorrupted: the table of its files is missing or damaged: nothing tells what the files are.
        StoreUnavailable, AccessDenied, BucketNotFound: nothing more can be found out.
    """
    entries = list(datasets.files(version))
    content, prefix = datasets.content_of(version)
    if not version.is_file:
        key = DVC_MD5.key(prefix, version.content)
        yield CheckedFile("", key, 0, _wrong_manifest(content, prefix, version, entries))
    unique = list({(entry.md5, entry.sha256): entry for entry in reversed(entries)}.values())
    unique.reverse()
    read, named = tee(unique)
    contents = ((DVC_MD5.key(prefix, entry.md5), DVC_MD5.hash_of(entry.md5)) for entry in read)
    for checked, entry in zip(verify_contents(content, contents), named, strict=True):
        error = checked.error
        if error is None and checked.size != entry.size:
            error = ContentCorrupted(
                f"it has {checked.size:,} bytes, the table of files says {entry.size:,}", key=checked.key
            )
        elif error is None and checked.sha256 and checked.sha256 != (entry.sha256 or checked.sha256):
            error = corrupted(
                checked.key,
                ContentHash("sha256", entry.sha256),
                ContentHash("sha256", checked.sha256),
                "the MD5 is that of its address all the same: it is another file's",
            )
        yield CheckedFile(entry.name, checked.key, entry.size, error)


def _wrong_manifest(
    content: IStorageProvider, prefix: str, version: DatasetVersion, entries: list[FileEntry]
) -> StorageError | None:
    store = ContentAddressedStorage(content, prefix, scheme=DVC_MD5)
    try:
        told = read_dvc_manifest(store.retrieve_data(version.content), "the manifest")
    except (ContentCorrupted, ObjectNotFound) as error:
        return error
    if told != [(entry.name, entry.md5) for entry in entries]:
        return ContentCorrupted(
            f"the table of files of {version.reference} and its manifest for DVC tell of different files"
        )
    return None
