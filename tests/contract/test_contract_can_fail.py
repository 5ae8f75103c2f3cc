"""The contract goes red: each promise broken here on purpose is noticed by the test that is named for it."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from domain.errors import ContentCorrupted, ObjectNotFound, PreconditionFailed, StorageError
from domain.keys import check_key
from domain.local_files import check_content
from domain.storage import IStorageProvider
from infrastructure.storage.contract import Harness, StorageProviderContract
from infrastructure.storage.providers.memory_provider import MemoryProvider


class UnsortedListing(MemoryProvider):
    def list_objects(self, prefix: str = "", *, start_after: str = "") -> Iterator[Any]:
        yield from reversed(list(super().list_objects(prefix, start_after=start_after)))


class PathOrderedListing(MemoryProvider):
    def list_objects(self, prefix: str = "", *, start_after: str = "") -> Iterator[Any]:
        found = super().list_objects(prefix, start_after=start_after)
        yield from sorted(found, key=lambda info: info.key.split("/"))


class PrefixIsAFolder(MemoryProvider):
    def list_objects(self, prefix: str = "", *, start_after: str = "") -> Iterator[Any]:
        folder = f"{prefix.rstrip('/')}/" if prefix else ""
        yield from super().list_objects(folder, start_after=start_after)


class StartAfterIncluded(MemoryProvider):
    def list_objects(self, prefix: str = "", *, start_after: str = "") -> Iterator[Any]:
        for info in super().list_objects(prefix):
            if info.key >= start_after:
                yield info


class OnePage(MemoryProvider):
    def list_objects(self, prefix: str = "", *, start_after: str = "") -> Iterator[Any]:
        for _, info in zip(range(1000), super().list_objects(prefix, start_after=start_after), strict=False):
            yield info


class EmptyListingOfAMissingBucket(MemoryProvider):
    def list_objects(self, prefix: str = "", *, start_after: str = "") -> Iterator[Any]:
        if self._bucket in self._server.buckets:
            yield from super().list_objects(prefix, start_after=start_after)


class ConditionSwallowed(MemoryProvider):
    def _publish(self, data: Any, info: Any, condition: Any) -> Any:
        try:
            return super()._publish(data, info, condition)
        except PreconditionFailed:
            return self.head(info.key)


class ConditionDropped(MemoryProvider):
    def open_writer(self, key: str, *, condition: Any = None, **rest: Any) -> Any:
        return super().open_writer(key, **rest)


class ConditionEmulated(MemoryProvider):
    """The look and the write are two steps: right for one writer, wrong for two."""

    def _publish(self, data: Any, info: Any, condition: Any) -> Any:
        if condition:
            there = self.head(info.key).etag if self.exists(info.key) else None
            if there != condition.if_match:
                raise PreconditionFailed("not as expected", provider=self.name, key=info.key)
            with self._server.lock:
                pass
            _let_others_run()
        return super()._publish(data, info, None)


class UnsupportedConditionIgnored(MemoryProvider):
    def check_condition(self, condition: Any) -> None:
        pass


class PublishesOnException(MemoryProvider):
    def open_writer(self, *args: Any, **rest: Any) -> Any:
        writer = super().open_writer(*args, **rest)
        writer.abort = writer.commit  # type: ignore[method-assign]
        return writer


class PublishesEarly(MemoryProvider):
    def open_writer(self, key: str, **rest: Any) -> Any:
        writer = super().open_writer(key, **rest)
        self.put_bytes(key, b"") if "condition" not in rest else None
        return writer

    def put_bytes(self, key: str, data: Any, **rest: Any) -> Any:
        with super().open_writer(key, **rest) as writer:
            writer.write(data)
        return writer.info


class NoVerification(MemoryProvider):
    def open_reader(self, *args: Any, **rest: Any) -> Any:
        reader = super().open_reader(*args, **rest)
        reader._check = None
        return reader


class RangeIncludesItsStop(MemoryProvider):
    def get_bytes(self, key: str, *, byte_range: Any = None, if_match: str | None = None) -> bytes:
        data = super().get_bytes(key, if_match=if_match)
        return data if byte_range is None else data[byte_range.start : (byte_range.stop or len(data)) + 1]


class EmptyRangePastTheEnd(MemoryProvider):
    def open_reader(self, key: str, *, byte_range: Any = None, if_match: str | None = None) -> Any:
        if byte_range and byte_range.start >= self.get_file_size(key):
            byte_range = None
        return super().open_reader(key, byte_range=byte_range, if_match=if_match)


class MetadataInLowerCase(MemoryProvider):
    def _publish(self, data: Any, info: Any, condition: Any) -> Any:
        lowered = {name: value.lower() for name, value in info.metadata.items()}
        return super()._publish(data, info._replace(metadata=lowered), condition)


class MetadataMerged(MemoryProvider):
    def _publish(self, data: Any, info: Any, condition: Any) -> Any:
        before = self.head(info.key).metadata if self.exists(info.key) else {}
        return super()._publish(data, info._replace(metadata={**(before or {}), **info.metadata}), condition)


class HashOfSomethingElse(MemoryProvider):
    def head(self, key: str) -> Any:
        return super().head(key)._replace(sha256="0" * 64)


class EtagOfSize(MemoryProvider):
    def _publish(self, data: Any, info: Any, condition: Any) -> Any:
        published = super()._publish(data, info, condition)
        same = published._replace(etag=str(len(data)))
        objects = self._server.buckets[self._bucket]
        objects[info.key] = objects[info.key]._replace(info=same)
        return same


class NaiveTime(MemoryProvider):
    def head(self, key: str) -> Any:
        info = super().head(key)
        return info._replace(last_modified=info.last_modified.replace(tzinfo=None))


class KeysAsPaths(MemoryProvider):
    """Takes `a//b` for `a/b`, as a file system does."""

    def open_writer(self, key: str, **rest: Any) -> Any:
        return super().open_writer(_as_path(key), **rest)

    def _stored(self, key: str) -> Any:
        return super()._stored(_as_path(key))


class KeysOfAnyLength(MemoryProvider):
    def delete(self, remote_path: str) -> None:
        self._objects().pop(remote_path, None)


class DeletesAsAFolder(MemoryProvider):
    def delete(self, remote_path: str) -> None:
        check_key(remote_path, provider=self.name)
        for key in [key for key in self._objects() if key == remote_path or key.startswith(f"{remote_path}/")]:
            super().delete(key)


class MissingDeleteFails(MemoryProvider):
    def delete(self, remote_path: str) -> None:
        self.head(remote_path)
        super().delete(remote_path)


class DeleteManyStops(MemoryProvider):
    def delete_many(self, keys: Any) -> list[StorageError]:
        for key in keys:
            try:
                self.delete(key)
            except StorageError as error:
                return [error]
        return []


class DeleteManyHoardsKeys(MemoryProvider):
    def delete_many(self, keys: Any) -> list[StorageError]:
        return super().delete_many(list(keys))


class HeadManyHidesTheMissing(MemoryProvider):
    def head_many(self, keys: Any) -> Iterator[Any]:  # type: ignore[override]
        return ((key, info) for key, info in super().head_many(keys) if not isinstance(info, StorageError))


class HeadManyHoardsKeys(MemoryProvider):
    def head_many(self, keys: Any) -> Iterator[Any]:  # type: ignore[override]
        return super().head_many(list(keys))


class CopyLosesTheType(MemoryProvider):
    def copy(self, source: str, destination: str, *, condition: Any = None) -> Any:
        return self.put_bytes(destination, self.get_bytes(source), condition=condition)


class CopyFromLosesTheType(MemoryProvider):
    def copy_from(self, origin: Any, source: str, destination: str, *, if_match: Any = None, **rest: Any) -> Any:
        return self.put_bytes(destination, origin.get_bytes(source, if_match=if_match))


class CopyFromWhateverIsThere(MemoryProvider):
    def copy_from(self, origin: Any, source: str, destination: str, **rest: Any) -> Any:
        return super().copy_from(origin, source, destination)


class CopyFromBelievesTheReader(MemoryProvider):
    def copy_from(self, origin: Any, source: str, destination: str, **rest: Any) -> Any:
        with origin.open_reader(source) as reader, self.open_writer_of_copy(reader.info, destination) as writer:
            writer.write(reader.read())
        return writer.info


class CopyFromPublishesWhatCame(MemoryProvider):
    def copy_from(self, origin: Any, source: str, destination: str, **rest: Any) -> Any:
        with origin.open_reader(source) as reader:
            parts: list[bytes] = []
            try:
                while part := reader.read(1 << 20):
                    parts.append(part)
            finally:
                self.put_bytes(destination, b"".join(parts))


class MissingIsEmpty(MemoryProvider):
    def get_bytes(self, key: str, **rest: Any) -> bytes:
        try:
            return super().get_bytes(key, **rest)
        except ObjectNotFound:
            return b""


class AnonymousErrors(MemoryProvider):
    def head(self, key: str) -> Any:
        try:
            return super().head(key)
        except ObjectNotFound as error:
            raise ObjectNotFound(error.message) from error


class DownloadInPlace(MemoryProvider):
    def download(self, remote_path: str, local_path: str, *, progress: Any = None, **rest: Any) -> Any:
        data, info = self._stored(remote_path)
        with open(local_path, "wb") as file:
            for start in range(0, len(data), 1 << 20):
                file.write(data[start : start + (1 << 20)])
                file.flush()
                if progress:
                    progress(len(data[start : start + (1 << 20)]))
        return info


class UploadOfWhateverIsThere(MemoryProvider):
    def upload(
        self,
        local_path: str,
        remote_path: str,
        metadata: Any = None,
        *,
        progress: Any = None,
        sha256: Any = None,
        **rest: Any,
    ) -> Any:
        parts = []
        with open(local_path, "rb") as file:
            while part := file.read(1 << 20):
                parts.append(part)
                if progress:
                    progress(len(part))
        return self.put_bytes(remote_path, b"".join(parts), metadata=metadata, **rest)


class UploadOfAnySha256(MemoryProvider):
    def upload(self, *args: Any, sha256: Any = None, **rest: Any) -> Any:
        return super().upload(*args, **rest)


class UploadOfAnySha256IsTold(MemoryProvider):
    """Says that the file has changed, once it is published."""

    def upload(self, *args: Any, sha256: Any = None, **rest: Any) -> Any:
        info = super().upload(*args, **rest)
        check_content(args[0], info.sha256 or "", sha256)
        return info


class DownloadOfAnyContent(MemoryProvider):
    def download(self, *args: Any, content: Any = None, **rest: Any) -> Any:
        return super().download(*args, **rest)


class DownloadBelievesTheStoredHash(MemoryProvider):
    def download(self, remote_path: str, *args: Any, content: Any = None, **rest: Any) -> Any:
        return super().download(
            remote_path, *args, content=None if content and content.algorithm != "sha256" else content, **rest
        )


class DownloadBelievesTheCaller(MemoryProvider):
    """Verifies what it is told, and no longer what is stored."""

    def open_reader(self, *args: Any, **rest: Any) -> Any:
        reader = super().open_reader(*args, **rest)
        reader.info = reader.info._replace(sha256=None)
        return reader


class CorruptWithoutHashes(MemoryProvider):
    def open_reader(self, *args: Any, **rest: Any) -> Any:
        reader = super().open_reader(*args, **rest)
        read = reader.read

        def anonymous(size: int = -1) -> bytes:
            try:
                return bytes(read(size))
            except ContentCorrupted as error:
                raise ContentCorrupted(error.message, provider=error.provider, key=error.key) from error

        reader.read = anonymous  # type: ignore[method-assign]
        return reader


class ConditionOfManyDropped(MemoryProvider):
    def put_many(self, objects: Any, metadata: Any = None, *, condition: Any = None, **rest: Any) -> Iterator[Any]:  # type: ignore[override]
        return super().put_many(objects, metadata, **rest)

    def upload_many(self, files: Any, metadata: Any = None, *, condition: Any = None, **rest: Any) -> Iterator[Any]:  # type: ignore[override]
        return super().upload_many(files, metadata, **rest)


class ConditionOfManyLooksFirst(MemoryProvider):
    def put_many(self, objects: Any, metadata: Any = None, *, condition: Any = None, **rest: Any) -> Iterator[Any]:  # type: ignore[override]
        for key, data in objects:
            there = self.exists(key)
            _let_others_run()
            if condition and there:
                yield key, PreconditionFailed("it is there", provider=self.name, key=key)
            else:
                yield key, self.put_bytes(key, data, metadata=metadata, **rest)


class PutManyHoardsObjects(MemoryProvider):
    def put_many(self, objects: Any, *args: Any, **rest: Any) -> Iterator[Any]:  # type: ignore[override]
        return super().put_many(list(objects), *args, **rest)


class PutManyOfEachKeyOnce(MemoryProvider):
    def put_many(self, objects: Any, *args: Any, **rest: Any) -> Iterator[Any]:  # type: ignore[override]
        return super().put_many(dict(objects).items(), *args, **rest)


class GetManyStops(MemoryProvider):
    def get_many(self, keys: Any) -> Iterator[Any]:  # type: ignore[override]
        for key in keys:
            yield key, self.get_bytes(key)


class GetManyOfAnything(MemoryProvider):
    def get_many(self, keys: Any) -> Iterator[Any]:  # type: ignore[override]
        for key in keys:
            try:
                yield key, self._stored(key).data
            except StorageError as error:
                yield key, error


class RenamedArguments(MemoryProvider):
    def exists(self, key: str) -> bool:  # type: ignore[override]
        return super().exists(key)


class TornWrites(MemoryProvider):
    """Changes what is known of an object first, and its bytes a moment later."""

    def put_bytes(self, key: str, data: Any, **rest: Any) -> Any:
        objects = self._server.buckets[self._bucket]
        before = objects.get(key)
        info = super().put_bytes(key, data, **rest)
        if before:
            objects[key] = objects[key]._replace(data=before.data)
            _let_others_run()
            objects[key] = objects[key]._replace(data=bytes(data))
        return info


_BROKEN: list[tuple[type[MemoryProvider], str, Mapping[str, Any]]] = [
    (UnsortedListing, "test_listing_is_complete_and_in_byte_order", {}),
    (PathOrderedListing, "test_listing_is_complete_and_in_byte_order", {}),
    (PrefixIsAFolder, "test_prefix_is_a_raw_string", {"prefix": "c"}),
    (PrefixIsAFolder, "test_list_files_is_a_list_of_keys", {}),
    (StartAfterIncluded, "test_start_after_leaves_out_what_is_not_greater", {"prefix": ""}),
    (OnePage, "test_listing_has_no_limit", {}),
    (EmptyListingOfAMissingBucket, "test_missing_bucket_is_an_error_of_its_own", {"name": "list_files"}),
    (ConditionSwallowed, "test_create_if_absent_leaves_what_is_there", {"write": "put_bytes"}),
    (ConditionSwallowed, "test_create_if_absent_has_one_winner", {}),
    (ConditionDropped, "test_replace_if_unchanged_leaves_a_changed_object", {"write": "open_writer"}),
    (ConditionEmulated, "test_replace_if_unchanged_loses_no_update", {}),
    (ConditionEmulated, "test_create_if_absent_has_one_winner", {}),
    (PublishesOnException, "test_writer_that_is_not_committed_publishes_nothing", {"ending": "exception"}),
    (PublishesOnException, "test_writer_that_is_not_committed_publishes_nothing", {"ending": "dropped"}),
    (PublishesEarly, "test_writer_shows_nothing_before_the_commit", {}),
    (NoVerification, "test_get_bytes_returns_nothing_corrupt", {"size": 5000}),
    (NoVerification, "test_reader_raises_at_the_end", {}),
    (NoVerification, "test_download_of_a_corrupt_object_leaves_no_file", {"size": 5000}),
    (RangeIncludesItsStop, "test_range_is_a_slice", {}),
    (EmptyRangePastTheEnd, "test_range_past_the_end_is_an_error", {"size": 10, "start": 10}),
    (MetadataInLowerCase, "test_metadata_value_is_any_text", {"name": "accents"}),
    (MetadataInLowerCase, "test_metadata_comes_back", {}),
    (MetadataMerged, "test_metadata_is_replaced_by_the_next_write", {"later": None}),
    (HashOfSomethingElse, "test_sha256_is_kept", {"size": 1}),
    (EtagOfSize, "test_etag_is_another_one_whenever_the_content_changes", {}),
    (NaiveTime, "test_last_modified_is_aware_utc_and_recent", {}),
    (KeysAsPaths, "test_key_comes_back_as_given", {"name": "double slash"}),
    (KeysAsPaths, "test_awkward_keys_live_side_by_side", {"order": "as listed"}),
    (KeysAsPaths, "test_any_sequence_of_calls_agrees_with_the_model", {}),
    (KeysOfAnyLength, "test_what_is_no_key_is_refused", {"method": "delete", "kind": "1,025 bytes"}),
    (DeletesAsAFolder, "test_delete_never_deletes_anything_else", {"key": "a"}),
    (DeletesAsAFolder, "test_key_beside_one_that_continues_it", {"writing": ("a", "a/b", "a/b/c")}),
    (MissingDeleteFails, "test_delete_of_a_missing_key_succeeds", {}),
    (DeleteManyStops, "test_delete_many_goes_on_after_a_failure", {}),
    (DeleteManyHoardsKeys, "test_delete_many_does_not_hold_the_keys", {}),
    (HeadManyHidesTheMissing, "test_a_missing_one_of_many_is_object_not_found", {}),
    (HeadManyHoardsKeys, "test_thousands_are_looked_at_one_is_taken_when_it_is_needed", {}),
    (CopyLosesTheType, "test_copy_keeps_everything", {"size": 5000}),
    (CopyFromLosesTheType, "test_copy_from_another_store_keeps_everything", {"size": 0}),
    (CopyFromLosesTheType, "test_copy_from_another_bucket_keeps_everything", {"size": 5000}),
    (CopyFromWhateverIsThere, "test_copy_from_if_match", {"within": True}),
    (CopyFromWhateverIsThere, "test_copy_from_tells_its_progress", {"within": False}),
    (
        CopyFromBelievesTheReader,
        "test_copy_from_publishes_nothing_corrupt",
        {"size": 5000, "verifies": False, "destination": "b"},
    ),
    (CopyFromPublishesWhatCame, "test_copy_from_that_breaks_off_publishes_nothing", {"destination": "new"}),
    (MissingIsEmpty, "test_missing_key_is_object_not_found", {"name": "get_bytes"}),
    (AnonymousErrors, "test_missing_key_is_object_not_found", {"name": "head"}),
    (DownloadInPlace, "test_download_replaces_in_one_step", {}),
    (DownloadInPlace, "test_download_that_fails_leaves_the_old_file", {}),
    (UploadOfWhateverIsThere, "test_upload_of_a_changing_file_publishes_nothing", {"change": "grows"}),
    (UploadOfWhateverIsThere, "test_upload_of_no_regular_file_is_a_local_file_error", {"kind": "missing"}),
    (UploadOfAnySha256, "test_upload_of_another_sha256_publishes_nothing", {"size": 5000}),
    (UploadOfAnySha256, "test_one_of_many_files_with_another_sha256_is_not_stored", {}),
    (UploadOfAnySha256IsTold, "test_upload_of_another_sha256_publishes_nothing", {"size": 0}),
    (DownloadOfAnyContent, "test_download_of_other_content_leaves_the_file", {"size": 5000, "algorithm": "sha256"}),
    (DownloadOfAnyContent, "test_one_of_many_objects_with_other_content_is_no_file", {"algorithm": "sha256"}),
    (DownloadOfAnyContent, "test_download_by_an_unknown_algorithm_is_refused", {"algorithm": "crc32"}),
    (DownloadBelievesTheStoredHash, "test_download_of_other_content_leaves_the_file", {"size": 0, "algorithm": "md5"}),
    (
        DownloadBelievesTheStoredHash,
        "test_download_of_an_object_without_a_hash_is_verified_by_its_content",
        {"algorithm": "md5"},
    ),
    (DownloadBelievesTheCaller, "test_download_is_verified_by_what_is_stored_too", {"size": 5000}),
    (CorruptWithoutHashes, "test_get_bytes_returns_nothing_corrupt", {"size": 5000}),
    (ConditionOfManyDropped, "test_each_of_many_is_created_where_it_is_absent", {"way": "put_many"}),
    (ConditionOfManyDropped, "test_each_of_many_is_created_where_it_is_absent", {"way": "upload_many"}),
    (ConditionOfManyDropped, "test_each_of_many_is_replaced_where_it_is_unchanged", {"way": "upload_many"}),
    (ConditionOfManyLooksFirst, "test_each_of_many_has_one_winner", {}),
    (PutManyHoardsObjects, "test_many_objects_are_taken_one_by_one_as_they_are_needed", {"size": 5}),
    (PutManyOfEachKeyOnce, "test_a_key_may_come_twice", {}),
    (GetManyStops, "test_what_can_not_be_read_stops_none_of_many", {}),
    (GetManyOfAnything, "test_what_can_not_be_read_stops_none_of_many", {}),
    (RenamedArguments, "test_the_nine_methods_have_their_names_and_positions", {"method": "exists"}),
    (TornWrites, "test_threads_on_one_key_see_whole_objects", {}),
]


@pytest.mark.parametrize(("broken", "test", "case"), _BROKEN, ids=lambda value: getattr(value, "__name__", None))
def test_broken_promise_is_noticed(
    memory_harness: Callable[..., Harness],
    tmp_path: Path,
    broken: type[MemoryProvider],
    test: str,
    case: Mapping[str, Any],
) -> None:
    """The test passes on the provider as it is, and fails on the one that breaks its promise."""
    (tmp_path / "sound").mkdir()
    _run(memory_harness(), tmp_path / "sound", test, case)
    (tmp_path / "broken").mkdir()
    with pytest.raises((AssertionError, StorageError, OSError, pytest.fail.Exception)):
        _run(memory_harness(broken), tmp_path / "broken", test, case)


def test_ignored_missing_capability_is_noticed(memory_harness: Callable[..., Harness], tmp_path: Path) -> None:
    """A provider that declares no conditions, and takes them all the same, is caught: nothing is skipped."""
    without = {"create_if_absent": False, "replace_if_unchanged": False}
    for test, case in (
        ("test_create_if_absent_creates", {"write": "put_bytes"}),
        ("test_replace_if_unchanged_replaces", {"write": "copy"}),
        ("test_unsupported_condition_is_refused_before_any_byte", {}),
        ("test_check_condition_follows_the_capabilities", {}),
    ):
        _run(memory_harness(**without), tmp_path, test, case)
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            _run(memory_harness(UnsupportedConditionIgnored, **without), tmp_path, test, case)


def test_every_broken_provider_is_used() -> None:
    """A broken provider that no row names would prove nothing."""
    used = {broken for broken, _, _ in _BROKEN} | {UnsupportedConditionIgnored}
    assert {kind for kind in MemoryProvider.__subclasses__() if kind.__module__ == __name__} == used


def test_promise_can_not_be_muted() -> None:
    """A subclass can't override a test, in its body or by another base, nor mark the class away."""
    with pytest.raises(TypeError, match="known_gaps"):
        type("Muted", (StorageProviderContract,), {"test_connect_is_idempotent": lambda self: None})
    other = type("Other", (), {"test_connect_is_idempotent": None})
    with pytest.raises(TypeError, match="known_gaps"):
        type("Muted", (other, StorageProviderContract), {})
    with pytest.raises(TypeError, match="known_gaps"):
        type("Muted", (StorageProviderContract,), {"known_gap": None})
    for mark in (pytest.mark.skip, pytest.mark.xfail(reason="late"), [pytest.mark.skipif(True, reason="late")]):
        with pytest.raises(TypeError, match="known_gaps"):
            type("Muted", (StorageProviderContract,), {"pytestmark": mark})


