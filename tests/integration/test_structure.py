"""The shape of the source: small files, names that say something, folders with more than one thing in them."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAYERS = ("domain", "application", "infrastructure", "presentation", "config")
SOURCES = [path for layer in LAYERS for path in (ROOT / layer).rglob("*.py")]


def test_there_is_something_to_look_at() -> None:
    assert len(SOURCES) > 30


def test_no_module_is_long() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SOURCES}
    assert {path: length for path, length in lengths.items() if length > 400} == {}


def test_no_name_says_nothing() -> None:
    empty = {"utils", "util", "helpers", "helper", "common", "base", "misc"}
    parts = {part for path in SOURCES for part in path.relative_to(ROOT).with_suffix("").parts}
    assert parts & empty == set()


def test_no_folder_has_a_single_module() -> None:
    folders = {path.parent for path in SOURCES}
    for folder in folders:
        inside = [path for path in folder.iterdir() if path.suffix == ".py" and path.name != "__init__.py"]
        below = [path for path in folder.iterdir() if path in folders]
        assert len(inside) != 1 or below, folder


def test_every_package_has_a_docstring_that_says_what_it_is() -> None:
    for path in SOURCES:
        assert path.read_text().lstrip().startswith('"""'), path


def test_the_packages_are_the_ones_that_are_shipped() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(project["tool"]["setuptools"]["packages"]["find"]["include"]) == {f"{layer}*" for layer in LAYERS}
    assert project["tool"]["importlinter"]["root_packages"] == list(LAYERS)
