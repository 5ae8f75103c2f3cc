"""What a transfer learns of contents on its way, kept so that the next one need not find it out again."""

from __future__ import annotations

import os
import time

from application.local_tree import is_settled, state_of
from application.sides import LocalFolder, Side, StorePrefix
from application.worker_processes import Stored
from domain.known_hashes import KnownHash, KnownHashes
from domain.storage import IStorageProvider
from domain.transfer import Direction, TransferAction, TransferPlan

_KEPT_TOGETHER = 20_000


class Learning:
    """Collects the hashes of what is moved between a folder, or a prefix of `origin`, and a prefix of `provider`."""

    def __init__(
        self, provider: IStorageProvider, plan: TransferPlan, known: KnownHashes, origin: IStorageProvider | None
    ) -> None:
        self._files: Side
        if origin is not None:
            self._path_root = plan.path_root
            self._files = StorePrefix(origin, plan.path_root, known)
        else:
            self._path_root = plan.folder
            self._files = LocalFolder(plan.folder, known)
        self._objects = StorePrefix(provider, plan.key_root, known)
        self._direction = plan.direction
        self._begun = time.time_ns()
        self._path_start, self._key_start = len(self._path_root), len(plan.key_root)
        self._of_files: list[KnownHash] = []
        self._of_objects: list[KnownHash] = []

    def learn(self, action: TransferAction, stored: Stored) -> None:
        """Take note of a file that was moved."""
        if not stored.sha256:
            return
        # A file that is not as it was when the plan was made may have changed before it was read, or after.
        # Nor would it show whether one was changed after it was read that had been changed just before.
        if self._direction is not Direction.UPLOAD or (
            stored.state == action.source and is_settled(stored.state, self._begun)
        ):
            self._of_files.append(KnownHash(action.path[self._path_start :], stored.state, stored.sha256))
        if stored.etag:  # of a file from a cache there is none
            self._of_objects.append(KnownHash(action.key[self._key_start :], stored.etag, stored.sha256))
        if max(len(self._of_objects), len(self._of_files)) >= _KEPT_TOGETHER:
            self.keep()

    def keep(self) -> None:
        """Hand over what was learnt."""
        self._files.remember(
            self._of_files
            if self._direction is not Direction.DOWNLOAD
            else [known for known in self._of_files if self._is_settled(known)]
        )
        self._objects.remember(self._of_objects)
        self._of_files, self._of_objects = [], []

    def _is_settled(self, known: KnownHash) -> bool:
        """Whether a file that was fetched is as it was then, and no change can go unseen from now on."""
        try:
            now = state_of(os.stat(self._path_root + known.name))
        except OSError:
            return False
        return known.state == now and is_settled(now, time.time_ns())
