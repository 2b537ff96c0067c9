"""Lines, bars and dots.

Each helper draws in the course's style, shows itself at once and carries alt text. Values may come
as one number per point, or as an array of shape (seeds, points): then the line is the mean over
seeds and the band reaches from the lowest to the highest seed. Give `ax=` (from `figure(...)`) to
draw into a panel; the figure then owns the alt text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minilm.course.show.style import COLOURS, INK, MARKERS, MUTED, STYLES, Picture, name_axes, page
from minilm.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _series(x: Any, name: str, values: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Points, mean over seeds, and the seeds themselves where there are several."""
    if isinstance(values, tuple) and len(values) == 2:
        x, values = values
    y = np.asarray(values, dtype=float)
    if y.ndim not in (1, 2) or y.size == 0:
        raise InputError(
            f"series {name!r} has shape {y.shape}; it must be one number per point or an array "
            "(seeds, points)"
        )
    at = np.arange(y.shape[-1]) if x is None else np.asarray(x)
    if at.shape != y.shape[-1:]:
        raise InputError(
            f"series {name!r} has {y.shape[-1]} points but x has shape {at.shape}; "
            f"give (x, y) for a series with points of its own"
        )
    return at, (y.mean(0) if y.ndim == 2 else y), (y if y.ndim == 2 and len(y) > 1 else None)


def lines(
    x: Sequence[float] | np.ndarray | None,
    series: Mapping[str, Any],
    *,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    alt: str | None = None,
    xscale: str = "linear",
    yscale: str = "linear",
    expected: Mapping[str, Any] | None = None,
    markers: bool | None = None,
    xlim: tuple[float, float] | None = None,
    ylim: tuple[float, float] | None = None,
    ax: Axes | None = None,
    size: tuple[float, float] | None = None,
) -> Picture | None:
    """Lines over `x`, each named where it ends.

    Args:
        x: shared points, or None to count them.
        series: name -> (points,) or (seeds, points), or an (x, y) tuple for its own points.
        expected: name -> one number (a level) or one per point; drawn dashed in grey.
        markers: dots on the points; by default where there are at most 16.
        alt: what the figure shows, in a sentence (required unless `ax` is given).

    Raises:
        InputError: for no series, a shape that does not fit, or a missing alt text.
    """
    if not series:
        raise InputError("series is empty; it must hold at least one line")
    with page(ax, alt, size) as drawing:
        ax, ends = drawing.ax, []
        for k, (name, values) in enumerate(series.items()):
            at, mean, seeds = _series(x, name, values)
            colour = COLOURS[k % len(COLOURS)]
            dots = len(at) <= 16 if markers is None else markers
            if seeds is not None:
                ax.fill_between(
                    at, seeds.min(0), seeds.max(0), color=colour, alpha=0.18, linewidth=0
                )
            marker = MARKERS[k % len(MARKERS)] if dots else None
            style = STYLES[k % len(STYLES)]
            ax.plot(at, mean, style, color=colour, marker=marker, markeredgecolor="white")
            ends.append((name, at[-1], mean[-1], colour))
        for name, level in (expected or {}).items():
            ends.append((name, *_expected(ax, x, level), MUTED))
        name_axes(ax, xlabel, ylabel, title, xscale, yscale)
        if xscale == "linear" and all(float(v).is_integer() for v in ax.dataLim.intervalx):
            ax.xaxis.get_major_locator().set_params(integer=True)
        if xlim:
            ax.set_xlim(*xlim)
        if ylim:
            ax.set_ylim(*ylim)
        _name_ends(ax, ends)
    return drawing.picture


def _expected(ax: Axes, x: Any, level: Any) -> tuple[float, float]:
    """Draw what theory predicts; returns where the line ends."""
    if np.ndim(level) == 0:
        ax.axhline(level, linestyle=(0, (4, 3)), color=MUTED, linewidth=2)
        return ax.dataLim.x1, float(level)
    at, mean, _ = _series(x, "expected", level)
    ax.plot(at, mean, linestyle=(0, (4, 3)), color=MUTED, linewidth=2)
    return at[-1], mean[-1]


