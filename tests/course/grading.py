"""Grading for tests: notebooks from cells, and one run over a folder of them."""

import shutil
from pathlib import Path

from minilm.course.build import notebook as nb
from minilm.course.build.sources import build
from minilm.course.grade.results import Grade
from minilm.course.grade.run import grade_paths
from minilm.course.places import Course

FIXTURES = Path(__file__).parent / "fixtures"
SET = "00_first_steps"


def make_course(folder: Path) -> Path:
    """A course with one exercise set, built."""
    shutil.copytree(FIXTURES, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "hidden" / "secret.txt").write_text("the secret of the tests\n")
    build(Course(folder))
    return folder


def write_submission(path: Path, cells: list[str]) -> Path:
    """A notebook with these code cells."""
    made = nb.make_notebook(
        [nb.make_cell("code", text) for text in cells],
        {"minilm": {"name": SET, "kind": "exercise"}},
    )
    nb.write(path, made)
    return path


def grade_cells(
    course: Path, folder: Path, notebooks: dict[str, list[str]], **options: object
) -> dict[str, Grade]:
    """Grade notebooks given as cells; returns the grades by name."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, cells in enumerate(notebooks.values()):
        write_submission(folder / f"n{number:03d}.ipynb", cells)
    options = {"out": folder / "out", "seconds": 5.0, **options}
    grades, _, _ = grade_paths([folder], course=Course(course), **options)
    by_student = {grade.submission.student: grade for grade in grades}
    return {name: by_student[f"n{number:03d}"] for number, name in enumerate(notebooks)}


def points(grade: Grade) -> dict[str, float]:
    """Points by question."""
    return {result.question.name: result.points for result in grade.questions}
