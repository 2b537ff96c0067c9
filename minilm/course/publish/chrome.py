"""A small driver for headless Chromium, for PDF export and for tests that look at pages.

It speaks the DevTools protocol (https://chromedevtools.github.io/devtools-protocol/) over a
WebSocket (RFC 6455) written here in a few lines, so that nothing has to be installed but a browser.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from minilm.errors import InputError

_NAMES = (
    "chromium chromium-browser google-chrome google-chrome-stable chrome microsoft-edge msedge"
).split()
_ELSEWHERE = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
_FLAGS = (
    "--headless=new --disable-gpu --no-first-run --no-default-browser-check --disable-extensions "
    "--disable-background-networking --disable-component-update --disable-sync --disable-quic "
    "--disable-default-apps --disable-dev-shm-usage --hide-scrollbars --mute-audio "
    "--force-color-profile=srgb --remote-debugging-port=0 --remote-allow-origins=*"
).split()
_LOCAL = ("file:", "data:", "blob:", "about:", "chrome:", "chrome-error:", "devtools:")


def find_chromium() -> str | None:
    """The browser to use: $MINILM_CHROMIUM, else Chromium, Chrome or Edge where it usually is."""
    named = os.environ.get("MINILM_CHROMIUM")
    if named:
        return shutil.which(named)
    found = (shutil.which(name) for name in (*_NAMES, *_ELSEWHERE))
    return next((path for path in found if path), None)


class BrowserError(RuntimeError):
    """The browser did not start, answer, or reach the state that was waited for."""


class Page:
    """One page of a headless browser, open for the length of a `with` block.

    Args:
        width, height: size of the window in CSS pixels.
        timeout: seconds before a silent browser counts as dead.

    `events` holds every protocol event seen so far; `requests` and `errors` read from it.

    Raises:
        InputError: no Chromium, Chrome or Edge is installed.
    """

    def __init__(self, width: int = 1280, height: int = 720, timeout: float = 60.0) -> None:
        self.size, self.timeout = (width, height), timeout
        self.events: list[dict[str, Any]] = []
        self._count = 0

    def __enter__(self) -> Page:
        browser = find_chromium()
        if browser is None:
            raise InputError(
                "no Chromium was found on PATH; install Chromium, Chrome or Edge, or name one in "
                "MINILM_CHROMIUM"
            )
        self._folder = tempfile.mkdtemp(prefix="minilm-browser-")
        root = sys.platform != "win32" and os.geteuid() == 0
        flags = [*_FLAGS, *(["--no-sandbox"] if root else [])]
        self._process = subprocess.Popen(
            [browser, *flags, f"--user-data-dir={self._folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._socket = _WebSocket(self._address(), self.timeout)
            for domain in ("Page", "Runtime", "Network", "Log"):
                self.call(f"{domain}.enable")
            self.resize(*self.size)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the browser and remove its profile."""
        if hasattr(self, "_socket"):
            self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _address(self) -> str:
        """The WebSocket address of the first page, once the browser has written down its port."""
        port_file = Path(self._folder, "DevToolsActivePort")
        end = time.monotonic() + self.timeout
        while time.monotonic() < end and self._process.poll() is None:
            lines = port_file.read_text().split() if port_file.exists() else []
            if len(lines) == 2:
                with urllib.request.urlopen(f"http://127.0.0.1:{lines[0]}/json") as reply:
                    pages = [target for target in json.load(reply) if target["type"] == "page"]
                if pages:
                    return pages[0]["webSocketDebuggerUrl"]
            time.sleep(0.05)
        raise BrowserError("the browser did not start")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one protocol command and return its result; events that arrive are kept."""
        self._count += 1
        number = self._count
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = self._receive()
            if message.get("id") == number:
                if "error" in message:
                    raise BrowserError(f"{method}: {message['error'].get('message')}")
                return message["result"]

    def _receive(self) -> dict[str, Any]:
        message = json.loads(self._socket.receive())
        if "method" in message:
            self.events.append(message)
        return message

    def goto(self, url: str | Path) -> None:
        """Open a file or an address and wait until it has loaded."""
        address = url.resolve().as_uri() if isinstance(url, Path) else url
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        reply = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in reply:
            details = reply["exceptionDetails"]
            said = details.get("exception", {}).get("description") or details["text"]
            raise BrowserError(f"{said} in {expression[:120]}")
        return reply["result"].get("value")

    def wait(self, expression: str, seconds: float = 30.0) -> Any:
        """Wait until a JavaScript expression is true and return it.

        Raises:
            BrowserError: it was not within `seconds`.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                value = self.evaluate(expression)
            except BrowserError:  # the page is being replaced
                value = None
            if value:
                return value
            time.sleep(0.05)
        raise BrowserError(f"after {seconds:g} s still not true: {expression}")

    def resize(self, width: int, height: int, scale: float = 1.0) -> None:
        """Give the page another size, in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=False,
        )

    def screenshot(self, full: bool = False) -> bytes:
        """The page as PNG; `full` includes what lies below the window."""
        reply = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=full)
        return base64.b64decode(reply["data"])

    def pdf(self) -> bytes:
        """The page as PDF, in the size its style sheet asks for."""
        reply = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        return base64.b64decode(reply["data"])

    def key(self, key: str, modifiers: int = 0) -> None:
        """Press and release a key by its DOM name ("ArrowRight", "Enter", "a"); 2 is Ctrl."""
        codes = {"Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39}
        codes |= {"ArrowDown": 40, "Tab": 9, "Backspace": 8, " ": 32}
        code = codes.get(key) or ord(key[0].upper())
        same = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        text = {} if modifiers & ~8 else text
        self.call("Input.dispatchKeyEvent", type="keyDown", **same, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **same)

    def type(self, text: str) -> None:
        """Insert text where the cursor is, as an input method would."""
        self.call("Input.insertText", text=text)

    def click(self, x: float, y: float) -> None:
        """Press and release the left mouse button at a point."""
        for kind in ("mousePressed", "mouseReleased"):
            self._mouse(kind, x, y)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press at one point, move to another in steps, release."""
        (x0, y0), (x1, y1) = start, end
        self._mouse("mousePressed", x0, y0)
        for k in range(1, 11):
            self._mouse("mouseMoved", x0 + (x1 - x0) * k / 10, y0 + (y1 - y0) * k / 10)
        self._mouse("mouseReleased", x1, y1)

    def _mouse(self, kind: str, x: float, y: float) -> None:
        self.call(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1
        )

    @property
    def requests(self) -> list[str]:
        """Every address the page asked the network for (files and inlined data are not network)."""
        sent = [e["params"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        addresses = [params["request"]["url"] for params in sent]
        return [address for address in addresses if not address.startswith(_LOCAL)]

    @property
    def errors(self) -> list[str]:
        """Uncaught exceptions, console errors and error log entries so far, as sentences."""
        found = []
        for event in self.events:
            params = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                found.append(details.get("exception", {}).get("description") or details["text"])
            elif event["method"] == "Runtime.consoleAPICalled" and params["type"] == "error":
                found.append(" ".join(str(a.get("value", a)) for a in params["args"]))
            elif event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append(f"{params['entry']['text']} {params['entry'].get('url', '')}".strip())
        return found


class _WebSocket:
    """A client for text messages: masked frames out, possibly split frames in (RFC 6455)."""

    def __init__(self, address: str, timeout: float) -> None:
        parts = urlsplit(address)
        host, port = parts.hostname or "127.0.0.1", parts.port or 80
        self._connection = socket.create_connection((host, port), timeout)
        key = base64.b64encode(os.urandom(16)).decode()
        self._connection.sendall(
            f"GET {parts.path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            f"Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._reader = self._connection.makefile("rb")
        if b"101" not in self._reader.readline():
            raise BrowserError("the browser refused the connection")
        while self._reader.readline().strip():
            continue

    def send(self, text: str) -> None:
        self._frame(1, text.encode())

    def _frame(self, kind: int, data: bytes) -> None:
        size = len(data)
        if size < 126:
            head = bytes([0x80 | kind, 0x80 | size])
        elif size < 1 << 16:
            head = bytes([0x80 | kind, 0x80 | 126]) + size.to_bytes(2, "big")
        else:
            head = bytes([0x80 | kind, 0x80 | 127]) + size.to_bytes(8, "big")
        # The mask of zeros leaves the data as it is; it only guards proxies, and there are none.
        self._connection.sendall(head + bytes(4) + data)

    def receive(self) -> str:
        """The next text message, whole."""
        parts = []
        while True:
            first, second = self._exactly(2)
            size = second & 0x7F
            if size >= 126:
                size = int.from_bytes(self._exactly(2 if size == 126 else 8), "big")
            data, kind = self._exactly(size), first & 0x0F
            if kind == 9:
                self._frame(10, data)
            elif kind == 8:
                raise BrowserError("the browser closed the connection")
            elif kind in (0, 1):
                parts.append(data)
                if first & 0x80:
                    return b"".join(parts).decode()

    def _exactly(self, count: int) -> bytes:
        try:
            data = self._reader.read(count)
        except TimeoutError:
            raise BrowserError("the browser does not answer") from None
        if len(data) < count:
            raise BrowserError("the browser is gone")
        return data

    def close(self) -> None:
        self._connection.close()
