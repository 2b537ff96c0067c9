"""How the next token is chosen: the rules of `sampling`, one after the other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minilm import backend
from minilm.backend import Array
from minilm.errors import InputError
from minilm.inference import sampling


@dataclass(frozen=True)
class Rules:
    """How the next token is chosen; `minilm.inference.sampling` says what each rule does.

    The rules apply in this order: repetition penalty, temperature, top-k, top-p, min-p. A
    temperature of 0 takes the likeliest token.

    Raises:
        InputError: a value out of range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        """Check every number before the first token, not at it."""
        if not 0 <= self.temperature < math.inf:
            raise InputError(
                f"temperature is {self.temperature}; it must be 0 (greedy) or above, and finite"
            )
        for name in ("top_k", "top_p", "min_p", "repetition_penalty"):
            value = getattr(self, name)
            if value is not None:
                sampling.check_rule(name, value)

    def choose(
        self, logits: Array, seen: Sequence[Sequence[int]], rngs: Sequence[np.random.Generator]
    ) -> np.ndarray:
        """One token per row.

        Args:
            logits: (B, V).
            seen: per row, the ids so far (for the repetition penalty).
            rngs: one generator per row.

        Returns:
            (B,) int64.

        Raises:
            InputError: the logits hold NaN.
        """
        return self.pick(self.filtered(logits, seen), rngs)

    def pick(self, logits: Array, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        """One token per row, (B,) int64, of what `filtered` left: (B, V)."""
        if self.temperature == 0:
            return backend.to_numpy(sampling.greedy(logits))
        return sampling.sample(logits, rngs)

    def filtered(self, logits: Array, seen: Sequence[Sequence[int]]) -> Array:
        """The logits that a token is drawn from: (B, V) -> (B, V), -inf for what may not be.

        Raises:
            InputError: the logits hold NaN.
        """
        sampling.refuse_nan(logits)  # before a filter makes -inf of it
        if self.repetition_penalty != 1:
            logits = sampling.repetition_penalty(logits, seen, self.repetition_penalty)
        if self.temperature == 0:
            return logits
        logits = sampling.temperature(logits, self.temperature)
        if self.top_k is not None:
            logits = sampling.top_k(logits, self.top_k)
        if self.top_p is not None:
            logits = sampling.top_p(logits, self.top_p)
        if self.min_p is not None:
            logits = sampling.min_p(logits, self.min_p)
        return logits
