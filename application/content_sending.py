"""Contents of files on their way to the DVC store: those alone that it does not have, or does not have well."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext

from application.applying import apply
from application.content_addressed_storage import OCTETS, SMALL_BYTES
from application.dataset_store import DatasetStore
from application.digesting import Digested
from application.garbage.leases import Lease
from application.verification import verify_contents
from application.version_files import plan_of_contents
from domain.content import DVC_MD5
from domain.datasets import DatasetVersion
from domain.errors import ContentCorrupted, ObjectNotFound, StorageError, UnsupportedOperation
from domain.keys import shortened
from domain.manifests import FileEntry
from domain.transfer import TransferAction, TransferObserver, TransferPlan, TransferReport

Shown = Callable[[TransferPlan], AbstractContextManager[TransferObserver | None]]
"""Shows a transfer while its block goes on."""


def unseen(plan: TransferPlan) -> AbstractContextManager[None]:
    """Shows nothing."""
    return nullcontext()


def send_contents(
    store: DatasetStore,
    folder: str,
    digested: Iterable[Digested],
    bases: Iterable[DatasetVersion],
    lease: Lease,
    shown: Shown,
    *,
    recheck: bool,
) -> tuple[int, int]:
    """Send what is missing; how many contents that were, and how many bytes.

    Args:
        folder: what the files are below.
        bases: versions whose contents are there.
        lease: held since before anything was looked for.
        recheck: read what is there.

    Raises:
        UnsupportedOperation: two files have one MD5 and different contents.
        StorageError: some could not be sent.
    """
    return _Sending(store, os.path.join(folder, ""), lease, shown).send(digested, bases, recheck=recheck)


class _Sending:
    def __init__(self, store: DatasetStore, folder: str, lease: Lease, shown: Shown) -> None:
        self._store = store
        self._folder = folder
        self._lease = lease
        self._shown = shown

    def send(self, digested: Iterable[Digested], bases: Iterable[DatasetVersion], *, recheck: bool) -> tuple[int, int]:
        store = self._store
        there = self._contents_of(bases) if store.deduplicate else {}
        wanted: dict[bytes, Digested] = {}
        for each in digested:
            md5, sha256 = _digits(each.entry)
            first = wanted.setdefault(md5, each)
            if sha256 not in {_digits(first.entry)[1], b""} or there.get(md5, sha256) not in {sha256, b""}:
                raise _collision(each.entry)
        missing = {md5: each for md5, each in wanted.items() if md5 not in there}
        if not store.deduplicate:
            report = self._apply(missing.values(), by_content=False)
            return report.done, report.moved
        # What is small is sent over a network on the condition that it is not there; for all else it takes less to ask first.
        conditional = store.content.capabilities.create_if_absent and store.content.capabilities.remote
        asked = [each for each in missing.values() if recheck or not conditional or each.entry.size > SMALL_BYTES]
        wrong = []
        for each, is_good in self._examined(asked, read=recheck):
            del missing[_digits(each.entry)[0]]
            if not is_good:
                wrong.append(each)
        report = self._apply(missing.values(), by_content=True)
        sent, sent_bytes = report.done - len(report.existing), report.moved
        by_key = {store.dvc_store.key(each.entry.md5): each for each in missing.values()} if report.existing else {}
        existing = [by_key[action.key] for action in report.existing]
        wrong += [each for each, is_good in self._examined(existing, read=False) if not is_good]
        report = self._apply(wrong, by_content=False)
        return sent + report.done, sent_bytes + report.moved

    def _contents_of(self, bases: Iterable[DatasetVersion]) -> dict[bytes, bytes]:
        """MD5 and SHA-256 of what these versions have; the table of one that is damaged tells nothing."""
        found: dict[bytes, bytes] = {}
        for base in bases:
            try:
                found |= map(_digits, self._store.files(base))
            except ContentCorrupted:
                continue
        return found

    def _examined(self, wanted: Iterable[Digested], *, read: bool) -> Iterator[tuple[Digested, bool]]:
        """Of these the ones that have an object at their address, and whether it can be their content.

        Args:
            read: whether to read it, instead of believing what the store says.
        """
        store = self._store
        by_key = {store.dvc_store.key(each.entry.md5): each for each in wanted}
        good: list[str] = []
        for key, info in store.content.head_many(by_key):
            self._lease.renewed()
            entry = by_key[key].entry
            if isinstance(info, ObjectNotFound):
                continue
            if isinstance(info, StorageError):
                raise info
            if info.size != entry.size:
                yield by_key[key], False
            elif info.sha256 in {None, entry.sha256}:
                good.append(key)
            else:
                self._refuse_collision(entry)
                yield by_key[key], False
        if not read:
            yield from ((by_key[key], True) for key in good)
            return
        contents = ((key, by_key[key].entry.content) for key in good)
        for checked in verify_contents(store.content, contents):
            self._lease.renewed()
            if checked.error and not isinstance(checked.error, ContentCorrupted | ObjectNotFound):
                raise checked.error
            if not isinstance(checked.error, ObjectNotFound):
                yield by_key[checked.key], checked.error is None

    def _refuse_collision(self, entry: FileEntry) -> None:
        """Refuse where the object, which has another SHA-256 beside it, really has the MD5 of its address."""
        try:
            self._store.dvc_store.verify(entry.md5)
        except (ContentCorrupted, ObjectNotFound):
            return
        raise _collision(entry)

    def _apply(self, wanted: Iterable[Digested], *, by_content: bool) -> TransferReport:
        store = self._store
        plan = plan_of_contents(self._folder, store.dvc_prefix, wanted)
        if not plan.actions:
            return TransferReport()
        with self._shown(plan) as observer:
            report = apply(
                store.content,
                plan,
                observer=_Renewing(self._lease, observer),
                by_content=by_content,
                content_type=OCTETS,
            )
        report.raise_failure("no version was made: run this again, and it goes on with what is missing")
        return report


class _Renewing:
    """Keeps a lease while files are moved, and passes on what it hears."""

    def __init__(self, lease: Lease, observer: TransferObserver | None) -> None:
        self._lease = lease
        self._observer = observer

    def started(self, action: TransferAction) -> None:
        if self._observer:
            self._observer.started(action)

    def moved(self, action: TransferAction, size: int) -> None:
        self._lease.renewed()
        if self._observer:
            self._observer.moved(action, size)

    def finished(self, action: TransferAction, error: StorageError | None) -> None:
        if self._observer:
            self._observer.finished(action, error)


def _digits(entry: FileEntry) -> tuple[bytes, bytes]:
    return bytes.fromhex(entry.md5), bytes.fromhex(entry.sha256)


def _collision(entry: FileEntry) -> UnsupportedOperation:
    return UnsupportedOperation(
        f"{shortened(entry.name)!r} has the {DVC_MD5.algorithm.upper()} of another file ({entry.md5}) and a different content: "
        "DVC's layout can't keep both, and no version was made"
    )
