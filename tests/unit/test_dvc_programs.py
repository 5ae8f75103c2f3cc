"""The programs that are driven: what they lack, how their failures are told, and that nothing of the caller's leaks into them."""

from __future__ import annotations

import os
import signal
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from domain.errors import (
    AccessDenied,
    ConfigurationError,
    ContentCorrupted,
    LocalFileError,
    ObjectNotFound,
    PreconditionFailed,
    StorageError,
    StoreUnavailable,
)
from infrastructure.dvc import programs
from infrastructure.dvc.client import DVCClient
from infrastructure.dvc.programs import run_dvc, run_git


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Has `dvc` be a program that says something on stderr and ends with an exit code."""

    def make(stderr: str, code: int) -> None:
        script = tmp_path / "python"
        (tmp_path / "said").write_text(stderr)
        script.write_text(f'#!/bin/sh\nenv > "{tmp_path}/env"\ncat "{tmp_path}/said" >&2\nexit {code}\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(programs.sys, "executable", str(script))

    return make


@pytest.mark.parametrize(
    ("stderr", "kind"),
    [
        ("ERROR: failed to push data to the cloud - config file error: remote 'x' doesn't exist", ConfigurationError),
        ("ERROR: unexpected error - Forbidden: An error occurred (403)", AccessDenied),
        ("ERROR: An error occurred (InvalidAccessKeyId) when calling the PutObject operation", AccessDenied),
        ('ERROR: unexpected error - Could not connect to the endpoint URL: "http://x/"', StoreUnavailable),
        ("ERROR: failed to pull data from the cloud - 2 files failed to download", ObjectNotFound),
        ("ERROR: Can't remove the following unsaved files without confirmation. /x", PreconditionFailed),
        ("ERROR: output 'nosuch' does not exist: [Errno 2]", LocalFileError),
        ("ERROR: failed to pull data from the cloud - Checkout failed for following targets:\ndata", ContentCorrupted),
        ("ERROR: something new in /corrupt/Forbidden/timeout", StorageError),
    ],
)
def test_the_kind_is_by_what_dvc_said_and_not_by_its_paths(
    says: Callable[[str, int], None], tmp_path: Path, stderr: str, kind: type[StorageError]
) -> None:
    says(f"WARNING: not this\n{stderr}\n\nHaving any troubles? Hit us up at https://x\n", 255)
    with pytest.raises(StorageError) as failed:
        run_dvc(tmp_path, "push")
    assert type(failed.value) is kind
    said = str(failed.value)
    assert said.startswith(f"'dvc push' failed in '{tmp_path}': ")
    assert "\n" not in said and "not this" not in said and "troubles" not in said


def test_content_that_is_nowhere_is_a_failure_though_dvc_has_none(
    says: Callable[[str, int], None], tmp_path: Path
) -> None:
    said = "WARNING: Some of the cache files do not exist neither locally nor on remote. Missing cache files:\nmd5: 0\n"
    says(said, 0)
    with pytest.raises(ObjectNotFound, match=r"Missing cache files: md5: 0$"):
        run_dvc(tmp_path, "push")
    says("WARNING: of no concern\n", 0)
    assert run_dvc(tmp_path, "push") == ""


def test_no_secret_is_shown_and_no_flood(says: Callable[[str, int], None], tmp_path: Path) -> None:
    says("ERROR: hunter2 and s3cret " + "x" * 10_000, 1)
    with pytest.raises(StorageError) as failed:
        run_dvc(tmp_path, "push", secrets=["hunter2", "s3cret"])
    assert "hunter2" not in str(failed.value) and "s3cret" not in str(failed.value)
    assert len(str(failed.value)) < 1000


def test_what_a_hook_of_git_was_told_of_another_repository_is_not_passed_on(
    says: Callable[[str, int], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says("", 0)
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "DVC_ROOT"):
        monkeypatch.setenv(name, "/elsewhere")
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_supported")
    run_dvc(tmp_path, "push")
    seen = (tmp_path / "env").read_text().splitlines()
    assert not [line for line in seen if "/elsewhere" in line]
    assert {"DVC_NO_ANALYTICS=true", "AWS_REQUEST_CHECKSUM_CALCULATION=when_supported"} <= set(seen)
    assert "AWS_RESPONSE_CHECKSUM_VALIDATION=when_required" in seen


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setattr(programs, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'lading\[dvc\]'"):
        DVCClient(tmp_path / "new").init_repo()


def test_without_git_it_is_named_and_without_a_folder_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LocalFileError, match="nosuch"):
        run_git(tmp_path / "nosuch", "status")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="this needs git"):
        run_git(tmp_path, "status")


def test_an_interrupt_passes_and_ends_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "git"
    on_interrupt = f"kill \\$!; echo > '{tmp_path}/ended'; exit 1"
    # It reads first: what it is given comes from where an interrupt is looked after.
    script.write_text(f'#!/bin/sh\nsleep 60 &\ntrap "{on_interrupt}" INT\nread x\nkill -INT {os.getpid()}\nwait\n')
    script.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_git(tmp_path, "status", given=b"x\n")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "ended").exists()
