"""Objects written: from memory, from a file, or from a stream whose length nobody knows."""

from __future__ import annotations

import hashlib
import os
import tempfile
import uuid
from collections.abc import Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from domain.content import ContentHash
from domain.errors import ContentCorrupted, StorageError
from domain.keys import shortened
from domain.local_files import CHUNK_BYTES, LocalSource, local_error
from domain.storage import ObjectInfo, WriteCondition
from domain.streams import ObjectWriter
from infrastructure.storage.s3.attributes import Attributes

if TYPE_CHECKING:
    from infrastructure.storage.s3.engine import S3Engine
    from infrastructure.storage.s3.multipart import RunningUpload

TEMPORARY = "temp/"
"""Under which keys a stream is kept until its end is known; a lifecycle rule may empty it."""


class FileContent:
    """A local file's bytes, read twice: once for the hash that has to be sent ahead, and once to be sent.

    Args:
        part_bytes: the size of the parts that it is sent in, or None for one that is sent as a whole. The parts' own hashes
            are computed beside the other, on another core.

    Attributes:
        size: bytes.
        sha256: hex digits.
        part_bytes: as given.
        part_hashes: the SHA-256 of each part, in hex digits; none where there are no parts.
    """

    def __init__(self, source: LocalSource, part_bytes: int | None = None) -> None:
        self._source = source
        self.part_bytes = part_bytes
        self.part_hashes: list[str] = []
        self.size = source.size
        whole, taken = hashlib.sha256(usedforsecurity=False), 0
        with ThreadPoolExecutor(1, thread_name_prefix="lading-s3") as beside:
            for start in range(0, self.size, part_bytes or self.size):
                part = hashlib.sha256(usedforsecurity=False)
                stop = min(start + (part_bytes or self.size), self.size)
                while taken < stop and (piece := source.read_at(taken, min(CHUNK_BYTES, stop - taken))):
                    hashed = beside.submit(part.update, piece) if part_bytes else None
                    whole.update(piece)
                    taken += len(piece)
                    if hashed:
                        hashed.result()
                if part_bytes:
                    self.part_hashes.append(part.hexdigest())
        source.check_unchanged(taken)
        self.sha256 = whole.hexdigest()

    def part_length(self, number: int) -> int:
        """Bytes of the part with this number, from 1 on."""
        size = self.part_bytes or self.size
        return min(size, self.size - (number - 1) * size)

    def parts(self, without: Container[int] = ()) -> Iterator[tuple[bytes, str]]:
        """The parts, each with its SHA-256 from the first reading, with which it is to be signed.

        Args:
            without: the numbers, from 1 on, of parts that are not wanted, and not read.

        Raises:
            LocalFileError: the file has changed. A change that leaves no trace is met by the store, which compares the hashes.
        """
        size = self.part_bytes or self.size
        for number, sha256 in enumerate(self.part_hashes, 1):
            if number in without:
                continue
            start = (number - 1) * size
            piece = self._source.read_at(start, size)
            if number == len(self.part_hashes) or len(piece) < size:
                self._source.check_unchanged(start + len(piece))
            yield piece, sha256
        self._source.check_unchanged(self.size)

    def check_unchanged(self) -> None:
        """Read it all once more.

        Raises:
            LocalFileError: the bytes are not those of the first time.
        """
        for _ in self.pieces(CHUNK_BYTES):
            pass

    def pieces(self, size: int) -> Iterator[bytes]:
        """The bytes once more, in pieces of `size` but the last; that one only if all are still those hashed before.

        Raises:
            LocalFileError: the file has changed; the last piece is not given, so nobody can take this for the whole.
        """
        digest, taken = hashlib.sha256(usedforsecurity=False), 0
        for piece in self._read(size):
            digest.update(piece)
            taken += len(piece)
            if taken >= self.size:
                self._source.check_unchanged(taken, same=digest.hexdigest() == self.sha256)
            yield piece
        self._source.check_unchanged(taken)

    def _read(self, size: int) -> Iterator[bytes]:
        at = 0
        while piece := self._source.read_at(at, size):
            at += len(piece)
            yield piece


