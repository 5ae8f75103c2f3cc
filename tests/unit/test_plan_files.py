"""Plans as files: they come back as they were, and nothing else is taken for one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from application.planning import PlanOptions
from application.transfers import plan_upload
from domain.content import ContentHash
from domain.errors import InvalidRequest, LocalFileError, PreconditionFailed
from domain.transfer import Comparison, DeleteBudget, Deletion, Direction, TransferAction, TransferPlan
from infrastructure.storage.providers import MemoryProvider
from presentation.cli.plan_files import PlannedCommand, check_still_fits, read_plan, write_plan
from presentation.cli.plan_options import Choices

TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
ACTIONS = st.lists(
    st.builds(TransferAction, TEXT, TEXT, st.integers(0, 2**60), TEXT, TEXT, TEXT),
    max_size=4,
    unique_by=lambda a: a.key,
)
DELETIONS = st.lists(st.builds(Deletion, TEXT, st.integers(0, 2**60), TEXT), max_size=4)
CHOICES = st.builds(
    Choices,
    compare=st.sampled_from(["content", "size", "checksum"]),
    exclude=st.lists(st.sampled_from(["*.tmp", "é/", "!x"])),
    size_max=st.none() | st.integers(0),
    delete=st.booleans(),
    max_delete=st.none() | st.integers(0),
    backup=st.booleans(),
)


def command(folder: Path | str, choices: Choices | None = None, direction: str = "upload") -> PlannedCommand:
    return PlannedCommand(direction, str(folder), "p", None, choices or Choices(compare="content", delete=True))


@settings(max_examples=50)
@given(ACTIONS, DELETIONS, CHOICES, st.sampled_from(["upload", "download"]), st.none() | TEXT)
def test_a_plan_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    actions: list[TransferAction],
    deletions: list[Deletion],
    choices: Choices,
    direction: str,
    bucket: str | None,
) -> None:
    path = str(tmp_path_factory.getbasetemp() / "round.json")
    made = PlannedCommand(direction, "/data/é", "p", bucket, choices)
    provider = MemoryProvider({})
    write_plan(path, provider, made, TransferPlan(Direction(direction), actions, 3, deletions))
    saved = read_plan(path)
    assert (saved.path, saved.command) == (path, made)
    assert (list(saved.actions), list(saved.deletions)) == (actions, deletions)
    assert json.loads(Path(path).read_bytes())["unchanged"] == 3, "any tool can read it"


def test_what_a_file_must_hash_to_is_written_only_where_it_is_known(tmp_path: Path) -> None:
    known = TransferAction("/d/a", "p/a", 1, "new", content=ContentHash("md5", "ab" * 16))
    actions = [known, TransferAction("/d/b", "p/b", 1, "new")]
    path = str(tmp_path / "plan.json")
    write_plan(path, MemoryProvider({}), command("/d"), TransferPlan(Direction.UPLOAD, actions))
    document = json.loads(Path(path).read_bytes())
    assert list(document["actions"][1]) == ["path", "key", "size", "reason", "source", "target"]
    saved = read_plan(path)
    assert list(saved.actions) == actions
    assert isinstance(saved.actions[0].content, ContentHash)


@pytest.fixture
def saved(tmp_path: Path) -> dict[str, Any]:
    """A plan of one upload and one deletion, as its JSON document."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "new").write_bytes(b"new")
    provider = MemoryProvider({})
    for key in ("p/old", "p/kept"):
        provider.put_bytes(key, b"old")
    (folder / "kept").write_bytes(b"old")
    plan = plan_upload(provider, str(folder), "p", PlanOptions(compare=Comparison.CONTENT, delete=True))
    write_plan(str(tmp_path / "good.json"), provider, command(folder), plan)
    document: dict[str, Any] = json.loads((tmp_path / "good.json").read_bytes())
    return document


def refused(tmp_path: Path, data: bytes) -> str:
    path = tmp_path / "plan.json"
    path.write_bytes(data)
    with pytest.raises(InvalidRequest) as caught:
        read_plan(str(path))
    message = caught.value.message
    assert message.startswith(f"'{path}' is no plan that 'storage sync --plan' of this version wrote")
    assert message.endswith("make a new one")
    assert "\n" not in message and len(message) < 500
    return message


@settings(max_examples=100)
@given(st.data())
def test_a_plan_that_is_cut_off_is_none(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = folder / "whole.json"
    actions = [TransferAction("/d/a", "p/a", 1, "new", "1")]
    write_plan(str(path), MemoryProvider({}), command("/d"), TransferPlan(Direction.UPLOAD, actions))
    whole = path.read_bytes().rstrip()
    refused(folder, whole[: data.draw(st.integers(0, len(whole) - 1))])


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"null", b"7", b'"lading plan"', b"\xff\xfe", b"\x89PNG", b"[" * 100_000, b'{"a":' * 100_000],
    ids=range(10),
)
def test_what_is_no_plan_at_all_is_none(tmp_path: Path, data: bytes) -> None:
    refused(tmp_path, data)


