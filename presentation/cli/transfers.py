"""Commands that move what they are told to: upload, download."""

from __future__ import annotations

from typing import Annotated

import typer

from presentation.cli.options import (
    Bandwidth,
    Bucket,
    Concurrency,
    CreateBucket,
    Json,
    NoClobber,
    RequestsPerSecond,
    examples,
    limits,
    name_value_pairs,
    open_provider,
)
from presentation.cli.paths import Local, LocalOption, Remote, RemoteOption, once
from presentation.cli.plan_options import Choices, Exclude, Include, Links, MaxFiles, SizeMax, SizeMin


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(
        epilog=examples("storage upload m13.fits observations/", "storage upload --local data/ --remote datasets/")
    )(upload)
    app.command(epilog=examples("storage download observations/ here/", "storage download tables/iris.csv ."))(download)


def upload(
    local: Local = None,
    remote: Remote = None,
    local_option: LocalOption = None,
    remote_option: RemoteOption = None,
    content_type: Annotated[str | None, typer.Option(help="Default: by the name's suffix.", show_default=False)] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Kept with each object; repeatable.")
    ] = None,
    no_clobber: NoClobber = False,
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
    """Store a file, or a folder's contents.

    A file goes to the key REMOTE, or into it where it ends in '/'. A folder's contents go under REMOTE, whatever the
    slashes and whether or not anything is there.
    """
    from application.transfers import plan_upload
    from domain.objects import WriteCondition
    from presentation.cli.carrying_out import carry_out
    from presentation.cli.progress import planning

    source = once(local, local_option, "LOCAL")
    target = once(remote, remote_option, "REMOTE", default="")
    tags = name_value_pairs(metadata or [], "--metadata")
    choices = Choices.made(
        include=include,
        exclude=exclude,
        size_min=size_min,
        size_max=size_max,
        max_files=max_files,
        symlinks=symlinks,
    )
    provider = open_provider(
        bucket, create_bucket=create_bucket, limits=limits(concurrency, bandwidth, requests_per_second)
    )
    with planning(as_json) as planned:
        plan = plan_upload(provider, source, target, choices.plan_options(planned.seen))
    condition = WriteCondition.absent() if no_clobber else None
    carry_out(provider, plan, as_json=as_json, content_type=content_type, metadata=tags, condition=condition)


def download(
    remote: Annotated[str | None, typer.Argument(help="A key, or a prefix of keys.", show_default=False)] = None,
    local: Annotated[str | None, typer.Argument(help="A file or folder on this machine.", show_default=False)] = None,
    local_option: LocalOption = None,
    remote_option: RemoteOption = None,
    no_clobber: NoClobber = False,
    include: Include = None,
    exclude: Exclude = None,
    size_min: SizeMin = None,
    size_max: SizeMax = None,
    max_files: MaxFiles = None,
    concurrency: Concurrency = None,
    bandwidth: Bandwidth = None,
    requests_per_second: RequestsPerSecond = None,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Fetch an object, or all objects under a prefix. What arrives is verified and replaces older files in one step."""
    from application.transfers import plan_download, refuse_existing
    from presentation.cli.carrying_out import carry_out
    from presentation.cli.progress import planning

    source = once(remote, remote_option, "REMOTE")
    target = once(local, local_option, "LOCAL", default=".")
    choices = Choices.made(include=include, exclude=exclude, size_min=size_min, size_max=size_max, max_files=max_files)
    provider = open_provider(bucket, limits=limits(concurrency, bandwidth, requests_per_second))
    with planning(as_json) as planned:
        plan = plan_download(provider, source, target, choices.plan_options(planned.seen))
    if no_clobber:
        refuse_existing(plan)
    carry_out(provider, plan, as_json=as_json)
