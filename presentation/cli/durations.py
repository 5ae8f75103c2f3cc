"""Durations as people write them."""

from __future__ import annotations

import re

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def seconds(text: str, option: str) -> int:
    """`90`, `90s`, `15m`, `1h`, `7d`, `2w` as seconds.

    Args:
        option: the option that it was given to, for the message.

    Raises:
        InvalidRequest: it is none of these.
    """
    from domain.errors import InvalidRequest

    found = re.fullmatch(r"(\d{1,9})\s*([smhdw]?)", text.strip(), re.ASCII)
    if not found:
        raise InvalidRequest(f"{option} {text!r} is no duration; write for example 90s, 15m, 1h or 7d")
    return int(found[1]) * _SECONDS[found[2]]
