"""The `storage` command and its subcommands."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from presentation.cli import about, costs, objects, signing, transfers, uploads
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
for group in (objects, transfers, signing, uploads, costs, about):
    group.register(app)
