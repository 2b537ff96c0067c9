"""Every entry of a folder of submissions becomes a submission, or a line that says why not."""

import io
import os
import struct
import zipfile
from pathlib import Path

import pytest

from course.grading import SET, write_submission
from minilm.course.build import notebook as nb
from minilm.course.grade.entries import LARGEST_INDEX, File, as_folder, open_entry
from minilm.course.grade.submissions import (
    Found,
    NothingFound,
    Submission,
    apart,
    find_submissions,
)
from minilm.errors import InputError

OTHER = "01_second_steps"
SETS = [SET, OTHER]


def notebook(cell: str, set_name: str | None = SET) -> bytes:
    """A notebook of one code cell as bytes."""
    record = {"minilm": {"name": set_name}} if set_name else {}
    return nb.dumps(nb.make_notebook([nb.make_cell("code", cell)], record)).encode()


def zipped(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def write(path: Path, data: bytes, written: float | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if written is not None:
        os.utime(path, (written, written))
    return path


def found_in(*paths: Path, wanted: str | None = None) -> Found:
    return find_submissions(paths, SETS, wanted)


def cells(found: Found) -> dict[str, str]:
    return {one.student: "|".join(one.cells) for one in found.submissions}


def why(found: Found) -> dict[str, str]:
    return {one.path.name: one.why for one in found.skipped}


def test_every_entry_gets_a_row_or_a_reason(tmp_path: Path) -> None:
    write(tmp_path / "ann.ipynb", notebook("a"))
    write(tmp_path / "BOB.IPYNB", notebook("b"))
    write(tmp_path / "cem.py", b"# %% [markdown]\n# words\n# %%\nc = 1\n\n# %%\nc = 2\n")
    write(tmp_path / "dora.zip", zipped({"hw/mine.ipynb": notebook("d")}))
    write(tmp_path / "eve" / "deep" / "mine.ipynb", notebook("e"))
    write(tmp_path / "fay" / "hand-in.zip", zipped({"mine.ipynb": notebook("f")}))
    write(tmp_path / "gus" / "photo.jpg", b"")
    (tmp_path / "hal").mkdir()
    write(tmp_path / "report.pdf", b"")
    write(tmp_path / ".hidden.ipynb", notebook("x"))
    write(tmp_path / "broken.zip", b"PK\3\4 and no more")
    write(tmp_path / "no notebook.zip", zipped({"a.txt": b"x"}))
    (tmp_path / "linked folder").symlink_to(tmp_path / "eve")
    (tmp_path / "linked.ipynb").symlink_to(tmp_path / "ann.ipynb")
    write(tmp_path / "empty.ipynb", b"")
    write(tmp_path / "old results" / "records" / "x.json", b"{}")
    write(tmp_path / "old results" / "grades.csv", b"")
    found = found_in(tmp_path)
    assert cells(found) == {
        "BOB": "b",
        "ann": "a",
        "cem": "c = 1|c = 2",
        "dora": "d",
        "empty": "",
        "eve": "e",
        "fay": "f",
        "linked": "",
    }
    troubles = {one.student: one.trouble for one in found.submissions if one.trouble}
    assert "empty" in troubles.pop("empty") and "link" in troubles.pop("linked")
    assert not troubles
    said = why(found)
    for name, words in {
        "gus": "no notebook (.ipynb) or script (.py), but: photo.jpg",
        "hal": "it holds no file",
        "report.pdf": "it is not a notebook (.ipynb), a script (.py), a zip archive or a folder",
        ".hidden.ipynb": "its name begins with a dot",
        "broken.zip": "it is not a zip archive, or it is damaged",
        "no notebook.zip": "but: a.txt",
        "linked folder": "links are not followed",
        "old results": "results of an earlier grading",
    }.items():
        assert words in said.pop(name)
    assert not said
    everything = {path.name for path in tmp_path.iterdir()}
    assert len(everything) == len(found.submissions) + len(found.skipped)


def test_the_newest_draft_is_graded_and_named(tmp_path: Path) -> None:
    write(tmp_path / "ann" / f"{SET}.ipynb", notebook("first"), 1000)
    write(tmp_path / "ann" / f"{SET}-Copy1.ipynb", notebook("newest"), 3000)
    write(tmp_path / "ann" / "deeper" / "final.ipynb", notebook("second"), 2000)
    write(tmp_path / "ann" / "scratch.ipynb", notebook("scratch", None), 9000)
    write(tmp_path / "ann" / "damaged.ipynb", b'{"cells', 9999)
    (one,) = found_in(tmp_path).submissions
    assert one.cells == ("newest",)
    assert one.notes == (
        f"the newest of 3 drafts was graded: {SET}-Copy1.ipynb",
        f"not graded: final.ipynb, {SET}.ipynb, damaged.ipynb, scratch.ipynb",
    )


def test_of_drafts_of_one_age_the_given_name_or_the_last_copy_counts(tmp_path: Path) -> None:
    for name in (SET, f"{SET} my thoughts"):
        write(tmp_path / "ann" / f"{name}.ipynb", notebook(name), 1000)
    for name in (SET, f"{SET}-2", f"{SET}-10"):
        write(tmp_path / "bob" / f"{name}.ipynb", notebook(name), 1000)
    assert cells(found_in(tmp_path)) == {"ann": SET, "bob": f"{SET}-10"}


def test_two_sets_of_one_student_are_two_submissions(tmp_path: Path) -> None:
    write(tmp_path / "ann" / "a.ipynb", notebook("a", SET), 1000)
    write(tmp_path / "ann" / "b.ipynb", notebook("b", OTHER), 2000)
    both = found_in(tmp_path).submissions
    assert [(one.set_name, one.cells) for one in both] == [(SET, ("a",)), (OTHER, ("b",))]
    (one,) = found_in(tmp_path, wanted=SET).submissions
    assert one.cells == ("a",) and one.notes == ("not graded: b.ipynb",)


def test_a_script_beside_a_notebook_is_its_helper(tmp_path: Path) -> None:
    write(tmp_path / "ann" / "mine.ipynb", notebook("a"), 1000)
    write(tmp_path / "ann" / "helpers.py", b"x = 1", 2000)
    assert cells(found_in(tmp_path)) == {"ann": "a"}


def test_a_whole_class_in_one_archive(tmp_path: Path) -> None:
    files = {
        "class/ann/mine.ipynb": notebook("a"),
        "class/bob.zip": zipped({f"{SET}.ipynb": notebook("b")}),
        "class/cem.ipynb": notebook("c"),
        "class/notes.txt": b"x",
        "__MACOSX/class/._cem.ipynb": b"\0",
    }
    found = found_in(write(tmp_path / "class.zip", zipped(files)))
    assert cells(found) == {"ann": "a", "bob": "b", "cem": "c"}
    assert set(why(found)) == {"notes.txt"}


def test_a_file_with_the_set_s_name_belongs_to_its_folder(tmp_path: Path) -> None:
    path = write(tmp_path / "ann" / f"{SET}.ipynb", notebook("a"))
    for given in (path, path.parent, write(tmp_path / "ann.zip", zipped({path.name: b"{}"}))):
        assert [one.student for one in found_in(given).submissions] == ["ann"]


def test_all_of_a_folder_may_be_one_student_s(tmp_path: Path) -> None:
    write(tmp_path / "submission" / "old.ipynb", notebook("old"), 1000)
    write(tmp_path / "submission" / "new.ipynb", notebook("new"), 2000)
    (one,) = find_submissions([tmp_path / "submission"], SETS, None, "ann").submissions
    assert (one.student, one.cells) == ("ann", ("new",))
    (tmp_path / "bare").mkdir()
    with pytest.raises(NothingFound, match="it holds no file"):
        find_submissions([tmp_path / "bare"], SETS, None, "ann")


# --- archives from strangers ----------------------------------------------------------------------


def archive(tmp_path: Path, data: bytes) -> File:
    entry = open_entry(write(tmp_path / "x.zip", data))
    assert isinstance(entry, File)
    return entry


def test_archives_are_read_in_memory_and_write_nothing(tmp_path: Path) -> None:
    names = ("../../up.ipynb", "/root.ipynb", "C:\\x\\win.ipynb", "a/./b.ipynb")
    folder = as_folder(archive(tmp_path, zipped({name: notebook("x") for name in names})))
    assert {one.name for one in folder.files()} == {"root.ipynb", "win.ipynb", "b.ipynb"}
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


def test_a_bomb_is_stopped_at_the_limit(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        with target.open("big.ipynb", "w") as file:
            for _ in range(80):
                file.write(bytes(1 << 20))
    (file,) = as_folder(archive(tmp_path, made.getvalue())).files()
    with pytest.raises(InputError, match="MB"):
        file.read()


def test_an_archive_that_lies_about_a_size_is_damaged_or_cut(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.ipynb": bytes(100_000)}))
    at = data.rfind(b"PK\1\2")
    data[at + 24 : at + 28] = struct.pack("<I", 10)  # unpacked, 100,000 bytes
    (file,) = as_folder(archive(tmp_path, bytes(data))).files()
    with pytest.raises(InputError, match="damaged"):
        file.read()


def test_locked_linked_and_oddly_packed_files_say_so(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as target:
        link = zipfile.ZipInfo("link.ipynb")
        link.external_attr = 0o120777 << 16
        target.writestr(link, "/etc/passwd")
        target.writestr("odd.ipynb", b"x", zipfile.ZIP_LZMA)
        target.writestr("locked.ipynb", b"x")
    data = bytearray(made.getvalue())
    at = data.rfind(b"PK\1\2")
    data[at + 8] |= 1  # the flag of a password
    said = {one.name: one.trouble for one in as_folder(archive(tmp_path, bytes(data))).files()}
    assert "link" in said["link.ipynb"]
    assert "deflate" in said["odd.ipynb"]
    assert "password" in said["locked.ipynb"]


def test_an_endless_list_of_files_is_not_read(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.ipynb": b"x"}))
    at = data.rfind(b"PK\5\6")
    data[at + 12 : at + 16] = struct.pack("<I", LARGEST_INDEX + 1)
    folder = as_folder(archive(tmp_path, bytes(data)))
    assert "more than 10,000 files" in folder.trouble


def test_damage_anywhere_in_an_archive_is_a_sentence(tmp_path: Path) -> None:
    whole = zipped({"a.ipynb": notebook("a"), "b/c.ipynb": notebook("c")})
    for at in range(0, len(whole), 3):
        data = bytearray(whole)
        data[at] ^= 0xFF
        folder = as_folder(archive(tmp_path, bytes(data)))
        for file in folder.files():
            try:
                file.read()
            except InputError as error:
                assert str(error)


# --- names that collide ---------------------------------------------------------------------------


def test_names_that_collide_keep_their_own_rows(tmp_path: Path) -> None:
    for name in ("ann", "ann (2)", "Ann", "ann "):
        write_submission(tmp_path / f"{name}.ipynb", [name])
    write(tmp_path / "ann" / "mine.ipynb", notebook("folder"))
    named = apart([Submission(s.student, s.path, SET) for s in found_in(tmp_path).submissions])
    students = [one.student for one in named]
    assert len(set(students)) == 5
    assert {"ann", "ann (2)", "Ann"} <= set(students)
