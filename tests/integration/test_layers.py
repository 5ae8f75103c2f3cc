"""Who may import what, read from the code itself: what the import contracts can't say, or only for modules listed by hand."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infrastructure.storage.storage_factory import BUILT_IN

CHECKOUT = Path(__file__).parents[2]
PACKAGES = ("domain", "application", "infrastructure", "presentation", "config")


def modules(folder: str) -> list[Path]:
    return sorted((CHECKOUT / folder).rglob("*.py"))


def imported(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def tops(module: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(module)}


@pytest.mark.parametrize(("layer", "own"), [("domain", {"domain"}), ("application", {"application", "domain"})])
def test_the_inner_layers_stand_on_the_standard_library_alone(layer: str, own: set[str]) -> None:
    found = {
        str(module): tops(module) - set(sys.stdlib_module_names) - own - {"_typeshed"} for module in modules(layer)
    }
    assert len(found) > 3
    assert {module: names for module, names in found.items() if names} == {}


def test_only_the_s3_engine_knows_its_vendors() -> None:
    vendors = {"boto3", "botocore", "pycurl"}
    engine = CHECKOUT / "infrastructure" / "storage" / "s3"
    guilty = [
        module
        for package in PACKAGES
        for module in modules(package)
        if tops(module) & vendors and engine not in module.parents
    ]
    assert guilty == []


def test_providers_do_not_import_each_other_nor_the_engines_them() -> None:
    storage = CHECKOUT / "infrastructure" / "storage"
    providers = sorted((storage / "providers").glob("*_provider.py"))
    names = {f"infrastructure.storage.providers.{provider.stem}" for provider in providers}
    assert len(names) > 1
    for module in (*providers, *modules("infrastructure/storage/local")):
        assert not set(imported(module)) & names, module


def test_config_is_for_the_cli_and_the_api_alone() -> None:
    doors = (CHECKOUT / "presentation" / "cli", CHECKOUT / "presentation" / "api", CHECKOUT / "config")
    for package in PACKAGES:
        for module in modules(package):
            assert "config" not in tops(module) or set(doors) & set(module.parents), module


def test_every_provider_file_is_in_the_factory() -> None:
    files = {provider.stem for provider in (CHECKOUT / "infrastructure/storage/providers").glob("*_provider.py")}
    assert {str(registration.target).partition(":")[0].rpartition(".")[2] for registration in BUILT_IN} == files
