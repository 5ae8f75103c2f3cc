"""The end of a transfer, and a dry run's listing, as text and JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domain.errors import AccessDenied, LocalFileError, StoreUnavailable
from domain.transfer import Deletion, Direction, TransferAction, TransferPlan, TransferReport
from presentation.cli.transfer_report import conclude, show_plan

ACTIONS = [TransferAction(f"in/{number}", f"d/{number}", 1200, "new") for number in range(3)]
GONE = [Deletion("d/x", 1200, "s"), Deletion("d/y\n", 1, "s")]
PLAN = TransferPlan(Direction.UPLOAD, ACTIONS, 5, GONE)
FETCH = TransferPlan(Direction.DOWNLOAD, ACTIONS, 0, [Deletion("out/x", 1, "s")])
COPY = TransferPlan(Direction.REPLICATION, ACTIONS)
AWAY = StoreUnavailable("the store is away")


def concluded(capsys: pytest.CaptureFixture[str], plan: TransferPlan, local: str | None = None, **report: Any) -> Any:
    """Exit code and lines on stderr; the JSON on stdout."""
    codes = []
    for as_json in (False, True):
        try:
            conclude(plan, TransferReport(**report), as_json=as_json, local=local)
        except SystemExit as end:
            codes.append(end.code)
        else:
            codes.append(0)
    said = capsys.readouterr()
    assert codes[0] == codes[1]
    (line,) = said.out.splitlines()
    return codes[0], said.err.splitlines(), json.loads(line)


def test_all_done(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, told = concluded(capsys, PLAN, done=3, moved=3600, deleted=2, trash_id="2026-1")
    assert (code, lines) == (
        0,
        [
            "uploaded 3 files, 3.6 kB, 5 unchanged",
            "2 objects moved to the trash; 'storage undo 2026-1' brings them back",
        ],
    )
    assert told == {
        "event": "summary", "direction": "upload", "done": 3, "bytes": 3600, "unchanged": 5, "left_out": 0,
        "reserved": [], "deleted": 2, "trash_id": "2026-1", "failed": [], "not_done": 0, "interrupted": False, "stopped_by": None,
    }  # fmt: skip


def test_one_file_of_a_replication(capsys: pytest.CaptureFixture[str]) -> None:
    assert concluded(capsys, COPY, done=1, moved=1200)[1] == ["replicated 1 file, 1.2 kB", "2 not done"]


@pytest.mark.parametrize(
    ("local", "deleted", "line"),
    [
        ("out", 1, "1 file moved to the trash; 'storage undo T --local out' brings it back"),
        ("a b", 0, "what was replaced is in the trash; 'storage undo T --local 'a b'' brings it back"),
    ],
)
def test_undoing_a_download_needs_the_folder(
    capsys: pytest.CaptureFixture[str], local: str, deleted: int, line: str
) -> None:
    actions = [action._replace(target="s") for action in FETCH.actions]
    plan = TransferPlan(FETCH.direction, actions, 0, FETCH.deletions[:deleted], backup=True)
    _, lines, _ = concluded(capsys, plan, local=local, done=3, deleted=deleted, trash_id="T")
    assert lines == ["downloaded 3 files, 0 bytes", line]


def test_where_nothing_went_to_the_trash_there_is_nothing_to_undo(capsys: pytest.CaptureFixture[str]) -> None:
    """And what several files met alike is said once."""
    plan = TransferPlan(
        Direction.DOWNLOAD, (), 3, [Deletion("out/l/x", 1, "s"), Deletion("out/l/y", 1, "s")], backup=True
    )
    failures = [(ACTIONS[number], LocalFileError("behind a link")) for number in (0, 1)]
    _, lines, told = concluded(capsys, plan, local="out", trash_id="T", failures=failures)
    assert lines == ["storage: behind a link", "downloaded 0 files, 0 bytes, 3 unchanged", "2 deletions not done"]
    assert len(told["failed"]) == 2


@pytest.mark.parametrize(
    ("replaced", "backup", "line"),
    [
        (0, False, None),
        (1, False, "replaced 1 file that differed; --backup keeps such a file"),
        (2, False, "replaced 2 files that differed; --backup keeps such files"),
        (2, True, "replaced 2 files that differed"),
    ],
)
def test_what_was_replaced_is_said_where_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], replaced: int, backup: bool, line: str | None
) -> None:
    plan = TransferPlan(Direction.DOWNLOAD, ACTIONS, backup=backup)
    for as_json in (False, True):
        conclude(plan, TransferReport(3, replaced=replaced, moved=3600), as_json=as_json, tell_replaced=True)
    said = capsys.readouterr()
    assert said.err.splitlines() == ["downloaded 3 files, 3.6 kB", *([line] if line else [])]
    assert json.loads(said.out)["replaced"] == replaced


def test_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, told = concluded(capsys, PLAN, done=1, moved=1200, interrupted=True)
    assert (code, lines) == (
        130,
        [
            "storage: interrupted: 1 of 3 files done, 1.2 kB; run the same command again to go on",
            "2 deletions not done",
        ],
    )
    assert (told["interrupted"], told["done"], told["not_done"]) == (True, 1, 2)


def test_a_store_that_went_away(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, told = concluded(capsys, COPY, done=1, moved=1200, stopped_by=AWAY)
    assert (code, lines) == (
        8,
        ["storage: the store is away", "replicated 1 file, 1.2 kB", "2 not done; run the same command again to go on"],
    )
    assert told["stopped_by"] == "the store is away"


def test_failures_of_single_files(capsys: pytest.CaptureFixture[str]) -> None:
    failures = [(ACTIONS[0], LocalFileError("bad\x1b[31m")), (ACTIONS[2], AccessDenied("no"))]
    code, lines, told = concluded(capsys, FETCH, done=1, moved=1200, failures=failures)
    assert (code, lines) == (
        10,
        [
            "storage: bad\\x1b[31m",
            "storage: no",
            "downloaded 1 file, 1.2 kB",
            "2 not done",
            "1 deletion not done",
        ],
    )
    assert told["failed"] == [
        {"path": "in/0", "key": "d/0", "error": "bad\x1b[31m"},
        {"path": "in/2", "key": "d/2", "error": "no"},
    ]


def test_a_plan_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    show_plan(PLAN, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "upload in/0 to d/0 (1.2 kB, new)",
        "upload in/1 to d/1 (1.2 kB, new)",
        "upload in/2 to d/2 (1.2 kB, new)",
        "delete d/x (1.2 kB, not at the source)",
        "delete d/y\\n (1 byte, not at the source)",
        "would upload 3 files, 3.6 kB, and delete 2; 5 unchanged",
    ]
    show_plan(TransferPlan(Direction.DOWNLOAD, ACTIONS[:1]), as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "download d/0 to in/0 (1.2 kB, new)",
        "would download 1 file, 1.2 kB; 0 unchanged",
    ]


def test_a_plan_in_json_is_one_value(capsys: pytest.CaptureFixture[str]) -> None:
    show_plan(PLAN, as_json=True)
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert told.keys() == {"direction", "dry_run", "unchanged", "left_out", "reserved", "actions", "deletions"}
    assert (told["dry_run"], told["unchanged"], len(told["actions"])) == (True, 5, 3)
    assert told["actions"][0].items() >= {"path": "in/0", "key": "d/0", "size": 1200, "reason": "new"}.items()
    assert told["deletions"][1] == {"name": "d/y\n", "size": 1, "state": "s"}
