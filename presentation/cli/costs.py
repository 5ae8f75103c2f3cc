"""The command on money: cost."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from presentation.cli.options import Bucket, Json, examples, open_provider

if TYPE_CHECKING:
    from decimal import Decimal

    from application.storage_costs import BucketContents
    from domain.pricing import MonthlyCost, MonthlyUse

_OWN_HARDWARE = "Local disk and MinIO are not in the table: what they cost is your own hardware."


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(
        epilog=examples(
            "storage cost", "storage cost observations/ --egress 1TB --reads 10M", "storage cost --json | jq .total_usd"
        )
    )(cost)


def cost(
    prefix: Annotated[str, typer.Argument(help="Only keys that start with this.")] = "",
    egress: Annotated[
        str, typer.Option(metavar="SIZE", help="Leaves the store in a month: bytes, or as 500GB, 1TB, 1.5TiB.")
    ] = "0",
    reads: Annotated[
        str, typer.Option(metavar="COUNT", help="Requests that read, in a month: 1000000, 1M, 2.5k.")
    ] = "0",
    writes: Annotated[
        str, typer.Option(metavar="COUNT", help="Requests that write or list, in a month: 1000000, 1M, 2.5k.")
    ] = "0",
    prices: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            envvar="STORAGE_PRICES",
            help="A TOML file whose rows replace those of the shipped table, or add to them.",
            show_default=False,
        ),
    ] = None,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Price a month of what is stored here at every provider, cheapest first.

    Counts the objects and their bytes and computes list prices in USD for one month, taxes left out. Units are decimal:
    1 TB is 10^12 bytes. Some providers bill in binary units; the notes below the table say so, and name free tiers,
    minimum charges and other traps. A '!' marks a sum that would not be the bill.
    """
    from application.storage_costs import count_objects, load_prices
    from domain.pricing import MonthlyUse, compare, parse_count, parse_size

    leaving = _quantity(parse_size, egress, "--egress")
    read, written = _quantity(parse_count, reads, "--reads"), _quantity(parse_count, writes, "--writes")
    # Before counting, which may take long: a table that is not right is said at once. A shell expands '~' in an
    # argument of its own, but not in --prices=~/mine.toml or in a variable.
    rows = load_prices(os.path.expanduser(prices) if prices is not None else None)
    provider = open_provider(bucket)
    with _counting(quiet=as_json) as counted:
        contents = count_objects(provider, prefix, counted=counted)
    use = MonthlyUse(stored=contents.size, egress=leaving, writes=written, reads=read)
    costs = compare(rows, use)
    if as_json:
        _print_json(costs, contents, use, provider.name)
    else:
        _print_table(costs, contents, use, provider.name)


def _quantity(parse: Callable[[str], int], text: str, option: str) -> int:
    from domain.errors import InvalidRequest

    try:
        return parse(text)
    except InvalidRequest as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


@contextmanager
def _counting(quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """Say how many objects were counted, as long as the `with` block lasts."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status("counting objects") as status:
        yield lambda objects: status.update(f"counting objects: {objects:,}")


def _print_json(costs: Sequence[MonthlyCost], contents: BucketContents, use: MonthlyUse, active: str) -> None:
    from domain.pricing import rounded
    from presentation.cli.output import emit_json

    def number(amount: Decimal) -> float:
        return float(rounded(amount, 6))  # a millionth of a dollar: a small bucket is not nothing to a program

    for one in costs:
        emit_json(
            {
                "provider": one.prices.name,
                "active": one.prices.name == active,
                "objects": contents.objects,
                "bytes": use.stored,
                "egress_bytes": use.egress,
                "writes": use.writes,
                "reads": use.reads,
                "storage_usd": number(one.storage),
                "egress_usd": number(one.egress),
                "requests_usd": number(one.requests),
                "total_usd": number(one.total),
                "warnings": one.warnings,
                "notes": one.prices.notes,
                "dated": one.prices.dated,
            }
        )


def _print_table(costs: Sequence[MonthlyCost], contents: BucketContents, use: MonthlyUse, active: str) -> None:
    from rich.table import Table
    from rich.text import Text

    from domain.pricing import rounded
    from presentation.cli.output import answers, counted, human_size, printable

    objects = counted(contents.objects, "object")
    print(
        f"USD a month for {objects}, {human_size(use.stored)}; {human_size(use.egress)} of egress, "
        f"{use.writes:,} writes and lists, {use.reads:,} reads"
    )
    table = Table(box=None, header_style="bold")
    table.add_column("")
    table.add_column("provider", overflow="fold")
    for column in ("storage", "egress", "requests", "total"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    for one in costs:
        amounts = (f"{rounded(amount):,}" for amount in (one.storage, one.egress, one.requests, one.total))
        mark = "→" if one.prices.name == active else ""
        table.add_row(mark, Text(printable(one.prices.name)), *amounts, "!" if one.warnings else "")
    answers().print(table)
    print()
    for one in costs:
        for warning in one.warnings:
            print(printable(f"! {one.prices.name}: {warning}"))
    for one in costs:
        for note in one.prices.notes:
            print(printable(f"{one.prices.name}: {note}"))
    print(_OWN_HARDWARE)
    print(_dates(costs))


def _dates(costs: Sequence[MonthlyCost]) -> str:
    from presentation.cli.output import printable

    names = sorted((one.prices.dated, one.prices.name) for one in costs)
    by_date = {date: ", ".join(name for _, name in group) for date, group in groupby(names, lambda pair: pair[0])}
    if len(by_date) == 1:
        return f"Prices of {next(iter(by_date))}."
    return printable(f"Prices of {'; '.join(f'{date}: {of}' for date, of in by_date.items())}.")
