"""Commands about datasets and their versions."""

from __future__ import annotations

import typer

from presentation.cli import dataset_dvc, dataset_lineage


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    dataset = typer.Typer(help="Datasets and their versions, in a layout that plain dvc can read.")
    app.add_typer(dataset, name="dataset")
    dataset_lineage.register(dataset)
    dataset_dvc.register(dataset)
