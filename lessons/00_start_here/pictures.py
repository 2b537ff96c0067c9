"""The figures and widgets of lesson 00, and its stopwatch: what its reader need not see."""

import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import minilm
from minilm import backend, kernels
from minilm import functional as F
from minilm.course import TapeView, bars, figure, heatmap, lesson_folder, lines, tape_steps
from minilm.course.show.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    MUTED,
    SKY,
    VERMILION,
    Picture,
    new_figure,
    render,
    styled,
)
from minilm.inference import generate
from minilm.models import Transformer, gpt2
from minilm.train import bits_per_byte

Array = np.ndarray
PARTS = {name: getattr(F, name) for name in ("softmax", "log_softmax", "linear", "rope")}


def opening() -> Picture:
    """Held-out price while the lesson's GPT is trained, as the stored run of the lesson printed it."""
    cells = json.loads(lesson_folder("00").notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [out for cell in cells for out in cell.get("outputs", [])]
    printed = "".join("".join(out.get("text", "")) for out in outputs)
    points = re.findall(r"^ *(\d+)  (\d\.\d\d) bits  ", printed, re.MULTILINE)
    levels = re.findall(r"'(counting \w+)': '(\d\.\d\d) bits per byte'", printed)
    if not points or not levels:
        raise minilm.InputError(
            "the notebook of lesson 00 holds no run; minilm run 00 --save first"
        )
    steps, bits = zip(*((int(step), float(price)) for step, price in points))
    with styled():
        sheet, ax = new_figure(size=(12.2, 3.1))
        lines(
            steps,
            {"this GPT": bits},
            expected={name: float(price) for name, price in levels},
            xlabel="step of training",
            ylabel="bits per byte",
            ax=ax,
        )
    return render(
        sheet, "Held-out bits per byte fall while a GPT is trained, beside three counters."
    )


def price() -> None:
    """-log2 p over p, with the three guesses that are worked by hand."""
    p = np.linspace(0.02, 1, 300)
    with figure(
        alt="The price of a guess in bits falls from above 5 at a share of 2 percent to 0 at "
        "certainty; a quarter costs 2 bits, a half 1 bit, certainty nothing."
    ) as ax:
        ax.plot(p, -np.log2(p), color=BLUE)
        guesses = (
            ("t: share 1/4, 2 bits", 1 / 4),
            ("h: share 1/2, 1 bit", 1 / 2),
            ("e: 0 bits", 1.0),
        )
        for text, share in guesses:
            bits = abs(math.log2(share))
            ax.plot(share, bits, "o", color=VERMILION, markersize=13, clip_on=False)
            side, gap = ("right", (0, 30)) if share == 1 else ("left", (16, 12))
            ax.annotate(text, (share, bits), gap, textcoords="offset points", ha=side)
        ax.set_xlabel("share of the bet that lay on what came")
        ax.set_ylabel("price in bits")
        ax.set_xlim(0, 1.01)
        ax.set_ylim(0, 6)


def learning(steps: Sequence[int], bits: Sequence[float], counted: Mapping[str, float]) -> None:
    """The held-out price while the model is trained."""
    lines(
        steps,
        {"this GPT": bits},
        expected=counted,
        xlabel="step of training",
        ylabel="bits per byte, held-out text",
        alt="Held-out bits per byte fall below counting single tokens, then below counting pairs.",
    )


def paid(measured: Mapping[str, Sequence[float]]) -> str:
    """One sentence on what a GPT and the counters paid, and how often their first guess was right."""
    mean = {name: float(np.mean(values)) for name, values in measured.items()}
    bits = [f"{name} {mean[name]:.2f}" for name in ("counting pairs", "counting triples")]
    right, triples = (mean[f"first guess right, {name}"] for name in ("GPT", "triples"))
    return (
        f"the GPT pays {mean['this GPT']:.2f} bits per byte, {', '.join(bits)}; its first guess is "
        f"right {right:.0%} of the time, that of triples {triples:.0%}"
    )


def _box(ax: Any, x: float, y: float, text: str, colour: str) -> None:
    ax.text(
        x,
        y,
        text,
        ha="center",
        va="center",
        color="white",
        fontsize=17,
        bbox={"boxstyle": "round,pad=0.5", "facecolor": colour, "edgecolor": "none"},
        zorder=3,
    )


def flow() -> None:
    """A GPT of two blocks as a stream of rows that four boxes read and add to."""
    alt = (
        "From ids a thick arrow of rows (T, C) runs to the scores (T, V). In each of two blocks, "
        "attention and then feed-forward read a normed copy of the rows and add what they found."
    )
    with figure(alt=alt, size=(12.2, 3.6)) as ax:
        ax.axis("off")
        ax.set_xlim(0, 13)
        ax.set_ylim(-1.0, 2.0)
        stream = {"arrowstyle": "-|>", "color": SKY, "linewidth": 9, "mutation_scale": 34}
        ax.annotate("", (11.5, 0), (1.5, 0), arrowprops=stream)
        _box(ax, 0.85, 0, "embed", INK)
        _box(ax, 12.15, 0, "score", INK)
        ax.text(0.85, -0.75, "ids (T)", ha="center", fontsize=16)
        ax.text(12.15, -0.75, "(T, V)", ha="center", fontsize=16)
        ax.text(6.5, -0.75, "the stream: one row of C numbers for each token (T, C)", ha="center")
        thin = {"arrowstyle": "-|>", "color": INK, "linewidth": 2, "mutation_scale": 18}
        for block in range(2):
            start = 1.9 + 4.65 * block
            ax.axvspan(start, start + 4.5, ymin=0.22, color=FAINT, alpha=0.45, zorder=0)
            ax.text(start + 0.12, 1.72, f"block {block + 1}", color=MUTED, fontsize=15)
            for k, (name, colour) in enumerate((("look", BLUE), ("think", GREEN))):
                up, down = start + 0.85 + 2.1 * k, start + 2.05 + 2.1 * k
                ax.annotate("", (up, 1.36), (up, 0.1), arrowprops=thin)
                ax.plot([up, down, down], [1.3, 1.3, 0.2], color=INK, linewidth=2, zorder=1)
                ax.plot(down, 0, "o", color="white", markeredgecolor=INK, markersize=24, zorder=4)
                ax.text(down, -0.01, "+", ha="center", va="center", fontsize=20, zorder=5)
                ax.text(up - 0.1, 0.58, "norm", ha="right", va="center", fontsize=14, color=MUTED)
                _box(ax, (up + down) / 2, 1.3, name, colour)


def sight(windows: Sequence[int], seen: Array) -> None:
    """The price by how far attention may look back; `seen` is (parts of the text, windows)."""
    lines(
        windows,
        {"this GPT": seen},
        xscale="log",
        xlabel="tokens that attention may look back at",
        ylabel="bits per byte",
        alt="The farther attention may look back, the fewer bits per byte the same model needs.",
        size=(12.2, 3.1),
    )


def looker(attention_of: Callable[[str], tuple[list[str], Array]]) -> Callable[..., None]:
    """A function that draws where one head looks in a sentence."""

    def look(sentence: str, layer: int, head: int) -> None:
        words, maps = attention_of(sentence)
        tokens = [word.replace(" ", "·").replace("\n", "⏎") for word in words]
        heatmap(
            np.where(np.tri(len(tokens), dtype=bool), maps[layer - 1, head - 1], np.nan),
            xlabels=tokens,
            ylabels=tokens,
            numbers=None,
            low=0.0,
            high=1.0,
            unit="share",
            title=f"layer {layer}, head {head}",
            alt=f"Attention of layer {layer}, head {head}: which token each token looks at.",
        )

    return look


def tape_of(values: Mapping[str, float]) -> tuple[TapeView, dict[str, Any]]:
    """(w x + b - y)^2 on the package's tape, as a picture; and its tensors, with gradients."""
    t = {name: minilm.tensor(v, requires_grad=name in "wb") for name, v in values.items()}
    error = t["w"] * t["x"] + t["b"] - t["y"]
    return TapeView(error * error, **t), t


def watcher(model: Any, tokenizer: Any, ids: Array, opening: str) -> Callable[..., list[str]]:
    """What `train` calls now and then: scores held-out text, and lets the model go on from a text."""
    prompt = tokenizer.encode(opening)

    def watch(step: int, log: Any) -> list[str]:
        price = bits_per_byte(model, ids, tokenizer.byte_lengths, limit=12_000)
        log.add(step=step, price=price)
        new = generate(model, prompt, 40, temperature=0.5, top_k=20, seed=1)
        line = " ".join(tokenizer.decode([*prompt, *new]).split())
        return [f"{step:5d}  {price:.2f} bits  {line[:54]}"]

    return watch


def writer(model: Any, tokenizer: Any) -> Callable[..., None]:
    """A function that draws the bets after a text, those that p keeps, and writes on from it."""

    def write(text: str, p: float) -> None:
        ids = tokenizer.encode(text or " ", disallowed_special=())[:64]
        with minilm.no_grad():
            scores = model(np.array([ids])).numpy()[0, -1].astype(np.float64)  # (V,)
        shares = np.exp(scores - scores.max())
        shares /= shares.sum()
        order = np.argsort(-shares)
        held_before = np.cumsum(shares[order]) - shares[order]
        count = int((held_before < p).sum())
        names = [tokenizer.decode([i]).replace(" ", "·").replace("\n", "⏎") for i in order[:14]]
        with figure(
            alt=f"The fourteen likeliest tokens after the text; {count} tokens hold {p:.0%}.",
            size=(12.2, 3.9),
        ) as ax:
            bars(range(14), shares[order[:14]], ylabel="share", numbers=None, ax=ax)
            for k, bar in enumerate(ax.patches):
                bar.set_color(BLUE if k < count else FAINT)
            ax.set_xticks(range(14), names)
            stay = "1 token stays" if count == 1 else f"{count:,} tokens stay"
            ax.set_title(f"p = {p:g}: {stay} of {len(shares):,}")
        new = generate(model, ids, 36, top_p=p, seed=1)
        print(" ".join((text + tokenizer.decode(new)).split())[:110])

    return write


def best_of(call: Callable[[], Any], rounds: int) -> float:
    """Seconds of the quickest of some calls."""
    best = math.inf
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - began)
    return best


