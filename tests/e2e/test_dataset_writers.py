"""Many writers of one dataset at once, and writers that are killed: nothing is lost, and nothing is half there."""

import json
import signal
import subprocess
import sys

import pytest

WRITERS = 16

# Of one process each, that has nothing in common with the others but the store; typer takes most of a command's time.
WRITE = """
import os, sys
from application.dataset_versioning import DatasetVersioning
from config.provider import storage_provider_from_env

provider = storage_provider_from_env()
if sys.argv[2:] and provider.name == "local":
    provider = type(provider)({"base_path": os.environ["STORAGE_LOCAL_PATH"], "capabilities": {"create_if_absent": False}})
assert provider.capabilities.create_if_absent is not bool(sys.argv[2:])
made = DatasetVersioning(provider).version(sys.argv[1], "d", sys.argv[1])
print(made.version.version)
"""


@pytest.mark.parametrize("place", ["gateway", pytest.param("local disk", marks=pytest.mark.nightly)], indirect=True)
@pytest.mark.parametrize("without", [[], ["without conditional writes"]])
def test_sixteen_writers_of_one_dataset_lose_nothing(storage, place, folder, without, contents, tmp_path, checkout):
    storage.env["PYTHONPATH"] = str(checkout)
    if without and place.provider != "local":
        # The gateway ignores conditions in a bucket that keeps versions: all writers would win.
        place.client.put_bucket_versioning(Bucket=place.bucket, VersioningConfiguration={"Status": "Enabled"})
        storage.env["STORAGE_CAPABILITIES"] = "create_if_absent=false,create_if_absent_multipart=false"
    for number in range(WRITERS):
        folder(f"data{number}", {"shared": "x" * 1000, "own": f"{number}"})
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE, f"data{number}", *without],
            cwd=storage.cwd, env=storage.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(WRITERS)
    ]  # fmt: skip
    outcomes = [(*process.communicate(), process.returncode) for process in processes]
    assert [said for _, said, code in outcomes if code] == []
    numbers = [int(out) for out, _, _ in outcomes]
    assert len(set(numbers)) == WRITERS
    told = [json.loads(line) for line in storage.ok("dataset", "versions", "d", "--json").stdout.splitlines()]
    assert {each["message"]: each["version"] for each in told} == {
        f"data{number}": version for number, version in enumerate(numbers)
    }
    for number in (0, WRITERS - 1):
        storage.ok("dataset", "checkout", f"d@{numbers[number]}", f"out{number}")
        assert contents(tmp_path / f"out{number}") == contents(tmp_path / f"data{number}")
    assert not [key for key in place.contents() if ".claim" in key or "leases" in key]


@pytest.mark.parametrize("place", ["gateway", pytest.param("local disk", marks=pytest.mark.nightly)], indirect=True)
def test_a_version_that_was_killed_is_not_there_and_the_next_run_sends_what_is_missing(
    storage, place, folder, wait_for, tmp_path
):
    folder("data", {f"{number:04}": f"{number}" * 4000 for number in range(600)})
    env = {"STORAGE_REQUESTS_PER_SECOND": "150", "STORAGE_LOCAL_DURABLE": "true"}
    process = storage.start("dataset", "version", "data", "--id", "d", env=env)
    wait_for(lambda: len(place.contents("dvc/")) > 20 or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    killed = process.wait() == -signal.SIGKILL
    arrived = len(place.contents("dvc/"))
    if killed:
        listed = storage("dataset", "list", "--json")
        assert (listed.returncode, listed.stdout) == (0, "")
        assert "no dataset 'd'" in storage.fails(4, "dataset", "checkout", "d", "out")
    made = json.loads(storage.ok("dataset", "version", "data", "--id", "d", "--json").stdout.splitlines()[-1])
    assert made["version"] == 1
    assert made["sent"] <= 600 - arrived
    storage.ok("dataset", "verify", "d")
