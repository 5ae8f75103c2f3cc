"""Help is part of the interface: every exit code, every example."""

import json
import os
import re
import subprocess

import pytest
from clocked_store import make_version

from infrastructure.storage.providers import LocalProvider
from presentation.cli import exit_codes

COMMANDS = (
    "list", "stat", "cat", "copy", "delete", "upload", "download", "sync", "apply", "check", "verify", "replicate",
    "undo", "trash", "dataset", "cas", "gc", "retention", "presign", "uploads", "cost", "info", "providers",
)  # fmt: skip


def examples_of(text):
    head, _, tail = text.partition("Examples:\n")
    assert head and tail, text
    found = [line.strip() for line in tail.splitlines() if line.strip()]
    assert all("storage " in line for line in found), "help ends in its examples"
    return found


def test_help_documents_every_exit_code(storage):
    text = storage.ok("--help").stdout
    documented = {int(code) for code in re.findall(r"^ +(\d+)  +\w", text, re.MULTILINE)}
    assert documented == {0, *(v for k, v in vars(exit_codes).items() if k.isupper() and isinstance(v, int))}
    assert all(re.search(rf"^  {command} ", text, re.MULTILINE) for command in COMMANDS)
    assert storage.ok("-h").stdout == storage.ok().stdout == text


def put_into_trash(folder, trash_id, *names):
    for name in names:
        (folder / trash_id / "objects" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / trash_id / "objects" / name).write_text("x")
    entries = [{"name": name, "size": 1, "state": "", "kind": "deleted"} for name in names]
    when = "2026-11-20T22:45:49+00:00"
    record = {"version": 1, "id": trash_id, "when": when, "who": "", "why": "", "undoes": "", "entries": entries}
    (folder / trash_id / "record.json").write_text(json.dumps(record))


GROUPS = {
    "uploads": ("list", "abort"),
    "trash": ("list", "restore", "empty"),
    "retention": ("apply",),
    # The examples of `lineage` and `dvc` are in tests of their own.
    "dataset": (
        "version", "list", "versions", "checkout", "diff", "alias", "verify", "remove", "export-dvc", "import-dvc",
    ),
    "cas": ("put", "get", "stat", "verify", "delete"),
}  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        "",
        *(name for name in COMMANDS if name not in GROUPS),
        *(f"{group} {name}" for group, names in GROUPS.items() for name in names),
    ],
)
def test_examples_of_the_help_run(storage, store, tmp_path, command):
    for key in ("observations/m13.fits", "m13.fits", "tables/iris.csv", "models/latest.pt", "temp/a.csv", "temp/b.csv"):
        (store / key).parent.mkdir(parents=True, exist_ok=True)
        (store / key).write_text("x" * 3000)
    for name in ("m13.fits", "data/a", "observations/b", "results/c", "runs/d"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("y")
    (store / "datasets").mkdir()
    (store / "datasets" / "a").write_text("y")
    (tmp_path / "other-account.env").write_text(f"STORAGE_LOCAL_PATH={tmp_path / 'other'}\n")
    put_into_trash(store / "deleted", "20261120T224549Z-1e240a7f", "runs/42/a", "notes.txt")
    put_into_trash(store / "deleted", "20261121T000000Z-00000000", "newer")
    put_into_trash(tmp_path / "back" / ".lading" / "trash", "20261120T224549Z-1e240a7f", "d/a")
    for dataset_id in ("m13-raw", "m13-flat"):
        make_version(LocalProvider({"base_path": store, "durable": False}), dataset_id, {"a": b"y"})
    for repository in ("survey", "pipeline"):
        subprocess.run(["git", "init", "-q", f"{storage.env['HOME']}/code/{repository}"], check=True)
    if command == "dataset import-dvc":
        storage.ok("dataset", "export-dvc", "m13-raw", "data.dvc")
    if command.startswith("cas"):
        storage.ok("cas", "put", "-", input="test", stdin=None)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "jq").write_text("#!/bin/sh\ncat >&2\n")
    (tmp_path / "bin" / "jq").chmod(0o755)
    (tmp_path / "bin" / "curl").write_text('#!/bin/sh\ncase "$3" in http*) ;; *) exit 1;; esac\n')
    (tmp_path / "bin" / "curl").chmod(0o755)
    (tmp_path / "big").mkdir()
    if command == "presign":  # asks nobody, but needs a store whose URLs can be signed
        names = ("AWS_BUCKET_NAME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        storage.env |= {"STORAGE_PROVIDER": "s3", **dict.fromkeys(names, "some-name")}
    env = storage.env | {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{storage.env['PATH']}"}
    for line in examples_of(storage.ok(*command.split(), "--help").stdout):
        here = line.replace("/mnt/big", str(tmp_path / "big")).replace("--to s3", "--to local")
        here = here.replace("--to r2", "--to local --to-env other-account.env")
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", here], env=env, cwd=tmp_path, capture_output=True, text=True
        )
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), (line, done.stderr)


