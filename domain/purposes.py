"""What a store is used for, and where in it that has its place."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from domain.errors import ConfigurationError


class Purpose(StrEnum):
    """A use that can have a bucket and a prefix of its own."""

    DVC = "dvc"
    MLFLOW = "mlflow"
    MODELS = "models"
    VIDEO = "video"
    LOGS = "logs"


class Place(NamedTuple):
    """A part of a store.

    Attributes:
        bucket: None for the provider's own.
        prefix: empty, or ending in a slash.
    """

    bucket: str | None
    prefix: str


OWN_PREFIX = {
    Purpose.DVC: "dvc/",
    Purpose.MLFLOW: "artifacts/",
    Purpose.MODELS: "models/",
    Purpose.VIDEO: "video/",
    Purpose.LOGS: "logs/",
}
"""Where a purpose has its place in the provider's own bucket when no setting says otherwise."""

_URL = re.compile(r"s3://([^/?#@:]+)(?:/([^?#]*))?")


def place_of_url(url: str, setting: str) -> Place:
    """The place that `s3://bucket/prefix` names, on whichever provider is active.

    Args:
        setting: what the URL was given as, for the message.

    Raises:
        ConfigurationError: it is no such URL. The URL is not shown: there may be credentials in it.
    """
    found = _URL.fullmatch(url)
    if not found:
        raise ConfigurationError(
            f"{setting} is not of the form s3://bucket/prefix; the bucket is the active provider's"
        )
    prefix = (found[2] or "").strip("/")
    return Place(found[1], f"{prefix}/" if prefix else "")
