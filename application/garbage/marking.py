"""What of a place's content is in use, what is not, and what of that may go."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from application.garbage.addresses import Contents, is_manifest, packed
from application.garbage.condemned import Condemned, state_of
from application.garbage.roots import Live, files_of_manifests, missing_table
from domain.content import DVC_MD5, SHA256
from domain.errors import ContentCorrupted, ObjectNotFound, PreconditionFailed
from domain.objects import ObjectInfo

_SAID_EVERY = 1000


class Unused(NamedTuple):
    """An object that nothing names.

    Attributes:
        size: bytes.
        state: as `state_of`.
        modified: when it was written, by the store's clock.
    """

    size: int
    state: str
    modified: datetime


@dataclass
class Survey:
    """What a listing of a place shows.

    Attributes:
        kept: objects in use, and `kept_size` bytes of them.
        unused: the others, by address.
    """

    contents: Contents
    kept: int = 0
    kept_size: int = 0
    unused: dict[bytes, Unused] = field(default_factory=dict)

    @property
    def objects(self) -> int:
        return self.kept + len(self.unused)


def survey(contents: Contents, live: Live, seen: Callable[[int], object] = int) -> Survey:
    """List a place to its end.

    Args:
        seen: hears now and then of so many objects more.

    Raises:
        ObjectNotFound: the table of a version's files is not there.
        StorageError: the listing can't be read to its end.
    """
    found = Survey(contents)
    used = live.of(contents)
    missing = set(live.tables) if contents.scheme is SHA256 else set()
    for address, info in _listed(contents):
        if address in used:
            found.kept += 1
            found.kept_size += info.size
            missing.discard(address)
        else:
            found.unused[address] = Unused(info.size, state_of(info), info.last_modified)
        if not found.objects % _SAID_EVERY:
            seen(_SAID_EVERY)
    seen(found.objects % _SAID_EVERY)
    for address in sorted(missing):
        raise missing_table(contents.provider, contents.key(address), live.tables[address])
    return found


def _listed(contents: Contents) -> Iterator[tuple[bytes, ObjectInfo]]:
    for info in contents.provider.list_objects(contents.prefix + contents.scheme.folder):
        # What is no address under this prefix is somebody else's.
        address = contents.scheme.address_of(contents.prefix, info.key)
        if address is not None:
            yield packed(address), info


def check_roots(found: Survey, live: Live) -> None:
    """Refuse where nothing is in use and yet there is content.

    Raises:
        PreconditionFailed: it is so.
    """
    if found.unused and not live.of(found.contents):
        raise PreconditionFailed(
            f"nothing is known to be in use of {len(found.unused):,} objects in {found.contents.place}, which is more likely a "
            "wrong setting than so; nothing was deleted; add --allow-empty if all of it may go",
            provider=found.contents.provider.name,
        )


def condemned(
    found: Survey, before: Mapping[bytes, Condemned], oldest: datetime, now: datetime
) -> dict[bytes, Condemned]:
    """What is unused and old enough, each since when.

    Args:
        before: what was condemned until now.
        oldest: what was written after this is too young.
    """
    chosen = {address: one for address, one in found.unused.items() if one.modified <= oldest}
    _leave_files_of_manifests(found, chosen)
    since = {}
    for address, one in chosen.items():
        known = before.get(address)
        since[address] = known if known and known.state == one.state else Condemned(one.state, now)
    return since


def deletable(found: Survey, condemned: Mapping[bytes, Condemned], latest: datetime) -> dict[bytes, Unused]:
    """What was condemned by `latest`, is unused still, and was not written since."""
    chosen = {}
    for address, one in found.unused.items():
        known = condemned.get(address)
        if known and known.since <= latest and known.state == one.state:
            chosen[address] = one
    _leave_files_of_manifests(found, chosen)
    return chosen


def in_order(addresses: Collection[bytes]) -> Iterable[list[bytes]]:
    """What may be deleted at the same time: manifests before all else, so that none is ever there without its files."""
    manifests = [address for address in addresses if is_manifest(address)]
    yield manifests
    yield [address for address in addresses if not is_manifest(address)]


def _leave_files_of_manifests(found: Survey, chosen: dict[bytes, Unused]) -> None:
    """Take out the files of manifests that stay, though nothing names these: whoever finds one takes its files for there."""
    if found.contents.scheme is not DVC_MD5:
        return
    staying = [address for address in found.unused if is_manifest(address) and address not in chosen]
    for _, files in files_of_manifests(found.contents, staying):
        if isinstance(files, list):
            for file in files:
                chosen.pop(file, None)
        elif not isinstance(files, ObjectNotFound | ContentCorrupted):
            raise files  # one that is gone in this moment, or damaged, is of no use to anybody
