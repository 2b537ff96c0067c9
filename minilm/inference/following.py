"""What comes next: by the fast decoder where it may run, otherwise by the model itself."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm import backend
from minilm.backend import Array
from minilm.errors import InputError
from minilm.inference.batch import Ragged
from minilm.inference.cache import ContiguousCache, RollingCache
from minilm.inference.decoder import Decoder
from minilm.inference.rules import Rules
from minilm.inference.supported import is_overridden
from minilm.models.state_model import StateModel
from minilm.nn import States
from minilm.tensor import no_grad

_SHORT = 4  # tokens of a prompt that the decoder reads faster than a forward pass does


class Following:
    """Finds what comes next: with the fast decoder where it may run, otherwise with the model."""

    def __init__(
        self,
        model: Any,
        cache: ContiguousCache | States,
        batch: Ragged,
        rules: Rules,
        weights: str,
        known: bool,
    ) -> None:
        self.model, self.cache, self.batch, self.rules = model, cache, batch, rules
        self.weights, self.known = weights, known
        self.greedy = rules.temperature == 0 and rules.repetition_penalty == 1
        self._decoder: Decoder | None = None

    @property
    def decoder(self) -> Decoder | None:
        """The fast decoder; None where it does not support the model or must not run now."""
        if not self.known or is_overridden():
            if self.weights != "float32":
                raise InputError(
                    f"weights is {self.weights!r}; inside minilm.use it must be 'float32'"
                )
            return None
        if self._decoder is None:
            begin = self.batch.ids.shape[1] - self.batch.lengths
            self._decoder = Decoder(self.model, self.cache, begin, self.weights)
        return self._decoder

    def prompt(self) -> Array:
        """The (B, V) logits after the prompts: in one forward pass, or by token where short."""
        batch, kind = self.batch, self.model.config.kind
        length = batch.ids.shape[1]
        short = length <= _SHORT and batch.is_even and kind == "decoder"
        if short and self.decoder is not None:
            for column in batch.ids.T:  # (B, T) -> T columns (B,)
                logits = self.decoder.step(column)
            return logits
        options: dict[str, Any] = {} if kind != "prefix-lm" else {"prefix": length}
        if not batch.is_even:
            options |= {"positions": batch.positions, "valid": batch.valid}
        return last_logits(self.model, batch.ids, self.cache, **options)

    def __call__(
        self,
        ids: np.ndarray,
        tokens: int,
        seen: Sequence[Sequence[int]],
        rngs: Sequence[np.random.Generator],
    ) -> list[np.ndarray]:
        """What follows `ids` (B,): one token per row or, with greedy choice, up to `tokens`."""
        decoder = self.decoder
        if decoder is not None and self.greedy:
            return list(decoder.greedy(ids, min(tokens, decoder.at_once)))
        return [self.rules.choose(self.logits(ids), seen, rngs)]

    def logits(self, ids: np.ndarray) -> Array:
        """The (B, V) logits after `ids` (B,); the next call may overwrite them."""
        decoder = self.decoder
        return self._forward(ids) if decoder is None else decoder.step(ids)

    def grown(self, samples: int) -> "Following":
        """The same prompts, each `samples` times: what was read of them once serves all."""
        batch = self.batch
        rows = np.repeat(np.arange(len(batch.ids)), samples)
        self.cache.reorder(rows)
        many = Ragged(
            *(part[rows] for part in (batch.ids, batch.positions, batch.valid)), batch.lengths[rows]
        )
        return Following(self.model, self.cache, many, self.rules, self.weights, self.known)

    def _forward(self, ids: np.ndarray) -> Array:
        batch, done = self.batch, self.cache.length
        column = ids[:, None]  # (B,) -> (B, 1)
        if batch.is_even:
            return last_logits(self.model, column, self.cache)
        valid = np.ones((len(ids), done + 1), bool)
        valid[:, : batch.ids.shape[1]] = batch.valid
        begin = batch.ids.shape[1] - batch.lengths
        positions = (done - begin)[:, None]  # (B,) -> (B, 1)
        return last_logits(self.model, column, self.cache, positions=positions, valid=valid)


def last_logits(
    model: Any, ids: np.ndarray, cache: ContiguousCache | States, **options: Any
) -> Array:
    """The (B, V) logits after the last token; the head runs at that place only."""
    with no_grad():
        hidden = model.hidden(ids, cache=cache, **options)
        logits = model.logits(hidden[:, -1:]).data[:, 0]  # (B, 1, V) -> (B, V)
    return logits.astype(np.float32) if backend.is_half(logits) else logits


def make_cache(model: Any, batch: int, length: int) -> ContiguousCache | States:
    """The cache that suits a model: rolling where all layers have a window shorter than the text.

    Args:
        model: a Transformer; or one whose memory has one size, which has states in its place.
        batch: number of rows.
        length: how many positions will be stored.
    """
    if isinstance(model, StateModel):
        return model.new_states(batch)
    config = model.config
    weight = model.tokens.weight.data
    device = "cpu" if isinstance(weight, np.ndarray) else "cuda"
    narrow = config.window is not None and config.global_every is None
    if narrow and config.window < length:
        return RollingCache(config, batch, dtype=weight.dtype, device=device)
    return ContiguousCache(config, batch, length, dtype=weight.dtype, device=device)
