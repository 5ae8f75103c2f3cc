"""Commands that move files: upload, download, sync."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated

import typer

from presentation.cli.options import Bucket, CreateBucket, Json, NoClobber, examples, open_provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.objects import WriteCondition
    from domain.storage import IStorageProvider
    from domain.transfer import TransferPlan, TransferReport

_Local = Annotated[str | None, typer.Argument(help="A file or folder on this machine.", show_default=False)]
_Remote = Annotated[
    str | None, typer.Argument(help="A key, or the prefix that a folder's contents have.", show_default=False)
]
_LocalOption = Annotated[str | None, typer.Option("--local", help="LOCAL, as an option.", show_default=False)]
_RemoteOption = Annotated[str | None, typer.Option("--remote", help="REMOTE, as an option.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(
        epilog=examples("storage upload m13.fits observations/", "storage upload --local data/ --remote datasets/")
    )(upload)
    app.command(epilog=examples("storage download observations/ here/", "storage download tables/iris.csv ."))(download)
    app.command(
        epilog=examples(
            "storage sync observations/ observations/",
            "storage sync back/ observations/ --direction download",
            "storage sync",
        )
    )(sync)


def upload(
    local: _Local = None,
    remote: _Remote = None,
    local_option: _LocalOption = None,
    remote_option: _RemoteOption = None,
    content_type: Annotated[str | None, typer.Option(help="Default: by the name's suffix.", show_default=False)] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Kept with each object; repeatable.")
    ] = None,
    no_clobber: NoClobber = False,
    bucket: Bucket = None,
    create_bucket: CreateBucket = False,
    as_json: Json = False,
) -> None:
    """Store a file, or a folder's contents.

    A file goes to the key REMOTE, or into it where it ends in '/'. A folder's contents go under REMOTE, whatever the
    slashes and whether or not anything is there.
    """
    from application.transfers import plan_upload
    from domain.objects import WriteCondition
    from presentation.cli.progress import planning

    source = _once(local, local_option, "LOCAL")
    target = _once(remote, remote_option, "REMOTE", default="")
    tags = _pairs(metadata or [])
    provider = open_provider(bucket, create_bucket=create_bucket)
    with planning(as_json):
        plan = plan_upload(provider, source, target)
    condition = WriteCondition.absent() if no_clobber else None
    _run(provider, plan, as_json=as_json, content_type=content_type, metadata=tags, condition=condition)


def download(
    remote: Annotated[str | None, typer.Argument(help="A key, or a prefix of keys.", show_default=False)] = None,
    local: Annotated[str | None, typer.Argument(help="A file or folder on this machine.", show_default=False)] = None,
    local_option: _LocalOption = None,
    remote_option: _RemoteOption = None,
    no_clobber: NoClobber = False,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Fetch an object, or all objects under a prefix. What arrives is verified and replaces older files in one step."""
    from application.transfers import plan_download, refuse_existing
    from presentation.cli.progress import planning

    source = _once(remote, remote_option, "REMOTE")
    target = _once(local, local_option, "LOCAL", default=".")
    provider = open_provider(bucket)
    with planning(as_json):
        plan = plan_download(provider, source, target)
    if no_clobber:
        refuse_existing(plan)
    _run(provider, plan, as_json=as_json)


def sync(
    local: _Local = None,
    remote: _Remote = None,
    local_option: _LocalOption = None,
    remote_option: _RemoteOption = None,
    direction: Annotated[str, typer.Option(help="upload or download.", metavar="upload|download")] = "upload",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    bucket: Bucket = None,
    create_bucket: CreateBucket = False,
    as_json: Json = False,
) -> None:
    """Move what differs between a folder and a prefix, compared by size and SHA-256. Deletes nothing.

    Without paths, STORAGE_SYNC_LOCAL (default data/) and STORAGE_SYNC_REMOTE (default datasets/) are used.
    """
    from application.transfers import plan_download, plan_upload
    from presentation.cli.progress import planning

    if direction not in {"upload", "download"}:
        raise typer.BadParameter(f"{direction!r} is neither upload nor download", param_hint="--direction")
    here = local if local is not None else local_option
    there = remote if remote is not None else remote_option
    if here is None or there is None:
        from config.settings import StorageConfig

        config = StorageConfig.from_env()
        here = config.sync_local if here is None else here
        there = config.sync_remote if there is None else there
    here = _once(here, local_option if local is not None else None, "LOCAL")
    there = _once(there, remote_option if remote is not None else None, "REMOTE")
    provider = open_provider(bucket, create_bucket=create_bucket)
    with planning(as_json):
        if direction == "upload":
            plan = plan_upload(provider, here, there, compare=True)
        else:
            plan = plan_download(provider, there, here, compare=True)
    if dry_run:
        _show(plan, as_json=as_json)
    else:
        _run(provider, plan, as_json=as_json)


