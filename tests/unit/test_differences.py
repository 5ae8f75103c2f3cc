"""What is different between the files of two versions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from domain.differences import Change, differences_of_files
from domain.manifests import FileEntry

versions = st.dictionaries(st.text("ab/é\U0001f600\uffff", min_size=1, max_size=3), st.integers(0, 4), max_size=12)


def files(contents: dict[str, int]) -> list[FileEntry]:
    return [
        FileEntry(name, f"{number:032x}", f"{number:064x}", number)
        for name, number in sorted(contents.items(), key=lambda item: item[0].encode())
    ]


@given(versions, versions)
def test_the_differences_make_the_one_of_the_other(before: dict[str, int], after: dict[str, int]) -> None:
    found = differences_of_files(files(before), files(after))
    made = dict(before)
    for entry in found.removed:
        del made[entry.name]
    for change in found.renamed:
        del made[change.before.name]
    for change in found.changed:
        assert change.before.name == change.after.name
        assert change.before.size == before[change.before.name] != change.after.size
        made[change.after.name] = change.after.size
    for change in found.renamed:
        assert change.before.md5 == change.after.md5
        assert change.after.name not in before
        made[change.after.name] = change.after.size
    for entry in found.added:
        assert entry.name not in before
        made[entry.name] = entry.size
    assert made == after
    assert found.unchanged == len(before.items() & after.items())


@given(versions, versions)
def test_whatever_can_be_a_rename_is_one(before: dict[str, int], after: dict[str, int]) -> None:
    found = differences_of_files(files(before), files(after))
    gone = Counter(before[name] for name in before.keys() - after.keys())
    new = Counter(after[name] for name in after.keys() - before.keys())
    assert Counter(change.after.size for change in found.renamed) == gone & new
    assert Counter(entry.size for entry in found.removed) == gone - new
    assert Counter(entry.size for entry in found.added) == new - gone


@given(versions, versions)
def test_the_bytes_add_up_and_the_way_back_is_the_mirror(before: dict[str, int], after: dict[str, int]) -> None:
    there, back = differences_of_files(files(before), files(after)), differences_of_files(files(after), files(before))
    assert there.bytes_added - there.bytes_removed == sum(after.values()) - sum(before.values())
    assert (there.bytes_added, there.bytes_removed) == (back.bytes_removed, back.bytes_added)
    assert there.unchanged == back.unchanged


def test_of_several_of_one_content_the_first_is_paired_with_the_first() -> None:
    found = differences_of_files(files({"a": 1, "b": 1, "c": 1}), files({"x": 1, "y": 1, "c": 1}))
    assert [(change.before.name, change.after.name) for change in found.renamed] == [("a", "x"), ("b", "y")]
    assert (found.added, found.removed, found.unchanged) == ([], [], 1)


def test_a_file_that_only_dvc_has_seen_is_the_same_file() -> None:
    (known,) = files({"a": 1})
    found = differences_of_files([known._replace(sha256="")], [known])
    assert (found.unchanged, found.changed) == (1, [])
    other = known._replace(md5="f" * 32, sha256="")
    assert differences_of_files([known], [other]).changed == [Change(known, other)]


def test_both_are_read_as_they_come() -> None:
    taken = [0, 0]

    def counting(side: int, entries: list[FileEntry]) -> Iterator[FileEntry]:
        for entry in entries:
            assert taken[side] <= taken[1 - side] + 2
            taken[side] += 1
            yield entry

    many = files({f"{number:04}": number for number in range(1000)})
    assert differences_of_files(counting(0, many), counting(1, many)).unchanged == 1000
