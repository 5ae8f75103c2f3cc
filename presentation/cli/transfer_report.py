"""What a transfer is going to do, and what it has done, as text and as JSON."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from domain.transfer import TransferPlan, TransferReport

_GO_ON = "run the same command again to go on"


def show_plan(plan: TransferPlan, *, as_json: bool) -> None:
    """Print what would be done, a line for each file; in JSON one value for all."""
    from domain.transfer import Direction
    from presentation.cli.output import counted, human_size, json_pieces, printable

    if as_json:
        head = {"direction": plan.direction, "dry_run": True, "unchanged": plan.unchanged, **_left_out(plan)}
        lists = {
            "actions": (action.as_dict() for action in plan.actions),
            "deletions": (deletion._asdict() for deletion in plan.deletions),
        }
        sys.stdout.writelines(json_pieces(head, lists))
        return
    for action in plan.actions:
        source, target = action.path, action.key
        if plan.direction is Direction.DOWNLOAD:
            source, target = target, source
        what = f"{plan.direction} {printable(source)} to {printable(target)}"
        print(f"{what} ({human_size(action.size)}, {action.reason})")
    for deletion in plan.deletions:
        print(f"delete {printable(deletion.name)} ({human_size(deletion.size)}, not at the source)")
    gone = f", and delete {len(plan.deletions):,}" if plan.deletions else ""
    files = counted(len(plan.actions), "file")
    print(f"would {plan.direction} {files}, {human_size(plan.size)}{gone}; {plan.unchanged:,} unchanged")


def conclude(
    plan: TransferPlan,
    report: TransferReport,
    *,
    as_json: bool,
    local: str | None = None,
    bucket: str | None = None,
    tell_replaced: bool = False,
) -> None:
    """Print what was done, and how to go on where not all was; end the program with its exit code unless all went well.

    Args:
        local: the folder of a download, which undoing its deletions needs to know.
        bucket: as an option named it, for the same reason.
        tell_replaced: whether to say how many files were replaced; only a plan that compares knows.
    """
    from presentation.cli.exit_codes import INTERRUPTED, exit_code

    if as_json:
        _conclude_in_json(plan, report, {"replaced": report.replaced} if tell_replaced else {})
    else:
        _conclude_in_text(plan, report, tell_replaced=tell_replaced)
        if report.trash_id and _has_kept(plan, report):
            print(_how_to_undo(plan, report, local, bucket), file=sys.stderr)
    if report.interrupted:
        sys.exit(INTERRUPTED)
    if report.stopped_by or report.failures:
        sys.exit(exit_code(report.stopped_by or report.failures[0][1]))


def _conclude_in_json(plan: TransferPlan, report: TransferReport, more: dict[str, object]) -> None:
    from presentation.cli.output import emit_json

    emit_json(
        {
            "event": "summary",
            "direction": plan.direction,
            "done": report.done,
            "bytes": report.moved,
            "unchanged": plan.unchanged,
            **more,
            **_left_out(plan),
            "deleted": report.deleted,
            "trash_id": report.trash_id,
            "failed": [
                {"path": action.path, "key": action.key, "error": str(error)} for action, error in report.failures
            ],
            "not_done": len(plan.actions) - report.done,
            "interrupted": report.interrupted,
            "stopped_by": str(report.stopped_by) if report.stopped_by else None,
        }
    )


def _left_out(plan: TransferPlan) -> dict[str, object]:
    return {"left_out": plan.left_out, "reserved": list(plan.reserved)}


def _conclude_in_text(plan: TransferPlan, report: TransferReport, *, tell_replaced: bool) -> None:
    from presentation.cli.output import counted, human_size, printable

    errors = [error for _, error in report.failures]
    if report.stopped_by:
        errors.append(report.stopped_by)
    for sentence in dict.fromkeys(map(str, errors)):  # what many files meet is said once
        print(f"storage: {printable(sentence)}", file=sys.stderr)
    size = human_size(report.moved)
    left = len(plan.actions) - report.done
    if report.interrupted:
        done = f"{report.done:,} of {counted(len(plan.actions), 'file')} done, {size}"
        print(f"storage: interrupted: {done}; {_GO_ON}", file=sys.stderr)
    else:
        same = f", {plan.unchanged:,} unchanged" if plan.unchanged else ""
        did = f"{plan.direction.removesuffix('e')}ed"
        print(f"{did} {counted(report.done, 'file')}, {size}{same}", file=sys.stderr)
        if left:
            print(f"{left:,} not done{f'; {_GO_ON}' if report.stopped_by else ''}", file=sys.stderr)
    if tell_replaced and report.replaced:
        hint = "" if plan.backup else f"; --backup keeps such {'files' if report.replaced > 1 else 'a file'}"
        print(f"replaced {counted(report.replaced, 'file')} that differed{hint}", file=sys.stderr)
    kept = len(plan.deletions) - report.deleted
    if kept > 0:
        print(f"{counted(kept, 'deletion')} not done", file=sys.stderr)


def _has_kept(plan: TransferPlan, report: TransferReport) -> bool:
    """Whether there is anything in the trash that was opened for this."""
    return report.deleted > 0 or (plan.backup and any(action.target for action in plan.actions))


def _how_to_undo(plan: TransferPlan, report: TransferReport, local: str | None, bucket: str | None) -> str:
    from domain.transfer import Direction
    from presentation.cli.output import counted, printable

    command = f"storage undo {report.trash_id}"
    noun = "object"
    if plan.direction is Direction.DOWNLOAD:
        noun = "file"
        if local is not None:
            command += f" --local {shlex.quote(local)}"
    elif bucket is not None:
        command += f" --bucket {shlex.quote(bucket)}"
    trash = "the trash"
    if plan.direction is Direction.REPLICATION:
        trash, command = "the trash of the other store", f"with its settings '{command}'"
    else:
        command = f"'{command}'"
    if not report.deleted:
        return printable(f"what was replaced is in {trash}; {command} brings it back")
    them = "it" if report.deleted == 1 else "them"
    return printable(f"{counted(report.deleted, noun)} moved to {trash}; {command} brings {them} back")
