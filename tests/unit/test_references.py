"""References to versions, and what datasets, models and aliases can be called."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.errors import InvalidRequest
from domain.versions import Kind, Reference, Wanted, check_alias, check_id, id_of_segment, id_segment

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("m13", Wanted(Kind.DATASET, "m13", None, "latest")),
        ("m13@3", Wanted(Kind.DATASET, "m13", 3)),
        ("m13@latest", Wanted(Kind.DATASET, "m13", None, "latest")),
        ("m13@train-2026", Wanted(Kind.DATASET, "m13", None, "train-2026")),
        ("m13@3.1", Wanted(Kind.DATASET, "m13", None, "3.1")),
        ("dataset:m13@1", Wanted(Kind.DATASET, "m13", 1)),
        ("model:gear/box@12", Wanted(Kind.MODEL, "gear/box", 12)),
        ("s3:raw@2", Wanted(Kind.DATASET, "s3:raw", 2)),
        ("a b@999999999", Wanted(Kind.DATASET, "a b", 999_999_999)),
    ],
)
def test_what_a_reference_names(text: str, wanted: Wanted) -> None:
    assert Wanted.parse(text) == wanted


@pytest.mark.parametrize(
    "text", ["", "@", "@3", "m@", "m@0", "m@-1", "m@٣", "m@01", "m@1 ", "m@1\n", "m@a@1", "m@9999999999",
             "m@.x", "model:", "model:@1", "model:model:x@1", "\n@1", "m\0@1", " m@1", "..@1", "m@" + "a" * 101]
)  # fmt: skip
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Wanted.parse(text)
    assert len(refused.value.message) < 250


def test_a_reference_without_a_kind_is_of_the_kind_that_is_asked_for() -> None:
    assert Wanted.parse("x@1", Kind.MODEL) == Wanted(Kind.MODEL, "x", 1)
    assert Wanted.parse("dataset:x@1", Kind.MODEL) == Wanted(Kind.DATASET, "x", 1)


@given(st.sampled_from(Kind), names, st.integers(1, 999_999_999))
def test_what_is_written_is_read(kind: Kind, name: str, version: int) -> None:
    try:
        check_id(name, kind)
    except InvalidRequest:
        assume(False)
    told = str(Reference(kind, name, version))
    assert Wanted.parse(told) == Wanted(kind, name, version)
    assert str(Wanted.parse(told)) == told
    assert str(Wanted.parse(told.rpartition("@")[0])) == f"{told.rpartition('@')[0]}@latest"


@given(names)
def test_an_id_is_one_segment_of_a_key_and_comes_back(name: str) -> None:
    try:
        check_id(name)
    except InvalidRequest:
        assume(False)
    segment = id_segment(name)
    assert id_of_segment(segment) == name
    assert "/" not in segment
    assert segment.isascii()
    assert segment.strip(".")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty"),
        ("a@b", "'@'"),
        ("a\nb", "printed"),
        ("a\u202eb", "printed"),
        ("a\ud800", "printed"),
        (" a", "spaces"),
        ("a ", "spaces"),
        ("...", "dots"),
        ("é" * 101, "200 bytes"),
        ("model:a", "of its own"),
        ("dataset:a", "of its own"),
    ],
)
def test_what_is_no_id(name: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        check_id(name)


@pytest.mark.parametrize("name", [None, 3, b"a", ["a"]])
def test_what_is_no_text_is_no_id_and_no_alias(name: object) -> None:
    for check in (check_id, check_alias):
        with pytest.raises(InvalidRequest):
            check(name)  # type: ignore[operator]


@pytest.mark.parametrize(
    "name", ["m13-raw", "a/b/c", "Größe 3", "é" * 100, "models", "model", "x:y", ".a", "日本", "#%"]
)
def test_what_is_an_id(name: str) -> None:
    assert check_id(name) == name


@pytest.mark.parametrize("alias", ["", "3", "00", "²", "a/b", "-a", "ä", "a\n", "a@b", "a" * 101])
def test_what_is_no_alias(alias: str) -> None:
    with pytest.raises(InvalidRequest, match="neither"):
        check_alias(alias)


def test_latest_is_an_alias_that_nobody_sets() -> None:
    assert check_alias("latest", settable=False) == "latest"
    with pytest.raises(InvalidRequest, match="always"):
        check_alias("latest")
    assert check_alias("Latest-1.x") == "Latest-1.x"
