"""The page that `minilm lab` opens, and a lesson that was run, saved and opened again."""

import json
from pathlib import Path

import pytest
from course.specimen import FIXTURES, make_lesson

from browser.chrome import Chrome
from browser.test_lab import TOKEN, WIDGET, run_all, serve

__all__ = ["serve"]  # the fixture

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def specimen(folder: Path) -> Path:
    text = (FIXTURES / "specimen" / "lesson.py").read_text(encoding="utf-8")
    return make_lesson(folder / "made", "90_specimen", text).path


def test_lab_opens_on_the_map(tmp_path: Path, chrome: Chrome, serve) -> None:
    lab = serve(specimen(tmp_path))
    chrome.goto(f"http://127.0.0.1:{lab.port}/?token={TOKEN}")
    link = ".jp-RenderedMarkdown table a"
    chrome.wait(f"document.querySelectorAll('{link}').length > 0", 60)
    (tmp_path / "map.png").write_bytes(chrome.screenshot())
    chrome.click_on(link)
    chrome.wait("document.querySelectorAll('.jp-Notebook .jp-Cell').length > 0", 60)
    assert chrome.errors == [] and chrome.external_requests() == []


def test_a_lesson_opened_again_shows_what_it_showed(tmp_path: Path, chrome: Chrome, serve) -> None:
    lab = serve(specimen(tmp_path))
    path = lab.folder / "90_specimen.ipynb"
    chrome.goto(lab.address(path.name))
    run_all(chrome, lab, path)
    saved = path.read_bytes()
    assert WIDGET in saved.decode()  # it was saved with its controls alive
    outputs = [o for c in json.loads(saved)["cells"] for o in c.get("outputs", [])]
    drawn = sum("image/png" in output.get("data", {}) for output in outputs)
    for kernel in lab.ask("/kernels"):
        lab.end(f"/kernels/{kernel['id']}")
    chrome.goto(lab.address(path.name) + "&reset")
    chrome.wait("document.querySelectorAll('.jp-Notebook .jp-Cell').length > 0", 60)
    chrome.wait(f"document.querySelectorAll('.jp-OutputArea-output img').length >= {drawn}", 60)
    chrome.pause(5)
    (tmp_path / "again.png").write_bytes(chrome.screenshot())
    assert chrome.evaluate("!document.body.textContent.includes('model not found')")
    assert path.read_bytes() == saved
