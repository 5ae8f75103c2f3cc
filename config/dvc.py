"""The client of DVC, made from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

from infrastructure.dvc.client import REMOTE_NAME, DVCClient
from infrastructure.dvc.dvc_file import DvcFile, read_dvc_file, write_dvc_file

__all__ = ["DVCClient", "DvcFile", "dvc_client", "read_dvc_file", "write_dvc_file"]


def dvc_client(
    workspace: str | os.PathLike[str], environ: Mapping[str, str] | None = None, *, with_store: bool = False
) -> DVCClient:
    """A client for this folder, on the active provider and at the place that `DVC_REMOTE_URL` and `DVC_REMOTE_NAME` say.

    Args:
        environ: variables to read instead of the process's.
        with_store: whether it is to be asked for the provider. Without, a workspace whose remote is known already can be
            worked in, whatever the settings are.

    Raises:
        ConfigurationError: the settings are not right.
        UnsupportedOperation: the URL names a bucket, and the provider has none.
    """
    if not with_store:
        return DVCClient(workspace)
    from config.provider import storage_provider_for
    from config.settings import StorageConfig
    from domain.purposes import Purpose

    provider, prefix = storage_provider_for(Purpose.DVC, environ)
    name = StorageConfig.from_env(environ).dvc_remote_name or REMOTE_NAME
    return DVCClient(workspace, provider, remote_name=name, remote_prefix=prefix)
