"""Large objects in parts: all of one size but the last, a few at a time, and given up as a whole where one fails."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from domain.errors import InvalidRequest, ObjectNotFound, StorageError
from domain.storage import ObjectInfo, Progress, UnfinishedUpload, WriteCondition
from infrastructure.state.locks import Held, try_hold
from infrastructure.storage.s3.attributes import Attributes, plain_etag
from infrastructure.storage.s3.control_plane import ControlPlane
from infrastructure.storage.s3.dialect import Target
from infrastructure.storage.s3.journal import StoredPart, UploadJournal
from infrastructure.storage.s3.retries import Retries
from infrastructure.storage.s3.uploads import Uploads
from infrastructure.storage.s3.wire import Wire

if TYPE_CHECKING:
    from infrastructure.storage.s3.writing import FileContent

WIDTH = 6
"""Parts under way at a time."""

MOST_PARTS = 10_000


class Multipart:
    """Makes objects out of parts in one bucket. Thread-safe.

    Attributes:
        memory: for parts on their way.
    """

    def __init__(
        self,
        target: Target,
        wire: Wire,
        control: Callable[[], ControlPlane],
        retries: Retries,
        head: Callable[[str], ObjectInfo],
    ) -> None:
        self._target = target
        self._uploads = Uploads(target, wire)
        self._control = control
        self._retries = retries
        self._head = head
        self._journal = UploadJournal(target)
        self.memory = wire.memory

    def begin(self, key: str, attributes: Attributes) -> RunningUpload:
        """Begin an upload of what can't be had a second time."""
        upload_id = self._retries(lambda: self._uploads.create(key, attributes))
        self._journal.begun(key, upload_id)
        return RunningUpload(self, key, upload_id, attributes)

    def begin_or_resume(
        self, key: str, content: FileContent, attributes: Attributes, progress: Progress | None = None
    ) -> RunningUpload:
        """Begin to upload a file, or go on with what an earlier run of this machine has stored of the same content.

        Earlier uploads to the same key that are of no use, for the file has changed, are aborted; those of living programs
        are left alone.

        Args:
            progress: called as parts arrive, from the thread that sends them on; the parts that are there count as well.
        """
        described = json.dumps([content.size, content.part_bytes, attributes.headers()], sort_keys=True)
        resumed: RunningUpload | None = None
        for upload_id, of in self._journal.uploads(key):
            held = self._hold(key, upload_id)
            if held is None:
                continue
            try:
                there = self._still_there(key, upload_id, content) if of == described and not resumed else None
                if there is None:
                    self._free(key, upload_id)
            except BaseException:
                held.release()
                raise
            if there is None:
                held.release()
            else:
                resumed = RunningUpload(self, key, upload_id, attributes, progress, held=held, there=there)
        if resumed:
            return resumed
        upload_id = self._retries(lambda: self._uploads.create(key, attributes))
        held = self._hold(key, upload_id)  # before it stands in the journal, where others see it
        self._journal.begun(key, upload_id, described if held else "")
        return RunningUpload(self, key, upload_id, attributes, progress, held=held)

    def _hold(self, key: str, upload_id: str) -> Held | None:
        try:
            return try_hold("\0".join((self._target.endpoint_url, self._target.bucket, key, upload_id)))
        except OSError:  # who can't tell whether it is held goes on with none
            return None

    def _still_there(self, key: str, upload_id: str, content: FileContent) -> dict[int, StoredPart] | None:
        """The parts of an upload that need not be sent again; None where the store does not tell, or has no such upload."""
        noted = {
            part.number: part
            for part in self._journal.parts(key, upload_id)
            if 0 < part.number <= len(content.part_hashes) and part.sha256 == content.part_hashes[part.number - 1]
        }
        try:
            stored: dict[int, tuple[int, str]] = {}
            after: int | None = 0
            while after is not None:
                page, after = self._retries(lambda after=after: self._uploads.stored_parts(key, upload_id, after))  # type: ignore[misc]
                stored |= page
        except StorageError as error:
            if error.retryable:
                raise
            return None
        return {
            number: part
            for number, part in noted.items()
            if stored.get(number) == (part.size, plain_etag(part.etag)) and part.size == content.part_length(number)
        }

    def unfinished(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """What the store lists, and what it lists only when asked for a whole key that this machine remembers."""
        seen: set[str] = set()
        for upload in self._retries(lambda: list(self._control().unfinished_uploads(prefix))):
            seen.add(upload.key)
            yield upload
        for key in self._journal.keys(prefix):
            if key not in seen:
                for upload in self._retries(lambda key=key: list(self._control().unfinished_uploads(key))):  # type: ignore[misc]
                    if upload.key == key:
                        yield upload

    def abort(self, upload: UnfinishedUpload) -> None:
        """Give up an upload of anybody's."""
        self._retries(lambda: self._uploads.abort(upload.key, upload.upload_id))
        self._journal.ended(upload.key, upload.upload_id)

    # -- for running uploads

    def send(self, upload: RunningUpload, number: int, piece: bytes, sha256: str | None) -> tuple[StoredPart, bool]:
        """Send a part; what is stored, and whether a later run knows of it."""
        etag = self._retries(lambda: self._uploads.send_part(upload.key, upload.upload_id, number, piece, sha256))
        part = StoredPart(number, len(piece), etag, sha256 or "")
        return part, upload.resumable and self._journal.stored(upload.key, upload.upload_id, part)

    def complete(
        self, upload: RunningUpload, parts: list[tuple[int, str]], condition: WriteCondition | None, size: int
    ) -> ObjectInfo:
        """Put the object in its place; the object as the store then tells of it."""
        try:
            self._retries(lambda: self._uploads.complete(upload.key, upload.upload_id, parts, condition))
        except ObjectNotFound:
            # The answer to an earlier try may have been lost on its way: the upload is gone because it is complete.
            if condition is not None or not self._is_there(upload, size):
                raise
        self._journal.ended(upload.key, upload.upload_id)
        # Some stores answer without an ETag; and so it is known that the object can be seen.
        return self._retries(lambda: self._head(upload.key))

    def give_up(self, upload: RunningUpload) -> None:
        """Free the parts; where that fails they stay in the journal, and in the list of unfinished uploads."""
        self._free(upload.key, upload.upload_id)

    def _free(self, key: str, upload_id: str) -> None:
        with suppress(StorageError):
            self._uploads.abort(key, upload_id)
            self._journal.ended(key, upload_id)

    def _is_there(self, upload: RunningUpload, size: int) -> bool:
        try:
            info = self._retries(lambda: self._head(upload.key))
        except ObjectNotFound:
            return False
        return (info.size, info.sha256 or "") == (size, upload.attributes.sha256)


class RunningUpload:
    """An upload whose parts are being sent, a few at a time; for one thread, which feeds it.

    Args:
        held: keeps other programs from going on with it; without it none ever does.
        there: the parts that the store has from an earlier run, by number.

    Attributes:
        upload_id: the store's name for it.
        there: as given.
        resumable: a later run may go on with it.
    """

    def __init__(
        self,
        multipart: Multipart,
        key: str,
        upload_id: str,
        attributes: Attributes,
        progress: Progress | None = None,
        *,
        held: Held | None = None,
        there: Mapping[int, StoredPart] | None = None,
    ) -> None:
        self.key = key
        self.upload_id = upload_id
        self.attributes = attributes
        self.there = there or {}
        self.resumable = held is not None
        self._multipart = multipart
        self._progress = progress
        self._held = held
        self._pool = ThreadPoolExecutor(WIDTH, thread_name_prefix="lading-s3")
        self._waiting: deque[Future[tuple[StoredPart, bool]]] = deque()
        self._parts: list[tuple[int, str]] = []
        self._number = 0
        self._size = 0
        self._noted = bool(self.there)

    def send(self, piece: bytes, sha256: str | None = None) -> None:
        """Send the next part that is not there, all of one size of at least 5 MiB but the last; waits where enough are under way.

        Args:
            sha256: as `Wire.send`.

        Raises:
            StorageError: this part or an earlier one can't be sent.
        """
        self._pass_over()
        if len(self._waiting) == WIDTH:
            self._take()
        self._number += 1
        if self._number > MOST_PARTS:
            raise InvalidRequest(
                f"{self.key!r} would have more than {MOST_PARTS:,} parts; set a larger multipart_chunksize",
                key=self.key,
            )
        memory, size = self._multipart.memory, len(piece)
        memory.acquire(size)  # so the next part is not read before there is room for this one
        sending = self._pool.submit(self._multipart.send, self, self._number, piece, sha256)
        sending.add_done_callback(lambda _: memory.release(size))
        self._waiting.append(sending)

    def complete(self, condition: WriteCondition | None = None) -> ObjectInfo:
        """Wait for the parts and put the object in its place."""
        self._pass_over()
        while self._waiting:
            self._take()
        self._pool.shutdown()
        info = self._multipart.complete(self, sorted(self._parts), condition, self._size)
        self._let_go()
        return info

    def abort(self) -> None:
        """Give up: nothing becomes visible, and the parts are freed."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._multipart.give_up(self)
        self._let_go()

    def keep(self) -> bool:
        """End it here, for a later run to go on; whether there is something to go on with. What has nothing is aborted."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        while self._waiting:
            with suppress(StorageError, CancelledError):
                self._noted |= self._waiting.popleft().result()[1]
        if self._noted:
            self._let_go()
        else:
            self.abort()
        return self._noted

    def _pass_over(self) -> None:
        while part := self.there.get(self._number + 1):
            self._number += 1
            self._count(part)

    def _take(self) -> None:
        part, noted = self._waiting.popleft().result()
        self._noted |= noted
        self._count(part)

    def _count(self, part: StoredPart) -> None:
        self._parts.append((part.number, part.etag))
        self._size += part.size
        if self._progress:
            self._progress(part.size)

    def _let_go(self) -> None:
        if self._held:
            self._held.release()