def steps_raced(seed: int) -> dict[str, list[tuple[int, float]]]:
    """Steps on the tape and seconds of a GPT's loss and gradient, three times in either way."""
    model = Transformer(gpt2(vocab_size=1024, context=128, layers=4, heads=4, channels=64))
    text, wanted = backend.rng(seed, "texts").integers(0, 1024, size=(2, 4, 128))  # (B, T) each

    def one(replaced: Mapping[str, Any]) -> tuple[int, float]:
        def step() -> None:
            model.loss(text, wanted).backward()
            model.zero_grad()

        with minilm.use(**replaced):
            return tape_steps(model.loss(text, wanted)), best_of(step, 5)

    ways = {"small steps": PARTS, "large steps": {}}
    for replaced in ways.values():
        one(replaced)  # once for nothing: kernels are loaded on first use
    rounds = [{name: one(replaced) for name, replaced in ways.items()} for _ in range(3)]
    return {name: [each[name] for each in rounds] for name in ways}


def small_and_large(raced: Mapping[str, Sequence[tuple[int, float]]]) -> None:
    """Length of the tape, and milliseconds, in small and in large steps."""
    with figure(
        1, 2, alt="Large primitives: a shorter tape and less time than small ones."
    ) as axes:
        bars(raced, [one[0][0] for one in raced.values()], ylabel="steps on tape", ax=axes[0])
        times = np.transpose([[1000 * each[1] for each in one] for one in raced.values()])
        bars(raced, times, ylabel="milliseconds", numbers="{:.0f}", ax=axes[1])


def memory(lengths: Sequence[int], kept: Mapping[str, Sequence[float]]) -> None:
    """What attention keeps for the way back, by the length of the text."""
    lines(
        lengths,
        kept,
        xscale="log",
        yscale="log",
        xlabel="tokens of text",
        ylabel="MB kept",
        alt="Kept memory: it grows with the square of the text in small steps, in proportion as one.",
        size=(12.2, 3.1),
    )


def race(scores: Array, formula: Callable[..., Array], loop: Callable[..., None]) -> None:
    """Milliseconds of one softmax, by who computes it; the best of fifteen, three times."""
    out = np.empty_like(scores)
    runners = {
        "formula in NumPy": lambda: formula(scores),
        "the loop above": lambda: loop(scores, out),
        "the package's loop": lambda: kernels.softmax(scores),
    }
    times = [[1000 * best_of(call, 15) for call in runners.values()] for _ in range(3)]
    bars(
        list(runners),
        times,
        ylabel="ms for softmax of 2048 x 512",
        numbers="{:.2f}",
        horizontal=False,
        alt="Milliseconds of the same softmax: the formula in NumPy is slowest, compiled loops win.",
    )
