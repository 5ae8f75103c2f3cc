"""How answers are worded."""

from __future__ import annotations

import pytest

from presentation.cli.output import counted


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 objects"), (1, "1 object"), (2, "2 objects"), (12_345, "12,345 objects")]
)
def test_a_number_agrees_with_its_noun(number: int, said: str) -> None:
    assert counted(number, "object") == said
