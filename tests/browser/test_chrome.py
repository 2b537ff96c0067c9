"""The driver itself, on a page whose behaviour is known."""

import re

import pytest

from browser.chrome import Chrome, PageError

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
def write(tmp_path):
    def page(script=""):
        path = tmp_path / "page.html"
        path.write_text(PAGE.format(script=script), encoding="utf-8")
        return path

    return page


def test_click_type_and_press_reach_the_page(chrome: Chrome, write) -> None:
    chrome.open(write())
    chrome.click("button")
    assert chrome.evaluate("document.querySelector('button').textContent") == "pressed"
    chrome.click("#low")  # far below the window
    assert chrome.evaluate("window.low") is True
    chrome.click("#field")
    chrome.type("softmax ∂")
    assert chrome.evaluate("document.querySelector('#field').value") == "softmax ∂"
    chrome.press("Control", "s")
    assert chrome.evaluate("window.last") == "strue"
    chrome.press("x")
    assert chrome.evaluate("document.querySelector('#field').value") == "softmax ∂x"
    assert chrome.errors == []


def test_errors_of_the_page_are_collected(chrome: Chrome, write) -> None:
    script = "console.error('bad', 7); setTimeout(() => nothing.here); console.warn('careful')"
    chrome.open(write(script))
    chrome.pause(0.2)
    assert chrome.errors[0] == "bad 7"
    assert "nothing is not defined" in chrome.errors[1]
    assert chrome.warnings == ["careful"]


def test_requests_are_collected_and_told_apart(chrome: Chrome, write) -> None:
    chrome.open(write("fetch('http://outside.invalid/x').catch(() => 0)"))
    chrome.pause(0.2)
    assert chrome.external_requests() == ["http://outside.invalid/x"]
    assert any(url.startswith("file:") for url in chrome.requests)


def test_evaluate_awaits_and_says_what_was_thrown(chrome: Chrome, write) -> None:
    chrome.open(write())
    assert chrome.evaluate("Promise.resolve([1, {a: 2}])") == [1, {"a": 2}]
    with pytest.raises(PageError, match="boom"):
        chrome.evaluate("(() => { throw new Error('boom') })()")
    with pytest.raises(PageError, match="not within"):
        chrome.wait("1 > 2", seconds=0.2)
    with pytest.raises(PageError, match="takes no space"):
        chrome.evaluate("document.querySelector('#low').style.display = 'none'")
        chrome.click("#low")


def test_screenshot_and_pdf(chrome: Chrome, write, tmp_path) -> None:
    import matplotlib.image

    chrome.open(write())
    picture = matplotlib.image.imread(chrome.screenshot(tmp_path / "page.png"))
    assert picture.shape[:2] == (720, 1280)
    assert picture[600, 600, :3].tolist() == [1, 0, 0]
    pdf = chrome.pdf(tmp_path / "page.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-")
    box = re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert [float(side) for side in box.groups()] == pytest.approx([300, 225], abs=0.5)  # in points
