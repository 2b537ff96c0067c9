"""How Ctrl-C is heard by work that must end in order."""

import signal
import threading
from types import FrameType
from typing import Any


class Interrupt:
    """Inside, Ctrl-C (or a polite kill) only sets `asked`, so that what is at hand can be finished.

    Whoever works looks at `asked` between two pieces. An exception would not do: Python drops one
    that is raised while a callback of a weak reference runs, its import system's among them. A
    second Ctrl-C raises KeyboardInterrupt at once, as usual. What is ignored stays ignored, as
    under nohup. Outside the main thread, where Python delivers no signals, it does nothing.
    """

    def __enter__(self) -> "Interrupt":
        self.asked = False
        self._before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._hear)
        return self

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def refuse_to_go_on(self) -> None:
        """Go no further if Ctrl-C was pressed.

        Raises:
            KeyboardInterrupt: it was pressed.
        """
        if self.asked:
            raise KeyboardInterrupt

    def __exit__(self, *_: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
