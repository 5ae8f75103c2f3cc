"""What a month of the bucket costs: a table for a person, JSON for a program, and every wrong word."""

import json
import os
import pty
import re
import subprocess

import pytest

TABLE = """
dated = "2027-01"
[providers.{name}]
storage_usd_per_tb = {storage}
egress_usd_per_tb = 1_000_000
writes_usd_per_million = 2.50
reads_usd_per_million = 0.25
"""


@pytest.fixture
def mine(tmp_path):
    def write(name="mine", storage="10", more=""):
        (tmp_path / "mine.toml").write_text(TABLE.format(name=name, storage=storage) + more)
        return "mine.toml"

    return write


def of(done):
    return {one["provider"]: one for one in map(json.loads, done.stdout.splitlines())}


def rows_of(text):
    """The rows of the table: provider and figures."""
    found = re.findall(r"^ +(?:→ +)?(\w+) +([\d.,]+) +([\d.,]+) +([\d.,]+) +([\d.,]+)", text, re.MULTILINE)
    return {name: figures for name, *figures in found}


def sparse(path, size):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


def test_two_terabytes_are_priced_at_every_provider(storage, store):
    try:
        sparse(store / "data" / "a", 10**12)
        sparse(store / "data" / "b", 10**12)
    except OSError as error:
        pytest.skip(f"no file of a terabyte, even without content, can be made here: {error}")
    sparse(store / "other", 5000)
    done = storage.ok("cost", "data/", "--egress", "1TB", "--writes", "3M", "--reads", "10M")
    assert rows_of(done.stdout) == {
        "wasabi": ["13.98", "0.00", "0.00", "13.98"],
        "b2": ["10.00", "7.00", "0.00", "17.00"],
        "spaces": ["40.00", "0.00", "0.00", "40.00"],
        "r2": ["30.00", "0.00", "17.10", "47.10"],
        "s3": ["46.00", "90.00", "19.00", "155.00"],
    }
    assert list(rows_of(done.stdout)) == ["wasabi", "b2", "spaces", "r2", "s3"], "cheapest first"
    assert "2 objects, 2.0 TB; 1.0 TB of egress, 3,000,000 writes and lists, 10,000,000 reads" in done.stdout
    assert not re.search(r"^! ", done.stdout, re.MULTILINE) and done.stderr == ""
    assert "90 days" in done.stdout and "10 GB of egress a day" in done.stdout and "own hardware" in done.stdout
    assert done.stdout.endswith("Prices of 2026-11.\n")


def test_json_is_a_value_for_each_provider(storage, store):
    sparse(store / "a", 1_500_000)
    sparse(store / "b", 500_000)
    lines = storage.ok("cost", "--egress", "2MB", "--writes", "1k", "--reads", "2.5k", "--json").stdout.splitlines()
    answers = [json.loads(line) for line in lines]
    assert [one["provider"] for one in answers] == ["b2", "wasabi", "r2", "s3", "spaces"]
    s3 = next(one for one in answers if one["provider"] == "s3")
    assert s3.pop("notes") and s3 == {
        "provider": "s3", "active": False, "objects": 2, "bytes": 2_000_000, "egress_bytes": 2_000_000,
        "writes": 1000, "reads": 2500, "storage_usd": 0.000046, "egress_usd": 0.00018, "requests_usd": 0.006,
        "total_usd": 0.006226, "warnings": [], "dated": "2026-11",
    }  # fmt: skip
    wasabi = next(one for one in answers if one["provider"] == "wasabi")
    assert "6.99" in wasabi["warnings"][0]


def test_an_empty_bucket_costs_the_base_and_a_missing_one_is_not_found(storage, store):
    storage.fails(4, "cost")
    store.mkdir()
    found = of(storage.ok("cost", "--json"))
    assert {name: one["total_usd"] for name, one in found.items()} == {
        "b2": 0, "r2": 0, "s3": 0, "wasabi": 0, "spaces": 5,
    }  # fmt: skip
    assert list(found) == ["b2", "r2", "s3", "wasabi", "spaces"], "by name where they ask the same"
    shown = storage.ok("cost").stdout
    assert "0 objects" in shown and re.search(r"^! wasabi: .*6\.99 USD", shown, re.MULTILINE)


def test_a_missing_bucket_is_not_found(storage, store):
    store.mkdir()
    storage.fails(4, "cost", "--bucket", "nowhere")
    assert json.loads(storage("cost", "--bucket", "nowhere", "--json").stderr)["exit_code"] == 4


def test_another_bucket_is_counted(storage, tmp_path):
    (tmp_path / "f").write_text("abc")
    storage.ok("upload", "f", "k", "--bucket", "other", "--create-bucket")
    assert of(storage.ok("cost", "--bucket", "other", "--json"))["s3"]["bytes"] == 3


def test_a_prefix_is_raw_as_in_a_listing(storage, put):
    put("c", "cc/0", "d")
    assert of(storage.ok("cost", "c", "--json"))["s3"]["objects"] == 2
    assert of(storage.ok("cost", "nothing", "--json"))["s3"]["objects"] == 0


