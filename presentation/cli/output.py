"""Each answer has two faces: rich for a person, JSON for a program. Answers go to stdout, all else to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from presentation.cli.exit_codes import exit_code

if TYPE_CHECKING:
    from rich.console import Console

    from domain.errors import StorageError
    from domain.objects import ObjectInfo


def emit_json(value: object) -> None:
    """Print one value on one line."""
    sys.stdout.write(json_line(value))


def json_line(value: object) -> str:
    """One value as a line of JSON, with its end."""
    return json.dumps(value, default=_plain) + "\n"  # in ASCII, which any stream and terminal takes


def json_pieces(head: Mapping[str, object], lists: Mapping[str, Iterable[object]], *, line: str = "") -> Iterator[str]:
    """A JSON object, piece by piece: what is in `head`, and lists that are too long to be held twice.

    Args:
        line: what stands before each item, such as a new line.
    """
    yield json.dumps(head, default=_plain)[:-1]
    for name, items in lists.items():
        yield f', {line}"{name}": ['
        for number, item in enumerate(items):
            yield f"{', ' if number else ''}{line}{json.dumps(item, default=_plain)}"
        yield f"{line}]"
    yield f"{line}}}\n"


def report_error(error: StorageError) -> int:
    """Print an error as one sentence, in JSON where the command line asks for it; its exit code."""
    code = exit_code(error)
    if "--json" in sys.argv:
        said = {"error": str(error), "kind": type(error).__name__, "key": error.key, "exit_code": code}
        print(json.dumps(said), file=sys.stderr)
    else:
        print(f"storage: {printable(str(error))}", file=sys.stderr)
    return code


def printable(text: str) -> str:
    """`text` with everything that could drive a terminal or break a line written as an escape."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def object_as_dict(info: ObjectInfo) -> dict[str, Any]:
    """What is known of an object, by name; what a listing does not know is left out."""
    return {name: value for name, value in info._asdict().items() if value is not None}


def answers() -> Console:
    """The console of answers: stdout; wide where nobody looks, so that no line breaks."""
    from rich.console import Console

    class Answers(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would exit with 1

    return Answers(width=None if sys.stdout.isatty() else 160)


def counted(number: int, noun: str) -> str:
    """A number with its noun, which has an s but for one."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def human_size(size: int) -> str:
    """Bytes in decimal units, as `1.2 MB`."""
    from rich.filesize import decimal

    return decimal(size)


def human_time(moment: datetime) -> str:
    """A time on this machine's clock."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def print_facts(facts: Mapping[str, object]) -> None:
    """Print names with values, one a line."""
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {printable(str(value))}")


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)
