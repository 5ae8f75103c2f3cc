"""Durations as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidRequest
from presentation.cli.durations import seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("90", 90),
        ("90s", 90),
        ("15m", 900),
        ("1h", 3600),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("007d", 604_800),
        (" 1h ", 3600),
        ("1 h", 3600),
        ("999999999", 999_999_999),
    ],
)
def test_a_number_and_a_unit_are_seconds(text: str, expected: int) -> None:
    assert seconds(text, "--expires") == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "h",
        "1.5h",
        "1,5h",
        "-1h",
        "+1h",
        "1H",
        "1hour",
        "1h30m",
        "1y",
        "1e3",
        "٣h",
        "1ｈ",
        "1000000000",
        "0x1",
        "1_0",
    ],
)
def test_anything_else_is_refused_with_the_option_and_an_example(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        seconds(text, "--older-than")
    assert caught.value.message.startswith(f"--older-than {text!r} is no duration; write for example 90s")


@given(st.text(st.characters(categories=("Nd", "Lu", "Ll", "Zs", "Po", "Pd"))))
def test_any_text_is_seconds_or_a_refusal(text: str) -> None:
    try:
        found = seconds(text, "--expires")
    except InvalidRequest:
        return
    assert 0 <= found < 10**9 * 604_800
