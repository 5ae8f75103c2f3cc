"""Promises of `list_objects` and `list_files`."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import strategies as st

from domain.storage import IStorageProvider
from infrastructure.storage.contract.group import PromiseGroup, emptied, for_all, listed
from infrastructure.storage.contract.harness import Harness

# Where order by UTF-8 bytes differs from order by path, by UTF-16, without case, or by a language's alphabet.
_NAMES = (
    "+", "-", "0", "00", "1", "10", "2", "A", "B", "Z", "_", "a", "a b", "a!", "a-", "a-b", "a.b", "a/", "a//", "a/-",
    "a/b", "a/b-c", "a/b/c", "a/b0", "a0", "ab", "b", "c", "cc/0", "cc/1", "cd", "z", "~", "e\u0301", "é", "ö", "Ω",
    "日本", "\uff5e", "🔭", "🔭/a",
)  # fmt: skip
_SORTED = sorted(_NAMES, key=str.encode)

_PREFIXES = (
    "", "a", "a/", "a//", "a/b", "a/b/", "a/b/c", "a/b/c/", "b", "c", "cc", "cc/", "c/", "/", ".", "..", "../", "./",
    ".lading", ".lading/", ".lading/keys/", "e", "é", "missing", "a/b/c/d/e", "A", "🔭", "%", "x" * 300, "x" * 300 + "/",
    "y" * 1024,
)  # fmt: skip
_PREFIXED = (
    "+", "-", "0", "A", "a", "a b", "a-", "a/", "a//", "a/b", "a/b-c", "a/b/c", "a/b0", "ab", "b", "c", "cc/0", "cc/1",
    "cd", "e\u0301", "é", "🔭", "🔭/a", "../up", "./here", "/lead", ".lading/keys/a", ".ladino", "%2F", "x" * 300 + "/x",
)  # fmt: skip

_CONTROLS = {"\1": "control", "\t": "tab", "\n": "line feed", "\r": "return"}

# More than one page of every store that has pages.
_MANY = 1_101


class Listing(PromiseGroup):
    """`list_objects`: every object whose key starts with `prefix`, in UTF-8 byte order of the keys, as a stream."""

    def test_listing_of_an_empty_bucket_is_empty(self, provider: IStorageProvider) -> None:
        """`list_objects`: nothing, and no error."""
        assert listed(provider) == []
        assert listed(provider, "a/") == []
        assert provider.list_files() == []

    def test_listing_is_complete_and_in_byte_order(self, provider: IStorageProvider) -> None:
        """`list_objects`: in UTF-8 byte order of the keys, not in that of paths, of UTF-16 or of a language."""
        for key in reversed(_SORTED):
            provider.put_bytes(key, b"data")
        assert listed(provider) == _SORTED

    def test_prefix_is_a_raw_string(self, provider: IStorageProvider) -> None:
        """`list_objects`: the prefix is a raw string: `c` also lists `cc/0`; it need not end where a name does."""
        for key in _PREFIXED:
            provider.put_bytes(key, b"data")
        in_order = sorted(_PREFIXED, key=str.encode)
        expected = {prefix: [key for key in in_order if key.startswith(prefix)] for prefix in _PREFIXES}
        assert {prefix: listed(provider, prefix) for prefix in _PREFIXES} == expected

    @pytest.mark.parametrize("control", [*_CONTROLS, "\x7f"], ids=[*_CONTROLS.values(), "delete"])
    def test_prefix_may_hold_a_control_character(self, provider: IStorageProvider, control: str) -> None:
        """`list_objects`: the prefix is a raw string: so is what a document or a line could not hold as it is."""
        keys = [control, f"{control}line", "a", f"a{control}", f"a{control}b", "ab", f"b{control}/c", "b/c"]
        for key in keys:
            provider.put_bytes(key, b"data")
        for prefix in ("", control, "a", f"a{control}", "b", f"b{control}", f"b{control}/", f"b/{control}"):
            assert listed(provider, prefix) == sorted((key for key in keys if key.startswith(prefix)), key=str.encode)

    def test_prefix_may_end_inside_a_character(self, provider: IStorageProvider) -> None:
        """`list_objects`: text that begins with the same byte is not text that begins with the same character."""
        for key in ("é", "è", "e", "eé", "e\u0301"):
            provider.put_bytes(key, b"data")
        assert listed(provider, "é") == ["é"]
        assert listed(provider, "e") == ["e", "eé", "e\u0301"]

    def test_start_after_leaves_out_what_is_not_greater(self, provider: IStorageProvider) -> None:
        """`list_objects`: only keys greater than `start_after` in byte order, whether or not it is a key itself."""
        for key in _SORTED:
            provider.put_bytes(key, b"data")
        for prefix in ("", "a", "a/", "a/b", "c", "z"):
            for start_after in (*_SORTED, "a/b/", "a/a/z", "a/b/c/d", "!", "🔭/zzz", "\U0010ffff", "cc"):
                found = [info.key for info in provider.list_objects(prefix, start_after=start_after)]
                expected = [k for k in _SORTED if k.startswith(prefix) and k.encode() > start_after.encode()]
                assert found == expected, (prefix, start_after)

    @pytest.mark.parametrize("control", _CONTROLS, ids=_CONTROLS.get)
    def test_start_after_may_hold_a_control_character(self, provider: IStorageProvider, control: str) -> None:
        """`list_objects`: `start_after` need be no key that is there, nor one that a document could hold as it is."""
        for key in ("a", "ab", "b"):
            provider.put_bytes(key, b"data")
        for start_after, expected in ((control, "a ab b"), (f"a{control}", "ab b"), (f"b{control}", "")):
            found = [info.key for info in provider.list_objects(start_after=start_after)]
            assert found == expected.split(), start_after

    def test_listing_is_what_was_put(self, harness: Harness, provider: IStorageProvider) -> None:
        """`list_objects`: prefix, order and `start_after` together, over any keys."""

        def check(keys: set[str], prefix: str, start_after: str) -> None:
            with emptied(provider, keys):
                for key in keys:
                    provider.put_bytes(key, b"data")
                found = [info.key for info in provider.list_objects(prefix, start_after=start_after)]
                wanted = (key for key in keys if key.startswith(prefix) and key.encode() > start_after.encode())
                assert found == sorted(wanted, key=str.encode)

        letters = "ab/-.é0"
        keys = st.sets(st.text(letters, min_size=1, max_size=6), max_size=12)
        prefixes, starts = st.text(letters, max_size=3), st.text(letters, max_size=6)
        for_all(harness, check, keys=keys, prefix=prefixes, start_after=starts)

    def test_listing_is_a_stream(self, provider: IStorageProvider) -> None:
        """`list_objects`: a stream; two of them are apart, and one may be left early."""
        for number in range(5):
            provider.put_bytes(f"k{number}", b"data")
        first, second = provider.list_objects(), provider.list_objects("k")
        assert isinstance(first, Iterator)
        assert [next(first).key, next(first).key, next(second).key] == ["k0", "k1", "k0"]
        assert [info.key for info in first] == ["k2", "k3", "k4"]
        del second
        assert len(listed(provider)) == 5

    def test_listing_says_what_head_says(self, provider: IStorageProvider) -> None:
        """`list_objects`: each item has key, size, etag and last_modified; metadata and content type are `head`'s."""
        provider.put_bytes("a.csv", b"data", metadata={"run": "7"})
        provider.put_bytes("b//c", b"")
        for info in provider.list_objects():
            head = provider.head(info.key)
            assert (info.key, info.size, info.etag) == (head.key, head.size, head.etag)
            # Seconds in one answer and milliseconds in the other are usual.
            assert abs((info.last_modified - head.last_modified).total_seconds()) <= 1
            assert (info.content_type, info.metadata) == (None, None)

    def test_list_files_is_a_list_of_keys(self, provider: IStorageProvider) -> None:
        """`list_files`: the keys of `list_objects`, as a list; no prefix lists everything."""
        for key in ("c", "cc/0", "d"):
            provider.put_bytes(key, b"data")
        assert provider.list_files() == ["c", "cc/0", "d"]
        assert provider.list_files(None) == provider.list_files("") == ["c", "cc/0", "d"]
        assert provider.list_files(prefix="cc") == ["cc/0"]
        assert provider.list_files("c") == ["c", "cc/0"]
        assert isinstance(provider.list_files("missing"), list)

    def test_listing_follows_writes_and_deletes(self, provider: IStorageProvider) -> None:
        """An object is in every listing begun after its write returned, and in none after its deletion."""
        for key in ("a/b", "a/c"):
            provider.put_bytes(key, b"data")
            assert key in listed(provider)
            assert key in listed(provider, "a/")
        provider.put_bytes("a/b", b"longer data")
        assert [(info.key, info.size) for info in provider.list_objects()] == [("a/b", 11), ("a/c", 4)]
        provider.delete("a/b")
        assert listed(provider) == listed(provider, "a") == ["a/c"]
        provider.delete("a/c")
        assert listed(provider) == listed(provider, "a") == []

    def test_listing_has_no_limit(self, provider: IStorageProvider) -> None:
        """`list_objects`: complete: it does not end at a page."""
        keys = [f"{'odd//' if number % 2 else 'even/'}{number:05d}" for number in range(_MANY)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: provider.put_bytes(key, b""), keys))
        assert listed(provider) == sorted(keys)
        assert listed(provider, "odd/") == sorted(key for key in keys if key.startswith("odd/"))
        after = [info.key for info in provider.list_objects("even/", start_after="even/00010")]
        assert after == sorted(key for key in keys if key.startswith("even/") and key > "even/00010")

    def test_listing_while_others_write(self, provider: IStorageProvider) -> None:
        """`list_objects`: what is written or deleted meanwhile may or may not appear; all others appear once."""
        stay = [f"{folder}/{number:02d}" for folder in ("a", "b//x", "c") for number in range(20)]
        go = [f"{key}-gone" for key in stay[::2]]
        for key in [*stay, *go]:
            provider.put_bytes(key, b"data")
        listing = provider.list_objects()
        found = [next(listing).key for _ in range(25)]
        for key in go:
            provider.delete(key)
        for key in ("a", "a/00/x", "b/new", "c/05-new", "zz"):
            provider.put_bytes(key, b"data")
        found += [info.key for info in listing]
        assert [key for key in found if key in stay] == stay
        assert found == sorted(set(found))
