"""What Canvas, Moodle and Gradescope export is understood, and what they import is written."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from course.grading import SET, make_course, write_submission
from course.hostile import HONEST
from minilm.cli import main
from minilm.course.grade.names import Person, owner_of, read_metadata
from minilm.course.grade.roster import read_roster
from minilm.course.grade.run import grade_paths
from minilm.course.grade.submissions import Submission, find_submissions
from minilm.course.places import Course
from minilm.errors import InputError

CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Section,First steps (8812),Final Score
    Points Possible,,,,,13,
"Doe, Jane",4711,u100,jdoe,Monday,,
"Öz, Cem",4712,u101,coez,Monday,,
"Student, Test",9999,,,Monday,,
"""
MOODLE = """\
Identifier,Full name,ID number,Email address,Status,Grade,Maximum Grade,Grade can be changed,\
Last modified (grade),Feedback comments
Participant 31,Jane Doe,u100,jane@x.edu,Submitted for grading,,13.00,Yes,-,
Participant 32,Cem Öz,u101,cem@x.edu,Submitted for grading,,13.00,Yes,-,
"""
GRADESCOPE = """\
First Name,Last Name,SID,Email,Role
Jane,Doe,u100,jane@x.edu,Student
Cem,Öz,u101,cem@x.edu,Student
Prof,Essor,,prof@x.edu,Instructor
"""
METADATA = """\
---
submission_901:
  :submitters:
  - :name: Jane Doe
    :sid: u100
    :email: jane@x.edu
  - :name: Cem Öz
    :sid: u101
    :email: cem@x.edu
  :created_at: 2026-02-03 10:11:12.000000000 Z
  :score: 0.0
submission_902:
  :submitters:
  - :name: Dora Late
    :sid:
    :email: dora@x.edu
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_names_of_canvas() -> None:
    one = owner_of("doejane_4711_98765_00_start_here-1", {})
    assert (one.student, one.order, one.stem, one.late) == (
        "doejane_4711",
        98765,
        "00_start_here-1",
        False,
    )
    late = owner_of("doejane_LATE_4711_98766_my_homework", {})
    assert (late.student, late.late, late.people[0].canvas) == ("doejane_4711", True, "4711")


def test_names_of_moodle() -> None:
    for name in (
        "Jane Doe_31_assignsubmission_file_",
        "Jane Doe_31_assignsubmission_file",
        "Jane Doe_31_assignsubmission_file_00_start_here",
        "Jane Doe_31_assignsubmission_onlinetext_",
    ):
        one = owner_of(name, {})
        assert (one.student, one.people) == ("Jane Doe_31", (Person("Jane Doe", moodle="31"),))


def test_names_of_one_s_own_stay() -> None:
    for name in ("ann", "ann_00_start_here", "team_7_final", "2026_ann"):
        assert owner_of(name, {}).student == name
        assert not owner_of(name, {}).people


def test_names_of_gradescope() -> None:
    groups = read_metadata(METADATA.encode())
    assert owner_of("submission_901", groups).student == "Jane Doe_u100 + Cem Öz_u101"
    assert owner_of("submission_902", groups).student == "Dora Late_dora@x.edu"
    for bad in (b"", b"[1]", b"a: {b: 1}", b"\xff", b"!!python/object/apply:os.system [ls]"):
        with pytest.raises(InputError, match="submission_metadata.yml"):
            read_metadata(bad)


def test_files_of_one_canvas_student_are_drafts(tmp_path: Path) -> None:
    write_submission(tmp_path / f"doejane_4711_100_{SET}.ipynb", ["first"])
    write_submission(tmp_path / f"doejane_4711_200_{SET}-1.ipynb", ["second"])
    write_submission(tmp_path / f"doejane_LATE_4713_150_{SET}.ipynb", ["a namesake"])
    found = find_submissions([tmp_path], [SET]).submissions
    assert [(one.student, one.cells) for one in found] == [
        ("doejane_4711", ("second",)),
        ("doejane_4713", ("a namesake",)),
    ]
    assert "late" in found[1].notes[-1]


@pytest.mark.parametrize(
    "text", [CANVAS, MOODLE, GRADESCOPE], ids=["canvas", "moodle", "gradescope"]
)
def test_rosters_of_the_platforms(tmp_path: Path, text: str) -> None:
    roster = read_roster(write(tmp_path / "roster.csv", text))
    assert len(roster.entries) == 2  # no test student, no points, no instructor
    for name in ("Jane Doe", "doejane", "u100"):
        (member,) = roster.members(Submission(name, Path(), SET))
        assert member.student in ("Doe, Jane", "Jane Doe")
    assert not roster.knows(Submission("somebody", Path(), SET))


@pytest.mark.parametrize(
    ("text", "person"),
    [
        (CANVAS, Person("doejane", canvas="4711")),
        (MOODLE, Person("Jane Doe", moodle="31")),
        (GRADESCOPE, Person("J. D.", email="Jane@X.edu")),
    ],
    ids=["canvas", "moodle", "gradescope"],
)
def test_an_id_says_whose_a_submission_is(tmp_path: Path, text: str, person: Person) -> None:
    roster = read_roster(write(tmp_path / "roster.csv", text))
    named = roster.named(Submission("x", Path(), SET, people=(person,)))
    assert named.student in ("Doe, Jane", "Jane Doe")


def test_namesakes_are_told_apart_by_their_addresses(tmp_path: Path) -> None:
    text = "name;email\nJane Doe;jane@x.edu\nJane Doe;doe@x.edu\nAnn;ann@x.edu\n"
    roster = read_roster(write(tmp_path / "roster.csv", text))
    students = [entry.student for entry in roster.entries]
    assert students == ["Jane Doe (jane@x.edu)", "Jane Doe (doe@x.edu)", "Ann"]
    assert not roster.knows(Submission("Jane Doe", Path(), SET))  # which of the two?
    assert roster.named(Submission("doe", Path(), SET)).student == "Jane Doe (doe@x.edu)"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"a,b\n1,2\n", "it must have one called"),
        (b"name\n", "names no student"),
        (b"\xff\xfa\x00", "UTF-8"),
        (b'name,email\n"' + b"x" * 200_000 + b'"\n', "is not a table"),
    ],
)
def test_a_bad_roster_is_one_sentence(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "roster.csv"
    path.write_bytes(data)
    with pytest.raises(InputError, match=words) as caught:
        read_roster(path)
    assert str(caught.value).startswith("--roster")


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_course(tmp_path_factory.mktemp("platforms") / "course")


@pytest.mark.parametrize("style", ["canvas", "moodle", "gradescope"])
def test_a_table_to_import(
    course: Path, tmp_path: Path, style: str, capsys: pytest.CaptureFixture
) -> None:
    group = tmp_path / "class"
    group.mkdir()
    names = {
        "canvas": f"doejane_4711_98765_{SET}.ipynb",
        "moodle": f"Jane Doe_31_assignsubmission_file_{SET}.ipynb",
        "gradescope": "submission_901",
    }
    if style == "gradescope":
        (group / names[style]).mkdir()
        write(group / "submission_metadata.yml", METADATA)
        write_submission(group / names[style] / "mine.ipynb", list(HONEST.values()))
    else:
        write_submission(group / names[style], list(HONEST.values()))
    write_submission(group / "stranger.ipynb", [""])
    text = {"canvas": CANVAS, "moodle": MOODLE, "gradescope": GRADESCOPE}[style]
    roster = write(tmp_path / "roster.csv", text)
    out = tmp_path / "out"
    line = ["grade", str(group), "--root", str(course), "--out", str(out), "--seconds", "5"]
    line += ["--roster", str(roster), "--format", style, "--column", "First steps (8812)"]
    assert main(line) == 0
    said = capsys.readouterr().out
    assert "not on the roster: stranger" in said
    rows = table(out / f"{style}-{SET}.csv")
    if style == "canvas":
        assert list(rows[0]) == [
            *("Student", "ID", "SIS User ID", "SIS Login ID", "Section"),
            "First steps (8812)",
        ]
        assert rows[0]["Student"].strip() == "Points Possible"
        assert list(rows[1].values()) == ["Doe, Jane", "4711", "u100", "jdoe", "Monday", "13"]
        assert "nothing from 1 on the roster: Öz, Cem" in said
        assert "no ID is known of stranger" in said
    if style == "moodle":
        assert {"Identifier", "Grade", "Last modified (grade)"} <= rows[0].keys()
        assert (rows[0]["Identifier"], rows[0]["Grade"]) == ("Participant 31", "13")
        assert rows[0]["Feedback comments"].startswith("softmax 4, layer_norm 2")
        assert rows[0]["Last modified (grade)"] == "-"
    if style == "gradescope":  # both members of the group
        assert [(r["Email"], r["Total Score"]) for r in rows[:2]] == [
            ("jane@x.edu", "13"),
            ("cem@x.edu", "13"),
        ]


def canvas_imports(path: Path, assignments: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Points by student's ID and title, by the rules of Canvas's gradebook_importer.rb."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    head = rows.pop(0)
    assert len(head) > 3 and "Student" in head[0] and "ID" in head[1]
    info = 3
    if re.search(r"SIS\s+Login\s+ID", head[2]):
        info += 1
    elif re.search(r"SIS\s+User\s+ID", head[2]) and re.search(r"SIS\s+Login\s+ID", head[3]):
        info += 2 + bool(re.search(r"Integration\s+ID", head[4]))
        info += bool(re.search(r"Root\s+Account", head[info - 1]))
    assert "Section" in head[info - 1]
    own = r"(Current|Final) (Score|Points|Grade)|Override (Score|Grade|Status)"
    titles = {i: head[i] for i in range(info, len(head)) if not re.search(own, head[i])}
    assert set(titles.values()) == set(assignments)
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        assert len(row) == len(head)
        if "Points Possible" in row[0]:
            found["possible"] = {titles[i]: row[i] for i in titles}
        elif any(row):
            found[row[1] or row[2] or row[3] or row[0]] = {titles[i]: row[i] for i in titles}
    return found


def moodle_imports(path: Path, most: float) -> dict[str, tuple[float, str]]:
    """Grade and feedback by participant, by the rules of Moodle's importgradeslib.php."""
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    number, grade = head.index("Identifier"), head.index("Grade")
    text, _ = head.index("Feedback comments"), head.index("Last modified (grade)")
    assert text > 0  # a column of feedback that comes first is not seen
    found = {}
    for row in rows:
        assert len(row) == len(head)
        participant = row[number][len("Participant ") :]
        if participant and 0 <= float(row[grade]) <= most:
            found[participant] = (float(row[grade]), row[text])
    return found


