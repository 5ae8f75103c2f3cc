"""A provider goes to other processes: by fork, by pickle, or from settings."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from infrastructure.storage.providers import LocalProvider, MemoryProvider

FORK = """
import os, sys
from domain.errors import PreconditionFailed
from domain.storage import WriteCondition
from infrastructure.storage.providers import LocalProvider
provider = LocalProvider({"base_path": sys.argv[1], "durable": False})
provider.put_bytes("before", b"1")
for turn in range(20):
    won = 0
    pid = os.fork()
    try:
        provider.put_bytes("race/%d" % turn, b"%d" % bool(pid), condition=WriteCondition.absent())
        won = 1
    except PreconditionFailed:
        pass
    provider.put_bytes("who/%d/%d" % (turn, bool(pid)), b"%d" % won)
    if not pid:
        provider.disconnect()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert provider.get_bytes("who/%d/0" % turn) != provider.get_bytes("who/%d/1" % turn), "one winner"
print(provider.get_bytes("before").decode(), len(provider.list_files("who/")))
provider.disconnect()
print(os.listdir(sys.argv[1] + "/.lading/tmp"))
"""

FORK_WHILE_WRITING = """
import os, sys
from infrastructure.storage.providers import LocalProvider
provider = LocalProvider({"base_path": sys.argv[1], "durable": False})
try:
    with provider.open_writer("k") as writer:
        writer.write(b"half")
        pid = os.fork()
        if not pid:
            provider.put_bytes("child", b"x")
            sys.exit(0)  # leaves the block in the child too
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        writer.write(b" and half")
except SystemExit:
    provider.disconnect()
    raise
print(provider.get_bytes("k").decode(), provider.get_bytes("child").decode())
"""


def test_after_a_fork_it_works_in_both(run, store: Path) -> None:
    assert run(FORK, store) == "1 40\n[]\n"


def test_a_child_that_ends_does_not_take_its_parents_unfinished_write_away(run, store: Path) -> None:
    assert run(FORK_WHILE_WRITING, store) == "half and half x\n"


def test_a_local_provider_goes_by_pickle(store: Path) -> None:
    settings = {"base_path": store, "durable": False, "capabilities": {"replace_if_unchanged": False}}
    provider = LocalProvider(settings)
    provider.put_bytes("k", b"x")
    again = pickle.loads(pickle.dumps(provider))  # noqa: S301
    assert type(again) is LocalProvider
    assert again.describe() == provider.describe()
    assert again.capabilities == provider.capabilities
    assert again.get_bytes("k") == b"x"
    again.put_bytes("l", b"y")
    assert provider.list_files() == ["k", "l"]
    for one in (provider, again):
        one.disconnect()


def test_another_bucket_goes_by_pickle(store: Path) -> None:
    bucket = LocalProvider({"base_path": store, "durable": False}).for_bucket("other")
    bucket.create_bucket()
    bucket.put_bytes("k", b"x")
    again = pickle.loads(pickle.dumps(bucket))  # noqa: S301
    assert again.describe() == bucket.describe()
    assert again.get_bytes("k") == b"x"
    assert again.for_bucket("third-one").describe() == bucket.for_bucket("third-one").describe()
    bucket.disconnect()


def test_a_relative_base_path_is_where_it_was_when_the_provider_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    provider = LocalProvider({"base_path": "store", "durable": False})
    provider.put_bytes("k", b"x")
    packed = pickle.dumps(provider)
    monkeypatch.chdir(tmp_path / "there")
    for one in (provider, pickle.loads(packed), provider.for_bucket("some-bucket")):  # noqa: S301
        assert one.describe().url.startswith((tmp_path.resolve() / "here" / "store").as_uri())
    provider.disconnect()


def test_objects_in_memory_do_not_go_anywhere() -> None:
    with pytest.raises(TypeError, match="memory"):
        pickle.dumps(MemoryProvider({}))
