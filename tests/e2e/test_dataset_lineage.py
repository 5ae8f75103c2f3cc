"""Lineage as a person asks for it: a tree, JSON, a picture, and every wrong word."""

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from application.dataset_records import DatasetRecords
from domain.datasets import DatasetVersion
from domain.versions import Reference, Wanted
from infrastructure.storage.providers import LocalProvider

FIRST_DAY = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def provider(store):
    store.mkdir()
    return LocalProvider({"base_path": str(store)})


@pytest.fixture
def add(storage, provider):
    """Writes the record of a version, which gets the next number."""
    storage.env["TZ"] = "UTC"  # the days are shown by the clock of the machine
    records = DatasetRecords(provider)
    days = iter(range(100_000))

    def write(dataset_id, *parents, message="", removed=False):
        named = [Wanted.parse(parent) for parent in parents]
        created = FIRST_DAY + timedelta(days=next(days))
        return records.add(
            DatasetVersion(
                dataset_id, 0, created, message, "data", "0" * 32 + ".dir", "0" * 64, 1, 1,
                parents=tuple(Reference(kind, name, version) for kind, name, version, _ in named),
                removed=created + timedelta(days=90) if removed else None,
            )
        )  # fmt: skip

    write.records = records
    return write


@pytest.fixture
def observed(add):
    """A dataset with a history, of which much was made."""
    add("m13-raw", message="First night")
    add("m13-raw", "m13-raw@1", message="Second night")
    add("flats", message="Flat fields", removed=True)
    add("m13-clean", "m13-raw@1", "flats@1")
    add("m13-clean", "m13-raw@2", "flats@1", "model:detector@4", message="Hot pixels [bold]masked")
    add("sources", "m13-clean@2", message="Positions")
    add("magnitudes", "m13-clean@2", "sources@1")
    add("report", "sources@1", "magnitudes@1", message="Figures")
    add("unrelated")


def test_a_tree_shows_both_sides(storage, observed):
    done = storage.ok("dataset", "lineage", "m13-clean")
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "m13-clean@2  2026-01-05  Hot pixels [bold]masked",
        "├── made from",
        "│   ├── m13-raw@2  2026-01-02  Second night",
        "│   │   ← m13-raw@1  2026-01-01  First night",
        "│   ├── flats@1  2026-01-03  removed 2026-04-03  Flat fields",
        "│   └── model:detector@4  no record of it",
        "└── used for",
        "    ├── sources@1  2026-01-06  Positions",
        "    │   ├── magnitudes@1  2026-01-07",
        "    │   │   → report@1  2026-01-08  Figures",
        "    │   └── report@1  2026-01-08  Figures (shown above)",
        "    └── magnitudes@1  2026-01-07 (shown above)",
    ]


def test_a_version_without_relatives_says_so(storage, observed):
    shown = storage.ok("dataset", "lineage", "unrelated").stdout
    assert shown.splitlines()[1:] == ["├── made from nothing", "└── used for nothing"]


def test_json_has_nodes_and_edges(storage, observed):
    found = json.loads(storage.ok("dataset", "lineage", "m13-clean@2", "--json").stdout)
    assert found["version"] == "m13-clean@2" and found["left_out"] == 0
    assert found["ancestors"] == ["m13-raw@2", "flats@1", "model:detector@4", "m13-raw@1"]
    assert found["descendants"] == ["sources@1", "magnitudes@1", "report@1"]
    nodes = {node.pop("reference"): node for node in found["nodes"]}
    assert nodes.keys() == {"m13-clean@2", *found["ancestors"], *found["descendants"]}
    assert nodes["flats@1"] == {
        "kind": "dataset", "id": "flats", "version": 1, "created": "2026-01-03T12:00:00+00:00",
        "message": "Flat fields", "removed": "2026-04-03T12:00:00+00:00", "unknown": False,
    }  # fmt: skip
    assert nodes["model:detector@4"] == {
        "kind": "model", "id": "detector", "version": 4, "created": None, "message": "", "removed": None,
        "unknown": True,
    }  # fmt: skip
    assert {(edge["parent"], edge["child"]) for edge in found["edges"]} == {
        ("m13-raw@1", "m13-raw@2"), ("m13-raw@2", "m13-clean@2"), ("flats@1", "m13-clean@2"),
        ("model:detector@4", "m13-clean@2"), ("m13-clean@2", "sources@1"), ("m13-clean@2", "magnitudes@1"),
        ("sources@1", "magnitudes@1"), ("sources@1", "report@1"), ("magnitudes@1", "report@1"),
    }  # fmt: skip