HOSTILE: list[tuple[str, Any]] = [
    ("format", "lading record"),
    ("version", 2),
    ("version", "1"),
    ("version", None),
    ("direction", "sideways"),
    ("direction", ["upload"]),
    ("local", 5),
    ("local", None),
    ("local", "relative/folder"),
    ("local", "/nul\0"),
    ("remote", 5),
    ("remote", None),
    ("bucket", 5),
    ("bucket", ["b"]),
    ("store", None),
    ("choices", None),
    ("choices", []),
    ("choices", {"compare": "guess"}),
    ("choices", {"compare": 5}),
    ("choices", {"symlinks": "sometimes"}),
    ("choices", {"include": "*.txt"}),
    ("choices", {"exclude": [5]}),
    ("choices", {"max_delete": "many"}),
    ("choices", {"force": "no"}),
    ("choices", {"unheard_of": True}),
    ("actions", {}),
    ("actions", [5]),
    ("actions", [{}]),
    ("actions", [["/d/a"]]),
    ("actions", [{"path": "/d/a", "key": ["p/a"], "size": 1, "reason": "new"}]),
    ("actions", [{"path": "/d/a", "key": "p/a", "size": "1", "reason": "new"}]),
    ("actions", [{"path": "/d/a", "key": "p/a", "size": 1, "reason": "new", "more": 1}]),
    ("deletions", [{"name": {}, "size": 1, "state": ""}]),
    ("deletions", None),
]


@pytest.mark.parametrize(("name", "value"), HOSTILE, ids=[f"{name}={value!r}"[:40] for name, value in HOSTILE])
def test_a_document_with_something_else_in_it_is_none(
    tmp_path: Path, saved: dict[str, Any], name: str, value: Any
) -> None:
    refused(tmp_path, json.dumps(saved | {name: value}).encode())
    del saved[name]
    refused(tmp_path, json.dumps(saved).encode())


def test_a_file_that_is_not_there_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(LocalFileError, match=r"nonsuch\.json"):
        read_plan(str(tmp_path / "nonsuch.json"))


# -- whether it still fits


@pytest.fixture
def sides(tmp_path: Path) -> tuple[MemoryProvider, Path]:
    folder, provider = tmp_path / "here", MemoryProvider({})
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_bytes(b"new")
    provider.put_bytes("p/b", b"older")
    provider.put_bytes("p/gone", b"x")
    return provider, folder


def planned(provider: MemoryProvider, folder: Path) -> TransferPlan:
    options = PlanOptions(compare=Comparison.CONTENT, delete=True, budget=DeleteBudget(None, None))
    return plan_upload(provider, str(folder), "p", options)


@pytest.mark.parametrize(
    ("move", "said"),
    [
        (lambda provider, folder: None, ""),
        (lambda provider, folder: (folder / "a").write_bytes(b"now"), "'p/a' has changed since the plan"),
        (lambda provider, folder: os.utime(folder / "a", (1, 1)), "'p/a' has changed since"),
        (lambda provider, folder: (folder / "a").unlink(), "'p/a' is settled since"),
        (lambda provider, folder: (folder / "c").write_bytes(b""), "'p/c' differs now since"),
        (lambda provider, folder: provider.put_bytes("p/b", b"other"), "'p/b' has changed since"),
        (lambda provider, folder: provider.put_bytes("p/b", b"new"), "'p/b' is settled since"),
        (lambda provider, folder: provider.put_bytes("p/gone", b"y"), "'p/gone' has changed since"),
        (lambda provider, folder: provider.delete("p/gone"), "'p/gone' is settled since"),
        (lambda provider, folder: provider.put_bytes("p/more", b""), "'p/more' differs now since"),
        (lambda provider, folder: provider.put_bytes("q", b""), ""),
    ],
    ids=range(11),
)
def test_a_plan_fits_while_neither_side_has_moved(
    sides: tuple[MemoryProvider, Path], tmp_path: Path, move: Any, said: str
) -> None:
    provider, folder = sides
    path = str(tmp_path / "plan.json")
    write_plan(path, provider, command(folder), planned(provider, folder))
    move(provider, folder)
    if not said:
        check_still_fits(read_plan(path), provider, planned(provider, folder))
        return
    with pytest.raises(PreconditionFailed, match=said):
        check_still_fits(read_plan(path), provider, planned(provider, folder))


@pytest.mark.parametrize(
    "edit",
    [
        lambda document: document["actions"][0].update(path="/etc/passwd"),
        lambda document: document["actions"][0].update(key="../../other"),
        lambda document: document["actions"][0].update(path=document["local"] + "/../../x"),
        lambda document: document["deletions"].append({"name": "p/b", "size": 5, "state": ""}),
        lambda document: document["deletions"].clear(),
        lambda document: document["actions"].append(document["actions"][0] | {"key": "p/z"}),
    ],
    ids=range(6),
)
def test_a_plan_that_somebody_edited_does_not_fit(
    sides: tuple[MemoryProvider, Path], tmp_path: Path, edit: Any
) -> None:
    provider, folder = sides
    path = tmp_path / "plan.json"
    write_plan(str(path), provider, command(folder), planned(provider, folder))
    document = json.loads(path.read_bytes())
    edit(document)
    path.write_text(json.dumps(document))
    with pytest.raises(PreconditionFailed, match="nothing was changed: make a new plan"):
        check_still_fits(read_plan(str(path)), provider, planned(provider, folder))


def test_a_plan_for_another_store_does_not_fit(sides: tuple[MemoryProvider, Path], tmp_path: Path) -> None:
    provider, folder = sides
    path = str(tmp_path / "plan.json")
    write_plan(path, provider, command(folder), planned(provider, folder))
    other = MemoryProvider({"bucket_name": "other"})
    with pytest.raises(PreconditionFailed, match=r"made for memory:memory, and the active store is memory:other"):
        check_still_fits(read_plan(path), other, planned(other, folder))
