"""One source, three notebooks: same bytes, stable ids, small differences, nobody's work lost."""

import difflib
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from course.grading import FIXTURES, SET
from minilm.cli import main
from minilm.course.build import notebook as nb
from minilm.course.build.percent import HEADER, parse_percent, write_percent
from minilm.course.build.sources import build, drop_marks, strip_solution
from minilm.course.places import Course
from minilm.errors import InputError

LESSON = (
    HEADER
    + """
# %% [markdown] slideshow={"slide_type": "slide"}
# ## A lesson
#
# With $x^2$ and *stars*.

# %% slideshow={"slide_type": "fragment"} tags=["hide-input"]
x = 1   # spaces as the author likes them

# %%
print(x)

# %%
print(x)
"""
)


@pytest.fixture
def course(tmp_path: Path) -> Path:
    shutil.copytree(FIXTURES, tmp_path / "c", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "c" / "lessons" / "03_pattern").mkdir()
    source_of(tmp_path / "c").write_text(LESSON)
    build(Course(tmp_path / "c"))
    return tmp_path / "c"


def source_of(course: Path) -> Path:
    return course / "lessons" / "03_pattern" / "lesson.py"


def lesson(course: Path) -> Path:
    return course / "lessons" / "03_pattern.ipynb"


def kinds(course: Path, **options: object) -> dict[str, str]:
    changes = build(Course(course), **options)
    return {str(c.path.relative_to(course)): c.kind for c in changes if c.kind != "same"}


def test_the_same_bytes_from_run_to_run(course: Path) -> None:
    made = {p: p.read_bytes() for p in sorted(course.rglob("*.ipynb"))}
    assert len(made) == 3
    assert kinds(course) == {} and kinds(course, check=True) == {}
    for path in made:
        path.unlink()
    build(Course(course))
    assert made == {p: p.read_bytes() for p in made}


def test_notebooks_are_valid_for_jupyter(course: Path) -> None:
    import nbformat

    for path in course.rglob("*.ipynb"):
        nbformat.validate(nbformat.read(path, 4))


def test_metadata_of_cells_is_kept(course: Path) -> None:
    cells = nb.read(lesson(course))["cells"]
    assert cells[0]["metadata"] == {"slideshow": {"slide_type": "slide"}}
    assert cells[1]["metadata"]["tags"] == ["hide-input"]
    assert nb.source_of(cells[0]) == "## A lesson\n\nWith $x^2$ and *stars*."
    ids = [cell["id"] for cell in cells]
    assert len(set(ids)) == 4 and ids[3] == ids[2] + "-1"


def test_solution_and_exercise(course: Path) -> None:
    solved = nb.read(course / "solutions" / f"{SET}.ipynb")
    empty = nb.read(course / "exercises" / f"{SET}.ipynb")
    assert solved["metadata"]["title"] == "First steps"
    assert empty["metadata"]["minilm"]["name"] == SET
    said = "\n".join(map(nb.source_of, empty["cells"]))
    assert said.count('raise NotImplementedError("your turn")') == 6
    assert "SOLUTION" not in said + "\n".join(map(nb.source_of, solved["cells"]))
    assert "argmax" not in said and "argmax" in json.dumps(solved)
    exec(nb.source_of(empty["cells"][3]), space := {})
    with pytest.raises(NotImplementedError):
        space["softmax"](1)


def test_a_one_line_edit_is_a_small_difference(course: Path) -> None:
    source = source_of(course)
    before = lesson(course).read_text().splitlines()
    source.write_text(source.read_text().replace("x = 1 ", "x = 2 "))
    assert kinds(course, check=True) == {"lessons/03_pattern.ipynb": "stale"}
    assert kinds(course) == {"lessons/03_pattern.ipynb": "written"}
    after = lesson(course).read_text().splitlines()
    changed = [d for d in difflib.ndiff(before, after) if d[0] in "+-"]
    assert len(changed) <= 6  # the line, the cell's id, the fingerprint: out and in


def run_lesson(course: Path) -> None:
    """Put outputs into the notebook, as a run does."""
    notebook = nb.read(lesson(course))
    for number, cell in enumerate(c for c in notebook["cells"] if c["cell_type"] == "code"):
        cell["execution_count"] = number
        text = [f"out {number}\n"]
        cell["outputs"] = [{"name": "stdout", "output_type": "stream", "text": text}]
    notebook["metadata"]["minilm"]["machine"] = "a kind of machine"
    nb.write(lesson(course), notebook)


def outputs(course: Path) -> list[list[str]]:
    cells = nb.read(lesson(course))["cells"]
    return [[o["text"][0] for o in c["outputs"]] for c in cells if c["cell_type"] == "code"]


def test_outputs_of_unchanged_cells_stay(course: Path) -> None:
    run_lesson(course)
    assert kinds(course, check=True) == {}
    source = source_of(course)
    source.write_text(source.read_text().replace("x = 1 ", "x = 2 "))
    build(Course(course))
    assert outputs(course) == [[], ["out 1\n"], ["out 2\n"]]
    assert nb.read(lesson(course))["metadata"]["minilm"]["machine"] == "a kind of machine"


