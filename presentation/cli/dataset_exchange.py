"""Commands by which a version of a dataset and a file of plain dvc become each other."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from presentation.cli.dataset_options import EvenIfUnchanged, Metadata, Parents, Ref, Tags, open_datasets
from presentation.cli.options import Bucket, Json, examples, name_value_pairs


def register(dataset: typer.Typer) -> None:
    """Add these commands to the group `dataset`."""
    dataset.command("export-dvc", epilog=examples("storage dataset export-dvc m13-raw@1 data.dvc"))(export_dvc)
    dataset.command("import-dvc", epilog=examples("storage dataset import-dvc data.dvc --id m13-raw"))(import_dvc)


def export_dvc(
    ref: Ref,
    path: Annotated[str, typer.Argument(metavar="FILE.dvc", help="The file to write.", show_default=False)],
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Write a .dvc file by which 'dvc pull' fetches a version, in a workspace whose remote is this store.

    'storage dataset dvc remote' makes it so. The data gets the name of the file, without .dvc.
    """
    import os

    from application.dvc_exchange import description_for_dvc
    from config.dvc import DvcFile, write_dvc_file
    from domain.errors import InvalidRequest, PreconditionFailed
    from presentation.cli.output import emit_json, printable

    name = os.path.basename(path).removesuffix(".dvc")
    if not path.endswith(".dvc") or not name:
        raise InvalidRequest(f"{path!r} is no name of a .dvc file; write for example data.dvc, which stands for data")
    datasets = open_datasets(bucket)
    version = datasets.get(ref)
    if version.place != datasets.place:
        raise PreconditionFailed(
            f"the files of {version.reference} are in {version.place!r}, and plain dvc would look in {datasets.place!r}; "
            "set DVC_REMOTE_URL as it was"
        )
    write_dvc_file(
        path,
        DvcFile(
            md5=version.content,
            size=version.size,
            nfiles=None if version.is_file else version.files,
            path=name,
            is_executable=version.is_executable,
            meta=description_for_dvc(datasets, version),
        ),
    )
    if as_json:
        emit_json({"path": path, **version.as_dict()})
    else:
        print(f"wrote {printable(path)} for {printable(str(version.reference))}", file=sys.stderr)


def import_dvc(
    path: Annotated[str, typer.Argument(metavar="FILE.dvc", help="What 'dvc add' wrote.", show_default=False)],
    dataset_id: Annotated[str, typer.Option("--id", metavar="ID", help="The dataset.", show_default=False)],
    message: Annotated[str | None, typer.Option("--message", "-m", help="Default: the file's own description.")] = None,
    parents: Parents = None,
    tags: Tags = None,
    metadata: Metadata = None,
    even_if_unchanged: EvenIfUnchanged = False,
    bucket: Bucket = None,
    as_json: Json = False,
) -> None:
    """Make a version of what 'dvc push' put into this store. No content is moved; all of it has to be there."""
    from application.dvc_exchange import register_pushed
    from config.dvc import read_dvc_file
    from presentation.cli.datasets import tell_version
    from presentation.cli.progress import planning

    pairs = name_value_pairs(metadata or [], "--metadata")
    told = read_dvc_file(path)
    datasets = open_datasets(bucket)
    with planning(as_json, "looking at what is there") as shown:
        made = register_pushed(
            datasets,
            told.md5,
            dataset_id,
            told.path.rstrip("/").rpartition("/")[2],
            message if message is not None else told.desc or "",
            parents or (),
            tags or (),
            pairs,
            is_executable=told.is_executable,
            even_if_unchanged=even_if_unchanged,
            seen=shown.seen,
        )
    tell_version(made, as_json=as_json)
