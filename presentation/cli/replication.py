"""The command that copies a prefix from the active store to another one."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from presentation.cli.options import (
    Bandwidth,
    Bucket,
    Concurrency,
    CreateBucket,
    Json,
    RequestsPerSecond,
    examples,
    limits,
    open_provider,
)
from presentation.cli.plan_options import (
    Backup,
    Checksum,
    Choices,
    Delete,
    DryRun,
    Exclude,
    Force,
    Include,
    MaxDelete,
    MaxFiles,
    SizeMax,
    SizeMin,
    SizeOnly,
    comparison,
)

if TYPE_CHECKING:
    from application.filters import Filters
    from domain.storage import IStorageProvider


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(
        epilog=examples(
            "storage replicate datasets/ --to r2",
            "storage replicate datasets/ --to s3 --to-env other-account.env --report copies.jsonl",
        )
    )(replicate)


def replicate(
    prefix: Annotated[str, typer.Argument(help="Whose objects are copied; '' for all.", show_default=False)],
    to: Annotated[
        str, typer.Option("--to", metavar="PROVIDER", help="The provider of the other store.", show_default=False)
    ],
    to_env: Annotated[
        str | None,
        typer.Option(
            "--to-env", metavar="FILE", help="Its settings, as NAME=VALUE lines; nothing else is taken for it."
        ),
    ] = None,
    to_bucket: Annotated[str | None, typer.Option("--to-bucket", metavar="NAME", help="Another bucket there.")] = None,
    to_prefix: Annotated[
        str | None, typer.Option("--to-prefix", metavar="PREFIX", help="Where they go. Default: the same prefix.")
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Ask both stores again at the end, and write key, size, SHA-256 and verdict."
        ),
    ] = None,
    dry_run: DryRun = False,
    size_only: SizeOnly = False,
    checksum: Checksum = False,
    delete: Delete = False,
    max_delete: MaxDelete = None,
    force: Force = False,
    backup: Backup = False,
    include: Include = None,
    exclude: Exclude = None,
    size_min: SizeMin = None,
    size_max: SizeMax = None,
    max_files: MaxFiles = None,
    concurrency: Concurrency = None,
    bandwidth: Bandwidth = None,
    requests_per_second: RequestsPerSecond = None,
    bucket: Bucket = None,
    create_bucket: CreateBucket = False,
    as_json: Json = False,
) -> None:
    """Copy what differs from the active store to another one: by the store itself where both are one, else through here.

    Content type, metadata and SHA-256 are kept, and the copy is verified. --create-bucket is about the other store.
    """
    from application.transfers import plan_replication
    from config.provider import storage_provider_named
    from config.state import hold_pair, known_hashes
    from presentation.cli.carrying_out import carry_out, warn
    from presentation.cli.exit_codes import FAILED, INTERRUPTED
    from presentation.cli.progress import planning
    from presentation.cli.transfer_report import show_plan

    choices = Choices.made(
        compare=comparison(size_only, checksum),
        include=include,
        exclude=exclude,
        size_min=size_min,
        size_max=size_max,
        max_files=max_files,
        delete=delete,
        max_delete=max_delete,
        force=force,
        backup=backup,
    )
    bounds = limits(concurrency, bandwidth, requests_per_second)
    origin = open_provider(bucket, limits=bounds)
    other = open_provider(to_bucket, create_bucket=create_bucket, provider=storage_provider_named(to, to_env, bounds))
    there = prefix if to_prefix is None else to_prefix
    known = known_hashes()
    with hold_pair(f"{origin.describe().url}/{prefix}", other, there):
        with planning(as_json) as planned:
            options = choices.plan_options(planned.seen)
            plan = plan_replication(origin, prefix, other, there, options, known=known)
        if dry_run:
            warn(plan, as_json=as_json)
            show_plan(plan, as_json=as_json)
            return
        try:
            carry_out(other, plan, as_json=as_json, origin=origin, known=known, bucket=to_bucket)
        except SystemExit as ended:
            if report is not None and ended.code != INTERRUPTED:
                _report(report, origin, prefix, other, there, options.filters)
            raise
        if report is not None and _report(report, origin, prefix, other, there, options.filters):
            sys.exit(FAILED)


def _report(
    path: str, origin: IStorageProvider, prefix: str, other: IStorageProvider, there: str, filters: Filters
) -> int:
    """Write the report; the number of objects that are not the same."""
    from application.replication import replicated
    from domain.local_files import ReplacementFile, printable_path

    wrong = 0
    with ReplacementFile(path) as file:
        for copy in replicated(origin, prefix, other, there, filters):
            wrong += copy.verdict != "same"
            file.write(f"{json.dumps(copy._asdict())}\n".encode())
        file.commit()
    if wrong:
        differ = "1 object is" if wrong == 1 else f"{wrong:,} objects are"
        print(f"storage: {differ} not the same; {printable_path(path)} names them", file=sys.stderr)
    return wrong
