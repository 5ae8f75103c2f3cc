"""The content type of a name is the same on every machine."""

from __future__ import annotations

import json
import mimetypes
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import media_types
from domain.keys import check_content_type
from domain.media_types import content_type_of_upload, guess_content_type


@pytest.fixture
def fresh_table() -> Iterator[None]:
    media_types._table.cache_clear()
    media_types._of_suffix.cache_clear()
    yield
    media_types._table.cache_clear()
    media_types._of_suffix.cache_clear()


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("m31.fits", "image/fits"),
        ("deep/M31.FITS", "image/fits"),
        ("t.csv", "text/csv"),
        ("t.json", "application/json"),
        ("t.parquet", "application/vnd.apache.parquet"),
        ("t.csv.gz", "application/gzip"),
        ("t.tar.gz", "application/gzip"),
        ("t.tgz", "application/gzip"),
        ("t.xz", "application/x-xz"),
        ("t.bz2", "application/x-bzip2"),
        ("readme", "application/octet-stream"),
        ("v1.csv/readme", "application/octet-stream"),
        ("x.nonsuch", "application/octet-stream"),
        ("x.", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_the_suffix_says_the_type(name: str, content_type: str) -> None:
    assert guess_content_type(name) == content_type


def test_the_tables_of_the_machine_are_not_read(monkeypatch: pytest.MonkeyPatch, fresh_table: None) -> None:
    monkeypatch.setattr(mimetypes, "knownfiles", ["/nonexistent"])
    mimetypes.add_type("x-machine/own", ".csv")
    mimetypes.add_type("x-machine/own", ".nonsuch")
    try:
        assert guess_content_type("t.csv") == "text/csv"
        assert guess_content_type("t.nonsuch") == "application/octet-stream"
    finally:
        mimetypes.init()


def test_a_machine_with_other_known_files_says_the_same(tmp_path) -> None:
    known = tmp_path / "mime.types"
    known.write_text("x-machine/own csv fits json parquet nonsuch gz\n")
    script = (
        "import json, mimetypes, sys\n"
        "mimetypes.knownfiles[:] = sys.argv[1:]\n"
        "from domain.media_types import guess_content_type\n"
        "print(json.dumps([guess_content_type('x' + s) for s in ('.csv', '.fits', '.json', '.nonsuch', '.gz')]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(known)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [
        "text/csv",
        "image/fits",
        "application/json",
        "application/octet-stream",
        "application/gzip",
    ]


@settings(deadline=None, max_examples=300)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_every_name_has_a_type_that_a_store_takes(name: str) -> None:
    content_type = guess_content_type("x." + name)
    assert check_content_type(content_type) == content_type


@pytest.mark.parametrize(
    ("key", "path", "content_type"),
    [
        ("d/t.csv", "/home/x/t.csv", None),
        ("d/t", "/home/x/t.csv", "text/csv"),
        ("d/t.json", "/home/x/t.csv", None),
        ("d/t", "/home/x/t", "application/octet-stream"),
    ],
)
def test_an_upload_takes_the_type_of_the_file_where_the_key_says_nothing(
    key: str, path: str, content_type: str | None
) -> None:
    found = content_type_of_upload(key, path) or guess_content_type(key)
    assert found == (content_type or guess_content_type(key))
