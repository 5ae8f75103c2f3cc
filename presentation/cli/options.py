"""The options that several commands share, written once, and how a command gets its provider."""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.storage import IStorageProvider

Bucket = Annotated[
    str | None,
    typer.Option("--bucket", metavar="NAME", help="Another bucket than the provider's own.", show_default=False),
]
CreateBucket = Annotated[bool, typer.Option("--create-bucket", help="Make the bucket where it is missing.")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, one value a line.")]
Concurrency = Annotated[
    int | None,
    typer.Option(
        "--concurrency", metavar="N", help="Requests under way at most, to a store behind a network.", show_default="64"
    ),
]
Bandwidth = Annotated[
    str | None,
    typer.Option(
        "--bandwidth", metavar="SIZE", help="Bytes a second, each way, over a network: 500K, 10MB.", show_default=False
    ),
]
RequestsPerSecond = Annotated[
    float | None,
    typer.Option(
        "--requests-per-second", metavar="N", help="To a store behind a network: no more.", show_default=False
    ),
]
NoClobber = Annotated[bool, typer.Option("--no-clobber", "-n", help="Refuse where the destination exists.")]


def examples(*lines: str) -> str:
    """The end of a command's help."""
    # The mark keeps the formatter from joining the lines.
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def limits(concurrency: int | None, bandwidth: str | None, requests_per_second: float | None) -> dict[str, str]:
    """The variables that three options are short for."""
    given = {
        "STORAGE_CONCURRENCY": concurrency,
        "STORAGE_BANDWIDTH": bandwidth,
        "STORAGE_REQUESTS_PER_SECOND": requests_per_second,
    }
    return {variable: str(value) for variable, value in given.items() if value is not None}


def name_value_pairs(given: list[str], option: str) -> dict[str, str]:
    """What `NAME=VALUE` said, once or several times.

    Raises:
        typer.BadParameter: an item has no '='.
    """
    pairs = [item.partition("=") for item in given]
    for name, equals, _ in pairs:
        if not equals:
            raise typer.BadParameter(f"{name!r} has no '='; write NAME=VALUE", param_hint=option)
    return {name: value for name, _, value in pairs}


def open_provider(
    bucket: str | None = None,
    *,
    create_bucket: bool = False,
    provider: IStorageProvider | None = None,
    limits: Mapping[str, str] | None = None,
) -> IStorageProvider:
    """The active provider, on the bucket asked for.

    Args:
        provider: another one than the active.
        limits: variables that count before the environment's.

    Raises:
        StorageError: the settings are not right, or the bucket is not there.
    """
    from config.provider import storage_provider_from_env

    provider = provider or storage_provider_from_env({**os.environ, **limits} if limits else None)
    if bucket is not None:
        provider = provider.for_bucket(bucket)
    atexit.register(provider.disconnect)
    if create_bucket:
        provider.create_bucket()
    return provider
