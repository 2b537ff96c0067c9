"""Judges: one for each submission, within a budget; and what the grader takes from them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from course.grading import SET, grade_cells, make_course, points, write_submission
from course.hostile import HONEST, WORTH, fresh
from course.test_hostile import Run
from course.test_hostile_crowd import processes
from minilm.course.build import notebook as nb
from minilm.course.grade import judge
from minilm.course.grade.assignment import read_assignment, read_secret
from minilm.course.grade.grading import Grading
from minilm.course.grade.loading import MOST_LOADS
from minilm.course.grade.run import grade_paths
from minilm.course.grade.submissions import Submission
from minilm.course.places import Course
from minilm.errors import InputError
from minilm.sandbox.choice import choose
from minilm.sandbox.kit import make_kit
from minilm.sandbox.session import Session, SessionError
from minilm.sandbox.walls import Limits

# of the fifty that `test_hostile_crowd` grades, some for each thing that went wrong
SOME = {
    "a value where a handle belongs",
    "one blob for forty arrays",
    "five million zeros",
    "keys that clash",
    "a handle where a count belongs",
    "a cell of 17 MB",
    "an argument that the worker calls untouched",
    "arrays of a primitive",
    "an optimizer's step",
    "a search of the disk",
    "SciPy",
    "a system's packages",
    "a class of minilm to inherit from",
    "calls that change what is not its own",
    "a million empty files",
    "a module of its own",
    "a module that is not there",
    "a slow cell and a crash in each question",
}
CASES = [case for case in fresh.CASES if case.name in SOME]


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_course(tmp_path_factory.mktemp("judges") / "course")


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("some"), CASES, "auto", honest=4, jobs=2)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_gets_what_it_earned(some: Run, case: fresh.Case) -> None:
    some.assert_earned(case)


def test_the_others_are_not_harmed(some: Run) -> None:
    some.assert_honest_are_whole()
    some.assert_nothing_leaked()
    assert len(CASES) == len(SOME)


def test_words_for_what_cannot_be_imported(some: Run) -> None:
    said = " ".join(some.notes("a module that is not there"))
    assert "`my_helpers` is no library of this set and no module that a cell wrote" in said
    assert "%%writefile my_helpers.py" in said
    assert "code cell 3 has 17.0 million characters; at most 1 are run" in " ".join(
        some.notes("a cell of 17 MB")
    )


# --- a judge that is taken down -------------------------------------------------------------------

FRAGILE = """
import os, signal
import numpy as np
from minilm.course.checking.expect import same
from minilm.course.checking.questions import Question

def ask(name):
    question = Question(name)
    @question.test(cases=[{}])
    def right(student, rng):
        answer = getattr(student, name)()
        if answer == "kill": os.kill(os.getpid(), signal.SIGKILL)
        if answer == "eat": bytearray(9 << 30), os._exit(1)
        while answer == "spin": pass
        same(answer, name)
    return question

