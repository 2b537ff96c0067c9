"""A course of one lesson that uses every feature, built and run once for all tests."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from minilm.course.build import notebook as nb
from minilm.course.build import sources as build
from minilm.course.build.lessons import Lesson
from minilm.course.build.run import Run, run_lesson, save
from minilm.course.publish.board import BEGIN, END

FIXTURES = Path(__file__).parent / "fixtures"


def executed_lessons() -> list[Path]:
    """The lessons as they were executed: by the run that CI keeps, else as they are stored."""
    kept = os.environ.get("MINILM_EXECUTED")
    folder = Path(kept) if kept else Path(__file__).parents[2] / "lessons"
    return sorted(folder.absolute().glob("[0-9]*_*.ipynb"))


@dataclass
class Specimen:
    """A small course on disk and what running its lesson gave."""

    root: Path
    lesson: Lesson
    run: Run


def make_lesson(folder: Path, name: str, text: str) -> Lesson:
    """Write a py:percent lesson and build its notebook, without outputs."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    source = folder / name / "lesson.py"
    source.write_text(text, encoding="utf-8")
    nb.write(folder / f"{name}.ipynb", build.lesson(source, name))
    return Lesson(folder / f"{name}.ipynb")


def make_specimen(root: Path) -> Specimen:
    """Build, run and store the specimen lesson in a course of its own."""
    text = (FIXTURES / "specimen" / "lesson.py").read_text(encoding="utf-8")
    lesson = make_lesson(root / "lessons", "90_specimen", text)
    (root / "CLAIMS.md").write_text(f"# A course\n\n{BEGIN}\n{END}\n", encoding="utf-8")
    run = run_lesson(lesson, progress=False)
    save(run)
    return Specimen(root, Lesson(lesson.path), run)
