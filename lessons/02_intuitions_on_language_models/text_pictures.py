"""Text as a model meets it: every token in the colour of its loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from minilm.analysis.metrics import TaskLoss
from minilm.course.show.style import (
    COLOURS,
    INK,
    MUTED,
    colour_map,
    figure,
    new_figure,
    render,
    styled,
)
from minilm.course.show.words import coloured_words
from minilm.data.worlds.world import TASKS, TaskWorld
from minilm.models.transformer import Transformer
from minilm.train import train

from . import real_text
from .readers import NAMES

LETTERS, NUMBERS, WIDTH, ROW = 20, 13, 12.2, 0.86  # points, points, inches, inches
DEAREST = 8.0  # nats, darkest


def opening() -> Any:
    """The first picture: a real sentence, as the page's small model reads it."""
    words = real_text.text()
    model = Transformer(real_text.config(), seed=0)
    how = {"batch": 8, "context": real_text.CONTEXT, "lr": 0.01, "seed": 0, "progress": False}
    train(model, words.train, 400, **how)
    ids = np.array([words.tokenizer.encode("\n" + real_text.SENTENCE)])
    pieces = [words.tokenizer.decode([int(i)]) for i in ids[0, 1:]]
    with styled():
        return words_figure(pieces, real_text.token_losses(model, ids)[0])


def read_out(pieces: Sequence[str], nats: Sequence[float], alt: str) -> None:
    """Show a text token by token, as dark as it was dear."""
    with styled():
        render(words_figure(pieces, nats), alt).show()


def sample(world: TaskWorld) -> None:
    """Some lines of the seven-task text, every word in the colour of its task."""
    drawn = world.sample(4096, seed=3)
    ends = np.flatnonzero(drawn.tokens == world.END)
    part = slice(ends[10] + 1, ends[ends < ends[10] + 80][-1] + 1)
    tasks = [NAMES[TASKS[k]] for k in drawn.labels[part]]
    coloured_words([world.vocabulary[i] for i in drawn.tokens[part]], tasks, drawn.scored[part])


def words_figure(pieces: Sequence[str], nats: Sequence[float]) -> Any:
    """A figure: one box for each token, darker for a higher loss, its nats below."""
    places, rows = _layout(pieces)
    height = ROW * rows + 0.62
    sheet, ax = new_figure(size=(WIDTH, height))
    sheet.set_layout_engine("none")
    ax.set_position([0, 0, 1, 1])
    ax.set_xlim(0, WIDTH)
    ax.set_ylim(height, 0)
    ax.axis("off")
    colours = colour_map()
    for piece, loss, (x, row, wide) in zip(pieces, nats, places, strict=True):
        top = 0.08 + ROW * row
        shade = colours(min(max(loss, 0.0) / DEAREST, 1.0))
        ax.add_patch(_box(x, top, wide, 0.44, shade))
        dark = 0.299 * shade[0] + 0.587 * shade[1] + 0.114 * shade[2] < 0.55
        look = {"ha": "center", "va": "center", "fontsize": LETTERS}
        ax.text(x + wide / 2, top + 0.225, _seen(piece), color="white" if dark else INK, **look)
        under = {"ha": "center", "va": "center", "fontsize": NUMBERS, "color": MUTED}
        ax.text(x + wide / 2, top + 0.57, f"{loss:.1f}", **under)
    for k in range(9):  # the scale
        ax.add_patch(_box(0.15 + 0.42 * k, height - 0.4, 0.38, 0.26, colours(k / 8)))
        ink = "white" if k > 4 else INK
        look = {"ha": "center", "va": "center", "fontsize": NUMBERS, "color": ink}
        ax.text(0.34 + 0.42 * k, height - 0.265, str(k), **look)
    said = "nats: the surprise at this token, the text before it known"
    ax.text(4.05, height - 0.265, said, fontsize=15, va="center", color=MUTED)
    return sheet


def _seen(piece: str) -> str:
    return piece.replace("\n", "↵").strip(" ") or "␣"


def _box(x: float, y: float, width: float, height: float, colour: Any) -> Any:
    from matplotlib.patches import FancyBboxPatch

    return FancyBboxPatch(
        (x + 0.03, y + 0.03),
        width - 0.06,
        height - 0.06,
        boxstyle="round,pad=0.02,rounding_size=0.05",
        linewidth=0,
        facecolor=colour,
    )


def _layout(pieces: Sequence[str]) -> tuple[list[tuple[float, int, float]], int]:
    """Where each box stands, (left, row, width) in inches and rows, and how many rows there are.

    Pieces of one word touch; a word is not torn apart at the end of a row.
    """
    font = FontProperties(family=["Inter", "DejaVu Sans"])
    widths = [
        max(TextPath((0, 0), _seen(p), size=LETTERS, prop=font).get_extents().width, 4) / 72 + 0.19
        for p in pieces
    ]
    starts = [k for k, p in enumerate(pieces) if k == 0 or p[:1] in (" ", "\n")]
    places, x, row = [], 0.12, 0
    for start, stop in zip(starts, [*starts[1:], len(pieces)], strict=True):
        if x + sum(widths[start:stop]) > WIDTH - 0.1 and x > 0.12:
            x, row = 0.12, row + 1
        for k in range(start, stop):
            places.append((x, row, widths[k]))
            x += widths[k]
        x += 0.1
    return places, row + 1


def kinds_of_token(split: TaskLoss) -> None:
    """Each kind of token: its share of the tokens, its loss, its share of the total."""
    alt = "Kinds of token: as wide as their share of the text, as high as their loss."
    with figure(alt=alt, size=(12.2, 4.4)) as ax:
        left = 0.0
        for (kind, loss), colour in zip(split.losses.items(), COLOURS, strict=False):
            wide = 100 * split.weights[kind]
            ax.bar(left, loss, width=wide, align="edge", color=colour, edgecolor="white")
            part = 100 * split.weights[kind] * loss / split.total
            ax.bar(0, 0, color=colour, label=f"{kind}: {part:.0f} % of the loss")
            left += wide
        ax.axhline(split.total, color=MUTED, linestyle=(0, (4, 3)), linewidth=2)
        ax.set_xlim(0, 100)
        ax.set_xlabel("share of the tokens, %: the area is the share of the loss")
        ax.set_ylabel("nats per token")
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02))
