"""Attention against a state of fixed size on real text, at equal FLOPs, a size held back.

    minilm study run 10/structure --out structure.json

Hyung Won Chung: more structure is ahead early, less structure wins with more compute (CS25 V4,
42:00-43:58). A state of fixed size is a structure: whatever the text, so much of it is kept. So here
is what he recommends: curves over compute, for attention, for a selective state space (Mamba) and for
linear attention.

HYPOTHESIS and FALSIFIER were written before the first run, which takes a hash of them. In case the
second half of the falsifier comes true, the structure survives as far as this study sees. The three
smaller sizes are fitted by a straight line on log-log paper, the largest is held back and predicted.

Matched: the tokens, their order, and the FLOPs of a training step to 1 in 100 (`analysis.state_costs`
says what is counted). The width of the residual stream is the same, so embedding and head are. Mamba
has two blocks for one of attention's, as in its paper, and the width of its scan is what the FLOPs
leave; linear attention spends on its feed-forward what it saves on scores. Tuned: the rate of every
model at every size, on a seed of its own and half of the steps; the best rate is taken.

Changed after seeing data. A first attempt, stopped after four runs and thrown away, tuned on a quarter
of the steps, at the smallest size within the warm-up, where all rates look alike. In a second, linear
attention read embeddings a tenth as large as its sinusoidal positions, and learnt at no size more than
how frequent tokens are; they are scaled as in 2017 now, and all three models were run again.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from minilm import data
from minilm.analysis.ngram import KneserNey
from minilm.analysis.state_costs import costs_of
from minilm.data.held_out import hold_out
from minilm.errors import InputError
from minilm.models import Config, LinearConfig, MambaConfig
from minilm.models.state_model import StateConfig
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.pledge import pledge
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, exam_steps, train_and_test, tune
from minilm.tokenizers import train_bpe
from minilm.train import bits_per_byte

HYPOTHESIS = (
    "At equal FLOPs a state of fixed size is ahead of attention at the smallest size, and its lead "
    "(attention's bits per byte less its own) falls as compute grows."
)
FALSIFIER = (
    "A seed in which it is not ahead at the smallest size, or in which its lead at the largest size "
    "is as large as at the smallest."
)
CONTEXT, BATCH, VOCAB = 128, 8, 512
HEAD = 16
MODELS = ("attention", "mamba", "linear")
EXAMS = 4


class Size(NamedTuple):
    """Layers and channels of attention's model, and how long all three are trained."""

    layers: int
    channels: int
    steps: int


SIZES = {
    "1x32": Size(1, 32, 120),
    "2x32": Size(2, 32, 160),
    "2x48": Size(2, 48, 200),
    "3x64": Size(3, 64, 240),
}
HELD_BACK = "3x64"


def attention_of(layers: int, channels: int, vocab: int, context: int, tie: bool) -> Config:
    """A decoder as they are built today: RMS norms, a gated feed-forward, rotary positions."""
    return Config(
        vocab_size=vocab,
        context=context,
        layers=layers,
        heads=channels // HEAD,
        channels=channels,
        norm="rms",
        activation="swiglu",
        positions="rope",
        bias=False,
        tie=tie,
        init_std=0.5 / channels**0.5,
    )


