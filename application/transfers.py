"""Upload, download and sync: first a plan, then its application.

Planning reads both sides and changes neither; whatever is wrong with a name or a folder is found there, before the
first byte moves. Applying moves each file by itself, whole or not at all, so that a transfer can be stopped anywhere
and run again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from urllib.parse import unquote, urlsplit

from application.interruption import Interruption
from application.local_tree import LocalFile, local_path_of, scan
from application.worker_processes import Outcome, WorkerDied, in_processes, worth_processes
from application.worker_threads import in_threads
from domain.errors import (
    AccessDenied,
    BucketNotFound,
    ConfigurationError,
    InsufficientStorage,
    InvalidRequest,
    LocalFileError,
    ObjectNotFound,
    PreconditionFailed,
    StorageError,
    StoreUnavailable,
    UnsupportedOperation,
)
from domain.keys import check_key
from domain.local_files import CHUNK_BYTES, LocalSource, local_error, printable_path, sweep_parts
from domain.many_files import moves_many_at_once
from domain.storage import IStorageProvider, ObjectInfo, WriteCondition
from domain.transfer import Direction, TransferAction, TransferObserver, TransferPlan, TransferReport

_POINTLESS = (
    AccessDenied,
    BucketNotFound,
    ConfigurationError,
    InsufficientStorage,
    InvalidRequest,  # the keys were checked when planning: what is left is the same for all files
    StoreUnavailable,
    UnsupportedOperation,
)
"""Failures that the next file would meet as well."""


# -- planning


def folder_prefix(remote: str) -> str:
    """The prefix that a folder's contents go under, however the target's slashes are written; empty for the root."""
    name = remote.strip("/").removeprefix("./")
    if name == ".":
        name = ""
    return f"{name}/" if name else ""


def plan_upload(provider: IStorageProvider, local: str, remote: str, *, compare: bool = False) -> TransferPlan:
    """Plan to store the file or the folder's contents `local`.

    A file goes to the key `remote`, or under its own name where `remote` is empty or ends in a slash. A folder's
    contents go under `remote`, whatever its slashes and whether or not anything is there.

    Args:
        compare: leave out what is there already with the same content.

    Raises:
        LocalFileError: `local` is missing or has something in it that can't be stored.
        InvalidRequest: a name makes a key that is too long.
    """
    if os.path.isdir(local):
        _refuse_own_store(provider, local)
        prefix = folder_prefix(remote)
        files = [(prefix + file.relative, file) for file in scan(local)]
    else:
        with LocalSource(local) as source:
            name = os.path.basename(local)
            into = not remote or remote == "." or remote.endswith("/")
            key = folder_prefix(remote) + name if into else remote
            files = [(key, LocalFile(name, local, source.size))]
            prefix = key
    for key, _ in files:
        check_key(key, provider=provider.name)
    if not compare:
        actions = [TransferAction(file.path, key, file.size, "asked for") for key, file in files]
        return TransferPlan(Direction.UPLOAD, actions)
    try:
        there = {info.key: info for info in provider.list_objects(prefix)}
    except BucketNotFound:
        there = {}  # a local folder is made by the first write; of a bucket that is missing the first write will tell
    return _compared(provider, Direction.UPLOAD, ((file.path, key, file.size, there.get(key)) for key, file in files))


def plan_download(provider: IStorageProvider, remote: str, local: str, *, compare: bool = False) -> TransferPlan:
    """Plan to fetch the object `remote`, or all objects under it, to `local`.

    An object goes to the file `local`, or into it where it is a folder or ends in a slash. Objects under a prefix go
    below the folder `local`, whatever the prefix's slashes.

    Args:
        compare: leave out what is there already with the same content.

    Raises:
        ObjectNotFound: there is neither an object nor anything under it.
        LocalFileError: a key can't be a local file.
    """
    _refuse_into_store(provider, local)
    if remote and not remote.endswith("/"):
        try:
            info = provider.head(remote)
        except ObjectNotFound:
            pass
        else:
            into = local.endswith("/") or os.path.isdir(local)
            path = local_path_of(local, remote.rsplit("/", 1)[-1]) if into else local
            return _download(provider, [(path, info)], compare)
    if os.path.lexists(local) and not os.path.isdir(local):
        raise LocalFileError(f"{printable_path(local)!r} is a file; name a folder for the objects under {remote!r}")
    prefix = folder_prefix(remote)
    # An empty object `runs/` is how some programs mark a folder: there is nothing in it to fetch.
    objects = (info for info in provider.list_objects(prefix) if info.size or not info.key.endswith("/"))
    found = [(local_path_of(local, info.key[len(prefix) :]), info) for info in objects]
    if not found:
        raise ObjectNotFound(
            f"there is nothing at or under {remote!r} in {provider.describe().url}; 'storage list' shows what there is",
            provider=provider.name,
            key=remote,
        )
    paths = {path for path, _ in found}
    for path, info in found:
        above = os.path.dirname(path)
        while len(above) > len(local):
            if above in paths:
                raise LocalFileError(
                    f"{info.key!r} needs a folder where another object needs the file {printable_path(above)!r}; "
                    "fetch one of them by itself under another name"
                )
            above = os.path.dirname(above)
    return _download(provider, found, compare)


def refuse_existing(plan: TransferPlan) -> None:
    """Refuse a download that would replace a file.

    Raises:
        PreconditionFailed: naming the first such file.
    """
    for action in plan.actions:
        if os.path.lexists(action.path):
            raise PreconditionFailed(
                f"{printable_path(action.path)!r} exists already; nothing was fetched", key=action.key
            )


def _download(provider: IStorageProvider, found: list[tuple[str, ObjectInfo]], compare: bool) -> TransferPlan:
    if not compare:
        actions = [TransferAction(path, info.key, info.size, "asked for") for path, info in found]
        return TransferPlan(Direction.DOWNLOAD, actions)
    return _compared(provider, Direction.DOWNLOAD, ((path, info.key, _size_of(path), info) for path, info in found))


def _compared(
    provider: IStorageProvider, direction: Direction, pairs: Iterable[tuple[str, str, int | None, ObjectInfo | None]]
) -> TransferPlan:
    """Plan for pairs of local file and object; a size or an object that is None is not there yet."""
    actions: list[TransferAction] = []
    unchanged = 0
    for path, key, size, info in pairs:
        to_move = size if direction is Direction.UPLOAD or info is None else info.size
        if size is None or info is None:
            reason = "new"
        elif size != info.size:
            reason = "size differs"
        elif reason := _difference(provider, path, key):
            pass
        else:
            unchanged += 1
            continue
        actions.append(TransferAction(path, key, to_move or 0, reason))
    return TransferPlan(direction, actions, unchanged)


def _difference(provider: IStorageProvider, path: str, key: str) -> str:
    """Why a file and an object of one size are not the same; empty where they are."""
    try:
        mine = _sha256_of_file(path)
    except LocalFileError:
        return "unreadable"  # one file stops no others: what is wrong with it is told when it is moved
    return "" if mine == _sha256_of_object(provider, key) else "content differs"


def _size_of(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise local_error(error, printable_path(path), "read") from error


def _sha256_of_file(path: str) -> str:
    digest = hashlib.sha256(usedforsecurity=False)
    with LocalSource(path) as source:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
        source.check_unchanged()
    return digest.hexdigest()


def _sha256_of_object(provider: IStorageProvider, key: str) -> str:
    stored = provider.head(key).sha256
    if stored:
        return stored
    # Others put it there, without a hash: reading it once is the only way to know.
    digest = hashlib.sha256(usedforsecurity=False)
    with provider.open_reader(key) as reader:
        while chunk := reader.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _store_folder(provider: IStorageProvider) -> str | None:
    """The folder of a store that is one on this machine."""
    url = urlsplit(provider.describe().url)
    return unquote(url.path) if url.scheme == "file" else None


def _refuse_own_store(provider: IStorageProvider, local: str) -> None:
    """A store that is sent into itself grows without end, and a file laid over an object loses the object's record."""
    store, here = _store_folder(provider), os.path.realpath(local)
    if store and os.path.commonpath([here, store]) == here:
        raise LocalFileError(f"{printable_path(local)!r} holds the store itself ({store}); name the folders beside it")


