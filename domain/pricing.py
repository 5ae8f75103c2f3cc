"""What a month of storage costs: prices, an amount of use, and the sums.

Amounts of money are `Decimal` USD and exact; only `rounded` rounds. Units are decimal: 1 TB is 10^12 bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext

from domain.errors import InvalidRequest

LARGEST_QUANTITY = 10**21
"""The most bytes or requests that can be asked for (1,000 EB): beyond it is a slip of the finger."""

_EXACT = Context(prec=200, rounding=ROUND_HALF_UP)
"""Wide enough that no sum of amounts within the limits is ever rounded."""

_GB = 10**9
_NOTHING = Decimal(0)

_PREFIXES = "kmgtpe"
_SIZE_UNITS = {
    "": 1,
    "b": 1,
    **{f"{prefix}b": 1000**power for power, prefix in enumerate(_PREFIXES, 1)},
    **{f"{prefix}ib": 1024**power for power, prefix in enumerate(_PREFIXES, 1)},
}
_COUNT_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyUse:
    """What is stored for a month and done in it.

    Attributes:
        stored: bytes.
        egress: bytes that leave the store.
        writes: requests that write or list.
        reads: requests that read.

    Raises:
        InvalidRequest: one of them is negative.
    """

    stored: int
    egress: int = 0
    writes: int = 0
    reads: int = 0

    def __post_init__(self) -> None:
        for name in ("stored", "egress", "writes", "reads"):
            if getattr(self, name) < 0:
                raise InvalidRequest(f"{name} is {getattr(self, name)}; an amount of use is not negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderPrices:
    """One provider's row of the price table; no amount is negative.

    Attributes:
        name: the provider, in lower case.
        dated: when these prices were read, as `2026-11`.
        storage_usd_per_tb: for 10^12 bytes stored for a month, beyond what is included.
        egress_usd_per_tb: for 10^12 bytes that leave the store, beyond what is included.
        writes_usd_per_million: for a million requests that write or list.
        reads_usd_per_million: for a million requests that read.
        base_usd: for every month, whatever is stored.
        included_storage_gb: 10^9 bytes that cost nothing beyond the base.
        included_egress_gb: 10^9 bytes a month that cost nothing beyond the base.
        billed_at_least_gb: storage that some plans of this provider bill even where less is stored. A trap to warn of,
            not part of the sum.
        egress_up_to_stored: whether the provider expects no more egress in a month than there is stored. The same.
        notes: the traps, a sentence each.
    """

    name: str
    dated: str
    storage_usd_per_tb: Decimal
    egress_usd_per_tb: Decimal
    writes_usd_per_million: Decimal
    reads_usd_per_million: Decimal
    base_usd: Decimal = _NOTHING
    included_storage_gb: Decimal = _NOTHING
    included_egress_gb: Decimal = _NOTHING
    billed_at_least_gb: Decimal = _NOTHING
    egress_up_to_stored: bool = False
    notes: tuple[str, ...] = ()

    def cost(self, use: MonthlyUse) -> MonthlyCost:
        """The price of `use`, and which of the traps it walks into."""
        with localcontext(_EXACT):
            writes = self.writes_usd_per_million * use.writes
            reads = self.reads_usd_per_million * use.reads
            return MonthlyCost(
                prices=self,
                storage=self._storage(Decimal(use.stored)),
                egress=_beyond(Decimal(use.egress), self.included_egress_gb, self.egress_usd_per_tb),
                requests=(writes + reads).scaleb(-6),
                warnings=tuple(self._warnings(use)),
            )

    def _storage(self, stored: Decimal) -> Decimal:
        return self.base_usd + _beyond(stored, self.included_storage_gb, self.storage_usd_per_tb)

    def _warnings(self, use: MonthlyUse) -> Iterable[str]:
        least = self.billed_at_least_gb * _GB
        if use.stored < least:
            counted, billed = rounded(self._storage(Decimal(use.stored))), rounded(self._storage(least))
            yield f"bills at least {self.billed_at_least_gb:,f} GB: storage is then {billed:,} USD, not {counted:,}"
        if self.egress_up_to_stored and use.egress > use.stored:
            yield "expects no more egress than there is stored; with more it may limit or suspend the service"


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyCost:
    """What one provider asks for a month, in USD.

    Attributes:
        prices: the row that this was computed from.
        storage: for what is stored, the base included.
        egress: for what leaves the store.
        requests: for writes, lists and reads.
        warnings: where the provider would bill something else, or not go along; a sentence each.
    """

    prices: ProviderPrices
    storage: Decimal
    egress: Decimal
    requests: Decimal
    warnings: tuple[str, ...] = ()

    @property
    def total(self) -> Decimal:
        """All of it."""
        with localcontext(_EXACT):
            return self.storage + self.egress + self.requests


def compare(rows: Iterable[ProviderPrices], use: MonthlyUse) -> list[MonthlyCost]:
    """What each provider asks for `use`, cheapest first; those that ask the same by name."""
    return sorted((row.cost(use) for row in rows), key=lambda cost: (cost.total, cost.prices.name))


def rounded(amount: Decimal, places: int = 2) -> Decimal:
    """`amount` with so many decimals, a half rounded up."""
    return amount.quantize(Decimal(1).scaleb(-places), context=_EXACT)


def parse_size(text: str) -> int:
    """The bytes that `text` names: `500GB` and `1 TB` are decimal, `1.5TiB` is binary, a plain number is bytes.

    Raises:
        InvalidRequest: it is negative, no size, or beyond `LARGEST_QUANTITY`.
    """
    return _parse(text, _SIZE_UNITS, "size", "bytes as a number, or with a unit as in 500GB, 1TB or 1.5TiB")


def parse_count(text: str) -> int:
    """The number that `text` names: `1000000`, `1M`, `2.5k`, `1G`.

    Raises:
        InvalidRequest: it is negative, no count, or beyond `LARGEST_QUANTITY`.
    """
    return _parse(text, _COUNT_UNITS, "count", "a whole number, or one with k, M or G as in 2.5k or 1M")


def _parse(text: str, units: Mapping[str, int], what: str, forms: str) -> int:
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", text)
    factor = units.get(found[2].lower()) if found else None
    if found is None or factor is None:
        raise InvalidRequest(f"{text!r} is no {what}; write {forms}")
    with localcontext(_EXACT):
        amount = Decimal(found[1]) * factor
        if amount > LARGEST_QUANTITY:
            raise InvalidRequest(f"{text!r} is too much; write at most {LARGEST_QUANTITY:,}")
        whole = amount.to_integral_value()
    # A part of a byte comes from a round number of a unit, as in 1.1GiB; of requests, or without a unit, it is a slip.
    if whole != amount and (factor == 1 or units is _COUNT_UNITS):
        raise InvalidRequest(f"{text!r} is not a whole number; write {forms}")
    return int(whole)


def _beyond(size: Decimal, included_gb: Decimal, usd_per_tb: Decimal) -> Decimal:
    return (max(size - included_gb * _GB, _NOTHING) * usd_per_tb).scaleb(-12)
