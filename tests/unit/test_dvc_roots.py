"""What a repository refers to in a DVC store: nothing that any of its versions names may be left out."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from domain.errors import ConfigurationError, StorageError
from infrastructure.dvc.roots import referenced_objects

Git = Callable[..., str]


@pytest.fixture(autouse=True)
def nobodys_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CEILING_DIRECTORIES": str(tmp_path),
        **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "n"),
        **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "e@example.org"),
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    return folder


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def md5(number: int) -> str:
    return f"{number:032x}"


def write(folder: Path, name: str, *addresses: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    outs = "".join(f"- md5: {address}\n  hash: md5\n  path: x\n" for address in addresses)
    (folder / name).write_text(f"outs:\n{outs}")


def commit(folder: Path, name: str, *addresses: str) -> str:
    write(folder, name, *addresses)
    git(folder, "add", "--", name)
    git(folder, "commit", "--quiet", "-m", "m", "--", name)
    return git(folder, "rev-parse", "HEAD")


def found(repository: Path) -> set[str]:
    return {reference.address for reference in referenced_objects(repository)}


def test_every_ref_and_all_that_is_not_committed_yet(repository: Path, tmp_path: Path) -> None:
    commit(repository, "a.dvc", md5(1))
    commit(repository, "a.dvc", md5(2))  # 1 is behind it in history
    git(repository, "checkout", "--quiet", "-b", "side")
    commit(repository, "deep/e r/ü#\n.dvc", f"{md5(3)}.dir")
    git(repository, "checkout", "--quiet", "--detach")
    commit(repository, "a.dvc", md5(4))
    git(repository, "tag", "-a", "v1", "-m", "tagged")
    git(repository, "checkout", "--quiet", "main")
    git(repository, "update-ref", "refs/remotes/origin/theirs", "v1^{commit}")
    write(repository, "a.dvc", md5(5))
    git(repository, "stash", "--quiet")
    write(repository, "a.dvc", md5(6))
    git(repository, "stash", "--quiet")  # 5 is in the log of the stash alone
    commit(repository, "b.dvc", md5(9))
    git(repository, "reset", "--quiet", "--hard", "HEAD~1")  # 9 is in the log of HEAD alone
    write(repository, "sub/new.dvc", md5(8))
    git(repository, "worktree", "add", "--quiet", "--detach", str(tmp_path / "second"))
    write(tmp_path / "second", "c.dvc", md5(10))
    git(tmp_path / "second", "add", "c.dvc")
    commit(tmp_path / "second", "d.dvc", md5(11))
    expected = {md5(number) for number in (1, 2, 4, 5, 6, 8, 9, 10, 11)} | {f"{md5(3)}.dir"}
    assert found(repository) == found(repository / "sub") == found(tmp_path / "second") == expected


def test_what_is_staged_alone(repository: Path) -> None:
    write(repository, "staged.dvc", md5(7))
    git(repository, "add", "staged.dvc")
    (repository / "staged.dvc").unlink()
    assert found(repository) == {md5(7)}


def test_a_merge_that_is_like_none_of_its_parents(repository: Path) -> None:
    commit(repository, "a.dvc", md5(1))
    git(repository, "checkout", "--quiet", "-b", "side")
    commit(repository, "a.dvc", md5(2))
    git(repository, "checkout", "--quiet", "main")
    commit(repository, "a.dvc", md5(3))
    subprocess.run(["git", "merge", "--quiet", "side"], cwd=repository, check=False, capture_output=True)
    write(repository, "a.dvc", md5(4))
    git(repository, "commit", "--quiet", "-am", "resolved")
    git(repository, "branch", "--quiet", "-D", "side")
    assert found(repository) == {md5(number) for number in (1, 2, 3, 4)}


def test_the_same_bytes_under_another_name_first(repository: Path) -> None:
    commit(repository, "notes.txt", md5(1))
    git(repository, "mv", "notes.txt", "a.dvc")
    git(repository, "commit", "--quiet", "-m", "m")
    git(repository, "rm", "--quiet", "a.dvc")
    git(repository, "commit", "--quiet", "-m", "m")
    assert found(repository) == {md5(1)}


LOCK = """schema: '2.0'
stages:
  train:
    cmd: python train.py
    deps:
    - path: data
      hash: md5
      md5: 00000000000000000000000000000001.dir
      size: 1
    outs:
    - path: model
      hash: md5
      md5: '00000000000000000000000000000002'
    - path: cloud
      hash: md5
      files:
      - relpath: a
        md5: 0000000000000000000000000000000A
        size: 1
