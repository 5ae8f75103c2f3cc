"""A sign in a store that somebody is at work: an object of its own, put again and again for as long as that lasts.

Who does not put it again is taken for dead after `DEAD`, by the store's clock. Who is alive gives up before, by the clocks of
its own machine: a computer that slept for an hour must not go on as if nothing had happened.
"""

from __future__ import annotations

import getpass
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from domain.errors import ContentCorrupted, ObjectNotFound, PreconditionFailed, StorageError
from domain.storage import IStorageProvider

DEAD = timedelta(hours=1)

_RENEW_SECONDS = 600.0
_AGAIN_SECONDS = 30.0
"""After a renewal that failed."""
_LAPSED_SECONDS = 3000.0
"""Ten minutes before others may think so: what is on its way then still arrives in time."""
_SET_BACK_SECONDS = 300.0
"""A wall clock that was set back further tells nothing of how long it was."""


def steady() -> float:
    """Seconds since some moment, by a clock that nobody sets, and where there is one, that goes on while a computer sleeps."""
    return time.clock_gettime(_BOOT_TIME) if _BOOT_TIME is not None else time.monotonic()


_BOOT_TIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


class Seen(NamedTuple):
    """Somebody else's sign.

    Attributes:
        renewed: when it was last put, by the store's clock.
        who: user and machine.
        what: what they do.
    """

    key: str
    renewed: datetime
    who: str
    what: str

    def __str__(self) -> str:
        return (
            f"{self.who}{f' ({self.what})' if self.what else ''}, last heard of at {self.renewed:%Y-%m-%d %H:%M:%S} UTC"
        )


class Presence:
    """A sign of ours. Safe to use from any thread; not to be used by two processes.

    Args:
        prefix: of its kind; ends in '/'.
        what: what is done, in a few words.
        monotonic, wall: clocks, in seconds. The first may stand still while a computer sleeps, the second can be set.
    """

    def __init__(
        self,
        provider: IStorageProvider,
        prefix: str,
        what: str = "",
        *,
        monotonic: Callable[[], float] = steady,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._provider = provider
        # Never used twice: whoever finds it dead may delete it at any time.
        self.key = f"{prefix}{secrets.token_hex(16)}.json"
        self._what = what
        self._clocks = (monotonic, wall)
        self._put_at = self._now()
        self._try_at = 0.0
        self._lapsed = False
        self._renewing = threading.Lock()

    def put(self) -> datetime:
        """Make the sign; the time of that, by the store's clock.

        Raises:
            StorageError: it can't be written, or is not seen in a listing.
        """
        self._put()
        for info in self._provider.list_objects(self.key):
            if info.key == self.key:
                return info.last_modified
        raise PreconditionFailed(
            f"{self.key!r} was written and is gone; run this again", provider=self._provider.name, key=self.key
        )

    def renewed(self) -> None:
        """Put it again where that is due. Cheap: to be called often. One that has lapsed stays so."""
        monotonic = self._clocks[0]()
        if monotonic < self._try_at or not self._renewing.acquire(blocking=False):
            return
        try:
            # Whatever goes wrong may be gone in half a minute; if it is not, the sign lapses, and that is what counts.
            with suppress(StorageError):
                self._try_at = monotonic + _AGAIN_SECONDS
                if not self.lapsed:
                    self._put()
        finally:
            self._renewing.release()

    @property
    def lapsed(self) -> bool:
        """Whether others may have taken us for dead."""
        elapsed = [now - then for now, then in zip(self._now(), self._put_at, strict=True)]
        self._lapsed = self._lapsed or max(elapsed) > _LAPSED_SECONDS or min(elapsed) < -_SET_BACK_SECONDS
        return self._lapsed

    def remove(self) -> None:
        """Take it away. A failure is none: others find it dead after `DEAD`."""
        with suppress(StorageError):
            self._provider.delete(self.key)

    def _put(self) -> None:
        began = self._now()
        told = {"who": whoami(), "what": self._what, "at": datetime.now(UTC).isoformat()}
        self._provider.put_bytes(self.key, json.dumps(told).encode() + b"\n", content_type="application/json")
        # It counts from before the request, and only if nobody can have thought it dead until the answer.
        if not (self._try_at and self.lapsed):
            self._put_at = began
        self._try_at = began[0] + _RENEW_SECONDS

    def _now(self) -> tuple[float, float]:
        monotonic, wall = self._clocks
        return monotonic(), wall()


def others(provider: IStorageProvider, prefix: str, now: datetime, *, but: str = "") -> tuple[list[Seen], list[str]]:
    """The signs of those at work, and the keys of those of the dead.

    Args:
        now: by the store's clock.
        but: the key of our own.
    """
    living, dead = [], []
    for info in provider.list_objects(prefix):
        if info.key == but:
            continue
        if now - info.last_modified > DEAD:
            dead.append(info.key)
        else:
            living.append((info.key, info.last_modified))
    return list(_read(provider, living)), dead


def _read(provider: IStorageProvider, found: list[tuple[str, datetime]]) -> Iterator[Seen]:
    for key, renewed in found:
        who, what = "somebody", ""
        try:
            told = json.loads(provider.get_bytes(key))
            who, what = str(told["who"]), str(told["what"])
        except ObjectNotFound:
            pass  # it went in this moment; it was there, and that is what was asked
        except (ContentCorrupted, ValueError, KeyError, TypeError, RecursionError):
            pass  # whoever it is, somebody is there
        yield Seen(key, renewed, who, what)


def whoami() -> str:
    """User and machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in many containers
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
