"""Transfers that come to harm and are run again, and what has to be true of them: for any operation, on any two sides."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from random import Random
from typing import NamedTuple

from fault_proxy import FaultProxy
from fault_table import Tally
from second_door import BucketDoor, Door, FolderDoor, rclone_differences, sha256
from storage_command import Storage

KIB, MIB = 1 << 10, 1 << 20
PREFIX = "d/"
TRASH = "deleted/"
NOT_FOUND = 4
IMPATIENT = {"STORAGE_READ_TIMEOUT": "2", "STORAGE_MAX_ATTEMPTS": "4"}
HANGS = 300
"""After so many seconds a command does not end any more, however much else this machine has to do."""
FAILURES_OF_A_WAY = {0, 1, 5, 7, 8}
"""How a run over a bad line may end: well, denied (a bit of a signed request fell over), corrupt content, no store."""
BESIDE = {"beside": b"not to be touched", "dd/beside": b"nor this", "d-beside": b"nor that"}


class Operation(NamedTuple):
    """A command that moves files.

    Attributes:
        way: up, down, or across (to another store).
        words: the command; HERE stands for the local folder, PROVIDER for the store's provider.
        deletes: whether it moves to the trash what the source does not have.
        undone: whether that is done in peace, and the harm comes to its `undo`.
    """

    name: str
    way: str
    words: tuple[str, ...]
    deletes: bool = False
    undone: bool = False


_SYNC_UP = ("sync", "HERE", PREFIX)
_SYNC_DOWN = ("sync", "HERE", PREFIX, "--direction", "download")
_REPLICATE = ("replicate", PREFIX, "--to", "PROVIDER", "--to-env")
OPERATIONS = (
    Operation("upload", "up", ("upload", "HERE", PREFIX)),
    Operation("sync up", "up", _SYNC_UP),
    Operation("sync up --delete", "up", (*_SYNC_UP, "--delete"), deletes=True),
    Operation("sync up undone", "up", (*_SYNC_UP, "--delete"), deletes=True, undone=True),
    Operation("download", "down", ("download", PREFIX, "HERE")),
    Operation("sync down", "down", _SYNC_DOWN),
    Operation("sync down --delete", "down", (*_SYNC_DOWN, "--delete"), deletes=True),
    Operation("sync down undone", "down", (*_SYNC_DOWN, "--delete"), deletes=True, undone=True),
    Operation("replicate --delete", "across", (*_REPLICATE, "other.env", "--delete"), deletes=True),
    Operation("replicate far", "across", (*_REPLICATE, "far.env")),
)
"""The last one's other store has another address, so that the bytes go through here."""


def operation_of(name: str) -> Operation:
    return next(operation for operation in OPERATIONS if operation.name == name)


class Tree(NamedTuple):
    """How large a source is: so many small files of up to `small` bytes, and large ones of these sizes."""

    count: int
    small: int
    large: tuple[int, ...]


