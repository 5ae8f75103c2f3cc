"""The configuration of a Ceph cluster of one: quick to boot, quiet, nothing beyond 127.0.0.1."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

_CLUSTER = """\
[global]
fsid = {cluster_id}
mon host = [v2:127.0.0.1:{mon_port}/0]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
ms bind port min = {first_osd_port}
ms bind port max = {last_osd_port}
auth cluster required = none
auth service required = none
auth client required = none
keyring = {folder}/keyring
run dir = {folder}/run
crash dir = {folder}/crash
# The path of a unix socket has to be short; nobody uses these.
admin socket =
pid file =
log to file = false
log to stderr = true
err to stderr = true
mon cluster log to file = false
log max recent = 100
debug default = 0
debug mon = 0
debug osd = 0
debug ms = 0
debug rgw = 0
debug paxos = 0
debug rocksdb = 0
debug bluestore = 0
debug bdev = 0
debug bluefs = 0
# One copy of each object, in few placement groups.
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0

[mon]
mon data = {folder}/mon
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail warn = 2
mon data avail crit = 1
mon memory autotune = false
mon osd cache size = 10
rocksdb cache size = 16777216
# Decide at once: there is nobody to wait for. This is most of what makes the boot quick.
paxos propose interval = 0.02
paxos min wait = 0.01

[osd]
osd data = {folder}/osd
osd objectstore = {store}
osd crush initial weight = 1
osd scrub min interval = 31536000
osd scrub max interval = 31536000
osd deep scrub interval = 31536000
osd op num shards = 2
osd op num threads per shard = 2
osd memory target = 939524096
memstore device bytes = {size}
bluestore block size = {size}
bluestore block wal create = false
bluestore block db create = false
bluestore cache autotune = false
bluestore cache size = 67108864
bluestore fsck on mount = false
bluestore fsck on umount = false

[client]
# The gateway's default is "secure", which needs the authentication that is off here.
ms mon client mode = crc secure
# What was asked before the object store daemon was up is asked again this soon (default: five seconds).
objecter tick interval = 0.2
rgw data = {folder}/rgw
rgw thread pool size = 64
rgw rados pool pg num min = 1
rgw override bucket index max shards = 1
rgw dynamic resharding = false
rgw enable usage log = false
rgw enable ops log = false
# What was deleted is given back within seconds, not hours.
rgw gc obj min wait = 5
rgw gc processor period = 10
rgw gc processor max time = 10
rgw crypt require ssl = false
rgw crypt s3 kms backend = testing
# Encryption with keys that a service keeps: the one there is, `test-key`, is no secret.
rgw crypt s3 kms encryption keys = test-key={kms_key}
"""


def ceph_settings(
    folder: Path,
    *,
    cluster_id: str,
    mon_port: int,
    osd_ports: Sequence[int],
    store: str,
    size: int,
    lifecycle_seconds: int | None,
) -> str:
    """The text of `ceph.conf`. With `lifecycle_seconds`, a day of a lifecycle rule lasts that long."""
    text = _CLUSTER.format(
        folder=folder,
        cluster_id=cluster_id,
        mon_port=mon_port,
        first_osd_port=osd_ports[0],
        last_osd_port=osd_ports[-1],
        store=store,
        size=size,
        kms_key=b64encode(bytes(32)).decode(),
    )
    return text if lifecycle_seconds is None else f"{text}rgw lc debug interval = {lifecycle_seconds}\n"
