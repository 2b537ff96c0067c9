"""What stands in a gap? Samplers of 1,555 strings, matched against the listed posterior.

    minilm study run 08/strings --out strings.json

Hu et al. (2023, arXiv 2310.04363) say that maximising a reward collapses onto one answer, that
maximum likelihood needs samples nobody has, and that a GFlowNet objective matches the posterior.
Here the posterior over what fills a gap of up to four letters is listed, so each claim is a number.
Every method has the same small Transformer, steps and batch, and its own learning rate, tuned on a
world of its own: by the distance from the posterior, or for the maximiser by the reward it gets.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilm import align, backend
from minilm.align import ON_POLICY, Behaviour, Drawn, TextPolicy
from minilm.analysis.enumerate import (
    Texts,
    entropy,
    enum_posterior,
    found_of_top,
    shown_of_top,
    total_variation,
)
from minilm.data.worlds.strings import LETTERS, Gap, gap
from minilm.models import Config, Transformer
from minilm.nn import Module, Parameter
from minilm.optim import AdamW, linear
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, tune
from minilm.tensor import Tensor
from minilm.train import train

LONGEST, BATCH, STEPS = 4, 64, 1200
STOP, START = LETTERS, LETTERS + 1
TEXTS = Texts(LETTERS, LONGEST)
TOP, DRAWS = 50, 1000
WANTED = 45  # of the `TOP`, by this lesson's first rule
PATIENT = 2400  # steps of the lesson's own runs, which explore at temperatures up to `HOTTEST`
HOTTEST = 3.0
LONG = 4  # times the steps, for the models whose name says so
MODELS = {
    "SubTB": 1e-2,
    "TB": 1e-2,
    "soft RL": 3e-3,
    "maximise R": 3e-3,
    "MLE, 100 samples": 3e-3,
    "MLE, 5000 samples": 3e-3,
    "soft RL, 4x": 3e-3,
    "maximise R, 4x": 3e-3,
}  # the rate around which tuning starts


class World(NamedTuple):
    """A gap, its listed posterior, and the logarithm of its sum."""

    gap: Gap
    posterior: np.ndarray
    log_z: float


def world(seed: int) -> World:
    """The gap of a seed, solved by listing."""
    hole = gap(seed)
    return World(hole, *enum_posterior(TEXTS, lambda ids, n: hole.log_reward(ids, ids, n)))


def sampler(seed: int) -> TextPolicy:
    """A Transformer of one layer that has learnt nothing yet."""
    config = Config(
        vocab_size=LETTERS + 2, context=1 + LONGEST, layers=1, heads=2, channels=32, tie=False
    )
    return TextPolicy(Transformer(config, seed=seed), STOP, LONGEST, range(LETTERS))


def exam(policy: TextPolicy, known: World, seed: int) -> dict[str, float]:
    """The sampler against the list; log Z is read off the root alone."""
    log_q = policy.table([START], TEXTS)
    q, p = np.exp(log_q), known.posterior
    shown = shown_of_top(p, DRAWS, TOP)
    root = known.gap.log_reward(TEXTS.ids[:1], TEXTS.ids[:1], TEXTS.lengths[:1])[0]
    return {
        "tv": total_variation(p, q),
        "off": align.partition_from_root(root, log_q[0]) - known.log_z,
        "found": found_of_top(p, q, backend.rng(seed, "draws"), DRAWS, TOP),
        # What as many exact draws show on average, and how likely they show 45: even they miss some.
        "possible": float(shown @ np.arange(TOP + 1)),
        "enough": float(shown[WANTED:].sum()),
        "largest": float(q.max()),
        "reward": float((q * p).sum() / p.max()),  # E[R] over the best R
        "favourite": float(p[q.argmax()] / p.max()),  # R of the likeliest text over the best R
        "entropy": entropy(q / q.sum()),
    }


class WithZ(Module):
    """A model and the log Z that trajectory balance learns beside it."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model, self.log_z = model, Parameter(np.zeros(1, np.float32))


