"""What the studies share: model sizes, a schedule, training with tests along the way, tuning."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilm.analysis import accounting, probes, state_costs
from minilm.errors import InputError
from minilm.models import Config, model_of
from minilm.models.language_model import LanguageModel
from minilm.models.state_model import StateConfig
from minilm.tensor import no_grad
from minilm.train import Diverged, Run, default_optimizer, train

TUNING_SEED = 77  # of tuning runs; never one of a study's own seeds
TAIL = 0.2  # share of the steps in which the learning rate falls to 0


class Size(NamedTuple):
    """The shape of a model, and the learning rate around which tuning starts."""

    layers: int
    channels: int
    heads: int
    lr: float


SIZES = {
    "1x16": Size(1, 16, 1, 1e-2),
    "2x16": Size(2, 16, 1, 1e-2),
    "1x32": Size(1, 32, 2, 7e-3),
    "2x32": Size(2, 32, 2, 7e-3),
    "2x48": Size(2, 48, 3, 5e-3),
    "2x64": Size(2, 64, 4, 4e-3),
    "3x96": Size(3, 96, 3, 2.5e-3),
    "4x128": Size(4, 128, 4, 1.5e-3),
    "4x256": Size(4, 256, 8, 1e-3),
}


def config_of(size: Size, vocab_size: int, context: int) -> Config:
    """A GPT-2-shaped decoder with its own head; weights start wider where channels are few."""
    return Config(
        vocab_size=vocab_size,
        context=context,
        layers=size.layers,
        heads=size.heads,
        channels=size.channels,
        activation="gelu_tanh",
        tie=False,
        init_std=0.5 / math.sqrt(size.channels),
    )


def predictor(model: LanguageModel) -> probes.Predict:
    """The model as a function from ids to logits, both NumPy."""

    def predict(ids: np.ndarray) -> np.ndarray:
        with no_grad():
            return model(ids).numpy()

    return predict


def falls_from(steps: int) -> int:
    """The step after which the learning rate falls."""
    return steps - max(1, int(TAIL * steps))


def stable_then_decay(steps: int, warmup: int = 30) -> Callable[[int], float]:
    """The share of the learning rate: it rises, stays constant, and falls to 0 in the last fifth.

    While it is constant, a point of a long run is what a shorter run would have given.
    """
    start = falls_from(steps)

    def share(step: int) -> float:
        rise = min(1.0, (step + 1) / warmup)
        return rise * min(1.0, (steps - step) / (steps - start))

    return share


def exam_steps(steps: int, count: int = 14, first: int = 60) -> list[int]:
    """Steps at which models are tested: evenly spaced in log, the last one included."""
    first = min(first, steps)
    return sorted({round(s) for s in np.geomspace(first, steps, count)} | {steps})


def aligned(
    tokens: np.ndarray, batch: int, context: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches (ids, targets) in order, every window beginning at a multiple of `context`.

    For streams of documents of equal length, which a model with learned positions would otherwise
    see at one random offset and be tested on at another.
    """
    for start in range(0, len(tokens) - batch * context, batch * context):
        rows = tokens[start : start + batch * context + 1]
        yield rows[:-1].reshape(batch, context), rows[1:].reshape(batch, context)


