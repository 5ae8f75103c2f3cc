"""Upload, download, sync and replication: what is planned for the paths and prefixes that a person names."""

from __future__ import annotations

import os
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from application.local_tree import check_local_name
from application.planning import PlanOptions, plan_transfer
from application.sides import LocalFileAlone, LocalFolder, MayBeMissing, ObjectAlone, Side, StorePrefix, store_name
from domain.errors import InvalidRequest, LocalFileError, ObjectNotFound, PreconditionFailed
from domain.keys import check_key
from domain.known_hashes import KnownHashes, NothingKnown
from domain.local_files import LocalSource, printable_path
from domain.storage import IStorageProvider
from domain.transfer import DeleteBudget, Direction, TransferPlan

_ASKED_FOR = PlanOptions()


def folder_prefix(remote: str) -> str:
    """The prefix that a folder's contents go under, however the target's slashes are written; empty for the root."""
    name = remote.strip("/").removeprefix("./")
    if name == ".":
        name = ""
    return f"{name}/" if name else ""


def plan_upload(
    provider: IStorageProvider,
    local: str,
    remote: str,
    options: PlanOptions = _ASKED_FOR,
    *,
    known: KnownHashes | None = None,
) -> TransferPlan:
    """Plan to store the file or the folder's contents `local`.

    A file goes to the key `remote`, or under its own name where `remote` is empty or ends in a slash. A folder's
    contents go under `remote`, whatever its slashes and whether or not anything is there. Of the root of a store what
    other parts of this program keep there is left out where the two sides are compared.

    Raises:
        LocalFileError: `local` is missing or has something in it that can't be stored.
        InvalidRequest: a name makes a key that is too long.
        PreconditionFailed: more would be deleted than may be.
    """
    known = known or NothingKnown()
    source: Side
    if os.path.isdir(local):
        refuse_own_store(provider, local)
        prefix = folder_prefix(remote)
        source, target = LocalFolder(local, known, symlinks=options.symlinks), StorePrefix(provider, prefix, known)
    else:
        with LocalSource(local):
            pass  # that it can be read is found out before anything is begun
        _refuse_alone(options, local)
        into = not remote or remote == "." or remote.endswith("/")
        key = folder_prefix(remote) + os.path.basename(local) if into else remote
        source, target = (
            LocalFileAlone(local, known),
            ObjectAlone(provider, check_key(key, provider=provider.name), known),
        )
    return plan_transfer(source, MayBeMissing(target), Direction.UPLOAD, options)


def plan_download(
    provider: IStorageProvider,
    remote: str,
    local: str,
    options: PlanOptions = _ASKED_FOR,
    *,
    known: KnownHashes | None = None,
) -> TransferPlan:
    """Plan to fetch the object `remote`, or all objects under it, to `local`.

    An object goes to the file `local`, or into it where it is a folder or ends in a slash. Objects under a prefix go
    below the folder `local`, whatever the prefix's slashes.

    Raises:
        ObjectNotFound: there is neither an object nor anything under it.
        LocalFileError: a key can't be a local file, or two would be one.
        PreconditionFailed: more would be deleted than may be.
    """
    known = known or NothingKnown()
    refuse_into_store(provider, local)
    if remote and not remote.endswith("/"):
        try:
            info = provider.head(remote)
        except ObjectNotFound:
            pass
        else:
            _refuse_alone(options, remote)
            path = local
            if local.endswith("/") or os.path.isdir(local):
                path = os.path.join(local, check_local_name(remote.rsplit("/", 1)[-1]))
            alone = ObjectAlone(provider, remote, known, info)
            return plan_transfer(alone, LocalFileAlone(path, known), Direction.DOWNLOAD, options)
    if os.path.lexists(local) and not os.path.isdir(local):
        raise LocalFileError(f"{printable_path(local)!r} is a file; name a folder for the objects under {remote!r}")
    prefix = folder_prefix(remote)
    source = StorePrefix(provider, prefix, known)
    target = LocalFolder(local, known, symlinks=options.symlinks)
    plan = plan_transfer(source, target, Direction.DOWNLOAD, options)
    if not plan.actions and not plan.unchanged and next(source.entries(), None) is None:
        raise ObjectNotFound(
            f"there is nothing at or under {remote!r} in {provider.describe().url}; 'storage list' shows what there is",
            provider=provider.name,
            key=remote,
        )
    return plan


