"""The options that several commands share, written once, and how a command gets its provider."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from domain.storage import IStorageProvider

Bucket = Annotated[
    str | None,
    typer.Option("--bucket", metavar="NAME", help="Another bucket than the provider's own.", show_default=False),
]
CreateBucket = Annotated[bool, typer.Option("--create-bucket", help="Make the bucket where it is missing.")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, one value a line.")]
NoClobber = Annotated[bool, typer.Option("--no-clobber", "-n", help="Refuse where the destination exists.")]


def examples(*lines: str) -> str:
    """The end of a command's help."""
    # The mark keeps the formatter from joining the lines.
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def open_provider(bucket: str | None = None, *, create_bucket: bool = False) -> IStorageProvider:
    """The active provider, on the bucket asked for.

    Raises:
        StorageError: the settings are not right, or the bucket is not there.
    """
    from config.provider import storage_provider_from_env

    provider = storage_provider_from_env()
    if bucket is not None:
        provider = provider.for_bucket(bucket)
    atexit.register(provider.disconnect)
    if create_bucket:
        provider.create_bucket()
    return provider
