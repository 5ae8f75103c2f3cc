"""Where a key's file is: nothing is lost on the way to a path and back, and no two keys meet."""

from __future__ import annotations

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from infrastructure.storage.local.layout import INTERNAL, escaped, is_ordinary, unescaped

NASTY = st.sampled_from("ab./+%_-A Zé\0\n~2e\u00a0日😀")
ANY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)
LONG = st.builds(lambda count, end: "a" * count + end, st.integers(170, 190), st.text(NASTY, max_size=12))
REPEATED = st.builds(lambda part, count: part * count, st.text(NASTY, min_size=1, max_size=9), st.integers(1, 200))
KEYS = st.one_of(ANY, LONG, REPEATED, st.text(NASTY, min_size=1, max_size=400)).filter(
    lambda key: 0 < len(key.encode()) <= 1024
)
PATHS = st.one_of(
    st.text("ab+%/.20ef", max_size=40),
    st.text(st.characters(), max_size=30),
    st.builds(
        lambda count, end: "a" * count + end, st.integers(178, 182), st.sampled_from(["+/", "+/b", "+", "/b", ""])
    ),
)


def naively_ordinary(key: str) -> bool:
    names = key.split("/")
    return names[0] != ".lading" and all(
        name not in {"", ".", ".."} and "\0" not in name and len(name.encode()) <= 255 for name in names
    )


@settings(deadline=None, max_examples=300)
@given(KEYS)
@example("a" * 1024)
@example("\0" * 1024)
@example("日" * 341)
@example("a" * 179 + "%")
@example("a" * 178 + "%")
@example("a" * 180 + ".")
@example("a" * 180 + "..")
def test_an_escaped_key_comes_back(key: str) -> None:
    assert unescaped(escaped(key)) == key


@settings(deadline=None, max_examples=300)
@given(KEYS)
@example(".")
@example("..")
@example("a" * 180 + "..")
@example("A" * 1024)
def test_an_escaped_key_is_a_path_for_every_file_system(key: str) -> None:
    names = escaped(key).split("/")
    assert all(0 < len(name.encode()) <= 255 for name in names)
    assert not {".", ".."} & set(names)
    assert not any(character.isupper() for character in "".join(names))
    assert "".join(names).isascii()


@st.composite
def pairs(draw: st.DrawFn) -> tuple[str, str]:
    """Two keys, likely to be close: one begins with the other, or they differ by case, or by their form after escaping."""
    first = draw(KEYS)
    second = draw(
        st.one_of(
            KEYS,
            st.integers(1, len(first)).map(lambda end: first[:end]),
            st.text(NASTY, min_size=1, max_size=5).map(lambda end: first + end),
            st.sampled_from([first.swapcase(), escaped(first), first.replace("/", ""), first + "/", first + "+"]),
        )
    )
    assume(second and len(second.encode()) <= 1024 and first != second)
    return first, second


@settings(deadline=None, max_examples=400)
@given(pairs())
@example(("a" * 180, "a" * 181))
@example(("a" * 180, "a" * 180 + "+"))
@example(("a" * 180 + "+", "a" * 180 + "+/b"))
@example(("A", "a"))
@example(("%61", "a"))
def test_two_keys_never_share_a_path_nor_does_one_need_a_folder_where_the_other_is_a_file(
    keys: tuple[str, str],
) -> None:
    first, second = escaped(keys[0]).casefold(), escaped(keys[1]).casefold()
    assert first != second
    assert not first.startswith(second + "/")
    assert not second.startswith(first + "/")


@settings(deadline=None, max_examples=300)
@given(PATHS)
def test_a_path_that_no_key_makes_has_no_key(path: str) -> None:
    key = unescaped(path)
    assert key is None or (key and escaped(key) == path)


@settings(deadline=None, max_examples=300)
@given(st.one_of(KEYS, st.lists(st.sampled_from(["", ".", "..", "a", INTERNAL, "x" * 255, "x" * 256])).map("/".join)))
@example("é" * 127 + "/" + "é" * 128)
@example(".lading")
@example(".lading/x")
@example(".ladings/x")
@example("x/.lading/y")
@example("a\n")
@example(".lading\n")
@example("...")
@example("a/..b")
def test_ordinary_means_that_the_key_can_be_a_relative_path(key: str) -> None:
    assume(key)
    assert is_ordinary(key) == naively_ordinary(key)
