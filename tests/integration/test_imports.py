"""Nothing happens at import, nothing heavy is imported early, and the generic names of the packages do no harm."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from stub_store import Reply, Request, StubStore

ROOT = Path(__file__).parents[2]
LAYERS = ("domain", "application", "infrastructure", "presentation", "config")


def modules() -> Iterator[str]:
    for layer in LAYERS:
        for path in sorted((ROOT / layer).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            if not name.startswith("infrastructure.storage.contract"):
                yield name


def python(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Python with an almost empty environment."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={"PATH": os.defpath, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


IMPORT_ALL = """
import importlib, os, sys
done = []
def audit(event, arguments):
    if event == "socket.bind" and arguments[1] == ("::1", 0):
        return  # urllib3 asks whether this machine has IPv6; nothing is sent
    if event.startswith("socket.") and event not in ("socket.__new__",):
        done.append((event, arguments))
    if event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.putenv", "subprocess.Popen", "os.fork", "os.chdir"):
        done.append((event, arguments))
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        done.append((event, arguments))
import platform, ctypes  # of the standard library; some platforms run a program there
sys.addaudithook(audit)
before = dict(os.environ), os.getcwd(), os.listdir(".")
for name in sys.argv[1:]:
    importlib.import_module(name)
    assert not done, (name, done)
assert (dict(os.environ), os.getcwd(), os.listdir(".")) == before
"""


def test_every_module_imports_with_an_empty_environment_and_does_nothing(tmp_path: Path) -> None:
    names = list(modules())
    assert len(names) > 30
    done = python("-B", "-c", IMPORT_ALL, *names, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("module", ["domain.storage", "application.transfers"])
def test_the_inner_layers_need_the_standard_library_only(tmp_path: Path, module: str) -> None:
    script = (
        f"import sys; before = set(sys.modules); import {module}\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    done = python("-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout.replace("'", '"'))) <= {"domain", "application"}


def test_the_command_line_imports_nothing_heavy(tmp_path: Path) -> None:
    heavy = [
        "boto3",
        "botocore",
        "pycurl",
        "mlflow",
        "dvc",
        "fastapi",
        "pydantic",
        "dependency_injector",
        "rich.table",
    ]
    script = f"import sys, presentation.cli.app; print([name for name in {heavy} if name in sys.modules])"
    done = python("-c", script, cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


COPY = """
import sys
from infrastructure.storage.providers import S3Provider
settings = {"endpoint_url": sys.argv[1], "access_key_id": "AKIA", "secret_access_key": "secret", "max_attempts": 1}
store = S3Provider({"bucket_name": "here", **settings})
print(store.copy("k", "l").key, store.copy_from(S3Provider({"bucket_name": "there", **settings}), "k", "m").key)
print([name for name in ("boto3", "botocore", "tenacity") if name in sys.modules])
"""


def answer_to_a_copy(request: Request) -> Reply:
    known = {"etag": '"e"', "last-modified": "Wed, 21 Oct 2015 07:28:00 GMT", "x-amz-meta-sha256": "0" * 64}
    if request.method == "HEAD":
        return Reply(200, b"", known)
    assert "x-amz-copy-source" in request.headers
    return Reply(200, b"<CopyObjectResult><ETag>e</ETag></CopyObjectResult>")


def test_a_copy_does_without_boto3(tmp_path: Path) -> None:
    with StubStore(answer_to_a_copy) as store:
        done = python("-c", COPY, store.url, cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("l m\n[]\n", 0), done.stderr
    assert len([request for request in store.requests if request.method == "PUT"]) == 2


def test_a_provider_of_the_library_does_not_import_config_or_the_command_line(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from infrastructure.storage.providers import LocalProvider\n"
        "from infrastructure.storage.storage_factory import StorageProviderFactory\n"
        "StorageProviderFactory.create({'provider_type': 'local', 'base_path': 'x'})\n"
        "print([name for name in ('config', 'presentation', 'application', 'typer', 'rich') if name in sys.modules])"
    )
    done = python("-c", script, cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
    assert os.listdir(tmp_path) == []


def test_the_layers_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


@pytest.mark.parametrize("as_package", [True, False])
def test_another_domain_first_on_the_path_is_one_clear_sentence(tmp_path: Path, as_package: bool) -> None:
    other = tmp_path / "domain" / "__init__.py" if as_package else tmp_path / "domain.py"
    other.parent.mkdir(exist_ok=True)
    other.write_text("class Invoice: ...\n")
    done = python("-c", "import infrastructure.storage.providers", cwd=tmp_path)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: the package 'domain'")
    assert str(other) in last
    assert done.returncode == 1


def test_a_domain_folder_without_an_init_does_no_harm_or_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "domain").mkdir()
    (tmp_path / "domain" / "invoice.py").write_text("")
    done = python("-c", "import infrastructure.storage.providers", cwd=tmp_path)
    # Installed as usual, Lading's own is found: a folder without __init__ comes after every package. Installed from a
    # checkout it may come before.
    last = done.stderr.strip().splitlines()[-1:]
    assert done.returncode == 0 or (
        last[0].startswith("ImportError: the package 'domain'") and str(tmp_path) in last[0]
    )


@pytest.mark.parametrize(
    "statement",
    [
        "from infrastructure.storage.providers import LocalProvider as made",
        "from infrastructure.storage.storage_factory import StorageProviderFactory as made",
        "from application.transfers import plan_upload as made",
        "from domain.storage import IStorageProvider as made",
    ],
)
def test_a_folder_with_a_config_of_its_own_is_a_good_place(tmp_path: Path, statement: str) -> None:
    (tmp_path / "config.py").write_text("raise RuntimeError('the config of somebody else was imported')\n")
    (tmp_path / "script.py").write_text(f"{statement}\nprint(made.__module__)\n")
    done = python("script.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split(".")[0] in LAYERS


def dependencies(name: str, extra: str = "", seen: set[str] | None = None) -> set[str]:
    """The distributions that `name` needs at run time here, and theirs."""
    seen = set() if seen is None else seen
    for line in importlib.metadata.requires(name) or []:
        needed = Requirement(line)
        if needed.marker and not any(needed.marker.evaluate({"extra": one}) for one in ("", extra)):
            continue
        canonical = canonicalize_name(needed.name)
        if canonical not in seen:
            seen.add(canonical)
            dependencies(canonical, " ".join(needed.extras), seen)
    return seen


def test_no_dependency_ships_one_of_our_names() -> None:
    names = dependencies("lading")
    assert {"typer", "rich", "pydantic", "platformdirs", "dependency-injector"} <= names
    for name in names:
        files = importlib.metadata.files(name) or []
        tops = {file.parts[0].removesuffix(".py") for file in files}
        assert not tops & set(LAYERS), name
