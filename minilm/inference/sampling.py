"""From logits to the next token: each rule is one function over logits arrays.

Every filter returns new logits in which a token that may not be drawn has -inf. So they chain, in
any order, and `sample` needs no more than the softmax of what is left.
"""

from collections.abc import Sequence

import numpy as np

from minilm.backend import Array, to_numpy, xp_of
from minilm.errors import InputError


def greedy(logits: Array) -> Array:
    """The likeliest token; of equals, the one with the lowest id.

    Args:
        logits: (..., V).

    Returns:
        (...) int64.
    """
    return xp_of(logits).argmax(logits, axis=-1)


def temperature(logits: Array, value: float) -> Array:
    """Sharpen (below 1) or flatten (above 1) the distribution: softmax(logits / value).

    Args:
        logits: (..., V).
        value: more than 0; the limit 0 is `greedy`.

    Returns:
        (..., V).

    Raises:
        InputError: `value` is not above 0.
    """
    check_rule("temperature", value)
    return logits / float(value)


def top_k(logits: Array, k: int) -> Array:
    """Keep the k likeliest tokens (Fan et al. 2018, arXiv 1805.04833).

    Tokens as likely as the k-th all stay.

    Args:
        logits: (..., V).
        k: at least 1; V or more keeps everything.

    Returns:
        (..., V) with -inf for the others.

    Raises:
        InputError: k below 1.
    """
    check_rule("top_k", k)
    if k >= logits.shape[-1]:
        return logits
    xp = xp_of(logits)
    least = xp.partition(logits, -k, axis=-1)[..., -k, None]
    return xp.where(logits >= least, logits, -xp.inf).astype(logits.dtype)


def top_p(logits: Array, p: float) -> Array:
    """Keep the fewest likeliest tokens that hold a share p together (nucleus, arXiv 1904.09751).

    Args:
        logits: (..., V).
        p: in (0, 1]; 1 keeps everything. The likeliest token always stays.

    Returns:
        (..., V) with -inf for the others.

    Raises:
        InputError: p out of range.
    """
    check_rule("top_p", p)
    if p == 1:
        return logits
    xp = xp_of(logits)
    order = xp.argsort(-logits, axis=-1)
    likely_first = xp.take_along_axis(_softmax(logits), order, axis=-1)
    held_before = xp.cumsum(likely_first, axis=-1) - likely_first
    keep = xp.empty(logits.shape, bool)
    xp.put_along_axis(keep, order, held_before < p, axis=-1)
    return xp.where(keep, logits, -xp.inf).astype(logits.dtype)


def min_p(logits: Array, p: float) -> Array:
    """Keep the tokens at least p times as likely as the likeliest (arXiv 2407.01082).

    Args:
        logits: (..., V).
        p: in [0, 1]; 0 keeps everything, 1 only the likeliest.

    Returns:
        (..., V) with -inf for the others.

    Raises:
        InputError: p out of range.
    """
    check_rule("min_p", p)
    if p == 0:
        return logits
    xp = xp_of(logits)
    least = logits.max(axis=-1, keepdims=True) + float(np.log(p))
    return xp.where(logits >= least, logits, -xp.inf).astype(logits.dtype)


def repetition_penalty(logits: Array, seen: Sequence[Sequence[int]], penalty: float) -> Array:
    """Make tokens that were seen less likely (CTRL, arXiv 1909.05858, section 4.1).

    A positive logit is divided by the penalty, a negative one multiplied by it.

    Args:
        logits: (B, V).
        seen: per row, the ids already in its text, in any order.
        penalty: above 0; 1 changes nothing, more than 1 discourages.

    Returns:
        (B, V).

    Raises:
        InputError: a penalty that is not above 0.
    """
    check_rule("repetition_penalty", penalty)
    if penalty == 1:
        return logits
    xp = xp_of(logits)
    logits = logits.copy()
    for row, ids in enumerate(seen):
        ids = np.unique(ids)
        found = logits[row, ids]
        logits[row, ids] = xp.where(found > 0, found / float(penalty), found * float(penalty))
    return logits


def sample(logits: Array, rngs: Sequence[np.random.Generator]) -> np.ndarray:
    """Draw one token per row from softmax(logits).

    Args:
        logits: (B, V); -inf is never drawn.
        rngs: one generator per row, so that what a row gets does not depend on its neighbours.

    Returns:
        (B,) int64, in host memory.
    """
    shares = np.cumsum(_softmax(to_numpy(logits).astype(np.float64)), axis=-1)
    drawn = []
    for row, rng in zip(shares, rngs, strict=True):
        # below the total, else rounding could pick a token behind the last likely one
        mark = min(rng.random() * row[-1], np.nextafter(row[-1], 0))
        drawn.append(np.searchsorted(row, mark, side="right"))
    return np.array(drawn, np.int64)


_ALLOWED = {  # rule: (what holds for a good value, the same in words)
    "temperature": (lambda x: 0 < x < float("inf"), "a finite number above 0"),
    "top_k": (lambda x: x >= 1, "1 or more"),
    "top_p": (lambda x: 0 < x <= 1, "above 0 and at most 1"),
    "min_p": (lambda x: 0 <= x <= 1, "from 0 to 1"),
    "repetition_penalty": (lambda x: 0 < x < float("inf"), "a finite number above 0"),
}


def check_rule(name: str, value: float) -> None:
    """Refuse a value that the rule of this name cannot use.

    Raises:
        InputError: it names the rule, the value and what is allowed.
    """
    good, words = _ALLOWED[name]
    if not good(value):
        raise InputError(f"{name} is {value}; it must be {words}")


def _softmax(logits: Array) -> Array:
    xp = xp_of(logits)
    e = xp.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
