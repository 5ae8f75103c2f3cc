"""The trash of a local folder: renames within it, through no link, and back."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from application.local_tree import scan, state_of
from application.trash import Trash, UndoReport, empty, records, restore, trash_of_folder, undo
from domain.errors import ContentCorrupted, LocalFileError, ObjectNotFound, PreconditionFailed, StorageError
from domain.trash import Trashed

Outcomes = dict[str, type[StorageError] | None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    for name, content in {"a": "1", "d/e/f": "22", "d/g": "333", "keep": "k"}.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(content)
    return made


def planned(folder: Path, *names: str, replaced: bool = False) -> list[Trashed]:
    stats = {name: (folder / name).stat() for name in names}
    return [Trashed(name, status.st_size, state_of(status), replaced) for name, status in stats.items()]


def put(trash: Trash, entries: list[Trashed]) -> tuple[str, Outcomes]:
    batch = trash.open("sync", entries)
    return batch.id, {entry.name: type(error) if error else None for entry, error in batch.put(entries)}


def tree(folder: Path) -> dict[str, str]:
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {
        name: path.read_text() if path.is_file() else ""
        for name, path in found.items()
        if not name.startswith(".lading")
    }


def kept(folder: Path, trash_id: str) -> Path:
    return folder / ".lading" / "trash" / trash_id / "objects"


def told(report: UndoReport) -> tuple[int, int, list[str], list[str], bool]:
    assert report.stopped_by is None
    conflicts, failures = ([entry.name for entry, _ in found] for found in (report.conflicts, report.failures))
    return report.restored, report.unchanged, conflicts, failures, report.finished


def test_deleted_files_move_and_come_back_with_mode_and_time(folder: Path) -> None:
    os.chmod(folder / "d/e/f", 0o640)
    os.utime(folder / "d/e/f", ns=(10**18, 10**18 + 7))
    inode = (folder / "d/e/f").stat().st_ino
    before = tree(folder)
    trash = trash_of_folder(str(folder))
    trash_id, outcomes = put(trash, planned(folder, "a", "d/e/f", "d/g"))
    assert outcomes == {"a": None, "d/e/f": None, "d/g": None}
    assert tree(folder) == {"keep": "k"}  # and no empty folder
    assert {name: text for name, text in tree(kept(folder, trash_id)).items() if text} == {
        "a": "1",
        "d/e/f": "22",
        "d/g": "333",
    }
    assert (kept(folder, trash_id) / "d/e/f").stat().st_ino == inode
    assert stat.S_IMODE((folder / ".lading/trash").stat().st_mode) == 0o700
    assert len(list(scan(str(folder)))) == 1
    assert told(undo(trash)) == (3, 0, [], [], True)
    assert tree(folder) == before
    status = (folder / "d/e/f").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns, status.st_ino) == (0o640, 10**18 + 7, inode)
    assert list((folder / ".lading").rglob("*")) in ([], [folder / ".lading/trash"])


def test_record_beside_it(folder: Path) -> None:
    trash = trash_of_folder(str(folder))
    entries = planned(folder, "a") + planned(folder, "d/g", replaced=True)
    trash_id, _ = put(trash, entries)
    record = json.loads((kept(folder, trash_id).parent / "record.json").read_text())
    assert [(one["name"], one["kind"]) for one in record["entries"]] == [("a", "deleted"), ("d/g", "replaced")]
    ((found, read),) = records(trash)
    assert not isinstance(read, StorageError)
    assert (found, list(read.entries), trash.held(trash_id)) == (trash_id, entries, (2, 4))


@pytest.mark.parametrize("hard_links", [True, False])
def test_replaced_files_stay_and_their_content_comes_back_and_goes_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, hard_links: bool
) -> None:
    if not hard_links:

        def refused(*given: object, **options: object) -> None:
            raise OSError(errno.EPERM, "no")

        monkeypatch.setattr(os, "link", refused)
    os.chmod(folder / "d/g", 0o600)
    trash = trash_of_folder(str(folder))
    trash_id, outcomes = put(trash, planned(folder, "d/g", replaced=True))
    assert outcomes == {"d/g": None}
    assert (folder / "d/g").read_text() == "333"
    copy = kept(folder, trash_id) / "d/g"
    assert copy.samefile(folder / "d/g") == hard_links
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert copy.stat().st_mtime_ns == (folder / "d/g").stat().st_mtime_ns
    (folder / "new").write_text("new")
    (folder / "new").rename(folder / "d/g")
    report = undo(trash)
    assert told(report) == (1, 0, [], [], True)
    assert (folder / "d/g").read_text() == "333"
    assert undo(trash).id == report.saved_as
    assert (folder / "d/g").read_text() == "new"


def test_what_changed_since_the_plan_stays(folder: Path) -> None:
    entries = planned(folder, "a", "d/e/f", "d/g")
    (folder / "a").write_text("2")
    (folder / "d/e/f").unlink()
    trash_id, outcomes = put(trash_of_folder(str(folder)), entries)
    assert outcomes == {"a": PreconditionFailed, "d/e/f": PreconditionFailed, "d/g": None}
    assert (folder / "a").read_text() == "2"
    assert not (kept(folder, trash_id) / "a").exists()


def test_conflicts_stay_until_forced(folder: Path) -> None:
    trash = trash_of_folder(str(folder))
    trash_id, _ = put(trash, planned(folder, "a", "d/g", "keep"))
    (folder / "a").write_text("other")
    (folder / "keep").write_text("k")
    assert told(undo(trash)) == (1, 1, ["a"], [], False)
    assert told(undo(trash)) == (0, 2, ["a"], [], False)
    assert ((folder / "a").read_text(), (folder / "d/g").read_text()) == ("other", "333")
    report = undo(trash, trash_id, force=True)
    assert told(report) == (1, 2, [], [], True)
    assert (folder / "a").read_text() == "1"
    undo(trash)
    assert (folder / "a").read_text() == "other"


def test_a_folder_or_a_link_in_the_place_is_left_alone_even_when_forced(folder: Path) -> None:
    trash = trash_of_folder(str(folder))
    put(trash, planned(folder, "a", "d/g", "d/e/f"))
    (folder / "a").mkdir()
    (folder / "outside").write_text("o")
    (folder / "d").mkdir(exist_ok=True)
    (folder / "d/g").symlink_to(folder / "outside")
    (folder / "d/e").write_text("no folder")
    assert told(undo(trash)) == (0, 0, ["a", "d/g"], ["d/e/f"], False)
    assert told(undo(trash, force=True)) == (0, 0, [], ["d/e/f", "a", "d/g"], False)
    assert (folder / "outside").read_text() == "o"
    (folder / "a").rmdir()
    (folder / "d/g").unlink()
    (folder / "d/e").unlink()
    assert told(undo(trash, next(trash.ids()))) == (3, 0, [], [], True)


def test_a_link_moves_itself_and_what_it_points_at_stays(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("t")
    (folder / "link").symlink_to("../target")
    trash = trash_of_folder(str(folder))
    _, outcomes = put(trash, planned(folder, "link"))
    assert outcomes == {"link": None}
    assert (tmp_path / "target").read_text() == "t"
    assert not os.path.lexists(folder / "link")
    assert told(undo(trash)) == (1, 0, [], [], True)
    assert os.readlink(folder / "link") == "../target"


def test_what_a_link_points_at_is_kept_when_it_is_replaced(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (folder / "link").symlink_to("../target")
    trash = trash_of_folder(str(folder))
    put(trash, planned(folder, "link", replaced=True))
    assert told(undo(trash)) == (0, 1, [], [], True)
    put(trash, planned(folder, "link", replaced=True))
    (tmp_path / "target").write_text("new")
    assert told(undo(trash)) == (1, 0, [], [], True)
    assert (folder / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "old"
    undo(trash)
    assert (tmp_path / "target").read_text() == "new"


def test_nothing_goes_through_a_linked_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x").write_text("x")
    (folder / "way").symlink_to(tmp_path / "elsewhere")
    trash = trash_of_folder(str(folder))
    _, outcomes = put(trash, [*planned(folder, "way/x"), *planned(folder, "d/g")])
    assert outcomes == {"way/x": LocalFileError, "d/g": None}
    assert (tmp_path / "elsewhere" / "x").read_text() == "x"
    # A folder that became a link since.
    (folder / "d").rename(folder / "moved")
    (folder / "d").symlink_to(tmp_path / "elsewhere")
    assert told(undo(trash))[3] == ["way/x", "d/g"]
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["x"]


@pytest.mark.parametrize("linked", [".lading", ".lading/trash"])
def test_a_trash_that_is_a_link_is_refused(folder: Path, tmp_path: Path, linked: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (folder / linked).parent.mkdir(exist_ok=True)
    (folder / linked).symlink_to(tmp_path / "elsewhere")
    trash = trash_of_folder(str(folder))
    with pytest.raises(LocalFileError, match="symbolic link"):
        trash.open("why", planned(folder, "a"))
    with pytest.raises(LocalFileError, match="symbolic link"):
        list(trash.ids())
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_on_another_file_system_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.rename

    def rename(source: Any, target: Any, **options: Any) -> None:
        if source == "g":
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        real(source, target, **options)

    monkeypatch.setattr(os, "rename", rename)
    trash = trash_of_folder(str(folder))
    _, outcomes = put(trash, planned(folder, "a", "d/g"))
    assert outcomes == {"a": None, "d/g": LocalFileError}
    assert (folder / "d/g").read_text() == "333"
    assert told(undo(trash)) == (1, 1, [], [], True)


HOSTILE = ("../x", "/etc/passwd", "a/../../x", "", "a//b", "./a", ".lading/trash/y", ".LADING/x", "a\0b", "..")


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_are_not_below_the_folder_are_refused(folder: Path, tmp_path: Path, name: str) -> None:
    trash = trash_of_folder(str(folder))
    with pytest.raises(LocalFileError):
        trash.open("why", [Trashed(name, 1, "")])
    assert not (folder / ".lading").exists()
    trash_id, _ = put(trash, planned(folder, "a"))
    good, _ = put(trash, planned(folder, "keep"))
    path = kept(folder, trash_id).parent / "record.json"
    record = json.loads(path.read_text())
    record["entries"][0]["name"] = name
    path.write_text(json.dumps(record))
    (tmp_path / "x").write_text("x")
    with pytest.raises(ContentCorrupted, match=trash_id):
        undo(trash, trash_id)
    assert (tmp_path / "x").read_text() == "x"
    assert (kept(folder, trash_id) / "a").read_text() == "1"
    found = dict(records(trash))
    assert isinstance(found[trash_id], ContentCorrupted)
    assert not isinstance(found[good], StorageError)


def test_restore_and_empty(folder: Path) -> None:
    trash = trash_of_folder(str(folder))
    trash_id, _ = put(trash, planned(folder, "a", "d/e/f", "d/g"))
    assert told(restore(trash, trash_id, ["d/"])) == (2, 0, [], [], False)
    assert tree(folder).keys() == {"d", "d/e", "d/e/f", "d/g", "keep"}
    with pytest.raises(ObjectNotFound):
        restore(trash, trash_id, ["nothing"])
    (kept(folder, trash_id) / "way-out").symlink_to(folder)
    assert trash.held(trash_id)[0] == 2
    empty(trash, [trash_id])
    assert tree(folder).keys() == {"d", "d/e", "d/e/f", "d/g", "keep"}
    assert list((folder / ".lading").rglob("*")) in ([], [folder / ".lading/trash"])


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    trash = trash_of_folder(str(tmp_path / "none"))
    with pytest.raises(LocalFileError, match="no such file or folder"):
        undo(trash)
    (tmp_path / "none").mkdir()
    with pytest.raises(ObjectNotFound, match="nothing to undo"):
        undo(trash)
