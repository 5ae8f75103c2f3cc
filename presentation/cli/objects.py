"""Commands on single objects and on prefixes: list, stat, cat, copy, delete."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated

import typer

from presentation.cli.options import Bucket, Json, NoClobber, examples, open_provider

if TYPE_CHECKING:
    from domain.objects import ObjectInfo
    from domain.storage import IStorageProvider

_TABLE_ROWS = 1000
"""A table is laid out when all its rows are known; more than these go out as plain lines, as they come."""


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command("list", epilog=examples("storage list", "storage list observations/ --json | jq .size"))(list_)
    app.command(epilog=examples("storage stat observations/m13.fits"))(stat)
    app.command(epilog=examples("storage cat tables/iris.csv | head", "storage cat m13.fits --length 2880"))(cat)
    app.command(epilog=examples("storage copy models/latest.pt models/best.pt"))(copy)
    app.command(epilog=examples("storage delete temp/a.csv", "storage delete --recursive temp/ --yes"))(delete)


def list_(
    prefix: Annotated[str, typer.Argument(help="Only keys that start with this.")] = "",
    prefix_option: Annotated[
        str | None, typer.Option("--prefix", help="The same, as an option.", show_default=False)
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many objects.", show_default=False)] = None,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """List objects: size in bytes, time, key. One line an object where the output is not a terminal."""
    if prefix_option is not None:
        if prefix:
            raise typer.BadParameter("give the prefix once: as an argument or as --prefix")
        prefix = prefix_option
    provider = open_provider(bucket)
    found: Iterator[ObjectInfo] = islice(provider.list_objects(prefix), limit)
    if as_json:
        from presentation.cli.output import emit_json, object_as_dict

        for info in found:
            emit_json(object_as_dict(info))
    elif sys.stdout.isatty():
        _print_for_terminal(found)
    else:
        _print_lines(found)


def _print_for_terminal(found: Iterator[ObjectInfo]) -> None:
    first = list(islice(found, _TABLE_ROWS + 1))
    if len(first) > _TABLE_ROWS:
        _print_lines(chain(first, found))
        return
    from rich.table import Table
    from rich.text import Text

    from presentation.cli.output import answers, counted, human_size, human_time, printable

    if not first:
        print("no objects", file=sys.stderr)
        return
    table = Table(box=None, header_style="bold")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("modified", no_wrap=True)
    table.add_column("key", overflow="fold")
    for info in first:
        table.add_row(human_size(info.size), human_time(info.last_modified), Text(printable(info.key)))
    answers().print(table)
    print(f"{counted(len(first), 'object')}, {human_size(sum(info.size for info in first))}", file=sys.stderr)


def _print_lines(found: Iterable[ObjectInfo]) -> None:
    from presentation.cli.output import printable

    sys.stdout.writelines(
        f"{info.size:>12} {info.last_modified.isoformat()[:19]}Z {printable(info.key)}\n" for info in found
    )


def stat(
    key: Annotated[str, typer.Argument(help="The object's key.", show_default=False)],
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Show what is known of one object: size, type, ETag, time, SHA-256, metadata."""
    from presentation.cli.output import emit_json, human_time, print_facts

    info = open_provider(bucket).head(key)
    if as_json:
        emit_json(info._asdict())
        return
    facts = {
        "key": info.key,
        "size": f"{info.size:,} bytes",
        "content type": info.content_type,
        "modified": human_time(info.last_modified),
        "etag": info.etag,
        "sha256": info.sha256 or "unknown: it was not stored by this program",
    }
    print_facts(facts | {f"metadata {name}": value for name, value in (info.metadata or {}).items()})


