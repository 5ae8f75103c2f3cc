"""The command that frees what nothing needs any more: gc."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from presentation.cli.options import Bucket, Json, examples, open_provider

if TYPE_CHECKING:
    from collections.abc import Sequence

    from application.garbage.report import GarbageReport, Item, PlaceReport

_SHOWN = 20
"""Keys that a dry run shows a person of each kind."""


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(
        epilog=examples(
            "storage gc --dry-run",
            "storage gc",
            "storage gc --dvc-repo ~/code/survey --dvc-repo ~/code/pipeline",
            "storage gc --sole-owner --grace 30d --json",
        )
    )(gc)


def gc(
    grace: Annotated[
        str,
        typer.Option(metavar="TIME", help="How long content must be unused: 12h, 7d; 0s deletes at once."),
    ] = "7d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")] = False,
    dvc_repo: Annotated[
        list[str] | None,
        typer.Option(
            "--dvc-repo",
            metavar="PATH",
            help="Clean the DVC store too, but for what any commit of this git repository names; once for each that there is.",
            show_default=False,
        ),
    ] = None,
    sole_owner: Annotated[
        bool,
        typer.Option("--sole-owner", help="Clean the DVC store too: nobody but this store's versions needs it."),
    ] = False,
    allow_missing: Annotated[
        bool,
        typer.Option("--allow-missing", help="Go on where a repository names a folder that was never pushed here."),
    ] = False,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Go on where nothing is in use at all, and all may go.")
    ] = False,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Delete content that no version of a dataset and no pin needs any more.

    Done in two phases. What is unused for the grace period is condemned; a later run deletes what was condemned for as
    long, and is unused still. While a version is being made nothing is deleted, so it loses nothing. What plain dvc pushed may be
    needed by others, so its part of the store is cleaned only with --dvc-repo or --sole-owner.

    On a bucket that keeps old versions of objects, room is free only when these are deleted as well.
    """
    from application.garbage.collecting import collect_garbage
    from config.content import dvc_store
    from config.garbage import named_by_repositories
    from presentation.cli.durations import seconds
    from presentation.cli.exit_codes import exit_code
    from presentation.cli.output import report_error
    from presentation.cli.progress import planning

    waited = timedelta(seconds=min(seconds(grace, "--grace"), 10**10))
    repositories = [Path(repository).expanduser() for repository in dvc_repo or ()]
    provider = open_provider(bucket)
    counted = 0
    with planning(as_json, "looking for what is in use") as shown:

        def seen(count: int) -> None:
            nonlocal counted
            counted += count
            shown.seen(counted)

        report = collect_garbage(
            provider,
            dvc=dvc_store(provider) if repositories or sole_owner else None,
            named=named_by_repositories(repositories) if repositories else None,
            allow_missing=allow_missing,
            grace=waited,
            allow_empty=allow_empty,
            dry_run=dry_run,
            seen=seen,
        )
    if as_json:
        _print_json(report, waited)
    else:
        _print(report, waited)
    failures = [failure for place in report.places for failure in place.failures]
    for failure in failures:
        report_error(failure)
    if failures:
        sys.exit(exit_code(failures[0]))


def _print_json(report: GarbageReport, grace: timedelta) -> None:
    from presentation.cli.output import emit_json

    if report.dry_run:
        for place in report.places:
            for event, items in (("would delete", place.deleted), ("would condemn", place.condemned)):
                for one in items:
                    emit_json({"event": event, **one._asdict()})
    emit_json(
        {
            "event": "summary",
            "dry_run": report.dry_run,
            "places": [_as_dict(place, grace) for place in report.places],
            "deferred_by": [writer._asdict() for writer in report.deferred_by],
            "leftovers": report.leftovers,
        }
    )


def _as_dict(place: PlaceReport, grace: timedelta) -> dict[str, Any]:
    return {
        "name": place.name,
        "place": place.place,
        "kept": place.kept,
        "kept_bytes": place.kept_size,
        "young": place.young,
        "young_bytes": place.young_size,
        "condemned": len(place.condemned),
        "condemned_bytes": _size(place.condemned),
        "deletable_from": _deletable_from(place.condemned, grace),
        "deleted": len(place.deleted),
        "deleted_bytes": _size(place.deleted),
        "failed": [{"key": failure.key, "error": str(failure)} for failure in place.failures],
    }


def _print(report: GarbageReport, grace: timedelta) -> None:
    from presentation.cli.output import counted, human_time, printable

    would = "would be " if report.dry_run else ""
    for place in report.places:
        said = [f"{place.kept:,} in use ({_human(place.kept_size)})", f"{place.young:,} too young"]
        said.append(f"{len(place.condemned):,} {would}condemned ({_human(_size(place.condemned))})")
        if moment := _deletable_from(place.condemned, grace):
            said[-1] += f" until {human_time(moment)} at least"
        said.append(f"{len(place.deleted):,} {would}deleted ({_human(_size(place.deleted))})")
        print(f"{place.name} in {printable(place.place)}: {', '.join(said)}", file=sys.stderr)
        if report.dry_run:
            _show("would delete", place.deleted)
            _show("would condemn", place.condemned)
    for writer in report.deferred_by:
        print(f"put off, for somebody is writing: {printable(str(writer))}", file=sys.stderr)
    if report.leftovers:
        removed = "would remove" if report.dry_run else "removed"
        print(f"{removed} {counted(report.leftovers, 'trace')} of programs that were killed", file=sys.stderr)


def _show(what: str, items: Sequence[Item]) -> None:
    from presentation.cli.output import printable

    for one in items[:_SHOWN]:
        print(f"{what} {one.size:>12} {printable(one.key)}")
    if len(items) > _SHOWN:
        print(f"{what} {len(items) - _SHOWN:,} more; --json names them all")


def _deletable_from(items: Sequence[Item], grace: timedelta) -> Any:
    return min(one.since for one in items) + grace if items else None


def _size(items: Sequence[Item]) -> int:
    return sum(one.size for one in items)


def _human(size: int) -> str:
    from presentation.cli.output import human_size

    return human_size(size)
