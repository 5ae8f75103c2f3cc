"""Commands on what killed uploads left at the store."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from presentation.cli.options import Bucket, Json, examples, open_provider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from domain.objects import UnfinishedUpload
    from domain.storage import IStorageProvider

_Prefix = Annotated[str, typer.Argument(help="Only keys that start so.", show_default=False)]
_OlderThan = Annotated[str, typer.Option(metavar="TIME", help="Only those begun so long ago: 15m, 1h, 7d.")]


def register(app: typer.Typer) -> None:
    """Add this group to `app`."""
    uploads = typer.Typer(
        help="Unfinished uploads: large files in parts, of programs that are under way or were killed. Their parts take "
        "up room (and cost) until they are aborted; no reader sees them."
    )
    uploads.command("list", epilog=examples("storage uploads list", "storage uploads list runs/ --older-than 1d"))(
        list_
    )
    uploads.command(epilog=examples("storage uploads abort --older-than 7d --yes"))(abort)
    app.add_typer(uploads, name="uploads")


def list_(prefix: _Prefix = "", older_than: _OlderThan = "0s", bucket: Bucket = None, as_json: Json = False) -> None:
    """List unfinished uploads: when each was begun, its key and its id."""
    from presentation.cli.output import emit_json, printable

    for upload in _found(open_provider(bucket), prefix, older_than):
        if as_json:
            emit_json(upload._asdict())
        else:
            begun = f"{upload.started.isoformat()[:19]}Z" if upload.started else "-"
            print(f"{begun:>20} {printable(upload.key)}  {upload.upload_id}")


def abort(
    prefix: _Prefix = "",
    older_than: _OlderThan = "1d",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Give up unfinished uploads and free their parts. Younger ones may be under way, and stay."""
    from domain.errors import InvalidRequest
    from presentation.cli.output import counted, emit_json

    provider = open_provider(bucket)
    found = list(_found(provider, prefix, older_than))
    if found and not yes:
        question = f"abort {len(found):,} unfinished uploads in {provider.describe().url}?"
        if not sys.stdin.isatty():
            raise InvalidRequest(f"would {question[:-1]}; add --yes", provider=provider.name)
        typer.confirm(question, abort=True, err=True)
    for upload in found:
        provider.abort_upload(upload)
    if as_json:
        emit_json({"aborted": len(found)})
    else:
        print(f"aborted {counted(len(found), 'upload')}", file=sys.stderr)


def _found(provider: IStorageProvider, prefix: str, older_than: str) -> Iterator[UnfinishedUpload]:
    from presentation.cli.durations import seconds

    latest = datetime.now(UTC) - timedelta(seconds=seconds(older_than, "--older-than"))
    for upload in provider.unfinished_uploads(prefix):
        if upload.started is None or upload.started <= latest:
            yield upload
