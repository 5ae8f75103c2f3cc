"""Commands about content that is addressed by its hash."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from presentation.cli.options import Bucket, Json, examples, open_provider

if TYPE_CHECKING:
    from application.content_addressed_storage import ContentAddressedStorage
    from domain.storage import IStorageProvider

_EXAMPLE = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

_Hash = Annotated[str, typer.Argument(metavar="HASH", help="The SHA-256 of the content.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add this group to `app`."""
    cas = typer.Typer(
        help="Content by its SHA-256: the same content is stored once, under cas/, and verified when it is read."
    )
    cas.command(epilog=examples("storage cas put m13.fits", "tar c results | storage cas put -"))(put)
    cas.command(epilog=examples(f"storage cas get {_EXAMPLE} model.joblib", f"storage cas get {_EXAMPLE} | wc"))(get)
    cas.command(epilog=examples(f"storage cas stat {_EXAMPLE}"))(stat)
    cas.command(epilog=examples("storage cas verify", f"storage cas verify {_EXAMPLE}"))(verify)
    cas.command(epilog=examples(f"storage cas delete {_EXAMPLE}"))(delete)
    app.add_typer(cas, name="cas")


def put(
    paths: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Files; '-' for standard input.", show_default=False)
    ],
    content_type: Annotated[str | None, typer.Option(help="Default: by the name's suffix.", show_default=False)] = None,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Store files and print the hash of each. It stays until it is deleted, also where no version names it."""
    from domain.media_types import guess_content_type
    from presentation.cli.output import emit_json, printable

    content = _content(bucket)
    for path in paths:
        if path == "-":
            address = content.store_stream(sys.stdin.buffer, content_type or "application/octet-stream")
        else:
            address = content.store_file(path, content_type or guess_content_type(path))
        if as_json:
            emit_json({"hash": address, "path": path, "key": content.key(address)})
        else:
            print(f"{address}  {printable(path)}")


def get(
    content_hash: _Hash,
    path: Annotated[str, typer.Argument(metavar="FILE", help="Where to; '-' for standard output.")] = "-",
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Fetch content. A file appears whole and verified or not at all; on stdout, exit code 7 tells of corrupt content."""
    from domain.local_files import CHUNK_BYTES
    from presentation.cli.output import emit_json

    content = _content(bucket)
    if path != "-":
        info = content.retrieve_file(content_hash, path)
        if as_json:
            emit_json({"hash": content_hash.lower(), "path": path, "size": info.size})
        return
    with content.open_content(content_hash) as reader:
        while chunk := reader.read(CHUNK_BYTES):
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()


def stat(content_hash: _Hash, bucket: Bucket = None, as_json: Json = False) -> None:
    """Show what is known of content: size, type, time."""
    from presentation.cli.output import emit_json, human_time, print_facts

    found = _content(bucket).get_metadata(content_hash)
    if as_json:
        emit_json(found)
        return
    print_facts(
        {
            "hash": found["content_hash"],
            "size": f"{found['size']:,} bytes",
            "content type": found["content_type"],
            "modified": human_time(found["last_modified"]),
            "etag": found["etag"],
        }
    )


def verify(
    hashes: Annotated[
        list[str] | None, typer.Argument(metavar="[HASH]...", help="Default: all there are.", show_default=False)
    ] = None,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Read content to its end and compare it with its hash. Exit code 7 if one differs."""
    from application.verification import verify_contents
    from domain.content import SHA256
    from presentation.cli.exit_codes import CORRUPTED, exit_code
    from presentation.cli.output import counted, emit_json, human_size, printable
    from presentation.cli.progress import planning

    provider = open_provider(bucket)
    content = _content_of(provider)
    addresses = (SHA256.checked(each) for each in hashes) if hashes else content.should_be_there()
    read = ((content.key(address), SHA256.hash_of(address)) for address in addresses)
    count = size = bad = 0
    code = 0
    with planning(as_json) as shown:
        for checked in verify_contents(provider, read):
            count += 1
            size += checked.size
            shown.seen(count)
            if checked.error:
                bad += 1
                code = CORRUPTED if checked.verdict == "corrupt" else code or exit_code(checked.error)
                if not as_json:
                    print(f"storage: {printable(str(checked.error))}", file=sys.stderr)
            if as_json:
                error = str(checked.error) if checked.error else None
                emit_json({"event": "content", **checked._asdict(), "error": error})
    if as_json:
        emit_json({"event": "summary", "ok": count - bad, "bad": bad, "bytes": size})
    else:
        wrong = f", {bad:,} not as it should be" if bad else ""
        print(f"verified {counted(count - bad, 'content')}, {human_size(size)} read{wrong}", file=sys.stderr)
    if code:
        sys.exit(code)


def delete(
    content_hash: _Hash,
    force: Annotated[bool, typer.Option("--force", help="Also where a version of a dataset needs it.")] = False,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Delete content."""
    from application.dataset_records import DatasetRecords
    from domain.errors import ObjectNotFound, PreconditionFailed
    from presentation.cli.output import emit_json

    provider = open_provider(bucket)
    content = _content_of(provider)
    there = content.exists(content_hash)
    if there and not force:
        for version in DatasetRecords(provider).all():
            if version.table == content_hash.lower():
                raise PreconditionFailed(
                    f"{version.reference} needs this content: it is the table of its files; remove that version, or add --force",
                    provider=provider.name,
                )
    content.delete_content(content_hash)  # and what pinned it, also where it was gone
    if not there:
        raise ObjectNotFound(f"there is no content {content_hash} in {provider.describe().url}", provider=provider.name)
    if as_json:
        emit_json({"deleted": content_hash.lower()})
    else:
        print("deleted 1 content", file=sys.stderr)


def _content(bucket: str | None) -> ContentAddressedStorage:
    return _content_of(open_provider(bucket))


def _content_of(provider: IStorageProvider) -> ContentAddressedStorage:
    from config.content import content_addressed_storage

    return content_addressed_storage(provider)