def test_the_depth_is_a_limit_that_is_said(storage, observed, tmp_path):
    done = storage.ok("dataset", "lineage", "m13-clean", "--depth", "1", "--graph", "near.svg")
    assert "report" not in done.stdout and "m13-raw@1" not in done.stdout and "sources@1" in done.stdout
    assert "2 versions further away left out" in done.stderr
    assert "report" not in (tmp_path / "near.svg").read_text()
    assert json.loads(storage.ok("dataset", "lineage", "m13-clean", "--depth", "1", "--json").stdout)["left_out"] == 2
    assert storage.ok("dataset", "lineage", "m13-clean", "--depth", "2").stderr == ""


def names_in(path):
    root = ET.parse(path).getroot()  # noqa: S314 - it is ours
    texts = [text for text in root.iter("{http://www.w3.org/2000/svg}text") if text.get("class") == "name"]
    return {text.text for text in texts}


def test_a_picture_takes_the_place_of_an_older_one(storage, observed, tmp_path, unfinished):
    (tmp_path / "out.svg").write_text("older")
    done = storage.ok("dataset", "lineage", "m13-clean", "--graph", "out.svg")
    assert done.stderr == "drew 8 versions: out.svg\n" and "made from" in done.stdout
    assert names_in(tmp_path / "out.svg") == {
        "m13-clean@2", "m13-raw@1", "m13-raw@2", "flats@1", "model:detector@4", "sources@1", "magnitudes@1", "report@1",
    }  # fmt: skip
    before = (tmp_path / "out.svg").read_bytes()
    json.loads(storage.ok("dataset", "lineage", "m13-clean", "--json", "--graph=~/out.svg").stdout)
    assert (tmp_path / "home" / "out.svg").read_bytes() == before and not unfinished(tmp_path)


@pytest.mark.parametrize(
    ("place", "says"),
    [("missing/out.svg", "its folder is not there"), ("folder", "it is a directory"), ("", "name a file"),
     ("file/out.svg", "its folder is not there"), ("x" * 300, "too long")],
)  # fmt: skip
def test_a_place_where_no_picture_can_be(storage, observed, tmp_path, place, says):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    before = sorted(tmp_path.rglob("*"))
    done = storage("dataset", "lineage", "m13-clean", "--graph", place)
    assert done.returncode == 10 and done.stdout == "" and says in done.stderr and done.stderr.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_lineage_is_asked_for_by_alias_and_of_a_removed_version(storage, observed, add):
    add.records.set_alias("m13-clean", "paper", 1)
    assert storage.ok("dataset", "lineage", "m13-clean@paper").stdout.startswith("m13-clean@1  ")
    add.records.set_alias("flats", "first", 1)
    for name in ("flats@1", "flats@first"):
        shown = storage.ok("dataset", "lineage", name).stdout
        assert shown.startswith("flats@1  2026-01-03  removed 2026-04-03") and "── sources@1" in shown
    shown = storage.ok("dataset", "lineage", "model:detector@4").stdout
    assert shown.startswith("model:detector@4  no record of it\n") and "m13-clean@2" in shown


