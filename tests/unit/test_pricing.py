"""The sums of a month: figures computed by hand, the edges of what is included, what always holds."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.storage_costs import load_prices
from domain.errors import InvalidRequest
from domain.pricing import (
    LARGEST_QUANTITY,
    MonthlyCost,
    MonthlyUse,
    ProviderPrices,
    compare,
    parse_count,
    parse_size,
    rounded,
)

GB, TB, MILLION = 10**9, 10**12, 10**6
SHIPPED = {row.name: row for row in load_prices()}


def figures(cost: MonthlyCost) -> tuple[str, str, str, str]:
    storage, egress, requests, total = (
        str(rounded(amount)) for amount in (cost.storage, cost.egress, cost.requests, cost.total)
    )
    return storage, egress, requests, total


def prices(name: str = "x", **more: Any) -> ProviderPrices:
    four = {
        "storage_usd_per_tb": Decimal(7),
        "egress_usd_per_tb": Decimal(3),
        "writes_usd_per_million": Decimal("0.5"),
        "reads_usd_per_million": Decimal("0.25"),
    }
    return ProviderPrices(name=name, dated="2026-11", **(four | more))


# -- the shipped table, by hand

BY_HAND = {
    # 2 TB stored, 1 TB of egress, 3 million writes and lists, 10 million reads
    "s3": ("46.00", "90.00", "19.00", "155.00"),  # 2 * 23; 1 * 90; 3 * 5 + 10 * 0.40
    "spaces": ("40.00", "0.00", "0.00", "40.00"),  # 5 + (2000 - 250) * 0.02; 1 TB is included
    "wasabi": ("13.98", "0.00", "0.00", "13.98"),  # 2 * 6.99
    "b2": ("10.00", "7.00", "0.00", "17.00"),  # 2 * 5; (1000 - 300) GB * 0.01
    "r2": ("30.00", "0.00", "17.10", "47.10"),  # 2 * 15; 3 * 4.50 + 10 * 0.36
}

USE = MonthlyUse(stored=2 * TB, egress=TB, writes=3 * MILLION, reads=10 * MILLION)


def test_every_shipped_row_was_computed_by_hand() -> None:
    assert SHIPPED.keys() == BY_HAND.keys()
    assert {row.dated for row in SHIPPED.values()} == {"2026-11"}
    assert all(row.notes for row in SHIPPED.values())


@pytest.mark.parametrize("name", BY_HAND)
def test_two_terabytes_stored_and_one_fetched(name: str) -> None:
    cost = SHIPPED[name].cost(USE)
    assert figures(cost) == BY_HAND[name]
    assert cost.warnings == ()


def test_the_cheapest_comes_first() -> None:
    assert [cost.prices.name for cost in compare(SHIPPED.values(), USE)] == ["wasabi", "b2", "spaces", "r2", "s3"]


@pytest.mark.parametrize("name", BY_HAND)
def test_nothing_stored_costs_nothing_but_the_base(name: str) -> None:
    base = "5.00" if name == "spaces" else "0.00"
    assert figures(SHIPPED[name].cost(MonthlyUse(stored=0))) == (base, "0.00", "0.00", base)


# -- the edges of what is included


@pytest.mark.parametrize(
    ("stored", "storage"),
    [
        (250 * GB - 1, Decimal(5)),
        (250 * GB, Decimal(5)),
        (250 * GB + 1, Decimal("5.00000000002")),  # 1 B at 20 USD for 10^12 B
        (251 * GB, Decimal("5.02")),
    ],
)
def test_spaces_include_250_gb(stored: int, storage: Decimal) -> None:
    assert SHIPPED["spaces"].cost(MonthlyUse(stored=stored)).storage == storage


@pytest.mark.parametrize(
    ("name", "egress", "usd"),
    [
        ("spaces", TB, Decimal(0)),
        ("spaces", TB + 1, Decimal("0.00000000001")),
        ("spaces", TB + GB, Decimal("0.01")),
        ("b2", 300 * GB, Decimal(0)),
        ("b2", 300 * GB + 1, Decimal("0.00000000001")),
        ("b2", 301 * GB, Decimal("0.01")),
        ("s3", 1, Decimal("0.00000000009")),
        ("r2", 1000 * TB, Decimal(0)),
        ("wasabi", 1000 * TB, Decimal(0)),
    ],
)
def test_egress_is_charged_from_the_first_byte_beyond_the_free_ones(name: str, egress: int, usd: Decimal) -> None:
    assert SHIPPED[name].cost(MonthlyUse(stored=0, egress=egress)).egress == usd


def test_one_request_has_its_price() -> None:
    assert SHIPPED["s3"].cost(MonthlyUse(stored=0, writes=1)).requests == Decimal("0.000005")
    assert SHIPPED["s3"].cost(MonthlyUse(stored=0, reads=1)).requests == Decimal("0.0000004")
    assert SHIPPED["r2"].cost(MonthlyUse(stored=0, writes=1, reads=1)).requests == Decimal("0.00000486")


def test_sums_are_exact_where_floats_are_not() -> None:
    row = prices(storage_usd_per_tb=Decimal("0.1"), egress_usd_per_tb=Decimal("0.2"))
    assert row.cost(MonthlyUse(stored=TB, egress=TB)).total == Decimal("0.3")
    wide = prices(storage_usd_per_tb=Decimal("999999.999999999")).cost(MonthlyUse(stored=LARGEST_QUANTITY - 1))
    assert wide.storage == Decimal("999999999999998.999999000000000000001")
    assert figures(wide)[0] == "999999999999999.00"


# -- traps


@pytest.mark.parametrize(("stored", "bites"), [(0, True), (TB - 1, True), (TB, False), (2 * TB, False)])
def test_a_minimum_charge_is_warned_of_and_not_part_of_the_sum(stored: int, bites: bool) -> None:
    cost = SHIPPED["wasabi"].cost(MonthlyUse(stored=stored))
    assert len(cost.warnings) == bites
    assert cost.total == Decimal(stored) * Decimal("6.99") / TB


def test_the_minimum_charge_says_both_sums() -> None:
    (warning,) = SHIPPED["wasabi"].cost(MonthlyUse(stored=500 * GB)).warnings
    assert "1,000 GB" in warning and "6.99 USD" in warning and "3.50" in warning  # 3.495, half up


@pytest.mark.parametrize(("egress", "bites"), [(2 * TB, False), (2 * TB + 1, True)])
def test_more_egress_than_is_stored_is_warned_of(egress: int, bites: bool) -> None:
    assert len(SHIPPED["wasabi"].cost(MonthlyUse(stored=2 * TB, egress=egress)).warnings) == bites


# -- what always holds

amounts = st.decimals(0, 10**6, places=9)
quantities = st.integers(0, LARGEST_QUANTITY)
rows = st.builds(
    ProviderPrices,
    name=st.sampled_from("abc"),
    dated=st.just("2026-11"),
    storage_usd_per_tb=amounts,
    egress_usd_per_tb=amounts,
    writes_usd_per_million=amounts,
    reads_usd_per_million=amounts,
    base_usd=amounts,
    included_storage_gb=amounts,
    included_egress_gb=amounts,
    billed_at_least_gb=amounts,
    egress_up_to_stored=st.booleans(),
)
uses = st.builds(MonthlyUse, stored=quantities, egress=quantities, writes=quantities, reads=quantities)


@given(rows | st.sampled_from(sorted(SHIPPED.values(), key=lambda row: row.name)), uses)
def test_no_cost_is_negative_and_the_parts_make_the_total(row: ProviderPrices, use: MonthlyUse) -> None:
    cost = row.cost(use)
    assert min(cost.storage, cost.egress, cost.requests) >= 0
    assert cost.total >= max(cost.storage, cost.egress, cost.requests)
    assert cost.total >= row.base_usd
    assert abs(sum(map(Decimal, figures(cost)[:3])) - Decimal(figures(cost)[3])) <= Decimal("0.02")


@given(rows, uses, st.sampled_from(["stored", "egress", "writes", "reads"]), quantities)
def test_more_of_anything_never_costs_less(row: ProviderPrices, use: MonthlyUse, what: str, more: int) -> None:
    greater = replace(use, **{what: getattr(use, what) + more})
    assert row.cost(greater).total >= row.cost(use).total


@given(st.lists(rows, max_size=6), uses, st.randoms())
def test_the_order_is_by_total_and_does_not_depend_on_the_order_given(
    given_rows: list[ProviderPrices], use: MonthlyUse, random: Any
) -> None:
    named = [replace(row, name=f"{row.name}{number}") for number, row in enumerate(given_rows)]
    costs = compare(named, use)
    assert [cost.total for cost in costs] == sorted(cost.total for cost in costs)
    shuffled = list(named)
    random.shuffle(shuffled)
    assert compare(shuffled, use) == costs


def test_those_that_ask_the_same_come_by_name() -> None:
    costs = compare([prices("c"), prices("a"), prices("b")], MonthlyUse(stored=TB))
    assert [cost.prices.name for cost in costs] == ["a", "b", "c"]


@pytest.mark.parametrize("what", ["stored", "egress", "writes", "reads"])
def test_a_negative_amount_of_use_is_refused(what: str) -> None:
    with pytest.raises(InvalidRequest, match=what):
        MonthlyUse(**({"stored": 0} | {what: -1}))


# -- rounding


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("0.005", "0.01"), ("0.015", "0.02"), ("0.025", "0.03"), ("0.00499999999", "0.00"), ("2.675", "2.68"), ("7", "7.00")],
)  # fmt: skip
def test_a_half_cent_is_rounded_up(amount: str, shown: str) -> None:
    assert str(rounded(Decimal(amount))) == shown


# -- sizes and counts as people write them


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0), ("123", 123), ("1B", 1), ("500GB", 500 * GB), ("1TB", TB), ("1tb", TB), ("1 TB", TB), (" 1TB ", TB),
        ("1.5TiB", 1_649_267_441_664), ("1KiB", 1024), ("1kB", 1000), ("0.5MB", 500_000), ("1.1GiB", 1_181_116_006),
        ("1PB", 1000 * TB), ("1EiB", 2**60), ("1000EB", LARGEST_QUANTITY), ("007", 7),
    ],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("1000000", MILLION),
        ("1M", MILLION),
        ("1m", MILLION),
        ("2.5k", 2500),
        ("3 M", 3 * MILLION),
        ("1G", GB),
    ],
)
def test_counts(text: str, count: int) -> None:
    assert parse_count(text) == count


BAD = [
    "", " ", "-1", "-1TB", "+1", "abc", "TB", "1..5TB", "1.5.5", ".5TB", "1.", "1e3", "1,000", "1_000", "1 0", "1XB",
    "1TBB", "1 T B", "0x10", "nan", "inf", "٣TB", "1/2", "1.5", "1.5B", "1001EB", "9" * 5000, "1\0", "$5", "1ZB",
]  # fmt: skip


@pytest.mark.parametrize("text", [*BAD, "1T", "1M"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(InvalidRequest, match="write "):
        parse_size(text)


@pytest.mark.parametrize("text", [*BAD, "1TB", "2.0001k", "1KiB"])
def test_what_is_no_count(text: str) -> None:
    with pytest.raises(InvalidRequest, match="write "):
        parse_count(text)


@given(st.text())
def test_any_text_is_a_quantity_or_a_clear_error(text: str) -> None:
    for parse in (parse_size, parse_count):
        with suppress(InvalidRequest):
            assert 0 <= parse(text) <= LARGEST_QUANTITY


@given(quantities)
def test_plain_numbers_are_themselves(number: int) -> None:
    assert parse_size(str(number)) == parse_count(str(number)) == number
