"""Captions: words and patches as two experts, or one set of weights, or words that are only read.

    minilm study run 07fb/captions --out captions.json

After Ming Ding (CS25 V4, 57:13-57:44): MMDiT gives text and image weights of their own, as CogVLM
does, in place of cross-attention to a text model. Pictures of two things in nine cells, of 8
colours and 8 shapes, with captions; an oracle reads the picture back, so that a caption is true or
false. Rivals: patches that read the words by cross-attention, and one set of weights for both kinds
of token, each as wide as takes the same operations a step, and one set of weights as wide as has
the same parameters. Two pairs of colour and shape are never shown.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.backend import rng
from minilm.data.images import sprites as S
from minilm.diffusion.generate import draw_pictures
from minilm.diffusion.mmdit import MMDiT, MMDiTConfig, mmdit_flops
from minilm.diffusion.training import fit, noisy_batches
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record

HELD = (("red", "ring"), ("blue", "cross"))
LR, EMA, BATCH = 3e-3, 0.995, 64  # the rate that the search begins with
GUIDANCE = (1.0, 1.5, 3.0)
TIMES = (0.95, 0.85, 0.7, 0.5, 0.3)  # at which the error on new scenes is taken
NOTHING = np.zeros(S.LONGEST, np.int64)
MODELS = {  # way, width, heads: chosen for operations or parameters like those of "experts"
    "experts": ("experts", 64, 4),
    "shared, equal operations": ("shared", 64, 4),
    "shared, equal parameters": ("shared", 88, 4),
    "cross, equal operations": ("cross", 72, 4),
}


def config_of(model: str) -> MMDiTConfig:
    way, width, heads = MODELS[model]
    return MMDiTConfig(way=way, width=width, heads=heads, words=len(S.WORDS), longest=S.LONGEST)


def trained(
    config: MMDiTConfig,
    seed: int,
    lr: float,
    teraflops: float,
    look: Callable[[Any, int], Any] | None = None,
) -> MMDiT:
    """A network after so many operations; `look` gets the run and the number of all steps."""
    network = MMDiT(config, seed)
    scenes = S.sprites(20_000, seed, HELD)
    pictures, words = 2 * scenes.images - 1, S.encode(scenes.captions)
    draw = noisy_batches(pictures, words, NOTHING, BATCH, seed, "image")
    steps = round(teraflops * 1e12 / mmdit_flops(config, BATCH))
    after = None if look is None else (lambda run: look(run, steps))
    network.steps = fit(
        network, draw, steps, lr=lr, ema=EMA, after_step=after, progress=False
    ).step
    return network


def error(network: MMDiT) -> float:
    """Mean squared error of the picture that is expected, over `TIMES`, on 400 new scenes."""
    scenes = S.sprites(400, 9000, HELD)
    pictures, words = 2 * scenes.images - 1, S.encode(scenes.captions)
    random, found = rng(9000, "error"), []
    for t in TIMES:
        noise = random.standard_normal(pictures.shape, dtype=np.float32)
        x = mix(pictures, noise, *(np.float32(part) for part in cosine_path(t)))
        found.append(float(((answers(network, x, t, words) - pictures) ** 2).mean()))
    return float(np.mean(found))


def exam(network: MMDiT, seed: int, count: int, guidance: float) -> dict[str, float]:
    """Shares of pictures that are legible, of things, of whole captions; of new pairs too."""
    found: dict[str, float] = {}
    for name, only in (("", False), ("new_", True)):
        scenes = S.sprites(count, 5000 + seed, HELD, only)
        random = rng(seed, "captions", name)
        drawn = draw_pictures(network, S.encode(scenes.captions), random, 20, guidance, "image")
        marks = [
            S.judge((image + 1) / 2, caption)
            for image, caption in zip(drawn, scenes.captions, strict=True)
        ]
        for part in ("legible", "things", "whole"):
            found[name + part] = float(np.mean([getattr(mark, part) for mark in marks]))
    return found


def run_one(model: str, seed: int, lr: float, teraflops: float, count: int) -> dict[str, Any]:
    """Train one of `MODELS` for as many operations, tested at the half and the end."""
    config = config_of(model)
    network = MMDiT(config, seed)
    scenes = S.sprites(20_000, seed, HELD)
    pictures, words = 2 * scenes.images - 1, S.encode(scenes.captions)
    draw = noisy_batches(pictures, words, NOTHING, BATCH, seed, "image")
    steps = round(teraflops * 1e12 / mmdit_flops(config, BATCH))
    points, testing = [], 0.0

    def test(step: int) -> dict[str, Any]:
        return {"step": step, **exam(network, seed, count, 3.0)}

    def look(run: Any) -> None:
        nonlocal testing
        if run.step == steps // 2:
            began = time.process_time()
            with run.ema.applied():
                points.append(test(run.step))
            testing += time.process_time() - began

    began = time.process_time()
    fit(network, draw, steps, lr=lr, ema=EMA, after_step=look, progress=False)
    spent = time.process_time() - began - testing
    points.append(test(steps))
    return {
        "seed": seed,
        "lr": lr,
        "parameters": network.num_parameters(),
        "flops_per_step": mmdit_flops(config, BATCH),
        "cpu_seconds": spent,
        "unguided": exam(network, seed, count, 1.0),
        "points": points,
    }


def study(
    out: str,
    models: Sequence[str] = tuple(MODELS),
    seeds: Sequence[int] = (0,),
    teraflops: float = 4.0,
    count: int = 200,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train every way of hearing a caption; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: names from `MODELS`.
        seeds: of weights and scenes.
        teraflops: operations of training of each, in 1e12.
        count: captions of an exam.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    settings = {"teraflops": teraflops, "count": count, "batch": BATCH, "held": HELD}

    def shown(made: dict[str, Any]) -> str:
        return ", ".join(
            f"step {p['step']}: legible {p['legible']:.2f}, things {p['things']:.2f}, whole "
            f"{p['whole']:.2f}, new pairs {p['new_whole']:.2f}"
            for p in made["points"]
        )

    return carry_out(
        Record(out, "captions", settings, command),
        [{"model": model} for model in models],
        seeds,
        lambda model: {"lr": LR, "why": "the pilot's; one rate for all, not tuned"},
        lambda model, seed, lr: run_one(model, seed, lr, teraflops, count),
        shown,
        say,
    )
