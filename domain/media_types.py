"""The content type of a name, the same on every machine with the same Python.

`mimetypes.guess_type` reads the machine's own tables, so that one file would be `image/fits` on one machine and
unknown on the next; the table here is the interpreter's built-in one plus the formats of this field.
"""

from __future__ import annotations

from functools import cache, lru_cache
from mimetypes import MimeTypes

DEFAULT = "application/octet-stream"

_OF_THE_FIELD = {
    ".avro": "application/vnd.apache.avro",
    ".fit": "image/fits",
    ".fits": "image/fits",
    ".fts": "image/fits",
    ".gguf": "application/octet-stream",
    ".ipynb": "application/x-ipynb+json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".webp": "image/webp",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}


@cache
def _table() -> MimeTypes:
    table = MimeTypes(filenames=())
    for suffix, media_type in _OF_THE_FIELD.items():
        table.add_type(media_type, suffix)
    return table


@lru_cache(maxsize=1024)
def _of_suffix(suffix: str) -> str:
    media_type, encoding = _table().guess_type("name" + suffix)
    # A compressed file is served as what it is; its inner type would make browsers show compressed bytes.
    return f"application/{_ENCODINGS[encoding]}" if encoding else media_type or DEFAULT


_ENCODINGS = {"gzip": "gzip", "compress": "x-compress", "bzip2": "x-bzip2", "xz": "x-xz", "br": "x-brotli"}


def guess_content_type(name: str) -> str:
    """The content type for a key or file name by its suffix; `application/octet-stream` where it says nothing."""
    dot = name.rfind(".")
    if dot <= name.rfind("/"):
        return DEFAULT
    return _of_suffix(name[dot:])


def content_type_of_upload(key: str, local_path: str) -> str | None:
    """The type that the file's suffix says where the key's says nothing; None leaves the guess to the key."""
    if key.endswith(local_path[local_path.rfind("/") + 1 :]):
        return None
    return guess_content_type(local_path) if guess_content_type(key) == DEFAULT else None