def cat(
    key: Annotated[str, typer.Argument(help="The object's key.", show_default=False)],
    offset: Annotated[int, typer.Option(min=0, help="First byte, from 0.")] = 0,
    length: Annotated[
        int | None, typer.Option(min=1, help="Number of bytes; default: to the end.", show_default=False)
    ] = None,
    bucket: Bucket = None,
) -> None:
    """Write an object's bytes to stdout. A whole object is verified: exit code 7 after the last byte if it is corrupt."""
    from domain.local_files import CHUNK_BYTES
    from domain.objects import ByteRange

    part = ByteRange(offset, offset + length if length else None) if offset or length else None
    with open_provider(bucket).open_reader(key, byte_range=part) as reader:
        while chunk := reader.read(CHUNK_BYTES):
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()


def copy(
    source: Annotated[str, typer.Argument(help="The key to copy.", show_default=False)],
    destination: Annotated[
        str, typer.Argument(help="The new key; with a final '/', the folder to copy into.", show_default=False)
    ],
    no_clobber: NoClobber = False,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Copy an object inside the store, with its type, metadata and SHA-256."""
    from domain.objects import WriteCondition
    from presentation.cli.output import emit_json, printable

    if destination.endswith("/"):
        destination += source.rsplit("/", 1)[-1]
    condition = WriteCondition.absent() if no_clobber else None
    info = open_provider(bucket).copy(source, destination, condition=condition)
    if as_json:
        emit_json(info._asdict())
    else:
        print(f"copied {printable(source)} to {printable(destination)}", file=sys.stderr)


def delete(
    key: Annotated[
        str, typer.Argument(help="The object's key; with --recursive, a folder of keys.", show_default=False)
    ],
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Delete all objects under KEY.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    missing_ok: Annotated[bool, typer.Option("--missing-ok", help="Succeed where there is nothing.")] = False,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Delete one object, or with --recursive all objects under a prefix, after showing how many they are."""
    from presentation.cli.output import counted, emit_json

    provider = open_provider(bucket)
    if recursive:
        deleted = _delete_all(provider, key, yes=yes, missing_ok=missing_ok)
    else:
        deleted = _delete_one(provider, key, missing_ok=missing_ok)
    if as_json:
        emit_json({"deleted": deleted})
    else:
        print(f"deleted {counted(deleted, 'object')}", file=sys.stderr)


def _delete_one(provider: IStorageProvider, key: str, *, missing_ok: bool) -> int:
    from domain.errors import InvalidRequest, ObjectNotFound

    try:
        provider.head(key)
    except ObjectNotFound:
        under = key if key.endswith("/") else key + "/"
        if next(iter(provider.list_objects(under)), None):
            raise InvalidRequest(
                f"{key!r} is no object but a prefix of others; add --recursive to delete them",
                provider=provider.name,
                key=key,
            ) from None
        if missing_ok:
            return 0
        raise
    provider.delete(key)
    return 1


def _delete_all(provider: IStorageProvider, key: str, *, yes: bool, missing_ok: bool) -> int:
    from application.transfers import folder_prefix
    from domain.errors import InvalidRequest, ObjectNotFound
    from presentation.cli.output import counted, human_size, report_error

    under = folder_prefix(key)
    if not under:
        raise InvalidRequest("--recursive wants a prefix; the whole store is not deleted by this command")
    found = list(provider.list_objects(under))
    if under != key:
        with suppress(ObjectNotFound):
            found.insert(0, provider.head(key))
    if not found:
        if missing_ok:
            return 0
        raise ObjectNotFound(f"there is nothing under {key!r}", provider=provider.name, key=key)
    if not yes:
        size = human_size(sum(info.size for info in found))
        question = f"delete {counted(len(found), 'object')} ({size}) under {key!r} in {provider.describe().url}?"
        if not sys.stdin.isatty():
            raise InvalidRequest(f"would {question[:-1]}; add --yes", provider=provider.name)
        typer.confirm(question, abort=True, err=True)
    # What was counted and shown, and nothing that came since.
    failures = provider.delete_many(info.key for info in found)
    for failure in failures[1:]:
        report_error(failure)
    if failures:
        raise failures[0]
    return len(found)
