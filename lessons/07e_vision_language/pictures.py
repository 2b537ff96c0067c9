"""The figures of lesson 07e; those of small print and screens are in `screen_pictures`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm.course.show.figures import bars
from minilm.course.show.grids import heatmap
from minilm.course.show.style import (
    BLUE,
    FAINT,
    GREEN,
    MUTED,
    ORANGE,
    Picture,
    figure,
    new_figure,
    render,
    styled,
)
from minilm.data.images import asking, scenes
from minilm.data.images.scenes import Thing
from minilm.studies.recorded import Recorded
from minilm.vision.language import VisionLanguage

from .experiments import ABOUT, exam, unbound
from .studies.seeing import EXAM
from .verdicts import last

OPENING = (Thing("orange", "ring", 0, 1), Thing("cyan", "7", 1, 3), Thing("pink", "stairs", 3, 0))


def _show(ax: Any, picture: np.ndarray, title: str = "", size: int = 17) -> None:
    """A picture (3, H, W) in its colours."""
    ax.imshow(picture.transpose(1, 2, 0).clip(0, 1), interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(visible=False)
    if title:
        ax.set_title(title, loc="center", fontsize=size, fontweight="normal")


def _board(ax: Any, picture: np.ndarray, title: str = "") -> None:
    """A scene with the names of its cells along the edges and thin lines between them."""
    _show(ax, picture, title)
    middle = 5 * np.arange(4) + 2
    ax.set_xticks(middle, list("abcd"), fontsize=16)
    ax.set_yticks(middle, list("1234"), fontsize=16)
    ax.tick_params(length=0)
    for line in (4.5, 9.5, 14.5):
        ax.axhline(line, color=MUTED, linewidth=0.8)
        ax.axvline(line, color=MUTED, linewidth=0.8)


def opening() -> Picture:
    """A scene, its patches, and the sequence that the language model reads."""
    picture = scenes.draw(OPENING)
    from matplotlib.patches import Rectangle

    with styled():
        sheet, axes = new_figure(1, 3, size=(12.2, 3.9))
        _board(axes[0], picture, "a picture")
        gaps = np.ones((3, 23, 23), np.float32)
        for i in range(16):
            r, q = divmod(i, 4)
            gaps[:, 6 * r : 6 * r + 5, 6 * q : 6 * q + 5] = picture[
                :, 5 * r : 5 * r + 5, 5 * q : 5 * q + 5
            ]
        _show(axes[1], gaps, "16 patches")
        ax = axes[2]
        ax.axis("off")
        ax.set_title("one sequence", loc="center", fontsize=17, fontweight="normal")
        ax.set_xlim(0, 1)
        ax.set_ylim(0, 1)
        for i in range(16):
            r, q = divmod(i, 8)
            ax.add_patch(Rectangle((0.06 + 0.115 * q, 0.84 - 0.13 * r), 0.075, 0.1, facecolor=BLUE))
        words = [*"where is the 7 ?".split()]
        for i, word in enumerate(words):
            ax.text(0.1 + 0.2 * i, 0.5, word, transform=ax.transAxes, ha="center", va="center",
                    fontsize=18, color="white",
                    bbox={"boxstyle": "round,pad=0.3", "facecolor": GREEN, "edgecolor": "white"})  # fmt: skip
        ax.text(0.5, 0.2, "d2", transform=ax.transAxes, ha="center", va="center", fontsize=24,
                color="white",
                bbox={"boxstyle": "round,pad=0.3", "facecolor": ORANGE, "edgecolor": "white"})  # fmt: skip
        return render(
            sheet,
            "A board with three coloured things; the same cut into 16 patches; and a sequence of 16 "
            "picture tokens and the words where is the 7, with the answer d2 below.",
        )


def three_scenes(made: Sequence[scenes.Scene]) -> None:
    """A few scenes with the names of their cells."""
    with figure(
        1, len(made), alt="Scenes with one to four coloured shapes and digits.", size=(12.2, 3.9)
    ) as axes:
        for ax, scene in zip(axes, made, strict=True):
            _board(ax, scenes.draw(scene))


def similar(before: np.ndarray, after: np.ndarray, captions: Sequence[str]) -> None:
    """Cosines of eight pictures and their eight captions, before and after."""
    short = [caption.replace("a ", "", 1).removesuffix(" .") for caption in captions]
    with figure(
        1, 2, alt="Before training all pairs look alike; after it the diagonal stands out.",
        size=(12.2, 4.6),
    ) as axes:  # fmt: skip
        for ax, cosines, title in zip(axes, (before, after), ("before", "after"), strict=True):
            heatmap(cosines, ax=ax, title=title, numbers=None, centre=0, low=-1, high=1,
                    xlabel="caption", ylabels=short if title == "before" else [""] * len(short))  # fmt: skip
            ax.tick_params(axis="y", labelsize=14)
            ax.set_xticks([])


NAMES = {
    "projector": "projector only",
    "all": "everything",
    "mixed": "everything, half text",
    "expert": "visual expert",
}


def who_pays(record: Recorded) -> None:
    """Questions answered right, and what became of text."""
    with figure(
        1, 2, alt="Questions answered right, below the shortcut, and the rise of the text loss for four ways.",
        size=(12.2, 5.0),
    ) as axes:  # fmt: skip
        right = np.array([100 * np.array(last(record, way, "right")) for way in NAMES]).T
        blind = 100 * np.mean([record.run("expert", s)["blind"] for s in record.seeds])
        names = list(NAMES.values())
        bars(names, right, ylabel="answered right, %", numbers="{:.0f}", horizontal=True,
             ax=axes[0])  # fmt: skip
        axes[0].axvline(blind, linestyle=(0, (4, 3)), color=MUTED, linewidth=2)
        guesses = 100 * np.mean([unbound(exam(EXAM, 500 + s)) for s in record.seeds])
        axes[0].axvline(guesses, linestyle=":", color=MUTED, linewidth=3)
        for level, name in ((blind, "not looking"), (guesses, "shortcut")):
            axes[0].text(level, 1.01, name, transform=axes[0].get_xaxis_transform(), ha="center",
                         fontsize=13, color=MUTED)  # fmt: skip
        rise = {
            shown: np.array([
                [record.run(way, s)["text"][name] - record.run(way, s)["text_before"][name]
                 for way in NAMES]
                for s in record.seeds
            ])
            for name, shown in (("english", "English"), ("told", "boards told in words"))
        }  # fmt: skip
        bars(names, rise, ylabel="text loss rises by, nats", numbers="{:.2f}", horizontal=True,
             ax=axes[1])  # fmt: skip
        axes[1].set_yticklabels([])


def sorts(record: Recorded) -> None:
    """The same by sort of question."""
    values = {
        name: 100 * np.array([last(record, way, about) for about in ABOUT]).T
        for way, name in NAMES.items()
    }
    with figure(alt="Questions answered right, by sort, for four ways to learn.") as ax:
        bars(list(ABOUT), values, ylabel="answered right, %", numbers="{:.0f}",
             horizontal=False, ax=ax)  # fmt: skip


TOKENS = {
    "expert": "two layers,\n16 tokens",
    "strided": "strided\nconvolution",
    "pooled": "mean of four,\ntwo layers",
    "queries 4": "4 queries",
    "queries 4 longer": "4 queries,\nlonger",
    "queries 4 taught": "4 queries,\ntaught first",
}


def tokens(record: Recorded) -> None:
    """Questions answered right with 16 tokens a picture, and with 4, by how the queries learned."""
    values = np.array([100 * np.array(last(record, way, "right")) for way in TOKENS]).T
    blind = 100 * np.mean([record.run("expert", s)["blind"] for s in record.seeds])
    with figure(
        alt="Questions answered right with a projector of 16 tokens and five ways to 4.",
        size=(12.2, 5.0),
    ) as ax:
        bars(list(TOKENS.values()), values, ylabel="answered right, %", numbers="{:.0f}",
             horizontal=False, ax=ax, expected={"without looking": blind})  # fmt: skip
        ax.tick_params(axis="x", labelsize=14)
        ax.axvline(0.5, color=MUTED, linewidth=1)


def answer(model: VisionLanguage, scene: scenes.Scene, question: str, layer: int | None) -> None:
    """A scene, where the answer looks, and the five likeliest answers.

    Args:
        model: it reads patches of 5 by 5, one token each.
        scene: what is shown.
        question: in words of this world.
        layer: whose attention is drawn; None: the mean of all.
    """
    picture = scenes.draw(scene)
    ids = asking.encode([question])
    shares, of_picture = model.looks(picture[None], ids)
    heads = shares[:, 0].mean(1) if layer is None else shares[layer : layer + 1, 0].mean(1)
    look = heads.mean(0)[of_picture][1:-1].reshape(4, 4)  # without the two marks
    logits = model.next_logits(picture[None], ids)[0, : len(asking.WORDS)].astype(np.float64)
    chance = np.exp(logits - logits.max())
    chance /= chance.sum()
    best = np.argsort(-chance)[:5][::-1]
    truth = asking.answer(scene, question)
    with figure(
        1, 3, alt=f"A scene, where the answer to {question} looks, and the likeliest answers.",
        size=(12.2, 4.2),
    ) as axes:  # fmt: skip
        _board(axes[0], picture, question)
        _board(axes[1], 0.35 * picture, "looks at")
        axes[1].imshow(np.kron(look, np.ones((5, 5))), cmap="Oranges", alpha=0.65, vmin=0)
        paint = [GREEN if asking.WORDS[i] == truth else FAINT for i in best]
        axes[2].barh([asking.WORDS[i] for i in best], chance[best], color=paint)
        axes[2].set_xlim(0, 1)
        axes[2].set_xlabel("probability")
        axes[2].set_title(f"true: {truth or 'open'}", loc="center", fontsize=17)


def scene_of(text: str) -> scenes.Scene:
    """A scene from a line such as "red ring at b2, blue 7 at d1", in any order."""
    told = [part.split() for part in text.replace(".", "").split(",")]
    told = [[word for word in words if word not in ("a", "at")] for words in told]
    told.sort(key=lambda words: scenes.NAMES.index(words[-1]) if words[-1] in scenes.NAMES else -1)
    line = " , ".join(f"a {' '.join(words[:-1])} at {words[-1]}" for words in told) + " ."
    scene = scenes.parse(line).scene
    return scene or ()