def _name_ends(ax: Axes, ends: list[tuple[str, float, float, str]]) -> None:
    """Write each name at the right edge, level with its line, pushed apart so that none overlap."""
    ends = [end for end in ends if end[0]]
    if not ends:
        return
    ax.get_xlim(), ax.get_ylim()  # settle the limits that transData reads
    to_pixels = ax.transData.transform
    box = ax.get_window_extent()
    heights = [to_pixels((x, y))[1] if np.isfinite(y) else box.y0 for _, x, y, _ in ends]
    step = 25 / 72 * ax.figure.dpi * min(1, 5.2 / len(ends))  # 25 points, less in a crowd
    placed = spread_apart(heights, step, box.y0, box.y1)
    for (name, *_, colour), height in zip(ends, placed, strict=True):
        ax.text(
            1.015,
            (height - box.y0) / box.height,
            name,
            transform=ax.transAxes,
            color=colour,
            va="center",
            ha="left",
            fontsize=16,
            fontweight="bold",
        )


def spread_apart(heights: Sequence[float], step: float, low: float, high: float) -> list[float]:
    """Move `heights` as little as it takes to stand `step` apart inside [low, high]."""
    order = sorted(range(len(heights)), key=lambda k: heights[k])
    out = [min(max(h, low), high) for h in heights]
    for below, above in zip(order, order[1:], strict=False):
        out[above] = max(out[above], out[below] + step)
    if out[order[-1]] > high:
        out[order[-1]] = high
        for above, below in zip(order[::-1], order[-2::-1], strict=False):
            out[below] = min(out[below], out[above] - step)
    return out


def bars(
    labels: Sequence[str],
    values: Any,
    *,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    alt: str | None = None,
    expected: Mapping[str, float] | None = None,
    numbers: str | None = "{:.3g}",
    horizontal: bool | None = None,
    yscale: str = "linear",
    ax: Axes | None = None,
    size: tuple[float, float] | None = None,
) -> Picture | None:
    """Bars, one per label, with their number on top and one dot per seed.

    Args:
        labels: what each bar is; `xlabel` names them, `ylabel` names the values (also lying down).
        values: (bars,) or (seeds, bars), or a mapping name -> such values for groups of bars.
        expected: name -> level, drawn as a dashed line across.
        numbers: format of the number on each bar; None leaves it out.
        horizontal: lay the bars down; by default where labels are long.
        alt: what the figure shows, in a sentence (required unless `ax` is given).
    """
    groups = dict(values) if isinstance(values, Mapping) else {"": values}
    labels = [str(label) for label in labels]
    if horizontal is None:
        horizontal = max(map(len, labels), default=0) * len(labels) > 75
    with page(ax, alt, size) as drawing:
        ax, at = drawing.ax, np.arange(len(labels))
        width = 0.76 / len(groups)
        for k, (name, given) in enumerate(groups.items()):
            _, mean, seeds = _series(at, name or "values", given)
            place = at + (k - (len(groups) - 1) / 2) * width
            draw = ax.barh if horizontal else ax.bar
            colour = COLOURS[k % len(COLOURS)]
            drawn = draw(place, mean, width * 0.94, color=colour, label=name or None)
            tops = mean
            if seeds is not None:
                tops = seeds.max(0)
                _dots(ax, place, seeds, horizontal)
            if numbers:
                _numbers(ax, drawn, mean, tops, numbers, horizontal)
        ends = []
        for name, level in (expected or {}).items():
            named = {"label": name} if horizontal else {}
            (ax.axvline if horizontal else ax.axhline)(
                level, linestyle=(0, (4, 3)), color=MUTED, linewidth=2, zorder=0.9, **named
            )
            ends.append((name, at[-1], level, MUTED))
        turn = slice(None, None, -1 if horizontal else 1)
        name_axes(ax, *(xlabel, ylabel)[turn], title, *("linear", yscale)[turn])
        (ax.set_yticks if horizontal else ax.set_xticks)(at, labels)
        ax.grid(visible=False, axis="y" if horizontal else "x")
        if horizontal:
            ax.invert_yaxis()
        ax.margins(**{"x" if horizontal else "y": 0.14})
        if not horizontal:
            _name_ends(ax, ends)
        if any(groups) or (expected and horizontal):
            corner = (1.0, 0.0) if ends and not horizontal else (1.0, 1.02)
            ax.legend(loc="lower left" if corner[1] == 0 else "upper left", bbox_to_anchor=corner)
    return drawing.picture


