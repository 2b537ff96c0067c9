"""How cost grows: time against parameters, context and corpus size, with fitted slopes.

`minilm bench scaling` prints it. A slope of 1 on log-log paper means cost in proportion.
"""

import dataclasses
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm import Tensor, backend
from minilm import functional as F
from minilm.analysis.scaling import power_fit
from minilm.bench.rows import seconds
from minilm.bench.training import Size, our_step
from minilm.models import Transformer


@dataclass(frozen=True)
class Curve:
    """A cost measured at several sizes, and the power law through it.

    Attributes:
        name: what was done.
        x_name: what grew.
        unit: of the costs.
        x, y: the sizes and the costs, medians.
        slope: p of cost = k x**p.
        r_squared: of the straight line on log-log paper.
        expected: the slope that counting operations predicts.
    """

    name: str
    x_name: str
    unit: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    slope: float
    r_squared: float
    expected: float

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return dataclasses.asdict(self)


def measure(
    name: str,
    x_name: str,
    unit: str,
    sizes: Sequence[float],
    work: Sequence[Callable[[], Any]],
    expected: float,
    rounds: int,
    factor: float = 1.0,
) -> Curve:
    """Time each function once per round, in turn, and fit a power law to the medians.

    Args:
        name, x_name, unit, expected: as in `Curve`.
        sizes: one per function, above 0.
        work: the functions.
        rounds: how many.
        factor: from seconds to the unit.
    """
    for function in work:
        function()
    taken = [[seconds(function) * factor for function in work] for _ in range(rounds)]
    y = tuple(statistics.median(column) for column in zip(*taken))
    _, slope, r_squared = power_fit(sizes, y)
    return Curve(name, x_name, unit, tuple(map(float, sizes)), y, slope, r_squared, expected)


def operations(size: Size) -> float:
    """Floating-point operations of a training step: linear maps and causal attention."""
    tokens, c = size.batch * size.context, size.channels
    weights = size.layers * 12 * c * c + size.vocab_size * c
    attention = size.layers * c * size.context  # half of the scores are below the diagonal
    return 6.0 * tokens * (weights + attention)


def parameters_curve(rounds: int, widths: Sequence[int] = (64, 128, 256, 512)) -> Curve:
    """A training step of 4 layers over 512 tokens, against the parameters of its blocks."""
    sizes = [Size(4, width, width // 32, 128, 256, 4) for width in widths]
    models = [Transformer(size.config()) for size in sizes]
    counts = [model.stack.blocks.num_parameters() for model in models]
    steps = [our_step(model, *size.data()) for model, size in zip(models, sizes)]
    name, x_name = "training step, 4 x 128 tokens", "parameters in blocks"
    expected = power_fit(counts, [operations(size) for size in sizes])[1]
    return measure(name, x_name, "ms", counts, steps, expected, rounds, 1e3)


def context_curves(rounds: int, lengths: Sequence[int] = (256, 512, 1024, 2048)) -> list[Curve]:
    """A step over the same number of tokens in ever longer sequences, and attention alone."""
    most = max(lengths)
    sizes = [Size(2, 128, 4, length, 256, most // length) for length in lengths]
    steps = [our_step(Transformer(size.config()), *size.data()) for size in sizes]
    attention = [_attention(length) for length in lengths]
    expected = power_fit(lengths, [operations(size) for size in sizes])[1]
    whole = f"training step, {most:,} tokens in all, 2 x 128"
    return [
        measure(whole, "context", "ms", lengths, steps, expected, rounds, 1e3),
        measure("attention alone, 2 heads", "context", "ms", lengths, attention, 2.0, rounds, 1e3),
    ]


def _attention(length: int) -> Callable[[], None]:
    packed = backend.rng(0, "bench").standard_normal((1, length, 3 * 128), np.float32)
    x, gradient = Tensor(packed, requires_grad=True), np.ones((1, length, 128), np.float32)

    def run() -> None:
        F.self_attention(x, 2, 2, causal=True).backward(gradient)
        x.grad = None

    return run


def corpus_curves(rounds: int, megabytes: Sequence[float] = (2, 4, 8, 16)) -> list[Curve]:
    """Learning a vocabulary of 1024, and encoding, against the length of the text.

    For both, a word seen before costs less than a new one, so they grow more slowly than the text.
    """
    from minilm.bench.tokenizer import source_text
    from minilm.tokenizers import train_bpe

    text = source_text(max(megabytes))
    sizes = [min(int(size * 1e6), len(text)) for size in megabytes]
    parts = [text[:size] for size in sizes]
    bpe = train_bpe(text, 1024)

    def learn(part: str) -> Callable[[], Any]:
        return lambda: train_bpe(part, 1024)

    def encode(part: str) -> Callable[[], Any]:
        return lambda: bpe.encode_array(part)

    x = [size / 1e6 for size in sizes]
    growing = "million characters of text"
    learning = [learn(part) for part in parts]
    encoding = [encode(part) for part in parts]
    return [
        measure("learn 1,024 tokens", growing, "ms", x, learning, 1.0, rounds, 1e3),
        measure("encode", growing, "ms", x, encoding, 1.0, rounds, 1e3),
    ]


def run(quick: bool = False) -> Iterator[Curve]:
    """Each curve as it is measured; about a minute, or half a minute where `quick`."""
    before = backend.threads()
    backend.keep_freed_memory()
    backend.set_threads(1)
    rounds = 3 if quick else 7
    try:
        yield parameters_curve(rounds)
        yield from context_curves(rounds)
        yield from corpus_curves(rounds)
    finally:
        backend.set_threads(before)


def text_of(curve: Curve) -> str:
    """A curve as text: its slope, and sizes over costs."""
    rows = [
        [curve.x_name, *(f"{x:,.6g}" for x in curve.x)],
        [f"time, {curve.unit}", *(f"{y:,.3g}" for y in curve.y)],
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(c.rjust(w) for c, w in zip(row, widths)) for row in rows]
    return (
        f"{curve.name}: grows with power {curve.slope:.2f} (counted operations say "
        f"{curve.expected:.2f}; R squared {curve.r_squared:.3f})\n  {lines[0]}\n  {lines[1]}"
    )
