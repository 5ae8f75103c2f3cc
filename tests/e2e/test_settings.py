"""What the environment says, right and wrong."""

import json
import os

import pytest


def test_unknown_provider_names_the_known_ones(storage, store):
    said = storage.fails(3, "list", env={"STORAGE_PROVIDER": "s33"})
    assert all(name in said for name in ("'s33'", "local", "memory"))
    assert storage.ok("providers", env={"STORAGE_PROVIDER": "s33"}).stdout.count("ready") >= 2


@pytest.mark.parametrize("name", ["local", "LOCAL", "file", "disk", ""])
def test_provider_goes_by_its_names(storage, store, name):
    store.mkdir()
    (store / "k").touch()
    assert storage.ok("list", env={"STORAGE_PROVIDER": name}).stdout.split()[-1] == "k"


@pytest.mark.parametrize("name", ["STORAGE_LOCAL_DURABLE", "STORAGE_DEDUPLICATION_ENABLED"])
def test_nonsense_names_its_variable_or_field(storage, store, tmp_path, name):
    (tmp_path / "data").mkdir()
    assert name.removeprefix("STORAGE_LOCAL_").lower() in storage.fails(3, "sync", env={name: "nonsense"}).lower()
    assert not store.exists()


@pytest.mark.parametrize("value", ["file", "file/below", "~nosuchuser/x", "x" * 300, "loop"])
def test_path_that_can_be_no_store(storage, tmp_path, value):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to("loop")
    storage.env["STORAGE_LOCAL_PATH"] = value if value.startswith("~") else str(tmp_path / value)
    storage.fails(3, "upload", "file", "k")
    done = storage("list")
    assert done.returncode in (3, 4), done.stderr
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["file", "home", "loop"]


def test_relative_path_and_home(storage, tmp_path):
    (tmp_path / "f").write_text("x")
    storage.ok("upload", "f", "k", env={"STORAGE_LOCAL_PATH": "here"})
    storage.ok("upload", "f", "k", env={"STORAGE_LOCAL_PATH": "~/there"})
    assert (tmp_path / "here" / "k").read_text() == (tmp_path / "home" / "there" / "k").read_text() == "x"


def test_store_in_a_folder_whose_name_is_not_utf_8(storage, tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    (tmp_path / "f").write_text("x")
    storage.env["STORAGE_LOCAL_PATH"] = os.fsdecode(folder)
    storage.ok("upload", "f", "é")
    assert storage.ok("list").stdout.split()[-1:] == ["é"], "a listing is complete or an error"
    storage.ok("info", "--json")


def test_store_that_is_a_link_to_a_folder(storage, store, tmp_path):
    (tmp_path / "real").mkdir()
    store.symlink_to("real")
    (tmp_path / "f").write_text("x")
    storage.ok("upload", "f", "k")
    assert (tmp_path / "real" / "k").read_text() == "x"


def test_memory_forgets_and_says_nothing_wrong(storage, observations):
    env = {"STORAGE_PROVIDER": "memory"}
    told = storage.ok("sync", str(observations), "o", "--json", env=env).stdout.splitlines()
    assert json.loads(told[-1])["done"] == 5
    assert storage.ok("list", env=env).stdout == ""
    assert storage("stat", "k", env=env).returncode == 4


def test_another_domain_first_on_the_path_is_said_clearly(storage, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "domain.py").write_text("mine = True\n")
    done = storage("list", env={"PYTHONPATH": str(tmp_path / "site")})
    assert done.returncode != 0
    assert "Traceback" not in done.stderr and str(tmp_path / "site") in done.stderr
