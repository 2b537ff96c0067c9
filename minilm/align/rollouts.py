"""Learning from one's own answers: they are drawn, scored, and used for a few steps.

Every method that learns so runs here. A round draws answers with the policy as it is, in the cached
decoder, and cuts them into batches; the ordinary training loop takes a step on each.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minilm import backend
from minilm.align.answers import Answers, complete
from minilm.errors import InputError
from minilm.inference import generate
from minilm.train import Run, train
from minilm.train.checkpoints import read_facts

Reward = Callable[[Answers], Any]


class RewardFailed(InputError):
    """A reward function raised, or gave what is no reward."""


def roll_out(
    policy: Any,
    prompts: Sequence[np.ndarray],
    tokens: int,
    end: int | None = None,
    seed: int = 0,
    samples: int = 1,
    temperature: float = 1.0,
) -> Answers:
    """Answers that the policy draws, in the cached decoder.

    Args:
        policy: a decoder.
        prompts: rows of ids, of any lengths.
        tokens: the most that are written for each.
        end: the id that ends an answer; None: every answer has all its tokens.
        seed: of the draws.
        samples: answers for each prompt; those of one prompt follow each other.
        temperature: 1 draws from the policy as it is.

    Raises:
        InputError: as `generate`; a prompt that leaves no room for `tokens`, for instance.
    """
    stop = () if end is None else [end]
    written = generate(
        policy,
        list(prompts),
        tokens,
        temperature=temperature,
        stop=stop,
        seed=seed,
        samples=samples,
        arrays=True,
    )
    rows = [prompt for prompt in prompts for _ in range(samples)]
    return complete(rows, written, 0 if end is None else end)


def score(reward: Reward, answers: Answers) -> np.ndarray:
    """The reward of each answer, (N,) float64.

    Raises:
        RewardFailed: the function raised, or gave something other than N finite numbers.
    """
    n = len(answers.ids)
    try:
        given = np.asarray(reward(answers), np.float64)
    except Exception as error:
        words = f"the reward function raised {type(error).__name__}: {error}"
        raise RewardFailed(words) from error
    if given.shape != (n,):
        raise RewardFailed(
            f"the reward has shape {given.shape}; it must have one number for each of {n} answers"
        )
    if not np.isfinite(given).all():
        first = int(np.flatnonzero(~np.isfinite(given))[0])
        raise RewardFailed(f"the reward of answer {first} is {given[first]}; it must be finite")
    return given


class Rounds:
    """Batches that come in rounds, each drawn when its first batch is asked for.

    Args:
        draw: number of a round, from 0 -> its batches.
        each: batches in a round.
        start: the step to begin with. Within a round, the round is drawn anew.

    Attributes:
        failure: what a reward function did wrong; the batches end with it.
    """

    def __init__(self, draw: Callable[[int], Sequence[Any]], each: int, start: int = 0) -> None:
        self.draw, self.each, self.step = draw, each, start
        self.failure: RewardFailed | None = None
        self._drawn: tuple[int, Sequence[Any]] = (-1, ())

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        number, place = divmod(self.step, self.each)
        if self._drawn[0] != number:
            try:
                self._drawn = (number, self.draw(number))
            except RewardFailed as failure:
                self.failure = failure
                raise StopIteration from None
        self.step += 1
        return self._drawn[1][place]


def train_rounds(
    model: Any,
    draw: Callable[[int], Sequence[Any]],
    rounds: int,
    each: int,
    loss: Callable[[Any, Any], Any],
    after_round: Callable[[int], Any] | None = None,
    **settings: Any,
) -> Run:
    """Train on rounds, resumable where a round begins.

    Args:
        model: what is trained, the policy in it.
        draw: number of a round -> its batches.
        rounds: how many there are in all.
        each: batches, which are steps, in a round.
        loss: (model, batch) -> a Tensor of one number.
        after_round: called with the number of rounds that are done.
        settings: as of `minilm.train.train`.

    Raises:
        InputError: as `train`; a reward function that failed. All steps before are saved then,
            where `out` was given, and `resume` goes on from there.
    """
    if rounds < 1 or each < 1:
        raise InputError(f"rounds is {rounds}, of {each} steps; both must be 1 or more")
    out = settings.get("out")
    settings = {
        "weight_decay": 0.0,
        "save_every": each * max(1, rounds // 10),
        "batch": 1,  # says nothing here: batches come as they are
        **settings,
    }
    start = read_facts(Path(out))["step"] if settings.get("resume") and out else 0
    source = Rounds(draw, each, start)

    def after(run: Run) -> None:
        if after_round is not None and run.step % each == 0:
            after_round(run.step // each)

    try:
        run = train(model, source, rounds * each, loss=loss, after_step=after, **settings)
    except InputError:
        if source.failure is None:
            raise
    if source.failure is not None:
        kept = f", and everything before it is in {out}" if out else ""
        words = f"{source.failure}; training stopped at step {source.step + 1}{kept}"
        raise RewardFailed(words) from source.failure.__cause__
    return run


def seed_of(seed: int, *stream: str | int) -> int:
    """A seed for one purpose, from a run's seed."""
    return int(backend.rng(seed, *stream).integers(2**31))


def cut_batches(batch: Any, parts: int, order: np.ndarray) -> list[Any]:
    """The rows of a dict of arrays in this order, in so many parts of about the same size."""
    return [
        {name: array[rows] for name, array in batch.items()}
        for rows in np.array_split(order, parts)
    ]
