"""The trash of a local folder: below `.lading/trash/<id>/` in it, filled by renames."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from application.local_tree import state_of
from application.trash.confined_folder import ConfinedFolder, Pruning
from application.trash.sides import INTERNAL, Found, TrashBatch, new_record
from domain.errors import LocalFileError, ObjectNotFound, PreconditionFailed, StorageError
from domain.local_files import CHUNK_BYTES, ReplacementFile, printable_path
from domain.trash import TRASH_ID, Trashed, TrashRecord, check_trash_id, damaged, decoded_record

_FOLDER = [INTERNAL, "trash"]
_MODE = 0o700
"""Files keep their modes, but the folders that they were hidden in are not there: nobody else looks into the trash."""
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class FolderTrash:
    """The trash of a folder; as `Trash`. Names are paths below the folder, with '/' between their parts.

    A file `f` is kept as `.lading/trash/<id>/objects/f`, with its mode and times: it is renamed, on one file system and
    through no symbolic link. The record is `.lading/trash/<id>/record.json`.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    @property
    def place(self) -> str:
        return printable_path(self._folder)

    def open(self, why: str, entries: Sequence[Trashed], *, undoes: str = "") -> TrashBatch:
        for entry in entries:
            if reason := _not_below(entry.name):
                raise LocalFileError(f"{entry.name!r} can't go to the trash of {self.place!r}: {reason}")
        record = new_record(why, entries, undoes, {})
        names = [*_FOLDER, record.id]
        with ConfinedFolder(self._folder, _MODE) as tree:
            try:
                folder = tree.folder(names, make=True)
                with os.fdopen(os.open("record.part", _NEW, 0o600, dir_fd=folder), "wb") as file:
                    file.writelines(record.encoded())
                    file.flush()
                    os.fsync(file.fileno())
                os.rename("record.part", "record.json", src_dir_fd=folder, dst_dir_fd=folder)
            except OSError as error:
                raise tree.error(error, "/".join(names), "write") from error
        return self.reopen(record)

    def reopen(self, record: TrashRecord) -> TrashBatch:
        return _FolderBatch(self._folder, record)

    def ids(self) -> Iterator[str]:
        with ConfinedFolder(self._folder) as tree:
            try:
                names = os.listdir(tree.folder(_FOLDER))
            except FileNotFoundError:
                return
            except OSError as error:
                raise tree.error(error, "/".join(_FOLDER), "read") from error
        yield from sorted(filter(TRASH_ID.fullmatch, names))

    def record(self, trash_id: str) -> TrashRecord:
        name = "/".join([*_FOLDER, check_trash_id(trash_id), "record.json"])
        with ConfinedFolder(self._folder) as tree:
            try:
                folder, last = tree.of(name)
                with os.fdopen(os.open(last, _READ | os.O_NOFOLLOW, dir_fd=folder), "rb") as file:
                    data = file.read()
            except FileNotFoundError as error:
                raise ObjectNotFound(
                    f"the trash of {self.place!r} has no record {trash_id}; 'storage trash list --local' shows those there are"
                ) from error
            except OSError as error:
                raise tree.error(error, name, "read") from error
        record = decoded_record(data, trash_id)
        for entry in record.entries:
            if reason := _not_below(entry.name):
                raise damaged(trash_id, f"{entry.name!r}: {reason}")
        if record.places:
            raise damaged(trash_id, "it keeps files where this program does not")
        return record

    def find(self, record: TrashRecord, entries: Sequence[Trashed]) -> Iterator[tuple[Trashed, Found | StorageError]]:
        with ConfinedFolder(self._folder) as tree, ConfinedFolder(self._folder) as trash:
            for entry in entries:
                try:
                    yield entry, _found(tree, trash, record, entry)
                except StorageError as error:
                    yield entry, error
                except OSError as error:
                    yield entry, tree.error(error, entry.name, "read")

    def bring_back(self, record: TrashRecord, found: Iterable[Found]) -> Iterator[tuple[Found, StorageError | None]]:
        with (
            ConfinedFolder(self._folder) as tree,
            ConfinedFolder(self._folder) as trash,
            Pruning(trash, len(_FOLDER) + 1) as pruning,
        ):
            for one in found:
                place = _place(record, one.entry)
                try:
                    self._bring_back(tree, trash, place, one)
                except StorageError as error:
                    yield one, error
                except OSError as error:
                    yield one, tree.error(error, one.entry.name, "write")
                else:
                    pruning.left(place)
                    yield one, None

    def _bring_back(self, tree: ConfinedFolder, trash: ConfinedFolder, place: str, one: Found) -> None:
        name = one.entry.name
        source, kept = trash.of(place)
        folder, last = tree.of(name, make=True)
        if one.there is None:
            _move_to_nothing(source, kept, folder, last, os.path.join(self._folder, name))
            return
        status = os.lstat(last, dir_fd=folder)
        shown = printable_path(os.path.join(self._folder, name))
        if stat.S_ISDIR(status.st_mode):
            raise LocalFileError(f"{shown!r} is a folder now; take it out of the way and run this again")
        if not stat.S_ISLNK(status.st_mode):
            os.rename(kept, last, src_dir_fd=source, dst_dir_fd=folder)
        elif not one.entry.replaced:
            raise LocalFileError(f"{shown!r} is a symbolic link now; take it out of the way and run this again")
        else:  # the link was there then, and what was replaced is what it points at
            with (
                os.fdopen(os.open(kept, _READ | os.O_NOFOLLOW, dir_fd=source), "rb") as file,
                ReplacementFile(os.path.join(self._folder, name)) as target,
            ):
                while chunk := file.read(CHUNK_BYTES):
                    target.write(chunk)
                target.commit()
            os.unlink(kept, dir_fd=source)

    def forget(self, record: TrashRecord, entries: Iterable[Trashed]) -> None:
        with ConfinedFolder(self._folder) as trash, Pruning(trash, len(_FOLDER) + 1) as pruning:
            for entry in entries:
                place = _place(record, entry)
                try:
                    folder, last = trash.of(place)
                    os.unlink(last, dir_fd=folder)
                except OSError as error:
                    raise trash.error(error, place, "remove") from error
                pruning.left(place)

    def held(self, trash_id: str) -> tuple[int, int]:
        count = size = 0
        with ConfinedFolder(self._folder) as tree:
            try:
                top = tree.folder([*_FOLDER, check_trash_id(trash_id)])
                for _, folders, names, folder in os.fwalk("objects", dir_fd=top, onerror=_raised):
                    found = [os.lstat(name, dir_fd=folder) for name in folders + names]
                    files = [status for status in found if not stat.S_ISDIR(status.st_mode)]
                    count += len(files)
                    size += sum(status.st_size for status in files)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise tree.error(error, "/".join([*_FOLDER, trash_id]), "read") from error
        return count, size

    def remove(self, trash_id: str) -> None:
        names = [*_FOLDER, check_trash_id(trash_id)]
        with ConfinedFolder(self._folder) as tree:
            try:
                shutil.rmtree("objects", dir_fd=tree.folder(names))
            except FileNotFoundError:
                pass
            except OSError as error:
                raise tree.error(error, "/".join(names), "remove") from error
        self.forget_record(trash_id)

    def forget_record(self, trash_id: str) -> None:
        names = [*_FOLDER, check_trash_id(trash_id)]
        with ConfinedFolder(self._folder) as tree:
            try:
                folder = tree.folder(names)
                for name in ("record.part", "record.json"):
                    with suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=folder)
            except FileNotFoundError:
                return
            except OSError as error:
                raise tree.error(error, "/".join(names), "remove") from error
            tree.prune(names, 1)


