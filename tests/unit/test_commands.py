"""The program is made with the one command that is asked for: each has to be found, and to be what it is among all."""

from __future__ import annotations

import pytest
import typer

from presentation.cli.app import _GROUPS, application


def commands(app: typer.Typer) -> dict[str, str | None]:
    group = typer.main.get_group(app)
    return {name: command.help for name, command in group.commands.items()}


def test_the_table_names_every_command() -> None:
    assert sorted(commands(application())) == sorted(name for names in _GROUPS.values() for name in names)


@pytest.mark.parametrize("name", [name for names in _GROUPS.values() for name in names])
def test_a_command_alone_is_the_same_as_among_all(name: str) -> None:
    alone, all_of_them = commands(application(name)), commands(application())
    assert alone[name] == all_of_them[name]
    assert len(alone) < len(all_of_them)


def test_what_is_no_command_gets_all_of_them() -> None:
    assert commands(application("nosuch")) == commands(application())