class Pair:
    """The two sides of an operation, and the command that moves files between them.

    Attributes:
        here: the local folder.
        there: the store.
        target: what is written to; for `across`, another store.
        tally: what was found so far.
    """

    def __init__(
        self,
        storage: Storage,
        operation: Operation,
        here: FolderDoor,
        there: Door,
        tree: Tree,
        seed: int,
        other: Door | None = None,
    ) -> None:
        self.storage, self.operation, self.here, self.there = storage, operation, here, there
        self.tally = Tally()
        self.seed, self._tree, self._random = seed, tree, Random(seed)
        self._files: dict[str, bytes] = {}
        self._gone: dict[str, bytes] = {}
        self._undoes = ""
        self._source, self._source_prefix = (here, "") if operation.way == "up" else (there, PREFIX)
        self.target: Door = {"up": there, "down": here, "across": other}[operation.way] or there
        self._target_prefix = "" if operation.way == "down" else PREFIX
        here.folder.mkdir(parents=True, exist_ok=True)
        for door in {id(door): door for door in (there, self.target)}.values():
            if door is not here:
                door.write(BESIDE)
        self._change()
        self.target.write({self._target_prefix + name: body for name, body in self._files.items()})
        self._there = self.target.read()

    @property
    def command(self) -> list[str]:
        if self._undoes:
            return ["undo", self._undoes, *(["--local", str(self.here.folder)] if self.target is self.here else [])]
        return self._moving

    @property
    def _moving(self) -> list[str]:
        words = {"HERE": str(self.here.folder), "PROVIDER": self.storage.env.get("STORAGE_PROVIDER", "local")}
        return [words.get(word, word) for word in self.operation.words]

    # -- what is to be moved

    def prepare(self) -> None:
        """Change the source: some files get other contents, of the same size or not, some are new, some are gone.

        Where the operation is to be undone, much is gone from the source, and then moved to the trash from the target.
        """
        if self.operation.undone:
            self._delete_something()
            return
        self._before = self._there
        self._change()
        wanted = {self._target_prefix + name: sha256(body) for name, body in self._files.items()}
        inside = {key for key in self._before if self._moves(key)}
        kept = self._before.keys() - (inside if self.operation.deletes else set())
        self._wanted = {key: self._before[key] for key in kept} | wanted

    def _delete_something(self) -> None:
        self._wanted = self._there
        self._files |= self._gone
        self._put(self._gone)
        self._gone = {name: body for name, body in self._files.items() if self._random.random() < 0.3}
        self._files = {name: body for name, body in self._files.items() if name not in self._gone}
        self._source.remove([self._source_prefix + name for name in self._gone])
        self.storage.ok(*self._moving, timeout=HANGS)
        found = self.target.read()
        self._before = {key: content for key, content in found.items() if not key.startswith(TRASH)}
        assert len(self._before) < len(self._wanted)
        in_store = {key.split("/")[1] for key in found if key.startswith(TRASH)}
        self._undoes = max(self.here.trash_ids() if self.target is self.here else in_store)

    def _moves(self, key: str) -> bool:
        """Whether a key of the target is one that the operation is about."""
        return key.startswith(self._target_prefix) and not key.startswith(TRASH)

    def _change(self) -> None:
        random, tree, changed = self._random, self._tree, {}
        gone = [name for name in self._small if random.random() < 0.08]
        for name in [name for name in self._small if name not in gone and random.random() < 0.5]:
            same_size = random.random() < 0.5
            changed[name] = self._content(len(self._files[name]) if same_size else random.randrange(tree.small))
        for number in range(tree.count - len(self._small) + len(gone)):
            name = f"{'abc'[number % 3]}/{random.getrandbits(40):x}"
            changed[name] = self._content(random.choice((0, 1, random.randrange(1000), random.randrange(tree.small))))
        self._files = {name: body for name, body in (self._files | changed).items() if name not in gone}
        for number, size in enumerate(tree.large):
            name = f"large/{number}"
            if number == 0 or name not in self._files or random.random() < 0.5:
                self._files[name] = changed[name] = self._content(size)
        self._source.remove([self._source_prefix + name for name in gone])
        self._put(changed)

    def _put(self, files: Mapping[str, bytes]) -> None:
        self._source.write({self._source_prefix + name: body for name, body in files.items()})

    @property
    def _small(self) -> list[str]:
        return [name for name in self._files if not name.startswith("large/")]

    def _content(self, size: int) -> bytes:
        return self._random.randbytes(size)

    # -- what has to be true

    def check(self, what: str, *, readable: bool = True) -> None:
        """After harm: whatever can be seen is whole and old or new, and nothing is gone but into the trash.

        Args:
            readable: `storage` can read it as well.
        """
        found = self.target.read()
        trash = self._trash(found) | {None}
        for key in found | self._before | self._wanted:
            if key.startswith(TRASH) and self.target is not self.here:
                continue
            allowed = {self._before.get(key), self._wanted.get(key)}
            if found.get(key) not in allowed:
                self.lost(f"{what}: {key!r} is {found.get(key)}, not one of {allowed}")
            elif key not in found and self._kept(key) not in trash:
                self.lost(f"{what}: {key!r} is gone, and not in the trash")
        self.tally.checked += len(found)
        if readable and isinstance(self.target, FolderDoor) and self.target is not self.here:
            self._check_readable(what)

    def _kept(self, key: str) -> str | None:
        """The content that must be in the trash when it is not at its place."""
        return self._before.get(key) or (self._wanted[key] if self._undoes else None)

    def _trash(self, found: Mapping[str, str]) -> set[str]:
        if self.target is self.here:
            return self.here.trash()
        return {content for key, content in found.items() if key.startswith(TRASH)}

    def _check_source(self, what: str) -> None:
        there = {self._source_prefix + name: sha256(body) for name, body in self._files.items()}
        if self._source is not self.here:
            there |= {key: sha256(body) for key, body in BESIDE.items()}
        if self._source.read() != there:
            self.lost(f"{what}: the source has changed")
        self.tally.checked += len(there)

    def _check_readable(self, what: str) -> None:
        """Objects agree with what the store has recorded of them: a bucket's door sees that itself."""
        fresh = self.here.folder.with_name("fresh")
        done = self.storage("download", PREFIX, str(fresh), timeout=HANGS)
        if done.returncode:
            self.lost(f"{what}: what is there can't be read: {done.stderr}")
        shutil.rmtree(fresh, ignore_errors=True)

    def lost(self, text: str) -> None:
        self.tally.losses.append(f"{self.operation.name}: {text}")

    def finish(self, what: str) -> None:
        """A run in peace ends well, and both sides are equal."""
        self.tally.runs += 1
        done = self.storage(*self.command, timeout=HANGS)
        # What is undone already has left no record.
        if done.returncode not in ({0, NOT_FOUND} if self._undoes else {0}):
            self.lost(f"{what}: the run after it ended with {done.returncode}: {done.stderr}")
        self.check_done(what)

    def check_done(self, what: str) -> None:
        """After a run that ended well both sides are equal."""
        found = self.target.read()
        visible = {key: content for key, content in found.items() if not key.startswith(TRASH)}
        if visible != self._wanted:
            differing = sorted(key for key, _ in visible.items() ^ self._wanted.items())
            self.lost(f"{what}: after another run {differing[:5]} are not as they should be")
        trash = self._trash(found)
        for key in self._before.keys() - self._wanted.keys():
            if self._before[key] not in trash:
                self.lost(f"{what}: {key!r} was deleted and is not in the trash")
        if parts := self.here.parts():
            self.lost(f"{what}: parts are left: {parts}")
        self.tally.checked += len(found)
        self._check_source(what)
        self._there = visible

    def compare(self) -> None:
        """rclone finds both sides equal; where nothing is deleted, the target may have more."""
        more = self.operation.undone or not self.operation.deletes
        differences = rclone_differences(
            self._source, self._source_prefix, self.target, self._target_prefix, one_way=more
        )
        if differences:
            self.lost(f"rclone finds differences: {differences}")

    def free(self) -> None:
        """What killed uploads left can be freed, all of it."""
        for door in (self.there, self.target):
            if isinstance(door, BucketDoor):
                self.storage.ok("uploads", "abort", "--older-than", "0s", "--yes", "--bucket", door.bucket)
                if left := door.uploads():
                    self.lost(f"unfinished uploads of {left} are left")


