"""Verdicts on what is trained while the page runs, and on the advice to look at half of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minilm.analysis import curves
from minilm.course.show.budget import factor
from minilm.course.show.claims import claim


def emergence(
    weights: Sequence[int],
    whole: np.ndarray,
    line: np.ndarray,
    p: np.ndarray,
    seeds: Sequence[int],
    lazy: tuple[float, float],
) -> None:
    """`whole` is (seeds, sizes) in %, `line` (seeds,), `p` (seeds, sizes), `lazy` % and nats."""
    claim(
        "an ability is absent in small models, present in large ones, and the small ones do not "
        "show it",
        source="Wei 18:47",
        measure="whole translations right, %: smallest size, largest, and what a line through the "
        "smaller two says of the largest; probability of a right word (geometric mean)",
        expected="smallest below 10, largest above 80, the line at least 40 points short",
        measured={
            "smallest": whole[:, 0],
            "line": line,
            "largest": whole[:, -1],
            "p smallest": p[:, 0],
            "p largest": p[:, -1],
        },
        seeds=seeds,
        holds=lambda m: m["smallest"] < 10 and m["largest"] > 80 and m["largest"] - m["line"] >= 40,
        partly=lambda m: m["smallest"] < 10 and m["largest"] > 80,
        says=f"{weights[0]:,} parameters translate {whole[:, 0].mean():.0f} % of the pairs, "
        f"{weights[-1]:,} {whole[:, -1].mean():.0f} %; a line through the smaller two sizes says "
        f"{', '.join(f'{value:.0f}' for value in line)} %",
        note=f"Always to say the commonest answer is right in {lazy[0]:.1f} %; who knows how often "
        f"each word is an answer gives the right one a probability of {np.exp(-lazy[1]):.2f}.",
    )


def mirage(
    product: np.ndarray, whole: np.ndarray, answers: Any, loss: Any, seeds: Sequence[int]
) -> None:
    """`product` and `whole` are (seeds, all tests)."""
    gap = np.abs(product - whole).max(axis=1)
    measured = {
        "gap": gap,
        "on the way": ((product > 0.1) & (product < 0.9)).sum(axis=1),
        "answers": 100 * np.array(answers),
        "loss": 100 * np.array(loss),
    }
    claim(
        "a whole answer is the product of its parts, and so it jumps more than its loss",
        source="Wei 29:59, after Schaeffer et al. 2023",
        measure="largest gap of whole answers and products; tests with a product of 0.1 to 0.9; "
        "share of the whole change within one doubling of the text, %: answers, their loss",
        expected="gap below 0.05, a test on the way, answers more sudden; partly: one of the two",
        measured=measured,
        seeds=seeds,
        holds=lambda m: m["gap"] < 0.05 and m["on the way"] > 0 and m["answers"] > m["loss"],
        partly=lambda m: (m["gap"] < 0.05 and m["on the way"] > 0) or m["answers"] > m["loss"],
        says=f"whole answers and products differ by {gap.max():.3f} at most; one doubling brings "
        f"{measured['answers'].mean():.0f} % of the rise of the answers and "
        f"{measured['loss'].mean():.0f} % of the fall of their loss",
    )


def advice(
    gains: Mapping[str, tuple[np.ndarray, np.ndarray]], worth: float, seeds: Sequence[int]
) -> None:
    """`gains`: curve -> what was seen (seeds,), what came (seeds,)."""
    if factor() < 1:
        print("No verdict on another budget: how much text was read is the question itself.")
        return
    seen, came = (np.array([pair[k] for pair in gains.values()]) for k in (0, 1))
    right = 100 * ((seen > worth) == (came > worth)).mean(axis=0)
    flat = 100 * ((seen <= worth) & (came > worth)).mean()
    span, always = curves.t_interval(right), 100 * (came > worth).mean()
    claim(
        "half of the data tells whether more is worth collecting",
        source="Wei 24:56",
        measure=f"right advice, % of {len(gains)} curves; rank correlation of what was seen and "
        "what came",
        expected="80 or more; partly: ranks above 0.5",
        measured={
            "right advice": right,
            "ranks": [curves.rank_correlation(a, b) for a, b in zip(seen.T, came.T, strict=True)],
        },
        seeds=seeds,
        holds=lambda m: m["right advice"] >= 80,
        partly=lambda m: m["ranks"] > 0.5,
        recorded=True,
        says=f"the advice is right for {span.middle:.0f} % of the curves (95 % interval "
        f"{span.low:.0f} to {min(span.high, 100):.0f}), the advice always to collect for "
        f"{always:.0f} %; in {flat:.0f} % of all cases a flat curve was followed by a gain",
    )
