"""Results as they come: rows merged by student, runs that go on where they stood, names apart."""

import csv
import io
import os
import signal
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import pytest

from course.grading import SET, make_course, write_submission
from course.hostile import HONEST
from minilm.cli import main
from minilm.course.checking.questions import ExerciseSet, Outcome, Question
from minilm.course.grade import results, run
from minilm.course.grade.folder import results_in
from minilm.course.grade.identity import cell, file_name, tell_apart
from minilm.course.grade.records import Place
from minilm.course.grade.results import Grade, QuestionResult
from minilm.course.grade.run import grade_paths
from minilm.course.grade.submissions import Submission
from minilm.course.grade.table import Table
from minilm.course.places import Course
from minilm.errors import InputError
from minilm.sandbox.walls import Limits

WHOLE = list(HONEST.values())
HALF = [HONEST["imports"], HONEST["softmax"], HONEST["merge"]]


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_course(tmp_path_factory.mktemp("grades") / "course")


def rows(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "grades.csv").open(encoding="utf-8", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def grade_of(student: str, points: float, set_name: str = SET, note: str = "") -> Grade:
    """A grade that nothing was run for: one question `softmax` of 4 points."""
    question = Question("softmax")
    question.test(points=4)(lambda student, rng: None)
    kind = "pass" if points else "value"
    result = results.TestResult(question.tests[0], Outcome(kind), kind)
    exercise = ExerciseSet(set_name, set_name, [question])
    submission = Submission(student, Path(student), set_name)
    return Grade(submission, exercise, [QuestionResult(question, [result])], [note] if note else [])


# --- one late submission --------------------------------------------------------------------------


def test_a_late_submission_is_merged(
    course: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    group = tmp_path / "class"
    group.mkdir()
    write_submission(group / "ann.ipynb", HALF)
    write_submission(group / "bob.ipynb", WHOLE)
    options = ["--root", str(course), "--seconds", "5"]
    assert main(["grade", str(group), *options]) == 0
    out = tmp_path / "grades" / SET  # the default: each set has its own folder
    assert {name: row["points"] for name, row in rows(out).items()} == {"ann": "6", "bob": "13"}
    assert not (out / "earlier").exists()
    before = (out / "grades.csv").read_bytes()
    (out / "grades.csv").write_bytes(
        before.replace(b"bob,", b"bob,").replace(b",13,13,", b",12,13,")
    )
    edited = (out / "grades.csv").read_bytes()
    assert edited != before
    late = tmp_path / "late"
    late.mkdir()
    write_submission(late / "ann.ipynb", WHOLE)
    write_submission(late / "zoe.ipynb", HALF)
    capsys.readouterr()
    assert main(["grade", str(late), *options]) == 0
    said = capsys.readouterr().out
    points = {name: row["points"] for name, row in rows(out).items()}
    assert points == {"ann": "13", "bob": "12", "zoe": "6"}  # bob's as the lecturer changed it
    assert "changed ann (00_first_steps): 6 -> 13 (layer_norm 0 -> 2" in said
    assert "changed zoe (00_first_steps): new, 6 of 13" in said
    assert "rows that stay as they were: 1" in said
    (kept,) = (out / "earlier").iterdir()
    assert kept.read_bytes() == edited and str(kept.relative_to(tmp_path)) in said
    assert {path.stem for path in (out / "feedback").iterdir()} == {"ann", "bob", "zoe"}


def test_columns_and_rows_of_the_lecturer_stay(tmp_path: Path) -> None:
    lines = [
        "student;set;points;max;softmax;remarks;bonus",
        f"ann;{SET};0;4;0;;2",
        f"eve;{SET};3;4;3;;",
    ]
    (tmp_path / "grades.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    table = Table(tmp_path)
    table.put([grade_of("ann", 4)])
    found = rows(tmp_path)
    assert (found["ann"]["points"], found["ann"]["bonus"]) == ("4", "2")
    assert found["eve"]["points"] == "3"


def test_a_second_set_gets_columns_of_its_own(tmp_path: Path) -> None:
    Table(tmp_path).put([grade_of("ann", 4)])
    Table(tmp_path).put([grade_of("ann", 0, "01_more")])
    with (tmp_path / "grades.csv").open() as file:
        both = list(csv.DictReader(file))
    assert [(r["set"], r[f"{SET}/softmax"], r["01_more/softmax"]) for r in both] == [
        (SET, "4", ""),
        ("01_more", "", "0"),
    ]


def test_a_table_of_something_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "grades.csv").write_text("name,mark\nann,1\n")
    with pytest.raises(InputError, match="without the columns student and set"):
        Table(tmp_path)


# --- runs that end early --------------------------------------------------------------------------


def test_a_killed_run_goes_on_where_it_stood(course: Path, tmp_path: Path) -> None:
    group = tmp_path / "class"
    group.mkdir()
    names = ("ann", "bob", "cem", "dora")
    for name in names:
        write_submission(group / f"{name}.ipynb", WHOLE if name != "bob" else HALF)
    out = tmp_path / "out"
    line = [sys.executable, "-m", "minilm", "grade", str(group), "--root", str(course)]
    line += ["--out", str(out), "--jobs", "1", "--seconds", "5"]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(list(out.glob("records/*.json"))) < 2 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = {path.stem for path in out.glob("records/*.json")}
    assert len(done) >= 2
    assert done <= rows(out).keys()
    for name in done:
        assert (out / "feedback" / f"{name}.html").read_text().endswith("</html>\n")
        assert (out / "gradescope" / f"{name}.json").exists()
    said: list[str] = []
    grades, _, _ = grade_paths([group], course=Course(course), out=out, seconds=5, say=said.append)
    assert [grade.points for grade in grades] == [13, 6, 13, 13]
    assert any(f"graded before and not changed: {len(done)}" in text for text in said)
    grade_paths([group], course=Course(course), out=tmp_path / "at once", seconds=5)
    for path in (tmp_path / "at once").rglob("*"):
        if path.is_file():
            again = out / path.relative_to(tmp_path / "at once")
            assert again.read_bytes() == path.read_bytes(), path.name


def test_only_what_changed_is_graded_again(
    course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    def spy(judges, due, *args):
        started.extend(one.student for one in due)
        return graded(judges, due, *args)

    graded = run.grade_each
    monkeypatch.setattr(run, "grade_each", spy)
    group = tmp_path / "class"
    group.mkdir()
    for name in ("ann", "bob"):
        write_submission(group / f"{name}.ipynb", HALF)

    def grade(**options: object) -> list[str]:
        started.clear()
        grade_paths([group], course=Course(course), out=tmp_path / "out", **options)
        return sorted(started)

    assert grade(seconds=5) == ["ann", "bob"]
    assert grade(seconds=5) == []
    write_submission(group / "bob.ipynb", WHOLE)
    assert grade(seconds=5) == ["bob"]
    assert grade(seconds=5, again=True) == ["ann", "bob"]
    assert grade(seconds=6) == ["ann", "bob"]  # other limits, other grades
    assert grade(seconds=6, hidden=course / "hidden") == ["ann", "bob"]  # other tests
    (tmp_path / "out" / "records" / "ann.json").write_text("{")
    assert grade(seconds=6, hidden=course / "hidden") == ["ann"]


@pytest.mark.parametrize("where", ["itself", "above", "feedback", "records", "grades.csv"])
def test_an_unwritable_out_is_found_before_the_first_submission(
    course: Path, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "grade_each", lambda *a, **k: pytest.fail("a submission was run"))
    path = write_submission(tmp_path / "ann.ipynb", WHOLE)
    out = tmp_path / "out"
    if where == "itself":
        out.write_text("")
    elif where == "above":
        out.write_text("")
        out = out / "deeper"
    elif where == "grades.csv":
        (out / where).mkdir(parents=True)
    else:
        out.mkdir()
        (out / where).write_text("")
    with pytest.raises(InputError, match="--out .*out.* cannot be"):
        grade_paths([path], course=Course(course), out=out)


def test_a_read_only_out_is_found_before_the_first_submission(
    course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "grade_each", lambda *a, **k: pytest.fail("a submission was run"))
    path = write_submission(tmp_path / "ann.ipynb", WHOLE)
    out = Path("/proc/minilm-grades")  # a place where even root writes nothing
    with pytest.raises(InputError, match="--out /proc/minilm-grades cannot be written"):
        grade_paths([path], course=Course(course), out=out)


def test_what_was_changed_by_hand_stays_until_it_is_graded_again(
    course: Path, tmp_path: Path
) -> None:
    path = write_submission(tmp_path / "ann.ipynb", HALF)
    out = tmp_path / "out"
    grade_paths([path], course=Course(course), out=out, seconds=5)
    table = out / "grades.csv"
    table.write_text(table.read_text().replace(",6,13,", ",7,13,"))
    (out / "feedback" / "ann.html").unlink()
    grade_paths([path], course=Course(course), out=out, seconds=5)
    assert rows(out)["ann"]["points"] == "7"
    assert (out / "feedback" / "ann.html").exists()
    grade_paths([path], course=Course(course), out=out, seconds=5, again=True)
    assert rows(out)["ann"]["points"] == "6"


def test_two_runs_do_not_write_into_one_folder(course: Path, tmp_path: Path) -> None:
    path = write_submission(tmp_path / "ann.ipynb", HALF)
    out = tmp_path / "out"
    with results_in(out, [], {}, Limits()):
        with pytest.raises(InputError, match="is in use by another minilm grade"):
            grade_paths([path], course=Course(course), out=out, seconds=5)
    grade_paths([path], course=Course(course), out=out, seconds=5)


# --- names ----------------------------------------------------------------------------------------

ALIKE = ["ann", "ann", "ann (2)", "Ann", "ANN", "ann ", " ann", "a.n", "a n", "a_n", "ann\n", "con"]
ALIKE += ["ann\u200b", "ann\u202e", "ann\x01", "=ann", "'=ann", "ａｎｎ", "ann.", "..", "a" * 300]
ALIKE += [file_name("Ann"), file_name("ann (2)"), file_name("Ann").upper(), "ann.00_first_steps"]


def test_colliding_names_keep_their_own_rows_pages_and_records(tmp_path: Path) -> None:
    students = tell_apart(ALIKE)
    owners = [(student, set_name) for student in students for set_name in (SET, "01_more")]
    table, place = Table(tmp_path), Place.of(tmp_path, owners, several=True)
    table.put([grade_of(student, 4, set_name) for student, set_name in owners])
    with (tmp_path / "grades.csv").open(encoding="utf-8", newline="") as file:
        keys = [(row["student"], row["set"]) for row in csv.DictReader(file)]
    assert len(set(keys)) == len(keys) == len(owners) == 2 * len(ALIKE)
    names = list(place.names.values())
    assert len({unicodedata.normalize("NFKC", name).casefold() for name in names}) == len(owners)
    for name in names:
        assert len(name) < 120 and not set(name) & set('/\\:*?"<>| ') and not name.startswith(".")


def test_a_name_that_comes_once_keeps_it() -> None:
    assert tell_apart(["ann", "ann", "ann (2)", "bob"]) == ["ann", "ann (3)", "ann (2)", "bob"]


def test_names_of_files_stay_the_same_when_others_come_later(tmp_path: Path) -> None:
    for part in ("feedback", "records", "gradescope"):
        (tmp_path / part).mkdir()
    first = Place.of(tmp_path, [("Ann", SET)], several=False)
    first.write(grade_of("Ann", 4), {"student": "Ann", "set": SET, "key": "k", "questions": []})
    second = Place.of(tmp_path, [("Ann", SET), ("ann", SET), ("Ann", "01_more")], several=True)
    assert second.names["Ann", SET] == first.names["Ann", SET]
    assert len({name.casefold() for name in second.names.values()}) == 3


EVIL = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "a\n=1", "a\r\n=cmd", ";=1",
    "a;=cmd|' /C", "a; +1", 'a";=1', "＝1+1", "＋1", "－1", "＠x", "a;＝1", "\u202e=1",
    "\u200b=1", "\ufeff=1", "\x00=1", "\u200d=1", " =1", "\u00a0=1", "\u3000=1",
    "a\u2028=1", "a\x85=1", "a\x0b=1", "﹢1", "﹣1", "﹦1", "﹫x",
    "⁼1", "a\t=1", 'a,"=1"', '"=1"', "a,=1", "a,;=1", "x;\u200d=1",
]  # fmt: skip


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("text", EVIL, ids=ascii)
def test_no_cell_is_a_formula_whatever_a_spreadsheet_splits_at(
    tmp_path: Path, text: str, separator: str
) -> None:
    Table(tmp_path).put([grade_of(text, 4, note=text), grade_of("bob", 0, note="x" + text)])
    written = (tmp_path / "grades.csv").read_text(encoding="utf-8")
    assert written.count("\n") == 3
    for row in csv.reader(io.StringIO(written), delimiter=separator):
        for one in row:
            start = unicodedata.normalize("NFKC", one).lstrip(' \u200b\u200c\u200d\ufeff"')
            assert not start.startswith(("=", "+", "-", "@", "\t", "\r")), (one, row)
    bad = {"Cc", "Zl", "Zp", "Cs"}
    assert not [c for c in written if unicodedata.category(c) in bad and c != "\n"]
    assert not set(written) & set("\u200b\u200e\u200f\u202a\u202b\u202d\u202e\u2066\u2067\ufeff")


def test_honest_names_stay_as_they_are() -> None:
    for name in (
        "Jane Doe",
        "O'Neil; Anna-Lena",
        "مهنا\u200cز",
        "Łukasz",
        "x=1",
        "C++",
        "李小龙",
        "0xcafe00",
    ):
        assert cell(name) == name


def test_the_terminal_gets_no_control_characters(
    course: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    group = tmp_path / "class"
    group.mkdir()
    write_submission(group / "a\x1b[31mnn.ipynb", HALF)
    (group / "x\x1b[2J.pdf").touch()
    out = ["--out", str(tmp_path / "out"), "--seconds", "5"]
    assert main(["grade", str(group), "--root", str(course), *out]) == 0
    assert "\x1b" not in capsys.readouterr().out
    assert os.listdir(tmp_path / "out" / "feedback")
