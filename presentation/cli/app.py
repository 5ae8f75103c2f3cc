"""The `storage` command: its subcommands, and what an error becomes."""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from presentation.cli import about, objects, transfers
from presentation.cli.exit_codes import EXIT_CODES_HELP, INTERNAL, INTERRUPTED


class _StorageGroup(TyperGroup):
    """Runs a subcommand; an error becomes one sentence on stderr and its exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Answer the plain cry for help at once: typer imports pydantic to parse any option, also `--help`."""
        if args in ([], ["-h"], ["--help"]):
            print(self.get_help(ctx))
            ctx.exit()
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        from domain.errors import StorageError
        from presentation.cli.output import report_error

        try:
            return super().invoke(ctx)
        except StorageError as error:
            sys.exit(report_error(error))
        except KeyboardInterrupt:
            print("storage: interrupted; nothing was left half-written", file=sys.stderr)
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            # Whoever read our output, such as `head`, has had enough. The interpreter must not flush into the pipe again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            if type(error).__module__.split(".")[0] in {"click", "typer"} or os.environ.get("STORAGE_DEBUG"):
                raise  # a usage error, which typer shows; or somebody who wants the traceback
            print(
                f"storage: internal error ({type(error).__name__}: {error}); "
                "set STORAGE_DEBUG=1, run it again, and report what it prints",
                file=sys.stderr,
            )
            sys.exit(INTERNAL)


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
for group in (objects, transfers, about):
    group.register(app)