# -- harm


def undisturbed(pair: Pair) -> float:
    """How long a run takes, in seconds."""
    pair.prepare()
    began = time.monotonic()
    pair.storage.ok(*pair.command, timeout=HANGS)
    took = time.monotonic() - began
    pair.check_done("undisturbed")
    return took


def kill_once(pair: Pair, random: Random, duration: float) -> float:
    """Kill a run, with all its processes, at some moment of the time that it takes; see what is left, and run it again.

    Returns:
        How long a run takes: less than was thought where it ended before that moment.
    """
    pair.prepare()
    moment = random.uniform(0, duration)
    process = pair.storage.start(*pair.command)
    try:
        process.wait(moment)
        duration = moment
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        pair.tally.faults["kill -9"] += 1
    process.communicate()
    what = f"killed after {moment:.3f} of {duration:.3f} s"
    pair.tally.runs += 1
    pair.check(what)
    pair.finish(what)
    return duration


def network_faults(pair: Pair, proxy: FaultProxy, rate: float, most_runs: int = 3) -> None:
    """Run it, again while it fails, while requests come to harm; see what is left after each, and run it in peace."""
    pair.prepare()
    already = proxy.counts()
    proxy.rate = rate
    for number in range(most_runs):
        done = pair.storage(*pair.command, env=IMPATIENT, timeout=HANGS)
        pair.tally.runs += 1
        what = f"faulty run {number + 1}, ended with {done.returncode}"
        if "Traceback" in done.stderr or "internal error" in done.stderr:
            pair.lost(f"{what}: {done.stderr}")
        if done.returncode not in FAILURES_OF_A_WAY:
            pair.lost(f"{what}, which is no code for trouble on the way: {done.stderr}")
        pair.check(what)
        if not done.returncode:
            break
    proxy.rate = 0
    pair.tally.faults += proxy.counts() - already
    pair.finish(f"after {dict(proxy.counts() - already)}")
