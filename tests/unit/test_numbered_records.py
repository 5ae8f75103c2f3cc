"""Numbered records: whatever writers do to each other, every number is one writer's and no record is lost."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from application import numbered_records
from application.numbered_records import NumberedRecords, number_of
from domain.errors import AccessDenied, ContentCorrupted, ObjectNotFound, PreconditionFailed
from domain.storage import IStorageProvider, ObjectInfo
from infrastructure.storage.providers import LocalProvider, MemoryProvider

WITHOUT = {"capabilities": {"create_if_absent": False}}
BOTH = pytest.mark.parametrize("settings", [{}, WITHOUT], ids=["conditional", "claims"])


def records(provider: IStorageProvider) -> NumberedRecords:
    return NumberedRecords(provider, "r/x/")


def said(word: str) -> Callable[[int], bytes]:
    return lambda number: f"{number} {word}".encode()


def claims(provider: IStorageProvider) -> list[str]:
    return [key for key in provider.list_files("r/") if key.endswith(".claim")]


def leave_a_claim(provider: MemoryProvider, number: int, age: timedelta = timedelta(0)) -> str:
    """As a writer does that is killed before its record."""
    key = f"r/x/{number}.{'0' * 16}.claim"
    provider.put_bytes(key, b"")
    objects = provider._server.buckets["memory"]
    info = objects[key].info
    objects[key] = objects[key]._replace(info=info._replace(last_modified=info.last_modified - age))
    return key


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody pauses."""
    monkeypatch.setattr(numbered_records, "_PAUSE_SECONDS", 0)


# -- one writer


@BOTH
def test_numbers_begin_at_one_and_are_in_the_record(settings: dict[str, Any]) -> None:
    provider = MemoryProvider(settings)
    mine = records(provider)
    assert (mine.numbers(), mine.latest(), list(mine.read_all())) == ([], None, [])
    for expected in range(1, 13):
        assert mine.append(said("a")) == expected
    assert mine.numbers() == list(range(1, 13))
    assert mine.latest() == (12, b"12 a")
    assert list(mine.read_all()) == [(number, b"%d a" % number) for number in range(1, 13)]
    assert provider.list_files() == sorted(f"r/x/{number}.json" for number in range(1, 13)), "no claim is left"
    assert provider.head("r/x/1.json").content_type == "application/json"
    mine.replace(3, b"other")
    assert mine.read(3) == b"other"
    with pytest.raises(ObjectNotFound):
        mine.read(13)


@BOTH
def test_after_is_compared(settings: dict[str, Any]) -> None:
    mine = records(MemoryProvider(settings))
    for wrong in (1, 7):
        with pytest.raises(PreconditionFailed, match="newer record"):
            mine.append(said("a"), after=wrong)
    assert mine.append(said("a"), after=0) == 1
    assert mine.append(said("a"), after=1) == 2
    for wrong in (0, 1):
        with pytest.raises(PreconditionFailed, match=f"newer record than number {wrong} .*run this again"):
            mine.append(said("b"), after=wrong)
    assert list(mine.read_all()) == [(1, b"1 a"), (2, b"2 a")]


@BOTH
def test_other_objects_are_no_records_and_in_nobodys_way(settings: dict[str, Any]) -> None:
    provider = MemoryProvider(settings)
    others = [
        "1.json.bak",
        "01.json",
        "0.json",
        "x.json",
        "².json",
        "2.ab.claim",
        "1/2.json",
        "1.copy.json",
        "-1.json",
        ".json",
    ]
    for name in others:
        provider.put_bytes(f"r/x/{name}", b"?")
        assert number_of(name) == 0
    mine = records(provider)
    assert mine.numbers() == []
    assert [mine.append(said("a"), after=0), mine.append(said("a"))] == [1, 2]
    assert len(provider.list_files()) == len(others) + 2
    assert number_of("12.json") == 12
    assert number_of(f"12.{'a' * 16}.claim") == 0