class S3Writer(ObjectWriter):
    """A stream that becomes an object: in one request where it fits into one part, else in parts as they fill.

    The SHA-256 has to be named when an upload begins, and is known at its end. So the parts become an object under
    `temp/`, which the store then copies to its place with the hash, without moving bytes through here. A conditional write is
    kept in a temporary file instead, for a copy can't be conditional everywhere. What is copied from elsewhere, with a hash
    that is known there, goes to its place at once.

    Args:
        original: the object of which this becomes a copy.
    """

    def __init__(
        self,
        engine: S3Engine,
        key: str,
        content_type: str,
        metadata: dict[str, str],
        condition: WriteCondition | None,
        *,
        original: ObjectInfo | None = None,
    ) -> None:
        super().__init__()
        self._engine = engine
        self._pid = os.getpid()
        self._key = key
        self._content_type = content_type
        self._metadata = metadata
        self._condition = condition
        self._part_bytes = engine.target.part_size(original.size) if original else engine.target.part_bytes
        self._known = original.sha256 if original else None
        self._buffer = bytearray()
        self._upload: TemporaryUpload | RunningUpload | None = None
        self._file: IO[bytes] | None = None

    def _append(self, data: memoryview) -> None:
        self._buffer += data
        while len(self._buffer) > self._part_bytes:
            piece = bytes(self._buffer[: self._part_bytes])
            del self._buffer[: self._part_bytes]
            self._pass_on(piece)

    def _pass_on(self, piece: bytes) -> None:
        if self._condition is not None:
            self._keep(piece)
            return
        if self._upload is None:
            self._upload = self._begin()
        self._upload.send(piece)

    def _begin(self) -> TemporaryUpload | RunningUpload:
        if not self._known:
            return TemporaryUpload(self._engine, self._key)
        attributes = Attributes(self._content_type, self._metadata, self._known)
        return self._engine.asked(lambda: self._engine.multipart.begin(self._key, attributes))

    def _keep(self, piece: bytes) -> None:
        try:
            if self._file is None:
                self._file = tempfile.NamedTemporaryFile(prefix="lading-")  # noqa: SIM115 - it is closed with the writer
            self._file.write(piece)
        except OSError as error:
            raise local_error(error, tempfile.gettempdir(), "write") from error

    def _publish(self, size: int, sha256: str) -> ObjectInfo:
        if self._known not in {None, sha256}:
            raise ContentCorrupted(
                f"what was to become {shortened(self._key)!r} is not what it was said to be: its SHA-256 is {sha256[:12]}…, "
                f"not {(self._known or '')[:12]}…; nothing was written",
                provider=self._engine.target.provider,
                key=self._key,
                expected=ContentHash("sha256", self._known or ""),
                actual=ContentHash("sha256", sha256),
            )
        attributes = Attributes(self._content_type, self._metadata, sha256)
        if self._file is not None:
            self._keep(bytes(self._buffer))
            try:
                self._file.flush()
                with LocalSource(self._file.name) as source:
                    return self._engine.put_file(
                        self._key, self._engine.content_of(source), attributes, self._condition
                    )
            finally:
                self._file.close()
        if self._upload is not None:
            self._upload.send(bytes(self._buffer))
            if isinstance(self._upload, TemporaryUpload):
                return self._upload.move(attributes)
            return self._upload.complete()
        return self._engine.put(self._key, bytes(self._buffer), attributes, self._condition)

    def _discard(self) -> None:
        self._buffer.clear()
        if self._file is not None:
            self._file.close()
        if self._upload is not None and self._pid == os.getpid():
            self._upload.abort()


class TemporaryUpload:
    """An object under `temp/` that grows part by part, and moves to its place when it is whole."""

    def __init__(self, engine: S3Engine, destination: str) -> None:
        self._engine = engine
        self._destination = destination
        self._key = TEMPORARY + uuid.uuid4().hex
        self._whole = False
        with self._errors():
            self._upload = engine.asked(
                lambda: engine.multipart.begin(self._key, Attributes("application/octet-stream", {}, ""))
            )

    def send(self, piece: bytes) -> None:
        """Send the next part; waits where enough are under way."""
        with self._errors():
            self._upload.send(piece)

    def move(self, attributes: Attributes) -> ObjectInfo:
        """End the upload and put the object in its place."""
        with self._errors():
            temporary = self._upload.complete()
            self._whole = True
            try:
                return self._engine.copy_as(temporary, self._destination, attributes)
            finally:
                self.abort()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        # The caller knows nothing of the temporary key.
        try:
            yield
        except StorageError as error:
            if error.key != self._key:
                raise
            message = error.message.replace(shortened(self._key), shortened(self._destination))
            raise type(error)(message, provider=error.provider, key=self._destination) from error

    def abort(self) -> None:
        """Remove what was stored; a failure leaves it to whoever empties `temp/`."""
        try:
            if self._whole:
                self._engine.delete(self._key)
            else:
                self._upload.abort()
        except StorageError:
            pass
