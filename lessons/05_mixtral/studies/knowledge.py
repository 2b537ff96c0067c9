"""Experts against one feed-forward at equal work per token: does knowledge gain, or reasoning?

    minilm study run 05/knowledge --out knowledge.json

Jiang (CS25 V4, 10:32-12:38): feed-forwards hold knowledge and attention carries out algorithms, so
experts should help more with what must be known than with what must be worked out. Two-layer
decoders read the seven tasks of lesson 2. "mixture" has 8 experts of width 128 of which a token uses
2; "dense" has one feed-forward of width 256, the same products per token. Each has its own learning
rate, tuned on a seed of its own. Tests come at a quarter, at half and at the end of the steps.

A first run had 32 channels in place of 64: the dense model did not begin to learn places or sums
within 3,000 steps, so it could not tell who gains on them. It was stopped after that one run.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm import backend
from minilm.analysis import metrics, probes
from minilm.data.worlds.tasks import GENERATORS
from minilm.data.worlds.world import TaskWorld
from minilm.models import Transformer
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record, rounded
from minilm.studies.runs import TUNING_SEED, aligned, predictor, tune

from ..mixture import CHOSEN, EXPERTS, config_of, learn, losses, mixture

WORLD = TaskWorld()
LAYERS, CHANNELS, CONTEXT, BATCH = 2, 64, 32, 32
STEPS, TUNE_STEPS = 3000, 300
FF = {"dense": 256, "mixture": 128}  # of one feed-forward; the mixture uses two
START = {"dense": 5e-3, "mixture": 5e-3}  # the rate around which tuning starts
COEFFICIENT = 0.01  # of the balance loss
MIXTURE = {  # shares of the tokens: much of what the claim is about, and fixed before any run
    "grammar": 0.10,
    "lexical": 0.05,
    "facts": 0.30,
    "sentiment": 0.08,
    "translation": 0.07,
    "spatial": 0.30,
    "arithmetic": 0.10,
}
KNOWLEDGE, REASONING = ("facts",), ("spatial", "arithmetic")  # as the claim's test names them
WINDOWS, PROMPTS = 512, 256


class Exam:
    """Held-out windows with their tasks, and prompts for facts and places."""

    def __init__(self) -> None:
        held = WORLD.sample(WINDOWS * CONTEXT + 1, seed=4242, mixture=MIXTURE)
        parts, self.names = held.parts()
        self.ids = held.tokens[:-1].reshape(WINDOWS, CONTEXT)
        self.next = held.tokens[1:].reshape(WINDOWS, CONTEXT)
        self.parts = parts[1:].reshape(WINDOWS, CONTEXT)
        self.probes = WORLD.probes(PROMPTS, CONTEXT, mixture=MIXTURE)

    def loss(self, model: Transformer) -> float:
        """Mean nats per token."""
        return float(losses(model, self.ids, self.next).mean())

    def sit(self, model: Transformer) -> dict[str, Any]:
        """Nats by task, prompt and tested words apart; right answers to the prompts."""
        split = metrics.per_task_loss(
            -losses(model, self.ids, self.next).astype(float), self.parts, self.names
        )
        right = {p.name: probes.score(predictor(model), p)["exact_match"] for p in self.probes}
        return {"loss": split.total, "losses": split.losses, "right": rounded(right, 4)}


def build(model: str, seed: int) -> Transformer:
    """A model of `FF` that has learnt nothing yet."""
    config = config_of(WORLD.vocab_size, CONTEXT, LAYERS, CHANNELS, FF[model])
    return mixture(config, seed) if model == "mixture" else Transformer(config, seed=seed)


def train_one(
    model: str, seed: int, lr: float, steps: int, after: Callable[[Transformer, int], Any]
) -> Transformer:
    """One model on a stream of its own."""
    stream = WORLD.sample((steps + 1) * BATCH * CONTEXT + 1, 1000 + seed, MIXTURE).tokens
    made = build(model, seed)
    batches = aligned(stream, BATCH, CONTEXT)
    return learn(made, batches, steps, lr, COEFFICIENT, after=lambda step: after(made, step))


def study(
    out: str,
    models: Sequence[str] = tuple(FF),
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = STEPS,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Tune, train and test every model; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: names from `FF`.
        seeds: of weights and data.
        steps: of a run, 32 windows of 32 words each.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, FF)
    exam = Exam()
    settings = {
        "steps": steps, "tune_steps": TUNE_STEPS, "batch": BATCH, "context": CONTEXT,
        "layers": LAYERS, "channels": CHANNELS, "ff": FF, "experts": EXPERTS, "chosen": CHOSEN,
        "coefficient": COEFFICIENT, "mixture": MIXTURE, "windows": WINDOWS, "prompts": PROMPTS,
        "floors": {task: floor.scored for task, floor in WORLD.floors(MIXTURE).items()},
    }  # fmt: skip

    def tuned(model: str) -> dict[str, Any]:
        def final(lr: float) -> float:
            made = train_one(model, TUNING_SEED, lr, TUNE_STEPS, lambda *_: None)
            return exam.loss(made)

        return tune(START[model], final, widest=5)

    def run(model: str, seed: int, lr: float) -> dict[str, Any]:
        began, testing, points = time.process_time(), 0.0, []

        def after(made: Transformer, step: int) -> None:
            nonlocal testing
            if step in {steps // 4, steps // 2, steps}:
                start = time.process_time()
                points.append({"step": step, **exam.sit(made)})
                testing += time.process_time() - start

        made = train_one(model, seed, lr, steps, after)
        return {
            "seed": seed,
            "lr": lr,
            "parameters": made.num_parameters(),
            "cpu_seconds": time.process_time() - began - testing,
            "points": points,
        }

    def show(made: dict[str, Any]) -> str:
        last = made["points"][-1]
        named = (f"{task} {last['losses'][f'{task} scored']:.3f}" for task in MIXTURE)
        return f"loss {last['loss']:.4f}; {', '.join(named)}"

    return carry_out(
        Record(out, "knowledge", settings, command),
        [{"model": model} for model in models],
        seeds,
        tuned,
        run,
        show,
        say,
    )


def lazy_nats(task: str, draws: int = 20_000) -> float:
    """Nats per tested word of a reader who only knows how often each answer comes.

    In grammar the tested place is a verb or one more `near`: that choice costs everybody the same.
    """
    if task == "grammar":
        return WORLD.floors(MIXTURE)[task].scored + float(np.log(2))
    made = GENERATORS[task](WORLD, backend.rng(0, "lazy", task), draws)
    answers = made.rows[made.scored].reshape(draws, -1)  # (draws, words of an answer)
    habit = [np.unique(column, return_counts=True)[1] / draws for column in answers.T]
    return float(np.mean([-(p * np.log(p)).sum() for p in habit]))
