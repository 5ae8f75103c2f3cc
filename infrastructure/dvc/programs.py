"""The programs `dvc` and `git`: run in a folder, their failures told in one sentence."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from domain.errors import (
    AccessDenied,
    BucketNotFound,
    ConfigurationError,
    ContentCorrupted,
    InsufficientStorage,
    LocalFileError,
    ObjectNotFound,
    PreconditionFailed,
    StorageError,
    StoreUnavailable,
)
from domain.local_files import local_error, printable_path
from infrastructure.dvc.dvc_file import MISSING_EXTRA

_PATIENCE = 10.0
"""Seconds that an interrupted program has to end by itself."""

_LONGEST_SAID = 600

# What the environment of a hook of git says of another repository.
_OF_ANOTHER_REPOSITORY = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX", "DVC_ROOT", "DVC_STAGE",
)  # fmt: skip

CHECKSUM_VARIABLES = ("AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION")
"""To be `when_required` for plain dvc on a store that is not AWS's."""

_LACKING = b"WARNING: Some of the cache files do not exist"
"""What DVC says of content that is nowhere; 'push' and 'fetch' think that no failure."""

_FETCHED_IN_VAIN = "Checkout failed for following targets"

_KINDS: tuple[tuple[str, type[StorageError]], ...] = (
    (r"not inside of a DVC|not a git repository|remote '.*' doesn't exist|no remote (specified|provided)", ConfigurationError),
    (r"config file error|missing dependencies|dubious ownership", ConfigurationError),
    (r"corrupt|does not match", ContentCorrupted),
    (r"No space left|Disk quota", InsufficientStorage),
    (r"NoSuchBucket|[Bb]ucket does not exist", BucketNotFound),
    (r"Forbidden|Access ?Denied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|credentials", AccessDenied),
    (r"(Could not|Cannot) connect|ConnectTimeout|[Tt]imed? ?out|EndpointConnection|Name or service", StoreUnavailable),
    (r"without (a )?confirmation|[Uu]nable to acquire lock|index\.lock|partial commit during", PreconditionFailed),
    (r"Missing cache files|No storage files|missing-files|failed to (pull|fetch)", ObjectNotFound),
    (r"does not exist|outside of|symlinked|is ignored by|already tracked|overlap|[Pp]ermission denied", LocalFileError),
)  # fmt: skip


def run_dvc(
    folder: Path, *arguments: str, secrets: Iterable[str] = (), environment: Mapping[str, str] | None = None
) -> str:
    """Run `dvc` in `folder`; what it wrote on stdout.

    Args:
        secrets: what must not stand in a message.
        environment: variables that count before the others.

    Raises:
        ConfigurationError: DVC is not installed here.
        StorageError: it failed; the kind is by what it said, as far as that tells.
    """
    if find_spec("dvc") is None:
        raise ConfigurationError(MISSING_EXTRA)
    # Neither reports what was run, nor looks for a newer version of itself.
    quiet = {"DVC_NO_ANALYTICS": "true", "CI": os.environ.get("CI") or "true"}
    # Stores other than AWS's refuse the checksums that its client sends behind the body, which it does over https.
    checksums = {name: os.environ.get(name) or "when_required" for name in CHECKSUM_VARIABLES}
    done = _run([sys.executable, "-m", "dvc", *arguments], folder, {**quiet, **checksums, **(environment or {})})
    if done.returncode == 0 and _LACKING not in done.stderr:
        return done.stdout.decode("utf-8", "replace")
    raise _failure(f"dvc {arguments[0]}", done, folder, secrets)


GIT_ENVIRONMENT = {
    "GIT_LITERAL_PATHSPECS": "1",  # a path means itself and is no pattern
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C.UTF-8",
}


def run_git(
    folder: Path,
    *arguments: str,
    given: bytes | None = None,
    may_fail: bool = False,
    environment: Mapping[str, str] | None = None,
) -> bytes | None:
    """Run `git` in `folder`; what it wrote on stdout, or None where it failed and may.

    Args:
        given: what it reads on stdin.
        environment: variables that count before the others.

    Raises:
        ConfigurationError: git is not installed here.
        StorageError: it failed.
    """
    done = _run(["git", *arguments], folder, {**GIT_ENVIRONMENT, **(environment or {})}, given)
    if done.returncode == 0:
        return done.stdout
    if may_fail:
        return None
    raise _failure(f"git {arguments[0]}", done, folder, ())


def clean_environment(added: Mapping[str, str]) -> dict[str, str]:
    """This process's variables with those `added`, and without those that point at another repository."""
    kept = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_REPOSITORY}
    return {**kept, **added}


def missing_git() -> ConfigurationError:
    """The sentence where there is no `git`."""
    return ConfigurationError(
        "this needs git, which is not installed here or not on PATH; install it (apt install git)"
    )


def _run(
    command: list[str], folder: Path, environment: Mapping[str, str], given: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=clean_environment(environment),
            stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        if not folder.is_dir() or not isinstance(error, FileNotFoundError):
            raise local_error(error, printable_path(folder), "work in") from error
        raise missing_git() from error
    with process:
        try:
            stdout, stderr = process.communicate(given)
        except BaseException:
            # It takes its locks and its temporary files away by itself.
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
            try:
                process.wait(_PATIENCE)
            except BaseException:
                process.kill()
                raise
            raise
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def _failure(what: str, done: subprocess.CompletedProcess[bytes], folder: Path, secrets: Iterable[str]) -> StorageError:
    told = (done.stderr or done.stdout).decode("utf-8", "replace")
    if _FETCHED_IN_VAIN in told and _LACKING not in done.stderr:
        # It verifies what it fetches, and throws away what is corrupt without a word.
        told = "ERROR: what the remote has is corrupt, and was thrown away; push it again from where it is whole"
    said = _essence(told)
    for secret in secrets:
        said = said.replace(secret, "**********")
    if done.returncode < 0:
        said = f"it was ended by signal {-done.returncode}; {said}".rstrip("; ")
    no_paths = re.sub(r"\S*/\S*", "", said)  # whose names may say anything
    kind = next((kind for pattern, kind in _KINDS if re.search(pattern, no_paths)), StorageError)
    return kind(f"'{what}' failed in {printable_path(folder)!r}: {said or 'it did not say why'}")


def _essence(stderr: str) -> str:
    """The complaint in what a program said, on one line."""
    lines = [line.strip() for line in stderr.replace("\r", "\n").splitlines()]
    starts = [
        number
        for number, line in enumerate(lines)
        if line.startswith((_LACKING.decode(), "ERROR:", "fatal:", "error:"))
    ]
    if starts:
        lines = lines[starts[0] :]
    lines = [
        re.sub(r"^(WARNING|ERROR|fatal|error): ", "", line)
        for line in lines
        if line and "Having any troubles" not in line
    ]
    text = " ".join(" ".join(lines).split())
    return text if len(text) <= _LONGEST_SAID else text[:_LONGEST_SAID] + "…"
