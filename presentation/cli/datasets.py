"""Commands about datasets and their versions."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from presentation.cli import dataset_checkout, dataset_dvc, dataset_exchange, dataset_lineage
from presentation.cli.dataset_options import EvenIfUnchanged, Id, Metadata, Parents, Ref, Tags, open_datasets
from presentation.cli.options import (
    Bandwidth,
    Bucket,
    Concurrency,
    Json,
    RequestsPerSecond,
    examples,
    limits,
    name_value_pairs,
)
from presentation.cli.plan_options import Links

if TYPE_CHECKING:
    from application.dataset_writing import NewVersion
    from domain.datasets import DatasetVersion
    from domain.transfer import TransferPlan
    from presentation.cli.tally import Tally


def register(app: typer.Typer) -> None:
    """Add this group to `app`."""
    dataset = typer.Typer(
        help="Versions of datasets: folders and files under the hashes of their contents, in a layout that plain dvc reads."
    )
    dataset.command(
        epilog=examples(
            "storage dataset version data/ --id m13-raw -m 'first night'",
            "storage dataset version results/ --id m13-clean -m 'dark subtracted' --from m13-raw --tag clean",
        )
    )(version)
    dataset.command("list", epilog=examples("storage dataset list --json"))(list_)
    dataset.command(epilog=examples("storage dataset versions m13-raw"))(versions)
    dataset_checkout.register(dataset)
    dataset.command(epilog=examples("storage dataset diff m13-raw@1 m13-raw"))(diff)
    dataset.command(epilog=examples("storage dataset alias m13-raw@1 train-2026", "storage dataset alias m13-raw"))(
        alias
    )
    dataset.command(epilog=examples("storage dataset verify m13-raw"))(verify)
    dataset.command(epilog=examples("storage dataset remove m13-raw@1 --yes"))(remove)
    dataset_exchange.register(dataset)
    dataset_lineage.register(dataset)
    dataset_dvc.register(dataset)
    app.add_typer(dataset, name="dataset")


def version(
    path: Annotated[str, typer.Argument(help="A folder or a file.", show_default=False)],
    dataset_id: Annotated[str, typer.Option("--id", metavar="ID", help="The dataset.", show_default=False)],
    message: Annotated[str, typer.Option("--message", "-m", help="What it is, in your words.")] = "",
    parents: Parents = None,
    tags: Tags = None,
    metadata: Metadata = None,
    even_if_unchanged: EvenIfUnchanged = False,
    recheck: Annotated[
        bool,
        typer.Option("--recheck", help="Read every content at the store, and send anew what is missing or damaged."),
    ] = False,
    symlinks: Links = "follow",
    concurrency: Concurrency = None,
    bandwidth: Bandwidth = None,
    requests_per_second: RequestsPerSecond = None,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Make a version of a folder or a file. Only contents that the store does not have are sent."""
    from application.local_tree import Symlinks
    from presentation.cli.plan_options import Choices
    from presentation.cli.progress import planning, transfer_display

    links = Choices.made(symlinks=symlinks).symlinks
    pairs = name_value_pairs(metadata or [], "--metadata")
    datasets = open_datasets(bucket, limits(concurrency, bandwidth, requests_per_second))
    with planning(as_json) as planned:

        def shown(plan: TransferPlan) -> Tally:
            planned.over()
            return transfer_display(plan, as_json=as_json)

        made = datasets.version(
            path,
            dataset_id,
            message,
            parents or (),
            tags or (),
            pairs,
            even_if_unchanged=even_if_unchanged,
            recheck=recheck,
            symlinks=Symlinks(links),
            seen=planned.seen,
            shown=shown,
        )
    if not as_json and os.path.isdir(os.path.join(path, ".lading")):
        print("left out: .lading/ (kept for this program's own use in a folder)", file=sys.stderr)
    tell_version(made, as_json=as_json)
    if not made.created and not as_json and (message or parents or tags or pairs):
        print(
            "what you said of it was not recorded; add --even-if-unchanged to make a version for that", file=sys.stderr
        )