def _once(argument: str | None, option: str | None, name: str, default: str | None = None) -> str:
    if argument is not None and option is not None:
        raise typer.BadParameter(f"give {name} once: as an argument or as --{name.lower()}")
    given = argument if argument is not None else option if option is not None else default
    if given is None:
        raise typer.BadParameter(f"{name} is missing", param_hint=name)
    if name == "LOCAL" and not given:
        raise typer.BadParameter("LOCAL is empty; '.' is this folder", param_hint=name)
    # A shell expands '~' in an argument of its own, but not in --local=~/data or in a variable.
    return os.path.expanduser(given) if name == "LOCAL" else given


def _pairs(metadata: list[str]) -> Mapping[str, str]:
    pairs = [item.partition("=") for item in metadata]
    for name, equals, _ in pairs:
        if not equals:
            raise typer.BadParameter(f"{name!r} has no '='; write NAME=VALUE", param_hint="--metadata")
    return {name: value for name, _, value in pairs}


def _run(
    provider: IStorageProvider,
    plan: TransferPlan,
    *,
    as_json: bool,
    content_type: str | None = None,
    metadata: Mapping[str, str] | None = None,
    condition: WriteCondition | None = None,
) -> None:
    from application.transfers import apply
    from presentation.cli.progress import QuietDisplay, transfer_display

    display: AbstractContextManager[QuietDisplay] = QuietDisplay() if as_json else transfer_display(plan)
    with display as observer:
        report = apply(
            provider, plan, observer=observer, content_type=content_type, metadata=metadata, condition=condition
        )
    _conclude(plan, report, as_json=as_json)


def _conclude(plan: TransferPlan, report: TransferReport, *, as_json: bool) -> None:
    from presentation.cli.exit_codes import INTERRUPTED, exit_code
    from presentation.cli.output import emit_json, human_size, printable

    failed = [{"path": action.path, "key": action.key, "error": str(error)} for action, error in report.failures]
    left = len(plan.actions) - report.done
    if as_json:
        emit_json(
            {
                "direction": plan.direction,
                "done": report.done,
                "bytes": report.moved,
                "unchanged": plan.unchanged,
                "failed": failed,
                "not_done": left,
                "interrupted": report.interrupted,
                "stopped_by": str(report.stopped_by) if report.stopped_by else None,
            }
        )
    else:
        for failure in failed:
            print(f"storage: {printable(failure['error'])}", file=sys.stderr)
        if report.stopped_by:
            print(f"storage: {printable(str(report.stopped_by))}", file=sys.stderr)
        files = f"{report.done:,} file{'' if report.done == 1 else 's'}"
        same = f", {plan.unchanged:,} unchanged" if plan.unchanged else ""
        print(f"{plan.direction}ed {files}, {human_size(report.moved)}{same}", file=sys.stderr)
        if left:
            print(f"{left:,} not done", file=sys.stderr)
    if report.interrupted:
        sys.exit(INTERRUPTED)
    if report.stopped_by or report.failures:
        sys.exit(exit_code(report.stopped_by or report.failures[0][1]))


def _show(plan: TransferPlan, *, as_json: bool) -> None:
    from presentation.cli.output import emit_json, human_size, printable

    if as_json:
        actions = [action._asdict() for action in plan.actions]
        emit_json({"direction": plan.direction, "dry_run": True, "unchanged": plan.unchanged, "actions": actions})
        return
    for action in plan.actions:
        source, target = action.path, action.key
        if plan.direction == "download":
            source, target = target, source
        print(
            f"{plan.direction} {printable(source)} to {printable(target)} ({human_size(action.size)}, {action.reason})"
        )
    print(f"would {plan.direction} {len(plan.actions):,} files, {human_size(plan.size)}; {plan.unchanged:,} unchanged")