def samples(known: World, count: int, seed: int) -> Iterator[tuple[np.ndarray, Drawn]]:
    """Batches from so many exact samples of the posterior, which nobody has in earnest."""
    rng = backend.rng(seed, "samples")
    data = rng.choice(len(TEXTS), count, p=known.posterior)
    while True:
        rows = data[rng.integers(count, size=BATCH)]
        yield np.full((BATCH, 1), START), Drawn(TEXTS.ids[rows], TEXTS.lengths[rows])


def train_one(
    model: str,
    seed: int,
    lr: float,
    steps: int = STEPS,
    at: Sequence[int] = (),
    update: Callable[[], Any] | None = None,
    hottest: float = 2.0,
) -> tuple[TextPolicy, World, list[dict[str, float]]]:
    """One sampler, by one of `MODELS`; examined after the steps `at` and at the end.

    `update` is called after every step; SubTB explores at temperatures from 1 to `hottest`.
    """
    kind, known, policy = model.removesuffix(", 4x"), world(seed), sampler(seed)
    trained: Module = policy.model
    optimizers = [AdamW(policy.model.parameters(), lr=lr, betas=(0.9, 0.95), weight_decay=0.01)]
    if kind.startswith("MLE"):
        batches: Any = samples(known, int(kind.split()[1]), seed)

        def loss(model: Any, batch: Any) -> Tensor:
            return -policy.log_q(*batch).mean()

    else:
        behaviour = Behaviour(hottest=hottest) if kind == "SubTB" else ON_POLICY
        batches = align.tries(
            policy, known.gap.log_reward, np.array([[START]]), BATCH, seed, behaviour
        )
        if kind == "TB":
            trained = WithZ(policy.model)
            optimizers.append(AdamW([trained.log_z], lr=10 * lr, weight_decay=0.0))
            loss = align.tb_objective(policy, trained.log_z)
        else:
            objective = {
                "SubTB": align.subtb_objective,
                "soft RL": align.soft_objective,
                "maximise R": align.greedy_objective,
            }
            loss = objective[kind](policy)
    points: list[dict[str, float]] = []

    def after(run: Any) -> None:
        if update is not None:
            update()
        if run.step in {*at, steps}:
            points.append({"step": run.step, **exam(policy, known, seed)})

    run = train(
        trained, batches, steps, loss=loss, optimizer=optimizers, progress=False, after_step=after,
        schedule=lambda step: linear(step, steps), seed=seed,
    )  # fmt: skip
    if run.interrupted:
        raise KeyboardInterrupt
    return policy, known, points


def study(
    out: str,
    models: Sequence[str] = tuple(MODELS),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    steps: int = STEPS,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train every sampler; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: names from `MODELS`.
        seeds: of world, weights and draws.
        steps: of a run; those with 4x in their name take four times as many.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    settings = {"steps": steps, "batch": BATCH, "longest": LONGEST, "top": TOP, "draws": DRAWS}

    def length(model: str) -> int:
        return steps * (LONG if model.endswith("4x") else 1)

    def tuned(model: str) -> dict[str, Any]:
        aim = "reward" if model.startswith("maximise") else "tv"

        def final(lr: float) -> float:
            last = train_one(model, TUNING_SEED, lr, steps)[2][-1]
            return -last["reward"] if aim == "reward" else last["tv"]

        return tune(MODELS[model], final, factor=3.0, widest=5, slack=0.0)

    def run(model: str, seed: int, lr: float) -> dict[str, Any]:
        began, last = time.process_time(), length(model)
        policy, _, points = train_one(model, seed, lr, last, [last // 6, last // 3, 2 * last // 3])
        made = {"seed": seed, "lr": lr, "parameters": policy.model.num_parameters()}
        return {**made, "cpu_seconds": time.process_time() - began, "points": points}

    def show(made: dict[str, Any]) -> str:
        last = made["points"][-1]
        return f"TV {last['tv']:.3f}, log Z off by {last['off']:+.3f}, {last['found']} found"

    return carry_out(
        Record(out, "strings", settings, command),
        [{"model": model} for model in models],
        seeds,
        tuned,
        run,
        show,
        say,
        tuned_as=lambda case: case["model"].removesuffix(", 4x"),
    )
