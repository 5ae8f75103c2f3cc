"""Harm done to transfers: both sides of an operation, on a local store and on a Ceph gateway, and the table of what was found."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ceph_rgw import CephRgw
from cloud_environment import minio_variables
from fault_runs import MIB, Operation, Pair, Tree
from fault_table import NIGHTLY, PROPERTY, SEED, Tally
from second_door import BucketDoor, Door, FolderDoor
from storage_command import Storage

REMOTE = Tree(count=60, small=100_000, large=(20 * MIB, 21 * MIB))
if NIGHTLY:
    REMOTE = Tree(count=150, small=100_000, large=(20 * MIB, 40 * MIB, 70 * MIB))
LOCAL = Tree(count=60, small=100_000, large=(20 * MIB,))
# So many that several processes share them, where all are moved.
LOCAL_MANY = Tree(count=1_100, small=5_000, large=())
# Large files in as many parts as can be.
IN_PARTS = {
    "STORAGE_MULTIPART_THRESHOLD": str(5 * MIB),
    "STORAGE_MULTIPART_CHUNKSIZE": str(5 * MIB),
}


@pytest.fixture
def seed() -> int:
    """Of all that happens by chance; LADING_FAULT_SEED is another."""
    return SEED


@pytest.fixture
def tallied(record_property: Callable[[str, object], None]) -> Iterator[Callable[[Tally], Tally]]:
    """Takes a tally to the table; at the end of the test there must be no losses in it."""
    taken: list[Tally] = []

    def take(tally: Tally) -> Tally:
        taken.append(tally)
        return tally

    yield take
    total = Tally()
    for tally in taken:
        total.add(vars(tally))
    record_property(PROPERTY, vars(total) | {"faults": dict(total.faults)})
    assert not total.losses, "\n".join(total.losses)


@pytest.fixture
def small() -> Tree:
    """A source that is moved in no time, and yet has a file in parts."""
    return Tree(count=40, small=50_000, large=(11 * MIB,))


@pytest.fixture
def bucket_door(ceph_rgw: CephRgw, new_bucket: Callable[..., str]) -> Iterator[Callable[[], BucketDoor]]:
    """Makes buckets on a Ceph gateway."""
    made: list[BucketDoor] = []

    def make() -> BucketDoor:
        made.append(BucketDoor(ceph_rgw, new_bucket(ceph_rgw)))
        return made[-1]

    yield make
    for door in made:
        door.close()


@pytest.fixture
def sides(storage: Storage, tmp_path: Path, seed: int, request: pytest.FixtureRequest) -> Callable[..., Pair]:
    """Makes the pair of an operation and a kind of store: `local`, or `ceph`, reached at `url` where that is given."""

    def make(
        operation: Operation,
        kind: str,
        tree: Tree | None = None,
        *,
        url: str | None = None,
        here: Path | None = None,
        store: Path | None = None,
    ) -> Pair:
        folder = tmp_path / secrets.token_hex(4)
        doors: list[Door]
        if kind == "local":
            stores = store or folder / "store", folder / "other"
            doors = [FolderDoor(one) for one in stores]
            settings = [{"STORAGE_LOCAL_PATH": str(one)} for one in stores]
        else:
            bucket_door: Callable[[], BucketDoor] = request.getfixturevalue("bucket_door")
            server: CephRgw = request.getfixturevalue("ceph_rgw")
            buckets = bucket_door(), bucket_door()
            doors = list(buckets)
            settings = [minio_variables(server, one.bucket, url) | IN_PARTS for one in buckets]
        folder.mkdir()
        other = "".join(f"{name}={value}\n" for name, value in settings[1].items())
        (folder / "other.env").write_text(other)
        (folder / "far.env").write_text(other.replace("127.0.0.1", "localhost"))
        storage.env |= settings[0]
        storage.cwd = folder
        if tree is None:
            tree = REMOTE if kind == "ceph" else LOCAL_MANY if operation.words[0] == "upload" else LOCAL
        return Pair(storage, operation, FolderDoor(here or folder / "here"), doors[0], tree, seed, doors[1])

    return make
