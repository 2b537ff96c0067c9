"""The loop that writes: it feeds the prompt once, then one token at a time through the cache."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm import backend
from minilm.backend import Array
from minilm.errors import InputError
from minilm.inference import sampling
from minilm.inference.batch import Ragged, as_rows, pad_left
from minilm.inference.cache import ContiguousCache, RollingCache
from minilm.inference.decoder import Decoder, check_weights, is_overridden
from minilm.inference.stopping import Stops
from minilm.tensor import no_grad

_SHORT = 4  # tokens of a prompt that the decoder reads faster than a forward pass does


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
        sampling.refuse_nan(logits)  # before a filter makes -inf of it
        if self.repetition_penalty != 1:
            logits = sampling.repetition_penalty(logits, seen, self.repetition_penalty)
        if self.temperature == 0:
            return backend.to_numpy(sampling.greedy(logits))
        logits = sampling.temperature(logits, self.temperature)
        if self.top_k is not None:
            logits = sampling.top_k(logits, self.top_k)
        if self.top_p is not None:
            logits = sampling.top_p(logits, self.top_p)
        if self.min_p is not None:
            logits = sampling.min_p(logits, self.min_p)
        return sampling.sample(logits, rngs)


def generate(
    model: Any,
    ids: Any,
    tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float = 1.0,
    stop: Sequence[int | str] | str = (),
    seed: int = 0,
    stream: Callable[[np.ndarray], Any] | None = None,
    weights: str = "float32",
    tokenizer: Any = None,
) -> Any:
    """Continue one prompt or several at once.

    Each row ends when it has written a stop token, the token that completes a stop text (it keeps
    either), or `tokens` tokens. With greedy choice a batch gives what its prompts give alone,
    whatever their lengths, except for near-ties: sums over many rows at once are taken in another
    order. A decoder in float32 on the CPU runs in `minilm.inference.Decoder`, a whole token per
    call of compiled code.

    Args:
        model: a decoder or prefix-LM `Transformer`.
        ids: one prompt (a list of ids or an (N,) array), or several of any lengths.
        tokens: how many to write at most; together with the longest prompt they must fit into the
            context.
        temperature: 0 is greedy; 1 samples from the model as it is.
        top_k, top_p, min_p, repetition_penalty: see `minilm.inference.sampling`.
        stop: ids and texts that end a row. A text may be spelled by several tokens, and the last
            of them may go beyond it: `TextStream` gives the text before it.
        seed: of the sampling; each row draws from a stream of its own.
        stream: called after every step with the (B,) new ids, -1 for rows that have ended.
        weights: "int8" uses matrices of 8 bits, a quarter of the memory: several times faster, and
            nearly the same text.
        tokenizer: the model's, where `stop` holds texts.

    Returns:
        The new ids: a list for one prompt, a list of lists for several.

    Raises:
        InputError: a value out of range, prompt and tokens longer than the context, int8 weights
            for a model that `Decoder` does not support, or a model that gives NaN.
    """
    rows, single = as_rows(ids, model.config.vocab_size)
    written: list[list[int]] = [[] for _ in rows]
    rules = Rules(temperature, top_k, top_p, min_p, repetition_penalty)
    for new in steps(model, rows, tokens, rules, stop, seed, weights, tokenizer):
        for line, token in zip(written, new.tolist()):
            if token >= 0:
                line.append(token)
        if stream is not None:
            stream(new)
    return written[0] if single else written


def steps(
    model: Any,
    rows: list[np.ndarray],
    tokens: int,
    rules: Rules,
    stop: Sequence[int | str] | str = (),
    seed: int = 0,
    weights: str = "float32",
    tokenizer: Any = None,
) -> Iterator[np.ndarray]:
    """As `generate`, step by step.

    Args:
        model: as in `generate`.
        rows: the prompts' ids.
        tokens: how many steps at most.
        rules: how the next token is chosen.
        stop: ids and texts that end a row.
        seed: of the sampling.
        weights: "float32" or "int8".
        tokenizer: the model's, where `stop` holds texts.

    Yields:
        The (B,) new ids of each step, -1 for rows that have ended.

    Raises:
        InputError: as in `generate`; wrong values before the first token.
    """
    config = model.config
    if config.kind not in ("decoder", "prefix-lm"):
        raise InputError(f"model is an {config.kind}; generate needs a decoder or a prefix-lm")
    if tokens < 1:
        raise InputError(f"tokens is {tokens}; it must be 1 or more")
    longest = max(map(len, rows))
    if longest >= config.context:
        raise InputError(
            f"the prompt is {longest} tokens long; it must be shorter than the model's context of "
            f"{config.context}, to leave room for one token"
        )
    if longest + tokens > config.context:
        raise InputError(
            f"tokens is {tokens} and the prompt has {longest}; together they must fit into the "
            f"model's context of {config.context}, so tokens can be at most "
            f"{config.context - longest}"
        )
    known = check_weights(model, weights) is None
    rngs = [backend.rng(seed, "sample", row) for row in range(len(rows))]
    stops = Stops(stop, tokenizer, len(rows))
    return _write(model, rows, tokens, rules, stops, rngs, weights, known)


def endless(
    model: Any,
    ids: Sequence[int],
    tokens: int,
    rules: Rules,
    stop: Sequence[int | str] | str = (),
    seed: int = 0,
    weights: str = "float32",
    tokenizer: Any = None,
) -> Iterator[int]:
    """Continue one prompt beyond the context: when it is full, its last half is read again.

    Args:
        model, rules, stop, seed, weights, tokenizer: as in `steps`.
        ids: the prompt.
        tokens: how many to write at most.

    Yields:
        Each new id.

    Raises:
        InputError: as in `steps`; a prompt that leaves no room for one token.
    """
    rows, _ = as_rows(ids, model.config.vocab_size)
    text = list(map(int, rows[0]))
    context = model.config.context
    stops = Stops(stop, tokenizer, 1)
    for part in range(tokens):
        count = min(tokens, max(1, context - len(text)))
        for new in steps(model, [np.array(text)], count, rules, (), seed + part, weights):
            text.append(int(new[0]))
            tokens -= 1
            yield text[-1]
            if stops.ends(0, text[-1]):
                return
        if tokens == 0:
            return
        text = text[-max(1, context // 2) :]


def _write(
    model: Any,
    rows: list[np.ndarray],
    tokens: int,
    rules: Rules,
    stops: Stops,
    rngs: list[np.random.Generator],
    weights: str,
    known: bool,
) -> Iterator[np.ndarray]:
    was_training = model.training
    model.eval()
    try:
        batch = pad_left(rows)
        cache = make_cache(model, len(rows), batch.ids.shape[1] + tokens)
        seen = [row.tolist() for row in rows]
        running = np.ones(len(rows), bool)
        follow = _Following(model, cache, batch, rules, weights, known)
        waiting = [rules.choose(follow.prompt(), seen, rngs)]
        while waiting:
            new = waiting.pop(0)
            tokens -= 1
            written = new.tolist()
            # A row still returns the token that ends it.
            yield new if not stops else np.where(running, new, -1)
            for line, token in zip(seen, written):
                line.append(token)
            if stops:
                for row in np.flatnonzero(running):
                    running[row] = not stops.ends(row, written[row])
                if not running.any():
                    return
            if not tokens:
                return
            waiting = waiting or follow(new, tokens, seen, rngs)
    finally:
        model.train(was_training)


class _Following:
    """Finds what comes next: with the fast decoder where it may run, otherwise with the model."""

    def __init__(
        self,
        model: Any,
        cache: ContiguousCache,
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
        return _last_logits(self.model, batch.ids, self.cache, **options)

    def __call__(
        self,
        ids: np.ndarray,
        tokens: int,
        seen: Sequence[Sequence[int]],
        rngs: Sequence[np.random.Generator],
    ) -> list[np.ndarray]:
        """What follows `ids` (B,): one token per row or, with greedy choice, up to `tokens`."""
        decoder = self.decoder
        if decoder is None:
            return [self.rules.choose(self._forward(ids), seen, rngs)]
        if self.greedy:
            return list(decoder.greedy(ids, min(tokens, decoder.at_once)))
        return [self.rules.choose(decoder.step(ids), seen, rngs)]

    def _forward(self, ids: np.ndarray) -> Array:
        batch, done = self.batch, self.cache.length
        column = ids[:, None]  # (B,) -> (B, 1)
        if batch.is_even:
            return _last_logits(self.model, column, self.cache)
        valid = np.ones((len(ids), done + 1), bool)
        valid[:, : batch.ids.shape[1]] = batch.valid
        begin = batch.ids.shape[1] - batch.lengths
        positions = (done - begin)[:, None]  # (B,) -> (B, 1)
        return _last_logits(self.model, column, self.cache, positions=positions, valid=valid)


def _last_logits(model: Any, ids: np.ndarray, cache: ContiguousCache, **options: Any) -> Array:
    """The (B, V) logits after the last token; the head runs at that place only."""
    with no_grad():
        hidden = model.hidden(ids, cache=cache, **options)
        logits = model.logits(hidden[:, -1:]).data[:, 0]  # (B, 1, V) -> (B, V)
    return logits.astype(np.float32) if backend.is_half(logits) else logits


def make_cache(model: Any, batch: int, length: int) -> ContiguousCache:
    """The cache that suits a model: rolling where its window is shorter than the text.

    Args:
        model: a Transformer.
        batch: number of rows.
        length: how many positions will be stored.
    """
    config = model.config
    weight = model.tokens.weight.data
    device = "cpu" if isinstance(weight, np.ndarray) else "cuda"
    if config.window is not None and config.window < length:
        return RollingCache(config, batch, dtype=weight.dtype, device=device)
    return ContiguousCache(config, batch, length, dtype=weight.dtype, device=device)
