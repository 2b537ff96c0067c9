"""Another budget: which verdicts hang on where training stopped."""

import json
from pathlib import Path

import pytest

from minilm.course import budget
from minilm.course.build.lessons import Lesson
from minilm.course.build.run import run_lesson, save, save_fresh, turned, verdicts_of
from minilm.course.places import Course
from minilm.course.publish import board
from minilm.course.publish.board import BEGIN, END
from minilm.course.show.budget import VARIABLE, parse_budget
from minilm.errors import InputError

from .specimen import make_lesson

# Learning sets in at step 300, so a quarter of 400 steps shows nothing of it.
LESSON = """\
# %% [markdown]
# # Late

# %%
from minilm.course import budget, claim

steps = budget(400)
told = dict(source="this lesson", measure="points", expected="above 0", seconds=0)

# %%
claim("it learns", measured=[max(0, steps - 300 - s) for s in range(3)],
      holds=lambda v: v > 0, **told)

# %%
claim("it was recorded", measured=[1, 2, 3], holds=lambda v: v > 0, recorded=True, **told)

# %%
claim("it was mastered", measured=[1, 2, 3], holds=lambda v: v > 0, until_learnt=True, **told)
"""


def test_a_budget_multiplies_the_steps(monkeypatch) -> None:
    assert budget(800) == 800
    for asked, steps in (("4", 3200), ("1/4", 200), ("0.25", 200), ("1/64", 12)):
        monkeypatch.setenv(VARIABLE, asked)
        assert budget(800) == steps
    assert budget(3) == 1  # a training has at least one step


@pytest.mark.parametrize("text", ["", "many", "0", "-4", "1/0", "65", "1/65", "nan", "inf"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"budget is .*; it must be a number from 1/64 to 64"):
        parse_budget(text)


@pytest.mark.parametrize("steps", [0, -1, 2.0, True, "8"])
def test_steps_that_are_no_count_are_refused(steps) -> None:
    with pytest.raises(InputError, match="steps is .*; it must be a whole number, at least 1"):
        budget(steps)


@pytest.fixture(scope="module")
def late(tmp_path_factory) -> Course:
    """A course of one lesson, run once with its own budget."""
    root: Path = tmp_path_factory.mktemp("budget")
    lesson = make_lesson(root / "lessons", "90_late", LESSON)
    (root / "CLAIMS.md").write_text(f"# A course\n\n{BEGIN}\n{END}\n", encoding="utf-8")
    save(run_lesson(lesson, progress=False))
    return Course(root)


def test_verdicts_at_other_budgets_stand_on_the_board(late: Course) -> None:
    lesson = Lesson(late.notebooks[0])
    (first, *_) = board.stale(late)
    assert "no other budget was tried: it learns; minilm run 90 --budget 1/4 --save" in first

    for asked in ("1/4", "4"):
        other = run_lesson(lesson, progress=False, budget=asked)
        lines = save_fresh(other, "", asked)
        again = run_lesson(lesson, progress=False, budget=asked)
        assert turned(lesson, verdicts_of(again, asked)) == lines
        assert save_fresh(again, "", asked) == lines  # in the place of the first
        assert lines == (["it learns: reproduced -> not reproduced"] if asked == "1/4" else [])

    kept = json.loads(lesson.place.fresh.read_text(encoding="utf-8"))
    assert [(one["seeds"], one["budget"]) for one in kept] == [("", "1/4"), ("", "4")]
    assert "it was recorded" not in kept[1]["verdicts"]  # four times what was recorded: unknown

    said = [board.budget_text(record) for record in board.read_board(late)]
    assert said == [
        "1/4 x: not reproduced; 4 x: the same",
        "1/4 x: the same",
        "trained until learnt",
    ]
    assert [board.fresh_text(record) for record in board.read_board(late)][0] == "not run"
    assert not any("budget" in line for line in board.stale(late))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("STEPS = budget(9)\n", True),
        ("train(model, steps=budget(9))\n", True),
        ("verdicts.budget(cost)\n", False),
        ("def budget(cost):\n    pass\n", False),
        ("no_budget(9)\n", False),
    ],
)
def test_a_lesson_takes_a_budget_where_it_calls_the_function(tmp_path, text, found) -> None:
    make_lesson(tmp_path / "lessons", "90_x", "# %% [markdown]\n# # X\n")
    (tmp_path / "lessons" / "90_x" / "training.py").write_text(text, encoding="utf-8")
    assert board.takes(Course(tmp_path), "90_x", "budget") == found
