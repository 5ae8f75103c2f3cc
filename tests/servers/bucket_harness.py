"""The contract's second door to an S3-compatible server: boto3 with nothing of ours."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError
from plain_client import S3Server, plain_client

from domain.storage import IStorageProvider
from infrastructure.storage.contract import Harness
from infrastructure.storage.storage_factory import StorageProviderFactory


def _because(reason: str, *tests: str) -> dict[str, str]:
    return dict.fromkeys(tests, reason)


def _cases(test: str, *cases: str) -> tuple[str, ...]:
    return tuple(f"{test}[{case}]" for case in cases)


MOTO_GAPS: Mapping[str, str] = _because(
    "moto has no route for a key with a line feed: its answer is Flask's own 404",
    *_cases("test_key_comes_back_as_given", "newline", "newline last"),
    "test_keys_of_several_lines_live_side_by_side",
    "test_any_keys_of_several_lines_come_back",
    "test_prefix_may_hold_a_control_character[line feed]",
)

# Where a listing does not come URL-encoded, as the Spaces profile asks for it.
MOTO_PLAIN_LISTING_GAPS: Mapping[str, str] = _because(
    "moto writes characters into a listing's XML that XML does not have, and a carriage return as it is",
    *_cases("test_key_comes_back_as_given", "control", "control alone", "escape", "noncharacter", "carriage return"),
    "test_awkward_keys_live_side_by_side",
    "test_any_keys_come_back",
    "test_key_with_a_nul_is_kept_or_refused",
    *_cases("test_prefix_may_hold_a_control_character", "control", "return"),
)

MOTO_RACY_GAPS: Mapping[str, str] = _because(
    "moto checks a condition, stores the bytes and adds the metadata in steps between which other requests come, and "
    "closes the file of a replaced object under its reader",
    "test_threads_on_one_key_see_whole_objects",
    "test_threads_see_one_head",
    "test_create_if_absent_has_one_winner",
    "test_replace_if_unchanged_loses_no_update",
)

CEPH_VERSIONED_RACY_GAPS: Mapping[str, str] = _because(
    "RGW answers 404 for a moment where a key of a versioned bucket is overwritten",
    "test_threads_on_one_key_see_whole_objects",
    "test_threads_see_one_head",
)

RCLONE_GAPS: Mapping[str, str] = {
    **_because(
        "rclone's keys are paths of a file system: no empty, `.` or `..` name, none over 255 bytes, no slash at the end, "
        "and `a` is not beside `a/b`",
        *_cases("test_key_comes_back_as_given", "double slash", "triple slash", "leading slash", "two leading slashes"),
        *_cases("test_key_comes_back_as_given", "dot", "dot first", "dot in the middle", "dot last", "two dots"),
        *_cases("test_key_comes_back_as_given", "up first", "up in the middle", "up last", "up far", "trailing slash"),
        *_cases("test_key_comes_back_as_given", "1,024 bytes", "1,024 bytes of three", "1,024 bytes of slashes"),
        *_cases("test_key_comes_back_as_given", "name of 256 bytes", "name of 256 bytes in folders"),
        "test_key_comes_back_as_given[name of 255 characters, more bytes]",
        "test_awkward_keys_live_side_by_side",
        "test_keys_of_several_lines_live_side_by_side",
        "test_key_beside_one_that_continues_it",
        "test_key_finds_its_object_after_its_neighbour_is_gone",
        "test_any_keys_come_back",
        "test_any_keys_of_several_lines_come_back",
        "test_any_sequence_of_calls_agrees_with_the_model",
        "test_exists_for_exactly_this_key",
        "test_listing_is_complete_and_in_byte_order",
        "test_prefix_is_a_raw_string",
        "test_start_after_leaves_out_what_is_not_greater",
        "test_listing_is_what_was_put",
        "test_listing_says_what_head_says",
        "test_listing_has_no_limit",
        "test_listing_while_others_write",
        "test_delete_many_deletes_exactly_the_keys_given",
        "test_delete_many_has_no_limit",
        "test_delete_many_takes_its_own_listing",
        *_cases("test_delete_never_deletes_anything_else", "a//b", ".", "..", "a/..", "a/b/.", "./a/b/c"),
        *_cases("test_copy_means_the_keys_as_given", "a//b-a/b", "a/b-a//b", "a-a/b", "a/b-a", "../x-x"),
        *_cases("test_copy_from_means_the_keys_as_given", "a//b-a/b-True", "?x=1#y-/lead-False", "?x=1#y-/lead-True"),
        "test_threads_on_their_own_keys",
        "test_threads_on_keys_that_continue_each_other",
    ),
    **_because(
        "rclone takes a path of slashes alone for the bucket: PUT makes it, DELETE removes it",
        *_cases("test_key_comes_back_as_given", "slash", "two slashes"),
        "test_copy_means_the_keys_as_given[%2F-/]",
        "test_delete_never_deletes_anything_else[/]",
        "test_delete_of_a_missing_key_succeeds",
    ),
    **_because(
        "rclone answers 500 to the deletion of a folder's name",
        *_cases("test_delete_never_deletes_anything_else", "a", "a/", "a/b", "a/b/"),
    ),
    **_because("rclone adds an `mtime` to the metadata of a copy", "test_copy_keeps_everything"),
    **_because(
        "rclone adds an `mtime` to the metadata of a copy, which is there before it is written anew from bytes that are read",
        "test_copy_from_does_not_whitewash",
    ),
    **_because("rclone takes less than 1,900 bytes of metadata", "test_metadata_has_a_limit"),
    **_because("rclone says of one's own bucket that it is another's", "test_create_bucket_is_idempotent"),
}

RCLONE_RACY_GAPS: Mapping[str, str] = {
    **_because(
        "rclone overwrites in place: bytes, metadata and listing show it half done",
        "test_threads_on_one_key_see_whole_objects",
        "test_threads_see_one_head",
    ),
    **_because(
        "rclone answers 500 where it removes a folder that was emptied while another object is written into it",
        "test_threads_that_write_and_delete_side_by_side",
    ),
}


class BucketHarness(Harness):
    """Gives each test a bucket of its own on a server that is up."""

    examples = 10

    def __init__(
        self,
        server: S3Server,
        provider_type: str,
        settings: Mapping[str, Any],
        *,
        versioned: bool = False,
        known_gaps: Mapping[str, str] | None = None,
        racy_gaps: Mapping[str, str] | None = None,
    ) -> None:
        self._client = _client_of(server)
        self._settings = {"provider_type": provider_type, **settings}
        self._versioned = versioned
        self.known_gaps = known_gaps or {}
        self.racy_gaps = racy_gaps or {}
        self.secrets = (server.secret_key,)

    def provider(self) -> IStorageProvider:
        bucket = f"t-{secrets.token_hex(8)}"
        self._client.create_bucket(Bucket=bucket)
        if self._versioned:
            self._client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        return StorageProviderFactory.create({**self._settings, "bucket_name": bucket})

    def peek(self, provider: IStorageProvider, key: str) -> bytes | None:
        try:
            return self._client.get_object(Bucket=_bucket(provider), Key=key)["Body"].read()
        except ClientError as error:
            # The code may be lost in an answer that is no XML, as moto's is where it repeats a control character.
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise

    def corrupt(self, provider: IStorageProvider, key: str) -> None:
        found = self._client.get_object(Bucket=_bucket(provider), Key=key)
        data = found["Body"].read()
        self._client.put_object(
            Bucket=_bucket(provider),
            Key=key,
            Body=bytes([data[0] ^ 0xFF]) + data[1:],
            ContentType=found["ContentType"],
            Metadata=found["Metadata"],
        )

    def put_behind(self, provider: IStorageProvider, key: str, data: bytes) -> bool:
        self._client.put_object(Bucket=_bucket(provider), Key=key, Body=data)
        return True


# One for each server and process: making a client takes longer than most of the tests' requests.
_client_of = functools.cache(plain_client)


def _bucket(provider: IStorageProvider) -> str:
    bucket = provider.describe().bucket
    assert bucket is not None
    return bucket


def key_pair(server: S3Server) -> dict[str, str]:
    """The credentials of a server as most providers' settings name them."""
    return {"access_key_id": server.access_key, "secret_access_key": server.secret_key}