"""


def test_a_lock_file_and_lists_of_files(repository: Path) -> None:
    (repository / "sub").mkdir()
    (repository / "sub" / "dvc.lock").write_text(LOCK)
    (repository / "poetry.lock").write_text(f"md5: {md5(12)}\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "m")
    expected = {f"{md5(1)}.dir", md5(2), md5(10)}
    assert found(repository) == expected
    git(repository, "rm", "--quiet", "sub/dvc.lock")
    git(repository, "commit", "--quiet", "-m", "m")
    assert found(repository) == expected
    assert next(iter(referenced_objects(repository))).where.endswith(":sub/dvc.lock")


def test_a_file_that_is_no_yaml_still_names_what_it_names(repository: Path) -> None:
    text = f"<<<<<<< ours\n- md5: {md5(1)}\n=======\n- md5: {md5(2)}.dir\n>>>>>>> theirs\n\xff"
    (repository / "a.dvc").write_bytes(text.encode("latin-1"))
    assert found(repository) == {md5(1), f"{md5(2)}.dir"}


def test_neither_the_cache_of_dvc_nor_a_folder_of_such_a_name_is_a_file(repository: Path) -> None:
    write(repository, ".dvc/cache/x.dvc", md5(1))
    write(repository, "folder.dvc/y.dvc", md5(2))
    assert found(repository) == {md5(2)}


def test_a_repository_without_work_tree_and_one_without_commits(repository: Path, tmp_path: Path) -> None:
    assert found(repository) == set()
    commit(repository, "a.dvc", md5(1))
    git(tmp_path, "clone", "--quiet", "--bare", str(repository), "bare.git")
    assert found(tmp_path / "bare.git") == {md5(1)}


def test_a_history_with_grafts_and_replacements_is_read_as_it_is(repository: Path) -> None:
    first = commit(repository, "a.dvc", md5(1))
    second = commit(repository, "a.dvc", md5(2))
    third = commit(repository, "a.dvc", md5(3))
    git(repository, "replace", "--graft", third)
    git(repository, "replace", second, first)
    assert found(repository) == {md5(1), md5(2), md5(3)}


def test_the_settings_and_variables_of_a_user_hide_nothing(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(repository, "a.dvc", md5(1))
    commit(repository, "b.dvc", md5(2))
    for setting in (
        "log.showRoot=false",
        "diff.noprefix=true",
        "log.follow=true",
        "diff.renames=copies",
        "log.showSignature=true",
    ):
        git(repository, "config", *setting.split("="))
    git(tmp_path, "init", "--quiet", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "nothing"))
    assert found(repository) == {md5(1), md5(2)}


def test_a_shallow_clone_is_refused(repository: Path, tmp_path: Path) -> None:
    commit(repository, "a.dvc", md5(1))
    commit(repository, "a.dvc", md5(2))
    git(tmp_path, "clone", "--quiet", "--depth=1", repository.as_uri(), "clone")
    with pytest.raises(StorageError, match="git fetch --unshallow"):
        found(tmp_path / "clone")


def test_a_work_tree_that_is_away_is_refused_unless_it_is_gone_for_good(repository: Path, tmp_path: Path) -> None:
    commit(repository, "a.dvc", md5(1))
    git(repository, "worktree", "add", "--quiet", str(tmp_path / "disk"))
    git(repository, "worktree", "lock", str(tmp_path / "disk"))
    (tmp_path / "disk").rename(tmp_path / "unplugged")
    with pytest.raises(StorageError, match="'git worktree prune'"):
        found(repository)
    git(repository, "worktree", "unlock", str(tmp_path / "disk"))
    assert found(repository) == {md5(1)}


def test_what_is_missing_is_refused(repository: Path) -> None:
    commit(repository, "a.dvc", md5(1))
    commit(repository, "a.dvc", md5(2))
    blob = git(repository, "rev-parse", "HEAD~1:a.dvc")
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(StorageError, match="it is missing; run 'git fsck'"):
        found(repository)


def test_a_commit_that_is_missing_is_refused(repository: Path) -> None:
    first = commit(repository, "a.dvc", md5(1))
    commit(repository, "a.dvc", md5(2))
    (repository / ".git" / "objects" / first[:2] / first[2:]).unlink()
    with pytest.raises(StorageError, match="'git rev-list' failed"):
        found(repository)


def test_a_link_to_nothing_is_refused_and_one_in_history_is_not(repository: Path) -> None:
    (repository / "a.dvc").symlink_to("nothing")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "m")
    with pytest.raises(StorageError, match=r"a\.dvc"):
        found(repository)
    (repository / "a.dvc").unlink()
    assert found(repository) == set()


def test_what_is_no_repository_is_told(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nosuch"):
        with pytest.raises(ConfigurationError, match="no git repository"):
            found(folder)