class _FolderBatch:
    def __init__(self, folder: str, record: TrashRecord) -> None:
        self.id = record.id
        self._folder = folder
        self._record = record

    def put(self, entries: Iterable[Trashed]) -> Iterator[tuple[Trashed, StorageError | None]]:
        with (
            ConfinedFolder(self._folder) as tree,
            ConfinedFolder(self._folder, _MODE) as trash,
            Pruning(tree) as pruning,
        ):
            for entry in entries:
                try:
                    self._put(tree, trash, entry)
                except StorageError as error:
                    yield entry, error
                except OSError as error:
                    yield entry, tree.error(error, entry.name, "move to the trash")
                else:
                    if not entry.replaced:
                        pruning.left(entry.name)
                    yield entry, None

    def _put(self, tree: ConfinedFolder, trash: ConfinedFolder, entry: Trashed) -> None:
        try:
            folder, last = tree.of(entry.name)
            status = os.lstat(last, dir_fd=folder)
        except FileNotFoundError as error:
            raise self._changed(entry, "it is gone") from error
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
            raise LocalFileError(f"{self._shown(entry)!r} is no file; it was left alone")
        if entry.state and entry.state != _state(folder, last, status):
            raise self._changed(entry, "it is another one")
        target, kept = trash.of(_place(self._record, entry), make=True)
        if entry.replaced:
            _copy(folder, last, status, target, kept)
        else:
            os.rename(last, kept, src_dir_fd=folder, dst_dir_fd=target)

    def _changed(self, entry: Trashed, how: str) -> PreconditionFailed:
        return PreconditionFailed(
            f"{self._shown(entry)!r} has changed since this was planned ({how}) and was left alone; plan again"
        )

    def _shown(self, entry: Trashed) -> str:
        return printable_path(os.path.join(self._folder, entry.name))