def matched(attention: Config, model: str, length: int) -> Config | StateConfig:
    """A model of the width of attention's, whose training step at this length costs as many FLOPs."""
    if model == "attention":
        return attention
    names = ("vocab_size", "context", "channels", "tie", "init_std")
    shared = {name: getattr(attention, name) for name in names}
    layers, channels = attention.layers, attention.channels
    made: list[Config | StateConfig]
    if model == "linear":
        shared |= {"layers": layers, "heads": attention.heads, "positions": "sinusoidal"}
        shared["embedding_scale"] = channels**0.5  # else the positions drown the tokens
        made = [LinearConfig(ff=ff, **shared) for ff in range(channels, 6 * channels)]
    else:
        shared["layers"] = 2 * layers
        made = [MambaConfig(inner=inner, **shared) for inner in range(channels // 2, 4 * channels)]
    wanted = costs_of(attention, length).training_flops
    return min(made, key=lambda c: abs(costs_of(c, length).training_flops - wanted))


@cache
def config_of(model: str, size: str) -> Config | StateConfig:
    """The model of a size: attention's as named, the others of the same width and FLOPs."""
    layers, channels, _ = SIZES[size]
    attention = attention_of(layers, channels, VOCAB, CONTEXT, tie=True)
    return matched(attention, model, CONTEXT)


class Text(NamedTuple):
    """The Python documentation: tokens to learn from, and held-out ones with their bytes."""

    train: np.ndarray
    test: np.ndarray
    sizes: np.ndarray  # (V,) bytes of each token


@cache
def text() -> Text:
    """The same for every run: what is held out, and the tokens, do not depend on a seed."""
    known, unseen = hold_out(data.documents("python-docs"), seed=0)
    tokenizer = train_bpe(known, VOCAB, special=["<|endoftext|>"])
    ids = [data.encode_documents(tokenizer, part) for part in (known, unseen)]
    return Text(*ids, tokenizer.byte_lengths)


def yardsticks() -> dict[str, float]:
    """Bits per byte of counting on the whole training text, which costs nothing."""
    read, test, sizes = text()
    held = test[:SCORED]
    total = sizes[held].sum()
    return {
        f"counting {name}": float(KneserNey(read, order, VOCAB).bits(held).sum() / total)
        for name, order in (("tokens", 1), ("pairs", 2), ("triples", 3))
    }


SCORED = 8_000  # held-out tokens of an exam


def exam(model: Any) -> dict[str, float]:
    """Bits per byte on held-out text."""
    _, test, sizes = text()
    return {"bits": bits_per_byte(model, test[:SCORED], sizes, batch=16)}


def run_one(
    model: str, size: str, seed: int, lr: float, steps: int, batch: int, exams: int
) -> dict[str, Any]:
    """Train one model on windows that its seed draws, and test it along the way."""
    return train_and_test(
        config_of(model, size),
        text().train,
        exam,
        exam_steps(steps, exams, first=steps // 4) if exams > 1 else [steps],
        steps=steps,
        batch=batch,
        lr=lr,
        seed=seed,
    )


def study(
    out: str,
    sizes: Sequence[str] = tuple(SIZES),
    models: Sequence[str] = MODELS,
    seeds: Sequence[int] = (0, 1, 2),
    share: float = 1.0,
    batch: int = BATCH,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Tune, train and test three kinds of memory at equal FLOPs; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        sizes: names from `SIZES`, the last of which is held back.
        models: attention, mamba, linear.
        seeds: of weights and order of the data.
        share: of the steps of every size.
        batch: windows of 128 tokens per step.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("sizes", sizes, SIZES)
    refuse_unknown("models", models, MODELS)
    if not 0 < share <= 4:
        raise InputError(f"share is {share}; it must be above 0 and at most 4")
    settings = {
        "steps_of": {name: _steps(name, share) for name in SIZES},
        "tune_steps": {name: _tuning(name, share) for name in SIZES},
        "share": share,
        "batch": batch,
        "context": CONTEXT,
        "vocab_size": VOCAB,
        "scored": SCORED,
        "held_back": HELD_BACK,
        "yardsticks": yardsticks(),
        "costs": {
            f"{model} {size}": costs_of(config_of(model, size), CONTEXT).__dict__
            for size in SIZES
            for model in MODELS
        },
        "configs": {
            f"{model} {size}": config_of(model, size).to_dict()
            for size in SIZES
            for model in MODELS
        },
    }

    def tuned(size: str, model: str) -> dict[str, Any]:
        def final(lr: float) -> float:
            made = run_one(model, size, TUNING_SEED, lr, _tuning(size, share), batch, 1)
            return made["points"][-1]["bits"]

        return tune(8e-3, final, slack=0.0)

    def run(size: str, model: str, seed: int, lr: float) -> dict[str, Any]:
        return run_one(model, size, seed, lr, _steps(size, share), batch, EXAMS)

    record = Record(out, "structure", settings, command)
    budget = {
        name: costs_of(config_of("attention", name), CONTEXT).training_flops for name in SIZES
    }
    promise = {
        "hypothesis": HYPOTHESIS,
        "falsifier": FALSIFIER,
        "baseline": MODELS[0],
        "models": MODELS,
        "sizes": list(SIZES),
        "held_back": HELD_BACK,
        "budget": {n: f * batch * CONTEXT * _steps(n, share) for n, f in budget.items()},
    }
    pledge(record, promise, say)
    return carry_out(
        record,
        [{"size": size, "model": model} for size in sizes for model in models],
        seeds,
        tuned,
        run,
        lambda made: f"{made['points'][-1]['bits']:.4f} bits per byte",
        say,
    )


def _steps(size: str, share: float) -> int:
    return max(20, round(SIZES[size].steps * share))


def _tuning(size: str, share: float) -> int:
    return max(10, _steps(size, share) // 2)
