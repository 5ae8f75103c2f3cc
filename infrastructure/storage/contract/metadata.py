"""Promises about the user's metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from domain.errors import InvalidRequest
from domain.keys import MAX_METADATA_BYTES, RESERVED_METADATA
from domain.storage import IStorageProvider
from infrastructure.storage.contract.group import PromiseGroup, for_all, listed, refusal
from infrastructure.storage.contract.harness import Harness

_VALUES = {
    "empty": "",
    "spaces": "  two  spaces  ",
    "accents": "Señal de prueba: 5 µm ≤ λ",
    "both forms": "é e\u0301",
    "emoji": "🔭🌌",
    "lines": "one\ntwo\r\nthree\t",
    "controls": "\x00\x01\x1f\x7f\x85",
    "percent": "100% %41 %zz +",
    "quotes": "\"a\" 'b' \\ =?utf-8?q?x?=",
    "json": '{"a": [1, null]}',
}

_NAMES = st.from_regex(r"[a-z0-9-]{1,12}", fullmatch=True).filter(lambda name: name not in RESERVED_METADATA)
_METADATA = st.dictionaries(_NAMES, st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=6)


class Metadata(PromiseGroup):
    """`open_writer`: names `[a-z0-9-]+`, values any text, `MAX_METADATA_BYTES` in all; replaces all that the key had."""

    @pytest.mark.parametrize("name", sorted(_VALUES))
    def test_metadata_value_is_any_text(self, provider: IStorageProvider, name: str) -> None:
        """`open_writer`: values any text; every way to ask gives them back as they were."""
        given_metadata = {"value": _VALUES[name], "0-other": "x"}
        written = provider.put_bytes("a", b"data", metadata=given_metadata)
        assert dict(written.metadata or {}) == given_metadata
        assert dict(provider.head("a").metadata or {}) == given_metadata
        assert provider.get_metadata("a")["metadata"] == given_metadata
        with provider.open_reader("a") as reader:
            assert dict(reader.info.metadata or {}) == given_metadata

    def test_metadata_comes_back(self, harness: Harness, provider: IStorageProvider) -> None:
        """`open_writer`: names and values come back as they were given."""

        def check(metadata: dict[str, str]) -> None:
            provider.put_bytes("a", b"data", metadata=metadata)
            assert provider.get_metadata("a")["metadata"] == metadata

        for_all(harness, check, metadata=_METADATA)

    @pytest.mark.parametrize("name", ["", "A", "under_score", "a b", "é", "a\n", "a:b", "a/b", "sha256", "write-id"])
    def test_metadata_name_out_of_the_alphabet_is_refused(self, provider: IStorageProvider, name: str) -> None:
        """`open_writer`: `InvalidRequest` for a name that is not `[a-z0-9-]+`, or kept for the store's own use."""
        refusal(InvalidRequest, lambda: provider.open_writer("a", metadata={name: "x"}))
        refusal(InvalidRequest, lambda: provider.put_bytes("a", b"data", metadata={"good": "x", name: "x"}))
        assert listed(provider) == []

    @pytest.mark.parametrize("value", [7, None, b"bytes", "\ud800"])
    def test_metadata_value_that_is_not_text_is_refused(self, provider: IStorageProvider, value: Any) -> None:
        """`open_writer`: `InvalidRequest` for a value that is no text."""
        refusal(InvalidRequest, lambda: provider.put_bytes("a", b"data", metadata={"name": value}))
        assert listed(provider) == []

    @pytest.mark.parametrize(("letter", "size"), [("x", 1), ("é", 6), ("🔭", 12), ("\x01", 3), ("%", 3)])
    def test_metadata_has_a_limit(self, provider: IStorageProvider, letter: str, size: int) -> None:
        """`open_writer`: `MAX_METADATA_BYTES` in all are kept, one more refused; `size` is a letter's on the wire."""
        fits, left = divmod(MAX_METADATA_BYTES - 8, size)
        most = {"12345": letter * fits + "x" * left, "abc": ""}
        provider.put_bytes("a", b"data", metadata=most)
        assert provider.get_metadata("a")["metadata"] == most
        refusal(InvalidRequest, lambda: provider.put_bytes("a", b"other", metadata={**most, "abc": "x"}))
        assert provider.get_bytes("a") == b"data"
        assert provider.get_metadata("a")["metadata"] == most

    @pytest.mark.parametrize("later", [None, {}, {"other": "2"}])
    def test_metadata_is_replaced_by_the_next_write(
        self, provider: IStorageProvider, later: dict[str, str] | None
    ) -> None:
        """`open_writer`: replaces all earlier metadata of the key."""
        provider.put_bytes("a", b"data", metadata={"one": "1", "other": "1"})
        provider.put_bytes("a", b"data", metadata=later)
        assert provider.get_metadata("a")["metadata"] == (later or {})

    def test_metadata_is_not_inherited_from_a_deleted_object(self, provider: IStorageProvider) -> None:
        """`open_writer`: a key that was deleted starts anew."""
        provider.put_bytes("a", b"data", metadata={"one": "1"})
        provider.delete("a")
        provider.put_bytes("a", b"data")
        assert provider.get_metadata("a")["metadata"] == {}

    def test_metadata_belongs_to_the_store(self, provider: IStorageProvider) -> None:
        """What a caller does later to the dict that it gave, or got, changes no object."""
        mine = {"one": "1"}
        writer = provider.open_writer("a", metadata=mine)
        mine["one"] = "2"
        writer.commit()
        provider.get_metadata("a")["metadata"]["one"] = "3"
        assert provider.get_metadata("a")["metadata"] == {"one": "1"}

    def test_upload_takes_metadata_as_the_third_argument(self, provider: IStorageProvider, tmp_path: Path) -> None:
        """`upload(local_path, remote_path, metadata)`: by position, and under the same rules."""
        (tmp_path / "file").write_bytes(b"data")
        provider.upload(str(tmp_path / "file"), "a", {"instrument": "cámara 2"})
        assert provider.get_metadata("a")["metadata"] == {"instrument": "cámara 2"}
        refusal(InvalidRequest, lambda: provider.upload(str(tmp_path / "file"), "b", {"Not-Lower": "x"}))
        assert listed(provider) == ["a"]
