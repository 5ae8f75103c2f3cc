"""The `storage` command and its subcommands."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from presentation.cli.ending import ending
from presentation.cli.exit_codes import EXIT_CODES_HELP


class _StorageGroup(TyperGroup):
    """Runs a subcommand, and ends as a command should."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Answer the plain cry for help at once: typer imports pydantic to parse any option, also `--help`."""
        if args in ([], ["-h"], ["--help"]) and not ctx.resilient_parsing:
            with ending():
                print(self.get_help(ctx))
            ctx.exit()
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        # Inside of typer, which has its own way with an interrupt and a closed pipe.
        with ending():
            return super().invoke(ctx)


_GROUPS = {
    "objects": ("list", "stat", "cat", "copy", "delete"),
    "transfers": ("upload", "download"),
    "sync": ("sync", "apply"),
    "replication": ("replicate",),
    "verification": ("verify", "check"),
    "trash": ("undo", "trash"),
    "datasets": ("dataset",),
    "cas": ("cas",),
    "garbage": ("gc",),
    "retention": ("retention",),
    "signing": ("presign",),
    "uploads": ("uploads",),
    "costs": ("cost",),
    "about": ("info", "providers"),
}
"""The modules of the commands, in the order of the help."""


def application(command: str = "") -> typer.Typer:
    """The program with this command alone, or with all where there is no such command.

    Typer looks at every option of every command that it knows, which takes longer than many a command does.
    """
    app = typer.Typer(
        name="storage",
        cls=_StorageGroup,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # typer's rich help imports a Markdown parser and doubles the time of --help
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Objects on local disk or in a cloud bucket, by the same commands. STORAGE_PROVIDER says where they are; "
        "without it they are in a folder on this machine.",
        epilog=EXIT_CODES_HELP,
    )
    app.callback()(lambda: None)  # one command alone stays a command, with its name
    for module in [name for name, commands in _GROUPS.items() if command in commands] or _GROUPS:
        import_module(f"presentation.cli.{module}").register(app)
    return app
