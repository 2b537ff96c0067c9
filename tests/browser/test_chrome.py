"""The driver itself, on a page whose behaviour is known."""

import re
from pathlib import Path

import pytest

from browser.chrome import Chrome
from minilm.course.publish.chrome import BrowserError

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><title>t</title>
<style>
@page {{ size: 400px 300px }} body {{ margin: 0 }} button {{ width: 90px; height: 40px }}
</style>
<body style="background: rgb(255, 0, 0)"><button onclick="this.textContent = 'pressed'">go</button>
<input id="field" onkeydown="window.last = event.key + event.ctrlKey">
<div style="height: 3000px"></div><button id="low" onclick="window.low = true">low</button>
<script>{script}</script>"""


@pytest.fixture
def write(tmp_path: Path):
    def page(script: str = "") -> Path:
        path = tmp_path / "page.html"
        path.write_text(PAGE.format(script=script), encoding="utf-8")
        return path

    return page


def test_click_type_and_key_reach_the_page(chrome: Chrome, write) -> None:
    chrome.goto(write())
    chrome.click_on("button")
    assert chrome.evaluate("document.querySelector('button').textContent") == "pressed"
    chrome.click_on("#low")  # far below the window
    assert chrome.evaluate("window.low") is True
    chrome.click_on("#field")
    chrome.type("softmax ∂")
    assert chrome.evaluate("document.querySelector('#field').value") == "softmax ∂"
    chrome.key("s", modifiers=2)
    assert chrome.evaluate("window.last") == "strue"
    chrome.key("x")
    assert chrome.evaluate("document.querySelector('#field').value") == "softmax ∂x"
    assert chrome.errors == []


def test_errors_of_the_page_are_collected(chrome: Chrome, write) -> None:
    chrome.goto(write("console.error('bad', 7); setTimeout(() => nothing.here)"))
    chrome.pause(0.2)
    assert chrome.errors[0] == "bad 7"
    assert "nothing is not defined" in chrome.errors[1]


def test_requests_are_collected_and_told_apart(chrome: Chrome, write) -> None:
    script = "for (const host of ['outside.invalid', '127.0.0.1:9'])"
    chrome.goto(write(script + "fetch(`http://${host}/x`).catch(() => 0)"))
    chrome.pause(0.2)
    assert chrome.external_requests() == ["http://outside.invalid/x"]
    assert "http://127.0.0.1:9/x" in chrome.requests


def test_what_goes_wrong_is_said(chrome: Chrome, write) -> None:
    chrome.goto(write())
    assert chrome.evaluate("Promise.resolve([1, {a: 2}])") == [1, {"a": 2}]
    with pytest.raises(BrowserError, match="boom"):
        chrome.evaluate("(() => { throw new Error('boom') })()")
    with pytest.raises(BrowserError, match="1 > 2"):
        chrome.wait("1 > 2", seconds=0.2)
    chrome.evaluate("document.querySelector('#low').style.display = 'none'")
    with pytest.raises(BrowserError, match="takes no space"):
        chrome.click_on("#low")


def test_screenshot_and_pdf(chrome: Chrome, write, tmp_path: Path) -> None:
    import matplotlib.image

    chrome.goto(write())
    (tmp_path / "page.png").write_bytes(chrome.screenshot())
    picture = matplotlib.image.imread(tmp_path / "page.png")
    assert picture.shape[:2] == (720, 1280)
    assert picture[600, 600, :3].tolist() == [1, 0, 0]
    pdf = chrome.pdf()
    assert pdf.startswith(b"%PDF-")
    box = re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert [float(side) for side in box.groups()] == pytest.approx([300, 225], abs=0.5)  # in points
