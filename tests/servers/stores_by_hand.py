"""Stores as somebody sees them who has nothing of ours: a folder on the disk, a bucket through plain boto3."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

from cloud_environment import minio_variables
from plain_client import S3Server, make_bucket


class StoreByHand(Protocol):
    """A store looked at, and changed, behind the program's back.

    Attributes:
        provider: what it is called in the settings.
        variables: the settings with which a user points at it.
    """

    provider: str
    variables: dict[str, str]

    def put(self, key: str, content: bytes | str) -> None:
        """Put an object there as a stranger does, without a hash."""

    def tamper(self, key: str, content: bytes) -> None:
        """Other bytes under the hash that is stored."""

    def delete(self, key: str) -> None:
        """Take an object away."""

    def contents(self, prefix: str = "") -> dict[str, bytes]:
        """Every object, also in the trash; what the program keeps for itself on a disk left out."""

    def another(self) -> StoreByHand:
        """An empty store of the same sort."""


class FolderByHand:
    """A store on local disk."""

    provider = "local"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.variables = {"STORAGE_PROVIDER": "local", "STORAGE_LOCAL_PATH": str(folder)}

    def put(self, key: str, content: bytes | str) -> None:
        (self.folder / key).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / key).write_bytes(content.encode() if isinstance(content, str) else content)

    def tamper(self, key: str, content: bytes) -> None:
        before = (self.folder / key).stat()
        assert before.st_size == len(content)
        (self.folder / key).write_bytes(content)
        os.utime(self.folder / key, ns=(before.st_atime_ns, before.st_mtime_ns))

    def delete(self, key: str) -> None:
        (self.folder / key).unlink()

    def contents(self, prefix: str = "") -> dict[str, bytes]:
        paths = {path.relative_to(self.folder).as_posix(): path for path in self.folder.rglob("*") if path.is_file()}
        kept = (key for key in sorted(paths) if key.startswith(prefix) and not key.startswith(".lading/"))
        return {key: paths[key].read_bytes() for key in kept}

    def another(self) -> FolderByHand:
        return FolderByHand(self.folder.with_name(f"{self.folder.name}-other"))


class BucketByHand:
    """A bucket of a server.

    Args:
        client: boto3's.
    """

    provider = "minio"

    def __init__(self, server: S3Server, client: Any, bucket: str) -> None:
        self._server = server
        self.client = client
        self.bucket = bucket
        self.variables = minio_variables(server, bucket)

    def put(self, key: str, content: bytes | str) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=content)

    def tamper(self, key: str, content: bytes) -> None:
        metadata = self.client.head_object(Bucket=self.bucket, Key=key)["Metadata"]
        assert "sha256" in metadata
        self.client.put_object(Bucket=self.bucket, Key=key, Body=content, Metadata=metadata)

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=key)

    def contents(self, prefix: str = "") -> dict[str, bytes]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        return {key: self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}

    def another(self) -> BucketByHand:
        return BucketByHand(self._server, self.client, make_bucket(self._server))