def test_what_is_written_passes_the_importers_rules(course: Path, tmp_path: Path) -> None:
    """Each platform's own rules for reading a table, written out again from its source."""
    column = "First steps (8812)"
    for style, text, name in (
        ("canvas", CANVAS, f"doejane_4711_98765_{SET}.ipynb"),
        ("moodle", MOODLE, f"Jane Doe_31_assignsubmission_file_{SET}.ipynb"),
    ):
        write_submission(tmp_path / style / name, list(HONEST.values()))
        roster = write(tmp_path / f"{style}.csv", text)
        out = tmp_path / f"out-{style}"
        grade_paths(
            [tmp_path / style], course=Course(course), out=out, roster=roster, formats=[style],
            column=column,
        )  # fmt: skip
        path = out / f"{style}-{SET}.csv"
        if style == "canvas":
            read = canvas_imports(path, (column,))
            assert read == {"possible": {column: "13"}, "4711": {column: "13"}}
        else:
            ((grade, said),) = moodle_imports(path, 13).values()
            assert grade == 13 and "softmax 4" in said
    canvas = read_roster(tmp_path / "canvas.csv")
    assert canvas_imports(tmp_path / "canvas.csv", (column,)).keys() >= {"4711", "4712"}
    assert [entry.person.canvas for entry in canvas.entries] == ["4711", "4712"]