def test_subclass_may_add_tests() -> None:
    """What a provider promises beyond the port stands beside the contract's own tests."""
    added = type("Added", (StorageProviderContract,), {"test_of_my_own": lambda self: None})
    assert StorageProviderContract.promises < {name for name in dir(added) if name.startswith("test_")}


_GAPS = """
import pytest
from infrastructure.storage.contract import Harness, StorageProviderContract
from infrastructure.storage.providers.memory_provider import MemoryProvider

class Mine(MemoryProvider):
    def exists(self, remote_path):
        return True

class MyHarness(Harness):
    known_gaps = {
        "test_exists_for_exactly_this_key": "it says yes to everything",
        "test_connect_is_idempotent": "closed since",
        "test_get_file_size_is_in_bytes[1]": "closed since, one case of it",
        "test_of_nothing": "misspelt",
    }
    def provider(self):
        return Mine({})
    def peek(self, provider, key):
        return None
    def corrupt(self, provider, key):
        raise NotImplementedError

class TestMine(StorageProviderContract):
    @pytest.fixture
    def harness(self):
        return MyHarness()
"""


_SOME = " or ".join(("exists_for", "missing_key_is", "connect_is", "get_file_size", "known_gaps"))


def test_known_gap_must_fail(tmp_path: Path) -> None:
    """`Harness.known_gaps`: the test is run and must fail; one that passes, or that there is not, is a failure."""
    (tmp_path / "test_mine.py").write_text(_GAPS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-rA",
            "--tb=no",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "-k",
            _SOME,
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTEST_ADDOPTS": "", "COLUMNS": "500"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    outcomes = dict(reversed(line.split(" - ")[0].split("test_mine.py::TestMine::")) for line in _summary(done.stdout))
    expected = {
        "test_exists_for_exactly_this_key": "XFAIL ",
        "test_missing_key_is_object_not_found[head]": "PASSED ",
        "test_connect_is_idempotent": "FAILED ",
        "test_get_file_size_is_in_bytes[0]": "PASSED ",
        "test_get_file_size_is_in_bytes[1]": "FAILED ",
        "test_known_gaps_name_tests_of_the_contract": "FAILED ",
    }
    assert {name: outcomes.get(name) for name in expected} == expected, done.stdout[-2000:]


def _summary(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith(("PASSED ", "FAILED ", "XFAIL "))]


def _run(harness: Harness, folder: Path, test: str, case: Mapping[str, Any]) -> None:
    """Call one test of the contract with what pytest would give it."""
    method = getattr(StorageProviderContract(), test)
    offered: dict[str, Any] = {"harness": harness, "tmp_path": folder, **case}
    provider: IStorageProvider = harness.provider()
    offered["provider"] = provider
    wanted = inspect.signature(method).parameters
    method(**{name: value for name, value in offered.items() if name in wanted})


def _as_path(key: str) -> str:
    return "/".join(name for name in key.split("/") if name) or key


def _let_others_run() -> None:
    time.sleep(0.002)
