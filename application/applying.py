"""Carrying out a plan: each file by itself, whole or not at all, so that it can be stopped anywhere and run again.

What is deleted goes to the trash, and last: only once everything that was to be moved is where it should be.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from application.interruption import Interruption
from application.learning import Learning
from application.local_tree import state_of
from application.worker_processes import Outcome, Stored, WorkerDied, in_processes, worth_processes
from application.worker_threads import in_threads
from domain.errors import (
    AccessDenied,
    BucketNotFound,
    ConfigurationError,
    InsufficientStorage,
    InvalidRequest,
    PreconditionFailed,
    StorageError,
    StoreUnavailable,
    UnsupportedOperation,
)
from domain.known_hashes import KnownHashes
from domain.local_files import sweep_parts
from domain.many_files import moves_many_at_once, sha256_of
from domain.storage import IStorageProvider, ObjectInfo, WriteCondition
from domain.transfer import Direction, TransferAction, TransferObserver, TransferPlan, TransferReport
from domain.trash import Trashed

if TYPE_CHECKING:
    from application.cached_downloads import Downloads
    from application.trash import Trash, TrashBatch

_SENT_AT_ONCE_BYTES = 1 << 20
"""No provider sends so little in parts."""

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


def apply(
    provider: IStorageProvider,
    plan: TransferPlan,
    *,
    observer: TransferObserver | None = None,
    content_type: str | None = None,
    metadata: Mapping[str, str] | None = None,
    condition: WriteCondition | None = None,
    by_content: bool = False,
    origin: IStorageProvider | None = None,
    downloads: Downloads | None = None,
    known: KnownHashes | None = None,
    trash: Trash | None = None,
    why: str = "",
) -> TransferReport:
    """Carry out a plan.

    One file's failure does not stop the others, unless the next would fail as well (a full disk, a store that is away).
    An interrupt lets the files under way end or vanish; none is left half-written. Does not raise for either: the
    report says it.

    Args:
        content_type, metadata, condition: for every object of an upload.
        by_content: the keys of an upload are addresses of contents: an object that is there is as good as one that is sent.
        origin: the store that a replication reads.
        downloads: what stands before the provider where files are fetched.
        known: where to keep what is learnt of contents.
        trash: where to put what is replaced or deleted, if the plan says so.
        why: what the trash's record is to say.

    Raises:
        StorageError: the trash can't be opened; nothing was done.
    """
    application = _Application(provider, plan, observer, origin, downloads or provider, by_content=by_content)
    application.learning = Learning(provider, plan, known, origin) if known and plan.path_root else None
    report = application.report
    try:
        batch = _opened(trash, plan, why)
        if batch:
            report.trash_id = batch.id
            application.back_up(batch)
        if not report.stopped_by:
            application.move_all(content_type, metadata, condition)
        if batch and not report.failures and not report.stopped_by and not report.interrupted:
            application.delete(batch)
    except KeyboardInterrupt:
        report.interrupted = True
    finally:
        if application.learning:
            application.learning.keep()
    return report


def _opened(trash: Trash | None, plan: TransferPlan, why: str) -> TrashBatch | None:
    entries = [*_replaced(plan), *_deleted(plan)]
    if not entries:
        return None
    if trash is None:
        raise ValueError("a plan that deletes needs a trash")
    return trash.open(why, entries)


def _replaced(plan: TransferPlan) -> Iterator[Trashed]:
    """What the plan replaces, as the trash is to keep it."""
    if plan.backup:
        for action in plan.actions:
            if action.target:
                name = action.path[len(plan.folder) :] if plan.direction is Direction.DOWNLOAD else action.key
                yield Trashed(name, int(action.size), action.target, replaced=True)


def _deleted(plan: TransferPlan) -> Iterator[Trashed]:
    start = len(plan.folder) if plan.direction is Direction.DOWNLOAD else 0
    for deletion in plan.deletions:
        yield Trashed(deletion.name[start:], deletion.size, deletion.state)


class _Application:
    """One plan being carried out."""

    def __init__(
        self,
        provider: IStorageProvider,
        plan: TransferPlan,
        observer: TransferObserver | None,
        origin: IStorageProvider | None,
        downloads: Downloads,
        *,
        by_content: bool,
    ) -> None:
        self.report = TransferReport()
        self.learning: Learning | None = None
        self._provider = provider
        self._plan = plan
        self._observer = observer
        self._origin = origin
        self._downloads = downloads
        self._by_content = by_content
        self._interruption = Interruption()
        self._processes = 1

    # -- the trash

    def back_up(self, batch: TrashBatch) -> None:
        """Copy what will be replaced to the trash; nothing is moved where that can't be done."""
        try:
            for trashed, error in batch.put(_replaced(self._plan)):
                if error:
                    self.report.stopped_by = StorageError(
                        f"{trashed.name!r} can't be kept in the trash ({error.message}); nothing was replaced",
                        provider=error.provider,
                        key=trashed.name,
                    )
                    return
        except StorageError as error:
            self.report.stopped_by = error

    def delete(self, batch: TrashBatch) -> None:
        """Move what the source does not have to the trash."""
        try:
            for trashed, error in batch.put(_deleted(self._plan)):
                if error is None:
                    self.report.deleted += 1
                else:
                    self.report.failures.append(
                        (TransferAction(trashed.name, trashed.name, trashed.size, "not at the source"), error)
                    )
        except StorageError as error:
            self.report.stopped_by = error

    # -- files

    def move_all(
        self, content_type: str | None, metadata: Mapping[str, str] | None, condition: WriteCondition | None
    ) -> None:
        """Move every file of the plan."""
        provider, plan, actions = self._provider, self._plan, self._plan.actions
        upload = plan.direction is Direction.UPLOAD

        def moved(action: TransferAction, progress: Callable[[int], None]) -> ObjectInfo:
            if self._origin is not None:
                return provider.copy_from(
                    self._origin, action.path, action.key, if_match=action.source or None, progress=progress
                )
            if upload:
                return provider.upload(
                    action.path,
                    action.key,
                    metadata,
                    content_type=content_type,
                    condition=self._absent(action.size) if self._by_content else condition,
                    progress=progress,
                    sha256=sha256_of(action.content),
                )
            return self._downloads.download(action.key, action.path, progress=progress, content=action.content)

        def move(action: TransferAction) -> Stored:
            # From another process the bytes are told with the files that they make up.
            observer = self._observer if self._processes == 1 else None
            if observer:
                observer.started(action)

            def progress(size: int) -> None:
                self._interruption.check()
                if observer:
                    observer.moved(action, size)

            return self._stored(action, moved(action, progress))

        def move_many(actions: Iterable[TransferAction]) -> Iterator[tuple[TransferAction, Stored | StorageError]]:
            moving = (
                provider.upload_many(
                    actions,
                    metadata,
                    content_type=content_type,
                    condition=self._absent(0) if self._by_content else condition,
                )
                if upload
                else self._downloads.download_many(actions)
            )
            for action, result in moving:
                if isinstance(result, StorageError):
                    yield action, result
                    continue
                if self._observer:
                    self._observer.moved(action, action.size)
                yield action, self._stored(action, result)

        if plan.direction is Direction.DOWNLOAD:
            for folder in {os.path.dirname(action.path) for action in actions}:
                sweep_parts(folder)
        if provider.capabilities.fork_safe and (self._origin is None or self._origin.capabilities.fork_safe):
            self._processes = worth_processes(actions)
        remote = provider.capabilities.remote or (self._origin is not None and self._origin.capabilities.remote)
        many = self._origin is None and moves_many_at_once(provider)
        try:
            if self._processes > 1:
                in_processes(actions, self._processes, move, provider.disconnect, self._done)
            else:
                with self._interruption:
                    if remote and len(actions) > 1:
                        in_threads(actions, move, self._done, self._interruption, move_many=move_many if many else None)
                    else:
                        self._one_by_one(actions, move)
        except WorkerDied as died:
            if hasattr(died, "__notes__"):
                raise  # not killed: an error of ours, which is to be seen
            self.report.stopped_by = StorageError(f"a worker process died ({died}); run this again to go on")

    def _absent(self, size: int) -> WriteCondition | None:
        """The condition for content of this size. Where it can't be had, the same content twice does no harm."""
        can = self._provider.capabilities
        if can.create_if_absent and (can.create_if_absent_multipart or size <= _SENT_AT_ONCE_BYTES):
            return WriteCondition.absent()
        return None

    def _stored(self, action: TransferAction, info: ObjectInfo) -> Stored:
        state = ""
        if self.learning is not None:
            if self._origin is not None:
                state = action.source
            else:
                with suppress(OSError):
                    state = state_of(os.stat(action.path))
        return Stored(info.etag, info.sha256 or "", state)

    def _done(self, outcome: Outcome) -> bool:
        report, observer = self.report, self._observer
        for action, result in outcome.results:
            error = result if isinstance(result, StorageError) else None
            if self._by_content and isinstance(error, PreconditionFailed):
                error = None
                report.done += 1
                report.existing.append(action)
            elif not isinstance(result, StorageError):
                report.done += 1
                report.moved += action.size
                report.replaced += bool(action.target)
                if self.learning is not None:
                    self.learning.learn(action, result)
            elif isinstance(result, _POINTLESS):
                report.stopped_by = report.stopped_by or result
            else:
                report.failures.append((action, result))
            if observer:
                if self._processes > 1 and error is None:
                    observer.moved(action, action.size)
                observer.finished(action, error)
        return report.stopped_by is None

    def _one_by_one(self, actions: Sequence[TransferAction], move: Callable[[TransferAction], Stored]) -> None:
        for action in actions:
            self._interruption.check()
            result: Stored | StorageError
            try:
                result = move(action)
            except StorageError as error:
                result = error
            if not self._done(Outcome([(action, result)])):
                return
