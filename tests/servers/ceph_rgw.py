"""A real Ceph RADOS Gateway on this machine: an S3 server that is used in production, ready in about a second.

One monitor, one object store daemon (in memory unless asked otherwise) and one gateway, which answers http and https.
It needs Debian's packages, but no root, no service manager and no container.
"""

from __future__ import annotations

import http.client
import importlib.util
import shutil
import uuid
from http import HTTPStatus
from pathlib import Path
from typing import Literal

from ceph_settings import ceph_settings
from local_server import LocalServer
from owned_processes import OwnedProcesses
from port_block import PortBlock

_BINARIES = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "monmaptool")
_GIB = 2**30


class CephRgw(LocalServer):
    """A gateway with one user, who may make buckets. Several can run at once.

    `store` is "memstore", or "bluestore" (a sparse file; slower to boot) for more than memory holds. With
    `lifecycle_seconds`, a day of a bucket's lifecycle rule lasts that many seconds, and rules are applied as often.
    """

    https_url: str

    def __init__(
        self,
        folder: Path,
        *,
        store: Literal["memstore", "bluestore"] = "memstore",
        size: int = 8 * _GIB,
        lifecycle_seconds: int | None = None,
        timeout: float = 60,
    ) -> None:
        super().__init__(folder, timeout=timeout)
        self._store = store
        self._size = size
        self._lifecycle_seconds = lifecycle_seconds
        self._ports: PortBlock | None = None

    @staticmethod
    def missing() -> str:
        if absent := [name for name in _BINARIES if shutil.which(name) is None]:
            packages = "ceph-mon ceph-osd radosgw ceph-common"
            return f"{', '.join(absent)} not found: apt-get install --no-install-recommends {packages}"
        if importlib.util.find_spec("trustme") is None:
            return "trustme not found: pip install trustme"
        return ""

    @property
    def ca_bundle(self) -> Path:
        """The authority (PEM) that a client of `https_url` has to trust."""
        return self._folder / "ca.pem"

    def stop(self) -> None:
        super().stop()
        if self._ports:
            self._ports.close()

    def admin(self, *arguments: str) -> str:
        """The output of `radosgw-admin arguments…` for this gateway, which is mostly JSON."""
        assert self._processes is not None
        command = ("radosgw-admin", *self._configured, "--no-mon-config", *arguments)
        return self._processes.run("admin", *command, timeout=self._timeout)

    def _boot(self, processes: OwnedProcesses) -> str:
        self._ports = PortBlock()
        mon_port, http_port, https_port, *osd_ports = self._ports.numbers
        cluster_id = str(uuid.uuid4())
        for name in ("mon", "osd", "rgw", "run", "crash"):
            (self._folder / name).mkdir()
        (self._folder / "keyring").touch()
        settings = ceph_settings(
            self._folder,
            cluster_id=cluster_id,
            mon_port=mon_port,
            osd_ports=osd_ports,
            store=self._store,
            size=self._size,
            lifecycle_seconds=self._lifecycle_seconds,
        )
        (self._folder / "ceph.conf").write_text(settings)
        self._make_cluster(processes, cluster_id, mon_port)
        # A user has 1,000 buckets by default; each of thousands of tests makes one or two.
        identity = ("--uid=owner", "--display-name=owner", "--max-buckets=1000000")
        self.admin("user", "create", *identity, f"--access-key={self.access_key}", f"--secret-key={self.secret_key}")
        self._start_gateway(processes, http_port, https_port)
        self.https_url = f"https://127.0.0.1:{https_port}"
        return f"http://127.0.0.1:{http_port}"

    @property
    def _configured(self) -> tuple[str, ...]:
        return "-c", str(self._folder / "ceph.conf")

    def _make_cluster(self, processes: OwnedProcesses, cluster_id: str, mon_port: int) -> None:
        """A monitor and an object store daemon. The latter's disk is made while the former boots."""
        configured, limit = self._configured, self._timeout
        osd_id, map_file = str(uuid.uuid4()), str(self._folder / "monmap")
        new_osd = ("-i", "0", "--mkfs", "--osd-uuid", osd_id, "--no-mon-config")
        processes.spawn("osd-mkfs", "ceph-osd", *configured, *new_osd)
        address = ("--addv", "a", f"[v2:127.0.0.1:{mon_port}/0]")
        new_map = ("--create", "--fsid", cluster_id, "--set-min-mon-release", "pacific", *address, map_file)
        processes.run("monmap", "monmaptool", *new_map, timeout=limit)
        processes.run("mon-mkfs", "ceph-mon", *configured, "-i", "a", "--mkfs", "--monmap", map_file, timeout=limit)
        processes.spawn("mon", "ceph-mon", "-f", "-i", "a", *configured)
        processes.run("osd-new", "ceph", *configured, "osd", "new", osd_id, "0", timeout=limit)
        processes.finish("osd-mkfs", timeout=limit)
        processes.spawn("osd", "ceph-osd", "-f", "-i", "0", *configured, "--no-mon-config")

    def _start_gateway(self, processes: OwnedProcesses, http_port: int, https_port: int) -> None:
        frontend = [
            "beast",
            f"endpoint=127.0.0.1:{http_port}",
            f"ssl_endpoint=127.0.0.1:{https_port}",
            *self._certify(),
            "tcp_nodelay=1",  # without it each small answer waits 40 ms
        ]
        name = ("-n", "client.rgw.a", *self._configured, "--no-mon-config")
        processes.spawn("rgw", "radosgw", "-f", *name, "--rgw-frontends", " ".join(frontend))
        processes.wait_until(lambda: _answers(http_port) or None, self._timeout)

    def _certify(self) -> tuple[str, str]:
        """A certificate for this machine by an authority of our own, as options of the gateway."""
        import trustme  # not at the top: it need not be there before `missing` has been asked

        authority = trustme.CA()
        leaf = authority.issue_cert("127.0.0.1", "localhost")
        chain, key = self._folder / "certificate.pem", self._folder / "certificate-key.pem"
        chain.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        key.touch(mode=0o600)
        leaf.private_key_pem.write_to_path(str(key))
        authority.cert_pem.write_to_path(str(self.ca_bundle))
        return f"ssl_certificate={chain}", f"ssl_private_key={key}"


def _answers(port: int) -> bool:
    """Whether somebody without a name gets the list of their buckets, which is empty."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
