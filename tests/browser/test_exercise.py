"""A student in JupyterLab: a wrong answer and its hint, the right one and what it pays."""

from pathlib import Path

import pytest

from browser.chrome import Chrome
from browser.test_lab import Lab, serve
from minilm.course.checking.questions import load_set

__all__ = ["serve"]  # the fixture

ROOT = Path(__file__).parents[2]
EXERCISE = ROOT / "exercises" / "00_start_here.ipynb"

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SHIFT, CTRL = 8, 2
CELLS = "[...document.querySelectorAll('.jp-Notebook .jp-Cell')]"
WRONG = """def softmax(x):
    e = np.exp(x)
    return e / e.sum(axis=-1, keepdims=True)"""
RIGHT = """def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)"""


class Notebook:
    """The open notebook: cells found by what they say, answers typed, cells run."""

    def __init__(self, page: Chrome, lab: Lab) -> None:
        self.page, self.lab = page, lab
        page.goto(lab.address(EXERCISE.name))
        page.wait(f"{CELLS}.length > 20", 60)
        self.settle()

    def settle(self) -> None:
        """Wait until the kernel has been idle for a moment."""
        quiet = 0
        for _ in range(600):
            self.page.pause(0.2)
            quiet = quiet + 1 if self.lab.idle() else 0
            if quiet == 4:
                return
        raise AssertionError("the kernel did not become idle")

    def find(self, start: str) -> int:
        """The number of the code cell that starts so."""
        said = "c.querySelector('.jp-CodeCell .cm-content, .jp-InputArea .cm-content')"
        starts = f"({said}?.innerText ?? '').startsWith({start!r})"
        number = self.page.evaluate(f"{CELLS}.findIndex(c => {starts})")
        assert number >= 0, f"no cell starts with {start!r}"
        return number

    def edit(self, start: str, text: str) -> None:
        """Replace what stands in a cell, as a hand at the keyboard would."""
        self.page.click_on(".jp-Notebook .jp-Cell .cm-content", self._editor(start))
        self.page.key("a", modifiers=CTRL)
        self.page.type(text)

    def run(self, start: str) -> str:
        """Run a cell; returns the text of its output."""
        number = self.find(start)
        self.page.click_on(".jp-Notebook .jp-Cell .cm-content", self._editor(start))
        self.page.key("Enter", modifiers=SHIFT)
        self.settle()
        shown = f"{CELLS}[{number}].querySelector('.jp-Cell-outputArea')"
        return self.page.evaluate(f"{shown}?.innerText ?? ''")

    def _editor(self, start: str) -> int:
        editors = "[...document.querySelectorAll('.jp-Notebook .jp-Cell .cm-content')]"
        cell = f"{CELLS}[{self.find(start)}]"
        return self.page.evaluate(f"{editors}.findIndex(e => {cell}.contains(e))")

    def pictures(self, start: str) -> int:
        """How many pictures a cell shows."""
        cell = f"{CELLS}[{self.find(start)}]"
        return self.page.evaluate(f"{cell}.querySelectorAll('.jp-OutputArea-output img').length")


def test_a_wrong_answer_gets_a_hint_and_the_right_one_its_payoff(
    tmp_path: Path, chrome: Chrome, serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINILM_PROGRESS", str(tmp_path / "progress.json"))
    asked = load_set(ROOT / "lessons" / EXERCISE.stem / "tests.py")
    of, of_all = f"of {asked.question('softmax').points:g} points here", f"of {asked.points:g} in"
    notebook = Notebook(chrome, serve(EXERCISE))
    notebook.run("import math")
    notebook.run("def softmax")  # the stub

    said = notebook.run('check("softmax")')
    assert "not written yet" in said and f"0 {of}" in said
    said = notebook.run('@payoff("softmax")')
    assert "First make" in said and notebook.pictures('@payoff("softmax")') == 0

    notebook.edit("def softmax", WRONG)
    notebook.run("def softmax")
    said = notebook.run('check("softmax")')
    (tmp_path / "wrong.png").write_bytes(chrome.screenshot())
    assert "hint: Subtract each row's largest number first" in said
    assert (
        "✓ 2/2" in said
        and "✗ 0/2" in said
        and f"{asked.question('softmax').points - 2:g} {of}" in said
    )
    assert "Traceback" not in said

    notebook.edit("def softmax", RIGHT)
    notebook.run("def softmax")
    said = notebook.run('check("softmax")')
    assert "✗" not in said and f"{of}, {asked.question('softmax').points:g} {of_all}" in said
    notebook.run('@payoff("softmax")')
    assert notebook.pictures('@payoff("softmax")') == 1
    (tmp_path / "right.png").write_bytes(chrome.screenshot())

    assert chrome.errors == []
    assert chrome.external_requests() == []
