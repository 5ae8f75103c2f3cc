"""The command that makes URLs for others."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from presentation.cli.options import Bucket, Json, examples, open_provider


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(
        epilog=examples(
            "storage presign observations/m13.fits --expires 7d",
            'curl -T m13.fits "$(storage presign in/m13.fits --method PUT)"',
            "storage presign in/a.csv --method PUT --content-type text/csv --length 4606 --once",
        )
    )(presign)


def presign(
    key: Annotated[str, typer.Argument(help="The object's key.", show_default=False)],
    method: Annotated[str, typer.Option(help="GET to read, PUT to write.")] = "GET",
    expires: Annotated[str, typer.Option(metavar="TIME", help="How long the URL works: 90s, 15m, 1h, 7d.")] = "1h",
    content_type: Annotated[
        str | None,
        typer.Option(help="PUT: the type the upload must have. GET: the type of the answer.", show_default=False),
    ] = None,
    length: Annotated[
        int | None, typer.Option(min=0, metavar="BYTES", help="PUT: the size it must have.", show_default=False)
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="PUT: create only; a second upload is refused.")] = False,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Make a URL with which anybody can read or write one object until it expires.

    The store's address in it is STORAGE_PUBLIC_ENDPOINT_URL where that is set. What a PUT is bound to has to be sent as
    headers, which are shown.
    """
    from presentation.cli.durations import seconds
    from presentation.cli.output import emit_json

    lifetime = seconds(expires, "--expires")
    method = method.upper()
    url = open_provider(bucket).presign(
        key, method=method, expires_in=lifetime, content_type=content_type, content_length=length, once=once
    )
    headers: dict[str, str] = {}
    if method == "PUT":
        headers |= {"Content-Type": content_type} if content_type else {}
        headers |= {"Content-Length": str(length)} if length is not None else {}
        headers |= {"If-None-Match": "*"} if once else {}
    if as_json:
        ends = datetime.now(UTC) + timedelta(seconds=lifetime)
        emit_json({"url": url, "method": method, "headers": headers, "expires_at": ends})
        return
    print(url)
    for name, value in headers.items():
        print(f"send with it: {name}: {value}", file=sys.stderr)
