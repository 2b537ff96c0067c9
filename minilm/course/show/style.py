"""One look for every figure of the course: colours, type sizes, and the picture that carries them.

Colours are Okabe and Ito's (https://jfly.uni-koeln.de/color/), told apart by people with any
common colour blindness; line styles and markers repeat the distinction for those who print in grey.
A figure is drawn on a 12.2 x 5.2 inch page because that is what a 1280 x 720 slide leaves under its
title: the 18-point labels are then 24 pixels tall and can be read from the last row.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minilm.errors import InputError
from minilm.train.page_bar import in_notebook

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#AA4499",
    "#E69F00",
    "#56B4E9",
)
INK, MUTED, FAINT = "#1C2330", "#5B6678", "#D9DEE7"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, INK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STYLES = ("-", "-", "-", "--", "--", "--", ":")
SEQUENTIAL = ("#F7FAFD", "#CFE3F2", "#8DBEDF", "#3E8FC4", "#0A5C96", "#08304F")
DIVERGING = ("#08508A", "#5FA4D0", "#F7F7F7", "#E99A5C", "#A33F00")

PAGE = (12.2, 5.2)  # inches
DPI = 150  # dots per inch of the stored picture: 1.56 dots per slide pixel
PIXELS_PER_INCH = 96  # how large the picture stands on the page

_RC: dict[str, Any] = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "font.family": ["Inter", "DejaVu Sans"],
    "mathtext.fontset": "dejavusans",
    "font.size": 18,
    "axes.titlesize": 19,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.labelsize": 18,
    "axes.labelpad": 8,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 1.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": FAINT,
    "grid.linewidth": 1.0,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 16,
    "ytick.labelsize": 16,
    "lines.linewidth": 3.0,
    "lines.markersize": 9,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 16,
    "legend.handlelength": 1.8,
    "image.interpolation": "nearest",
}


@cache
def _fonts() -> None:
    """Tell matplotlib about the course's own typeface, once."""
    from matplotlib import font_manager

    for path in sorted((Path(__file__).parents[1] / "publish" / "assets" / "fonts").glob("*.ttf")):
        font_manager.fontManager.addfont(path)


@contextmanager
def styled() -> Iterator[None]:
    """The course's matplotlib settings, for the length of a block."""
    import matplotlib

    _fonts()
    with matplotlib.rc_context(_RC):
        yield


def colour_map(diverging: bool = False) -> Any:
    """The course's map from numbers to colours: pale to dark blue, or blue through white to red."""
    from matplotlib.colors import LinearSegmentedColormap

    name, stops = ("diverging", DIVERGING) if diverging else ("sequential", SEQUENTIAL)
    return LinearSegmentedColormap.from_list(f"minilm_{name}", stops)


class Picture:
    """A finished figure: PNG bytes and the words that stand in for them.

    Helpers show it as they make it, so naming the result (`figure = lines(...)`) still draws, and
    ending a cell with it does not draw twice. `show()` draws it again.
    """

    def __init__(self, png: bytes, alt: str, width: int, height: int) -> None:
        self.png, self.alt, self.width, self.height = png, alt, width, height

    def __repr__(self) -> str:
        return f"Picture({self.width} x {self.height} px: {self.alt})"

    def bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Jupyter's data and metadata for this picture (alt text and display width included)."""
        import base64

        data = {"image/png": base64.b64encode(self.png).decode(), "text/plain": self.alt}
        return data, {"image/png": {"alt": self.alt, "width": self.width}, "alt": self.alt}

    def show(self) -> None:
        """Put the picture into the notebook; outside a notebook there is nowhere to put it."""
        if in_notebook():
            from IPython.display import display

            data, metadata = self.bundle()
            display(data, raw=True, metadata=metadata)

    def _ipython_display_(self) -> None:
        """Already shown when it was made."""


def need_alt(alt: str) -> str:
    """The alt text, or a refusal when there is none worth the name."""
    if not isinstance(alt, str) or len(alt.split()) < 4:
        raise InputError(
            f"alt is {alt!r}; it must say in a sentence what the figure shows, for those who "
            "cannot see it"
        )
    return " ".join(alt.split())


def render(figure: Figure, alt: str, photographs: bool = False) -> Picture:
    """Draw `figure` into PNG bytes; the same figure gives the same bytes.

    Drawings are stored with 256 colours, a third of the size, since notebooks carry them in git.
    """
    from PIL import Image

    with styled():
        raw = io.BytesIO()
        figure.savefig(raw, format="png", dpi=DPI)
    image = Image.open(raw).convert("RGB")
    if not photographs:
        image = image.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    width, height = figure.get_size_inches() * PIXELS_PER_INCH
    return Picture(buffer.getvalue(), alt, round(width), round(height))


def new_figure(rows: int = 1, columns: int = 1, size: tuple[float, float] | None = None) -> Any:
    """An empty figure in the course's style and its axes (an array when there are several)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size or PAGE, layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.08, wspace=0.06)
    return figure, figure.subplots(rows, columns)


@contextmanager
def figure(
    rows: int = 1, columns: int = 1, *, alt: str, size: tuple[float, float] | None = None
) -> Iterator[Any]:
    """A figure of your own in the course's style, shown when the block ends.

    with figure(1, 2, alt="Loss falls in both panels.") as (left, right):
        lines(steps, {"loss": loss}, ax=left)
        right.plot(...)

    Yields the matplotlib axes: one, or an array of them. `size` is in inches (12.2 x 5.2).
    """
    alt = need_alt(alt)
    with styled():
        sheet, axes = new_figure(rows, columns, size)
        yield axes
        picture = render(sheet, alt)
    picture.show()


def _finish(own: Figure | None, alt: str) -> Picture | None:
    if own is None:  # drawn into a panel of somebody's figure, who shows it
        return None
    picture = render(own, alt)
    picture.show()
    return picture


class Page:
    """The axes a helper draws into, and the figure if it had to make one."""

    def __init__(self, ax: Axes | None, size: tuple[float, float] | None) -> None:
        self.own = None
        if ax is None:
            self.own, ax = new_figure(size=size)
        self.ax: Any = ax
        self.picture: Picture | None = None


@contextmanager
def page(
    ax: Axes | None, alt: str | None, size: tuple[float, float] | None = None
) -> Iterator[Page]:
    """The block in which a helper draws; ends by showing the figure, unless `ax` was given."""
    alt = "" if ax is not None else need_alt(alt or "")
    with styled():
        drawing = Page(ax, size)
        yield drawing
        drawing.picture = _finish(drawing.own, alt)


def name_axes(ax: Axes, xlabel: str, ylabel: str, title: str, xscale: str, yscale: str) -> None:
    """Scales, names of the axes and title."""
    ax.set_xscale(xscale)
    ax.set_yscale(yscale)
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    plain = FuncFormatter(lambda value, _: f"{value:,.10g}")
    for axis, scale in ((ax.xaxis, xscale), (ax.yaxis, yscale)):
        low, high = axis.get_data_interval()
        if scale == "log":
            axis.set_minor_formatter(NullFormatter())
            if 0 < low < high < 1000 * low:  # few decades: ticks at 1, 2 and 5 of each
                crowded = axis is ax.xaxis and high >= 100_000 and high >= 30 * low  # long labels
                axis.set_major_locator(LogLocator(subs=(1,) if crowded else (1, 2, 5)))
                axis.set_major_formatter(plain)
        elif max(abs(low), abs(high)) >= 10_000:
            axis.set_major_formatter(plain)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    if title:
        ax.set_title(title)
