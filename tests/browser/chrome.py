"""What tests of pages add to the package's own driver of headless Chromium.

with Chrome() as page:
    page.goto(Path("lesson.html"))
    page.click_on("button.next")
    page.wait("document.querySelectorAll('.present').length == 1")
    assert page.errors == [] and page.external_requests() == []
"""

import json
from urllib.parse import urlsplit

from minilm.course.publish.chrome import BrowserError, Page

THIS_MACHINE = {"127.0.0.1", "localhost", "::1"}


class Chrome(Page):
    """A page that finds by CSS selector what it clicks, and tells local requests from others."""

    def click_on(self, selector: str, index: int = 0, seconds: float = 20) -> None:
        """Click in the middle of the element that a CSS selector finds, as a mouse would.

        Raises:
            BrowserError: it does not appear within `seconds`, or takes no space on the page.
        """
        element = f"document.querySelectorAll({json.dumps(selector)})[{index}]"
        self.wait(f"!!{element}", seconds)
        self.evaluate(f"{element}.scrollIntoView({{block: 'center', inline: 'nearest'}})")
        box = self.evaluate(f"{element}.getBoundingClientRect().toJSON()")
        if not box["width"] or not box["height"]:
            raise BrowserError(f"{selector} [{index}] takes no space on the page.")
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        # A menu takes the entry that the mouse was seen to come to.
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.click(x, y)

    def pause(self, seconds: float) -> None:
        """Let the page run on, still noting its errors and requests."""
        self.evaluate(f"new Promise(done => setTimeout(done, {1000 * seconds}))")

    def external_requests(self) -> list[str]:
        """The addresses asked for that lie outside this machine."""
        return [url for url in self.requests if urlsplit(url).hostname not in THIS_MACHINE]
