"""The address that DVC gives to a file or folder on this disk."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from domain.local_files import CHUNK_BYTES, LocalSource, local_error, printable_path


def address_of(path: Path) -> str:
    """What `dvc add` would write as the md5 of this file or folder; links in a folder are followed to files only.

    Raises:
        LocalFileError: it can't be read, or changes meanwhile.
    """
    if not path.is_dir():
        return _md5(path)
    entries = []
    for folder, _, names in os.walk(path, onerror=_refuse):
        for name in names:
            file = Path(folder, name)
            entries.append({"md5": _md5(file), "relpath": file.relative_to(path).as_posix()})
    entries.sort(key=lambda entry: entry["relpath"])
    manifest = json.dumps(entries, sort_keys=True).encode()
    return hashlib.md5(manifest, usedforsecurity=False).hexdigest() + ".dir"


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with LocalSource(path) as source:
        while part := source.read(CHUNK_BYTES):
            digest.update(part)
        source.check_unchanged()
    return digest.hexdigest()


def _refuse(error: OSError) -> None:
    raise local_error(error, printable_path(error.filename), "read") from error
