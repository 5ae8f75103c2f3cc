"""Moto over HTTP: an imitation of S3 in Python, which checks no keys, but needs no packages of a system.

It runs in a process of its own: moto imported into the tests' process would put itself into every boto3 client there.
"""

from __future__ import annotations

import importlib.util
import sys
import urllib.request

from local_server import LocalServer
from owned_processes import OwnedProcesses


class MotoServer(LocalServer):
    """A server without any buckets. It takes every key, secret and region; `reset` makes it forget everything."""

    @staticmethod
    def missing() -> str:
        absent = [name for name in ("moto", "flask", "flask_cors") if importlib.util.find_spec(name) is None]
        return f"{', '.join(absent)} not found: pip install 'moto[s3]' flask flask-cors" if absent else ""

    def reset(self) -> None:
        """Forget all buckets."""
        request = urllib.request.Request(f"{self.http_url}/moto-api/reset", method="POST")  # noqa: S310 - to ourselves
        with urllib.request.urlopen(request, timeout=self._timeout):  # noqa: S310 - the same
            pass

    def _boot(self, processes: OwnedProcesses) -> str:
        # Port 0 is any free one; the server says which.
        processes.spawn("moto", sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0")
        return processes.announced("moto", r"Running on (http://[\d.:]+)", self._timeout)
