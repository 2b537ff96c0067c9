"""The grader with honest people: clumsy notebooks, odd files, and results one can rely on."""

import csv
import io
import json
import os
from pathlib import Path

import pytest

from course.grading import SET, grade_cells, make_course, points, write_submission
from course.hostile import HONEST
from minilm.cli import main
from minilm.course.grade.results import Grade
from minilm.course.grade.run import grade_paths
from minilm.course.places import Course
from minilm.errors import InputError

FULL = {"softmax": 4, "layer_norm": 2, "merge": 2, "momentum": 3, "greedy": 2}
STUB = 'def softmax(x):\n    """Spec."""\n    raise NotImplementedError("your turn")\n'
S, REST = HONEST["softmax"], [HONEST[n] for n in ("layer_norm", "merge", "momentum", "greedy")]
IMPORTS = HONEST["imports"]
BODY = S.replace("def softmax(x):", "def softmax(x):\n    x = np.asarray(x)")

CLUMSY = {
    "as meant": [IMPORTS, S, *REST],
    "all in one cell": ["\n".join([IMPORTS, S, *REST])],
    "stub after the copy": [IMPORTS, S, *REST, STUB],
    "stub before the copy": [IMPORTS, STUB, S, *REST],
    "copied twice": [IMPORTS, S, S, *REST, *REST],
    "written twice, the last counts": [IMPORTS, "def softmax(x):\n    return x", S, *REST],
    "backwards": [*reversed(REST), S, IMPORTS],
    "imports deleted": [S, *REST],
    "split from its helper": [
        IMPORTS,
        "def softmax(x):\n    return divide(np.exp(x - x.max(-1, keepdims=True)))",
        *REST,
        "def divide(z):\n    return z / z.sum(-1, keepdims=True)",
    ],
    "magics": ["%matplotlib inline\n" + IMPORTS, "%%time\n" + S, "!pip install x", *REST, "x?"],
    "a cell of another language": [IMPORTS, S, "%%bash\nfor i in 1 2; do\n echo $i\ndone", *REST],
    "broken cell elsewhere": [IMPORTS, "def oops(:\n    return", S, *REST, "1 / 0", "undefined"],
    "broken line in the same cell": [IMPORTS, S + "\nprint 'old python'\n", *REST],
    "broken function in the same cell": [IMPORTS, "def oops(:\n    return 1\n\n" + S, *REST],
    "an error before the definition": [IMPORTS, "1 / 0\n" + S, *REST],
    "name used for a result": [IMPORTS, S, *REST, "softmax = softmax(np.ones((2, 2)))"],
    "plots": [
        "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nax.plot([1, 2])\nplt.show()",
        "from tqdm.auto import tqdm\nfor i in tqdm(range(3)): pass",
        "from ipywidgets import interact\n@interact(a=(0, 9))\ndef show(a): return a",
        IMPORTS,
        S,
        *REST,
    ],
    "checks and payoffs left in": [
        IMPORTS,
        S,
        'check("softmax")',
        '@payoff("softmax")\ndef run():\n    raise SystemExit',
        "with minilm.use(softmax=softmax):\n    1 / 0",
        *REST,
    ],
    "a cast more": [IMPORTS, BODY, *REST],
    "a lambda": [
        IMPORTS,
        "softmax = lambda x: np.exp(x - x.max(-1, keepdims=True)) / "
        "np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True)",
        *REST,
    ],
}
WRONG = {
    "empty": ([IMPORTS, STUB], dict.fromkeys(FULL, 0)),
    "nothing": ([""], dict.fromkeys(FULL, 0)),
    "one is missing": ([IMPORTS, *REST], FULL | {"softmax": 0}),
    "forgets the maximum": (
        [IMPORTS, S.replace("x - x.max(-1, keepdims=True)", "x"), *REST],
        FULL | {"softmax": 3},
    ),
    "sums over everything": (
        [IMPORTS, S.replace("z.sum(-1, keepdims=True)", "z.sum()"), *REST],
        FULL | {"softmax": 1},
    ),
    "becomes float64": (
        [IMPORTS, S.replace("return z", "return z.astype(float)"), *REST],
        FULL | {"softmax": 0},
    ),
}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_course(tmp_path_factory.mktemp("grade") / "course")


@pytest.fixture(scope="module")
def clumsy(course: Path) -> dict[str, Grade]:
    notebooks = CLUMSY | {name: cells for name, (cells, _) in WRONG.items()}
    return grade_cells(course, course.parent / "clumsy", notebooks)


