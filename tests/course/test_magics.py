"""Cells with magics: what a notebook would run is what the grader runs. IPython is the oracle."""

import subprocess
import sys
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from course.grading import grade_cells, make_course, points
from course.hostile import HONEST
from minilm.sandbox.inside import magics
from minilm.sandbox.inside.cells import FULL, Notebook
from minilm.sandbox.kit import make_kit

# Each defines `value`; a text that a line-by-line reader would spoil is part of most.
CELLS = {
    "a text with a percent line": 'value = """\n%d items\n!x\nwhat?\n"""\n%matplotlib inline',
    "a text with a cell magic": 'value = """\n%%time\n"""\n%pwd',
    "a continued expression": "a, b = 17, 5\n%timeit -n1 -r1 a\nvalue = (a\n% b)",
    "a format over lines": "%pwd\nvalue = ('%d and %d'\n   % (1, 2))",
    "help": "value = 3\nvalue?\nvalue??",
    "help of an attribute": "import math\n?math.pi\nvalue = math.floor(2.5)",
    "a command": "!true\nvalue = 4",
    "a command's output": "found = !true\nvalue = len(found)",
    "a magic's output": "%time value = 5",
    "a magic's value": "value = %time 2 * 3",
    "a magic in a block": "for i in range(3):\n    %time pass\n    value = i",
    "a magic in a function": "def f():\n    %time pass\n    return 8\nvalue = f()",
    "a cell that is timed": '%%time\nvalue = """\n%x\n"""',
    "a cell that is timed, below a blank line": "\n%%time\nvalue = 9",
    "two cell magics": "%%capture\n%%time\nvalue = 10",
    "a cell for another language": "%%bash\nvalue = 11",
    "magics over two lines": "%pwd \\\n  --x\nvalue = 12",
    "prompts that were copied": ">>> value = 13",
    "an indented cell": "    value = 14\n    value += 1",
    "a question in a comment": "%pwd\nvalue = 15  # right?",
    "a dictionary": "%pwd\nvalue = {\n'a': '!x',\n'b': '?'\n}['a']",
    "names": "display(1)\nget_ipython().run_line_magic('pwd', '')\nvalue = type(In), type(Out)",
    "await": "import asyncio\nvalue = await asyncio.sleep(0, 16)",
    "await of a thread": "import asyncio\nvalue = await asyncio.to_thread(sum, [9, 9])",
    "await of tasks": (
        "import asyncio\nasync def f(n):\n    await asyncio.sleep(0.01)\n    return n\n"
        "value = sum(await asyncio.gather(*map(f, range(4))))"
    ),
    "await of a function": "async def f():\n    return 17\nvalue = (await f()) + 1",
    "async for": (
        "async def g():\n    yield 1\n    yield 2\nvalue = 0\nasync for n in g():\n    value += n"
    ),
    "an f-text": '%pwd\nvalue = f"""\n{1 + 1}\n% !\n"""',
}


@pytest.fixture(scope="module")
def shell():
    made = InteractiveShell.instance()
    yield made
    InteractiveShell.clear_instance()


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_means_what_ipython_says(name: str, shell, capsys) -> None:
    shell.user_ns.pop("value", None)
    shell.run_cell(CELLS[name])
    ours = Notebook()
    ours.run(0, CELLS[name], FULL)
    ours.finish()
    assert ours.errors == []
    assert ours.names.get("value") == shell.user_ns.get("value")


def test_valid_python_is_left_as_it_is() -> None:
    source = 'x = """\n%time\n"""\ny = (7\n% 4)\n'
    assert magics.plain_python(source) == source


def test_an_error_keeps_its_line() -> None:
    ours = Notebook()
    ours.run(0, "%%time\n\nx = 1\nx / 0", FULL)
    assert "(in the line `x / 0`)" in ours.errors[0][1]


def test_a_kit_has_the_parser_and_not_ipython(tmp_path: Path) -> None:
    """In the sandbox `IPython` is a fake; the parser is read before, out of the kit."""
    kit = make_kit(tmp_path / "kit") / "answers"
    line = (
        f"import sys; sys.path.insert(0, {str(kit)!r})\n"
        "sys.path[:] = [p for p in sys.path if 'site-packages' not in p]\n"
        "from inside import magics\n"
        "assert 'IPython' not in sys.modules and magics._parser() is not None\n"
        "print(magics.plain_python('x = !ls'), end='')"
    )
    done = subprocess.run([sys.executable, "-S", "-c", line], capture_output=True, text=True)
    assert done.stdout == "x = get_ipython().getoutput('ls')\n", done.stderr


def test_what_passes_in_a_notebook_passes_in_the_grader(tmp_path: Path) -> None:
    course = make_course(tmp_path / "course")
    softmax = HONEST["softmax"].replace("def softmax(x):", "def softmax(x):\n    %time pass", 1)
    text = 'TEXT = """\n%d\n!x\nwhat?\n"""\nassert TEXT.count("%") == 1 and "!x" in TEXT\n%pwd'
    cells = [
        "%load_ext autoreload\n%autoreload 2\n" + HONEST["imports"],
        text,
        "%%time\n" + HONEST["layer_norm"],
        softmax,
        "display(softmax)\nget_ipython()\nIn, Out",
        "from IPython import get_ipython as g\ng().magic('x')",
        "import asyncio\nwaited = await asyncio.sleep(0.01, 3)\nassert waited == 3",
    ]
    (grade,) = grade_cells(course, tmp_path / "in", {"ann": cells}).values()
    assert points(grade)["softmax"] == 4 and points(grade)["layer_norm"] == 2
    assert grade.notes == []
