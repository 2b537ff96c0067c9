"""Batches: windows of a long row of tokens, shuffled, seeded, and resumable at any step."""

from collections.abc import Iterator

import numpy as np

from minilm import backend
from minilm.errors import InputError


class Batches:
    """Endless (ids, targets) pairs; the target of a token is the one that follows it.

    An epoch cuts the tokens into windows that do not overlap and visits each once, in an order and
    from a starting point of its own. The batch of a step depends on nothing but the arguments and
    the step, so the state is two numbers.

    Args:
        tokens: ids (T,), any integer type, mapped files too.
        batch: windows in a batch.
        context: tokens in a window.
        seed: chooses the order.
        start: the step to begin with.

    Raises:
        InputError: a number out of range, or fewer tokens than one window and its last target.
    """

    def __init__(
        self, tokens: np.ndarray, batch: int, context: int, seed: int = 0, start: int = 0
    ) -> None:
        for name, value, least in (
            ("batch", batch, 1),
            ("context", context, 1),
            ("start", start, 0),
        ):
            if value < least:
                raise InputError(f"{name} is {value}; it must be {least} or more")
        if len(tokens) < context + 1:
            raise InputError(
                f"tokens holds {len(tokens)} ids; context {context} needs at least {context + 1}"
            )
        self.tokens = tokens
        self.batch = batch
        self.context = context
        self.seed = seed
        self.step = start
        windows = (len(tokens) - 1) // context
        # One window in many is given up, so that each epoch can cut the text at other places.
        self.windows = windows - 1 if windows >= 16 else windows
        self._slack = len(tokens) - 1 - self.windows * context
        self._epoch = -1
        self._starts = np.zeros(0, np.int64)

    @property
    def epoch(self) -> int:
        """How many times all windows have been visited."""
        return self.step * self.batch // self.windows

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return self

    def __next__(self) -> tuple[np.ndarray, np.ndarray]:
        """Ids and targets, int32 (B, T) each."""
        first = self.step * self.batch
        starts = [self._start(first + i) for i in range(self.batch)]
        self.step += 1
        rows = np.stack([self.tokens[s : s + self.context + 1] for s in starts]).astype(np.int32)
        return np.ascontiguousarray(rows[:, :-1]), np.ascontiguousarray(rows[:, 1:])

    def state(self) -> dict[str, int]:
        """What `restore` needs to go on with the next batch."""
        return {"seed": self.seed, "step": self.step}

    def restore(self, state: dict[str, int]) -> None:
        """Continue where the batches that returned this state had stopped."""
        self.seed, self.step = int(state["seed"]), int(state["step"])
        self._epoch = -1

    def _start(self, sample: int) -> int:
        """The first token of the n-th window of the run."""
        epoch, place = divmod(sample, self.windows)
        if epoch != self._epoch:
            rng = backend.rng(self.seed, "batches", epoch)
            shift = int(rng.integers(0, self._slack + 1))
            self._starts = shift + self.context * rng.permutation(self.windows)
            self._epoch = epoch
        return int(self._starts[place])


def batches(tokens: np.ndarray, batch: int, context: int, seed: int = 0, start: int = 0) -> Batches:
    """Endless shuffled batches; see `Batches`."""
    return Batches(tokens, batch, context, seed, start)


def windows(
    tokens: np.ndarray, batch: int, context: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All tokens once, in order, for evaluation: int32 (b, t) pairs with b <= batch, t <= context.

    Every token but the first is a target exactly once; the last batch and window may be smaller.

    Raises:
        InputError: fewer than two tokens.
    """
    if len(tokens) < 2:
        raise InputError(f"tokens holds {len(tokens)} ids; evaluation needs at least 2")
    whole = (len(tokens) - 1) // context
    for first in range(0, whole, batch):
        count = min(batch, whole - first)
        begin = first * context
        row = np.asarray(tokens[begin : begin + count * context + 1], np.int32)
        # (count * context,) -> (count, context)
        yield row[:-1].reshape(count, context), row[1:].reshape(count, context)
    rest = np.asarray(tokens[whole * context :], np.int32)
    if rest.size > 1:
        yield rest[None, :-1], rest[None, 1:]
