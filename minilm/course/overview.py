"""The page that `minilm lab` opens: every lesson, its minutes, its exercises, and what is done."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from minilm.course.build.lessons import Lesson
from minilm.course.build.notebook import source_of
from minilm.course.checking import progress
from minilm.course.checking.questions import ExerciseSet, load_set
from minilm.course.places import Course
from minilm.files import write_text

WORDS_A_MINUTE = 200
_TO_READ = re.compile(r"(\d+) minutes? to read")


def minutes_to_read(lesson: Lesson) -> int:
    """What the lesson's opening says, else a guess by its words."""
    texts = [source_of(cell) for cell in lesson.cells if cell["cell_type"] == "markdown"]
    for text in texts[:3]:
        if said := _TO_READ.search(" ".join(text.split())):
            return int(said[1])
    return max(1, round(len(" ".join(texts).split()) / WORDS_A_MINUTE))


def seconds_to_run(lesson: Lesson) -> int | None:
    """What the stored run took; None where none is stored."""
    record = lesson.notebook["metadata"].get("minilm")
    seconds = record.get("seconds") if isinstance(record, dict) else None
    return seconds if isinstance(seconds, int) else None


def page(course: Course, lessons: Sequence[Lesson], done: dict) -> str:
    """The map as Markdown, its links relative to the course's folder."""
    sets = {name: load_set(one.tests) for name, one in course.sets.items()}
    rows = [_row(course, lesson, sets.get(lesson.slug), done) for lesson in lessons]
    ours, parts = progress.ledger(list(sets.values()), done)
    lines = [
        "# The course, on this machine",
        "",
        "A lesson is read from top to bottom; Shift+Enter runs a cell. Its exercises are checked "
        'as you write them, by `check("...")`.',
        "",
        "| | lesson | to read | to run | exercises | done |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        f"{len(ours)} of {len(parts)} parts of minilm run on your code"
        + (f": {', '.join(f'`{name}`' for name in ours)}." if ours else "."),
        "",
        "`minilm progress` says the same in a terminal, and `minilm progress --train` trains a "
        "model made of your code. `minilm lab` writes this page anew whenever it starts.",
    ]
    return "\n".join(lines) + "\n"


def _row(course: Course, lesson: Lesson, one: ExerciseSet | None, done: dict) -> str:
    title = lesson.title.replace("|", "\\|")
    link = f"[{title}](lessons/{lesson.path.name})"
    seconds = seconds_to_run(lesson)
    run = "" if seconds is None else f"{seconds} s" if seconds < 90 else f"{seconds / 60:.0f} min"
    asked = state = ""
    exercise = course.root / "exercises" / lesson.path.name
    if one is not None and exercise.is_file():
        many = len(one.questions)
        passed = sum(progress.is_passed(one, question, done) for question in one.questions)
        mine = done.get(one.name, {})
        points = sum(mine.get(question.name, {}).get("points", 0) for question in one.questions)
        asked = f"[{many} questions](exercises/{exercise.name})"
        mark = "✓ " if passed == many else ""
        state = f"{mark}{passed} of {many}, {points:g} of {one.points:g} points"
    cells = (lesson.number, link, f"{minutes_to_read(lesson)} min", run, asked, state)
    return f"| {' | '.join(cells)} |"


def write_page(course: Course, lessons: Sequence[Lesson]) -> Path:
    """Write the map into the course's folder.

    Raises:
        InputError: the folder cannot be written.
    """
    done = progress.load(progress.progress_path(course.root))
    write_text(course.overview, page(course, lessons, done))
    return course.overview
