"""The command on lineage: what a version came from and what was made from it, as a tree, as JSON and as a picture."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from presentation.cli.options import Bucket, Json, examples, open_provider

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

    from domain.lineage import LineageGraph, LineageNode
    from domain.storage import IStorageProvider
    from domain.versions import Reference

_SIGNS = 60
"""Of a message, in the tree."""
_LEVELS = 12
_COLUMNS_A_LEVEL = 8
"""A tree is indented by four, and something has to be left for what it says."""


def register(dataset: typer.Typer) -> None:
    """Add this command to the group `dataset`."""
    dataset.command(
        epilog=examples(
            "storage dataset lineage m13-clean",
            "storage dataset lineage m13-clean@2 --depth 1",
            "storage dataset lineage m13-clean --graph lineage.svg",
            "storage dataset lineage m13-clean --json | jq .ancestors",
        )
    )(lineage)


def lineage(
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="ID[@V]", help="A version by number or alias; the latest by default.", show_default=False
        ),
    ],
    graph: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Draw it too: an SVG picture, parents on the left.", show_default=False),
    ] = None,
    depth: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most so many steps either way.", show_default=False)
    ] = None,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Show what a version was made from and what was made from it, across datasets and models.

    Only what versions were said to be made from counts: version 2 of a dataset comes from its version 1 where that was named as
    a parent. Removed versions are shown, and those that are named as parents and have no record.
    """
    from presentation.cli.output import counted, emit_json, printable

    path = None if graph is None else _checked_path(graph)
    whole, reference = _lineage(open_provider(bucket), wanted)
    shown = whole.around(reference, steps=depth)
    if path is not None:
        _draw(path, shown, reference)
    left_out = len(whole) - len(shown)
    if as_json:
        emit_json(_as_dict(shown, reference) | {"left_out": left_out})
        return
    _print_tree(shown, reference)
    if path is not None:
        print(f"drew {counted(len(shown), 'version')}: {printable(path)}", file=sys.stderr)
    if left_out:
        print(f"{counted(left_out, 'version')} further away left out; a larger --depth shows more", file=sys.stderr)


def _lineage(provider: IStorageProvider, wanted: str) -> tuple[LineageGraph, Reference]:
    from application.dataset_records import DatasetRecords
    from application.lineage import lineage as of
    from domain.errors import ObjectNotFound
    from domain.versions import Reference, Wanted

    records, named = DatasetRecords(provider), Wanted.parse(wanted)
    reference = Reference(named.kind, named.id, named.version or 0)
    if named.version is None:
        reference = records.get(named, removed=True).reference
    try:
        return of([records], reference), reference
    except ObjectNotFound:
        records.get(named)  # says better what is missing
        raise


def _checked_path(path: str) -> str:
    """Where the picture is to go; said before a store is asked.

    Raises:
        LocalFileError: its folder is not there.
    """
    from domain.errors import LocalFileError
    from domain.local_files import printable_path

    path = os.path.expanduser(path)  # a shell leaves the '~' of --graph=~/out.svg as it is
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise LocalFileError(f"can't write {printable_path(path)!r}: its folder is not there; make it, or name another")
    return path


def _draw(path: str, graph: LineageGraph, reference: Reference) -> None:
    from application.lineage_drawing import drawn
    from domain.local_files import ReplacementFile

    with ReplacementFile(path) as file:
        file.write(drawn(graph, reference))
        file.commit()


def _as_dict(graph: LineageGraph, reference: Reference) -> dict[str, object]:
    return {
        "version": str(reference),
        "ancestors": [str(one) for one in graph.ancestors(reference)],
        "descendants": [str(one) for one in graph.descendants(reference)],
        "nodes": [_node_as_dict(node) for node in graph.nodes],
        "edges": [{"parent": str(parent), "child": str(child)} for parent, child in graph.edges],
    }


def _node_as_dict(node: LineageNode) -> dict[str, object]:
    kind, name, version = node.reference
    told = {"reference": str(node.reference), "kind": kind, "id": name, "version": version, "created": node.created}
    return told | {"message": node.message, "removed": node.removed, "unknown": node.is_unknown}


def _print_tree(graph: LineageGraph, reference: Reference) -> None:
    from rich.tree import Tree

    from presentation.cli.output import answers

    console = answers()
    levels = min(_LEVELS, max(1, console.width // _COLUMNS_A_LEVEL))
    tree = Tree(_line(graph[reference], style="bold"))
    for heading, mark, step in (("made from", "←", graph.parents), ("used for", "→", graph.children)):
        part = tree.add(heading if step(reference) else f"{heading} nothing", style="default")
        _grow(part, graph, reference, step, mark, levels)
    console.print(tree)


def _grow(
    tree: Tree,
    graph: LineageGraph,
    start: Reference,
    step: Callable[[Reference], tuple[Reference, ...]],
    mark: str,
    levels: int,
) -> None:
    """Put all that is reached from `start` below it; what was shown already is marked, and not shown to its end again.

    Where one version alone follows, it stands on the next line after a mark instead of one level deeper: histories are long.
    """
    from rich.text import Text

    seen = {start}
    # No recursion: lineages are deep.
    pending = [(tree, reference, 1) for reference in reversed(step(start))]
    while pending:
        branch, reference, level = pending.pop()
        lines: list[Text] = []
        further: tuple[Reference, ...] = (reference,)
        while len(further) == 1:
            (reference,) = further
            line = _line(graph[reference], before=f"{mark} " if lines else "")
            further = () if reference in seen else step(reference)
            if reference in seen:
                line.append(" (shown above)", style="dim")
            seen.add(reference)
            lines.append(line)
        below = branch.add(Text("\n").join(lines))
        if further and level == levels:
            below.add("… goes on; --json and --graph show all of it", style="dim")
            seen.discard(reference)  # it may be reached again where there is room
        else:
            pending += [(below, one, level + 1) for one in reversed(further)]


def _line(node: LineageNode, *, before: str = "", style: str = "") -> Text:
    from rich.text import Text

    from presentation.cli.output import human_time, printable

    line = Text(before).append(printable(str(node.reference)), style=style or "cyan")
    if node.created:
        line.append(f"  {human_time(node.created)[:10]}", style="dim")
    if node.removed:
        line.append(f"  removed {human_time(node.removed)[:10]}", style="yellow")
    if node.is_unknown:
        line.append("  no record of it", style="yellow")
    message = " ".join(node.message.split())
    if message:
        line.append(f"  {printable(message if len(message) <= _SIGNS else message[: _SIGNS - 1] + '…')}")
    return line
