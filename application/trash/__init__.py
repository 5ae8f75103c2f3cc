"""The trash: where what a transfer deletes or replaces goes, and from where it comes back."""

from __future__ import annotations

from application.trash.folder_trash import FolderTrash
from application.trash.sides import Trash, TrashBatch
from application.trash.store_trash import StoreTrash
from application.trash.undoing import UndoReport, empty, records, restore, undo
from domain.storage import IStorageProvider

__all__ = [
    "Trash",
    "TrashBatch",
    "UndoReport",
    "empty",
    "records",
    "restore",
    "trash_of_folder",
    "trash_of_store",
    "undo",
]


def trash_of_store(provider: IStorageProvider) -> Trash:
    """The trash of the provider's bucket."""
    return StoreTrash(provider)


def trash_of_folder(folder: str) -> Trash:
    """The trash of a folder on this machine."""
    return FolderTrash(folder)
