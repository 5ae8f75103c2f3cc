"""The two paths of a transfer, given as arguments or as options."""

from __future__ import annotations

import os
from typing import Annotated

import typer

Local = Annotated[str | None, typer.Argument(help="A file or folder on this machine.", show_default=False)]
Remote = Annotated[
    str | None, typer.Argument(help="A key, or the prefix that a folder's contents have.", show_default=False)
]
LocalOption = Annotated[str | None, typer.Option("--local", help="LOCAL, as an option.", show_default=False)]
RemoteOption = Annotated[str | None, typer.Option("--remote", help="REMOTE, as an option.", show_default=False)]


def once(argument: str | None, option: str | None, name: str, default: str | None = None) -> str:
    """What was given as an argument or as an option.

    Raises:
        typer.BadParameter: twice, or not at all where there is no default.
    """
    if argument is not None and option is not None:
        raise typer.BadParameter(f"give {name} once: as an argument or as --{name.lower()}")
    given = argument if argument is not None else option if option is not None else default
    if given is None:
        raise typer.BadParameter(f"{name} is missing", param_hint=name)
    if name == "LOCAL" and not given:
        raise typer.BadParameter("LOCAL is empty; '.' is this folder", param_hint=name)
    # A shell expands '~' in an argument of its own, but not in --local=~/data or in a variable.
    return os.path.expanduser(given) if name == "LOCAL" else given