def _refuse_into_store(provider: IStorageProvider, local: str) -> None:
    store, here = _store_folder(provider), os.path.realpath(local)
    if store and os.path.commonpath([here, store]) == store:
        raise LocalFileError(
            f"{printable_path(local)!r} is inside the store itself ({store}); 'storage copy' copies within it"
        )


# -- applying


def apply(
    provider: IStorageProvider,
    plan: TransferPlan,
    *,
    observer: TransferObserver | None = None,
    content_type: str | None = None,
    metadata: Mapping[str, str] | None = None,
    condition: WriteCondition | None = None,
) -> TransferReport:
    """Carry out a plan.

    One file's failure does not stop the others, unless the next would fail as well (a full disk, a store that is away).
    An interrupt lets the files under way end or vanish; none is left half-written. Does not raise for either: the
    report says it.

    Args:
        content_type, metadata, condition: for every object of an upload.
    """
    if plan.direction is Direction.DOWNLOAD:
        for folder in {os.path.dirname(action.path) for action in plan.actions}:
            sweep_parts(folder)
    processes = worth_processes(plan.actions) if provider.capabilities.fork_safe else 1
    interruption = Interruption()

    def progress(size: int) -> None:
        interruption.check()
        if observer and processes == 1:  # from another process the bytes are told with the files that they make up
            observer.moved(size)

    def move(action: TransferAction) -> None:
        if plan.direction is Direction.UPLOAD:
            provider.upload(
                action.path, action.key, metadata, content_type=content_type, condition=condition, progress=progress
            )
        else:
            provider.download(action.key, action.path, progress=progress)

    def move_many(
        actions: Iterable[TransferAction],
    ) -> Iterator[tuple[TransferAction, StorageError | None]]:
        moving = (
            provider.upload_many(actions, metadata, content_type=content_type)
            if plan.direction is Direction.UPLOAD
            else provider.download_many(actions)
        )
        for action, error in moving:
            if observer and error is None:
                observer.moved(action.size)
            yield action, error

    report = TransferReport()

    def done(outcome: Outcome) -> bool:
        failed = {action.key: error for action, error in outcome.failures}
        for action in outcome.finished:
            error = failed.get(action.key)
            if error is None:
                report.done += 1
                report.moved += action.size
            elif isinstance(error, _POINTLESS):
                report.stopped_by = report.stopped_by or error
            else:
                report.failures.append((action, error))
            if observer:
                if processes > 1:
                    observer.moved(action.size)
                observer.finished(action)
        return report.stopped_by is None

    try:
        if processes > 1:
            in_processes(plan.actions, processes, move, provider.disconnect, done)
        else:
            with interruption:
                if provider.capabilities.remote and len(plan.actions) > 1:
                    many = move_many if condition is None and moves_many_at_once(provider) else None
                    in_threads(plan.actions, move, done, interruption, move_many=many)
                else:
                    _one_by_one(plan.actions, move, done, interruption)
    except KeyboardInterrupt:
        report.interrupted = True
    except WorkerDied as died:
        if hasattr(died, "__notes__"):
            raise  # not killed: an error of ours, which is to be seen
        report.stopped_by = StorageError(f"a worker process died ({died}); run this again to go on")
    return report


def _one_by_one(
    actions: Sequence[TransferAction],
    move: Callable[[TransferAction], None],
    done: Callable[[Outcome], bool],
    interruption: Interruption,
) -> None:
    for action in actions:
        interruption.check()
        failures = []
        try:
            move(action)
        except StorageError as error:
            failures.append((action, error))
        if not done(Outcome((action,), failures)):
            return
