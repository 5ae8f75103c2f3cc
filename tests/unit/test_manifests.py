"""Tables of files and DVC's manifests: written byte for byte, and read from a store that others write to."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import ContentCorrupted, InvalidRequest
from domain.manifests import (
    MAX_LINE_BYTES,
    FileEntry,
    address_of_manifest,
    checked_name,
    read_dvc_manifest,
    read_table,
    written_dvc_manifest,
    written_table,
)

MD5, SHA = "0" * 32, "1" * 64
HEADER = b'{"format": "lading.files/1"}\n'

segments = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=6).filter(
    lambda text: text not in {".", ".."}
)
close = st.text("ab.-\uffff\U0001f600", min_size=1, max_size=3).filter(lambda text: text not in {".", ".."})
paths = st.lists(segments | close, min_size=1, max_size=4).map("/".join)
digests = st.binary(min_size=32, max_size=32)


def clashing(names: set[str]) -> bool:
    """The plainest way to say it."""
    return any(other.startswith(f"{name}/") for name in names for other in names)


@st.composite
def folders(draw: st.DrawFn) -> list[FileEntry]:
    """The files of a folder that can be, in UTF-8 byte order."""
    found: dict[str, FileEntry] = {}
    for name in draw(st.lists(paths, max_size=12)):
        if not clashing({*found, name}):
            digest = draw(digests)
            sha256 = draw(st.sampled_from([digest.hex(), ""]))
            found[name] = FileEntry(name, digest[:16].hex(), sha256, draw(st.integers(0, 1 << 63)))
    return sorted(found.values(), key=lambda entry: entry.name.encode())


def table(*lines: Any) -> bytes:
    return HEADER + b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)


def manifest(*entries: Any) -> bytes:
    return json.dumps(entries).encode()


def read(data: bytes) -> list[FileEntry]:
    return list(read_table(io.BytesIO(data), "the table of x@1"))


# -- what we write


@given(folders())
def test_a_table_is_read_as_it_was_written(entries: list[FileEntry]) -> None:
    data = b"".join(written_table(iter(entries)))
    assert data.count(b"\n") == len(entries) + 1
    assert read(data) == entries


@given(folders())
def test_a_manifest_is_what_dvc_writes(entries: list[FileEntry]) -> None:
    dicts = sorted(({"md5": entry.md5, "relpath": entry.name} for entry in entries), key=lambda each: each["relpath"])
    data = json.dumps(dicts, sort_keys=True).encode()
    assert written_dvc_manifest(iter(entries)) == data
    assert address_of_manifest(data) == f"{hashlib.md5(data).hexdigest()}.dir"  # noqa: S324
    assert read_dvc_manifest(data, "m") == [(entry.name, entry.md5) for entry in entries]


def test_the_manifests_that_dvc_was_seen_to_write() -> None:
    assert address_of_manifest(written_dvc_manifest([])) == "d751713988987e9331980363e24189ce.dir"
    data = written_dvc_manifest([FileEntry('a é\n"\\', MD5, SHA, 1), FileEntry("\U0001f600", MD5, SHA, 1)])
    assert data == (
        b'[{"md5": "%s", "relpath": "a \\u00e9\\n\\"\\\\"}, {"md5": "%s", "relpath": "\\ud83d\\ude00"}]'
        % (MD5.encode(), MD5.encode())
    )


@given(st.lists(paths, max_size=12, unique=True))
def test_a_manifest_of_another_order_is_read_in_ours(names: list[str]) -> None:
    data = manifest(*({"relpath": name, "md5": MD5} for name in names))
    if clashing(set(names)):
        with pytest.raises(ContentCorrupted, match="a file and a folder"):
            read_dvc_manifest(data, "m")
    else:
        found = [name for name, _ in read_dvc_manifest(data, "m")]
        assert found == sorted(names, key=str.encode)


# -- file and folder of one name

tight = st.lists(
    st.lists(st.sampled_from(["a", "a.", "a-b", "b", "aa"]), min_size=1, max_size=4).map("/".join), max_size=9
)


@given(tight)
def test_a_file_that_is_a_folder_too_is_found_wherever_it_stands(names: list[str]) -> None:
    data = table(*([name, MD5, SHA, 1] for name in sorted(set(names))))
    if clashing(set(names)):
        with pytest.raises(ContentCorrupted, match="is a file and a folder"):
            read(data)
    else:
        assert [entry.name for entry in read(data)] == sorted(set(names))


def test_others_between_a_file_and_what_is_below_it() -> None:
    for names in (["a", "a/b"], ["a", "a.b", "a/b"], ["a", "a!", "a!b", "a-/c", "a/b/c"], ["x/a", "x/a.b", "x/a/b"]):
        with pytest.raises(ContentCorrupted, match=r"'(x/)?a' is a file and a folder"):
            read(table(*([name, MD5, SHA, 1] for name in names)))


def test_many_names_of_one_beginning_are_no_work() -> None:
    names = ["a" * length for length in range(1, 3000)] + ["b/" * 2000 + "c"]
    assert len(read(table(*([name, MD5, SHA, 1] for name in names)))) == 3000


# -- what others write

HOSTILE_NAMES = [
    "../../x", "a/../../x", "..", ".", "/etc/passwd", "//x", "", "a//b", "a/", "a/./b", "a\0b", "\0", "a\ud800", "\udcff",
    "a" * 4097, "é" * 2049, None, 7, ["a"], {"a": 1}, True,
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=lambda name: repr(name)[:12])
def test_a_path_that_no_file_below_a_folder_has_is_refused(name: object) -> None:
    with pytest.raises(InvalidRequest):
        checked_name(name)
    with pytest.raises(ContentCorrupted, match="nothing was done") as refused:
        read(table([name, MD5, SHA, 1]))
    assert len(refused.value.message) < 250
    with pytest.raises(ContentCorrupted, match="the manifest"):
        read_dvc_manifest(manifest({"relpath": name, "md5": MD5}), "the manifest")


@pytest.mark.parametrize(
    "name", ["a", "..a", "a..", "...", " ", "a\nb", "#", "%2e%2e/x", "\\..\\x", "C:", "é", "é", "a" * 4096]
)
def test_an_odd_path_is_one(name: str) -> None:
    assert checked_name(name) == name
    assert read(table([name, MD5, SHA, 0])) == [FileEntry(name, MD5, SHA, 0)]


@pytest.mark.parametrize(
    "line",
    [
        ["a", MD5, SHA, -1],
        ["a", MD5, SHA, True],
        ["a", MD5, SHA, 1.0],
        ["a", MD5, SHA, "1"],
        ["a", MD5, SHA, None],
        b'["a", "%s", "%s", 1e999]\n' % (MD5.encode(), SHA.encode()),
        b'["a", "%s", "%s", NaN]\n' % (MD5.encode(), SHA.encode()),
        ["a", MD5, SHA],
        ["a", MD5, SHA, 1, 2],
        ["a", f"{MD5}.dir", SHA, 1],
        ["a", "A" * 32, SHA, 1],
        ["a", "", SHA, 1],
        ["a", None, SHA, 1],
        ["a", MD5, None, 1],
        ["a", MD5, 0, 1],
        ["a", MD5, [], 1],
        ["a", MD5, "A" * 64, 1],
        ["a", MD5, MD5, 1],
        {"a": 1, "b": 2, "c": 3, "d": 4},
        "abcd",
        7,
        b"\n",
        b"[" * 60_000 + b"\n",
        b"\xff\xfe\n",
        b'["a", "%s", "%s", %s]\n' % (MD5.encode(), SHA.encode(), b"1" * 5000),
        b'["' + b"a" * 2 * MAX_LINE_BYTES + b'", "%s", "%s", 1]\n' % (MD5.encode(), SHA.encode()),
        b'["a", "%s", "%s", 1]' % (MD5.encode(), SHA.encode()),
        b'["a", "%s", "%s", 1]%s\n' % (MD5.encode(), SHA.encode(), b" " * MAX_LINE_BYTES),
    ],
    ids=lambda line: str(line)[:24],
)
def test_a_line_that_nobody_writes_is_refused(line: object) -> None:
    with pytest.raises(ContentCorrupted, match=r"the table of x@1 is damaged: a line can't be read") as refused:
        read(table(line))
    assert len(refused.value.message) < 250


@pytest.mark.parametrize("names", [["b", "a"], ["a", "a"], ["\U0001f600", "\uffff"], ["a/b", "a", "a/c"]])
def test_names_out_of_order_or_twice_are_refused(names: list[str]) -> None:
    with pytest.raises(ContentCorrupted, match="twice, or out of order"):
        read(table(*([name, MD5, SHA, 1] for name in names)))


@pytest.mark.parametrize(
    "head", [b"", b"\n", HEADER[:-1], HEADER[1:], HEADER.replace(b"1", b"2"), b"[]\n", b"\xff" * 99]
)
def test_what_does_not_begin_as_a_table_is_none(head: bytes) -> None:
    with pytest.raises(ContentCorrupted, match="begin"):
        read(head)


@given(folders().filter(bool), st.data())
def test_a_table_that_is_cut_off_is_an_error_or_ends_with_a_line(entries: list[FileEntry], data: st.DataObject) -> None:
    whole = b"".join(written_table(entries))
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        found = read(cut)
    except ContentCorrupted:
        return
    assert cut.endswith(b"\n")
    assert found == entries[: len(found)]


@given(folders(), st.binary(min_size=1, max_size=20), st.integers(0, 300))
def test_damage_is_an_error_of_ours(entries: list[FileEntry], noise: bytes, at: int) -> None:
    for whole, reader in ((b"".join(written_table(entries)), read), (written_dvc_manifest(entries), _read_manifest)):
        try:
            reader(whole[:at] + noise + whole[at + len(noise) :])
        except ContentCorrupted as error:
            assert "is damaged" in error.message


def _read_manifest(data: bytes) -> object:
    return read_dvc_manifest(data, "m")


def test_a_table_is_read_as_it_comes() -> None:
    class Endless(io.RawIOBase):
        lines = 0

        def readable(self) -> bool:
            return True

        def readline(self, size: int | None = -1, /) -> bytes:
            self.lines += 1
            return HEADER if self.lines == 1 else table([f"{self.lines:09}", MD5, SHA, 1])[len(HEADER) :]

    stream = Endless()
    found: Iterator[FileEntry] = read_table(stream, "x")  # type: ignore[arg-type]
    for _ in range(5):
        next(found)
    assert stream.lines == 6


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"null",
        b"7",
        b'"ab"',
        b"[",
        b"[1]",
        b"[null]",
        b"[[]]",
        b'["md5"]',
        b'[["md5", "relpath"]]',
        b"[{}]",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]]",
        manifest({"relpath": "a"}),
        manifest({"md5": MD5}),
        manifest({"relpath": "a", "md5": f"{MD5}.dir"}),
        manifest({"relpath": "a", "md5": SHA}),
        manifest({"relpath": "a", "md5": MD5.replace("0", "A")}),
        manifest({"relpath": "a", "md5": None}),
        manifest({"relpath": "a", "md5": "../../../../etc/passwd".ljust(32, "0")}),
        manifest({"relpath": "a", "md5": MD5, "size": 3}),
        manifest({"relpath": "a", "md5": MD5}, {"relpath": "a", "md5": MD5}),
        manifest({"relpath": "a", "md5": MD5}, {"relpath": "a", "md5": "1" * 32}),
        manifest({"relpath": "a/b", "md5": MD5}, {"relpath": "a", "md5": MD5}),
        manifest({"relpath": "a/b", "md5": MD5}, {"relpath": "a.b", "md5": MD5}, {"relpath": "a", "md5": MD5}),
    ],
    ids=lambda data: str(data)[:40],
)
def test_a_manifest_that_dvc_does_not_write_is_refused(data: bytes) -> None:
    with pytest.raises(ContentCorrupted, match=r"m is damaged.*nothing was done with it") as refused:
        read_dvc_manifest(data, "m")
    assert len(refused.value.message) < 250
