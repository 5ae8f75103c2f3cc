"""Plain dvc and git, in a workspace of their own."""

import subprocess
import sys

import pytest

NFD = "e\u0301"
SPECIAL = {
    "empty": b"",
    "with space": b"1",
    "a#b": b"2",
    "100%41": b"3",
    "new\nline": b"4",
    "qu'o\"te": b"5",
    "😀/日本/ü": b"6",
    NFD: b"7",
    "é": b"8",
    "- dash": b"9",
    "a.dvc.txt": b"10",
    "same": b"1",
}


@pytest.fixture
def workspace(storage, tmp_path):
    """A folder to work in, with somebody who commits, and a home of its own for dvc."""
    for name in ("AUTHOR", "COMMITTER"):
        storage.env |= {f"GIT_{name}_NAME": "Ada", f"GIT_{name}_EMAIL": "ada@example.org"}
    storage.env |= {"DVC_SITE_CACHE_DIR": str(tmp_path / "site"), "GIT_CEILING_DIRECTORIES": str(tmp_path)}
    storage.env |= {"GIT_CONFIG_NOSYSTEM": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    storage.cwd = tmp_path / "workspace"
    storage.cwd.mkdir()
    return storage.cwd


def plain(storage, folder, *command, **env):
    """Run a program that is not ours; what it said on stdout."""
    program = [sys.executable, "-m", "dvc"] if command[0] == "dvc" else [command[0]]
    done = subprocess.run(
        [*program, *command[1:]], cwd=folder, env=storage.env | {"DVC_NO_ANALYTICS": "1", "CI": "1"} | env,
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout.strip()


def fill(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".lading")
    }
