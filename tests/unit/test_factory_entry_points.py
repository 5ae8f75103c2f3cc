"""Providers of other packages are found by their entry points."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from domain.errors import ConfigurationError
from infrastructure.storage.storage_factory import StorageProviderFactory

pytestmark = pytest.mark.usefixtures("fresh_registry")

MODULE = "stranger_provider_of_the_entry_point_tests"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a package with entry points on the path, as pip does."""
    (tmp_path / f"{MODULE}.py").write_text(
        "from infrastructure.storage.providers import MemoryProvider\n"
        "class Stranger(MemoryProvider):\n    name = 'stranger'\n"
        "class Other(MemoryProvider):\n    name = 'other'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def add(package: str, *lines: str) -> None:
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[lading.providers]\n" + "\n".join(lines) + "\n")

    yield add
    sys.modules.pop(MODULE, None)


def test_an_entry_point_is_a_provider_and_a_second_one_its_alias(install) -> None:
    install("stranger", f"stranger = {MODULE}:Stranger", f"odd = {MODULE}:Stranger", f"other = {MODULE}:Other")
    assert {"stranger", "odd", "other"} <= set(StorageProviderFactory.get_registered_providers())
    for name in ("stranger", "odd"):
        assert StorageProviderFactory.create({"provider_type": name}).name == "stranger"
    assert StorageProviderFactory.from_env({"STORAGE_PROVIDER": "Other"}).name == "other"
    (status,) = [status for status in StorageProviderFactory.status({}) if "stranger" in (status.name, *status.aliases)]
    assert {status.name, *status.aliases} == {"stranger", "odd"}


def test_listing_the_names_imports_nothing(install) -> None:
    install("stranger", f"stranger = {MODULE}:Stranger")
    assert "stranger" in StorageProviderFactory.get_registered_providers()
    assert MODULE not in sys.modules


@pytest.mark.parametrize("taken", ["local", "disk", "memory"])
def test_a_built_in_name_can_not_be_taken_over(install, taken: str) -> None:
    install("stranger", f"{taken} = {MODULE}:Stranger")
    for use in (
        StorageProviderFactory.get_registered_providers,
        lambda: StorageProviderFactory.create({"provider_type": "memory"}),
        lambda: StorageProviderFactory.from_env({}),
    ):
        with pytest.raises(ConfigurationError, match=f"two providers are called '{taken}'") as caught:
            use()
        assert f"{MODULE}:Stranger" in caught.value.message


def test_two_packages_can_not_share_a_name(install) -> None:
    install("first", f"stranger = {MODULE}:Stranger")
    install("second", f"stranger = {MODULE}:Other")
    with pytest.raises(ConfigurationError, match="two providers are called 'stranger'"):
        StorageProviderFactory.create({"provider_type": "memory"})


def test_after_the_package_is_gone_all_is_well_again(install, tmp_path: Path) -> None:
    install("first", f"local = {MODULE}:Stranger")
    with pytest.raises(ConfigurationError):
        StorageProviderFactory.get_registered_providers()
    (tmp_path / "first-1.0.dist-info" / "entry_points.txt").unlink()
    assert "local" in StorageProviderFactory.get_registered_providers()


def test_a_plug_in_that_can_not_be_imported_is_told_of_when_it_is_asked_for(install) -> None:
    install("broken", "broken = no_such_module_anywhere:Provider")
    assert StorageProviderFactory.create({"provider_type": "memory"}).name == "memory"
    with pytest.raises(ConfigurationError, match="'broken' is not usable") as caught:
        StorageProviderFactory.create({"provider_type": "broken"})
    assert "no_such_module_anywhere" in caught.value.message