def tell_version(made: NewVersion, *, as_json: bool) -> None:
    """Print what came of making a version."""
    from presentation.cli.output import counted, emit_json, human_size, printable

    found = made.version
    if as_json:
        emit_json(
            {
                "event": "summary",
                "new": made.created,
                "sent": made.sent,
                "bytes": made.sent_bytes,
                **found.as_dict(),
            }
        )
        return
    what = f"{printable(str(found.reference))} ({counted(found.files, 'file')}, {human_size(found.size)})"
    sent = f"{counted(made.sent, 'content')} sent, {human_size(made.sent_bytes)}"
    if made.created:
        print(f"made {what}; {sent}", file=sys.stderr)
    else:
        repaired = f"; {sent}, missing or damaged before" if made.sent else ""
        print(f"nothing has changed since {what}; no new version{repaired}", file=sys.stderr)


def list_(bucket: Bucket = None, as_json: Json = False) -> None:
    """List the datasets: the last version of each, and how many there are."""
    from presentation.cli.output import emit_json

    records = open_datasets(bucket).records
    every: dict[str, list[DatasetVersion]] = {}
    for each in records.all():
        every.setdefault(each.dataset_id, []).append(each)
    if as_json:
        for found in every.values():
            emit_json({"versions": len(found), **found[-1].as_dict()})
        return
    if not every:
        print("no datasets", file=sys.stderr)
        return
    _print_versions([found[-1] for found in every.values()], {})


