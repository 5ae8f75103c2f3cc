"""Commands that drive plain dvc and git in a workspace."""

from __future__ import annotations

import typer


def register(dataset: typer.Typer) -> None:
    """Add these commands to the group `dataset`."""