def test_what_was_deleted_since_is_passed_over_and_what_is_corrupt_is_not() -> None:
    class Losing(MemoryProvider):
        lost = "r/x/2.json"

        def list_objects(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
            yield from list(super().list_objects(prefix, start_after=start_after))
            self.delete(self.lost)

    provider = Losing({})
    for number in (1, 2):
        provider.put_bytes(f"r/x/{number}.json", b"%d" % number)
    assert list(records(provider).read_all()) == [(1, b"1")]
    provider.put_bytes("r/x/2.json", b"2")
    assert records(provider).latest() == (1, b"1")
    stored = provider._server.buckets["memory"]
    stored["r/x/1.json"] = stored["r/x/1.json"]._replace(data=b"!")
    with pytest.raises(ContentCorrupted):
        list(records(provider).read_all())


# -- writers in threads and in processes


@pytest.mark.parametrize("kind", ["memory", "local"])
@BOTH
def test_threads_lose_nothing(kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
    provider: IStorageProvider = (
        MemoryProvider(settings)
        if kind == "memory"
        else LocalProvider({"base_path": str(tmp_path), "durable": False, **settings})
    )

    def write(writer: int) -> list[int]:
        return [records(provider).append(said(f"{writer}.{count}")) for count in range(3)]

    with ThreadPoolExecutor(8) as writers:
        numbers = list(writers.map(write, range(8)))
    told = {number: f"{number} {writer}.{count}".encode() for writer, found in enumerate(numbers)
            for count, number in enumerate(found)}  # fmt: skip
    assert len(told) == 24
    assert dict(records(provider).read_all()) == told
    assert claims(provider) == []
    assert all(found == sorted(found) for found in numbers)


PROGRAM = """
import json, sys
from application.numbered_records import NumberedRecords
from infrastructure.storage.providers import LocalProvider
settings, word, after = json.loads(sys.argv[1])
records = NumberedRecords(LocalProvider(settings), "r/x/")
sys.stdin.readline()
try:
    found = [records.append(lambda number: f"{number} {word}.{count}".encode(), after=after) for count in range(3)]
except Exception as error:
    found = [type(error).__name__]
print(json.dumps(found))
"""


def in_processes(settings: dict[str, Any], count: int, after: int | None = None) -> list[list[Any]]:
    """What each of so many writers was told, who begin together."""
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps([settings, f"p{number}", after])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    for program in programs:
        assert program.stdin
        program.stdin.write("\n")
        program.stdin.flush()
    return [json.loads(program.communicate(timeout=120)[0]) for program in programs]


@BOTH
def test_processes_lose_nothing(settings: dict[str, Any], tmp_path: Path) -> None:
    settings = {"base_path": str(tmp_path), "durable": False, **settings}
    numbers = in_processes(settings, 4)
    told = {number: f"{number} p{writer}.{count}".encode() for writer, found in enumerate(numbers)
            for count, number in enumerate(found)}  # fmt: skip
    assert len(told) == 12
    provider = LocalProvider(settings)
    assert dict(records(provider).read_all()) == told
    assert claims(provider) == []


@pytest.mark.parametrize("kind", ["memory", "local"])
@BOTH
def test_of_racing_setters_one_wins(kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
    provider: IStorageProvider = (
        MemoryProvider(settings)
        if kind == "memory"
        else LocalProvider({"base_path": str(tmp_path), "durable": False, **settings})
    )
    together = threading.Barrier(8)

    def write(writer: int) -> int | None:
        together.wait()
        try:
            return records(provider).append(said(str(writer)), after=last)
        except PreconditionFailed:
            return None

    for last in range(3):
        with ThreadPoolExecutor(8) as writers:
            found = list(writers.map(write, range(8)))
        (winner,) = (writer for writer, number in enumerate(found) if number is not None)
        assert found[winner] == last + 1
        assert records(provider).latest() == (last + 1, f"{last + 1} {winner}".encode())
    assert records(provider).numbers() == [1, 2, 3]
    assert claims(provider) == []


# -- every order of the requests of two writers


class Turns(MemoryProvider):
    """A store whose writers wait for their turn before each request.

    Attributes:
        torn: a listing looks for the records first and for the claims in a second turn, as one over several shards may.
    """

    torn = False

    def begin(self) -> None:
        self.waiting: dict[int, threading.Semaphore] = {}
        self.free: set[int] = set()
        self.arrived = threading.Semaphore(0)

    def turn(self) -> None:
        me = threading.get_ident()
        if me in getattr(self, "waiting", {}) and me not in self.free:
            self.arrived.release()
            self.waiting[me].acquire()

    def list_objects(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        self.turn()
        found = list(super().list_objects(prefix, start_after=start_after))
        if self.torn:
            self.turn()
            found = [info for info in found if info.key.endswith(".json")] + [
                info for info in super().list_objects(prefix, start_after=start_after) if info.key.endswith(".claim")
            ]
        return iter(sorted(found))

    def head(self, key: str) -> ObjectInfo:
        self.turn()
        return super().head(key)

    def put_bytes(self, *arguments: Any, **options: Any) -> ObjectInfo:
        self.turn()
        return super().put_bytes(*arguments, **options)

    def delete(self, remote_path: str) -> None:
        self.turn()
        super().delete(remote_path)


def interleaved(provider: Turns, turns: Sequence[int], after: int | None) -> list[int | None]:
    """The numbers that writers get whose requests are made in this order, and then one writer's after the other's."""
    count = max(turns) + 1
    found: list[int | None] = [None] * count
    provider.begin()
    started = threading.Barrier(count + 1)

    def write(writer: int) -> None:
        provider.waiting[threading.get_ident()] = threading.Semaphore(0)
        idents[writer] = threading.get_ident()
        started.wait()
        try:
            provider.turn()
            found[writer] = records(provider).append(said(str(writer)), after=after)
        except PreconditionFailed:
            pass
        finally:
            ended.add(writer)
            provider.arrived.release()

    idents: dict[int, int] = {}
    ended: set[int] = set()
    threads = [threading.Thread(target=write, args=(writer,), daemon=True) for writer in range(count)]
    for thread in threads:
        thread.start()
    started.wait()
    for _ in threads:
        assert provider.arrived.acquire(timeout=30)
    for writer in turns:
        if writer not in ended:
            provider.waiting[idents[writer]].release()
            assert provider.arrived.acquire(timeout=30)
    for writer, thread in enumerate(threads):
        provider.free.add(idents[writer])
        provider.waiting[idents[writer]].release()
        thread.join(30)
        assert not thread.is_alive()
    return found


def check(provider: Turns, found: list[int | None], after: int | None) -> None:
    won = {number: b"%d %d" % (number, writer) for writer, number in enumerate(found) if number is not None}
    assert dict(records(provider).read_all()) == won, "what a writer was told is there"
    assert claims(provider) == []
    assert len(won) == (len(found) if after is None else 1)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("after", [None, 0])
def test_two_writers_in_every_order(after: int | None) -> None:
    """Listing, claim, listing, look, record, end of the claim: six requests of each, and a first turn to begin."""
    for mine in itertools.combinations(range(12), 6):
        provider = Turns(WITHOUT)
        turns = [0 if at in mine else 1 for at in range(12)]
        check(provider, interleaved(provider, turns, after), after)


@pytest.mark.usefixtures("at_once")
@settings(max_examples=60)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=40), st.booleans(), st.sampled_from([None, 0]))
@example([1] * 3 + [0] * 6 + [1] * 2 + [0] * 2 + [1] * 5, True, None)
@example([1] * 3 + [0] * 7 + [1] * 2 + [0] * 2 + [1] * 5, True, None)
@example([1] * 3 + [0] * 7 + [1] * 2 + [0] * 2 + [1] * 5, True, 0)
def test_writers_on_a_store_whose_listings_change_while_they_go_on(
    turns: list[int], torn: bool, after: int | None
) -> None:
    """The examples: a record is written, and its claim taken back, between the halves of the other's listing."""
    provider = Turns(WITHOUT)
    provider.torn = torn
    check(provider, interleaved(provider, turns, after), after)


# -- writers that are killed, slow, or held off


class Killed(BaseException):
    pass


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("at", range(1, 7))
def test_a_writer_killed_anywhere_blocks_nobody_who_takes_any_number(at: int) -> None:
    class Killing(MemoryProvider):
        left = 0

        def _count(self) -> None:
            self.left -= 1
            if self.left == 0:
                raise Killed

        def list_objects(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
            self._count()
            return super().list_objects(prefix, start_after=start_after)

        def head(self, key: str) -> ObjectInfo:
            self._count()
            return super().head(key)

        def put_bytes(self, *arguments: Any, **options: Any) -> ObjectInfo:
            self._count()
            return super().put_bytes(*arguments, **options)

        def delete(self, remote_path: str) -> None:
            self._count()
            super().delete(remote_path)

    provider = Killing(WITHOUT)
    provider.left = at
    with pytest.raises(Killed):
        records(provider).append(said("dead"))
    provider.left = 0
    written = dict(records(provider).read_all())
    assert written == ({1: b"1 dead"} if at == 6 else {})
    after_it = 2 if at >= 3 else 1
    assert records(provider).append(said("alive")) == after_it
    assert dict(records(provider).read_all()) == {**written, after_it: f"{after_it} alive".encode()}


@pytest.mark.usefixtures("at_once")
def test_who_needs_the_number_of_a_killed_writer_is_told_and_later_gets_it() -> None:
    provider = MemoryProvider(WITHOUT)
    left = leave_a_claim(provider, 1)
    with pytest.raises(PreconditionFailed, match=r"record number 1 .*was killed at it; run this again in 10 minutes"):
        records(provider).append(said("a"), after=0)
    assert provider.list_files() == [left], "nothing of the attempts is left"
    leave_a_claim(provider, 1, timedelta(minutes=9))
    with pytest.raises(PreconditionFailed, match="was killed"):
        records(provider).append(said("a"), after=0)
    leave_a_claim(provider, 1, timedelta(minutes=11))
    assert records(provider).append(said("a"), after=0) == 1
    assert records(provider).append(said("b"), after=1) == 2


@pytest.mark.usefixtures("at_once")
def test_a_writer_that_was_stopped_until_others_take_it_for_dead_withdraws(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(numbered_records, "steady", lambda: now[0])

    class Sleeping(MemoryProvider):
        """The first writer's computer sleeps after its look at the record."""

        slept = False

        def head(self, key: str) -> ObjectInfo:
            if not self.slept and claims(self):
                self.slept = True
                now[0] += 900
                (mine,) = claims(self)
                leave_a_claim(self, 1, timedelta(minutes=15))  # what the claim is by the store's clock
                self.delete(mine)
                try:
                    return super().head(key)
                finally:
                    assert records(self).append(said("other"), after=0) == 1
            return super().head(key)

    provider = Sleeping(WITHOUT)
    with pytest.raises(PreconditionFailed, match="newer record"):
        records(provider).append(said("slow"), after=0)
    assert provider.slept
    assert records(provider).latest() == (1, b"1 other")


@pytest.mark.usefixtures("at_once")
def test_a_claim_that_somebody_cleared_away_is_made_anew() -> None:
    class Clearing(MemoryProvider):
        cleared = 0

        def put_bytes(self, key: str, *arguments: Any, **options: Any) -> ObjectInfo:
            info = super().put_bytes(key, *arguments, **options)
            if key.endswith(".claim") and self.cleared < 2:
                self.cleared += 1
                self.delete(key)
            return info

    provider = Clearing(WITHOUT)
    assert records(provider).append(said("a")) == 1
    assert provider.cleared == 2
    assert provider.list_files() == ["r/x/1.json"]


def test_a_claim_that_cannot_be_taken_back_is_no_failure_of_the_record() -> None:
    class Keeping(MemoryProvider):
        def delete(self, remote_path: str) -> None:
            raise AccessDenied("no", provider=self.name)

    provider = Keeping(WITHOUT)
    assert [records(provider).append(said("a")) for _ in range(2)] == [1, 2]
    assert list(records(provider).read_all()) == [(1, b"1 a"), (2, b"2 a")]


@pytest.mark.usefixtures("at_once")
def test_a_record_that_could_not_be_written_leaves_its_number_to_nobody() -> None:
    class Failing(MemoryProvider):
        error: Exception | None = AccessDenied("no")

        def put_bytes(self, key: str, *arguments: Any, **options: Any) -> ObjectInfo:
            if key.endswith(".json") and self.error:
                raise self.error
            return super().put_bytes(key, *arguments, **options)

    provider = Failing(WITHOUT)
    with pytest.raises(AccessDenied):
        records(provider).append(said("a"))
    provider.error = None
    assert records(provider).append(said("b")) == 2, "the first may have arrived all the same"


@pytest.mark.usefixtures("at_once")
def test_who_is_always_slower_is_told() -> None:
    class Faster(MemoryProvider):
        def put_bytes(self, *arguments: Any, **options: Any) -> ObjectInfo:
            raise PreconditionFailed("there is one", provider=self.name)

    made: list[int] = []
    with pytest.raises(PreconditionFailed, match="faster 200 times"):
        records(Faster({})).append(lambda number: (made.append(number), b"")[1])
    assert made == [1] * 200
