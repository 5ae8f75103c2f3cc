"""Commands that drive plain dvc and git in a workspace."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from presentation.cli.options import Json, examples

if TYPE_CHECKING:
    from config.dvc import DVCClient

_Workspace = Annotated[
    str,
    typer.Option(
        "--workspace",
        "-C",
        metavar="FOLDER",
        help="Where git and DVC are, or are to be. Other paths are relative to it.",
        show_default="this folder",
    ),
]
_Path = Annotated[str, typer.Argument(metavar="PATH", help="A file or folder of the workspace.", show_default=False)]
_Dataset = Annotated[
    str, typer.Argument(metavar="DATASET", help="The path of a dataset, or of its .dvc file.", show_default=False)
]


def register(dataset: typer.Typer) -> None:
    """Add these commands to the group `dataset`."""
    dvc = typer.Typer(
        help="Datasets in a folder of git and plain dvc, with their content in the active store. Whoever clones the "
        "repository pulls them with plain dvc. Needs the extra 'dvc', and git."
    )
    dvc.command(epilog=examples("storage dataset dvc init", "storage dataset dvc init -C survey/"))(init)
    dvc.command(epilog=examples("storage dataset dvc remote"))(remote)
    dvc.command(epilog=examples("storage dataset dvc add data/"))(add)
    dvc.command(epilog=examples("storage dataset dvc version data/ -m 'night of 20 November'"))(version)
    dvc.command(epilog=examples("storage dataset dvc push data"))(push)
    dvc.command(epilog=examples("storage dataset dvc pull data", "storage dataset dvc pull data /scratch/data"))(pull)
    dvc.command(epilog=examples("storage dataset dvc versions data"))(versions)
    dataset.add_typer(dvc, name="dvc")


def init(workspace: _Workspace = ".", as_json: Json = False) -> None:
    """Make the workspace a repository of git and of DVC, where it is none."""
    _client(workspace).init_repo()
    _done({"workspace": workspace}, "the workspace is a repository of git and DVC", as_json=as_json)


def remote(workspace: _Workspace = ".", as_json: Json = False) -> None:
    """Make the active store the default remote. Credentials go where git does not look, .dvc/config.local.

    DVC_REMOTE_URL=s3://bucket/prefix names another place in the store than dvc/, DVC_REMOTE_NAME another name than 'storage'.
    Whoever runs plain dvc over https on a store that is not AWS's sets AWS_REQUEST_CHECKSUM_CALCULATION=when_required.
    """
    from config.dvc import dvc_client

    url = dvc_client(workspace, with_store=True).configure_remote()
    _done({"url": url}, f"DVC's default remote is {url}", as_json=as_json)


def add(
    path: _Path,
    to: Annotated[
        str | None,
        typer.Option("--remote", metavar="NAME", help="Another remote than the default one.", show_default=False),
    ] = None,
    workspace: _Workspace = ".",
    as_json: Json = False,
) -> None:
    """Track a file or folder as it is now, and print the dataset's id. Nothing is committed or sent."""
    from presentation.cli.output import emit_json, printable

    dataset_id = _client(workspace).add_dataset(path, to)
    if as_json:
        emit_json({"id": dataset_id})
    else:
        print(printable(dataset_id))


def version(
    path: _Path,
    message: Annotated[str, typer.Option("--message", "-m", help="What this version is.", show_default=False)],
    workspace: _Workspace = ".",
    as_json: Json = False,
) -> None:
    """Track a file or folder as it is now, commit that to git, and print the commit.

    The commit holds the .dvc file, the .gitignore beside it, and DVC's own files where git lacks them. Where nothing has
    changed it is the commit of before. The content is sent by 'push'.
    """
    from presentation.cli.output import emit_json

    commit = _client(workspace).version_dataset(path, message)
    if as_json:
        emit_json({"commit": commit})
    else:
        print(commit)


def push(dataset: _Dataset, workspace: _Workspace = ".", as_json: Json = False) -> None:
    """Send what the store lacks of a dataset."""
    _client(workspace).push_dataset(dataset)
    _done({"dataset": dataset}, f"pushed {dataset!r}", as_json=as_json)


def pull(
    dataset: _Dataset,
    target: Annotated[
        str | None,
        typer.Argument(metavar="[TARGET]", help="Where to, instead of its own place.", show_default=False),
    ] = None,
    workspace: _Workspace = ".",
    as_json: Json = False,
) -> None:
    """Fetch a dataset, in the version that the workspace has checked out.

    At a TARGET, where nothing may be yet, it appears whole or not at all. In its own place nothing that was changed is
    replaced.
    """
    path = str(_client(workspace).pull_dataset(dataset, target))
    _done({"dataset": dataset, "path": path}, f"{dataset!r} is in {path!r}", as_json=as_json)


def versions(path: _Dataset, workspace: _Workspace = ".", as_json: Json = False) -> None:
    """List the versions of a dataset that git has, the newest first: commit, time, size, files, hash, message."""
    from presentation.cli.output import counted, emit_json, printable

    for found in _client(workspace).list_versions(path):
        if as_json:
            emit_json(found)
            continue
        first_line = printable(str(found["message"]).partition("\n")[0])
        size, files = found["size"], found["nfiles"]
        what = counted(files, "file") if isinstance(files, int) else "-"
        held = f"{size:>14,} bytes" if isinstance(size, int) else f"{'-':>20}"
        print(f"{str(found['commit'])[:12]} {found['time']} {held} {what:>14}  {found['md5'] or '-'}  {first_line}")
        if found["problem"]:
            print(f"  {printable(str(found['problem']))}")


def _client(workspace: str) -> DVCClient:
    from config.dvc import dvc_client

    return dvc_client(workspace)


def _done(told: dict[str, str], sentence: str, *, as_json: bool) -> None:
    from presentation.cli.output import emit_json, printable

    if as_json:
        emit_json(told)
    else:
        print(printable(sentence), file=sys.stderr)