def versions(
    dataset_id: Id,
    removed: Annotated[bool, typer.Option("--removed", help="Those that were removed as well.")] = False,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """List the versions of a dataset, the oldest first."""
    from presentation.cli.output import emit_json, printable

    records = open_datasets(bucket).records
    found = records.versions(dataset_id, removed=removed)
    if not found and not as_json:
        print(f"all versions of {printable(dataset_id)} were removed; --removed lists them", file=sys.stderr)
        return
    names: dict[int, list[str]] = {}
    for name, number in records.aliases(dataset_id).items():
        names.setdefault(number, []).append(name)
    if as_json:
        for each in found:
            emit_json({**each.as_dict(), "aliases": names.get(each.version, [])})
        return
    _print_versions(found, names)


def _print_versions(found: list[DatasetVersion], names: dict[int, list[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from presentation.cli.output import answers, human_size, human_time, printable

    table = Table(box=None, header_style="bold")
    table.add_column("version", overflow="fold")
    table.add_column("made", no_wrap=True)
    table.add_column("files", justify="right", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("message", overflow="fold")
    for each in found:
        words = [each.message.partition("\n")[0], *(f"@{name}" for name in names.get(each.version, []))]
        words += [f"#{tag}" for tag in each.tags]
        if each.removed:
            words.append("(removed)")
        table.add_row(
            Text(printable(str(each.reference))),
            human_time(each.created),
            f"{each.files:,}",
            human_size(each.size),
            Text(printable(" ".join(word for word in words if word))),
        )
    answers().print(table)


def diff(
    before: Annotated[str, typer.Argument(metavar="ID[@V]", help="A version.", show_default=False)],
    after: Annotated[str, typer.Argument(metavar="ID[@V]", help="Another one.", show_default=False)],
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 where they differ.")] = False,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Compare the files of two versions: added, removed, changed and renamed, and how many bytes that is."""
    from presentation.cli.exit_codes import FAILED
    from presentation.cli.output import counted, emit_json, human_size, printable

    datasets = open_datasets(bucket)
    found = datasets.diff(before, after)
    rows: list[tuple[str, str, str, int]] = [
        *(("added", entry.name, "", entry.size) for entry in found.added),
        *(("removed", entry.name, "", entry.size) for entry in found.removed),
        *(("changed", change.after.name, "", change.after.size) for change in found.changed),
        *(("renamed", change.before.name, change.after.name, change.after.size) for change in found.renamed),
    ]
    for what, name, new_name, size in sorted(rows, key=lambda row: row[1]):
        if as_json:
            told: dict[str, Any] = {"event": what, "name": name, "size": size}
            emit_json(told | ({"new_name": new_name} if new_name else {}))
        else:
            to = f" to {printable(new_name)}" if new_name else ""
            print(f"{what}: {printable(name)}{to} ({human_size(size)})")
    counts = {name: len(getattr(found, name)) for name in ("added", "removed", "changed", "renamed")}
    if as_json:
        emit_json(
            {
                "event": "summary",
                **counts,
                "unchanged": found.unchanged,
                "bytes_added": found.bytes_added,
                "bytes_removed": found.bytes_removed,
            }
        )
    else:
        told_counts = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        print(
            f"{told_counts}, {counted(found.unchanged, 'file')} the same; {human_size(found.bytes_added)} more, "
            f"{human_size(found.bytes_removed)} less",
            file=sys.stderr,
        )
    if exit_code and rows:
        sys.exit(FAILED)


def alias(
    ref: Ref,
    name: Annotated[
        str | None, typer.Argument(metavar="[ALIAS]", help="Default: list those there are.", show_default=False)
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Have the alias name nothing.")] = False,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Have a name stand for a version, from now on; or list the names of a dataset."""
    from domain.errors import PreconditionFailed
    from domain.versions import Wanted
    from presentation.cli.output import emit_json, printable

    datasets = open_datasets(bucket)
    if name is None:
        if remove:
            raise typer.BadParameter("which alias? name it after the dataset", param_hint="--remove")
        datasets.get(ref)
        dataset_id = Wanted.parse(ref).id
        for each, number in datasets.records.aliases(dataset_id).items():
            if as_json:
                emit_json({"alias": each, "dataset_id": dataset_id, "version": number})
            else:
                print(f"{each}  {printable(dataset_id)}@{number}")
        return
    if remove:
        wanted = Wanted.parse(ref)
        if wanted.version not in {None, datasets.records.named(wanted.id, name)}:
            raise PreconditionFailed(f"the alias {name!r} does not name {wanted}; nothing was removed")
        datasets.remove_alias(wanted.id, name)
        told: dict[str, object] = {"alias": name, "dataset_id": Wanted.parse(ref).id, "version": None}
        said = f"{name} names nothing any more"
    else:
        found = datasets.alias(ref, name)
        told = {"alias": name, "dataset_id": found.dataset_id, "version": found.version}
        said = f"{printable(found.dataset_id)}@{name} is {printable(str(found.reference))}"
    if as_json:
        emit_json(told)
    else:
        print(said, file=sys.stderr)


def verify(ref: Ref, bucket: Bucket = None, as_json: Json = False) -> None:
    """Read all that a version is made of and compare it with its hashes. Exit code 7 if something differs."""
    from domain.errors import ContentCorrupted
    from presentation.cli.exit_codes import CORRUPTED, exit_code
    from presentation.cli.output import counted, emit_json, human_size, printable
    from presentation.cli.progress import planning

    datasets = open_datasets(bucket)
    found = datasets.get(ref)
    good = bad = size = code = 0
    with planning(as_json) as shown:
        for checked in datasets.verify(found.reference):
            if checked.error is None:
                good += 1
                size += checked.size
            else:
                bad += 1
                code = CORRUPTED if isinstance(checked.error, ContentCorrupted) else code or exit_code(checked.error)
                if not as_json:
                    named = printable(checked.name) if checked.name else "the manifest for DVC"
                    print(f"storage: {named}: {printable(str(checked.error))}", file=sys.stderr)
            if as_json:
                error = str(checked.error) if checked.error else None
                emit_json({"event": "file", **checked._asdict(), "error": error})
            shown.seen(good + bad)
    if as_json:
        emit_json({"event": "summary", "ok": good, "bad": bad, "bytes": size})
    else:
        wrong = f", {bad:,} not as they should be" if bad else ""
        print(
            f"verified {counted(good, 'object')} of {printable(str(found.reference))}, {human_size(size)} read{wrong}",
            file=sys.stderr,
        )
    if code:
        sys.exit(code)


def remove(
    ref: Ref,
    force: Annotated[bool, typer.Option("--force", help="Also where an alias names it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Remove a version. Its record stays, for lineage; 'storage gc' frees the contents that nothing else needs."""
    from domain.errors import InvalidRequest
    from presentation.cli.output import emit_json, printable

    datasets = open_datasets(bucket)
    found = datasets.get(ref)
    if not yes:
        question = f"remove {printable(str(found.reference))} from {datasets.content.describe().url}?"
        if not sys.stdin.isatty():
            raise InvalidRequest(f"would {question[:-1]}; add --yes")
        typer.confirm(question, abort=True, err=True)
    gone = datasets.remove(found.reference, force=force)
    if as_json:
        emit_json(gone.as_dict())
    else:
        print(f"removed {printable(str(gone.reference))}", file=sys.stderr)
