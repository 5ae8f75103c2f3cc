"""`storage undo` and `storage trash`, on local disk: what was put into the trash is brought back by the command."""

import json
import os
import pty
import signal
import subprocess
from contextlib import closing

import pytest

from application.local_tree import state_of
from application.trash import trash_of_folder, trash_of_store
from domain.trash import Trashed
from infrastructure.storage.providers import LocalProvider


@pytest.fixture
def delete(store):
    """Puts objects of the store into the trash, as a sync does it; the record's id."""

    def put(*keys, replaced=False, why="sync data/ d/"):
        provider = LocalProvider({"base_path": store, "durable": False})
        infos = [provider.head(key) for key in keys]
        entries = [Trashed(info.key, info.size, info.etag, replaced) for info in infos]
        batch = trash_of_store(provider).open(why, entries)
        assert all(error is None for _, error in batch.put(entries))
        return batch.id

    return put


@pytest.fixture
def delete_local(tmp_path):
    """Puts files of a folder into its trash; the record's id."""

    def put(folder, *names):
        stats = {name: (tmp_path / folder / name).stat() for name in names}
        entries = [Trashed(name, status.st_size, state_of(status)) for name, status in stats.items()]
        batch = trash_of_folder(str(tmp_path / folder)).open("sync back/ d/", entries)
        assert all(error is None for _, error in batch.put(entries))
        return batch.id

    return put


def visible(store):
    found = (path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file())
    return sorted(name for name in found if not name.startswith((".lading/", "deleted/")))


def test_undo_of_the_newest_and_of_one_by_its_id(storage, store, put, delete):
    put("a", "b/c", "keep")
    first, _ = delete("a"), delete("b/c")
    assert visible(store) == ["keep"]
    assert "restored 1 object" in storage.ok("undo").stderr
    assert visible(store) == ["b/c", "keep"]
    storage.ok("undo", first)
    assert visible(store) == ["a", "b/c", "keep"]
    assert not (store / "deleted").exists()
    assert "nothing to undo" in storage.fails(4, "undo")
    assert first in storage.fails(4, "undo", first)
    storage.fails(2, "undo", "../../x")


def test_undo_of_what_was_replaced_and_its_own_undo(storage, store, put, delete):
    put("a", content="old")
    delete("a", replaced=True)
    (store / "a").write_text("new")
    told = json.loads(storage.ok("undo", "--json").stdout)
    assert (told["restored"], told["conflicts"], told["failed"], told["finished"]) == (1, [], [], True)
    assert (store / "a").read_text() == "old"
    assert json.loads(storage.ok("trash", "list", "--json").stdout)["id"] == told["saved_as"]
    assert "in the trash as" in storage.ok("undo").stderr
    assert (store / "a").read_text() == "new"


def test_conflict_is_told_and_forced(storage, store, put, delete):
    put("a", "b", content="old")
    delete("a", "b")
    (store / "a").write_text("new")
    done = storage("undo")
    assert done.returncode == 6
    assert "'a'" in done.stderr and "--force" in done.stderr
    assert (store / "a").read_text() == "new" and (store / "b").read_text() == "old"
    done = storage("undo", "--json")
    assert done.returncode == 6
    assert json.loads(done.stdout)["conflicts"] == ["a"]
    assert json.loads(done.stderr)["exit_code"] == 6
    storage.ok("undo", "--force")
    assert (store / "a").read_text() == "old"


def test_list_shows_records_and_what_is_in_one(storage, store, put, delete):
    store.mkdir()
    assert storage.ok("trash", "list").stdout == ""
    put("a\x1b[31m", "b", content="12345")
    trash_id = delete("a\x1b[31m", "b", why="sync \x07")
    text = storage.ok("trash", "list").stdout
    assert trash_id in text and "2 objects" in text and "10 bytes" in text
    assert all(sign.isprintable() or sign == "\n" for sign in text)
    told = json.loads(storage.ok("trash", "list", "--json").stdout)
    assert (told["id"], told["count"], told["bytes"], told["why"]) == (trash_id, 2, 10, "sync \x07")
    names = [json.loads(line)["name"] for line in storage.ok("trash", "list", trash_id, "--json").stdout.splitlines()]
    assert names == ["a\x1b[31m", "b"]
    lines = storage.ok("trash", "list", trash_id).stdout.splitlines()
    assert lines == ["           5 deleted  a\\x1b[31m", "           5 deleted  b"]


def test_damaged_record_is_named_and_the_others_are_listed(storage, store, put, delete):
    put("a", "b")
    bad, good = delete("a"), delete("b")
    record = store / "deleted" / bad / "record.json"
    record.write_bytes(record.read_bytes()[:-20])
    done = storage("trash", "list")
    assert done.returncode == 7
    assert good in done.stdout and bad not in done.stdout
    assert bad in done.stderr and "Traceback" not in done.stderr
    storage.ok("undo")
    assert bad in storage.fails(7, "undo")
    assert (store / "deleted" / bad / "objects" / "a").exists()


def test_restore_of_some(storage, store, put, delete):
    put("r/1", "r/2", "s", "t")
    trash_id = delete("r/1", "r/2", "s", "t")
    assert "'none'" in storage.fails(4, "trash", "restore", trash_id, "none", "s")
    storage.ok("trash", "restore", trash_id, "r/", "s")
    assert visible(store) == ["r/1", "r/2", "s"]
    storage.ok("trash", "restore", trash_id, "t")
    assert not (store / "deleted").exists()