@pytest.mark.parametrize(
    ("wanted", "code", "says"),
    [
        ("nobody", 4, "no dataset 'nobody'"), ("nobody@1", 4, "no dataset 'nobody'"), ("m13-clean@9", 4, "no version 9"),
        ("m13-clean@paper", 4, "no alias 'paper'"), ("model:detector", 2, "name a dataset"), ("@1", 2, "it is empty"),
        ("flats", 4, "all versions of 'flats' were removed"), ("a@0", 2, "neither a version's number nor an alias"),
    ],
)  # fmt: skip
def test_what_is_not_there_or_no_reference(storage, observed, wanted, code, says):
    assert says in storage.fails(code, "dataset", "lineage", wanted)
    assert json.loads(storage("dataset", "lineage", wanted, "--json").stderr)["exit_code"] == code


@pytest.mark.parametrize("args", [[], ["a", "--depth", "0"], ["a", "--depth", "x"], ["a", "b"]])
def test_wrong_usage(storage, store, args):
    done = storage("dataset", "lineage", *args)
    assert (done.returncode, done.stdout) == (2, "") and "Error: " in done.stderr
    assert not store.exists()


def test_a_store_that_is_not_there(storage):
    assert "is not there" in storage.fails(4, "dataset", "lineage", "m13")


def test_a_damaged_record_is_named(storage, observed, provider):
    provider.put_bytes(".lading/datasets/unrelated/1.json", b"{")
    assert "unrelated@1 is damaged" in storage.fails(7, "dataset", "lineage", "m13-clean")


def test_records_that_form_a_cycle_end(storage, add, tmp_path):
    add("a", "b@1", "a@1")
    add("b", "c@1")
    add("c", "a@1", message="goes round")
    shown = storage.ok("dataset", "lineage", "a@1", "--graph", "o.svg").stdout
    assert [re.sub(r"\s+2026-\d\d-\d\d", "", line) for line in shown.splitlines()] == [
        "a@1",
        "├── made from",
        "│   └── b@1",
        "│       ← c@1  goes round",
        "│       ← a@1 (shown above)",
        "└── used for",
        "    └── c@1  goes round",
        "        → b@1",
        "        → a@1 (shown above)",
    ]
    assert "dotted arrow: closes a cycle" in (tmp_path / "o.svg").read_text()


def test_names_and_messages_drive_no_terminal_and_are_no_markup(storage, add, tmp_path):
    strange = "<&\"'> [red] 観 ü"
    add(strange, message="two\nlines\x1b[31m </text>")
    add("next", f"{strange}@1")
    code, shown = storage.on_terminal(["dataset", "lineage", strange, "--graph", "o.svg"])
    assert code == 0 and "\x1b[31m" not in shown and "two lines\\x1b[31m </text>" in shown and "[red]" in shown
    assert names_in(tmp_path / "o.svg") == {f"{strange}@1", "next@1"}


def test_a_history_goes_down_and_not_to_the_right(storage, add):
    for number in range(1, 61):
        add("d", *([f"d@{number - 1}"] if number > 1 else []))
    lines = storage.ok("dataset", "lineage", "d").stdout.splitlines()
    assert [line.split()[-2] for line in lines[2:-1]] == [f"d@{number}" for number in range(59, 0, -1)]
    assert max(map(len, lines)) < 40


def test_a_tree_that_branches_for_ever_ends_where_the_terminal_does(storage, add):
    for number in range(1, 41):
        add("d", *(f"d@{parent}" for parent in (number - 1, number - 2) if parent > 0))
    shown = storage.ok("dataset", "lineage", "d").stdout
    assert "goes on; --json and --graph show all of it" in shown and max(map(len, shown.splitlines())) < 160
    assert len(json.loads(storage.ok("dataset", "lineage", "d", "--json").stdout)["ancestors"]) == 39


def test_the_examples_of_the_help_run(storage, observed, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "jq").write_text("#!/bin/sh\ncat >&2\n")
    (tmp_path / "bin" / "jq").chmod(0o755)
    env = storage.env | {"PATH": f"{tmp_path / 'bin'}:{storage.env['PATH']}"}
    text = storage.ok("dataset", "lineage", "--help").stdout
    lines = [line.strip() for line in text.partition("Examples:\n")[2].splitlines()]
    assert len(lines) == 4
    for line in lines:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line], env=env, cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, (line, done.stderr)