def test_a_table_of_ones_own_by_option_or_environment(storage, put, mine, tmp_path):
    put("k")
    arguments = ("cost", "--writes", "1M", "--reads", "2M", "--egress", "1TB", "--json")
    found = of(storage.ok(*arguments, "--prices", mine("s3")))
    assert found.keys() == {"s3", "spaces", "wasabi", "b2", "r2"}
    assert (found["s3"]["egress_usd"], found["s3"]["requests_usd"], found["s3"]["dated"]) == (10**6, 3.0, "2027-01")
    assert list(found)[-1] == "s3", "now the dearest"
    assert "mine" in of(storage.ok(*arguments, env={"STORAGE_PRICES": mine("mine")}))
    assert "mine" not in of(storage.ok(*arguments, env={"STORAGE_PRICES": ""})), "empty counts as unset"
    (tmp_path / "home" / "home.toml").write_text((tmp_path / "mine.toml").read_text())
    assert "mine" in of(storage.ok(*arguments, env={"STORAGE_PRICES": "~/home.toml"}))
    assert "mine" in of(storage.ok(*arguments, "--prices=~/home.toml", env={"STORAGE_PRICES": "missing"}))
    shown = storage.ok("cost", "--prices", "mine.toml").stdout
    assert shown.endswith("Prices of 2026-11: b2, r2, s3, spaces, wasabi; 2027-01: mine.\n")


def test_the_active_provider_is_marked(storage, put, mine):
    put("k")
    found = of(storage.ok("cost", "--json", "--prices", mine("local")))
    assert [name for name, one in found.items() if one["active"]] == ["local"]
    assert re.search(r"^ *→ +local", storage.ok("cost", "--prices", "mine.toml").stdout, re.MULTILINE)


def test_large_sums_have_their_digits(storage, put, mine):
    put("k")
    found = rows_of(storage.ok("cost", "--egress", "1000EB", "--prices", mine()).stdout)
    assert found["mine"][1] == "1,000,000,000,000,000.00"


def test_what_a_table_says_drives_no_terminal_and_is_no_markup(storage, put, mine):
    put("k")
    mine('"evil\\u001b[31m [bold]x"', more='notes = ["a\\u001b[31m\\nb"]\n')
    shown = storage.ok("cost", "--prices", "mine.toml").stdout
    assert "\x1b" not in shown and "[bold]x" in shown and "a\\x1b[31m\\nb" in shown


@pytest.mark.parametrize("option", ["--egress", "--reads", "--writes"])
@pytest.mark.parametrize("value", ["-1", "-1TB", "abc", "", "1.5", "1XB", "1e3", "99999999EB", "nan"])
def test_a_quantity_that_is_none_is_wrong_usage(storage, store, option, value):
    for arguments in ([option, value], [f"{option}={value}"]):
        done = storage("cost", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"Invalid value for {option}" in done.stderr and f"'{value}'" in done.stderr and "write " in done.stderr
        assert "Traceback" not in done.stderr
    assert not store.exists()


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("no TOML", "not TOML"),
        (TABLE.format(name="x", storage="-1"), "providers.x.storage_usd_per_tb"),
        (TABLE.format(name="x", storage="'1'"), "providers.x.storage_usd_per_tb"),
        (TABLE.format(name="x", storage="1\nstorage = 1"), "providers.x.storage "),
    ],
)
def test_a_wrong_table_is_a_wrong_setting(storage, put, tmp_path, table, says):
    put("k")
    (tmp_path / "mine.toml").write_text(table)
    said = storage.fails(3, "cost", "--prices", "mine.toml")
    assert "'mine.toml'" in said and says in said
    assert "mine.toml" in storage.fails(3, "cost", env={"STORAGE_PRICES": "mine.toml"})
    assert json.loads(storage("cost", "--json", "--prices", "mine.toml").stderr)["kind"] == "ConfigurationError"


@pytest.mark.parametrize("name", ["missing.toml", "folder", "pipe", ""])
def test_a_table_that_is_no_file_is_trouble_with_a_local_file(storage, put, tmp_path, name):
    put("k")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert f"'{name}'" in storage.fails(10, "cost", "--prices", name)


def test_a_table_that_may_not_be_read(storage, put, mine, tmp_path, bound_by_modes):
    put("k")
    (tmp_path / mine()).chmod(0)
    assert "permission denied" in storage.fails(10, "cost", "--prices", "mine.toml")


def test_progress_is_for_a_terminal_and_never_in_the_answer(storage, put):
    put("k")
    plain = storage.ok("cost")
    master, slave = pty.openpty()
    shown = storage.ok("cost", stderr=slave, env={"TERM": "xterm"})
    os.close(slave)
    said = os.read(master, 65536).decode()
    os.close(master)
    assert shown.stdout == plain.stdout
    assert "counting objects" in said and plain.stderr == ""


def test_reader_that_has_had_enough_is_no_error(storage, put):
    put("k")
    for arguments in (["cost"], ["cost", "--json"]):
        reader, writer = os.pipe()
        os.close(reader)
        done = storage(*arguments, stdout=writer, stderr=subprocess.PIPE)
        os.close(writer)
        assert (done.returncode, done.stderr) == (0, "")


def test_help_says_the_period_and_the_units(storage):
    text = " ".join(storage.ok("cost", "--help").stdout.split())
    assert "one month" in text and "1 TB is 10^12 bytes" in text and "STORAGE_PRICES" in text