def _place(record: TrashRecord, entry: Trashed) -> str:
    return "/".join([*_FOLDER, record.id, "objects", entry.name])


def _not_below(name: str) -> str:
    """Why this can't be the name of a file below a folder; empty where it can."""
    names = name.split("/")
    if not {"", ".", ".."}.isdisjoint(names) or "\0" in name:
        return "it is no path below the folder"
    if names[0].casefold() == INTERNAL:
        return f"what is in {INTERNAL} is no data of the user's"
    return ""


def _state(folder: int, last: str, status: os.stat_result) -> str:
    if stat.S_ISLNK(status.st_mode):
        with suppress(OSError):  # one that leads nowhere is itself what there is
            status = os.stat(last, dir_fd=folder)
    return state_of(status)


def _found(tree: ConfinedFolder, trash: ConfinedFolder, record: TrashRecord, entry: Trashed) -> Found:
    place = _place(record, entry)
    kept, status = trash.status(place), tree.status(entry.name)
    if status is None:
        return Found(entry, kept is not None, None)
    folder, last = tree.of(entry.name)
    there = Trashed(entry.name, status.st_size, _state(folder, last, status), replaced=True)
    if kept is None:
        return Found(entry, False, there)
    same = os.path.samestat(kept, status) or _same(trash.of(place), kept, (folder, last), status, entry.replaced)
    return Found(entry, True, there, same)


def _same(
    kept: tuple[int, str], kept_status: os.stat_result, there: tuple[int, str], status: os.stat_result, followed: bool
) -> bool:
    """Whether a file in the trash and what is at its place have the same content; a link is one only of a link's target."""
    if stat.S_ISLNK(kept_status.st_mode):
        return stat.S_ISLNK(status.st_mode) and _target(kept) == _target(there)
    if stat.S_ISLNK(status.st_mode) and followed:
        with suppress(OSError):
            status = os.stat(there[1], dir_fd=there[0])
    if not stat.S_ISREG(status.st_mode) or status.st_size != kept_status.st_size:
        return False
    with (
        os.fdopen(os.open(kept[1], _READ | os.O_NOFOLLOW, dir_fd=kept[0]), "rb") as one,
        os.fdopen(os.open(there[1], _READ, dir_fd=there[0]), "rb") as other,
    ):
        while chunk := one.read(CHUNK_BYTES):
            if chunk != other.read(CHUNK_BYTES):
                return False
    return True


def _target(link: tuple[int, str]) -> str:
    return os.readlink(link[1], dir_fd=link[0])


def _copy(folder: int, last: str, status: os.stat_result, target: int, kept: str) -> None:
    """Keep a file's bytes beside it: as a second name of the same file, for it is replaced by a rename and never edited."""
    if stat.S_ISREG(status.st_mode):
        with suppress(OSError):  # not every file system has such names, and not every file may get one
            os.link(last, kept, src_dir_fd=folder, dst_dir_fd=target, follow_symlinks=False)
            return
    part = f"{kept[:60]}.lading-part"
    with suppress(FileNotFoundError):
        os.unlink(part, dir_fd=target)
    with (
        os.fdopen(os.open(last, _READ, dir_fd=folder), "rb") as source,
        os.fdopen(os.open(part, _NEW, 0o600, dir_fd=target), "wb") as copy,
    ):
        shutil.copyfileobj(source, copy, CHUNK_BYTES)
        copy.flush()
        of = os.fstat(source.fileno())
        with suppress(OSError):  # a file system without modes has none to keep
            os.fchmod(copy.fileno(), stat.S_IMODE(of.st_mode))
        os.utime(copy.fileno(), ns=(of.st_atime_ns, of.st_mtime_ns))
    os.rename(part, kept, src_dir_fd=target, dst_dir_fd=target)


def _move_to_nothing(source: int, kept: str, folder: int, last: str, path: str) -> None:
    """Rename where nothing may be replaced, also nothing that came meanwhile."""
    try:
        os.link(kept, last, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        raise PreconditionFailed(
            f"{printable_path(path)!r} was written meanwhile and was left alone; run this again"
        ) from None
    except OSError:  # not every file system has second names, and not every file may get one
        os.rename(kept, last, src_dir_fd=source, dst_dir_fd=folder)
    else:
        os.unlink(kept, dir_fd=source)


def _raised(error: OSError) -> None:
    raise error
