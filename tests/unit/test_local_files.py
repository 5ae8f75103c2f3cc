"""The local side of a transfer: a source that notices changes, a file that is replaced whole."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from domain.errors import ContentCorrupted, InsufficientStorage, LocalFileError, StoreUnavailable
from domain.local_files import PART_PREFIX, LocalSource, ReplacementFile, sweep_parts


def parts_in(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.startswith(PART_PREFIX)]


def replace(path: Path, data: bytes) -> None:
    with ReplacementFile(path) as file:
        file.write(data)
        file.commit()


# -- ReplacementFile


def test_the_old_file_stays_until_the_commit(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    with ReplacementFile(path) as file:
        file.write(b"new and longer")
        assert path.read_bytes() == b"old"
        file.commit()
        assert path.read_bytes() == b"new and longer"
    assert os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("old", [b"old", None])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, None])
def test_without_a_commit_all_is_as_it_was(
    tmp_path: Path, old: bytes | None, error: type[BaseException] | None
) -> None:
    path = tmp_path / "f"
    if old is not None:
        path.write_bytes(old)
    before = os.listdir(tmp_path)
    try:
        with ReplacementFile(path) as file:
            file.write(b"half")
            if error:
                raise error
    except BaseException as caught:
        assert type(caught) is error
    assert os.listdir(tmp_path) == before
    assert not path.exists() if old is None else path.read_bytes() == old


def test_missing_folders_are_made(tmp_path: Path) -> None:
    replace(tmp_path / "a" / "b" / "f", b"x")
    assert (tmp_path / "a" / "b" / "f").read_bytes() == b"x"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o444])
def test_the_mode_of_the_old_file_is_kept(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    path.chmod(mode)
    replace(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    replace(tmp_path / "f", b"new")
    assert (tmp_path / "f").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_link_stays_a_link_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "target"
    target.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(target)
    replace(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_what_is_no_regular_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_bytes(b"")
    before = sorted(os.listdir(tmp_path))
    for name in ("folder", "pipe", "loop", "file/below", "folder/", "no\0name", "n" * 256):
        with pytest.raises(LocalFileError):
            ReplacementFile(f"{tmp_path}/{name}")
    assert sorted(os.listdir(tmp_path)) == before


def test_a_folder_that_vanishes_meanwhile_is_a_clear_error(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    with pytest.raises(LocalFileError), ReplacementFile(folder / "f") as file:
        file.write(b"x")
        shutil.rmtree(folder)
        file.commit()


def test_the_part_of_a_killed_process_with_the_same_pid_is_no_obstacle(tmp_path: Path) -> None:
    """In a container every run may have the same process number, and starts to count anew."""
    script = (
        "import os, sys\n"
        "from domain.local_files import PART_PREFIX, ReplacementFile\n"
        "for serial in range(3):\n"
        "    open(os.path.join(sys.argv[1], f'{PART_PREFIX}{os.getpid():x}-{serial:x}'), 'w').close()\n"
        "with ReplacementFile(os.path.join(sys.argv[1], 'f')) as file:\n"
        "    file.write(b'new')\n"
        "    file.commit()\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "f").read_bytes() == b"new"


# -- parts that a later process takes up

HALF = bytes(9 << 20)


def leave_a_part(path: Path, error: BaseException, *, keep: bool = True, identity: str = "object") -> list[str]:
    with pytest.raises(type(error)), ReplacementFile(path, identity=identity) as file:
        assert file.resumable
        file.write(HALF)
        file.keep = keep
        raise error
    return parts_in(path.parent)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), StoreUnavailable("away")])
def test_a_part_that_is_to_be_kept_is_taken_up_by_the_next(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "f"
    (name,) = leave_a_part(path, error)
    with ReplacementFile(path, identity="object") as file:
        assert file.part == str(tmp_path / name)
        assert os.fstat(file.fileno()).st_size == len(HALF)
        file.write_at(0, [b"n", b"", b"ew"])
        file.commit()
    assert path.read_bytes() == b"new" + HALF[3:]
    assert os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("taken", [0, 1, 5, 8, 9])
def test_chunks_are_written_also_where_the_system_takes_only_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    def some(fd: int, chunks: list[bytes], offset: int) -> int:
        return os.pwrite(fd, b"".join(chunks)[:taken], offset)

    monkeypatch.setattr(os, "pwritev", some)
    with ReplacementFile(tmp_path / "f") as file:
        file.write_at(3, [b"first", b"second", b"", b"last"])
        file.write_at(0, [b"new"])
        file.write_at(0, [])
        file.commit()
    assert (tmp_path / "f").read_bytes() == b"newfirstsecondlast"


@pytest.mark.parametrize("error", [ContentCorrupted("other bytes"), InsufficientStorage("full"), ValueError()])
def test_an_error_that_does_not_pass_leaves_no_part(tmp_path: Path, error: BaseException) -> None:
    assert leave_a_part(tmp_path / "f", error) == []


def test_what_is_not_to_be_kept_is_not(tmp_path: Path) -> None:
    assert leave_a_part(tmp_path / "f", KeyboardInterrupt(), keep=False) == []


def test_a_part_is_taken_up_for_the_same_file_and_the_same_content_only(tmp_path: Path) -> None:
    (name,) = leave_a_part(tmp_path / "f", KeyboardInterrupt())
    for path, identity in ((tmp_path / "f", "other"), (tmp_path / "g", "object"), (tmp_path / "f", "")):
        with ReplacementFile(path, identity=identity) as file:
            assert os.path.basename(file.part) != name
            assert os.fstat(file.fileno()).st_size == 0
    assert parts_in(tmp_path) == [name]


def test_a_part_can_be_begun_anew(tmp_path: Path) -> None:
    leave_a_part(tmp_path / "f", KeyboardInterrupt())
    with ReplacementFile(tmp_path / "f", identity="object") as file:
        file.write(b"something")
        file.start_over()
        file.write(b"new")
        file.sync()
        file.commit()
    assert (tmp_path / "f").read_bytes() == b"new"


def test_of_two_that_write_one_file_at_once_each_has_a_part_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with ReplacementFile(path, identity="object") as first, ReplacementFile(path, identity="object") as second:
        assert first.resumable and not second.resumable
        assert first.part != second.part
        first.write(b"first")
        second.write(b"second")
        second.commit()
        assert path.read_bytes() == b"second"
        first.commit()
    assert path.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("trap", ["a link", "a second name", "a folder", "a pipe"])
def test_what_somebody_put_under_the_name_of_a_part_is_not_written(tmp_path: Path, trap: str) -> None:
    (name,) = leave_a_part(tmp_path / "f", KeyboardInterrupt())
    part, victim = tmp_path / name, tmp_path / "victim"
    part.unlink()
    victim.write_bytes(b"precious")
    if trap == "a link":
        part.symlink_to(victim)
    elif trap == "a second name":
        part.hardlink_to(victim)
    elif trap == "a folder":
        part.mkdir()
    else:
        os.mkfifo(part)
    with ReplacementFile(tmp_path / "f", identity="object") as file:
        assert not file.resumable
        file.write(b"new")
        file.commit()
    assert (tmp_path / "f").read_bytes() == b"new"
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("mode", [0o600, 0o444, 0o640])
def test_the_mode_of_the_old_file_is_kept_over_a_part_that_is_taken_up(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    path.chmod(mode)
    (name,) = leave_a_part(path, KeyboardInterrupt())
    left = stat.S_IMODE((tmp_path / name).stat().st_mode)
    assert left & 0o600 == 0o600, "or the next process can't open it"
    assert left & ~0o600 == mode & ~0o600
    with ReplacementFile(path, identity="object") as file:
        assert file.resumable
        file.commit()
    assert stat.S_IMODE(path.stat().st_mode) == mode


# -- sweep_parts


def test_a_part_that_can_be_taken_up_is_swept_after_seven_days_or_when_it_is_small(tmp_path: Path) -> None:
    day = 24 * 3600
    (name,) = leave_a_part(tmp_path / "f", KeyboardInterrupt())
    for age in (3600, 6 * day):
        os.utime(tmp_path / name, (time.time() - age,) * 2)
        sweep_parts(str(tmp_path))
        assert parts_in(tmp_path) == [name]
    with ReplacementFile(tmp_path / "f", identity="object"):
        os.utime(tmp_path / name, (time.time() - 8 * day,) * 2)
        sweep_parts(str(tmp_path))
        assert parts_in(tmp_path) == [name], "it is being written"
    assert parts_in(tmp_path) == []
    (name,) = leave_a_part(tmp_path / "f", KeyboardInterrupt())
    os.utime(tmp_path / name, (time.time() - 8 * day,) * 2)
    sweep_parts(str(tmp_path))
    assert parts_in(tmp_path) == []
    (name,) = leave_a_part(tmp_path / "f", KeyboardInterrupt())
    os.truncate(tmp_path / name, 8 << 20)
    sweep_parts(str(tmp_path))
    assert parts_in(tmp_path) == []


def test_only_the_old_parts_that_nobody_writes_are_swept(tmp_path: Path) -> None:
    old = time.time() - 3600
    dead, empty, folder = (tmp_path / f"{PART_PREFIX}{name}" for name in ("dead", "empty", "folder"))
    dead.write_bytes(b"half")
    empty.touch()
    folder.mkdir()
    plain = tmp_path / "plain"
    plain.write_bytes(b"x")
    for path in (dead, folder, plain):
        os.utime(path, (old, old))
    with ReplacementFile(tmp_path / "f") as file:
        (living,) = set(parts_in(tmp_path)) - {dead.name, empty.name, folder.name}
        file.write(b"new")
        os.utime(tmp_path / living, (old, old))
        sweep_parts(str(tmp_path))
        assert set(os.listdir(tmp_path)) == {living, folder.name, "plain"}
        file.commit()
    assert (tmp_path / "f").read_bytes() == b"new"


def test_a_part_that_is_swept_before_it_is_locked_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, swept = fcntl.flock, []

    def late(fd: int, how: int) -> None:
        if not swept:
            swept.extend(parts_in(tmp_path))
            monkeypatch.setattr(fcntl, "flock", lock)
            sweep_parts(str(tmp_path))
            assert parts_in(tmp_path) == []
        lock(fd, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with ReplacementFile(tmp_path / "f") as file:
        file.write(b"new")
        assert len(swept) == 1 and swept != parts_in(tmp_path)
        file.commit()
    assert (tmp_path / "f").read_bytes() == b"new"


def test_a_part_is_left_to_the_process_that_writes_it_and_swept_after_its_death(tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from domain.local_files import ReplacementFile\n"
        "file = ReplacementFile(sys.argv[1])\n"
        "file.write(b'half')\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "f")], stdout=subprocess.PIPE)
    try:
        assert writer.stdout and writer.stdout.readline() == b"ready\n"
        (part,) = parts_in(tmp_path)
        old = time.time() - 3600
        os.utime(tmp_path / part, (old, old))
        sweep_parts(str(tmp_path))
        assert parts_in(tmp_path) == [part]
    finally:
        writer.kill()
        writer.communicate()
    sweep_parts(str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_not_there_has_nothing_to_sweep(tmp_path: Path) -> None:
    sweep_parts(str(tmp_path / "nonsuch"))
    assert os.listdir(tmp_path) == []


# -- LocalSource


def test_a_file_that_stays_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"0123456789")
    with LocalSource(path) as source:
        assert source.size == 10
        assert source.read(4) + source.read(100) + source.read(100) == b"0123456789"
        source.check_unchanged()


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def cut(path: Path) -> None:
    os.truncate(path, 3)


def rewritten(path: Path) -> None:
    time.sleep(0.02)  # the clock of a file system ticks in milliseconds
    path.write_bytes(b"9876543210")


@pytest.mark.parametrize("change", [grown, cut, rewritten])
def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path, change) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"0123456789")
    with LocalSource(path) as source:
        source.read(4)
        change(path)
        while source.read(4):
            pass
        with pytest.raises(LocalFileError, match="changed while it was read"):
            source.check_unchanged()


def test_a_file_that_was_not_read_to_its_end_is_no_whole_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")
    with LocalSource(tmp_path / "f") as source:
        source.read(4)
        with pytest.raises(LocalFileError):
            source.check_unchanged()


@pytest.mark.parametrize("name", ["folder", "pipe", "loop", "missing", "file/below", "no\0name"])
def test_what_can_not_be_read_is_refused_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LocalFileError):
        LocalSource(f"{tmp_path}/{name}")


def test_a_name_that_is_not_utf_8_can_be_shown(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff"
    with pytest.raises(LocalFileError) as caught:
        LocalSource(os.fsdecode(path))
    assert "xff" in caught.value.message.encode().decode()
