"""The map of the course that `minilm lab` opens."""

import re
from pathlib import Path

import pytest

from course.grading import SET, make_course
from minilm.commands import lab
from minilm.course.build import notebook as nb
from minilm.course.build.lessons import Lesson
from minilm.course.checking import progress
from minilm.course.overview import minutes_to_read, page, seconds_to_run
from minilm.course.places import Course

ROOT = Path(__file__).parents[2]


def lesson(folder: Path, text: str, slug: str = SET, **record: int) -> Lesson:
    cells = [nb.make_cell("markdown", f"# A | title\n{text}")]
    path = folder / "lessons" / f"{slug}.ipynb"
    nb.write(path, nb.make_notebook(cells, {"minilm": {"kind": "lesson", **record}}))
    return Lesson(path)


def test_the_map_says_minutes_and_what_is_done(tmp_path: Path) -> None:
    course = Course(make_course(tmp_path / "course"))
    first = lesson(course.root, "*25 minutes\nto read, one to run.*", seconds=70)
    other = lesson(course.root, "word " * 998, "07_other")
    path = tmp_path / "progress.json"
    progress.record(path, SET, "softmax", 4, 4)
    progress.record(path, SET, "merge", 1, 2)
    said = page(course, [first, other], progress.load(path)).splitlines()
    rows = [line for line in said if line.startswith("| 0")]
    assert rows[0] == (
        rf"| 00 | [A \| title](lessons/{SET}.ipynb) | 25 min | 70 s | "
        f"[5 questions](exercises/{SET}.ipynb) | 1 of 5, 5 of 13 points |"
    )
    assert rows[1] == r"| 07 | [A \| title](lessons/07_other.ipynb) | 5 min |  |  |  |"
    assert "1 of 1 parts of minilm run on your code: `softmax`." in said


def test_every_link_of_the_course_s_own_map_leads_somewhere() -> None:
    course = Course(ROOT)
    lessons = [Lesson(path) for path in course.notebooks]
    links = re.findall(r"\]\(([^)]+)\)", page(course, lessons, {}))
    assert len(links) == len(lessons) + len(course.sets)
    assert all((ROOT / link).is_file() for link in links)
    for one in lessons:
        assert 5 <= minutes_to_read(one) <= 60 and 1 <= seconds_to_run(one) <= 90


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list:
    calls: list = []
    monkeypatch.setattr(lab, "serve", lambda *args, **named: calls.append(args))
    return calls


def run_lab(root: Path, *words: str) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    lab.arguments(parser)
    lab.run(parser.parse_args([*words, "--lessons", str(root / "lessons")]))


def test_lab_opens_the_map_or_the_lesson_asked_for(tmp_path: Path, served: list) -> None:
    root = make_course(tmp_path / "course").resolve()
    lesson(root, "text")
    run_lab(root)
    assert served[-1][:2] == (root, root / "COURSE.md") and (root / "COURSE.md").is_file()
    run_lab(root, "00")
    assert served[-1][1] == root / "lessons" / f"{SET}.ipynb"


def test_lab_opens_the_first_lesson_where_no_map_can_be_written(
    tmp_path: Path, served: list, capsys: pytest.CaptureFixture
) -> None:
    root = make_course(tmp_path / "course").resolve()
    lesson(root, "text")
    (root / "COURSE.md").mkdir()
    run_lab(root)
    assert served[-1][1] == root / "lessons" / f"{SET}.ipynb"
    assert "no map of the course" in capsys.readouterr().err


def test_the_kernel_of_lab_says_what_notebooks_hold_already() -> None:
    """Else JupyterLab writes it into the notebook, which then waits to be saved."""
    from jupyter_client.kernelspec import KernelSpecManager

    from minilm.commands._lab_kernel import CourseKernel

    found = KernelSpecManager(kernel_dirs=[str(lab.SETTINGS / "kernels")]).get_kernel_spec(
        "python3"
    )
    metadata = nb.make_notebook([])["metadata"]
    assert CourseKernel.language_info == metadata["language_info"]
    assert found.display_name == metadata["kernelspec"]["display_name"]
    assert found.argv[-1].endswith(f"{CourseKernel.__module__}.{CourseKernel.__name__}")


def test_lab_needs_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for name in lab.HOMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "file" / "nobody"))
    lab._settle()
    import os

    folders = {os.environ[name] for name in lab.HOMES}
    assert len(folders) == len(lab.HOMES) and all("minilm-lab-" in name for name in folders)
    for name in lab.HOMES:
        monkeypatch.delenv(name)
