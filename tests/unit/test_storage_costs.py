"""What a bucket holds, and the price table: shipped, replaced, wrong."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from application.storage_costs import count_objects, load_prices
from domain.errors import BucketNotFound, ConfigurationError, LocalFileError
from domain.pricing import ProviderPrices
from domain.storage import ObjectInfo
from infrastructure.storage.providers import MemoryProvider

ROW = """
[providers.{name}]
storage_usd_per_tb = 1.50
egress_usd_per_tb = 2
writes_usd_per_million = 0
reads_usd_per_million = 0
"""
DATED = 'dated = "2027-01"\n'


def by_name(path: Path | None = None) -> dict[str, ProviderPrices]:
    return {row.name: row for row in load_prices(str(path) if path else None)}


# -- counting


def test_objects_and_bytes_are_counted_below_the_prefix() -> None:
    provider = MemoryProvider({})
    for key, size in {"a": 1, "d/b": 20, "d/c": 0, "dd": 300}.items():
        provider.put_bytes(key, b"x" * size)
    assert count_objects(provider) == (4, 321)
    assert count_objects(provider, "d/") == (2, 20)
    assert count_objects(provider, "d") == (3, 320), "a prefix is a raw string, as in a listing"
    assert count_objects(provider, "nothing") == (0, 0)


def test_an_empty_bucket_holds_nothing_and_a_missing_one_is_an_error() -> None:
    provider = MemoryProvider({})
    assert count_objects(provider) == (0, 0)
    with pytest.raises(BucketNotFound):
        count_objects(provider.for_bucket("other"))


class Endless(MemoryProvider):
    """A large bucket, made up while it is listed."""

    def list_objects(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        moment = datetime(2026, 11, 1, tzinfo=UTC)
        return (ObjectInfo(f"{number:09}", 5 * 10**12, "e", moment) for number in range(200_000))


def test_memory_does_not_grow_with_the_number_of_objects() -> None:
    provider, said = Endless({}), list[int]()
    count_objects(MemoryProvider({}))
    tracemalloc.start()
    try:
        contents = count_objects(provider, counted=said.append)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert contents == (200_000, 10**18)
    assert peak < 100_000
    assert said == list(range(10_000, 200_001, 10_000))


# -- a table of one's own


def test_a_row_replaces_the_shipped_one_as_a_whole_and_a_new_one_joins(tmp_path: Path) -> None:
    table = tmp_path / "mine.toml"
    table.write_text(DATED + ROW.format(name="spaces") + ROW.format(name="minio"))
    shipped, found = by_name(), by_name(table)
    assert found.keys() == shipped.keys() | {"minio"}
    mine = {
        "dated": "2027-01",
        "storage_usd_per_tb": Decimal("1.50"),
        "egress_usd_per_tb": Decimal(2),
        "writes_usd_per_million": Decimal(0),
        "reads_usd_per_million": Decimal(0),
    }
    assert found["spaces"] == ProviderPrices(name="spaces", **mine), "no base, nothing included, no notes"
    assert found["minio"] == ProviderPrices(name="minio", **mine)
    for name in shipped.keys() - {"spaces"}:
        assert found[name] == shipped[name]


def test_the_shipped_file_is_itself_of_that_form(tmp_path: Path) -> None:
    from importlib.resources import files

    table = tmp_path / "prices.toml"
    table.write_bytes(files("application").joinpath("prices.toml").read_bytes())
    assert by_name(table) == by_name()


def test_every_field_can_be_given(tmp_path: Path) -> None:
    table = tmp_path / "mine.toml"
    more = "base_usd = 1\nincluded_storage_gb = 2\nincluded_egress_gb = 3.5\nbilled_at_least_gb = 4\n"
    table.write_text(DATED + ROW.format(name="x") + more + 'egress_up_to_stored = true\nnotes = ["a", "b"]\n')
    row = by_name(table)["x"]
    assert (row.base_usd, row.included_storage_gb, row.included_egress_gb, row.billed_at_least_gb) == (
        Decimal(1), Decimal(2), Decimal("3.5"), Decimal(4),
    )  # fmt: skip
    assert (row.egress_up_to_stored, row.notes) == (True, ("a", "b"))


def test_a_mark_at_the_start_and_the_full_date_are_taken(tmp_path: Path) -> None:
    table = tmp_path / "mine.toml"
    table.write_bytes(b'\xef\xbb\xbfdated = "2027-01-31"\n' + ROW.format(name="x").encode())
    assert by_name(table)["x"].dated == "2027-01-31"


# -- wrong tables


def with_field(line: str) -> str:
    return DATED + ROW.format(name="x") + line + "\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("this is no TOML", "not TOML"),
        ("", "dated"),
        (DATED, "providers"),
        (DATED + "providers = 3", "providers"),
        (DATED + "[providers]", "providers"),
        (DATED + "[[providers]]\nname = 's3'", "providers"),
        (DATED + "providers.x = 3", "providers.x"),
        (DATED + "currency = 'EUR'\n" + ROW.format(name="x"), "'currency'"),
        (ROW.format(name="x"), "dated"),
        ("dated = 2027\n" + ROW.format(name="x"), "dated"),
        ("dated = 2027-01-01\n" + ROW.format(name="x"), "dated"),
        ("dated = '2027-13'\n" + ROW.format(name="x"), "dated"),
        ("dated = 'lately'\n" + ROW.format(name="x"), "dated"),
        (DATED + ROW.format(name="S3"), "lower case"),
        (DATED + ROW.format(name='" s3"'), "lower case"),
        (DATED + ROW.format(name='""'), "lower case"),
        (DATED + ROW.format(name="x") + ROW.format(name="x"), "not TOML"),
        (DATED + "[providers.x]\nstorage_usd_per_tb = 1\negress_usd_per_tb = 1", "writes_usd_per_million"),
        (DATED + ROW.format(name="x").replace("1.50", "-1.50"), "providers.x.storage_usd_per_tb"),
        (DATED + ROW.format(name="x").replace("1.50", "-1"), "providers.x.storage_usd_per_tb"),
        (DATED + ROW.format(name="x").replace("1.50", "'1.50'"), "providers.x.storage_usd_per_tb"),
        (DATED + ROW.format(name="x").replace("1.50", "true"), "providers.x.storage_usd_per_tb"),
        (DATED + ROW.format(name="x").replace("1.50", "nan"), "providers.x.storage_usd_per_tb"),
        (DATED + ROW.format(name="x").replace("1.50", "inf"), "providers.x.storage_usd_per_tb"),
        (DATED + ROW.format(name="x").replace("1.50", "-inf"), "providers.x.storage_usd_per_tb"),
        (DATED + ROW.format(name="x").replace("1.50", "1e999"), "providers.x.storage_usd_per_tb"),
        (DATED + ROW.format(name="x").replace("1.50", "1e99999999999999999999"), "mine.toml"),
        (DATED + ROW.format(name="x").replace("1.50", "1e-99999999999999999999"), "mine.toml"),
        (DATED + ROW.format(name="x").replace("1.50", "1e-10"), "providers.x.storage_usd_per_tb"),
        (DATED + ROW.format(name="x").replace("1.50", "1000001"), "providers.x.storage_usd_per_tb"),
        (DATED + ROW.format(name="x").replace("1.50", "9" * 5000), "not TOML"),
        (DATED + ROW.format(name="x").replace("1.50", "[1]"), "providers.x.storage_usd_per_tb"),
        (DATED + ROW.format(name="x").replace("1.50", "2027-01-01"), "providers.x.storage_usd_per_tb"),
        (with_field("base_usd = -1"), "providers.x.base_usd"),
        (with_field("included_storage_gb = 'much'"), "providers.x.included_storage_gb"),
        (with_field("storage_per_tb = 1"), "providers.x.storage_per_tb"),
        (with_field("name = 'y'"), "providers.x.name"),
        (with_field("dated = '2027-01'"), "providers.x.dated"),
        (with_field("egress_up_to_stored = 1"), "providers.x.egress_up_to_stored"),
        (with_field("notes = 'one'"), "providers.x.notes"),
        (with_field("notes = [1]"), "providers.x.notes"),
        (with_field("notes = " + "[" * 50_000), "not TOML"),
        (DATED + "#" * (1 << 20), "larger"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_one_sentence_with_file_and_field(tmp_path: Path, content: str, says: str) -> None:
    table = tmp_path / "mine.toml"
    table.write_text(content)
    with pytest.raises(ConfigurationError) as caught:
        load_prices(str(table))
    assert repr(str(table)) in caught.value.message and says in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("data", [b"\xff\xfe", b"dated = '\xe9'", b"\0", os.urandom(1000)])
def test_what_is_no_text_is_no_table(tmp_path: Path, data: bytes) -> None:
    table = tmp_path / "mine.toml"
    table.write_bytes(data)
    with pytest.raises(ConfigurationError, match="not TOML"):
        load_prices(str(table))


def test_no_price_is_shown_as_a_negative_zero(tmp_path: Path) -> None:
    table = tmp_path / "mine.toml"
    table.write_text(DATED + ROW.format(name="x").replace("1.50", "-0.0"))
    assert str(by_name(table)["x"].storage_usd_per_tb) == "0.0"


@pytest.mark.parametrize("name", ["missing", "folder", "pipe", "loop", "", "nul\0", "file/below"])
def test_what_is_no_file_is_trouble_with_a_local_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LocalFileError):
        load_prices(f"{tmp_path}/{name}" if name else "")