def _dots(ax: Axes, place: np.ndarray, seeds: np.ndarray, horizontal: bool) -> None:
    across, along = np.broadcast_to(place, seeds.shape).ravel(), seeds.ravel()
    x, y = (along, across) if horizontal else (across, along)
    ax.scatter(x, y, s=36, color="white", edgecolor=INK, linewidth=1.4, zorder=3)


def _numbers(
    ax: Axes, drawn: Any, mean: np.ndarray, tops: np.ndarray, form: str, horizontal: bool
) -> None:
    """Write each bar's number just past its end, clear of the dots of its seeds."""
    for bar, value, top in zip(drawn, mean, tops, strict=True):
        if not np.isfinite(value):
            continue
        past = max(value, top) if value >= 0 else value
        if horizontal:
            spot, offset = (past, bar.get_y() + bar.get_height() / 2), (8, 0)
        else:
            spot, offset = (bar.get_x() + bar.get_width() / 2, past), (0, 8)
        if value < 0:
            offset = (-offset[0], -offset[1])
        ax.annotate(
            form.format(value),
            spot,
            xytext=offset,
            textcoords="offset points",
            ha=("left" if value >= 0 else "right") if horizontal else "center",
            va="center" if horizontal else ("bottom" if value >= 0 else "top"),
            fontsize=16,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )


def scatter(
    x: Any,
    y: Any = None,
    *,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    alt: str | None = None,
    labels: Sequence[str] | None = None,
    xscale: str = "linear",
    yscale: str = "linear",
    fit: bool = False,
    dot: float = 70,
    ax: Axes | None = None,
    size: tuple[float, float] | None = None,
) -> Picture | None:
    """Dots, in one colour and shape per group.

    Args:
        x: (points,), or a mapping name -> (x, y) for groups (then leave y out).
        labels: a short name beside each dot (one group only).
        fit: add the least-squares line of each group (in the scales shown).
        dot: area of a dot in square points.
        alt: what the figure shows, in a sentence (required unless `ax` is given).
    """
    groups = x if isinstance(x, Mapping) else {"": (x, y)}
    with page(ax, alt, size) as drawing:
        ax = drawing.ax
        for k, (name, (left, up)) in enumerate(groups.items()):
            left, up = np.asarray(left, dtype=float), np.asarray(up, dtype=float)
            if left.shape != up.shape or left.ndim != 1:
                raise InputError(
                    f"x and y of {name or 'the dots'} have shapes {left.shape} and {up.shape}; "
                    "they must be vectors of one length"
                )
            colour = COLOURS[k % len(COLOURS)]
            look = {"marker": MARKERS[k % len(MARKERS)], "color": colour, "alpha": 0.85}
            ax.scatter(left, up, s=dot, label=name or None, edgecolor="white", **look)
            if fit and len(left) > 1:
                ax.plot(*_fit(left, up, xscale, yscale), color=colour, linewidth=2)
            for label, *spot in zip(labels or (), left, up, strict=False):
                ax.annotate(
                    label, spot, xytext=(9, 0), textcoords="offset points", va="center", fontsize=15
                )
        name_axes(ax, xlabel, ylabel, title, xscale, yscale)
        if any(groups):
            ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02))
    return drawing.picture


def _fit(x: np.ndarray, y: np.ndarray, xscale: str, yscale: str) -> tuple[np.ndarray, np.ndarray]:
    """The least-squares line between the outermost points, straight in the scales given."""
    ahead = {"linear": lambda a: a, "log": np.log}
    back = {"linear": lambda a: a, "log": np.exp}
    slope, start = np.polyfit(ahead[xscale](x), ahead[yscale](y), 1)
    at = np.linspace(ahead[xscale](x.min()), ahead[xscale](x.max()), 50)
    return back[xscale](at), back[yscale](start + slope * at)
