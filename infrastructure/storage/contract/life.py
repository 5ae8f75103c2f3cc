"""Promises of a provider's life: its methods' names, connecting, describing, buckets, signing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from domain.errors import BucketNotFound, UnsupportedOperation
from domain.storage import Capabilities, IStorageProvider, StorageLocation, WriteCondition
from infrastructure.storage.contract.group import PromiseGroup, listed, refusal, unused_bucket_name
from infrastructure.storage.contract.harness import Harness
from infrastructure.storage.providers.memory_provider import MemoryProvider

# The nine methods that callers wrote against before there was this port: names and positions are fixed.
_NINE = {
    "connect": [],
    "disconnect": [],
    "upload": ["local_path", "remote_path", "metadata"],
    "download": ["remote_path", "local_path"],
    "exists": ["remote_path"],
    "delete": ["remote_path"],
    "list_files": ["prefix"],
    "get_file_size": ["remote_path"],
    "get_metadata": ["remote_path"],
}

_MISSING = "never-made-bucket"


def _elsewhere() -> IStorageProvider:
    """Another store, with an object `a`."""
    other = MemoryProvider({})
    other.put_bytes("a", b"data")
    return other


Call = Callable[[IStorageProvider, Path], object]
_CALLS: Mapping[str, Call] = {
    "connect": lambda provider, folder: provider.connect(),
    "head": lambda provider, folder: provider.head("a"),
    "open_reader": lambda provider, folder: provider.open_reader("a"),
    "get_bytes": lambda provider, folder: provider.get_bytes("a"),
    "download": lambda provider, folder: provider.download("a", str(folder / "download")),
    "exists": lambda provider, folder: provider.exists("a"),
    "get_file_size": lambda provider, folder: provider.get_file_size("a"),
    "get_metadata": lambda provider, folder: provider.get_metadata("a"),
    "list_objects": lambda provider, folder: next(provider.list_objects(), None),
    "list_objects with prefix": lambda provider, folder: next(provider.list_objects("a/", start_after="a/b"), None),
    "list_files": lambda provider, folder: provider.list_files(),
    "open_writer": lambda provider, folder: provider.open_writer("a").commit(),
    "put_bytes": lambda provider, folder: provider.put_bytes("a", b"data"),
    "upload": lambda provider, folder: provider.upload(str(folder / "upload"), "a"),
    "copy": lambda provider, folder: provider.copy("a", "b"),
    "copy onto itself": lambda provider, folder: provider.copy("a", "a"),
    "copy_from": lambda provider, folder: provider.copy_from(_elsewhere(), "a", "b"),
    "copy_from within": lambda provider, folder: provider.copy_from(provider, "a", "b"),
    "delete": lambda provider, folder: provider.delete("a"),
    "delete_many": lambda provider, folder: provider.delete_many(["a", "b"]),
}


class Life(PromiseGroup):
    """What holds before the first object is written."""

    @pytest.mark.parametrize("method", sorted(_NINE))
    def test_the_nine_methods_have_their_names_and_positions(self, provider: IStorageProvider, method: str) -> None:
        """The port: names and positional order of its nine first methods."""
        parameters = inspect.signature(getattr(provider, method)).parameters.values()
        positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        required = [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
        assert positional == _NINE[method]
        assert required == [name for name in _NINE[method] if name not in {"metadata", "prefix"}]

    def test_known_gaps_name_tests_of_the_contract(self, harness: Harness) -> None:
        """`Harness.known_gaps`: a gap that no test looks for would go unseen when it closes."""
        names = {name for name in dir(self) if name.startswith("test_")}
        gaps = {**harness.known_gaps, **harness.racy_gaps}
        unknown = [gap for gap in gaps if gap.partition("[")[0] not in names]
        assert unknown == []
        assert all(reason.strip() for reason in gaps.values())

    def test_connect_is_idempotent(self, provider: IStorageProvider) -> None:
        """`connect`: idempotent."""
        provider.connect()
        provider.put_bytes("a", b"data")
        provider.connect()
        assert provider.get_bytes("a") == b"data"

    def test_other_methods_work_without_connect(self, harness: Harness) -> None:
        """`connect`: other methods work without it."""
        provider = harness.provider()
        provider.put_bytes("a", b"data")
        assert provider.list_files() == ["a"]
        provider.disconnect()

    def test_disconnect_is_idempotent_and_not_the_end(self, provider: IStorageProvider) -> None:
        """`disconnect`: idempotent; the next call of another method takes the resources again."""
        provider.disconnect()
        provider.put_bytes("a", b"data")
        provider.disconnect()
        provider.disconnect()
        assert provider.get_bytes("a") == b"data"
        provider.connect()
        assert provider.put_bytes("a", b"other").size == 5

    def test_with_block_connects_and_disconnects(self, provider: IStorageProvider) -> None:
        """`__enter__` gives the provider itself; after the block it is usable still, and an error passes through."""
        with provider as entered:
            assert entered is provider
            provider.put_bytes("a", b"data")
        with pytest.raises(KeyError), provider:
            raise KeyError
        assert provider.get_bytes("a") == b"data"

    def test_capabilities_are_declared(self, provider: IStorageProvider) -> None:
        """`capabilities`: what this bucket can do; the same answer every time."""
        assert isinstance(provider.capabilities, Capabilities)
        assert provider.capabilities == provider.capabilities

    def test_describe_says_where(self, provider: IStorageProvider) -> None:
        """`describe`: the provider's name as in the factory and in errors, and a URL for a person."""
        place = provider.describe()
        assert isinstance(place, StorageLocation)
        assert place.provider == provider.name
        assert provider.name == provider.name.strip().lower() != ""
        assert ":" in place.url

    def test_no_secret_is_shown(self, harness: Harness, provider: IStorageProvider, tmp_path: Path) -> None:
        """No secret in any message, `repr` or `describe()`."""
        shown = [repr(provider), str(provider), repr(provider.describe())]
        for name, call in _CALLS.items():
            if name not in {"connect", "upload"}:
                try:
                    call(provider, tmp_path)
                except Exception as error:
                    shown += [str(error), repr(error), repr(error.__cause__)]
        assert [secret for secret in harness.secrets if any(secret in text for text in shown)] == []

    @pytest.mark.parametrize("name", sorted(_CALLS))
    def test_missing_bucket_is_an_error_of_its_own(self, provider: IStorageProvider, tmp_path: Path, name: str) -> None:
        """A missing bucket is `BucketNotFound`, never `ObjectNotFound` and never an empty answer."""
        (tmp_path / "upload").write_bytes(b"data")
        if provider.capabilities.buckets:
            missing = provider.for_bucket(_MISSING)
            error = refusal(BucketNotFound, lambda: _CALLS[name](missing, tmp_path))
            assert error.provider == provider.name
            assert not (tmp_path / "download").exists()
        else:
            refusal(UnsupportedOperation, lambda: provider.for_bucket(_MISSING))

    def test_missing_bucket_is_not_made_by_a_write(self, provider: IStorageProvider) -> None:
        """A missing bucket stays missing: only `create_bucket` makes one."""
        if provider.capabilities.buckets:
            missing = provider.for_bucket(_MISSING)
            refusal(BucketNotFound, lambda: missing.put_bytes("a", b"data"))
            refusal(BucketNotFound, missing.connect)
        else:
            refusal(UnsupportedOperation, lambda: provider.for_bucket(_MISSING))

    def test_create_bucket_is_idempotent(self, provider: IStorageProvider) -> None:
        """`create_bucket`: makes a missing bucket, succeeds where it is there and leaves what is in it."""
        if provider.capabilities.buckets:
            other = provider.for_bucket(unused_bucket_name())
            other.create_bucket()
            other.put_bytes("a", b"data")
            other.create_bucket()
            assert other.get_bytes("a") == b"data"
        else:
            refusal(UnsupportedOperation, provider.create_bucket)

    def test_buckets_are_apart(self, provider: IStorageProvider) -> None:
        """`for_bucket`: the same store, another bucket; nothing of the one shows in the other."""
        if not provider.capabilities.buckets:
            error = refusal(UnsupportedOperation, lambda: provider.for_bucket("another-bucket"))
            assert error.provider == provider.name
            return
        name = unused_bucket_name()
        other = provider.for_bucket(name)
        other.create_bucket()
        provider.put_bytes("a", b"here")
        other.put_bytes("a", b"there")
        other.put_bytes("b", b"there")
        assert (listed(provider), listed(other)) == (["a"], ["a", "b"])
        other.delete("a")
        assert provider.get_bytes("a") == b"here"
        assert other.describe() != provider.describe()
        assert other.describe().bucket == name
        assert other.for_bucket(name).list_files() == ["b"]

    @pytest.mark.parametrize("method", ["GET", "PUT"])
    def test_presign(self, provider: IStorageProvider, method: str) -> None:
        """`presign`: a URL where it is a capability, `UnsupportedOperation` where it is not."""
        provider.put_bytes("a", b"data")
        if provider.capabilities.presign:
            url = provider.presign("a", method=method, expires_in=60)
            assert url.startswith(("https://", "http://"))
        else:
            error = refusal(UnsupportedOperation, lambda: provider.presign("a", method=method, expires_in=60))
            assert error.provider == provider.name

    def test_check_condition_follows_the_capabilities(self, provider: IStorageProvider) -> None:
        """`check_condition`: refuses exactly the conditions that are not among the capabilities."""
        can = provider.capabilities
        for condition, able in (
            (None, True),
            (WriteCondition.absent(), can.create_if_absent),
            (WriteCondition.unchanged("some-etag"), can.replace_if_unchanged),
        ):
            try:
                provider.check_condition(condition)
                refused = False
            except UnsupportedOperation:
                refused = True
            assert refused is not able
