"""Relay against scratch and against a cascade, 16 to 32 pixels, at equal operations of training.

    minilm study run 07fb/relay --out relay.json

After Ming Ding (CS25 V4, 52:26-55:10): go on with diffusion from the small result, and do not start
again from noise. Drawn digits of 32 by 32 pixels. "scratch" learns them at once. "relay" and
"cascade" share a model of 16 by 16 pixels, whose training counts for both; then the relay goes on
from its grown picture with noise of time .5, and the cascade starts from pure noise with the small
picture beside it. All three have the same number of operations in training, and are compared where
sampling costs the same too.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.analysis.pictures import frechet, precision_recall
from minilm.analysis.spectrum import spectrum_error
from minilm.backend import rng
from minilm.data.images import glyphs
from minilm.diffusion import pool, sample_ddim
from minilm.diffusion.dit import DiT, DiTConfig, dit_flops
from minilm.diffusion.generate import denoiser, draw_pictures
from minilm.diffusion.judge import Judge, train_judge
from minilm.diffusion.relay import grow, relay_batches, sample_relay
from minilm.diffusion.schedules import cosine_path
from minilm.diffusion.training import fit, noisy_batches
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import whole

SIDE, TIMES = 32, 2
LARGE = DiTConfig(side=SIDE, patch=4)  # 64 tokens
SMALL = DiTConfig(side=SIDE // TIMES, patch=4)  # 16 tokens: a pass costs a quarter
BESIDE = DiTConfig(side=SIDE, patch=4, beside=1)
LR, EMA, BATCH, TOP = 2e-3, 0.99, 32, 0.5
LABELS = np.repeat(np.arange(10), 20)
NOTHING = np.int64(10)
MODELS = ("scratch", "relay", "cascade")
BUDGETS = (12, 24, 48)  # large passes' worth of sampling, for one picture
LEAD = 1.5  # guidance, of the model that decides what is drawn


class World:
    """Drawn digits at both sizes, and a judge of the large ones."""

    def __init__(self, seed: int, count: int) -> None:
        known, held = (glyphs(n, SIDE, seed=s) for n, s in ((count, seed), (600, 1000 + seed)))
        self.large, self.labels = 2 * known.images[:, None] - 1, known.labels
        self.small = pool(self.large, TIMES)
        self.held, self.seed = 2 * held.images - 1, seed
        self.judge: Judge = train_judge(self.large[:, 0], self.labels, seed, 1000, progress=False)
        self.named = float((self.judge.names(self.held) == held.labels).mean())
        blurred = grow(pool(self.held, TIMES), TIMES)
        self.floor = {"known": self._far(self.large[:600, 0]), "grown": self._far(blurred)}

    def _far(self, pictures: np.ndarray) -> float:
        return frechet(self.judge.features(pictures), self.judge.features(self.held))

    def sit(self, fake: np.ndarray) -> dict[str, float]:
        """Right, Frechet distance, precision, recall, error of the spectrum."""
        fake = fake[:, 0]
        mine, real = self.judge.features(fake), self.judge.features(self.held)
        precision, recall = precision_recall(real, mine)
        return {
            "right": float((self.judge.names(fake) == LABELS).mean()),
            "frechet": frechet(mine, real),
            "precision": precision,
            "recall": recall,
            "spectrum": spectrum_error(fake, self.held),
        }


def trained(config: DiTConfig, draw: Callable, flops: float, seed: int, lr: float) -> DiT:
    """A network after as many operations."""
    network = DiT(config, seed)
    steps = round(flops / dit_flops(config, BATCH))
    network.steps = whole(fit(network, draw, steps, lr=lr, ema=EMA, progress=False)).step
    return network


def first_stage(world: World, flops: float, lr: float) -> DiT:
    draw = noisy_batches(world.small, world.labels, NOTHING, BATCH, world.seed)
    return trained(SMALL, draw, flops, world.seed, lr)


def passes(model: str, budget: int) -> dict[str, int]:
    """Steps of each stage. Guidance doubles the passes of the stage that has it; small passes cost
    a quarter. The relay and the cascade spend half on each stage."""
    if model == "scratch":
        return {"large": budget // 2}
    return {"small": budget, "large": budget // 2}


def draw_with(model: str, stages: dict[str, DiT], budget: int, seed: int) -> np.ndarray:
    """200 digits of 32 by 32: (200, 1, 32, 32)."""
    random, steps = rng(seed, "drawing", budget), passes(model, budget)
    if model == "scratch":
        return draw_pictures(stages["large"], LABELS, random, steps["large"], LEAD)
    small = draw_pictures(stages["small"], LABELS, random, steps["small"], LEAD)
    blurred = grow(small, TIMES)
    if model == "relay":
        said = denoiser(stages["large"], LABELS, "image")
        return sample_relay(said, blurred, steps["large"], random, TOP)
    said = denoiser(stages["large"], LABELS, "v", beside=blurred)
    noise = random.standard_normal(blurred.shape, dtype=np.float32)
    return sample_ddim(said, noise, cosine_path, steps["large"], clip=1.0)


_kept: dict[tuple, tuple] = {}  # world and first stage of a seed, which two models share


def shared(seed: int, flops: float, lr: float, count: int) -> tuple[World, DiT | None]:
    """The world of a seed, and the first stage if a model before has made it."""
    key = (seed, flops, lr, count)
    if key not in _kept:
        _kept.clear()
        _kept[key] = (World(seed, count), None)
    return _kept[key]


def run_one(
    model: str, seed: int, lr: float, flops: float, share: float, count: int
) -> dict[str, Any]:
    """Train one of `MODELS` and draw with it at every budget."""
    began = time.process_time()
    world, small = shared(seed, flops, lr, count)
    x, y = world.large, world.labels
    stages: dict[str, DiT] = {}
    if model == "scratch":
        draw = noisy_batches(x, y, NOTHING, BATCH, seed)
        stages["large"] = trained(LARGE, draw, flops, seed, lr)
    else:
        if small is None:
            small = first_stage(world, share * flops, lr)
            _kept[(seed, flops, lr, count)] = (world, small)
        stages["small"], left = small, (1 - share) * flops
        blurred = grow(world.small, TIMES)
        if model == "relay":
            draw = relay_batches(x, blurred, y, NOTHING, BATCH, seed + 500, TOP)
            stages["large"] = trained(LARGE, draw, left, seed + 500, lr)
        else:
            draw = noisy_batches(x, y, NOTHING, BATCH, seed + 500, beside=blurred)
            stages["large"] = trained(BESIDE, draw, left, seed + 500, lr)
    spent, points, pictures = time.process_time() - began, [], ""
    steps = sum(network.steps for network in stages.values())
    for budget in BUDGETS:
        fake = draw_with(model, stages, budget, seed)
        points.append({"step": steps, "budget": budget, **world.sit(fake)})
        if budget == 24:
            shown = fake.reshape(10, 20, SIDE, SIDE)[:, 0]  # one of each
            pictures = "".join("0123456789abcdef"[g] for g in _grey(shown).ravel())
    return {
        "seed": seed,
        "lr": lr,
        "parameters": sum(network.num_parameters() for network in stages.values()),
        "cpu_seconds": spent,
        "judge": world.named,
        "floor": world.floor,
        "pictures": pictures,
        "points": points,
    }


def _grey(pictures: np.ndarray) -> np.ndarray:
    return np.clip(np.rint((pictures + 1) * 7.5), 0, 15).astype(int)


def study(
    out: str,
    models: Sequence[str] = MODELS,
    seeds: Sequence[int] = (0, 1, 2),
    teraflops: float = 2.0,
    share: float = 0.4,
    count: int = 4000,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train all three ways of drawing large digits; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: "scratch", "relay", "cascade".
        seeds: of weights, pictures and judge.
        teraflops: operations of each way's training in all, in 1e12.
        share: of them, for the first stage.
        count: training pictures.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    settings = {"teraflops": teraflops, "share": share, "count": count, "batch": BATCH, "top": TOP}

    def shown(made: dict[str, Any]) -> str:
        return ", ".join(
            f"{p['budget']} passes: {p['right']:.2f} right, {p['frechet']:.2f}"
            for p in made["points"]
        )

    return carry_out(
        Record(out, "relay", settings, command),
        [{"model": model} for model in models],
        seeds,
        lambda model: {"lr": LR, "why": "the pilot's; one rate for all, not tuned"},
        lambda model, seed, lr: run_one(model, seed, lr, teraflops * 1e12, share, count),
        shown,
        say,
    )
