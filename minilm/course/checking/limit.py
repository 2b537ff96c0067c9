"""A clock for code that runs in the reader's own process: an endless loop must not hang a notebook.

In the main thread an alarm of the system interrupts the code, even while it sleeps. In other
threads, and where there are no alarms (Windows), a second thread sends the exception instead: then
it arrives with the next line of Python. Neither stops a single call into compiled code.
"""

import ctypes
import linecache
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

SOON = 1e-3  # seconds; an alarm in no time at all would be none


class TimeIsUp(BaseException):
    """The code took too long; not an `Exception`, so that few answers catch it."""


class Clock:
    """How long something may take, and where it stood when that was over.

    Attributes:
        seconds: that it may take.
        place: such as "the line `while True:` of `softmax`", once time is up.
    """

    def __init__(self, seconds: float, is_theirs: Callable[[FrameType], bool]) -> None:
        self.seconds, self.place, self._is_theirs = seconds, "", is_theirs
        self._ends = time.monotonic() + seconds
        self._up = False
        self._base: FrameType | None = None

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._ends - time.monotonic())

    def said(self) -> str:
        """One sentence about time that is up."""
        where = f": it stood in {self.place}" if self.place else ""
        return f"your code was stopped after {self.seconds:g} s{where}"

    def run(self, call: Callable[[], Any]) -> Any:
        """What the call returns.

        Raises:
            TimeIsUp: it took too long, or there was no time left to begin with.
        """
        if not self.left:
            raise TimeIsUp
        tracer = sys.gettrace()
        self._base = sys._getframe()
        alarms = hasattr(signal, "setitimer")
        main = threading.current_thread() is threading.main_thread()
        try:
            return self._with_alarm(call) if alarms and main else self._with_messenger(call)
        finally:
            sys.settrace(tracer)

    def _with_alarm(self, call: Callable[[], Any]) -> Any:
        def ring(number: int, frame: FrameType | None) -> None:
            self._note(frame)
            self._arm()
            raise TimeIsUp

        def end() -> None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, handler)

        handler = signal.signal(signal.SIGALRM, ring)
        began = time.monotonic()
        before, every = signal.setitimer(signal.ITIMER_REAL, self.left or SOON)
        try:
            return call()
        finally:
            _surely(end)
            if before:  # somebody else's alarm goes on
                left = max(SOON, before - (time.monotonic() - began))
                signal.setitimer(signal.ITIMER_REAL, left, every)

    def _with_messenger(self, call: Callable[[], Any]) -> Any:
        thread, over = threading.get_ident(), threading.Event()
        turn = threading.Lock()  # held while a message is sent: none arrives after the call
        clock = self

        class Message(TimeIsUp):
            def __init__(self) -> None:  # runs where it arrives, in the thread that is to stop
                super().__init__()
                clock._arm()

        def watch() -> None:
            if over.wait(self.left):
                return
            with turn:
                if not over.is_set():
                    self._note(sys._current_frames().get(thread))
                    _send(thread, Message)

        def end() -> None:
            with turn:  # a message that was sent arrives here at the latest
                over.set()

        threading.Thread(target=watch, daemon=True, name="minilm-clock").start()
        try:
            return call()
        finally:
            _surely(end)

    def _arm(self) -> None:
        """Raise on every line of theirs from now on: `except:` in a loop swallows only one."""
        for frame in self._theirs(sys._getframe()):
            frame.f_trace = _raise
        sys.settrace(lambda frame, *_: _raise if self._is_theirs(frame) else None)

    def _note(self, frame: FrameType | None) -> None:
        """Keep the innermost line of the reader's code, the first time."""
        innermost = None if self._up else next(self._theirs(frame), None)
        self._up = True
        if innermost is not None:
            code, number = innermost.f_code, innermost.f_lineno
            text = linecache.getline(code.co_filename, number, innermost.f_globals).strip()
            line = f"the line `{text[:120]}`" if text else f"line {number}"
            self.place = f"{line} of `{code.co_name}`"

    def _theirs(self, frame: FrameType | None) -> Iterator[FrameType]:
        """The frames of the reader's code above the call, from the innermost out."""
        while frame is not None and frame is not self._base:
            if self._is_theirs(frame):
                yield frame
            frame = frame.f_back


def _raise(frame: FrameType, event: str, argument: Any) -> Any:
    if event == "line":
        raise TimeIsUp
    return _raise


def _send(thread: int, kind: type[BaseException]) -> None:
    """Raise in another thread."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))


def _surely(end: Callable[[], None]) -> None:
    """Do it, whenever time is up: what arrives in these very lines has nothing to stop any more."""
    while True:
        try:
            end()
            return
        except TimeIsUp:
            continue
