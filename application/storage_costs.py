"""What a bucket holds, and the prices that it is to be compared at."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from decimal import Decimal
from importlib.resources import files
from typing import Any, NamedTuple

from domain.errors import ConfigurationError
from domain.local_files import LocalSource, printable_path
from domain.pricing import ProviderPrices
from domain.storage import IStorageProvider

_LARGEST_FILE = 1 << 20
"""Bytes of a price table; more is another file."""

_LARGEST_AMOUNT = 10**6
_MOST_DECIMALS = 9

_FIELDS = {field.name: field for field in fields(ProviderPrices) if field.name not in {"name", "dated"}}
_REQUIRED = [name for name, field in _FIELDS.items() if field.default is MISSING]


class BucketContents(NamedTuple):
    """How much there is.

    Attributes:
        objects: how many.
        size: bytes of all of them.
    """

    objects: int
    size: int


def count_objects(
    provider: IStorageProvider, prefix: str = "", *, counted: Callable[[int], None] | None = None
) -> BucketContents:
    """Count the objects whose key starts with `prefix`. Memory does not grow with their number.

    Args:
        counted: called now and then with the number so far.

    Raises:
        As `IStorageProvider.list_objects`.
    """
    objects = size = 0
    for info in provider.list_objects(prefix):
        objects += 1
        size += info.size
        if counted and objects % 10_000 == 0:
            counted(objects)
    return BucketContents(objects, size)


def load_prices(path: str | None = None) -> list[ProviderPrices]:
    """The shipped price table; with `path`, its rows replaced by those of the same name in that file, others added.

    Raises:
        LocalFileError: the file is missing, unreadable, or not a regular file.
        ConfigurationError: it is no price table; names the file and the field.
    """
    shipped = files("application").joinpath("prices.toml").read_bytes()
    rows = _rows(shipped, "the shipped price table")
    if path is not None:
        with LocalSource(path) as source:
            data = bytearray()
            while len(data) <= _LARGEST_FILE and (chunk := source.read(_LARGEST_FILE)):
                data += chunk
        rows |= _rows(bytes(data), f"the price table {printable_path(path)!r}")
    return list(rows.values())


def _rows(data: bytes, table: str) -> dict[str, ProviderPrices]:
    if len(data) > _LARGEST_FILE:
        raise ConfigurationError(f"{table} is larger than {_LARGEST_FILE:,} bytes; name a TOML file of prices")
    try:
        content = tomllib.loads(data.decode("utf-8-sig"), parse_float=Decimal)
    # Decimal's own complaints are ArithmeticErrors; brackets nested without end are a RecursionError.
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise ConfigurationError(f"{table} is not TOML: {_one_line(error)}") from None
    for name in content:
        if name not in {"dated", "providers"}:
            raise ConfigurationError(f"{table} has an unknown field {name!r}; known are dated, providers")
    dated, providers = content.get("dated"), content.get("providers")
    if not isinstance(dated, str) or not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])(-[0-3][0-9])?", dated):
        raise ConfigurationError(
            f'{table}: dated must be there and say when the prices were read, as dated = "2026-11"'
        )
    if not isinstance(providers, dict) or not providers:
        raise ConfigurationError(f"{table}: providers must have a table for each provider, as [providers.s3]")
    return {name: _row(name, row, dated, f"{table}: providers.{name}") for name, row in providers.items()}


def _row(name: str, row: object, dated: str, where: str) -> ProviderPrices:
    if name != name.strip().lower() or not name:
        raise ConfigurationError(f"{where}: a provider's name is in lower case, without spaces around it")
    if not isinstance(row, dict):
        raise ConfigurationError(f"{where} must be a table of prices, as [providers.s3]")
    for field in row:
        if field not in _FIELDS:
            raise ConfigurationError(f"{where}.{field} is an unknown field; known are {', '.join(_FIELDS)}")
    missing = [field for field in _REQUIRED if field not in row]
    if missing:
        raise ConfigurationError(f"{where} lacks {', '.join(missing)}; write 0 for what costs nothing")
    return ProviderPrices(name=name, dated=dated, **_values(row, where))


def _values(row: Mapping[str, object], where: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field, value in row.items():
        if field == "notes":
            if not isinstance(value, list) or not all(isinstance(note, str) for note in value):
                raise ConfigurationError(f"{where}.{field} must be a list of sentences")
            values[field] = tuple(value)
        elif field == "egress_up_to_stored":
            if not isinstance(value, bool):
                raise ConfigurationError(f"{where}.{field} must be true or false")
            values[field] = value
        else:
            values[field] = _amount(value, f"{where}.{field}")
    return values


def _amount(value: object, where: str) -> Decimal:
    # True is an int to Python.
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ConfigurationError(f"{where} must be a number without quotes")
    amount = Decimal(value)
    if not amount.is_finite() or not 0 <= amount <= _LARGEST_AMOUNT:
        raise ConfigurationError(f"{where} must be from 0 to {_LARGEST_AMOUNT:,}")
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > _MOST_DECIMALS:
        raise ConfigurationError(f"{where} has more than {_MOST_DECIMALS} decimals")
    return amount.copy_abs()  # TOML has a -0.0, which would be shown as such


def _one_line(error: Exception) -> str:
    said = "brackets are nested too deeply" if isinstance(error, RecursionError) else str(error)
    return " ".join(said.split()) or type(error).__name__
