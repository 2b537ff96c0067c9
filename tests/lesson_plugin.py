"""A pytest plugin that runs notebooks, one test per code cell, and names the cell that fails.

    python -m pytest -p tests.lesson_plugin lessons

The cells of a notebook share one kernel, started for the first and ended after the last. When one
fails, those after it are skipped: they would fail for its sake.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from minilm.course.build.lessons import Lesson
from minilm.course.build.run import SLOWEST, Kernel, LessonError, code_cells


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare --cell-seconds."""
    parser.addoption(
        "--cell-seconds", type=float, default=SLOWEST, help="limit per cell of a notebook"
    )


def pytest_collect_file(parent: pytest.Collector, file_path: Path) -> pytest.Collector | None:
    """Collect every notebook."""
    if file_path.suffix == ".ipynb" and ".ipynb_checkpoints" not in file_path.parts:
        return Notebook.from_parent(parent, path=file_path)
    return None


class Notebook(pytest.File):
    """A notebook; its kernel lives as long as its cells run."""

    def collect(self) -> Iterator[pytest.Item]:
        lesson = Lesson(self.path)
        self.kernel = Kernel(lesson, self.config.getoption("--cell-seconds"))
        self.running = ExitStack()
        self.started, self.failed = False, ""
        for index in code_cells(lesson.notebook):
            name = f"{index + 1}-{lesson.cells[index].get('id', 'cell')}"
            yield Cell.from_parent(self, name=name, index=index)

    def start(self) -> None:
        """Start the kernel, once."""
        if not self.started:
            self.started = True
            self.running.enter_context(self.kernel.started())

    def teardown(self) -> None:
        self.running.close()


class Cell(pytest.Item):
    """One code cell."""

    def __init__(self, index: int, **rest: Any) -> None:
        super().__init__(**rest)
        self.index = index
        self.add_marker(pytest.mark.timeout(0))  # cells have a limit of their own

    def runtest(self) -> None:
        notebook: Notebook = self.parent  # type: ignore[assignment]
        if notebook.failed:
            pytest.skip(f"after cell {notebook.failed}")
        try:
            notebook.start()
            notebook.kernel.execute(self.index)
        except BaseException:
            notebook.failed = self.name
            raise

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The lesson's own account of the failure, without the machinery's frames."""
        if isinstance(excinfo.value, LessonError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.index, f"{self.path.name}[{self.name}]"
