"""Commands on what transfers deleted or replaced: undo, and the trash itself."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from presentation.cli.options import Bucket, Json, examples, open_provider

if TYPE_CHECKING:
    from application.trash import Trash, UndoReport
    from domain.trash import TrashRecord

_Id = Annotated[str, typer.Argument(metavar="ID", help="As 'storage trash list' shows it.", show_default=False)]
_Local = Annotated[
    str | None,
    typer.Option("--local", metavar="FOLDER", help="The trash of this folder, not the store's.", show_default=False),
]
_Force = Annotated[
    bool, typer.Option("--force", help="Replace what is in the place of a deleted one; it goes to the trash.")
]


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(
        epilog=examples("storage undo", "storage undo --local back/", "storage undo 20261120T224549Z-1e240a7f")
    )(undo)
    trash = typer.Typer(
        help="What a sync deleted, or replaced with --backup: kept under deleted/ in the store, or in .lading/trash of "
        "the folder, until it is brought back or emptied. 'storage undo' brings back all of one record."
    )
    trash.command("list", epilog=examples("storage trash list", "storage trash list 20261120T224549Z-1e240a7f"))(list_)
    trash.command(epilog=examples("storage trash restore 20261120T224549Z-1e240a7f runs/42/ notes.txt"))(restore)
    trash.command(
        epilog=examples("storage trash empty --older-than 90d --yes", "storage trash empty --local back/ -y")
    )(empty)
    app.add_typer(trash, name="trash")


def undo(
    trash_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Default: the newest record.", show_default=False)
    ] = None,
    local: _Local = None,
    force: _Force = False,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Bring back what a sync deleted or replaced.

    What was put in the place of a replaced object since goes to the trash in turn, so that an undo can be undone. What
    is in the place of a deleted one stays, and the exit code is 6.
    """
    from application.trash import undo as bring_back

    _conclude(bring_back(_trash(local, bucket), trash_id, force=force), as_json=as_json)


def list_(
    trash_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Show what this record names.", show_default=False)
    ] = None,
    local: _Local = None,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """List what is in the trash, oldest first: id, time, number of objects, bytes, why and by whom."""
    from application.trash import records
    from domain.errors import StorageError
    from presentation.cli.output import counted, emit_json, printable, report_error

    trash = _trash(local, bucket)
    if trash_id:
        for entry in trash.record(trash_id).entries:
            if as_json:
                emit_json(entry._asdict())
            else:
                print(f"{entry.size:>12} {'replaced' if entry.replaced else 'deleted':<8} {printable(entry.name)}")
        return
    worst = 0
    for _, record in records(trash):
        if isinstance(record, StorageError):
            worst = worst or report_error(record)
        elif as_json:
            emit_json(_as_dict(record))
        else:
            when = f"{record.when.isoformat()[:19]}Z"
            count = counted(len(record.entries), "object")
            print(
                f"{record.id} {when} {count:>16} {record.size:>14,} bytes  {printable(f'{record.why} ({record.who})')}"
            )
    if worst:
        sys.exit(worst)


def restore(
    trash_id: _Id,
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Objects or folders of them.", show_default=False)
    ],
    local: _Local = None,
    force: _Force = False,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Bring back some of what a record names."""
    from application.trash import restore as bring_back

    _conclude(bring_back(_trash(local, bucket), trash_id, names, force=force), as_json=as_json)


def empty(
    older_than: Annotated[str, typer.Option(metavar="TIME", help="Only records so old: 12h, 30d; 0s for all.")] = "30d",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    local: _Local = None,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Delete for good what has been in the trash for long."""
    from application.trash import empty as delete_records
    from domain.errors import InvalidRequest
    from domain.trash import time_of
    from presentation.cli.durations import seconds
    from presentation.cli.output import counted, emit_json, human_size

    trash = _trash(local, bucket)
    latest = datetime.now(UTC) - timedelta(seconds=seconds(older_than, "--older-than"))
    held = {trash_id: trash.held(trash_id) for trash_id in trash.ids() if time_of(trash_id) <= latest}
    count, size = sum(count for count, _ in held.values()), sum(size for _, size in held.values())
    if held and not yes:
        question = f"delete {counted(count, 'object')} ({human_size(size)}) for good from the trash of {trash.place}?"
        if not sys.stdin.isatty():
            raise InvalidRequest(f"would {question[:-1]}; add --yes")
        typer.confirm(question, abort=True, err=True)
    try:
        delete_records(trash, held)
    except KeyboardInterrupt:
        _interrupted()
    if as_json:
        emit_json({"records": len(held), "deleted": count, "bytes": size})
    else:
        said = f"deleted {counted(len(held), 'record')} with {counted(count, 'object')}, {human_size(size)}"
        print(said if held else f"nothing has been in the trash for {older_than}", file=sys.stderr)


def _trash(local: str | None, bucket: str | None) -> Trash:
    from application.trash import trash_of_folder, trash_of_store

    if local is None:
        return trash_of_store(open_provider(bucket))
    if bucket is not None:
        raise typer.BadParameter("a folder has no buckets: give --local or --bucket")
    return trash_of_folder(os.path.expanduser(local))  # a shell leaves the '~' of --local=~/data as it is


def _as_dict(record: TrashRecord) -> dict[str, object]:
    told = {name: getattr(record, name) for name in ("id", "when", "who", "why", "undoes")}
    return told | {"count": len(record.entries), "bytes": record.size}


def _conclude(report: UndoReport, *, as_json: bool) -> None:
    from presentation.cli.exit_codes import exit_code
    from presentation.cli.output import counted, emit_json, human_size, report_error

    if as_json:
        emit_json(
            {
                "id": report.id,
                "restored": report.restored,
                "bytes": report.size,
                "unchanged": report.unchanged,
                "saved_as": report.saved_as,
                "conflicts": [entry.name for entry, _ in report.conflicts],
                "failed": [{"name": entry.name, "error": str(error)} for entry, error in report.failures],
                "interrupted": report.interrupted,
                "finished": report.finished,
            }
        )
    else:
        restored = f"restored {counted(report.restored, 'object')}"
        saved = f"; what they replaced is in the trash as {report.saved_as}" if report.saved_as else ""
        print(f"{restored}, {human_size(report.size)}, {report.unchanged:,} unchanged{saved}", file=sys.stderr)
    for _, error in [*report.conflicts, *report.failures]:
        report_error(error)
    if report.interrupted:
        _interrupted()
    if report.stopped_by:
        raise report.stopped_by
    for _, error in [*report.conflicts, *report.failures]:
        sys.exit(exit_code(error))


def _interrupted() -> None:
    from presentation.cli.exit_codes import INTERRUPTED

    print("storage: interrupted; run this again to go on", file=sys.stderr)
    sys.exit(INTERRUPTED)
