"""What a training run shows and keeps: a bar, a log, a plot."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from minilm.errors import InputError
from minilm.files import write_atomically
from minilm.train.page_bar import PageBar, in_notebook

LOG, PLOT = "log.jsonl", "loss.png"

stopped_runs: list[str] = []  # trainings of this process that were interrupted, in words


class Log:
    """One JSON object per line: every step's loss, every evaluation; kept in memory and on disk.

    Args:
        folder: where `log.jsonl` is; None keeps it in memory only.
        upto: of a log that is there already, keep the lines up to this step.
    """

    def __init__(self, folder: Path | None, upto: int = 0) -> None:
        self.path = None if folder is None else folder / LOG
        self.rows: list[dict[str, Any]] = []
        self._file = None
        if self.path is not None:
            if upto:
                self.rows = [row for row in read_log(self.path) if row["step"] <= upto]
            lines = "".join(json.dumps(row) + "\n" for row in self.rows)
            write_atomically(self.path, lines.encode())
            self._file = self.path.open("a", encoding="utf-8")

    def add(self, **row: Any) -> None:
        """Add a line."""
        self.rows.append(row)
        if self._file is not None:
            try:
                self._file.write(json.dumps(row) + "\n")
                self._file.flush()
            except OSError as error:
                raise InputError(f"{self.path} cannot be written: {error.strerror}") from None

    def column(self, name: str) -> tuple[list[int], list[float]]:
        """The steps at which a value was noted, and the values."""
        rows = [row for row in self.rows if name in row]
        return [row["step"] for row in rows], [row[name] for row in rows]

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError:  # a full disk was reported when the line was written
                self._file = None


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; one that a crash cut off ends it."""
    rows: list[dict[str, Any]] = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
                row["step"] = int(row["step"])
            except (ValueError, TypeError, KeyError):
                break
            rows.append(row)
    return rows


def plot_loss(log: Log, path: Path) -> bool:
    """Draw the loss per step and the held-out bits per byte; False where Matplotlib is missing."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return False
    import io

    import numpy as np

    figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    steps, losses = log.column("loss")
    axes.plot(steps, losses, color="0.75", linewidth=0.8, label="loss of each step")
    width = max(1, len(losses) // 50)
    if width > 1:
        smooth = np.convolve(losses, np.full(width, 1 / width), "valid")
        axes.plot(steps[width - 1 :], smooth, color="#0072B2", label=f"mean of {width} steps")
    axes.set_xlabel("step")
    axes.set_ylabel("training loss (nats per token)")
    steps, bits = log.column("bits_per_byte")
    if steps:
        other = axes.twinx()
        other.plot(steps, bits, "o--", color="#D55E00", label="held out")
        other.set_ylabel("held-out bits per byte", color="#D55E00")
    axes.legend(frameon=False, loc="upper right")
    content = io.BytesIO()
    figure.savefig(content, format="png")
    write_atomically(path, content.getvalue())
    return True


def make_bar(
    total: int | None, done: int, shown: bool, unit: str = "step", title: str | None = None
) -> Any:
    """A bar on the notebook's page, or tqdm's on stderr; hidden where nobody would see it move.

    Args:
        total: of the units; None: not known.
        done: of these, at the start.
        shown: False hides it.
        unit: of what is counted; "B" is told in kB and MB.
        title: what stands before the bar.
    """
    if shown and in_notebook():
        return PageBar(total=total, done=done, unit=unit, title=title, keep=True)
    from tqdm import tqdm

    hidden = not shown or not sys.stderr.isatty()
    how = {"unit": unit, "unit_scale": unit == "B", "desc": title}
    return tqdm(total=total, initial=done, disable=hidden, dynamic_ncols=True, **how)


def say(bar: Any, lines: Iterable[str] | str) -> None:
    """Print above the bar."""
    for line in [lines] if isinstance(lines, str) else lines:
        bar.write(line, file=sys.stdout)
    sys.stdout.flush()


def peak_memory() -> int | None:
    """The most memory this process has held, in bytes; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
