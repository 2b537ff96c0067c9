"""JupyterLab as `minilm lab` serves it: a lesson runs to its end and its controls are alive."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from course.specimen import FIXTURES, executed_lessons, make_lesson

from browser.chrome import Chrome

LESSONS = executed_lessons()
TOKEN = "browser-test"
RUN_SECONDS = 240  # for one notebook, on a busy machine

pytestmark = [pytest.mark.browser, pytest.mark.timeout(RUN_SECONDS + 180)]

WIDGET = "application/vnd.jupyter.widget-view+json"
PROMPTS = "[...document.querySelectorAll('.jp-InputPrompt')].filter(p => {}.test(p.textContent))"
WAITING = PROMPTS.format(r"/\[\*\]/") + ".length"
RUN = PROMPTS.format(r"/\[\d+\]/") + ".length"
IS_RUN = "item => item.textContent.trim() == 'Run')"
# What the cells show, without the controls themselves.
SHOWN = """[...document.querySelectorAll(
    '.jp-OutputArea-output :is(img, svg, pre, table, .jp-RenderedHTMLCommon, .widget-html)'
)].map(part => part.outerHTML).join()"""
HANDLE = "document.querySelectorAll('.widget-slider .noUi-handle')"


class Lab:
    """A running JupyterLab that serves copies of notebooks from `folder`."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port

    def ask(self, path: str) -> dict | list:
        """The server's answer to GET /api/..."""
        url = f"http://127.0.0.1:{self.port}/api{path}?token={TOKEN}"
        with urllib.request.urlopen(url, timeout=10) as reply:
            return json.load(reply)

    def end(self, path: str) -> None:
        """DELETE /api/..., which ends a kernel or a session."""
        url = f"http://127.0.0.1:{self.port}/api{path}?token={TOKEN}"
        urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=10).close()

    def address(self, notebook: str) -> str:
        return f"http://127.0.0.1:{self.port}/lab/tree/lessons/{notebook}?token={TOKEN}"

    def idle(self) -> bool:
        """Whether a kernel is there and has nothing to do."""
        kernels = self.ask("/kernels")
        return bool(kernels) and all(k["execution_state"] == "idle" for k in kernels)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator:
    """Start `minilm lab` on a copy of a notebook, with no settings of the person who tests."""
    started: list[subprocess.Popen] = []

    def start(notebook: Path) -> Lab:
        folder = tmp_path / "lessons"
        folder.mkdir()
        shutil.copy(notebook, folder)
        if notebook.with_suffix("").is_dir():  # its opening picture
            shutil.copytree(notebook.with_suffix(""), folder / notebook.stem)
        settings = tmp_path / "settings" / "@jupyterlab" / "notebook-extension"
        settings.mkdir(parents=True)
        # Cells outside the window stay in the page, where the test can look at them.
        (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
        homes = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
        environment = os.environ | {name: str(tmp_path / name.lower()) for name in homes}
        environment |= {
            "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces"),
            "JUPYTER_TOKEN": TOKEN,
        }
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        log = tmp_path / "server.log"
        with log.open("w") as output:
            server = subprocess.Popen(
                [sys.executable, "-m", "minilm", "lab", "--lessons", str(folder)]
                + ["--no-browser", "--port", str(port)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        started.append(server)
        lab = Lab(folder, port)
        deadline = time.monotonic() + 90
        while True:
            try:
                lab.ask("/status")
                return lab
            except (urllib.error.URLError, OSError):
                assert server.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)

    yield start
    for server in started:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def code_cells(path: Path) -> list[dict]:
    """The code cells of a saved notebook that have something to run."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [c for c in cells if c["cell_type"] == "code" and "".join(c["source"]).strip()]


def run_all(page: Chrome, lab: Lab, path: Path) -> None:
    """Choose Run All Cells in the menu, wait until the kernel is done, and save."""
    page.wait("document.querySelectorAll('.jp-Notebook .jp-Cell').length > 0", 60)
    deadline = time.monotonic() + RUN_SECONDS
    while not lab.idle():
        assert time.monotonic() < deadline, "the kernel did not start"
        page.pause(0.2)
    run = page.evaluate("[...document.querySelectorAll('.lm-MenuBar-item')].findIndex(" + IS_RUN)
    page.click_on(".lm-MenuBar-item", run)
    page.click_on("li.lm-Menu-item[data-command='runmenu:run-all']")
    page.wait(f"{WAITING} > 0 || {RUN} > 0")
    quiet = 0
    while quiet < 5:  # idle for a second: between two cells it is idle only for a moment
        assert time.monotonic() < deadline, f"not done within {RUN_SECONDS} s"
        page.pause(0.2)
        quiet = quiet + 1 if lab.idle() and page.evaluate(f"{WAITING} == 0") else 0
    while any(cell["execution_count"] is None for cell in code_cells(path)):
        assert time.monotonic() < deadline, "not every cell was run and saved"
        page.key("s", modifiers=2)
        page.pause(1)


def move_sliders(page: Chrome) -> int:
    """Move every slider by a step and wait until something shown changes; return their number."""
    count = page.evaluate(f"{HANDLE}.length")
    for index in range(count):
        page.evaluate(f"{HANDLE}[{index}].scrollIntoView({{block: 'center'}})")
        page.evaluate(f"window.before = {SHOWN}")
        page.evaluate(f"{HANDLE}[{index}].focus()")
        at, top = page.evaluate(
            f"['aria-valuenow', 'aria-valuemax'].map(a => +{HANDLE}[{index}].getAttribute(a))"
        )
        page.key("ArrowLeft" if at >= top else "ArrowRight")
        page.wait(f"window.before != {SHOWN}", 30)
    return count


def type_texts(page: Chrome) -> int:
    """Type into every field and wait until something shown changes; return their number."""
    fields = "document.querySelectorAll('.widget-text input')"
    count = page.evaluate(f"{fields}.length")
    for index in range(count):
        page.evaluate(f"window.before = {SHOWN}")
        page.click_on(".widget-text input", index)
        page.key("a", modifiers=2)
        page.type("the list of the list")
        page.key("Enter")
        page.wait(f"window.before != {SHOWN}", 30)
    return count


def check(page: Chrome, lab: Lab, notebook: Path, picture: Path) -> None:
    """Run a notebook to its end and use its controls, with no error anywhere."""
    path = lab.folder / notebook.name
    page.goto(lab.address(notebook.name))
    run_all(page, lab, path)
    outputs = [output for cell in code_cells(path) for output in cell["outputs"]]
    failed = [output["evalue"] for output in outputs if output["output_type"] == "error"]
    assert failed == []
    has_widgets = any(WIDGET in output.get("data", {}) for output in outputs)
    moved = move_sliders(page) + type_texts(page)
    picture.write_bytes(page.screenshot())
    assert has_widgets == bool(
        page.evaluate("document.querySelectorAll('.jupyter-widgets').length")
    )
    assert moved or not has_widgets
    assert page.evaluate("!document.querySelector('.jp-Dialog')")  # no question, no news
    assert page.errors == []
    assert page.external_requests() == []


SMALL = [
    ("markdown", "# A small lesson, $x^2$"),
    ("code", "import ipywidgets\nimport minilm"),
    ("code", "@ipywidgets.interact(k=(1, 9))\ndef square(k=3):\n    print(k, k**2)"),
    ("code", "print('the end')"),
]


def test_a_small_notebook_runs_with_its_slider(tmp_path: Path, chrome: Chrome, serve) -> None:
    cells = [
        {"cell_type": kind, "id": f"c{number}", "metadata": {}, "source": text}
        | ({"outputs": [], "execution_count": None} if kind == "code" else {})
        for number, (kind, text) in enumerate(SMALL)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}}
    path = tmp_path / "00_small.ipynb"
    path.write_text(json.dumps(notebook | {"nbformat": 4, "nbformat_minor": 5}))
    lab = serve(path)
    check(chrome, lab, path, tmp_path / "page.png")
    assert chrome.evaluate("document.body.textContent.includes('4 16')")  # 3 and one step


def test_the_specimen_runs_with_every_control(tmp_path: Path, chrome: Chrome, serve) -> None:
    text = (FIXTURES / "specimen" / "lesson.py").read_text(encoding="utf-8")
    lesson = make_lesson(tmp_path / "made", "90_specimen", text)
    lab = serve(lesson.path)
    check(chrome, lab, lesson.path, tmp_path / "page.png")


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_opens_with_all_that_it_shows(
    lesson: Path, tmp_path: Path, chrome: Chrome, serve
) -> None:
    """A lesson as it was executed: pictures and cards are there before anything is run."""
    lab = serve(lesson)
    before = (lab.folder / lesson.name).read_bytes()
    cells = json.loads(before)["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    drawn = sum("image/png" in output.get("data", {}) for output in outputs)
    cards = sum("minilm-claim" in str(output.get("data", {})) for output in outputs)
    chrome.goto(lab.address(lesson.name))
    chrome.wait("document.querySelectorAll('.jp-Notebook .jp-Cell').length > 0", 60)
    shown = "document.querySelectorAll('.jp-OutputArea-output img').length"
    chrome.wait(f"{shown} >= {drawn}", 60)
    assert chrome.evaluate("document.querySelectorAll('.minilm-claim').length") == cards > 0
    assert chrome.evaluate("!document.body.textContent.includes('model not found')")
    assert chrome.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    (tmp_path / "page.png").write_bytes(chrome.screenshot())
    chrome.wait("document.querySelectorAll('.jp-CodeCell .cm-line span').length > 0")  # in colour
    chrome.pause(3)
    assert chrome.evaluate("!document.querySelector('.jp-mod-dirty')")  # nothing to be saved
    assert (lab.folder / lesson.name).read_bytes() == before
    assert chrome.errors == []
    assert chrome.external_requests() == []