a, b, c, d, e = map(ask, "abcde")
"""


def test_a_judge_that_dies_costs_the_question_at_hand(tmp_path: Path) -> None:
    (tmp_path / "lessons" / "00_fragile").mkdir(parents=True)
    (tmp_path / "lessons" / "00_fragile" / "tests.py").write_text(FRAGILE, encoding="utf-8")
    (tmp_path / "secret.txt").write_text("a secret\n", encoding="utf-8")
    answers = {"a": "a", "b": "kill", "c": "eat", "d": "spin", "e": "e"}
    cells = [f"def {name}(): return {value!r}" for name, value in answers.items()]
    folder = tmp_path / "in"
    folder.mkdir()
    for name, texts in {
        "evil": cells,
        "good": [f"def {name}(): return {name!r}" for name in answers],
    }.items():
        made = [nb.make_cell("code", text) for text in texts]
        nb.write(folder / f"{name}.ipynb", nb.make_notebook(made, {}))
    where = {"course": Course(tmp_path), "hidden": tmp_path, "out": tmp_path / "out"}
    grades, _, _ = grade_paths([folder], **where, seconds=1.0, jobs=2)
    evil, good = grades
    assert points(good) == dict.fromkeys(answers, 1)
    assert points(evil) == {"a": 1, "b": 0, "c": 0, "d": 0, "e": 1}
    kinds = [question.tests[0].public.kind for question in evil.questions]
    assert kinds == ["pass", "size", "size", "time", "pass"]


class Forger:
    """A judge whose reports are not what a judge may say."""

    def work(self, request: dict[str, Any], allowance: Any) -> Any:
        for level, number, due in request["todo"]:
            outcomes = {str(one): ["full marks" if number else "pass", "x" * 10_000] for one in due}
            state = {"notes": ["y" * 10_000] * 1000}
            yield {"of": [level, number], "outcomes": outcomes, "missing": ["z"], "state": state}
        yield judge_ended()


def judge_ended() -> Any:
    from minilm.sandbox.disposable import Ended

    return Ended("done", 1.0)


def test_only_kinds_and_short_sentences_are_taken(course: Path) -> None:
    assignment = read_assignment(Course(course).sets[SET], course / "hidden")
    submission = Submission("ann", Path("ann.ipynb"), SET, ("x = 1",))
    grade = Grading(Forger(), assignment, submission, Limits()).grade()
    assert grade.questions[0].points == grade.questions[0].most
    assert sum(question.points for question in grade.questions[1:]) == 0
    assert {t.public.kind for q in grade.questions[1:] for t in q.tests} == {"broken"}
    assert max(len(t.public.text) for q in grade.questions for t in q.tests) <= 600
    assert len(grade.notes) <= 50 and max(map(len, grade.notes)) <= 600
    assert not any(question.missing for question in grade.questions)


def test_a_machine_that_starts_no_worker_is_no_student_s_fault(
    course: Path, state: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Session) -> None:
        raise SessionError("broken", "no room")

    monkeypatch.setattr(Session, "start", fails)
    (said,) = reports(state, list(HONEST.values()))
    assert said == {"stop": "no room"}

    class Stopped:
        def work(self, request: Any, allowance: Any) -> Any:
            yield said

    assignment = read_assignment(Course(course).sets[SET], course / "hidden")
    submission = Submission("ann", Path("ann.ipynb"), SET, ("x = 1",))
    with pytest.raises(InputError, match="the sandbox does not start any more: no room"):
        Grading(Stopped(), assignment, submission, Limits()).grade()


# --- budgets --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def state(course: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("kit")
    folder.chmod(0o755)
    kit = make_kit(folder / "kit")
    place = Course(course).sets[SET]
    one = {"tests": str(place.tests), "own": None, "given": [], "secret": "s"}
    limits = {"memory": 2 << 30, "seconds": 0.25}
    wall = choose(kit).kind
    return judge.prepare({"sets": {SET: one}, "kit": str(kit), "wall": wall, "limits": limits})


def reports(state: dict[str, Any], cells: list[str], **before: Any) -> list[dict[str, Any]]:
    """What a judge says of these cells, in this process."""
    questions = state["sets"][SET].exercise.questions
    todo = [
        [level, number, list(range(len(question.tests)))]
        for level in ("public", "hidden")
        for number, question in enumerate(questions)
    ]
    said: list[dict[str, Any]] = []
    request = {"set": SET, "student": "ann", "cells": cells, "todo": todo, "state": before}
    judge.work(state, request, said.append)
    return [one for one in said if one.keys() != {"state"}]  # and not how far the notebook is


def test_a_submission_has_so_much_time_in_all(state: dict[str, Any]) -> None:
    used_up = {"spent": 6 * 0.25 - 1e-6}
    said = reports(state, list(HONEST.values()), **used_up)
    texts = {text for report in said for kind, text in report["outcomes"].values()}
    assert texts == {"the notebook has used up the 1.5 s that it had in all"}


def test_a_submission_has_so_many_loads_in_all(state: dict[str, Any]) -> None:
    said = reports(state, list(HONEST.values()), loads=MOST_LOADS - 1)
    kinds = [kind for report in said for kind, _ in report["outcomes"].values()]
    assert set(kinds) == {"pass"}  # one load serves an honest notebook
    crash = HONEST | {"softmax": "def softmax(x):\n    import os\n    os._exit(1)"}
    said = reports(state, list(crash.values()), loads=MOST_LOADS - 1)
    assert [kind for kind, _ in said[0]["outcomes"].values()] == ["gone"] * 3
    texts = {text for report in said[1:5] for _, text in report["outcomes"].values()}
    assert texts == {"the notebook cannot be run: its cells hang or end the program"}


def test_slow_cells_are_reduced_to_their_definitions(state: dict[str, Any]) -> None:
    slow = fresh.SLOW.format(0.05)
    said = reports(state, [*[slow] * 30, *HONEST.values()])
    (note,) = said[0]["state"]["notes"]
    assert note == "while the cells ran, they took too long; only definitions were run"
    assert said[0]["state"]["loads"] == 2 and "full" not in said[0]["state"]["modes"]
    assert {kind for report in said for kind, _ in report["outcomes"].values()} == {"pass"}


# --- the same again, and beside another grader ----------------------------------------------------


def test_an_answer_that_hangs_on_the_order_of_a_set_gets_the_same_every_time(
    course: Path, tmp_path: Path
) -> None:
    names = [f"name{n}" for n in range(40)]
    merge = f"ORDER = list(set({names!r}))\n" + HONEST["merge"]
    lucky = merge.replace("    out = []", "    out = [] if ORDER[0] < ORDER[1] else [7]", 1)
    cells = [*[text for name, text in HONEST.items() if name != "merge"], lucky]
    found = []
    for number in range(3):
        grades = grade_cells(course, tmp_path / str(number), {"one": cells})
        found.append(points(grades["one"])["merge"])
    assert len(set(found)) == 1


def start_grader(
    course: Path, folder: Path, cells: list[str], seconds: int = 20
) -> subprocess.Popen:
    folder.mkdir()
    write_submission(folder / "ann.ipynb", cells)
    code = "import sys; from minilm.cli import main; sys.exit(main(sys.argv[1:]))"
    line = [sys.executable, "-c", code, "grade", str(folder), "--root", str(course)]
    line += [
        "--out",
        str(folder / "out"),
        "--seconds",
        str(seconds),
        "--hidden",
        str(course / "hidden"),
    ]
    scratch = {"TMPDIR": str(folder)}  # one that is killed leaves its own behind
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **scratch}
    return subprocess.Popen(
        line,
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # ignored under nohup ... &
    )


def test_two_graders_on_one_machine(course: Path, tmp_path: Path) -> None:
    cells = [*HONEST.values(), "import threading, time\nfor _ in range(40):\n"
             "    threading.Thread(target=time.sleep, args=(3,)).start()"]  # fmt: skip
    both = [start_grader(course, tmp_path / name, cells) for name in ("one", "two")]
    worth = sum(WORTH.values())
    for grader in both:
        said, _ = grader.communicate(timeout=100)
        assert f"ann  {worth}/{worth}" in said


def test_a_grader_that_is_killed_leaves_nothing_running(course: Path, tmp_path: Path) -> None:
    before = processes()
    stuck = "import time\nwhile True: time.sleep(0.001)"
    grader = start_grader(course, tmp_path / "killed", [stuck, *HONEST.values()])
    while not any("start.py" in line for line in processes() - before):
        time.sleep(0.05)
    grader.send_signal(signal.SIGKILL)
    grader.wait()
    for _ in range(200):
        if not processes() - before:
            break
        time.sleep(0.05)
    assert processes() - before == set()


def test_an_interrupted_grader_ends_at_once(course: Path, tmp_path: Path) -> None:
    before = processes()
    stuck = "import time\nwhile True: time.sleep(0.001)"
    cells = [stuck, *HONEST.values()]
    grader = start_grader(course, tmp_path / "interrupted", cells, seconds=1000)
    while not any("start.py" in line for line in processes() - before):
        time.sleep(0.05)
    grader.send_signal(signal.SIGINT)
    grader.communicate(timeout=60)  # the stuck cell alone would take a quarter of an hour
    assert grader.returncode == 130
    assert not list((tmp_path / "interrupted").glob("minilm-grade-*"))


def test_a_secret_that_cannot_be_kept_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/proc/self")  # a home that nobody can write
    with pytest.raises(InputError, match="neither be read nor kept.*--hidden$"):
        read_secret(None)
    with pytest.raises(InputError, match="neither be read nor kept"):
        read_secret(Path("/proc/self"))
    (tmp_path / "secret.txt").write_text("\n")
    with pytest.raises(InputError, match="is empty"):
        read_secret(tmp_path)
    (tmp_path / "secret.txt").unlink()
    assert read_secret(tmp_path) == read_secret(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["secret.txt"]