@pytest.mark.parametrize("column", ["Final Score", "My Current Points (3)", "Section"])
def test_a_column_that_canvas_would_not_take_is_refused(
    course: Path, tmp_path: Path, column: str
) -> None:
    write_submission(tmp_path / "ann.ipynb", [""])
    with pytest.raises(InputError, match="which Canvas takes for its own"):
        grade_paths([tmp_path], course=Course(course), column=column, formats=["canvas"])


# What Gradescope's autograder specification allows, and of which type.
RESULT = {"score": (int, float), "execution_time": (int, float), "output": str, "tests": list}
RESULT |= {"visibility": str, "stdout_visibility": str, "extra_data": dict, "leaderboard": list}
RESULT |= {"output_format": str, "test_output_format": str, "test_name_format": str}
CASE = {"score": (int, float), "max_score": (int, float), "status": str, "name": str}
CASE |= {"name_format": str, "number": str, "output": str, "output_format": str, "tags": list}
CASE |= {"visibility": str, "extra_data": dict}


def test_results_keep_to_gradescopes_specification(course: Path, tmp_path: Path) -> None:
    write_submission(tmp_path / "ann.ipynb", [HONEST["imports"], HONEST["softmax"], "1 / 0"])
    out = tmp_path / "out"
    grade_paths([tmp_path / "ann.ipynb"], course=Course(course), out=out)
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    for found, allowed in [(results, RESULT), *((case, CASE) for case in results["tests"])]:
        assert found.keys() <= allowed.keys()
        for name, value in found.items():
            assert isinstance(value, allowed[name]), name
        assert found.get("visibility", "visible") == "visible"
    assert sum(case["score"] for case in results["tests"]) == results["score"] > 0
    assert {case["status"] for case in results["tests"]} == {"passed", "failed"}
    formats = [value for name, value in results.items() if name.endswith("_format")]
    assert set(formats) <= {"text", "html", "simple_format", "md", "ansi"}


def test_one_column_needs_one_set(course: Path, tmp_path: Path) -> None:
    first = course / "lessons" / SET
    second = course / "lessons" / "01_more"
    shutil.copytree(first, second)
    for name, number in (("a", SET), ("b", "01_more")):
        path = write_submission(tmp_path / f"{name}.ipynb", [""])
        path.write_text(path.read_text().replace(SET, number))
    with pytest.raises(InputError, match="--column is 'x'; it names one set, and these are 2"):
        grade_paths([tmp_path], course=Course(course), out=tmp_path / "out", column="x")
    shutil.rmtree(second)
