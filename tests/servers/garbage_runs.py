"""Runs of a collection on a `ClockedStore`, and what came of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from clocked_store import ClockedStore, objects_of

from application.garbage.collecting import collect_garbage
from application.garbage.report import GarbageReport
from domain.content import DVC_MD5

A, B, C = {"a": b"1", "both": b"2"}, {"b": b"3", "both": b"2"}, {"c": b"4"}


def gc(store: ClockedStore, **more: Any) -> GarbageReport:
    """With the DVC store, whose sole owner this is."""
    return collect_garbage(store, **({"dvc": (store, "dvc/")} | more))


def at_once(store: ClockedStore, **more: Any) -> GarbageReport:
    return gc(store, grace=timedelta(), **more)


def content_of(store: ClockedStore) -> set[str]:
    """The keys of all content."""
    return set(store.contents("cas/")) | set(store.contents("dvc/"))


def deleted(report: GarbageReport) -> list[str]:
    """The keys of what is gone, or would go."""
    return [item.key for place in report.places for item in place.deleted]


def condemned(report: GarbageReport) -> list[str]:
    """The keys of what is condemned."""
    return [item.key for place in report.places for item in place.condemned]


def only(one: dict[str, bytes], *others: dict[str, bytes]) -> set[str]:
    """The objects that one version has, and none of the others."""
    return set(objects_of(one)) - {key for other in others for key in objects_of(other)}


def deduplicating(store: ClockedStore) -> Any:
    """The same store for a writer that writes no content that is there."""

    class Deduplicating:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def put_bytes(self, key: str, data: bytes, **more: Any) -> None:
            if key.startswith(".lading/") or not store.exists(key):
                store.put_bytes(key, data, **more)

    return Deduplicating()


def table_of(files: dict[str, bytes]) -> str:
    """The key of the table of these files."""
    (key,) = (key for key in objects_of(files) if key.startswith("cas/"))
    return key


def manifest_of(files: dict[str, bytes]) -> str:
    """The address of the manifest of these files."""
    (key,) = (key for key in objects_of(files) if key.endswith(".dir"))
    return str(DVC_MD5.address_of("dvc/", key))
