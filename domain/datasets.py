"""A dataset's version as a record, which is written once and after everything that it names.

A record is a JSON document of format `lading.dataset/1`; its fields are those of `DatasetVersion`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self

from domain.content import DVC_MD5, SHA256
from domain.errors import ContentCorrupted, InvalidRequest, UnsupportedOperation
from domain.keys import shortened
from domain.versions import Kind, Reference, check_id

_FORMAT = "lading.dataset/1"
_MAX_TEXT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """One version of a dataset.

    Attributes:
        version: from 1 on; never used twice, also not after a removal.
        created: when, timezone-aware UTC.
        message: a person's words.
        path: the name that the folder or the file had.
        content: its address at the DVC remote: the MD5 of the file, or of the folder's manifest with `.dir`.
        table: the SHA-256 of the table of its files (`domain.manifests`), and the table's address in the content store.
        files: how many.
        size: bytes of all files.
        place: where its files are: a prefix in the bucket of the record, or `s3://bucket/prefix`.
        is_executable: of a single file.
        parents: what it was made from.
        tags: words to find it by.
        metadata: whatever else is to be known of it, as JSON has it.
        removed: when it was removed, or None. A removed version has no content any more; its record stays, for lineage.
    """

    dataset_id: str
    version: int
    created: datetime
    message: str
    path: str
    content: str
    table: str
    files: int
    size: int
    place: str = "dvc/"
    is_executable: bool = False
    parents: tuple[Reference, ...] = ()
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    removed: datetime | None = None

    @property
    def reference(self) -> Reference:
        return Reference(Kind.DATASET, self.dataset_id, self.version)

    @property
    def is_file(self) -> bool:
        """Whether it is a single file."""
        return not self.content.endswith(".dir")

    def has_files_of(self, other: DatasetVersion) -> bool:
        """Whether the files are those of another version."""
        mine = (self.table, self.content, self.is_executable, self.place)
        return mine == (other.table, other.content, other.is_executable, other.place)

    def as_removed(self, when: datetime) -> Self:
        """The record of this version once it is removed."""
        return replace(self, removed=when)

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it, without the format."""
        return {
            "dataset_id": self.dataset_id,
            "version": self.version,
            "created": self.created.isoformat(),
            "message": self.message,
            "path": self.path,
            "content": self.content,
            "table": self.table,
            "files": self.files,
            "size": self.size,
            "place": self.place,
            "is_executable": self.is_executable,
            "parents": [{"kind": str(kind), "id": name, "version": version} for kind, name, version in self.parents],
            "tags": list(self.tags),
            "metadata": dict(self.metadata),
            "removed": self.removed.isoformat() if self.removed else None,
        }

    def encoded(self) -> bytes:
        """The JSON document."""
        return json.dumps({"format": _FORMAT, **self.as_dict()}, indent=1).encode() + b"\n"

    @classmethod
    def decoded(cls, data: bytes, dataset_id: str, version: int) -> Self:
        """The record that `encoded` wrote.

        Raises:
            ContentCorrupted: it is damaged, or of another version than this one.
            UnsupportedOperation: it is of a later format.
        """
        shown = f"the record of {shortened(dataset_id)}@{version}"
        try:
            told = json.loads(data)
            if str(told["format"]).startswith("lading.dataset/") and told["format"] != _FORMAT:
                raise UnsupportedOperation(f"{shown} has the format {told['format']!r}; a newer version reads it")
            found = cls._of(told)
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            OverflowError,
            RecursionError,
            InvalidRequest,
        ) as error:
            raise ContentCorrupted(
                f"{shown} is damaged ({type(error).__name__}: {shortened(str(error))}); restore it from a copy of the store"
            ) from error
        if (found.dataset_id, found.version) != (dataset_id, version):
            raise ContentCorrupted(f"{shown} is that of {shortened(str(found.reference))}; somebody moved it")
        return found

    @classmethod
    def _of(cls, told: Mapping[str, Any]) -> Self:
        if told["format"] != _FORMAT:
            raise ValueError(f"the format is {told['format']!r}")
        if not all(type(told[name]) is int and told[name] >= 0 for name in ("version", "files", "size")):
            raise ValueError("a number is none")
        if not all(isinstance(text, str) for text in (told["message"], told["path"], told["place"], *told["tags"])):
            raise ValueError("a text is none")
        if not all(type(parent["version"]) is int and parent["version"] > 0 for parent in told["parents"]):
            raise ValueError("a parent's number is none")
        kinds = {"is_executable": bool, "parents": list, "tags": list, "metadata": dict}
        if not all(type(told[name]) is kind for name, kind in kinds.items()):
            raise ValueError("a value is none")
        content = DVC_MD5.checked(told["content"])
        return cls(
            dataset_id=check_id(told["dataset_id"]),
            version=told["version"],
            created=_time(told["created"]),
            message=told["message"],
            path=checked_path(told["path"], content),
            content=content,
            table=SHA256.checked(told["table"]),
            files=told["files"],
            size=told["size"],
            place=told["place"],
            is_executable=told["is_executable"],
            parents=tuple(
                Reference(Kind(parent["kind"]), check_id(parent["id"]), parent["version"]) for parent in told["parents"]
            ),
            tags=tuple(told["tags"]),
            metadata=dict(told["metadata"]),
            removed=_time(told["removed"]) if told["removed"] else None,
        )


def checked_path(path: str, content: str) -> str:
    """Return `path` if it is the name of one file or folder; the root's, which is empty, only of a folder.

    A checkout joins it to a folder of the user's: whoever wrote the record must not lead out of that.

    Args:
        content: its address.

    Raises:
        InvalidRequest: it is none.
    """
    if path in {".", ".."} or "/" in path or "\0" in path or not (path or content.endswith(".dir")):
        raise InvalidRequest(f"{shortened(repr(path))} is no name of a file or a folder")
    return path


def check_description(message: str, tags: tuple[str, ...], metadata: Mapping[str, Any]) -> None:
    """Refuse what a record can't keep.

    Raises:
        InvalidRequest: a tag is empty or not printable, the metadata is nothing that JSON has, or it is all too long.
    """
    for tag in tags:
        if not isinstance(tag, str) or not tag.strip() or not tag.isprintable():
            raise InvalidRequest(f"{shortened(repr(tag))} is no tag; write a word such as clean")
    try:
        size = len(json.dumps([message, tags, dict(metadata)], allow_nan=False).encode())
        message.encode()
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"the description can't be written as JSON: {error}") from None
    if size > _MAX_TEXT_BYTES:
        raise InvalidRequest(
            f"message, tags and metadata have {size:,} bytes; at most {_MAX_TEXT_BYTES:,} are possible"
        )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
