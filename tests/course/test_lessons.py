"""What a lesson must keep to: the budget of an article that is read and run in one sitting."""

import json
from pathlib import Path

import pytest

from minilm.course.build import notebook as nb
from minilm.course.build.lessons import Lesson
from minilm.course.places import Course
from minilm.course.publish.slides import slides_of

COURSE = Course.here(Path(__file__))
LESSONS = [pytest.param(Lesson(path), id=path.stem) for path in COURSE.notebooks]

SECONDS = 75  # on two quiet cores
SOURCE_LINES = 700
SLIDES = 45
VERDICTS = 12
WORDS = (3000, 5000)
SHOWN = 0.40  # of the code lines
HIDDEN = "hide-input"

pytestmark = pytest.mark.parametrize("lesson", LESSONS)


def lines_of(lesson: Lesson, hidden: bool) -> int:
    """Code lines that a reader sees, or does not see."""
    return sum(
        1
        for cell in lesson.cells
        if cell["cell_type"] == "code" and (HIDDEN in nb.tags_of(cell)) == hidden
        for line in cell["source"].splitlines()
        if line.strip()
    )


def test_it_is_short_enough_to_be_read(lesson: Lesson) -> None:
    text = lesson.place.source.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= SOURCE_LINES
    words = sum(len(c["source"].split()) for c in lesson.cells if c["cell_type"] == "markdown")
    assert WORDS[0] <= words <= WORDS[1]


def test_most_of_its_code_is_on_the_page(lesson: Lesson) -> None:
    shown, hidden = lines_of(lesson, hidden=False), lines_of(lesson, hidden=True)
    assert shown >= SHOWN * (shown + hidden)


def test_its_deck_fits_an_hour(lesson: Lesson) -> None:
    assert len(slides_of(lesson)) <= SLIDES


def test_its_verdicts_are_few_and_say_a_sentence(lesson: Lesson) -> None:
    claims = json.loads(lesson.place.claims.read_text(encoding="utf-8"))
    assert 0 < len(claims) <= VERDICTS
    assert [record["claim"] for record in claims if not record["says"]] == []


def test_its_stored_run_kept_to_the_time(lesson: Lesson) -> None:
    assert lesson.notebook["metadata"]["minilm"]["seconds"] <= SECONDS


def test_it_opens_with_a_picture(lesson: Lesson) -> None:
    assert lesson.place.opening.is_file()
    first = next(cell for cell in lesson.cells if cell["cell_type"] == "markdown")
    assert f"{lesson.slug}/{lesson.place.opening.name}" in first["source"]
