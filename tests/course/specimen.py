"""A course of one lesson that uses every feature, built and run once for all tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from minilm.course import build
from minilm.course import notebook as nb
from minilm.course.board import BEGIN, END
from minilm.course.lessons import Lesson
from minilm.course.run import Run, run_lesson, save

FIXTURES = Path(__file__).parent / "fixtures"


@dataclass
class Specimen:
    """A small course on disk and what running its lesson gave."""

    root: Path
    lesson: Lesson
    run: Run


def make_lesson(folder: Path, name: str, text: str) -> Lesson:
    """Write a py:percent lesson and build its notebook, without outputs."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / f"{name}.py"
    source.write_text(text, encoding="utf-8")
    nb.write(source.with_suffix(".ipynb"), build.lesson(source))
    return Lesson(source.with_suffix(".ipynb"))


def make_specimen(root: Path) -> Specimen:
    """Build, run and store the specimen lesson in a course of its own."""
    for name in ("lessons", "solutions"):
        (root / name).mkdir(parents=True)
    text = (FIXTURES / "90_specimen.py").read_text(encoding="utf-8")
    lesson = make_lesson(root / "lessons", "90_specimen", text)
    (root / "README.md").write_text(f"# A course\n\n{BEGIN}\n{END}\n", encoding="utf-8")
    run = run_lesson(lesson, progress=False)
    save(run)
    return Specimen(root, Lesson(lesson.path), run)
