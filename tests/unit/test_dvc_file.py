"""`.dvc` files: what is written reads back, and what a stranger wrote is taken or refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidRequest, LocalFileError
from infrastructure.dvc.dvc_file import (
    MAX_BYTES,
    DvcFile,
    assign_remote,
    dvc_file_bytes,
    parse_dvc_file,
    read_dvc_file,
    write_dvc_file,
)

MD5 = "70efdf2ec9b086079795c442636b55fb"
FOLDER = b"""outs:
- md5: 70efdf2ec9b086079795c442636b55fb.dir
  size: 56
  nfiles: 18
  hash: md5
  path: data
"""

# No NEL: ruamel, and with it DVC, writes it in a way that reads back as another name.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/\x85"), min_size=1, max_size=60)
NAMES = TEXTS.filter(lambda name: name not in {".", ".."})


def out(**changed: str | None) -> bytes:
    fields = {"md5": MD5, "hash": "md5", "path": "data"} | changed
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return ("outs:\n- " + "\n  ".join(lines) + "\n").encode()


def test_a_folder_is_written_as_dvc_writes_it(tmp_path: Path) -> None:
    write_dvc_file(tmp_path / "data.dvc", DvcFile(f"{MD5}.dir", 56, 18, "data"))
    assert (tmp_path / "data.dvc").read_bytes() == FOLDER
    assert read_dvc_file(tmp_path / "data.dvc") == DvcFile(f"{MD5}.dir", 56, 18, "data")


def test_everything_else_that_a_file_can_say() -> None:
    said = DvcFile(MD5, 3, None, "run me", True, "other", {"lading": {"id": "x", "from": ["a@1"]}}, "first light")
    assert dvc_file_bytes(said) == (
        b"desc: first light\nouts:\n- md5: 70efdf2ec9b086079795c442636b55fb\n  size: 3\n  isexec: true\n  hash: md5\n"
        b"  path: run me\n  remote: other\nmeta:\n  lading:\n    id: x\n    from:\n    - a@1\n"
    )
    assert parse_dvc_file(dvc_file_bytes(said), "x.dvc") == said


@given(
    st.builds(
        DvcFile,
        st.text("0123456789abcdef", min_size=32, max_size=32).flatmap(lambda md5: st.sampled_from([md5, f"{md5}.dir"])),
        st.none() | st.integers(0, 1 << 60),
        st.none() | st.integers(0, 1 << 40),
        st.lists(NAMES, min_size=1, max_size=3).map("/".join),
        st.booleans(),
        st.none() | TEXTS,
        st.dictionaries(TEXTS, TEXTS | st.integers() | st.lists(TEXTS)),
        st.none() | TEXTS,
    )
)
def test_what_is_written_reads_back(said: DvcFile) -> None:
    assert parse_dvc_file(dvc_file_bytes(said), "x.dvc") == said


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no 'outs'"),
        (b"[1, 2]", "no 'outs'"),
        (b"outs: []", "no 'outs'"),
        (b"outs: {}", "no 'outs'"),
        (b"outs: [1]", "no list of names"),
        (b"outs:\n- {", "no YAML"),
        (b"\xff\xfe", "no UTF-8"),
        (b"<<<<<<< HEAD\nouts:\n", "no YAML"),
        (out() + b"- md5: x\n", "2 outs"),
        (out() + out(), "no YAML (found duplicate key"),
        (out(md5=f"{MD5}\n  md5: {MD5}"), "no YAML (found duplicate key"),
        (out() + b"---\n" + out(), "no YAML"),
        (out(hash=None), "layout of DVC 2"),
        (out(hash="sha256"), "layout of DVC 2"),
        (out(md5=None), "md5 is wrong"),
        (out(md5="12345678901234567890123456789012"), "md5 is wrong"),  # a number, unless it is quoted
        (out(md5=MD5[:-1]), "md5 is wrong"),
        (out(md5=f"{MD5}.dirx"), "md5 is wrong"),
        (out(path=None), "name a file"),
        (out(path='""'), "name a file"),
        (out(path="."), "name a file"),
        (out(path="[a]"), "name a file"),
        (out(path="/etc/passwd"), "absolute"),
        (out(path="../x"), "leads out"),
        (out(path="a/../../x"), "leads out"),
        (out(path='"a\\0b"'), "NUL"),
        (out(size="-1"), "'size' is no number"),
        (out(size="true"), "'size' is no number"),
        (out(nfiles="many"), "'nfiles' is no number"),
        (out(remote="[a]"), "'remote' is no text"),
        (out() + b"desc: 1\n", "'desc' is no text"),
        (out() + b"meta: [a]\n", "'meta' is not made of names"),
        (out() + b"meta: {1: a}\n", "'meta' is not made of names"),
        (out() + b"wdir: ..\n", "'wdir'"),
        (out() + b"meta: {a: &a [x], b: *a}\n", "alias"),
        (out() + b"meta: !!python/object/apply:os.system [ls]\n", "no YAML"),
        (out() + b"meta: 2020-02-31\n", "a value that is none"),
        (out() + b"meta: " + b"[" * 5000 + b"\n", "nested too deeply"),
        (b"#" * (MAX_BYTES + 1), "1,048,577 bytes"),
    ],
)
def test_what_is_no_dataset_is_refused_with_a_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "x.dvc").write_bytes(data)
    with pytest.raises(LocalFileError) as refused:
        read_dvc_file(tmp_path / "x.dvc")
    assert reason in str(refused.value)
    assert "x.dvc" in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(LocalFileError):
        parse_dvc_file(data, "x.dvc")


def test_what_dvc_may_write_beside_is_no_reason_to_refuse() -> None:
    data = b"md5: x\nfrozen: true\ndeps:\n- path: a\n" + out(cache="true", labels="[a]", desc="inside")
    assert parse_dvc_file(data, "x.dvc") == DvcFile(MD5, None, None, "data", desc="inside")


@pytest.mark.parametrize("path", ["", "/a", "../a", "a/../../b", "a\0b"])
def test_no_path_is_written_that_would_not_be_read(tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidRequest):
        write_dvc_file(tmp_path / "x.dvc", DvcFile(MD5, None, None, path))
    with pytest.raises(InvalidRequest):
        write_dvc_file(tmp_path / "x.dvc", DvcFile("x", None, None, "a"))
    assert list(tmp_path.iterdir()) == []


def test_a_remote_is_assigned_and_all_else_stays(tmp_path: Path) -> None:
    file = tmp_path / "x.dvc"
    file.write_bytes(b"# by hand\n" + out(labels="[a]") + b"meta: {a: 1}\n")
    assign_remote(file, "other")
    assert file.read_bytes() == b"# by hand\n" + out(labels="[a]", remote="other") + b"meta: {a: 1}\n"
    assign_remote(file, None)
    assert file.read_bytes() == b"# by hand\n" + out(labels="[a]") + b"meta: {a: 1}\n"
