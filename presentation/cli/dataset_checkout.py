"""The command that brings a folder to the state of a version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from presentation.cli.dataset_options import Ref, open_datasets
from presentation.cli.options import Bandwidth, Bucket, Concurrency, Json, RequestsPerSecond, examples, limits
from presentation.cli.plan_options import Backup, Checksum, Delete, DryRun, Exclude, Force, Include, MaxDelete

if TYPE_CHECKING:
    from application.cached_downloads import CachedDownloads
    from domain.content_cache import Link
    from domain.storage import IStorageProvider
    from domain.transfer import TransferPlan


def register(dataset: typer.Typer) -> None:
    """Add this command to the group `dataset`."""
    dataset.command(
        epilog=examples("storage dataset checkout m13-raw data/", "storage dataset checkout m13-raw@1 data/ --delete")
    )(checkout)


def checkout(
    ref: Ref,
    target: Annotated[str, typer.Argument(help="A folder; of a single file, the file.", show_default=False)],
    delete: Delete = False,
    max_delete: MaxDelete = None,
    force: Force = False,
    backup: Backup = False,
    checksum: Checksum = False,
    include: Include = None,
    exclude: Exclude = None,
    link: Annotated[
        str,
        typer.Option(
            metavar="copy|hardlink",
            help="Files of their own, or the read-only files of the cache: they take no room, and are not to be written to.",
        ),
    ] = "copy",
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Keep contents on this machine for next time.")
    ] = True,
    dry_run: DryRun = False,
    concurrency: Concurrency = None,
    bandwidth: Bandwidth = None,
    requests_per_second: RequestsPerSecond = None,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Bring a folder to the state of a version. Only what differs is written, each file in one step and verified.

    Other files in the folder stay, unless --delete moves them to the trash; with --backup what is replaced goes there too.
    A single file can be executed where it could when the version was made; the files of a folder keep no modes.
    """
    from application.version_files import VersionDownloads, restore_mode
    from config.state import hold_pair, known_hashes
    from domain.content_cache import Link
    from presentation.cli.carrying_out import carry_out
    from presentation.cli.plan_options import Choices, comparison
    from presentation.cli.progress import planning
    from presentation.cli.transfer_report import show_plan

    choices = Choices.made(
        compare=comparison(False, checksum),
        include=include,
        exclude=exclude,
        delete=delete,
        max_delete=max_delete,
        force=force,
        backup=backup,
    )
    if link not in list(Link):
        raise typer.BadParameter(f"{link!r} is none of {', '.join(Link)}", param_hint="--link")
    datasets = open_datasets(bucket, limits(concurrency, bandwidth, requests_per_second))
    found = datasets.get(ref)
    with hold_pair(target, datasets.content, f"{datasets.dvc_prefix}{found.dataset_id}"):
        with planning(as_json) as planned:
            plan = datasets.plan_checkout(found, target, choices.plan_options(planned.seen))
        if dry_run:
            show_plan(plan, as_json=as_json)
            return
        content, _ = datasets.content_of(found)
        downloads = _cached(content, plan, Link(link)) if cache or link == Link.HARD else None
        carry_out(
            content,
            plan,
            as_json=as_json,
            downloads=VersionDownloads(downloads or content, found, plan),
            known=known_hashes(),
            bucket=bucket,
            tell_replaced=True,
        )
        restore_mode(found, plan)


def _cached(provider: IStorageProvider, plan: TransferPlan, link: Link) -> CachedDownloads | None:
    """The downloads of a plan with the cache before them, where that saves anything."""
    import atexit

    from application.cached_downloads import CachedDownloads
    from config.content import content_cache
    from domain.content_cache import Link
    from domain.errors import ConfigurationError

    if not provider.capabilities.remote and link is Link.COPY:
        return None
    found = content_cache(plan.size)
    if found is None:
        if link is Link.HARD and plan.size:
            raise ConfigurationError(
                f"--link hardlink needs a cache that holds {plan.size:,} bytes; set STORAGE_CONTENT_CACHE_SIZE to more"
            )
        return None
    atexit.register(found.trim)
    return CachedDownloads(provider, found, link)
