"""Large objects in parts: all of one size but the last, a few at a time, and given up as a whole where one fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from domain.errors import InvalidRequest, ObjectNotFound, StorageError
from domain.storage import ObjectInfo, Progress, UnfinishedUpload, WriteCondition
from infrastructure.storage.s3.attributes import Attributes
from infrastructure.storage.s3.control_plane import ControlPlane
from infrastructure.storage.s3.dialect import Target
from infrastructure.storage.s3.journal import UploadJournal
from infrastructure.storage.s3.parallel import in_order
from infrastructure.storage.s3.retries import Retries
from infrastructure.storage.s3.uploads import Uploads
from infrastructure.storage.s3.wire import Wire

WIDTH = 6
"""Parts under way at a time."""

MOST_PARTS = 10_000


class Multipart:
    """Makes objects out of parts in one bucket. Thread-safe."""

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

    def begin(self, key: str, attributes: Attributes, progress: Progress | None = None) -> RunningUpload:
        """Begin an upload.

        Args:
            progress: called as parts arrive, from the thread that sends them on.
        """
        upload_id = self._retries(lambda: self._uploads.create(key, attributes))
        self._journal.begun(key, upload_id)
        return RunningUpload(self, key, upload_id, attributes, progress)

    def copy(self, source: ObjectInfo, destination: str, attributes: Attributes) -> ObjectInfo:
        """Copy an object of any size within the store, in parts."""
        upload = self.begin(destination, attributes)
        # A copied part is moved by the store: it may be as large as the store takes it.
        step = max(self._target.part_size(source.size), 512 << 20)

        def copying() -> Iterator[Callable[[], tuple[int, str]]]:
            for number, start in enumerate(range(0, source.size, step), 1):
                stop = min(start + step, source.size)
                yield lambda number=number, start=start, stop=stop: (  # type: ignore[misc]
                    number,
                    self._retries(
                        lambda: self._control().copy_part(
                            source.key, source.etag, destination, upload.upload_id, number, start, stop
                        )
                    ),
                )

        try:
            parts = list(in_order(copying(), WIDTH))
            return self.complete(upload, parts, None, source.size)
        except BaseException:
            upload.abort()
            raise

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

    def send(self, upload: RunningUpload, number: int, piece: bytes, sha256: str | None) -> tuple[int, int, str]:
        """Send a part; its number, size and ETag."""
        etag = self._retries(lambda: self._uploads.send_part(upload.key, upload.upload_id, number, piece, sha256))
        return number, len(piece), etag

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
        with suppress(StorageError):
            self._uploads.abort(upload.key, upload.upload_id)
            self._journal.ended(upload.key, upload.upload_id)

    def _is_there(self, upload: RunningUpload, size: int) -> bool:
        try:
            info = self._retries(lambda: self._head(upload.key))
        except ObjectNotFound:
            return False
        return (info.size, info.sha256 or "") == (size, upload.attributes.sha256)


class RunningUpload:
    """An upload whose parts are being sent, a few at a time; for one thread, which feeds it.

    Attributes:
        upload_id: the store's name for it.
    """

    def __init__(
        self, multipart: Multipart, key: str, upload_id: str, attributes: Attributes, progress: Progress | None
    ) -> None:
        self.key = key
        self.upload_id = upload_id
        self.attributes = attributes
        self._multipart = multipart
        self._progress = progress
        self._pool = ThreadPoolExecutor(WIDTH, thread_name_prefix="lading-s3")
        self._waiting: deque[Future[tuple[int, int, str]]] = deque()
        self._parts: list[tuple[int, str]] = []
        self._sent = 0
        self._size = 0

    def send(self, piece: bytes, sha256: str | None = None) -> None:
        """Send the next part, all of one size of at least 5 MiB but the last; waits where enough are under way.

        Args:
            sha256: as `Wire.send`.

        Raises:
            StorageError: this part or an earlier one can't be sent.
        """
        if len(self._waiting) == WIDTH:
            self._take()
        self._sent += 1
        if self._sent > MOST_PARTS:
            raise InvalidRequest(
                f"{self.key!r} would have more than {MOST_PARTS:,} parts; set a larger multipart_chunksize",
                key=self.key,
            )
        self._waiting.append(self._pool.submit(self._multipart.send, self, self._sent, piece, sha256))

    def complete(self, condition: WriteCondition | None = None) -> ObjectInfo:
        """Wait for the parts and put the object in its place."""
        while self._waiting:
            self._take()
        self._pool.shutdown()
        return self._multipart.complete(self, self._parts, condition, self._size)

    def abort(self) -> None:
        """Give up: nothing becomes visible, and the parts are freed."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._multipart.give_up(self)

    def _take(self) -> None:
        number, length, etag = self._waiting.popleft().result()
        self._parts.append((number, etag))
        self._size += length
        if self._progress:
            self._progress(length)