@pytest.mark.parametrize("name", CLUMSY)
def test_clumsy_notebooks_get_full_marks(clumsy: dict[str, Grade], name: str) -> None:
    assert points(clumsy[name]) == FULL, clumsy[name].notes


@pytest.mark.parametrize("name", WRONG)
def test_partial_credit(clumsy: dict[str, Grade], name: str) -> None:
    grade = clumsy[name]
    said = [t.public for q in grade.questions for t in q.tests]
    assert points(grade) == WRONG[name][1], (grade.notes, said)


def test_a_missing_function_is_named(clumsy: dict[str, Grade]) -> None:
    assert clumsy["one is missing"].questions[0].missing == ["softmax"]
    assert clumsy["nothing"].questions[3].missing == ["Momentum"]


def test_errors_of_cells_name_the_cell(clumsy: dict[str, Grade]) -> None:
    notes = " ".join(clumsy["broken cell elsewhere"].notes)
    assert "code cell 2: the cell is no valid Python" in notes
    assert "ZeroDivisionError" in notes and "undefined" in notes


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path there."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_a_regrade_gives_the_same_bytes(course: Path, tmp_path: Path) -> None:
    folder = tmp_path / "subs"
    folder.mkdir()
    write_submission(folder / "ann.ipynb", [IMPORTS, S, *REST])
    write_submission(folder / "bob.ipynb", [IMPORTS, "raise ValueError(object())", STUB, *REST])
    options = ["--root", str(course), "--seconds", "5"]
    for jobs in ("1", "2"):
        out = ["--out", str(tmp_path / jobs), "--jobs", jobs]
        assert main(["grade", str(folder), *options, *out]) == 0
    first, again = files_in(tmp_path / "1"), files_in(tmp_path / "2")
    assert first == again
    each = ("feedback/{}.html", "gradescope/{}.json", "records/{}.json")
    pages = {name.format(who) for name in each for who in ("ann", "bob")}
    assert set(first) == {"grades.csv", "report.html", *pages}
    rows = list(csv.DictReader((tmp_path / "1" / "grades.csv").open()))
    assert [(row["student"], row["points"], row["max"]) for row in rows] == [
        ("ann", "13", "13"),
        ("bob", "9", "13"),
    ]
    assert rows[1]["softmax"] == "0" and rows[1]["greedy"] == "2"


def test_one_notebook_gives_gradescope_results(course: Path, tmp_path: Path) -> None:
    student = tmp_path / "carol"
    student.mkdir()
    path = write_submission(student / f"{SET}.ipynb", [IMPORTS, S, *REST[1:]])
    grades, _, _ = grade_paths([path], course=Course(course), out=tmp_path / "out", seconds=5)
    assert grades[0].submission.student == "carol"
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert (results["score"], results["extra_data"]["max_score"]) == (11, 13)
    assert sum(test["score"] for test in results["tests"]) == 11
    failed = [test for test in results["tests"] if test["status"] == "failed"]
    assert [test["name"] for test in failed] == ["layer_norm: every row has mean 0 and variance 1"]


def test_hidden_cases_differ_between_students_and_secrets(course: Path) -> None:
    from minilm.course.checking.questions import load_set, run_test

    seen = []

    class Spy:
        def softmax(self, x: object) -> object:
            seen.append(x)
            return x

        def call_inplace(self, name: str, x: object) -> tuple[object, list[object]]:
            return x, [x]

    test = load_set(course / "lessons" / SET / "tests.py").questions[0].tests[1]
    for words in (("s", "ann"), ("s", "ann"), ("s", "bob"), ("t", "ann")):
        run_test(test, Spy(), "hidden", SET, "softmax", *words)
    assert seen[0][2] == seen[1][2]
    assert len({float(x[2]) for x in seen}) == 3


ODD_FILES = {
    "truncated": (b'{"cells": [{"cell_type": "code", "source": "x', "cut off"),
    "empty": (b"", "empty"),
    "blanks": (b" \n ", "empty"),
    "nul": (b'{"cells"\0: []}', "NUL"),
    "binary": (bytes(range(256)), "not a notebook"),
    "deep": (b'{"cells": ' + b"[" * 200_000, "nested too deep"),
    "list": (b"[1, 2]", "no list of cells"),
    "cells are a dict": (b'{"cells": {"a": 1}}', "no list of cells"),
    "odd cells": (b'{"cells": [1, null, {"cell_type": "code", "source": 7}, {"source": "x"}]}', ""),
    "a number too long": (b'{"cells": ' + b"9" * 10_000 + b"}", "not a notebook"),
    "utf-16": ('{"cells": []}'.encode("utf-16"), "not a notebook"),
    "=cmd|calc": (b'{"cells": []}', ""),
    "<b>bold<b>": (b'{"cells": []}', ""),
}


