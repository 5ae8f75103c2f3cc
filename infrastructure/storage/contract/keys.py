"""Promises about keys: opaque, and back exactly as given."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import strategies as st

from domain.errors import InvalidRequest
from domain.storage import IStorageProvider
from infrastructure.storage.contract.group import PromiseGroup, emptied, for_all, listed, refusal
from infrastructure.storage.contract.harness import Harness

AWKWARD: Mapping[str, str] = {
    "double slash": "a//b",
    "triple slash": "a///b",
    "trailing slash": "trail/",
    "leading slash": "/lead",
    "two leading slashes": "//lead",
    "slash": "/",
    "two slashes": "//",
    "up in the middle": "a/../b",
    "up first": "../up",
    "up far": "../../../../../../../../tmp/lading-escaped",
    "up last": "a/..",
    "two dots": "..",
    "dot": ".",
    "dot first": "./x",
    "dot in the middle": "a/./b",
    "dot last": "a/.",
    "three dots": "...",
    "hidden": ".hidden",
    "composed": unicodedata.normalize("NFC", "é"),
    "decomposed": unicodedata.normalize("NFD", "é"),
    "composed folder": unicodedata.normalize("NFC", "é") + "/x",
    "decomposed folder": unicodedata.normalize("NFD", "é") + "/x",
    "compatibility": "\ufb01le",
    "capital": "A",
    "small": "a",
    "capital folder": "A/x",
    "small folder": "a/x",
    "below an object": "a/x/y",
    "1,024 bytes": "k" * 1024,
    "1,024 bytes in folders": "ab/" * 341 + "c",
    "1,024 bytes of three": "日" * 341 + "x",
    "1,024 bytes of slashes": "s" + "/" * 1023,
    "name of 255 bytes": "n" * 255,
    "name of 256 bytes": "n" * 256,
    "name of 256 bytes in folders": "deep/" + "n" * 256 + "/deep",
    "name of 255 characters, more bytes": "deep/" + "é" * 255,
    "control": "control\1control",
    "control alone": "\1",
    "newline": "line\nline",
    "newline last": "line\n",
    "carriage return": "line\rline",
    "tab": "tab\ttab",
    "escape": "\x1b[31mred",
    "delete": "\x7f",
    "C1 control": "\x85\x9b",
    "percent": "%2F",
    "percent lower": "%2f",
    "percent twice": "%252F",
    "percent half": "100%",
    "plus": "a+b",
    "plus last": "a+",
    "plus folder": "a+/b",
    "space": "a b",
    "space first": " a",
    "space last": "a ",
    "space alone": " ",
    "emoji": "🔭/🌌.fits",
    "emoji joined": "👩\u200d🚀",
    "right to left": "\u202eabc",
    "noncharacter": "\uffff\U0010ffff",
    "byte order mark": "\ufeffa",
    "ours": ".lading",
    "ours below": ".lading/x",
    "ours key": ".lading/keys/a",
    "ours part": ".lading-part-1-1",
    "device": "con",
    "device with suffix": "aux.txt",
    "wild": '*?<>|"\\',
    "backslash": "a\\b",
    "colon": "c:/a",
    "query": "a?b=c&d#e",
    "tilde": "~/a",
    "dash": "-rf",
    "dollar": "$HOME/`id`;'x'",
    "dot last in a name": "a.",
    "XML": "<a>&amp;</a>]]>",
}
"""Keys that some store, some time, did not give back."""

# Beside those above that have a line feed, what a store may take for one of them.
_LINES = [
    "line", "lineline", "line line", "line\rline", "line\r\nline", "line\\nline", "line%0Aline", "\n", "\n\n", "\nline",
    "line/", "line/\n", "line\n/", "line\n/line",
]  # fmt: skip

_INVALID: Mapping[str, str] = {
    "empty": "",
    "1,025 bytes": "k" * 1025,
    "1,025 bytes of more than one": "é" * 512 + "x",
    "half a character": "a\ud800b",
}

Call = Callable[[IStorageProvider, str, Path], object]
_TAKING_A_KEY: Mapping[str, Call] = {
    "head": lambda provider, key, file: provider.head(key),
    "open_reader": lambda provider, key, file: provider.open_reader(key),
    "get_bytes": lambda provider, key, file: provider.get_bytes(key),
    "download": lambda provider, key, file: provider.download(key, f"{file}-new"),
    "exists": lambda provider, key, file: provider.exists(key),
    "get_file_size": lambda provider, key, file: provider.get_file_size(key),
    "get_metadata": lambda provider, key, file: provider.get_metadata(key),
    "open_writer": lambda provider, key, file: provider.open_writer(key),
    "put_bytes": lambda provider, key, file: provider.put_bytes(key, b"data"),
    "upload": lambda provider, key, file: provider.upload(str(file), key),
    "copy from": lambda provider, key, file: provider.copy(key, "other"),
    "copy to": lambda provider, key, file: provider.copy("there", key),
    "copy onto itself": lambda provider, key, file: provider.copy(key, key),
    "copy_from from": lambda provider, key, file: provider.copy_from(provider, key, "other"),
    "copy_from to": lambda provider, key, file: provider.copy_from(provider, "there", key),
    "delete": lambda provider, key, file: provider.delete(key),
}


def _usable(key: str) -> bool:
    return 1 <= len(key.encode()) <= 1024


_NAMES = st.sampled_from(
    ["a", "b", "A", "", ".", "..", ".lading", "keys", "é", "e\u0301", "con", "%2e", "n" * 256, "a+"]
)
ANY_KEY: st.SearchStrategy[str] = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40),
    st.text("ab/.%+\\ \n\1éA", min_size=1, max_size=12),
    st.lists(_NAMES, min_size=1, max_size=6).map("/".join),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=200, max_size=1024),
).filter(_usable)
"""Any key of 1 to 1,024 UTF-8 bytes without a NUL, the difficult ones more often."""


class Keys(PromiseGroup):
    """Keys are opaque and come back exactly as given."""

    @pytest.mark.parametrize("name", sorted(AWKWARD))
    def test_key_comes_back_as_given(
        self, harness: Harness, provider: IStorageProvider, tmp_path: Path, name: str
    ) -> None:
        """Every method that takes a key takes this one, and means no other object."""
        key = AWKWARD[name]
        (tmp_path / "file").write_bytes(b"data")
        assert provider.upload(str(tmp_path / "file"), key, {"n": "1"}).key == key
        assert provider.head(key).key == key
        assert provider.get_bytes(key) == b"data" == harness.peek(provider, key)
        assert provider.list_files() == provider.list_files(key) == [key]
        assert provider.copy(key, "copy").key == "copy"
        provider.delete(key)
        assert provider.list_files() == ["copy"]
        assert not provider.exists(key)
        assert harness.peek(provider, key) is None
        assert provider.copy("copy", key).key == key
        provider.download(key, str(tmp_path / "back"))
        assert (tmp_path / "back").read_bytes() == b"data"

    @pytest.mark.parametrize("order", ["as listed", "backwards"])
    def test_awkward_keys_live_side_by_side(self, harness: Harness, provider: IStorageProvider, order: str) -> None:
        """Every key is an object of its own, whatever others there are; deleting one leaves the others."""
        keys = [key for key in AWKWARD.values() if "\n" not in key]
        _live_side_by_side(harness, provider, keys if order == "as listed" else keys[::-1])

    @pytest.mark.parametrize("order", ["as listed", "backwards"])
    def test_keys_of_several_lines_live_side_by_side(
        self, harness: Harness, provider: IStorageProvider, order: str
    ) -> None:
        """A line feed is a character of a key, and not its end: each of these is an object of its own."""
        keys = [key for key in AWKWARD.values() if "\n" in key] + _LINES
        _live_side_by_side(harness, provider, keys if order == "as listed" else keys[::-1])

    @pytest.mark.parametrize("writing", list(itertools.permutations(["a", "a/b", "a/b/c"])), ids=">".join)
    def test_key_beside_one_that_continues_it(
        self, harness: Harness, provider: IStorageProvider, writing: tuple[str, ...]
    ) -> None:
        """`a` beside `a/b` beside `a/b/c`, in every order of writing and of deleting."""
        for deleting in itertools.permutations(writing):
            for key in writing:
                provider.put_bytes(key, b"old", metadata={"of": key})
                provider.put_bytes(key, key.encode(), metadata={"of": key})
            left = sorted(writing)
            assert [harness.peek(provider, key) for key in left] == [key.encode() for key in left]
            for key in deleting:
                assert listed(provider) == left
                for other in left:
                    with provider.open_reader(other) as reader:
                        assert (reader.read(), dict(reader.info.metadata or {})) == (other.encode(), {"of": other})
                provider.delete(key)
                left.remove(key)
                assert not provider.exists(key)
            assert listed(provider) == []

    def test_key_finds_its_object_after_its_neighbour_is_gone(self, provider: IStorageProvider) -> None:
        """A key whose neighbour came or went is overwritten where it is: it is never in two places."""
        provider.put_bytes("a/b", b"below")
        provider.put_bytes("a", b"one")
        provider.delete("a/b")
        provider.put_bytes("a", b"two")
        assert (listed(provider), provider.get_bytes("a")) == (["a"], b"two")
        provider.put_bytes("a/b", b"below")
        provider.put_bytes("a", b"three")
        assert (listed(provider), provider.get_bytes("a")) == (["a", "a/b"], b"three")
        provider.delete("a")
        assert listed(provider) == ["a/b"]

    @pytest.mark.parametrize("key", ["\0", "nul\0nul", "nul\0/below"])
    def test_key_with_a_nul_is_kept_or_refused(self, provider: IStorageProvider, key: str) -> None:
        """A store that can't keep a NUL character says `InvalidRequest`; it never makes another key of it."""
        try:
            provider.put_bytes(key, b"data")
        except InvalidRequest as error:
            assert error.key == key
            assert listed(provider) == []
        else:
            assert listed(provider) == [key]
            assert provider.get_bytes(key) == b"data"
            provider.delete(key)
            assert not provider.exists(key)

    def test_any_keys_come_back(self, harness: Harness, provider: IStorageProvider) -> None:
        """Any text of 1 to 1,024 UTF-8 bytes in one line is a key, beside any others."""
        keys = ANY_KEY.filter(lambda key: "\n" not in key)
        for_all(harness, _coming_back(harness, provider), keys=st.lists(keys, min_size=1, max_size=6, unique=True))

    def test_any_keys_of_several_lines_come_back(self, harness: Harness, provider: IStorageProvider) -> None:
        """A key of several lines is one, beside any others."""
        some = st.text("ab/.%+\\ \n\1éA", max_size=6)
        line_feeds = st.builds("{}\n{}".format, some, some)
        keys = st.builds(
            lambda one, others: [one, *(others - {one})], line_feeds, st.sets(line_feeds | ANY_KEY, max_size=5)
        )
        for_all(harness, _coming_back(harness, provider), keys=keys)

    @pytest.mark.parametrize("kind", sorted(_INVALID))
    @pytest.mark.parametrize("method", sorted(_TAKING_A_KEY))
    def test_what_is_no_key_is_refused(
        self, provider: IStorageProvider, tmp_path: Path, method: str, kind: str
    ) -> None:
        """`InvalidRequest` for an empty key, one of more than 1,024 UTF-8 bytes, or one that is not UTF-8."""
        (tmp_path / "file").write_bytes(b"data")
        provider.put_bytes("there", b"data")
        error = refusal(InvalidRequest, lambda: _TAKING_A_KEY[method](provider, _INVALID[kind], tmp_path / "file"))
        assert error.provider == provider.name
        assert listed(provider) == ["there"]
        assert [path.name for path in tmp_path.iterdir()] == ["file"]


def _live_side_by_side(harness: Harness, provider: IStorageProvider, keys: list[str]) -> None:
    for key in keys:
        provider.put_bytes(key, b"old " + key.encode())
    for key in keys:
        provider.put_bytes(key, key.encode())
    assert listed(provider) == sorted(keys, key=str.encode)
    for key in keys:
        assert provider.get_bytes(key) == key.encode() == harness.peek(provider, key)
    left = set(keys)
    for key in keys:
        provider.delete(key)
        left.remove(key)
        assert listed(provider) == sorted(left, key=str.encode), key
    assert listed(provider) == []


def _coming_back(harness: Harness, provider: IStorageProvider) -> Callable[[list[str]], None]:
    """Puts, lists, reads and deletes the keys that it is given."""

    def check(keys: list[str]) -> None:
        with emptied(provider, keys):
            for key in keys:
                provider.put_bytes(key, key.encode())
            assert listed(provider) == sorted(keys, key=str.encode)
            for key in keys:
                assert provider.get_bytes(key) == key.encode() == harness.peek(provider, key)
                assert listed(provider, key)[0] == key
            for key in keys:
                provider.delete(key)
                assert not provider.exists(key)
            assert listed(provider) == []

    return check
