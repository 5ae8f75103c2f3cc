"""Commands by which versions of datasets and the files of DVC become each other."""

from __future__ import annotations

import typer


def register(dataset: typer.Typer) -> None:
    """Add these commands to the group `dataset`."""
