"""What the commands about datasets share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from presentation.cli.options import open_provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from application.dataset_versioning import DatasetVersioning

Ref = Annotated[
    str, typer.Argument(metavar="ID[@V]", help="A version: ID@3, ID@ALIAS, ID for the last.", show_default=False)
]
Id = Annotated[str, typer.Argument(metavar="ID", help="The dataset.", show_default=False)]
Parents = Annotated[list[str] | None, typer.Option("--from", metavar="ID@V", help="What it was made from; repeatable.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="A word; repeatable.")]
Metadata = Annotated[
    list[str] | None, typer.Option("--metadata", metavar="NAME=VALUE", help="Kept in the record; repeatable.")
]
EvenIfUnchanged = Annotated[
    bool, typer.Option("--even-if-unchanged", help="Make one also where the last has the same files.")
]


def open_datasets(bucket: str | None = None, limits: Mapping[str, str] | None = None) -> DatasetVersioning:
    """The datasets of the active provider.

    Args:
        limits: variables that count before the environment's.

    Raises:
        StorageError: the settings are not right.
    """
    from config.content import dataset_versioning

    return dataset_versioning(open_provider(bucket, limits=limits or None))
