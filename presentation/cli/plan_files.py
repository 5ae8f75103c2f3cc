"""Plans as files: what was planned, by which command, to be looked at and carried out later."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import typer

from domain.errors import InvalidRequest, PreconditionFailed
from domain.keys import shortened
from domain.local_files import LocalSource, ReplacementFile, printable_path
from domain.transfer import Deletion, TransferAction
from presentation.cli.plan_options import Choices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from domain.storage import IStorageProvider
    from domain.transfer import TransferPlan


class PlannedCommand(NamedTuple):
    """The sync that a plan was made for.

    Attributes:
        local: absolute where it is written down, so that the plan means the same in every folder.
    """

    direction: str
    local: str
    remote: str
    bucket: str | None
    choices: Choices


class SavedPlan(NamedTuple):
    """A plan as it was written down.

    Attributes:
        store: which bucket of which store it is for.
    """

    path: str
    command: PlannedCommand
    store: str
    actions: Sequence[TransferAction]
    deletions: Sequence[Deletion]


@dataclass(frozen=True, slots=True)
class _Document:
    """What is in the file."""

    __pydantic_config__ = {"extra": "forbid"}

    format: Literal["lading plan"]
    version: Literal[1]
    direction: Literal["upload", "download"]
    local: str
    remote: str
    bucket: str | None
    store: str
    choices: Choices
    unchanged: int
    actions: list[TransferAction]
    deletions: list[Deletion]


def write_plan(path: str, provider: IStorageProvider, command: PlannedCommand, plan: TransferPlan) -> None:
    """Write the plan to a file, which appears whole or not at all.

    Raises:
        LocalFileError, InsufficientStorage.
    """
    with ReplacementFile(path) as file:
        for piece in _encoded(provider, command, plan):
            file.write(piece.encode())
        file.commit()


def _encoded(provider: IStorageProvider, command: PlannedCommand, plan: TransferPlan) -> Iterator[str]:
    from application.sides import store_name
    from presentation.cli.output import json_pieces

    head = {
        "format": "lading plan",
        "version": 1,
        "direction": command.direction,
        "local": command.local,
        "remote": command.remote,
        "bucket": command.bucket,
        "store": store_name(provider),
        "choices": command.choices.as_dict(),
        "unchanged": plan.unchanged,
    }
    lists = {
        "actions": (action.as_dict() for action in plan.actions),
        "deletions": (deletion._asdict() for deletion in plan.deletions),
    }
    # A line for each item, so that two plans can be compared by any tool.
    return json_pieces(head, lists, line="\n")


def read_plan(path: str) -> SavedPlan:
    """The plan in a file.

    Raises:
        LocalFileError: it can't be read.
        InvalidRequest: it is no plan, or one of another version.
    """
    from pydantic import TypeAdapter, ValidationError

    with LocalSource(path) as source:
        data = b"".join(iter(lambda: source.read(1 << 20), b""))

    try:
        told = TypeAdapter(_Document).validate_json(data, strict=True)
        # Of what it was asked to do only that is believed which could have been asked for.
        told.choices.plan_options(lambda count: None)
        if not os.path.isabs(told.local) or "\0" in told.local:
            raise ValueError("local: no path that it could be made for")
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except (ValueError, typer.BadParameter) as error:
        what = str(error)
    else:
        command = PlannedCommand(told.direction, told.local, told.remote, told.bucket, told.choices)
        return SavedPlan(path, command, told.store, told.actions, told.deletions)
    raise InvalidRequest(
        f"{printable_path(path)!r} is no plan that 'storage sync --plan' of this version wrote ({shortened(what)}); "
        "make a new one"
    )


def check_still_fits(saved: SavedPlan, provider: IStorageProvider, plan: TransferPlan) -> None:
    """Compare a plan that was written down with what would be planned now.

    Raises:
        PreconditionFailed: it is for another store, or either side has moved since; the first difference is named.
    """
    from application.sides import store_name

    if saved.store != store_name(provider):
        raise PreconditionFailed(
            f"the plan {printable_path(saved.path)!r} was made for {saved.store.strip()}, and the active store is "
            f"{store_name(provider).strip()}; nothing was changed"
        )
    now: dict[str, object] = {action.key: action for action in plan.actions} | {
        deletion.name: deletion for deletion in plan.deletions
    }
    then: dict[str, object] = {action.key: action for action in saved.actions} | {
        deletion.name: deletion for deletion in saved.deletions
    }
    for name in [*then, *now]:
        if then.get(name) != now.get(name):
            what = "has changed" if name in then and name in now else "differs now" if name in now else "is settled"
            raise PreconditionFailed(
                f"{name!r} {what} since the plan {printable_path(saved.path)!r} was made; nothing was changed: "
                "make a new plan"
            )
