"""The README does what it shows: its blocks are executed as they stand, one after the other in one folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infrastructure.storage.s3.settings import SHARED_ENVIRONMENT
from infrastructure.storage.storage_factory import BUILT_IN, StorageProviderFactory

CHECKOUT = Path(__file__).parents[2]
README = (CHECKOUT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(CHECKOUT / "examples", tmp_path / "here" / "examples")
    return tmp_path / "here"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "LANG": "C.UTF-8",
    }


def test_bash_blocks_run_line_by_line(folder: Path, environment: dict[str, str]) -> None:
    found = blocks("bash")
    assert found
    for block in found:
        done = subprocess.run(
            ["bash", "-euxo", "pipefail", "-c", block], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    original = (CHECKOUT / "examples" / "observations" / "m13.fits").read_bytes()
    assert (folder / "back" / "m13.fits").read_bytes() == original
    store = tmp_store(environment)
    assert (store / "observations" / "m13.fits").read_bytes() == original
    assert not (store / "tables").exists()
    assert (folder / "mirror" / "observations" / "m13.fits").read_bytes() == original


def tmp_store(environment: dict[str, str]) -> Path:
    return Path(environment["XDG_DATA_HOME"]) / "lading" / "storage"


def test_python_blocks_run_beside_a_config_of_the_users_own(folder: Path, environment: dict[str, str]) -> None:
    found = blocks("python")
    assert len(found) >= 2
    (folder / "config.py").write_text("raise RuntimeError('this is not the config you want')\n")
    for number, block in enumerate(found):
        script = folder / f"snippet_{number}.py"
        script.write_text(block)
        done = subprocess.run([sys.executable, script], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert (folder / "store" / "tables" / "wine.csv").read_bytes() == (
        CHECKOUT / "examples" / "tables" / "wine_data.csv"
    ).read_bytes()
    assert (folder / "store" / "runs" / "1.json").read_bytes() == b"{}"


def test_there_are_two_install_commands_of_one_line_each() -> None:
    commands = blocks("bash install")
    assert len(commands) == 2
    assert all(command.count("\n") == 1 for command in commands)
    assert "storage sync examples/observations observations/" in commands[0]
    assert commands[1].rstrip().endswith("pytest")


def test_twenty_lines_are_at_most_twenty_lines() -> None:
    section = README.split("## Twenty lines")[1].split("```")
    assert section[1].strip().count("\n") + section[3].strip().count("\n") <= 22


@pytest.mark.parametrize("registration", BUILT_IN, ids=lambda registration: registration.name)
def test_every_provider_is_in_the_table_and_its_variables_in_the_example_file(registration) -> None:
    row = next(line for line in README.splitlines() if line.startswith(f"| `{registration.name}`"))
    assert all(f"`{alias}`" in row for alias in registration.aliases)
    module, _, name = registration.target.partition(":")
    provider = getattr(__import__(module, fromlist=[name]), name)
    example = (CHECKOUT / ".env.example").read_text()
    shared = {variable for names in SHARED_ENVIRONMENT.values() for variable in names}
    for variable in (variable for names in provider.environment.values() for variable in names):
        assert f"`{variable}`" in (README if variable in shared else row)
        assert re.search(rf"^{variable}=", example, re.MULTILINE)
    assert registration.name in StorageProviderFactory.get_registered_providers()
    assert (CHECKOUT / "tests" / "contract" / f"test_{module.rpartition('.')[2]}.py").exists()


def test_every_variable_of_the_settings_is_in_the_example_file() -> None:
    from config.settings import VARIABLES

    example = (CHECKOUT / ".env.example").read_text()
    for variable in (variable for names in VARIABLES.values() for variable in names):
        assert re.search(rf"^{variable}=", example, re.MULTILINE), variable
