"""Answers for the tests of a set: its own solution with a line changed, as it is in a mistake.

    SET = Solution(Path(__file__).with_name("questions.py"))
    WRONG = [("softmax", 5, SET.changed("softmax", ("axis=-1", "axis=0")))]

`wrong.py` plants mistakes so, with the points that each must get; `right.py` holds answers of
another shape than the solution's, which must get them all.
"""

import ast
from pathlib import Path

from minilm.course.build.notebook import source_of
from minilm.course.build.percent import read_percent
from minilm.course.build.sources import drop_marks
from minilm.errors import InputError


class Solution:
    """The solution of an exercise set, function by function.

    Attributes:
        cells: its code cells, without the marks around what students do not get.
        given: the first of them: the imports, and what a set gives.
    """

    def __init__(self, questions: Path) -> None:
        cells, _ = read_percent(questions)
        self.cells = [drop_marks(source_of(cell)) for cell in cells if cell["cell_type"] == "code"]
        self.given = self.cells[0]

    def right(self, name: str) -> str:
        """The source of one function, as `ast.unparse` writes it.

        Raises:
            InputError: there is none of that name.
        """
        for node in (node for cell in self.cells for node in ast.parse(cell).body):
            if getattr(node, "name", "") == name:
                return ast.unparse(node)
        raise InputError(f"the solution has no function {name}")

    def changed(self, name: str, *changes: tuple[str, str], beside: tuple[str, ...] = ()) -> str:
        """A cell with the function, some of its text replaced; `beside` stand as they are.

        Raises:
            InputError: there is no such function, or it has no such text.
        """
        text = self.right(name)
        for old, new in changes:
            if old not in text:
                raise InputError(f"{name} has no {old!r} that could be changed")
            text = text.replace(old, new)
        return "\n\n".join([self.given, *map(self.right, beside), text])
