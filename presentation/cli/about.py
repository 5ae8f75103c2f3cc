"""Commands about the store itself: info, providers."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict

import typer

from presentation.cli.options import Bucket, Json, examples, open_provider


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(epilog=examples("storage info", "STORAGE_LOCAL_PATH=/mnt/big storage info --json"))(info)
    app.command(epilog=examples("storage providers"))(providers)


def info(bucket: Bucket = None, as_json: Json = False) -> None:
    """Show which provider is active, where its objects are, what it can do, and whether it answers."""
    from config.settings import StorageConfig
    from domain.errors import StorageError
    from domain.purposes import Purpose
    from presentation.cli.exit_codes import exit_code
    from presentation.cli.output import emit_json, print_facts

    config = StorageConfig.from_env()
    provider = open_provider(bucket)
    places = {str(purpose): config.place(purpose)._asdict() for purpose in Purpose}
    location, capabilities = provider.describe(), asdict(provider.capabilities)
    problem: StorageError | None = None
    began = time.perf_counter()
    try:
        next(iter(provider.list_objects()), None)
    except StorageError as error:
        problem = error
    milliseconds = (time.perf_counter() - began) * 1000
    if as_json:
        answer = {
            "answers": problem is None,
            "milliseconds": round(milliseconds, 1),
            "problem": str(problem or "") or None,
        }
        emit_json({"location": asdict(location), "capabilities": capabilities, "places": places, **answer})
    else:
        facts = {name: value for name, value in asdict(location).items() if value is not None}
        can = ", ".join(name for name, yes in capabilities.items() if yes) or "nothing beyond the port"
        cannot = ", ".join(name for name, yes in capabilities.items() if not yes) or "nothing"
        for purpose, place in places.items():
            if place["bucket"]:
                facts[f"place of {purpose}"] = f"s3://{place['bucket']}/{place['prefix']}"
        answers = f"no: {problem}" if problem else f"yes, in {milliseconds:.1f} ms"
        print_facts(facts | {"can": can, "can't": cannot, "answers": answers})
    if problem:
        sys.exit(exit_code(problem))


def providers(as_json: Json = False) -> None:
    """List all providers with their aliases and the settings that are missing."""
    from config.provider import providers as statuses
    from presentation.cli.output import answers, emit_json

    if as_json:
        for status in statuses():
            emit_json(asdict(status))
        return
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for column in ("", "provider", "aliases", "state"):
        table.add_column(column)
    for status in statuses():
        missing = f"missing: {', '.join(status.missing)}" if status.missing else "ready"
        mark = "→" if status.active else ""
        table.add_row(mark, status.name, ", ".join(status.aliases), status.problem or missing)
    answers().print(table)
