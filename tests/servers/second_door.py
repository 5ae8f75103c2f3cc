"""What is in a bucket or a folder, read and written with nothing of ours: content as SHA-256, by key."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from plain_client import S3Server, plain_client
from rclone_server import rclone_program

INTERNAL = ".lading"
PART = ".lading-part-"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Door(Protocol):
    """One side of a transfer. Keys have slashes between names."""

    def read(self) -> dict[str, str]:
        """Every object, read in full: its SHA-256. Objects that contradict their own record have a text of their own."""

    def contents(self, prefix: str) -> dict[str, bytes]:
        """The bytes of every object under a prefix."""

    def write(self, files: Mapping[str, bytes]) -> None:
        """Put objects there."""

    def remove(self, keys: Iterable[str]) -> None:
        """Take objects away."""

    def rclone(self, prefix: str) -> tuple[str, dict[str, str]]:
        """How rclone calls the objects below a prefix, and the variables that it needs for that."""


class BucketDoor:
    """A bucket, through boto3."""

    def __init__(self, server: S3Server, bucket: str) -> None:
        self.server, self.bucket = server, bucket
        self._client = plain_client(server)

    def _listed(self, prefix: str = "") -> dict[str, Any]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return {entry["Key"]: entry for page in pages for entry in page.get("Contents", [])}

    def contents(self, prefix: str) -> dict[str, bytes]:
        get = self._client.get_object
        return {key: get(Bucket=self.bucket, Key=key)["Body"].read() for key in self._listed(prefix)}

    def read(self) -> dict[str, str]:
        for _ in range(20):
            listed = self._listed()
            with ThreadPoolExecutor(4) as pool, suppress(self._client.exceptions.NoSuchKey):
                found = list(pool.map(self._get, listed))
                if all(entry["Size"] == size for entry, (_, size) in zip(listed.values(), found, strict=True)):
                    return {key: content for key, (content, _) in zip(listed, found, strict=True)}
            # The store was still at work on what a killed program had asked of it: it is looked at again.
            time.sleep(0.05)
        raise AssertionError(f"the bucket {self.bucket} does not come to rest: its listing is not what can be read")

    def _get(self, key: str) -> tuple[str, int]:
        """The SHA-256 of what is there, or a text where it is not what was stored; its size in bytes."""
        found = self._client.get_object(Bucket=self.bucket, Key=key)
        body = found["Body"].read()
        content, stored = sha256(body), found["Metadata"].get("sha256")
        return (content if stored in {content, None} else f"{content}, which is recorded as {stored}"), len(body)

    def write(self, files: Mapping[str, bytes]) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._write, files.items()))

    def _write(self, file: tuple[str, bytes]) -> None:
        key, body = file
        self._client.put_object(Bucket=self.bucket, Key=key, Body=body, Metadata={"sha256": sha256(body)})

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._client.delete_object(Bucket=self.bucket, Key=key)

    def uploads(self) -> list[str]:
        """The keys of unfinished uploads."""
        return [entry["Key"] for entry in self._client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])]

    def rclone(self, prefix: str) -> tuple[str, dict[str, str]]:
        environment = {
            "RCLONE_CONFIG_CEPH_TYPE": "s3",
            "RCLONE_CONFIG_CEPH_PROVIDER": "Ceph",
            "RCLONE_CONFIG_CEPH_ENDPOINT": self.server.http_url,
            "RCLONE_CONFIG_CEPH_ACCESS_KEY_ID": self.server.access_key,
            "RCLONE_CONFIG_CEPH_SECRET_ACCESS_KEY": self.server.secret_key,
        }
        return f"ceph:{self.bucket}/{prefix}", environment

    def close(self) -> None:
        self._client.close()


class FolderDoor:
    """A folder on this disk; also the store that the local provider keeps in one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self) -> dict[str, str]:
        found = (path for path in self.folder.rglob("*") if path.is_file() and not path.name.startswith(PART))
        names = ((path.relative_to(self.folder), path) for path in found)
        return {name.as_posix(): sha256(path.read_bytes()) for name, path in names if name.parts[0] != INTERNAL}

    def contents(self, prefix: str) -> dict[str, bytes]:
        return {key: (self.folder / key).read_bytes() for key in self.read() if key.startswith(prefix)}

    def write(self, files: Mapping[str, bytes]) -> None:
        for name, body in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            (self.folder / key).unlink()

    def parts(self) -> list[str]:
        """What unfinished downloads have left."""
        found = self.folder.rglob(f"{PART}*")
        return [str(path.relative_to(self.folder)) for path in found]

    def trash(self) -> set[str]:
        """The contents of what was moved to the trash of this side."""
        return {
            sha256(path.read_bytes())
            for path in (self.folder / INTERNAL).glob("trash/*/objects/**/*")
            if path.is_file()
        }

    def trash_ids(self) -> set[str]:
        """Its records."""
        return {path.name for path in (self.folder / INTERNAL / "trash").iterdir()}

    def rclone(self, prefix: str) -> tuple[str, dict[str, str]]:
        return str(self.folder / prefix), {}


def rclone_differences(one: Door, prefix: str, other: Door, other_prefix: str, *, one_way: bool = False) -> str:
    """What rclone, which reads all bytes of both sides, finds different; empty where they are equal."""

    here, variables = one.rclone(prefix)
    there, more = other.rclone(other_prefix)
    options = [
        "--config",
        "",
        "--download",
        "--exclude",
        f"/{INTERNAL}/**",
        "--exclude",
        f"{PART}*",
        *(["--one-way"] if one_way else []),
    ]
    environment = {"PATH": os.environ.get("PATH", os.defpath), **variables, **more}
    command = [rclone_program() or "rclone", "check", here, there, *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    return done.stderr if done.returncode else ""
