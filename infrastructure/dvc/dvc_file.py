"""A `.dvc` file: the few lines of YAML by which DVC knows one file or folder."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.content import DVC_MD5
from domain.errors import ConfigurationError, InvalidRequest, LocalFileError
from domain.local_files import LocalSource, ReplacementFile, printable_path

MAX_BYTES = 1 << 20
"""No `.dvc` file is larger; one that claims to be is not read."""

MISSING_EXTRA = "this needs DVC; pip install 'lading[dvc]'"


@dataclass(frozen=True, slots=True)
class DvcFile:
    """What a `.dvc` file says of the one file or folder that it stands for.

    Attributes:
        md5: the address of its content: 32 hex digits, and `.dir` after them where it is a folder.
        size: bytes in all, or None where it does not say.
        nfiles: the number of files of a folder; None for a file, or where it does not say.
        path: the name, relative to the folder of the `.dvc` file.
        is_executable: whether a single file is.
        remote: the remote that has the content, where it is not the default one.
        meta: whatever else somebody keeps there; DVC carries it along and does not look at it.
        desc: a description in words.
    """

    md5: str
    size: int | None
    nfiles: int | None
    path: str
    is_executable: bool = False
    remote: str | None = None
    meta: Mapping[str, object] = field(default_factory=dict)
    desc: str | None = None

    @property
    def is_folder(self) -> bool:
        """Whether it stands for a folder."""
        return self.md5.endswith(".dir")


def read_dvc_file(path: str | os.PathLike[str]) -> DvcFile:
    """What the `.dvc` file at `path` says.

    Raises:
        LocalFileError: it can't be read, or is no `.dvc` file of one dataset in the layout of DVC 3.
        ConfigurationError: without the extra `dvc`.
    """
    parts = []
    with LocalSource(path) as source:
        shown = printable_path(path)
        if source.size > MAX_BYTES:
            raise _refused(shown, f"it has {source.size:,} bytes, and none is larger than {MAX_BYTES:,}")
        while part := source.read(MAX_BYTES):
            parts.append(part)
    return parse_dvc_file(b"".join(parts), shown)


def write_dvc_file(path: str | os.PathLike[str], dvc_file: DvcFile) -> None:
    """Write a `.dvc` file as `dvc add` does, byte for byte; what was there is replaced in one step.

    Raises:
        InvalidRequest: the hash is none, or the path is absolute or leads out of the folder.
        LocalFileError, InsufficientStorage: it can't be written.
        ConfigurationError: without the extra `dvc`.
    """
    _write(path, dvc_file_bytes(dvc_file))


def assign_remote(path: str | os.PathLike[str], remote: str | None) -> None:
    """Have the `.dvc` file at `path` name the remote that has the content, or none; all else in it stays.

    Raises:
        LocalFileError, InsufficientStorage, ConfigurationError: as `read_dvc_file` and `write_dvc_file`.
    """
    if read_dvc_file(path).remote == remote:
        return
    yaml = _yaml(None)
    with open(path, "rb") as file:
        document = yaml.load(file)
    document["outs"][0].pop("remote", None)
    if remote is not None:
        document["outs"][0]["remote"] = remote
    _write(path, _dumped(yaml, document))


def dvc_file_bytes(dvc_file: DvcFile) -> bytes:
    """The bytes that `write_dvc_file` writes.

    Raises:
        InvalidRequest, ConfigurationError: as there.
    """
    if problem := _wrong_path(dvc_file.path):
        raise InvalidRequest(f"the path {dvc_file.path!r} can't stand in a .dvc file: {problem}")
    out: dict[str, object] = {"md5": DVC_MD5.checked(dvc_file.md5)}
    if dvc_file.size is not None:
        out["size"] = dvc_file.size
    if dvc_file.nfiles is not None:
        out["nfiles"] = dvc_file.nfiles
    if dvc_file.is_executable:
        out["isexec"] = True
    out |= {"hash": "md5", "path": dvc_file.path}
    if dvc_file.remote:
        out["remote"] = dvc_file.remote
    document: dict[str, object] = {"desc": dvc_file.desc} if dvc_file.desc else {}
    document["outs"] = [out]
    if dvc_file.meta:
        document["meta"] = dict(dvc_file.meta)
    return _dumped(_yaml(None), document)


def parse_dvc_file(data: bytes, shown: str) -> DvcFile:
    """What the bytes of a `.dvc` file say.

    Args:
        shown: what to call the file in a message.

    Raises:
        LocalFileError, ConfigurationError: as `read_dvc_file`.
    """
    if len(data) > MAX_BYTES:
        raise _refused(shown, f"it has {len(data):,} bytes, and none is larger than {MAX_BYTES:,}")
    document = _loaded(data, shown)
    outs = document.get("outs") if isinstance(document, dict) else None
    if not isinstance(outs, list) or not outs:
        raise _refused(shown, "it has no 'outs'")
    if len(outs) > 1:
        raise _refused(
            shown, f"it has {len(outs):,} outs, and a dataset is one of them; 'dvc add' writes one file each"
        )
    out = outs[0]
    if not isinstance(out, dict):
        raise _refused(shown, "its 'outs' is no list of names with values")
    if document.get("wdir") not in {None, "."}:
        raise _refused(shown, "it has a 'wdir', so that its path is relative to another folder; add the dataset anew")
    if out.get("hash") != "md5":
        raise _refused(
            shown,
            "it has no 'hash: md5', so that its content is in the layout of DVC 2; run 'dvc cache migrate --dvc-files' "
            "and push it again",
        )
    return _checked(document, out, shown)


def _checked(document: dict[str, Any], out: dict[str, Any], shown: str) -> DvcFile:
    try:
        md5 = DVC_MD5.checked(out.get("md5", ""))
    except InvalidRequest as error:
        raise _refused(shown, f"its md5 is wrong: {error.message}") from None
    path = out.get("path")
    if problem := _wrong_path(path):
        raise _refused(shown, f"its path {path!r} is wrong: {problem}")
    meta = document.get("meta") or {}
    desc = document.get("desc") or out.get("desc")
    remote = out.get("remote")
    if not isinstance(meta, dict) or not all(isinstance(name, str) for name in meta):
        raise _refused(shown, "its 'meta' is not made of names with values")
    for name, value in {"desc": desc, "remote": remote}.items():
        if not isinstance(value, str | None):
            raise _refused(shown, f"its {name!r} is no text")
    return DvcFile(
        md5=md5,
        size=_number(out, "size", shown),
        nfiles=_number(out, "nfiles", shown),
        path=str(path),
        is_executable=out.get("isexec") is True,
        remote=remote,
        meta=meta,
        desc=desc,
    )


def _loaded(data: bytes, shown: str) -> Any:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise _refused(shown, "it is no UTF-8 text") from None
    yaml = _yaml("safe")
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.events import AliasEvent

    try:
        # A few aliases of aliases are a document of any size; DVC writes none.
        if "*" in text and any(isinstance(event, AliasEvent) for event in yaml.parse(text)):
            raise _refused(shown, "it uses a YAML alias; write the value itself")
        return yaml.load(text)
    except YAMLError as error:
        said = getattr(error, "problem", None) or "it can't be parsed"
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1:,}" if mark else ""
        raise _refused(shown, f"it is no YAML ({' '.join(str(said).split())}{where})") from None
    except RecursionError:
        raise _refused(shown, "it is nested too deeply") from None
    except (ValueError, ArithmeticError, LookupError) as error:  # such as a date without such a day
        raise _refused(shown, f"it holds a value that is none ({error})") from None


def _yaml(kind: str | None) -> Any:
    try:
        from ruamel.yaml import YAML  # DVC's own, whose output is to be the same
    except ImportError as error:
        raise ConfigurationError(MISSING_EXTRA) from error
    return YAML(typ=kind, pure=True)


def _dumped(yaml: Any, document: object) -> bytes:
    yaml.default_flow_style = False
    text = io.StringIO()
    yaml.dump(document, text)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _write(path: str | os.PathLike[str], data: bytes) -> None:
    with ReplacementFile(path) as file:
        file.write(data)
        file.commit()


def _wrong_path(path: object) -> str:
    """What is wrong with the path of an out; empty where nothing is. It may come from a stranger."""
    if not isinstance(path, str) or not path:
        return "name a file or folder"
    if "\0" in path:
        return "a path holds no NUL character"
    parts = path.split("/")
    if path.startswith("/"):
        return "it is absolute"
    if ".." in parts:
        return "it leads out of the folder of the .dvc file"
    return "" if any(part not in {"", "."} for part in parts) else "name a file or folder"


def _number(out: dict[str, Any], name: str, shown: str) -> int | None:
    value = out.get(name)
    if value is None or (type(value) is int and value >= 0):
        return value
    raise _refused(shown, f"its {name!r} is no number")


def _refused(shown: str, why: str) -> LocalFileError:
    return LocalFileError(f"{shown!r} is no dataset of DVC: {why}")
