"""Commands that look and change nothing: verify what a store has, check a folder against it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from presentation.cli.options import Bucket, Json, examples, open_provider
from presentation.cli.paths import LocalOption, RemoteOption, once
from presentation.cli.plan_options import (
    Checksum,
    Choices,
    Exclude,
    Include,
    Links,
    SizeMax,
    SizeMin,
    SizeOnly,
    comparison,
)

if TYPE_CHECKING:
    from application.verification import Checked


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(epilog=examples("storage verify datasets/", "storage verify datasets/ --sample 5%"))(verify)
    app.command(epilog=examples("storage check data/ datasets/", "storage check data/ datasets/ --one-way"))(check)


def verify(
    prefix: Annotated[str, typer.Argument(help="Only keys that start with this.")] = "",
    sample: Annotated[str | None, typer.Option(metavar="SHARE", help="Only so many of them, by chance: 5%.")] = None,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Read every object to its end and compare it with the SHA-256 that it was stored with. Exit code 7 if one differs."""
    from application.verification import verify as read
    from presentation.cli.exit_codes import CORRUPTED, exit_code
    from presentation.cli.output import counted, emit_json, human_size, printable
    from presentation.cli.progress import planning

    provider = open_provider(bucket)
    counts = {"ok": 0, "no hash": 0, "corrupt": 0, "failed": 0}
    size = 0
    first: Checked | None = None
    with planning(as_json) as shown:
        for checked in read(provider, prefix, _share(sample)):
            counts[checked.verdict] += 1
            size += checked.size
            if as_json:
                emit_json(
                    {"event": "object", **checked._asdict(), "error": str(checked.error) if checked.error else None}
                )
            elif checked.error:
                print(f"storage: {printable(str(checked.error))}", file=sys.stderr)
            if checked.error and (first is None or checked.verdict == "corrupt"):
                first = checked
            shown.seen(sum(counts.values()))
    if as_json:
        emit_json(
            {"event": "summary", **{name.replace(" ", "_"): count for name, count in counts.items()}, "bytes": size}
        )
    else:
        without = f", {counts['no hash']:,} without a stored hash" if counts["no hash"] else ""
        bad = f", {counts['corrupt']:,} corrupt" if counts["corrupt"] else ""
        failed = f", {counts['failed']:,} not readable" if counts["failed"] else ""
        print(
            f"verified {counted(counts['ok'], 'object')}, {human_size(size)} read{without}{bad}{failed}",
            file=sys.stderr,
        )
    if counts["corrupt"]:
        sys.exit(CORRUPTED)
    if first and first.error:
        sys.exit(exit_code(first.error))


def check(
    local: Annotated[str | None, typer.Argument(help="A folder on this machine.", show_default=False)] = None,
    remote: Annotated[str | None, typer.Argument(help="A prefix of keys.", show_default=False)] = None,
    local_option: LocalOption = None,
    remote_option: RemoteOption = None,
    one_way: Annotated[bool, typer.Option("--one-way", help="What only REMOTE has is no difference.")] = False,
    size_only: SizeOnly = False,
    checksum: Checksum = False,
    include: Include = None,
    exclude: Exclude = None,
    size_min: SizeMin = None,
    size_max: SizeMax = None,
    symlinks: Links = "follow",
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Compare a folder with a prefix, by size and SHA-256, and change nothing. Exit code 1 where they differ."""
    from application.transfers import compare_sides
    from config.state import known_hashes
    from presentation.cli.exit_codes import FAILED
    from presentation.cli.output import emit_json, printable
    from presentation.cli.progress import planning

    here, there = once(local, local_option, "LOCAL"), once(remote, remote_option, "REMOTE")
    choices = Choices.made(
        compare=comparison(size_only, checksum),
        include=include,
        exclude=exclude,
        size_min=size_min,
        size_max=size_max,
        symlinks=symlinks,
    )
    provider = open_provider(bucket)
    with planning(as_json) as planned:
        plan = compare_sides(provider, here, there, choices.plan_options(planned.seen), known=known_hashes())
    found = [
        (action.key[len(plan.key_root) :], _DIFFERENCES.get(action.reason, action.reason)) for action in plan.actions
    ]
    if not one_way:
        found += [(deletion.name[len(plan.key_root) :], "only at REMOTE") for deletion in plan.deletions]
    for name, difference in sorted(found):
        if as_json:
            emit_json({"event": "difference", "name": name, "difference": difference})
        else:
            print(f"{difference}: {printable(name)}")
    if as_json:
        emit_json({"event": "summary", "same": plan.unchanged, "different": len(found)})
    else:
        print(f"{plan.unchanged:,} the same, {len(found):,} different", file=sys.stderr)
    if found:
        sys.exit(FAILED)


_DIFFERENCES = {"new": "only at LOCAL"}


def _share(given: str | None) -> float:
    """`5%` or `0.05` as a share.

    Raises:
        typer.BadParameter: it is no share.
    """
    if given is None:
        return 1.0
    text = given.strip()
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise typer.BadParameter(f"{given!r} is no share; write for example 5% or 0.05", param_hint="--sample")
    return share
