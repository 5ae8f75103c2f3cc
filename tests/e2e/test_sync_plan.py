"""`storage sync --plan FILE` and `storage apply FILE`: what was shown is what is done, or nothing is."""

import json

import pytest

from domain.errors import InvalidRequest
from presentation.cli.plan_files import read_plan

CHANGES = {
    "a new file": lambda data, place: (data / "later").write_text("x"),
    "an edit of one size": lambda data, place: (data / "new").write_text("NEW"),
    "a file that has gone": lambda data, place: (data / "new").unlink(),
    "an object that has gone": lambda data, place: place.delete("r/gone"),
    "an object edited": lambda data, place: place.put("r/changed", "others"),
    "one more to delete": lambda data, place: place.put("r/more", "x"),
    "an edit of what was the same": lambda data, place: place.put("r/same", "SAME"),
}


@pytest.fixture
def data(storage, place, folder):
    """A folder and the prefix r/ that differ in all ways."""
    for name, content in (("changed", "old"), ("gone", "gone"), ("same", "same")):
        place.put(f"r/{name}", content)
    return folder("data", {"new": "new", "changed": "changed", "same": "same"})


AFTER = {"r/changed": b"changed", "r/new": b"new", "r/same": b"same"}


def live(place):
    return {key: content for key, content in place.contents().items() if not key.startswith("deleted/")}


def test_plan_is_written_then_carried_out_from_another_folder(storage, place, data, tmp_path):
    before = place.contents()
    said = storage.ok("sync", "data", "r", "--delete", "--exclude", "*.no", "--plan", "p.json")
    assert "upload data/new" in said.stdout.replace(f"{tmp_path}/", "")
    assert place.contents() == before
    document = json.loads((tmp_path / "p.json").read_text())
    assert document["direction"] == "upload"
    assert [action["key"] for action in document["actions"]] == ["r/changed", "r/new"]
    assert [action["reason"] for action in document["actions"]] == ["size differs", "new"]
    assert [deletion["name"] for deletion in document["deletions"]] == ["r/gone"]
    assert storage.env.get("MINIO_SECRET_KEY", "secret") not in (tmp_path / "p.json").read_text()
    (tmp_path / "else" / "where").mkdir(parents=True)
    lines = storage.ok("apply", "../../p.json", "--json", cwd=tmp_path / "else" / "where").stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert (events[0]["event"], events[-1]["event"]) == ("plan", "summary")
    assert (events[-1]["done"], events[-1]["deleted"]) == (2, 1)
    assert live(place) == AFTER
    # It is done: it fits no more.
    done = storage("apply", "p.json", "--json")
    assert (done.returncode, json.loads(done.stderr)["exit_code"], done.stdout) == (6, 6, "")
    assert live(place) == AFTER
    storage.ok("undo")
    assert "r/gone" in live(place)


@pytest.mark.parametrize(
    ("place", "change"),
    [("local disk", change) for change in CHANGES]
    + [("gateway", change) for change in ("an edit of one size", "an object edited", "one more to delete")],
    indirect=["place"],
)
def test_nothing_is_done_where_a_side_has_moved(storage, place, data, tmp_path, change):
    storage.ok("sync", "data", "r", "--delete", "--plan", "p.json")
    CHANGES[change](data, place)
    before = place.contents()
    said = storage.fails(6, "apply", "p.json")
    assert "nothing was changed" in said and "'p.json'" in said
    assert place.contents() == before


def test_plan_of_a_download(storage, place, data, tmp_path):
    (data / "mine").write_text("mine")
    args = ("sync", "data", "r", "--direction", "download", "--delete", "--force")
    storage.ok(*args, "--plan", "p.json")
    (data / "mine").write_text("MINE")
    before = {path.name: path.read_text() for path in data.iterdir()}
    assert "nothing was changed" in storage.fails(6, "apply", "p.json")
    assert {path.name: path.read_text() for path in data.iterdir()} == before
    storage.ok(*args, "--plan", "p.json")
    storage.ok("apply", "p.json")
    found = {path.name: path.read_text() for path in data.iterdir() if path.is_file()}
    assert found == {"changed": "old", "gone": "gone", "same": "same"}


def test_plan_of_another_store(storage, place, data):
    other = place.another()
    storage.ok("sync", "data", "r", "--plan", "p.json")
    before = place.contents()
    said = storage.fails(6, "apply", "p.json", env=other.variables)
    assert "was made for" in said and "nothing was changed" in said
    assert (place.contents(), other.contents()) == (before, {})


def damaged(plan):
    """What somebody may have made of a plan, by accident or by hand."""
    whole = json.dumps(plan)
    yield from (b"", whole[:-30].encode(), b"[]", b"null", b"\xff\xfe\x00", json.dumps(plan | {"version": 2}).encode())
    for name in ("format", "direction", "local", "remote", "bucket", "store", "choices", "actions", "deletions"):
        for value in (7, {"a": 1}, [None]):
            yield json.dumps(plan | {name: value}).encode()
        yield json.dumps({key: value for key, value in plan.items() if key != name}).encode()
    for choices in (
        {"compare": "x"}, {"symlinks": "x"}, {"include": "a"}, {"size_min": "1"}, {"max_delete": "9"}, {"everything": True},
    ):  # fmt: skip
        yield json.dumps(plan | {"choices": choices}).encode()
    yield json.dumps(plan | {"actions": [{"key": "x"}]}).encode()
    yield json.dumps(plan | {"actions": [plan["actions"][0] | {"size": "1"}]}).encode()


@pytest.mark.parametrize("place", ["local disk"], indirect=True)
def test_file_that_is_no_plan(storage, place, data, tmp_path):
    storage.ok("sync", "data", "r", "--delete", "--plan", "p.json")
    before = place.contents()
    for text in damaged(json.loads((tmp_path / "p.json").read_text())):
        (tmp_path / "bad.json").write_bytes(text)
        with pytest.raises(InvalidRequest, match="is no plan"):
            read_plan(str(tmp_path / "bad.json"))
    assert "'bad.json' is no plan" in storage.fails(2, "apply", "bad.json")
    assert "none.json" in storage.fails(10, "apply", "none.json")
    assert "data" in storage.fails(10, "apply", "data")
    assert place.contents() == before
