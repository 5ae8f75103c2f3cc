"""Commands that make two sides the same: sync, and apply for a sync that was planned before."""

from __future__ import annotations

import os
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
from presentation.cli.paths import Local, LocalOption, Remote, RemoteOption, once
from presentation.cli.plan_options import (
    Backup,
    Checksum,
    Choices,
    Delete,
    DryRun,
    Exclude,
    Force,
    Include,
    Links,
    MaxDelete,
    MaxFiles,
    SizeMax,
    SizeMin,
    SizeOnly,
    comparison,
)

if TYPE_CHECKING:
    from domain.known_hashes import KnownHashes
    from domain.storage import IStorageProvider
    from domain.transfer import TransferPlan
    from presentation.cli.plan_files import PlannedCommand, SavedPlan


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(
        epilog=examples(
            "storage sync observations/ observations/",
            "storage sync back/ observations/ --direction download",
            "storage sync data/ runs/ --delete --exclude '*.tmp' --dry-run",
            "storage sync",
        )
    )(sync)
    app.command(epilog=examples("storage sync data/ runs/ --delete --plan plan.json", "storage apply plan.json"))(apply)


def sync(
    local: Local = None,
    remote: Remote = None,
    local_option: LocalOption = None,
    remote_option: RemoteOption = None,
    direction: Annotated[str, typer.Option(help="upload or download.", metavar="upload|download")] = "upload",
    dry_run: DryRun = False,
    plan_file: Annotated[
        str | None,
        typer.Option("--plan", metavar="FILE", help="Write the plan there, for 'storage apply', and do nothing."),
    ] = None,
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
    symlinks: Links = "follow",
    concurrency: Concurrency = None,
    bandwidth: Bandwidth = None,
    requests_per_second: RequestsPerSecond = None,
    bucket: Bucket = None,
    create_bucket: CreateBucket = False,
    as_json: Json = False,
) -> None:
    """Move what differs between a folder and a prefix, compared by size and SHA-256. Deletes nothing unless told to.

    Without paths, STORAGE_SYNC_LOCAL (default data/) and STORAGE_SYNC_REMOTE (default datasets/) are used.
    """
    from presentation.cli.plan_files import PlannedCommand

    if direction not in {"upload", "download"}:
        raise typer.BadParameter(f"{direction!r} is neither upload nor download", param_hint="--direction")
    here = local if local is not None else local_option
    there = remote if remote is not None else remote_option
    if here is None or there is None:
        from config.settings import StorageConfig

        config = StorageConfig.from_env()
        here = config.sync_local if here is None else here
        there = config.sync_remote if there is None else there
    folder = once(here, local_option if local is not None else None, "LOCAL")
    if plan_file is not None:
        folder = os.path.join(os.path.abspath(folder), "") if folder.endswith("/") else os.path.abspath(folder)
    command = PlannedCommand(
        direction,
        folder,
        once(there, remote_option if remote is not None else None, "REMOTE"),
        bucket,
        Choices.made(
            compare=comparison(size_only, checksum),
            include=include,
            exclude=exclude,
            size_min=size_min,
            size_max=size_max,
            max_files=max_files,
            symlinks=symlinks,
            delete=delete,
            max_delete=max_delete,
            force=force,
            backup=backup,
        ),
    )
    provider = open_provider(
        bucket, create_bucket=create_bucket, limits=limits(concurrency, bandwidth, requests_per_second)
    )
    if dry_run or plan_file is not None:
        _only_plan(provider, command, plan_file, as_json=as_json)
    else:
        _run(provider, command, None, as_json=as_json)


def apply(
    plan_file: Annotated[str, typer.Argument(metavar="FILE", help="What 'storage sync --plan' wrote.")],
    concurrency: Concurrency = None,
    bandwidth: Bandwidth = None,
    requests_per_second: RequestsPerSecond = None,
    as_json: Json = False,
) -> None:
    """Carry out a plan that was written before, if both sides are still as they were then."""
    from presentation.cli.plan_files import read_plan

    saved = read_plan(plan_file)
    provider = open_provider(saved.command.bucket, limits=limits(concurrency, bandwidth, requests_per_second))
    _run(provider, saved.command, saved, as_json=as_json)


def _only_plan(provider: IStorageProvider, command: PlannedCommand, plan_file: str | None, *, as_json: bool) -> None:
    from config.state import known_hashes
    from presentation.cli.carrying_out import warn
    from presentation.cli.plan_files import write_plan
    from presentation.cli.transfer_report import show_plan

    plan = _plan(provider, command, known_hashes(), as_json=as_json)
    if plan_file is not None:
        write_plan(plan_file, provider, command, plan)
    warn(plan, as_json=as_json)
    show_plan(plan, as_json=as_json)


def _run(provider: IStorageProvider, command: PlannedCommand, saved: SavedPlan | None, *, as_json: bool) -> None:
    from config.state import hold_pair, known_hashes
    from presentation.cli.carrying_out import carry_out

    known = known_hashes()
    with hold_pair(command.local, provider, command.remote):
        plan = _plan(provider, command, known, as_json=as_json)
        if saved is not None:
            from presentation.cli.plan_files import check_still_fits

            check_still_fits(saved, provider, plan)
        carry_out(provider, plan, as_json=as_json, known=known, bucket=command.bucket)


def _plan(provider: IStorageProvider, command: PlannedCommand, known: KnownHashes, *, as_json: bool) -> TransferPlan:
    from application.transfers import plan_download, plan_upload
    from presentation.cli.progress import planning

    with planning(as_json) as planned:
        options = command.choices.plan_options(planned.seen)
        if command.direction == "upload":
            return plan_upload(provider, command.local, command.remote, options, known=known)
        return plan_download(provider, command.remote, command.local, options, known=known)
