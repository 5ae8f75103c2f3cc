"""What all test servers have: invented keys, a folder, and a life that is no longer than that of the tests."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

from owned_processes import OwnedProcesses


class LocalServer(ABC):
    """An S3 server on 127.0.0.1, each time a new one: its state is below `folder`, and is of no use after `stop`."""

    http_url: str

    def __init__(self, folder: Path, *, timeout: float = 60) -> None:
        self.access_key = secrets.token_hex(10)
        self.secret_key = secrets.token_hex(20)
        self._folder = folder
        self._timeout = timeout
        self._processes: OwnedProcesses | None = None

    @staticmethod
    @abstractmethod
    def missing() -> str:
        """What has to be installed before, as a sentence; empty where nothing is missing."""

    @abstractmethod
    def _boot(self, processes: OwnedProcesses) -> str:
        """Start the programs; the address where requests are answered now."""

    @property
    def pids(self) -> dict[str, int]:
        """The processes of this server, by name."""
        return self._processes.pids if self._processes else {}

    def start(self) -> Self:
        """Returns when requests are answered; raises `ServerFailed` with the logs when that doesn't come."""
        if self._processes:
            raise RuntimeError("this server has been started before; make a new one")
        self._processes = OwnedProcesses(self._folder / "log")
        try:
            self.http_url = self._boot(self._processes)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        if self._processes:
            self._processes.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