def plan_replication(
    origin: IStorageProvider,
    source_prefix: str,
    provider: IStorageProvider,
    target_prefix: str,
    options: PlanOptions,
    *,
    known: KnownHashes | None = None,
) -> TransferPlan:
    """Plan to copy all objects under `source_prefix` of `origin` to `target_prefix` of another store.

    Raises:
        ObjectNotFound: there is nothing under the prefix.
        PreconditionFailed: more would be deleted than may be.
    """
    known = known or NothingKnown()
    source_root, target_root = folder_prefix(source_prefix), folder_prefix(target_prefix)
    if store_name(origin) == store_name(provider) and (
        source_root.startswith(target_root) or target_root.startswith(source_root)
    ):
        raise InvalidRequest(
            f"{source_prefix!r} and {target_prefix!r} are one place in one store ({origin.describe().url}), or one lies in "
            "the other; name another store, bucket or prefix",
            provider=provider.name,
        )
    source = StorePrefix(origin, source_root, known)
    target = MayBeMissing(StorePrefix(provider, target_root, known))
    plan = plan_transfer(source, target, Direction.REPLICATION, options)
    if not plan.actions and not plan.unchanged and next(source.entries(), None) is None:
        raise ObjectNotFound(
            f"there is nothing under {source_prefix!r} in {origin.describe().url}; 'storage list' shows what there is",
            provider=origin.name,
            key=source_prefix,
        )
    return plan


def compare_sides(
    provider: IStorageProvider,
    local: str,
    remote: str,
    options: PlanOptions,
    *,
    known: KnownHashes | None = None,
) -> TransferPlan:
    """Compare a folder with a prefix, to be looked at: what an upload would do, and what only the store has as deletions.

    Raises:
        LocalFileError: `local` is no folder, or has something in it that can't be stored.
    """
    if not os.path.isdir(local):
        with LocalSource(local):
            raise LocalFileError(f"{printable_path(local)!r} is a file; name a folder and a prefix to compare")
    known = known or NothingKnown()
    source = LocalFolder(local, known, symlinks=options.symlinks)
    target = StorePrefix(provider, folder_prefix(remote), known)
    options = replace(options, delete=True, budget=DeleteBudget(None, None), empty_source=True)
    return plan_transfer(source, target, Direction.UPLOAD, options)


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


def _refuse_alone(options: PlanOptions, name: str) -> None:
    if options.delete:
        raise InvalidRequest(f"{printable_path(name)!r} is one file; --delete is for a folder and a prefix")


def _store_folder(provider: IStorageProvider) -> str | None:
    """The folder of a store that is one on this machine."""
    url = urlsplit(provider.describe().url)
    return unquote(url.path) if url.scheme == "file" else None


def refuse_own_store(provider: IStorageProvider, local: str) -> None:
    """A store that is sent into itself grows without end, and a file laid over an object loses the object's record."""
    store, here = _store_folder(provider), os.path.realpath(local)
    if store and os.path.commonpath([here, store]) == here:
        raise LocalFileError(f"{printable_path(local)!r} holds the store itself ({store}); name the folders beside it")


def refuse_into_store(provider: IStorageProvider, local: str) -> None:
    store, here = _store_folder(provider), os.path.realpath(local)
    if store and os.path.commonpath([here, store]) == store:
        raise LocalFileError(
            f"{printable_path(local)!r} is inside the store itself ({store}); 'storage copy' copies within it"
        )
