"""A lamp that listens: how well does it learn from what a small recogniser heard?

    minilm study run 06/hearing

The talk's lamp transcribes speech with a small recogniser of characters (59:00) and anticipates
from the transcript, mistakes and all. Ours is trained with CTC on sound made by our own
synthesiser: first words, then sentences of households that the lamp never meets. At several stages
of its training 20 minutes of a new household are spoken, transcribed, and fed to a new lamp. What
would decide it: the share of right guesses in the second half of the 20 minutes, with the
transcript and with the text as it was said, for the lamp and for naive Bayes.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm import backend
from minilm.lamp import Listener, NaiveBayes, Utterance, household
from minilm.lamp.hearing import Recogniser, letter_errors, train
from minilm.lamp.simulate import listen
from minilm.lamp.speech import speak
from minilm.studies.driver import carry_out
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, tune

MINUTES = 20.0
STAGES = (("words", 100), ("words", 200), ("sentences", 150))


def practice() -> dict[str, list[str]]:
    """What the recogniser learns from: households of their own seeds."""
    sentences = [u.text for seed in range(1000, 1010) for u in household(seed, MINUTES, 0.0)]
    words = sorted({word for text in sentences for word in text.split()})
    return {"words": words, "sentences": sentences}


def transcribed(model: Recogniser, stream: Sequence[Utterance], seed: int) -> list[Utterance]:
    """The same stream as it was heard."""
    rng = backend.rng(seed, "spoken")
    return [dataclasses.replace(u, text=model.hear(speak(u.text, rng))) for u in stream]


def exam(model: Recogniser, stream: Sequence[Utterance], seed: int) -> dict[str, float]:
    """Errors of the transcript, and what lamp and naive Bayes make of it in the second half."""
    heard, half = transcribed(model, stream, seed), len(stream) // 2
    return {
        "letters": letter_errors((u.text for u in stream), (u.text for u in heard)),
        "lamp": listen(Listener(seed), heard).accuracy(half),
        "bayes": listen(NaiveBayes(), heard).accuracy(half),
    }


def run_one(model: str, seed: int, lr: float) -> dict[str, Any]:
    """Train a recogniser through its stages; the last point is the text as it was said."""
    began, data, net = time.process_time(), practice(), Recogniser(seed)
    stream = list(household(seed, MINUTES, 0.0))
    half, points, step = len(stream) // 2, [], 0
    for stage, (kind, steps) in enumerate(STAGES):
        losses = list(train(net, data[kind], steps, 100 * seed + stage, lr))
        step += steps
        points.append({"step": step, "loss": float(np.mean(losses[-20:]))})
        points[-1] |= exam(net, stream, seed)
    typed = {
        "lamp": listen(Listener(seed), stream).accuracy(half),
        "bayes": listen(NaiveBayes(), stream).accuracy(half),
    }
    points.append({"step": 0, "loss": 0.0, "letters": 0.0, **typed})
    return {
        "model": model,
        "seed": seed,
        "lr": lr,
        "parameters": sum(p.data.size for p in net.parameters()),
        "cpu_seconds": time.process_time() - began,
        "points": points,
    }


def study(
    out: str,
    seeds: Sequence[int] = (0, 1, 2),
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train a recogniser per seed; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        seeds: of weights, voices and the household.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    settings = {"minutes": MINUTES, "stages": [list(stage) for stage in STAGES]}

    def tuned(model: str) -> dict[str, Any]:
        words = practice()["words"]

        def final(lr: float) -> float:
            losses = list(train(Recogniser(TUNING_SEED), words, 150, TUNING_SEED, lr))
            return float(np.mean(losses[-20:]))

        return tune(1e-2, final, factor=3.0, widest=5)

    def shown(run: dict[str, Any]) -> str:
        return " ".join(f"{p['letters']:.2f}: {p['lamp']:.2f}" for p in run["points"])

    return carry_out(
        Record(out, "hearing", settings, command),
        [{"model": "recogniser"}],
        seeds,
        tuned,
        run_one,
        shown,
        say,
    )