def edit(path: Path, old: str, new: str) -> None:
    """Change a notebook as JupyterLab does: the cell keeps its id, the metadata grows."""
    notebook = nb.read(path)
    for cell in notebook["cells"]:
        cell["source"] = nb.lines_of(nb.source_of(cell).replace(old, new))
        cell["metadata"]["collapsed"] = False
    notebook["metadata"]["language_info"]["version"] = "3.11.7"
    path.write_text(json.dumps(notebook, indent=1))


def test_an_edit_in_jupyterlab_goes_back_to_the_source(course: Path) -> None:
    edit(lesson(course), "x = 1 ", "x = 7 ")
    assert kinds(course, check=True) == {"lessons/03_pattern/lesson.py": "stale"}
    assert kinds(course) == {"lessons/03_pattern/lesson.py": "synced"}
    source = source_of(course).read_text()
    assert source == LESSON.replace("x = 1 ", "x = 7 ")
    assert kinds(course, check=True) == {}


def test_opening_and_saving_is_no_edit(course: Path) -> None:
    edit(lesson(course), "nothing of this kind", "")
    assert kinds(course) == {"lessons/03_pattern.ipynb": "written"}
    assert source_of(course).read_text() == LESSON


def test_two_edits_are_a_conflict_that_loses_nothing(
    course: Path, capsys: pytest.CaptureFixture
) -> None:
    edit(lesson(course), "x = 1 ", "x = 7 ")
    source = source_of(course)
    source.write_text(LESSON.replace("print(x)", "print(x + 1)"))
    before = (source.read_text(), lesson(course).read_text())
    assert main(["build", "--root", str(course)]) == 1
    assert "--from-source or --from-notebook" in capsys.readouterr().out
    assert (source.read_text(), lesson(course).read_text()) == before
    assert main(["build", "--root", str(course), "--from-notebook"]) == 0
    assert "x = 7" in source.read_text() and "x + 1" not in source.read_text()


def test_answers_of_students_are_never_overwritten(course: Path) -> None:
    path = course / "exercises" / f"{SET}.ipynb"
    edit(path, 'raise NotImplementedError("your turn")', "return x")
    work = path.read_text()
    assert kinds(course) == {f"exercises/{SET}.ipynb": "kept"}
    assert path.read_text() == work
    assert kinds(course, check=True) == {f"exercises/{SET}.ipynb": "stale"}
    assert kinds(course, force=True) == {f"exercises/{SET}.ipynb": "written"}


def test_a_source_that_is_gone_is_noticed(course: Path) -> None:
    source_of(course).unlink()
    assert kinds(course, check=True) == {"lessons/03_pattern.ipynb": "stale"}


def test_hidden_code_is_folded_in_jupyterlab(course: Path) -> None:
    hidden, shown = (c["metadata"].get("jupyter") for c in nb.read(lesson(course))["cells"][1:3])
    assert hidden == {"source_hidden": True} and shown is None
    assert "source_hidden" not in source_of(course).read_text()


def test_names_choose(course: Path) -> None:
    assert [c.path.name for c in build(Course(course), ["3"])] == ["03_pattern.ipynb"]
    assert [c.path.parent.name for c in build(Course(course), ["00"])] == ["solutions", "exercises"]
    with pytest.raises(InputError, match="NAME is '9'"):
        build(Course(course), ["9"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("### BEGIN SOLUTION\nx", "never ends"),
        ("x\n### END SOLUTION", "without its BEGIN"),
        ("### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION", "inside another"),
    ],
)
def test_marks_that_do_not_match_are_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        strip_solution(text)


def test_regions() -> None:
    text = "a\n### BEGIN SOLUTION\nb\n### END SOLUTION\nif c:\n    ### BEGIN SOLUTION\n    d\n"
    text += "    ### END SOLUTION"
    assert strip_solution(text) == (
        'a\n# your turn\nif c:\n    raise NotImplementedError("your turn")'
    )
    assert drop_marks(text) == "a\nb\nif c:\n    d"


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from(["code", "markdown"]), st.text("ab #%\n$`\\é", max_size=30)),
        max_size=4,
    )
)
def test_any_notebook_survives_the_way_to_text_and_back(parts: list[tuple[str, str]]) -> None:
    # a cell's outer blank lines and a second "# %%" have no place in py:percent
    cells = [
        nb.make_cell(kind, " ".join(text.replace("%", "").split(" ")).strip())
        for kind, text in parts
    ]
    cells = [c for c in cells if nb.source_of(c)]
    assume(cells)  # the empty text is one empty cell
    made = nb.make_notebook(cells)
    text = write_percent(made)
    again, _ = parse_percent(text)
    assert nb.fingerprint({"cells": again}) == nb.fingerprint(made)
    assert write_percent(made, text) == text


def test_a_cell_that_text_cannot_hold_is_not_taken_over(course: Path) -> None:
    edit(lesson(course), "x = 1 ", "x = '''")
    assert kinds(course) == {"lessons/03_pattern.ipynb": "conflict"}
    assert source_of(course).read_text() == LESSON
