"""Lessons run top to bottom, say where they fail, and store nothing that changes by itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from minilm.cli import main
from minilm.course.build import notebook as nb
from minilm.course.build.lessons import Lesson, find_lessons
from minilm.course.build.run import (
    LessonError,
    claims_in,
    run_lesson,
    stored_outputs,
    warning_in,
)
from minilm.course.build.several import run_lessons
from minilm.errors import InputError

from .specimen import make_lesson

BROKEN = """\
# %% [markdown]
# # Broken

# %%
x = [1, 2]

# %%
print("before")
y = x[5]

# %%
z = 1
"""


def test_the_specimen_ran_and_was_stored(specimen) -> None:
    lesson = specimen.lesson
    assert lesson.title == "A specimen: every feature of a deck"
    assert lesson.said("talk") == "Fixture for the tests of the course"
    counts = [c["execution_count"] for c in lesson.cells if c["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1))
    made = lesson.notebook["metadata"]["minilm"]
    assert "CPU cores" in made["machine"] and made["seconds"] > 0
    assert len(specimen.run.claims) == 2
    stored = json.loads((specimen.root / "lessons/90_specimen/claims.json").read_text("utf-8"))
    assert stored == claims_in(lesson.notebook, lesson)
    assert {record["lesson"] for record in stored} == {"90_specimen"}


def test_every_stored_picture_has_alt_text(specimen) -> None:
    pictures = [
        out
        for cell in specimen.lesson.cells
        for out in cell.get("outputs", [])
        if "image/png" in out.get("data", {})
    ]
    assert len(pictures) == 6
    assert all(len(out["metadata"]["image/png"]["alt"].split()) > 5 for out in pictures)


def test_a_warning_fails_a_lesson(tmp_path: Path) -> None:
    text = "# %%\nimport warnings\nwarnings.warn('old way')\n"
    with pytest.raises(LessonError, match="prints a warning: .*UserWarning: old way"):
        run_lesson(make_lesson(tmp_path, "92_warns", text), progress=False)


def test_lessons_side_by_side(tmp_path: Path) -> None:
    """Both run, in processes of their own, at the same time; one that fails leaves the other be."""
    wait = (
        "# %%\nimport os, pathlib, time\nhere, other = {!r}, {!r}\n"
        "pathlib.Path(here).touch()\n"
        "while not pathlib.Path(other).exists():\n    time.sleep(0.05)\n"
        "print(os.environ['OPENBLAS_NUM_THREADS'])\n{}\n"
    )
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    lessons = [
        make_lesson(tmp_path, "93_well", wait.format(one, two, "")),
        make_lesson(tmp_path, "94_ill", wait.format(two, one, "1 / 0")),
    ]
    gave = {lesson.number: done for lesson, done in run_lessons(lessons, jobs=2, seconds=60)}
    assert gave["93"].notebook["cells"][0]["outputs"][0]["text"] == ["1\n"]
    assert isinstance(gave["94"], LessonError) and "ZeroDivisionError" in str(gave["94"])


@pytest.mark.parametrize(
    ("typed", "said"),
    [(["--jobs", "0"], "--jobs is 0; it must be 1 or more"), (["--jobs", "2", "--save"], "--save")],
)
def test_jobs_that_make_no_sense(
    typed: list[str], said: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(["run", "00", *typed]) == 2
    assert said in capsys.readouterr().err


def test_a_failing_cell_is_named_and_shown(tmp_path: Path) -> None:
    """The pytest plugin shows the message of `minilm run` and none of the machinery."""
    lesson = make_lesson(tmp_path, "91_broken", BROKEN)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.lesson_plugin", "-v", str(tmp_path)]
        + ["-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", os.devnull],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    out = done.stdout
    assert "1 failed, 1 passed, 1 skipped" in out, out + done.stderr
    assert f"91_broken.ipynb, cell 3 of 4 (id {lesson.cells[2]['id']})" in out
    assert "  | y = x[5]" in out
    assert "IndexError: list index out of range" in out
    assert "at line 2: y = x[5]" in out
    assert "\x1b" not in out and "nbclient" not in out


def stream(name: str, text: str) -> dict:
    return {"output_type": "stream", "name": name, "text": text}


def test_what_changes_by_itself_is_not_stored() -> None:
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/plain": "HBox"}
    ours = {**widget, "text/html": "<div>drawn</div>"}
    outputs = [
        stream("stdout", "a\n"),
        stream("stderr", "50%|#####"),
        stream("stdout", "b\n"),
        {"output_type": "display_data", "data": dict(widget), "metadata": {}},
        {"output_type": "display_data", "data": dict(ours), "metadata": {"minilm": {}}},
    ]
    kept = stored_outputs(outputs)
    assert [out["output_type"] for out in kept] == ["stream", "display_data"]
    assert kept[0]["text"] == ["a\n", "b\n"]
    assert set(kept[1]["data"]) == {"text/plain", "text/html"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x.py:3: RuntimeWarning: overflow in exp\n  np.exp(1000)", True),
        ("\x1b[31mDeprecationWarning: gone soon\x1b[0m", True),
        ("  3%|3    | 1/30 [00:01<00:29]", False),
        ("a warning in lower case is prose", False),
    ],
)
def test_warnings_are_told_from_progress(text: str, found: bool) -> None:
    assert (warning_in([stream("stderr", text)]) is not None) == found
    assert warning_in([stream("stdout", text)]) is None


def test_lessons_are_found_by_number_slug_and_path(tmp_path: Path) -> None:
    folder = tmp_path / "lessons"
    names = ["00_start", "00b_kernels", "03a_masks", "03b_norms"]
    for name in reversed(names):
        make_lesson(folder, name, "# %%\nx = 1\n")
    assert [lesson.slug for lesson in find_lessons(folder=folder)] == names
    assert [lesson.slug for lesson in find_lessons(["00"], folder)] == ["00_start"]
    assert [lesson.slug for lesson in find_lessons(["00b"], folder)] == ["00b_kernels"]
    assert find_lessons(["3a"], folder)[0].slug == "03a_masks"
    assert find_lessons(["03b_norms"], folder)[0].number == "03b"
    assert find_lessons([str(folder / "00_start.ipynb")])[0].slug == "00_start"
    with pytest.raises(InputError, match="there is no lesson '07'; there are 00, 00b, 03a, 03b"):
        find_lessons(["07"], folder)
    with pytest.raises(InputError, match="does not exist"):
        find_lessons([str(tmp_path / "none.ipynb")])


def test_title_and_summary_come_from_the_text(tmp_path: Path) -> None:
    text = "# %% [markdown]\n# # Of *masks*\n#\n# Who may [look](x.html) at `whom`.\n"
    lesson = make_lesson(tmp_path, "03_masks", text)
    assert lesson.title == "Of masks"
    assert lesson.summary == "Who may look at whom."
    bare = tmp_path / "04_no_heading.ipynb"
    nb.write(bare, nb.make_notebook([nb.make_cell("code", "x = 1")]))
    assert Lesson(bare).title == "No heading" and Lesson(bare).summary == ""
