"""The solution with a line changed: the change must be there to be made."""

from pathlib import Path

import pytest

from minilm.course.checking.planted import Solution
from minilm.errors import InputError

QUESTIONS = """# %%
import math

# %%
def half(x):
    ### BEGIN SOLUTION
    return x / 2
    ### END SOLUTION


# %%
def quarter(x):
    ### BEGIN SOLUTION
    return half(half(x))
    ### END SOLUTION
"""


@pytest.fixture
def solution(tmp_path: Path) -> Solution:
    path = tmp_path / "questions.py"
    path.write_text(QUESTIONS)
    return Solution(path)


def test_a_changed_function_stands_beside_the_others(solution: Solution) -> None:
    names: dict = {}
    exec(solution.changed("quarter", ("half(half(x))", "half(x)"), beside=("half",)), names)
    assert names["quarter"](8) == 4 and names["half"](8) == 4 and "math" in names


def test_what_is_not_there_cannot_be_changed(solution: Solution) -> None:
    with pytest.raises(InputError, match=r"half has no 'x \* 2' that could be changed"):
        solution.changed("half", ("x * 2", "x"))
    with pytest.raises(InputError, match="the solution has no function third"):
        solution.right("third")