def whole(run: Run) -> Run:
    """The same run, unless Ctrl-C or a polite kill ended it: half a run must not be kept as one.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    if run.interrupted:
        raise KeyboardInterrupt
    return run


def train_and_test(
    config: Config | StateConfig,
    tokens: np.ndarray | Iterator[tuple[np.ndarray, np.ndarray]],
    test: Callable[[LanguageModel], dict[str, Any]],
    at: Iterable[int],
    steps: int,
    batch: int,
    lr: float,
    seed: int,
    build: Callable[[Config, int], Any] = model_of,
    lengths: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """Train one model with AdamW and test it at some steps.

    Args:
        config: of the model.
        tokens: (N,) ids, of which `steps * batch * context + 1` are read once, cut anywhere; or
            ready-made batches, as for `minilm.train.train`.
        test: returns the entries of a point.
        at: the steps at which to test.
        steps, batch, lr, seed: as for `minilm.train.train`.
        build: makes the model from the config and the seed.
        lengths: source and target tokens of an encoder-decoder's example; by default the context
            and 0.

    Returns:
        Shape, sizes, seed, learning rate, processor seconds of training (of all threads, without
        the tests), and `points`: for each test the step, tokens, compute (6 N D), exact
        matrix-product FLOPs, whether the learning rate was falling, and what the test returned.

    Raises:
        Diverged: the learning rate is too high.
    """
    model = build(config, seed)
    source, target = lengths or (config.context, 0)
    size, per_step = _costs(config, source, target, batch)
    at, points, testing, began = set(at), [], 0.0, time.process_time()

    def report(step: int, log: Any) -> Sequence[str]:
        nonlocal testing
        if step in at:
            start = time.process_time()
            seen = step * batch * (source + target)
            model.eval()
            point = {"step": step, "tokens": seen, "compute": accounting.six_nd(size.total, seen)}
            point |= {"flops": per_step * step, "annealed": step > falls_from(steps)}
            points.append({**point, **test(model)})
            model.train()
            testing += time.process_time() - start
        return ()

    run = train(
        model,
        tokens,
        steps,
        batch=batch,
        context=config.context,
        optimizer=default_optimizer(model, lr, weight_decay=0.05),
        schedule=stable_then_decay(steps),
        seed=seed,
        report=report,
        report_every=1,
        progress=False,
    )
    whole(run)
    return {
        "seed": seed,
        "lr": lr,
        "layers": config.layers,
        "channels": config.channels,
        "heads": getattr(config, "heads", None),
        "parameters": size.total,
        "non_embedding": size.non_embedding,
        "steps": run.step,
        "cpu_seconds": time.process_time() - began - testing,
        "points": points,
    }


def _costs(
    config: Config | StateConfig, source: int, target: int, batch: int
) -> tuple[accounting.Parameters, int]:
    """The parameters of a model, and the FLOPs of a step."""
    if isinstance(config, StateConfig):
        forward = state_costs.forward_flops(config, source + target, batch).total
        return state_costs.count_parameters(config), 3 * forward
    per_step = accounting.training_flops(config, source, target, batch)
    return accounting.count_parameters(config), per_step


def tune(
    start: float,
    final_loss: Callable[[float], float],
    factor: float = 2.0,
    widest: int = 7,
    slack: float = 0.005,
) -> dict[str, Any]:
    """The best learning rate of a model, on a grid that grows at its edges.

    Short runs favour large rates, and their losses are noisy: of all rates whose loss is within
    `slack` of the least, the smallest is taken. The search starts with three rates, a factor apart,
    and adds one beyond the edge as long as the least loss or the rate taken is at that edge (at
    most `widest` rates). A run that diverges counts as an infinite loss.

    Args:
        start: the middle one of the first three rates.
        final_loss: learning rate -> loss of a short run; the least wins.
        factor: the ratio of neighbouring rates.
        widest: how many rates to try at most.
        slack: relative to the least loss.

    Returns:
        The rate, the loss of every rate tried, and whether it or the best one is at an edge.

    Raises:
        InputError: training diverged at every rate.
    """
    losses: dict[float, float] = {}

    def measure(lr: float) -> None:
        lr = float(f"{lr:.3g}")
        try:
            losses[lr] = final_loss(lr)
        except Diverged:
            losses[lr] = math.inf

    def chosen() -> tuple[float, float]:
        """The rate with the least loss, and the smallest that is nearly as good."""
        best = min(losses, key=losses.__getitem__)
        limit = losses[best] + slack * abs(losses[best])
        return best, min(lr for lr in losses if losses[lr] <= limit)

    for power in (-1, 0, 1):
        measure(start * factor**power)
    while len(losses) < widest:
        best, taken = chosen()
        if taken == min(losses):
            measure(taken / factor)
        elif best == max(losses):
            measure(best * factor)
        else:
            break
    best, taken = chosen()
    if math.isinf(losses[best]):
        raise InputError(
            f"start is {start}, and training diverged at every rate from {min(losses)} to "
            f"{max(losses)}; give a smaller one"
        )
    ordered = {str(lr): losses[lr] for lr in sorted(losses)}
    at_edge = taken == min(losses) or best == max(losses)
    return {"lr": taken, "losses": ordered, "at_edge": at_edge}
