"""What the real `dvc add` writes, byte for byte: the `.dvc` files of odd names, and the address of a folder."""

import os
import subprocess
import sys

from infrastructure.dvc.addresses import address_of
from infrastructure.dvc.dvc_file import dvc_file_bytes, read_dvc_file

NAMES = [
    "plain", "with space", "trailing ", "a#b", "# b", "naïve é", "e\u0301", "😀", "qu'o\"te", "'a'", '"a"', "new\nline",
    "tab\there", "back\\slash", "- dash", "-x", "1e5", "12345", "0x1F", "0o7", "1_000", "true", "No", "null", "~", "a: b",
    "a:b", "*star", "&amp", "@at", "`tick", "{a}", "[b]", "a, b", "? q", "! t", "%TAG", "2024-01-01", "=", "<<", "...",
    "x" * 200, "many words " * 20, "é" * 60 + " word" * 20, "\u2028x", "\x7fdel", "\ufeffbom",
]  # fmt: skip


def test_dvc_files_and_addresses_are_those_of_dvc(tmp_path):
    (tmp_path / "home").mkdir()
    env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(tmp_path / "home"), "LANG": "C.UTF-8"}
    env |= {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(tmp_path / "site"), "CI": "1"}
    workspace = tmp_path / "workspace"
    folder = workspace / "all of them"
    folder.mkdir(parents=True)
    for number, name in enumerate(NAMES):
        (workspace / name).write_text(str(number))
        (folder / name).write_text(str(number))
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "x").write_bytes(b"")
    (folder / "deep-er").write_bytes(b"sorted by its sign, not by its folder")
    (workspace / "program").write_text("#!/bin/sh\n")
    (workspace / "program").chmod(0o755)
    everything = [f"./{name}" for name in [*NAMES, folder.name, "program"]]
    for command in (["init", "--no-scm"], ["add", "--", *everything]):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=workspace, env=env, check=True, capture_output=True)
    for name in everything:
        written = (workspace / f"{name}.dvc").read_bytes()
        said = read_dvc_file(workspace / f"{name}.dvc")
        assert (said.path, dvc_file_bytes(said)) == (os.path.basename(name), written)
        assert address_of(workspace / name) == said.md5