@pytest.mark.parametrize(
    "args",
    [
        "bogus", "list --bogus", "list --limit 0", "list --limit x", "list a --prefix b", "stat", "copy a", "upload",
        "download", "upload a b c", "upload a --local b", "sync a b --remote c", "sync a b --direction sideways",
        "delete", "cat k --length x",
    ],
)  # fmt: skip
def test_wrong_usage(storage, store, args):
    done = storage(*args.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error: " in done.stderr and "Traceback" not in done.stderr
    assert not store.exists()


@pytest.mark.parametrize(
    ("words", "wanted"), [("storage ", "download"), ("storage do", "download"), ("storage list --li", "--limit")]
)
def test_shell_completion(storage, words, wanted):
    env = {"_STORAGE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    done = storage.ok(env=env)
    assert wanted in done.stdout.split()
    assert done.stderr == ""


def test_completion_script(storage):
    assert "complete -o default -F" in storage.ok("--show-completion", "bash", env={"SHELL": "/bin/bash"}).stdout


PLUGIN = """
from infrastructure.storage.providers.memory_provider import MemoryProvider
class Broken(MemoryProvider):
    name = "broken"
    def list_objects(self, prefix="", *, start_after=""):
        raise RuntimeError("out of cheese")
"""


@pytest.fixture
def plugin(storage, tmp_path):
    """A stranger's package with entry points, as pip would have installed it."""

    def install(*points):
        folder = tmp_path / "site" / "stranger-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text("\n".join(["[lading.providers]", *points]))
        (tmp_path / "site" / "stranger.py").write_text(PLUGIN)
        storage.env["PYTHONPATH"] = str(tmp_path / "site")

    return install


def test_internal_error_is_one_sentence_and_a_traceback_only_when_debugging(storage, plugin):
    plugin("broken = stranger:Broken")
    done = storage("list", env={"STORAGE_PROVIDER": "broken"})
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (70, "", 1)
    assert "out of cheese" in done.stderr and "STORAGE_DEBUG" in done.stderr and "Traceback" not in done.stderr
    done = storage("list", env={"STORAGE_PROVIDER": "broken", "STORAGE_DEBUG": "1"})
    assert done.returncode not in (0, 2) and "Traceback" in done.stderr and "out of cheese" in done.stderr


def test_stranger_that_can_not_be_imported_disturbs_nobody(storage, plugin):
    plugin("absent = no_such_module:Provider")
    assert "absent" in storage.ok("providers").stdout
    storage.ok("providers", "--json")
    assert "no_such_module" in storage.fails(3, "list", env={"STORAGE_PROVIDER": "absent"})


def test_two_providers_of_one_name_fail_at_start(storage, plugin):
    plugin("local = stranger:Broken")
    assert "'local'" in storage.fails(3, "list")