def test_empty_takes_what_is_old_and_asks(storage, store, put, delete):
    put("a", "b", "c", content="12345")
    old, new = delete("a", "b"), delete("c")
    # As if it had been made two months ago.
    aged = f"20200101T000000Z-{old[-8:]}"
    (store / "deleted" / old).rename(store / "deleted" / aged)
    record = store / "deleted" / aged / "record.json"
    record.write_text(record.read_text().replace(old, aged))
    said = storage.fails(2, "trash", "empty")
    assert "2 objects" in said and "10 bytes" in said and "--yes" in said
    assert (store / "deleted" / aged / "objects" / "a").exists()
    assert "deleted 1 record with 2 objects" in storage.ok("trash", "empty", "--yes").stderr
    assert [path.name for path in (store / "deleted").iterdir()] == [new]
    assert "nothing" in storage.ok("trash", "empty", "--yes").stderr
    assert json.loads(storage.ok("trash", "empty", "--older-than", "0s", "-y", "--json").stdout) == {
        "records": 1, "deleted": 1, "bytes": 5,
    }  # fmt: skip
    assert not (store / "deleted").exists()
    assert "no duration" in storage.fails(2, "trash", "empty", "--older-than", "x")


def test_empty_asks_on_a_terminal(storage, store, put, delete):
    put("a")
    delete("a")
    leader, terminal = pty.openpty()
    try:
        for answer, code, left in ((b"n\n", 1, True), (b"y\n", 0, False)):
            os.write(leader, answer)
            done = storage("trash", "empty", "--older-than", "0s", stdin=terminal)
            assert done.returncode == code, done.stderr
            assert "for good" in done.stderr
            assert (store / "deleted").exists() == left
    finally:
        os.close(leader)
        os.close(terminal)


def test_the_local_side(storage, tmp_path, delete_local):
    (tmp_path / "back" / "d").mkdir(parents=True)
    (tmp_path / "back" / "a").write_text("1")
    (tmp_path / "back" / "d" / "b").write_text("22")
    trash_id = delete_local("back", "a", "d/b")
    assert [path.name for path in (tmp_path / "back").iterdir()] == [".lading"]
    assert trash_id in storage.ok("trash", "list", "--local", "back").stdout
    storage.ok("trash", "restore", trash_id, "a", "--local", "back")
    assert (tmp_path / "back" / "a").read_text() == "1"
    assert "restored 1 object, 2 bytes, 1 unchanged" in storage.ok("undo", "--local", "back").stderr
    assert (tmp_path / "back" / "d" / "b").read_text() == "22"
    delete_local("back", "a")
    storage.ok("trash", "empty", "--older-than", "0s", "--yes", "--local", "back")
    assert list((tmp_path / "back" / ".lading").rglob("*")) == []
    assert "none" in storage.fails(10, "undo", "--local", "none")
    assert storage("undo", "--local", "back", "--bucket", "b").returncode == 2


def test_a_sync_and_its_undo_on_either_side(storage, store, put, tmp_path, contents):
    put("d/gone/1", "d/same", "d/2", content="old")
    before = contents(store)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "same").write_text("old")
    (tmp_path / "data" / "2").write_text("other")
    storage.ok("sync", "data", "d", "--delete", "--backup", "--force")
    assert visible(store) == ["d/2", "d/same"]
    storage.ok("undo")
    assert {name: sha for name, sha in contents(store).items() if not name.startswith("deleted/")} == before
    put("d/3", content="3")
    (tmp_path / "data" / "extra").mkdir()
    (tmp_path / "data" / "extra" / "x").write_text("x")
    before = contents(tmp_path / "data")
    storage.ok("sync", "data", "d", "--direction", "download", "--delete", "--backup", "--force")
    assert visible(tmp_path / "data") == ["2", "3", "gone/1", "same"]
    assert not (tmp_path / "data" / "extra").exists()
    storage.ok("undo", "--local", "data")
    # What the sync had brought is no business of the trash.
    assert {name: sha for name, sha in contents(tmp_path / "data").items() if name in before} == before
    storage.ok("undo", "--local=~/data", env={"HOME": str(tmp_path)})
    assert (tmp_path / "data" / "2").read_text() == "old"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_undo_stopped_in_the_middle_goes_on(storage, store, put, delete, wait_for, number):
    keys = [f"d/{index}" for index in range(2000)]
    put(*keys)
    delete(*keys)
    assert visible(store) == []
    process = storage.start("undo")
    wait_for(lambda: visible(store))
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else -number), said
    assert "Traceback" not in said
    assert number == signal.SIGKILL or "run this again to go on" in said
    kept = {path.name for path in (store / "deleted").rglob("objects/d/*")}
    assert kept and kept | {path.name for path in (store / "d").iterdir()} == {key[2:] for key in keys}
    storage.ok("undo")
    assert visible(store) == sorted(keys)
    assert not (store / "deleted").exists()


def test_reader_that_has_had_enough_is_no_error(storage, store, put, delete):
    put("a")
    delete("a")
    reader, writer = os.pipe()
    os.close(reader)
    with closing(os.fdopen(writer, "w")) as broken:
        done = storage("trash", "list", stdout=broken, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, "")
