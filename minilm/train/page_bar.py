"""A progress bar on a notebook's page: a line of HTML that changes in place, and no widget.

A widget is gone when a notebook is opened again ("model not found"), and a bar on stderr is a pink
box. This one ends as a sentence, or leaves nothing at all.
"""

import html
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

OFTEN = 0.1  # seconds between two drawings
MARK = {"minilm": {"bar": True}}  # of its output: nothing that a stored lesson keeps


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this code; that its package is loaded says nothing."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None


class PageBar:
    """Counts steps on the page; has what `tqdm` has and the package uses.

    Args:
        iterable: what to walk through; then `for x in bar` counts.
        total: of the units; None: not known.
        done: of these, at the start.
        unit: of what is counted; "B" is told in MB.
        title: what stands before the bar.
        keep: leave a sentence behind, such as "400 of 400 steps in 12 s".
    """

    def __init__(
        self,
        iterable: Iterable[Any] | None = None,
        *,
        total: int | None = None,
        done: int = 0,
        unit: str = "step",
        title: str | None = None,
        keep: bool = False,
    ) -> None:
        self.iterable, self.unit, self.title, self.keep = iterable, unit, title, keep
        self.total = len(iterable) if total is None and hasattr(iterable, "__len__") else total
        self.first = self.n = done
        self.notes: dict[str, str] = {}
        self.began = self.drawn = time.monotonic()
        self._lock = threading.Lock()  # several threads may train, each with steps of its own
        self._handle: Any = None
        self._show(self._html())

    def update(self, count: int = 1) -> None:
        """Some more are done."""
        with self._lock:
            self.n += count
            now = time.monotonic()
            if now - self.drawn < OFTEN:
                return
            self.drawn = now
        self._show(self._html())

    def set_postfix(self, notes: dict[str, str], refresh: bool = True) -> None:
        """What stands behind the bar."""
        self.notes = dict(notes)

    def write(self, line: str, file: Any = None) -> None:
        """Print below the bar."""
        print(line, file=file or sys.stdout)

    def close(self) -> None:
        """Leave a sentence, or nothing."""
        if self._handle is None:
            return
        seconds = time.monotonic() - self.began
        said = f"{self._count()} in {seconds:.0f} s{self._behind()}" if self.keep else ""
        self._show(f"<small>{html.escape(said)}</small>" if said else "", said)
        self._handle = None

    def __iter__(self) -> Iterator[Any]:
        with self:
            for item in self.iterable or ():
                yield item
                self.update()

    def __enter__(self) -> "PageBar":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _count(self) -> str:
        scale, unit = (1e6, "MB") if self.unit == "B" else (1, f"{self.unit}s")
        form = "{:,.1f}" if self.unit == "B" else "{:,.0f}"
        of = f" of {form.format(self.total / scale)}" if self.total else ""
        return f"{form.format(self.n / scale)}{of} {unit}"

    def _behind(self) -> str:
        return "".join(f" · {name} {value}" for name, value in self.notes.items())

    def _html(self) -> str:
        share = min(1.0, self.n / self.total) if self.total else 0.0
        fresh, seconds = self.n - self.first, time.monotonic() - self.began
        left = ""
        if self.total and fresh > 0 and seconds > 1:
            left = f" · {seconds * (self.total - self.n) / fresh:.0f} s left"
        title = f"{html.escape(self.title)} " if self.title else ""
        track = (
            '<span style="display:inline-block;width:240px;height:8px;border-radius:4px;margin:0 '
            '10px;background:#D9DEE7;vertical-align:middle"><span style="display:block;height:8px;'
            f'border-radius:4px;width:{100 * share:.1f}%;background:#0072B2"></span></span>'
        )
        said = html.escape(f"{self._count()}{left}{self._behind()}")
        return f'<div class="minilm-bar"><small>{title}{track}{said}</small></div>'

    def _show(self, page: str, text: str = "") -> None:
        from IPython.display import display

        data = {"text/html": page, "text/plain": text or self._count()}
        if not page:
            data = {"text/plain": ""}
        if self._handle is None:
            self._handle = display(data, raw=True, metadata=MARK, display_id=True)
        else:
            self._handle.update(data, raw=True, metadata=MARK)