def test_odd_files_cost_only_their_owner(course: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    for name, (data, _) in ODD_FILES.items():
        (folder / f"{name}.ipynb").write_bytes(data)
    huge = folder / "huge.ipynb"
    huge.touch()
    os.truncate(huge, 1 << 30)
    honest = write_submission(folder / "honest.ipynb", [IMPORTS, S, *REST])
    (folder / "thief.ipynb").symlink_to(honest)
    (folder / "passwd.ipynb").symlink_to("/etc/passwd")
    (folder / "nowhere.ipynb").symlink_to(folder / "nothing")
    os.mkfifo(folder / "pipe.ipynb")
    (folder / "a folder.ipynb").mkdir()
    (folder / ".hidden.ipynb").write_text("{}")
    write_submission(folder / "many cells.ipynb", ["x = 1"] * 3000)
    write_submission(folder / "line\nbreak.ipynb", [IMPORTS, S, *REST])
    grades, _, out = grade_paths([folder], course=Course(course), out=tmp_path / "out", seconds=5)
    by_name = {grade.submission.student: grade for grade in grades}
    whole = {"honest", "line\nbreak"}
    assert {name for name, grade in by_name.items() if grade.points} == whole
    assert all(by_name[name].points == 13 for name in whole)
    for name, (_, words) in ODD_FILES.items():
        assert words in " ".join(by_name[name].notes), (name, by_name[name].notes)
    for name, words in {
        "huge": "MB",
        "thief": "link",
        "passwd": "link",
        "nowhere": "link",
        "pipe": "not a file",
        "many cells": "3000 cells",
    }.items():
        assert words in by_name[name].notes[0]
    assert ".hidden" not in by_name
    text = (out / "grades.csv").read_text()
    assert "root:" not in text and "'=cmd|calc" in text
    assert len(list(csv.reader(io.StringIO(text)))) == len(grades) + 1
    assert all("<b>bold" not in p.read_text() for p in (out / "feedback").iterdir())
    assert len(list((out / "feedback").iterdir())) == len(grades)


def test_a_folder_per_student(course: Path, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    for name in ("ann", "bob"):
        (folder / name / "deeper").mkdir(parents=True)
    write_submission(folder / "ann" / "deeper" / f"{SET}.ipynb", [IMPORTS, S])
    older = write_submission(folder / "ann" / "deeper" / f"{SET} copy.ipynb", [IMPORTS])
    os.utime(older, (1e9, 1e9))
    write_submission(folder / "bob" / "mine.ipynb", [IMPORTS, *REST])
    (folder / "eve").mkdir()
    (folder / "eve" / "linked").symlink_to(folder / "ann" / "deeper")
    grades, _, _ = grade_paths([folder], course=Course(course), out=tmp_path / "out", seconds=5)
    assert {g.submission.student: g.points for g in grades} == {"ann": 4, "bob": 9}


def test_mistakes_of_the_lecturer_are_one_sentence(course: Path, tmp_path: Path) -> None:
    path = write_submission(tmp_path / "x.ipynb", [""])
    for options, words in (
        ({"seconds": 0}, "--seconds is 0"),
        ({"memory": 0.1}, "--memory is 0.1"),
        ({"jobs": 0}, "--jobs is 0"),
        ({"hidden": tmp_path / "none"}, "--hidden"),
        ({"set_name": "77"}, "--set is '77'"),
        ({"isolation": "none"}, "no wall"),
    ):
        with pytest.raises(InputError, match=words):
            grade_paths([path], course=Course(course), out=tmp_path / "out", **options)
    with pytest.raises(InputError, match="does not exist"):
        grade_paths([tmp_path / "nobody"], course=Course(course))
    (tmp_path / "bare").mkdir()
    with pytest.raises(InputError, match="no notebook"):
        grade_paths([tmp_path / "bare"], course=Course(course))


def test_without_a_wall_it_says_so(
    course: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = write_submission(tmp_path / "x.ipynb", [IMPORTS, S])
    line = ["grade", str(path), "--root", str(course), "--out", str(tmp_path / "out")]
    assert main([*line, "--isolation", "none"]) == 2
    assert "--unsafe" in capsys.readouterr().err
    assert main([*line, "--isolation", "none", "--unsafe"]) == 0
    assert "WARNING" in capsys.readouterr().err
