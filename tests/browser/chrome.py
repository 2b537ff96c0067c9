"""Headless Chromium over the DevTools protocol: open, click, type, look, print.

with Chrome() as page:
    page.open("lesson.html")
    page.click("button.next")
    page.wait("document.querySelectorAll('.present').length == 1")
    assert page.errors == [] and page.external_requests() == []
"""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-default-apps --hide-scrollbars "
    "--remote-debugging-port=0"
).split()
LOCAL_HOSTS = {"127.0.0.1", "localhost", "::1"}
MODIFIERS = {"Alt": 1, "Control": 2, "Meta": 4, "Shift": 8}
# key -> (its code, its Windows virtual key code, the text it types)
KEYS = {
    "Enter": ("Enter", 13, "\r"),
    "Tab": ("Tab", 9, ""),
    "Escape": ("Escape", 27, ""),
    "Backspace": ("Backspace", 8, ""),
    "Space": ("Space", 32, " "),
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "ArrowUp": ("ArrowUp", 38, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
    "ArrowDown": ("ArrowDown", 40, ""),
    "PageUp": ("PageUp", 33, ""),
    "PageDown": ("PageDown", 34, ""),
    "Home": ("Home", 36, ""),
    "End": ("End", 35, ""),
}


class PageError(AssertionError):
    """The page did not do what the test asked of it."""


def find_chromium() -> str:
    """The path of a Chromium or Chrome on the PATH."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    raise FileNotFoundError(f"Browser tests need one of {', '.join(NAMES)} on the PATH.")


class Chrome:
    """One headless browser with one page, and a fresh profile that goes with it.

    Args:
        width, height: the window, in CSS pixels.
    """

    def __init__(self, width: int = 1280, height: int = 720) -> None:
        self.size = width, height
        self.errors: list[str] = []  # what the console called an error, exceptions included
        self.warnings: list[str] = []
        self.requests: list[str] = []  # every address asked for, in order
        self.failed_requests: list[str] = []
        self.last_id = 0

    def __enter__(self) -> Self:
        import websocket

        self.profile = Path(tempfile.mkdtemp(prefix="minilm-chrome-"))
        width, height = self.size
        # Inside a container, and as root, Chromium's own sandbox cannot start.
        as_root = hasattr(os, "geteuid") and os.geteuid() == 0
        self.process = subprocess.Popen(
            [
                find_chromium(),
                *FLAGS,
                *(["--no-sandbox", "--disable-dev-shm-usage"] if as_root else []),
                f"--user-data-dir={self.profile}",
                f"--window-size={width},{height}",
                "about:blank",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self.socket = websocket.create_connection(
                self._page_address(), suppress_origin=True, timeout=60
            )
            for domain in ("Page", "Runtime", "Network", "Log"):
                self.send(f"{domain}.enable")
            self.send(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=height,
                deviceScaleFactor=1,
                mobile=False,
            )
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()
        self._stop()

    def _page_address(self) -> str:
        """The WebSocket address of the first page, once the browser is up."""
        note = self.profile / "DevToolsActivePort"  # Chromium writes its port there
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise PageError(f"Chromium ended at once with status {self.process.returncode}.")
            if note.exists() and len(note.read_text().split()) == 2:
                port = note.read_text().split()[0]
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=30) as reply:
                    pages = [entry for entry in json.load(reply) if entry["type"] == "page"]
                if pages:
                    return pages[0]["webSocketDebuggerUrl"]
            time.sleep(0.05)
        raise PageError("Chromium did not open a page within 60 s.")

    def _stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call one method of the DevTools protocol and return its result."""
        self.last_id += 1
        call = self.last_id
        self.socket.send(json.dumps({"id": call, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == call:
                if "error" in message:
                    raise PageError(f"{method}: {message['error']['message']}")
                return message["result"]
            self._note(message)

    def _note(self, event: dict[str, Any]) -> None:
        """Keep what an event says about errors and requests."""
        data = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                details = data["exceptionDetails"]
                thrown = details.get("exception", {})
                self.errors.append(thrown.get("description") or details["text"])
            case "Runtime.consoleAPICalled" if data["type"] in ("error", "assert", "warning"):
                text = " ".join(
                    str(part.get("value", part.get("description", ""))) for part in data["args"]
                )
                (self.warnings if data["type"] == "warning" else self.errors).append(text)
            case "Log.entryAdded" if data["entry"]["level"] == "error":
                entry = data["entry"]
                self.errors.append(f"{entry['text']} ({entry.get('url', '')})")
            case "Network.requestWillBeSent":
                self.requests.append(data["request"]["url"])
            case "Network.webSocketCreated":
                self.requests.append(data["url"])
            case "Network.loadingFailed" if not data.get("canceled"):
                self.failed_requests.append(data["errorText"])

    def external_requests(self) -> list[str]:
        """The addresses asked for that lie outside this machine."""
        schemes = ("http", "https", "ws", "wss")
        parts = ((url, urlsplit(url)) for url in self.requests)
        return [u for u, p in parts if p.scheme in schemes and p.hostname not in LOCAL_HOSTS]

    def open(self, address: str | Path, seconds: float = 30) -> None:
        """Go to an address, or to a file of this machine, and wait until it has loaded."""
        if isinstance(address, Path) or "://" not in address:
            address = Path(address).resolve().as_uri()
        reply = self.send("Page.navigate", url=address)
        if reply.get("errorText"):
            raise PageError(f"{address}: {reply['errorText']}")
        self.wait("document.readyState == 'complete'", seconds)

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        reply = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in reply:
            details = reply["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description") or details["text"])
        return reply["result"].get("value")

    def wait(self, script: str, seconds: float = 20) -> Any:
        """Wait until a JavaScript expression is truthy, and return its value."""
        deadline = time.monotonic() + seconds
        while not (value := self.evaluate(script)):
            if time.monotonic() > deadline:
                raise PageError(f"not within {seconds:g} s: {script}")
            time.sleep(0.1)
        return value

    def pause(self, seconds: float) -> None:
        """Let the page run on, still noting its errors and requests."""
        self.evaluate(f"new Promise(done => setTimeout(done, {1000 * seconds}))")

    def click(self, selector: str, index: int = 0, seconds: float = 20) -> None:
        """Click in the middle of the element that a CSS selector finds, as a mouse would."""
        element = f"document.querySelectorAll({json.dumps(selector)})[{index}]"
        self.wait(f"!!{element}", seconds)
        self.evaluate(f"{element}.scrollIntoView({{block: 'center', inline: 'nearest'}})")
        box = self.evaluate(f"{element}.getBoundingClientRect().toJSON()")
        if not box["width"] or not box["height"]:
            raise PageError(f"{selector} [{index}] takes no space on the page.")
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        self.send("Input.dispatchMouseEvent", type="mouseMoved", **place)
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def type(self, text: str) -> None:
        """Type text into what has the focus."""
        self.send("Input.insertText", text=text)

    def press(self, *keys: str) -> None:
        """Press a key, after its modifiers: `press("Control", "s")`."""
        *held, key = keys
        code, number, text = KEYS.get(key, ("Key" + key.upper(), ord(key.upper()[0]), key))
        flags = sum(MODIFIERS[name] for name in held)
        event: dict[str, Any] = {
            "key": " " if key == "Space" else key,
            "code": code,
            "windowsVirtualKeyCode": number,
            "modifiers": flags,
        }
        if text and not flags & ~MODIFIERS["Shift"]:
            self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **event)
        else:
            self.send("Input.dispatchKeyEvent", type="rawKeyDown", **event)
        self.send("Input.dispatchKeyEvent", type="keyUp", **event)

    def screenshot(self, path: str | Path) -> Path:
        """Save what the window shows as PNG."""
        data = self.send("Page.captureScreenshot", format="png")["data"]
        Path(path).write_bytes(base64.b64decode(data))
        return Path(path)

    def pdf(self, path: str | Path, **options: Any) -> Path:
        """Print to PDF, with options of Page.printToPDF; first wait until the page is ready."""
        choices = {"preferCSSPageSize": True, "printBackground": True} | options
        data = self.send("Page.printToPDF", **choices)["data"]
        Path(path).write_bytes(base64.b64decode(data))
        return Path(path)
