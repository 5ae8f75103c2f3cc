"""The commands on what is kept of datasets, and for how long: retention."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from presentation.cli.options import Bucket, Json, examples, open_provider

if TYPE_CHECKING:
    from domain.datasets import DatasetVersion


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    retention = typer.Typer(help="Which versions of datasets are kept.")
    retention.callback()(lambda: None)
    retention.command(
        epilog=examples(
            "storage retention apply --keep-last 5 --keep-tagged --dry-run",
            "storage retention apply m13-raw m13-flat --younger-than 90d --keep-tag paper --yes",
        )
    )(apply)
    app.add_typer(retention, name="retention")


def apply(
    dataset_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Datasets; default: all.", show_default=False)
    ] = None,
    keep_last: Annotated[
        int | None,
        typer.Option("--keep-last", min=1, metavar="N", help="Keep so many of the latest.", show_default=False),
    ] = None,
    keep_tagged: Annotated[bool, typer.Option("--keep-tagged", help="Keep every version that has a tag.")] = False,
    keep_tag: Annotated[
        list[str] | None,
        typer.Option("--keep-tag", metavar="TAG", help="Keep every version that has this tag.", show_default=False),
    ] = None,
    younger_than: Annotated[
        str | None,
        typer.Option("--younger-than", metavar="TIME", help="Keep what is younger: 12h, 30d.", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Remove the versions of datasets that no rule keeps.

    A version is kept if any rule given keeps it. The latest of each dataset and those that an alias names are kept in any case.
    What is removed stays in the lineage; 'storage gc' frees the room that it took.
    """
    from application.dataset_records import DatasetRecords
    from application.retention import RetentionRules, judged, remove_versions
    from domain.errors import InvalidRequest
    from presentation.cli.durations import seconds
    from presentation.cli.output import counted, emit_json

    age = None if younger_than is None else timedelta(seconds=min(seconds(younger_than, "--younger-than"), 10**10))
    rules = RetentionRules(keep_last, keep_tagged, tuple(keep_tag or ()), age)
    provider = open_provider(bucket)
    records = DatasetRecords(provider)
    found = list(judged(records, dataset_ids or None, rules))
    going = [version for version, kept_by in found if not kept_by]
    if dry_run:
        for version, kept_by in found:
            if as_json:
                event = "would keep" if kept_by else "would remove"
                emit_json({"event": event, **_as_dict(version), "kept_by": kept_by or None})
            else:
                print(_line(version, f"keep    {kept_by}" if kept_by else "remove"))
    elif going and not yes:
        datasets = len({version.dataset_id for version in going})
        question = (
            f"remove {counted(len(going), 'version')} of {counted(datasets, 'dataset')} in {provider.describe().url} "
            f"({len(found) - len(going):,} stay)?"
        )
        if not sys.stdin.isatty():
            raise InvalidRequest(f"would {question[:-1]}; look at them with --dry-run, then add --yes")
        typer.confirm(question, abort=True, err=True)
    removed = 0

    def tell(version: DatasetVersion) -> None:
        nonlocal removed
        removed += 1
        if as_json:
            emit_json({"event": "removed", **_as_dict(version)})

    if not dry_run:
        remove_versions(records, going, rules, removed=tell)
    if as_json:
        count = len(going) if dry_run else removed
        emit_json({"event": "summary", "dry_run": dry_run, "removed": count, "kept": len(found) - count})
    elif dry_run:
        print(f"would remove {counted(len(going), 'version')}, {len(found) - len(going):,} stay", file=sys.stderr)
    else:
        after = "; 'storage gc' frees their room" if removed else ""
        print(f"removed {counted(removed, 'version')}, {len(found) - removed:,} stay{after}", file=sys.stderr)


def _as_dict(version: DatasetVersion) -> dict[str, Any]:
    return {
        "dataset_id": version.dataset_id,
        "version": version.version,
        "created": version.created,
        "files": version.files,
        "bytes": version.size,
        "tags": list(version.tags),
    }


def _line(version: DatasetVersion, verdict: str) -> str:
    from presentation.cli.output import counted, human_size, printable

    size = f"{counted(version.files, 'file')}, {human_size(version.size)}"
    return printable(f"{version.created:%Y-%m-%d} {version.reference}  {size}  {verdict}")
