"""A model as a sampler of texts that end."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np

from minilm import functional as F
from minilm.analysis.enumerate import Texts
from minilm.errors import InputError
from minilm.inference.batch import pad_left
from minilm.inference.following import Following, make_cache
from minilm.inference.rules import Rules
from minilm.inference.supported import check_weights
from minilm.tensor import Tensor, no_grad

Array = np.ndarray
NEVER = -1e9  # the logit of what may not be written


class Drawn(NamedTuple):
    """Texts: (B, L) int64 `ids`, 0 after the end, and (B,) `lengths`, the stop not counted."""

    ids: Array
    lengths: Array


class TextPolicy:
    """q(text | prompt) of any autoregressive model, one of whose tokens says "stop".

    After `longest` tokens a text stops by itself: the stop costs nothing there. Without that,
    probability would leak into texts that nobody rewards, and a balance would not notice.

    Args:
        model: ids (B, T) -> logits (B, T, V), T up to prompt and `longest` together; with
            `config.vocab_size`.
        stop: id of the terminator.
        longest: L, the most tokens of a text.
        allowed: ids that a text may hold; None: all but the stop.

    Raises:
        InputError: no terminator, an id that the model does not have, or a length below 1.
    """

    def __init__(
        self, model: Any, stop: int | None, longest: int, allowed: Sequence[int] | None = None
    ) -> None:
        size = model.config.vocab_size
        if stop is None or not 0 <= stop < size:
            raise InputError(
                f"stop is {stop}; it must be one of the model's ids, 0 to {size - 1}, because a "
                "text that cannot end has no probability"
            )
        if longest < 1:
            raise InputError(f"longest is {longest}; it must be 1 or more")
        allowed = [i for i in range(size) if i != stop] if allowed is None else list(allowed)
        unknown = [i for i in allowed if not 0 <= i < size or i == stop]
        if unknown or not allowed:
            raise InputError(
                f"allowed holds {unknown[0] if unknown else 'nothing'}; it must hold ids from 0 to "
                f"{size - 1} other than the stop, {stop}"
            )
        self.model, self.stop, self.longest = model, stop, longest
        self.allowed = np.asarray(allowed)
        self._closed = np.full(size, NEVER, np.float32)
        self._closed[[*allowed, stop]] = 0.0

    def log_probabilities(self, prompts: Array, ids: Array) -> tuple[Tensor, Tensor]:
        """What each token costs, and what ending at each place would: both on the tape.

        Args:
            prompts: (B, P) ids, P at least 1.
            ids: (B, L).

        Returns:
            steps (B, L), log q of each token after those before it; ends (B, L + 1), log q of
            stopping at each prefix, the last one 0. What lies behind a text's end means nothing.
        """
        logits = self.model(np.concatenate([prompts, ids], 1))[:, prompts.shape[1] - 1 :]
        log_q = F.log_softmax(logits + self._closed)  # (B, L + 1, V)
        steps = log_q[:, :-1].gather(ids[..., None].astype(np.int64), 2)[..., 0]  # (B, L)
        forced = np.ones(ids.shape[1] + 1, np.float32)
        forced[-1] = 0.0
        return steps, log_q[:, :, self.stop] * forced

    def log_q(self, prompts: Array, drawn: Drawn) -> Tensor:
        """log q of whole texts with their end, (B,), on the tape."""
        steps, ends = self.log_probabilities(prompts, drawn.ids)
        inside = np.arange(self.longest) < drawn.lengths[:, None]  # (B, L)
        last = ends.gather(drawn.lengths[:, None].astype(np.int64), 1)[:, 0]
        return (steps * inside.astype(np.float32)).sum(1) + last

    def table(self, prompt: Sequence[int], texts: Texts, at_once: int = 4096) -> Array:
        """log q of every text on a list after one prompt: (N,) float64.

        Token i of the list is `allowed[i]`.
        """
        found = []
        for first in range(0, len(texts), at_once):
            rows = slice(first, first + at_once)
            ids = self.allowed[texts.ids[rows]]
            prompts = np.repeat(np.asarray(prompt)[None], len(ids), 0)
            with no_grad():
                found.append(self.log_q(prompts, Drawn(ids, texts.lengths[rows])).data)
        return np.concatenate(found).astype(np.float64)

    def draw(
        self,
        prompts: Array,
        rng: np.random.Generator,
        temperature: float = 1.0,
        wander: float = 0.0,
        shortest: int = 0,
    ) -> Drawn:
        """One text for each prompt.

        Args:
            prompts: (B, P) ids.
            rng: what the draws come from.
            temperature: above 1 flattens, below 1 sharpens.
            wander: probability that a token is drawn evenly from all that is allowed.
            shortest: tokens before a text may stop.

        Raises:
            InputError: a number out of range, or a model that gives nan.
        """
        check_drawing(temperature, wander, shortest, self.longest)
        rows, closed = np.arange(len(prompts)), self._closed.copy()
        ids = np.zeros((len(prompts), self.longest), np.int64)
        lengths, going = np.zeros(len(prompts), np.int64), np.ones(len(prompts), bool)
        with no_grad(), closing(self._follow(prompts)) as ahead:
            logits = next(ahead)
            for at in range(self.longest):
                if np.isnan(logits).any():
                    raise InputError("the model gives nan; no text can be drawn from it")
                closed[self.stop] = NEVER if at < shortest else 0.0
                open_ = np.flatnonzero(closed == 0)
                # The largest of logits with Gumbel noise is a draw from their softmax.
                noisy = (logits + closed) / temperature + rng.gumbel(size=logits.shape)
                new = noisy.argmax(1)
                if wander:
                    lost = rng.random(len(rows)) < wander
                    new = np.where(lost, open_[rng.integers(len(open_), size=len(rows))], new)
                going &= new != self.stop
                ids[going, at] = new[going]
                lengths += going
                if not going.any() or at + 1 == self.longest:
                    break
                logits = ahead.send(ids[:, at])
        return Drawn(ids, lengths)

    def _follow(self, prompts: Array) -> Generator[Array, Array, None]:
        """Gives (B, V) logits after the prompts, then after each column of ids it is sent."""
        if not hasattr(self.model, "hidden"):  # not a Transformer: read everything again
            seen = prompts
            while True:
                new = yield self.model(seen).data[:, -1]
                seen = np.concatenate([seen, new[:, None]], 1)
        training = self.model.training
        self.model.eval()
        try:
            cache = make_cache(self.model, len(prompts), prompts.shape[1] + self.longest)
            known = check_weights(self.model, "float32") is None
            follow = Following(
                self.model, cache, pad_left(list(prompts)), Rules(), "float32", known
            )
            new = yield follow.prompt()
            while True:
                new = yield follow.logits(new)
        finally:
            self.model.train(training)


def check_drawing(temperature: float, wander: float, shortest: int, longest: int) -> None:
    """Refuse a way of drawing that makes no sense.

    Raises:
        InputError: a temperature that is not above 0, a probability out of [0, 1], or texts that
            may not end.
    """
    if not temperature > 0:
        raise InputError(f"temperature is {temperature}; it must be above 0")
    if not 0 <= wander <= 1:
        raise InputError(f"wander is {wander}; it must lie between 0 and 1")
    if not 0 <= shortest <= longest:
        raise InputError(f"shortest is {shortest}; it must be from 0 to longest, {longest}")
