"""The loop that writes: it feeds the prompt once, then one token at a time through the cache."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minilm import backend
from minilm.errors import InputError
from minilm.inference.batch import as_rows, pad_left
from minilm.inference.following import Following, make_cache
from minilm.inference.rules import Rules
from minilm.inference.stopping import Stops
from minilm.inference.supported import check_weights
from minilm.inference.written import check_samples, write_arrays
from minilm.models.state_model import StateConfig


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
    samples: int = 1,
    arrays: bool = False,
) -> Any:
    """Continue one prompt or several at once.

    Each row ends when it has written a stop token, the token that completes a stop text (it keeps
    either), or `tokens` tokens. With greedy choice a batch gives what its prompts give alone,
    whatever their lengths, except for near-ties: sums over many rows at once are taken in another
    order. A decoder in float32 on the CPU runs in `minilm.inference.Decoder`, a whole token per
    call of compiled code.

    Args:
        model: a decoder or prefix-LM `Transformer`, or one of those with a state of fixed size
            (`Mamba`, `LinearTransformer`).
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
        samples: texts for each prompt, which is read once; they follow each other in the result.
        arrays: return `Written`: ids, log-probabilities and what is alive, in arrays of one shape.

    Returns:
        The new ids: a list for one prompt, a list of lists for several, or several samples.

    Raises:
        InputError: a value out of range, prompt and tokens longer than the context, int8 weights
            for a model that `Decoder` does not support, or a model that gives NaN.
    """
    rows, single = as_rows(ids, model.config.vocab_size)
    rules = Rules(temperature, top_k, top_p, min_p, repetition_penalty)
    if arrays or samples != 1:
        check_samples(samples)
        known = check_request(model, rows, tokens, weights)
        stops = Stops(stop, tokenizer, len(rows) * samples)
        how = (rules, stops, seed, weights, known, samples, stream)
        many = write_arrays(model, rows, tokens, *how)
        return many if arrays else many.rows()
    written: list[list[int]] = [[] for _ in rows]
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
    known = check_request(model, rows, tokens, weights)
    rngs = [backend.rng(seed, "sample", row) for row in range(len(rows))]
    stops = Stops(stop, tokenizer, len(rows))
    return _write(model, rows, tokens, rules, stops, rngs, weights, known)


def check_request(model: Any, rows: list[np.ndarray], tokens: int, weights: str) -> bool:
    """Refuse what cannot be written; else whether the fast decoder knows the model.

    Raises:
        InputError: as in `generate`.
    """
    config = model.config
    writes = config.kind in ("decoder", "prefix-lm") or isinstance(config, StateConfig)
    if not writes:
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
    return check_weights(model, weights) is None


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
        follow = Following(model, cache, batch, rules, weights, known)
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
