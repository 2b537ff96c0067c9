"""Figures made of cells: a matrix as colours, and a grid of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minilm.course.show.style import (
    INK,
    Picture,
    colour_map,
    name_axes,
    need_alt,
    new_figure,
    page,
    render,
    styled,
)
from minilm.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def heatmap(
    matrix: Any,
    *,
    xlabels: Sequence[str] | None = None,
    ylabels: Sequence[str] | None = None,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    alt: str | None = None,
    numbers: str | None = "auto",
    unit: str = "",
    centre: float | None = None,
    low: float | None = None,
    high: float | None = None,
    ax: Axes | None = None,
    size: tuple[float, float] | None = None,
) -> Picture | None:
    """A matrix as coloured cells; NaN cells stay empty.

    Args:
        matrix: (rows, columns); row 0 is drawn on top.
        numbers: format of the number in each cell; "auto" writes them in up to 120 cells.
        unit: what the colour measures, written beside the bar.
        centre: the value that is white, for signed data (blue below, red above).
        alt: what the figure shows, in a sentence (required unless `ax` is given).
    """
    data = np.asarray(matrix, dtype=float)
    if data.ndim != 2 or data.size == 0:
        raise InputError(
            f"matrix has shape {data.shape}; it must have two dimensions and not be empty"
        )
    if numbers == "auto":
        numbers = "{:.2g}" if data.size <= 120 else None
    finite = data[np.isfinite(data)]
    low = (finite.min() if finite.size else 0.0) if low is None else low
    high = (finite.max() if finite.size else 1.0) if high is None else high
    if centre is not None:
        reach = max(high - centre, centre - low) or 1.0
        low, high = centre - reach, centre + reach
    with page(ax, alt, size) as drawing:
        ax = drawing.ax
        colours = colour_map(diverging=centre is not None)
        drawn = ax.imshow(data, cmap=colours, vmin=low, vmax=high, aspect="auto")
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
        name_axes(ax, xlabel, ylabel, title, "linear", "linear")
        if xlabels is not None:
            ax.set_xticks(range(data.shape[1]), [str(label) for label in xlabels])
        if ylabels is not None:
            ax.set_yticks(range(data.shape[0]), [str(label) for label in ylabels])
        ax.tick_params(length=0)
        for (row, column), value in np.ndenumerate(data) if numbers else ():
            if np.isfinite(value):
                red, green, blue, _ = drawn.cmap(drawn.norm(value))
                dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
                paint = "white" if dark else INK
                text = numbers.format(value)
                ax.text(column, row, text, ha="center", va="center", color=paint, fontsize=15)
        bar = ax.figure.colorbar(drawn, ax=ax, label=unit, fraction=0.05, pad=0.02)
        bar.outline.set_visible(False)
    return drawing.picture


def images(
    pictures: Any,
    *,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    alt: str | None = None,
    low: float = 0.0,
    high: float = 1.0,
    size: tuple[float, float] | None = None,
) -> Picture | None:
    """A grid of images.

    Args:
        pictures: (N, height, width) grey, or (N, height, width, 3) colour; values in [low, high].
        titles: a short name over each.
        columns: images per row; by default up to 10.
        alt: what the figure shows, in a sentence.
    """
    data = (np.asarray(pictures, dtype=float) - low) / (high - low)
    if data.ndim not in (3, 4) or len(data) == 0:
        raise InputError(
            f"pictures have shape {data.shape}; it must be (N, height, width) or "
            "(N, height, width, 3)"
        )
    alt = need_alt(alt or "")
    columns = columns or min(len(data), 10)
    rows = -(-len(data) // columns)
    with styled():
        sheet, axes = new_figure(
            rows, columns, size or (12.2, min(5.4, 1.5 + 12.2 / columns * rows))
        )
        for k, ax in enumerate(np.ravel(axes)):
            ax.axis("off")
            if k < len(data):
                grey = {"cmap": "gray", "vmin": 0, "vmax": 1} if data.ndim == 3 else {}
                ax.imshow(np.clip(data[k], 0, 1), **grey)
                if titles is not None and k < len(titles):
                    ax.set_title(str(titles[k]), loc="center", fontsize=15, fontweight="normal")
        picture = render(sheet, alt, photographs=data.ndim == 4)
    picture.show()
    return picture
