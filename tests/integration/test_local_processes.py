"""Several processes on one store at a time: conditions hold, nothing is lost, nothing is left in the wrong place."""

from __future__ import annotations

import json
import os
from pathlib import Path

from infrastructure.storage.providers import LocalProvider

PROCESSES = 4
BEGINNING = """
import json, os, random, sys, time
from domain.errors import ObjectNotFound, PreconditionFailed, StorageError
from domain.storage import WriteCondition
from infrastructure.storage.providers import LocalProvider
store, me = sys.argv[1], int(sys.argv[2])
provider = LocalProvider({"base_path": store, "durable": False})
print("ready", flush=True)
sys.stdin.readline()
"""


def together(start, store: Path, script: str) -> list[dict]:
    """Run the script in four processes that begin at the same time; what each says at its end."""
    store.mkdir(exist_ok=True)
    processes = [start(BEGINNING + script, store, number) for number in range(PROCESSES)]
    for process in processes:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = []
    for process in processes:
        output, complaints = process.communicate(timeout=60)
        assert process.returncode == 0, complaints
        said.append(json.loads(output))
    return said


def provider_of(store: Path) -> LocalProvider:
    return LocalProvider({"base_path": store, "durable": False})


def test_of_those_who_create_a_key_exactly_one_wins(start, store: Path) -> None:
    said = together(
        start,
        store,
        """
won = []
for number in range(300):
    key = ["k/%d", "k//%d", "k/%d/"][number % 3] % number
    try:
        provider.put_bytes(key, b"%d" % me, condition=WriteCondition.absent())
        won.append(key)
    except PreconditionFailed:
        pass
print(json.dumps(won))
""",
    )
    winners = {key: str(me) for me, won in enumerate(said) for key in won}
    assert sum(len(won) for won in said) == len(winners) == 300
    provider = provider_of(store)
    assert {key: provider.get_bytes(key).decode() for key in provider.list_files()} == winners


def test_a_counter_that_is_replaced_only_if_unchanged_is_exact(start, store: Path) -> None:
    provider_of(store).put_bytes("counter", b"0")
    said = together(
        start,
        store,
        """
added = conflicts = 0
while added < 100:
    provider.put_bytes("noise/%d" % random.randrange(5), b"%d" % me)
    with provider.open_reader("counter") as reader:
        value = int(reader.read())
        etag = reader.info.etag
    try:
        provider.put_bytes("counter", b"%d" % (value + 1), condition=WriteCondition.unchanged(etag))
        added += 1
    except PreconditionFailed:
        conflicts += 1
print(json.dumps({"conflicts": conflicts}))
""",
    )
    assert provider_of(store).get_bytes("counter") == b"400"
    assert sum(one["conflicts"] for one in said) > 0, "they never met: nothing was shown"


def test_of_those_who_copy_onto_a_missing_key_exactly_one_wins(start, store: Path) -> None:
    for number in range(PROCESSES):
        provider_of(store).put_bytes(f"from/{number}", b"%d" % number)
    said = together(
        start,
        store,
        """
won = 0
for number in range(100):
    try:
        provider.copy("from/%d" % me, "to/%d" % number, condition=WriteCondition.absent())
        won += 1
    except PreconditionFailed:
        pass
print(json.dumps({"won": won}))
""",
    )
    assert sum(one["won"] for one in said) == 100


def test_keys_that_want_the_same_place_while_others_are_deleted(start, store: Path) -> None:
    said = together(
        start,
        store,
        """
shared = ["a", "a/b", "a/b/c", "a/b/c/d", "a/x", "b//c", "b"]
mine = ["a/%d" % me, "a/b/%d" % me, "a/b/c/deep/%d" % me, "b/%d" % me]
last, problems, n = {}, [], 0
end = time.monotonic() + 2
while time.monotonic() < end:
    n += 1
    value = "%d-%d" % (me, n)
    key = random.choice(shared)
    own = random.choice(mine)
    try:
        if random.random() < 0.5:
            provider.put_bytes(key, value.encode())
        else:
            provider.delete(key)
        if random.random() < 0.5:
            provider.put_bytes(own, value.encode())
            last[own] = value
        else:
            provider.delete(own)
            last[own] = None
        try:
            found = provider.get_bytes(own).decode()
        except ObjectNotFound:
            found = None
        if found != last[own]:
            problems.append("%s is %s after %s was written" % (own, found, last[own]))
    except StorageError as error:
        problems.append("%s: %s" % (type(error).__name__, error))
provider.disconnect()
print(json.dumps({"last": last, "problems": problems[:5], "count": len(problems), "n": n}))
""",
    )
    assert [one["problems"] for one in said] == [[]] * PROCESSES
    provider = provider_of(store)
    keys = provider.list_files()
    assert keys == sorted(set(keys))
    for key in keys:
        assert provider.get_bytes(key)
    for one in said:
        for key, value in one["last"].items():
            assert (provider.get_bytes(key).decode() if provider.exists(key) else None) == value
    provider.delete_many(keys)
    assert provider.list_files() == []
    provider.disconnect()
    assert os.listdir(store) == [".lading"]
    assert [path for path in (store / ".lading").rglob("*") if path.is_file() and path.parent.name != "locks"] == []


def test_folders_that_are_made_and_pruned_all_the_time(start, store: Path) -> None:
    said = together(
        start,
        store,
        """
problems, n = [], 0
end = time.monotonic() + 2
while time.monotonic() < end:
    n += 1
    for key in ("p/q/r/s/%d" % me, "p//%s/%d" % ("n" * 200, me)):
        try:
            provider.put_bytes(key, b"x")
            if not provider.exists(key):
                problems.append("not there: " + key)
            provider.delete(key)
        except StorageError as error:
            problems.append("%s: %s" % (type(error).__name__, error))
provider.disconnect()
print(json.dumps({"problems": problems[:3], "count": len(problems), "n": n}))
""",
    )
    assert [one["problems"] for one in said] == [[]] * PROCESSES
    assert provider_of(store).list_files() == []


def test_a_reader_sees_one_state_whatever_is_written(start, store: Path) -> None:
    provider_of(store).put_bytes("k", b"0" * 50_000, metadata={"n": "0"})
    said = together(
        start,
        store,
        """
mixed, n = 0, 0
end = time.monotonic() + 1.5
while time.monotonic() < end:
    n += 1
    if me < 2:
        digit = str(random.randrange(10))
        provider.put_bytes("k", digit.encode() * random.randrange(1, 100_000), metadata={"n": digit})
    else:
        with provider.open_reader("k") as reader:
            data = reader.read()
            if set(data) != {ord(reader.info.metadata["n"])} or len(data) != reader.info.size:
                mixed += 1
print(json.dumps({"mixed": mixed, "n": n}))
""",
    )
    assert [one["mixed"] for one in said] == [0] * PROCESSES
    assert all(one["n"] > 10 for one in said)
