"""From logits to the next token: each rule is one function over arrays of logits.

Every filter returns new logits in which a token that may not be drawn has -inf. So filters can be
chained in any order, and `sample` needs only the softmax of what is left. Each rule holds up to
the smallest and largest values it allows: a temperature or a nucleus next to 0 leaves the likeliest
token.
"""

from collections.abc import Sequence

import numpy as np

from minilm import kernels
from minilm.backend import Array, to_numpy, xp_of
from minilm.errors import InputError


def greedy(logits: Array) -> Array:
    """The likeliest token; among equals, the one with the lowest id.

    Args:
        logits: (..., V).

    Returns:
        (...) int64.

    Raises:
        InputError: the logits hold NaN.
    """
    refuse_nan(logits)
    return xp_of(logits).argmax(logits, axis=-1)


def temperature(logits: Array, value: float) -> Array:
    """Sharpen (below 1) or flatten (above 1) the distribution: softmax(logits / value).

    Args:
        logits: (..., V).
        value: above 0; the limit 0 is `greedy`.

    Returns:
        (..., V). Where the largest quotient would leave the range of the type, the distances to the
        largest logit are divided instead, which is the same to softmax.

    Raises:
        InputError: `value` is not above 0, or not finite.
    """
    check_rule("temperature", value)
    xp = xp_of(logits)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        divided = logits / float(value)
        if xp.isfinite(divided.max(axis=-1)).all():
            return divided
        top = logits.max(axis=-1, keepdims=True)
        away = xp.where(logits == top, 0, logits.astype(np.float64) - top) / float(value)
        return xp.where(xp.isneginf(logits), -xp.inf, away).astype(logits.dtype)


def top_k(logits: Array, k: int) -> Array:
    """Keep the k likeliest tokens (Fan et al. 2018, arXiv 1805.04833).

    All tokens as likely as the k-th are kept.

    Args:
        logits: (..., V).
        k: at least 1; V or more keeps everything.

    Returns:
        (..., V) with -inf for the others.

    Raises:
        InputError: k is not a whole number of 1 or more.
    """
    check_rule("top_k", k)
    if k >= logits.shape[-1]:
        return logits
    xp = xp_of(logits)
    least = xp.partition(logits, -k, axis=-1)[..., -k, None]  # (..., V) -> (..., 1)
    return xp.where(logits >= least, logits, -xp.inf).astype(logits.dtype)


def top_p(logits: Array, p: float) -> Array:
    """Keep the fewest tokens, likeliest first, that together hold a share p (arXiv 1904.09751).

    Args:
        logits: (..., V).
        p: in (0, 1]; 1 keeps everything. The likeliest token is always kept.

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
    inside = xp.cumsum(likely_first, axis=-1) - likely_first < p  # the share held before
    inside[..., 0] = True  # in float32 a tiny p is 0, and nothing is below it
    keep = xp.empty(logits.shape, bool)
    xp.put_along_axis(keep, order, inside, axis=-1)
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
    """Make tokens that have been seen less likely (CTRL, arXiv 1909.05858, section 4.1).

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
    xp, limit = xp_of(logits), float(np.finfo(logits.dtype).max)
    logits = logits.copy()
    with np.errstate(over="ignore"):
        for row, ids in enumerate(seen):
            ids = np.unique(ids)
            found = logits[row, ids].astype(np.float64)
            new = xp.where(found > 0, found / float(penalty), found * float(penalty))
            # An extreme penalty must not leave the type's range; -inf stays: it is never drawn.
            logits[row, ids] = xp.where(xp.isinf(found), found, xp.clip(new, -limit, limit))
    return logits


def sample(logits: Array, rngs: Sequence[np.random.Generator]) -> np.ndarray:
    """Draw one token per row from softmax(logits).

    Args:
        logits: (B, V); a token with -inf is never drawn, and one with inf always.
        rngs: one generator per row, so that what a row draws does not depend on its neighbours.

    Returns:
        (B,) int64, in host memory.

    Raises:
        InputError: the logits hold NaN, or a row is -inf throughout; not one generator per row.
    """
    refuse_nan(logits)
    logits = to_numpy(logits)
    if len(logits) != len(rngs):
        raise InputError(f"rngs are {len(rngs)}; each of the {len(logits)} rows needs one")
    impossible = np.flatnonzero(np.isneginf(logits.max(axis=-1)))
    if impossible.size:
        raise InputError(
            f"logits of row {impossible[0]} are all -inf; at least one token must be possible"
        )
    return kernels.draw(logits, np.array([rng.random() for rng in rngs]))


_ALLOWED = {  # rule: (the condition on its value, the same in words)
    "temperature": (lambda x: 0 < x < float("inf"), "a finite number above 0"),
    "top_k": (lambda x: x >= 1 and x == int(x), "a whole number of 1 or more"),
    "top_p": (lambda x: 0 < x <= 1, "above 0 and at most 1"),
    "min_p": (lambda x: 0 <= x <= 1, "from 0 to 1"),
    "repetition_penalty": (lambda x: 0 < x < float("inf"), "a finite number above 0"),
}


def check_rule(name: str, value: float) -> None:
    """Refuse a value that the rule of this name cannot use.

    Raises:
        InputError: it names the rule, the value and what is allowed.
    """
    is_good, words = _ALLOWED[name]
    if not is_good(value):
        raise InputError(f"{name} is {value}; it must be {words}")


def refuse_nan(logits: Array) -> None:
    """Refuse logits that a broken model gave: NaN has no place in an order.

    Args:
        logits: (..., V) float.

    Raises:
        InputError: they hold NaN; it names the first row that does.
    """
    flat = logits.ravel()
    # Squares are 0 or more, inf included, so their sum is NaN only where a number is: one product
    # tells it in a fraction of the time that looking at each number takes.
    with np.errstate(over="ignore"):
        total = float(flat @ flat)
    if total != total:
        row = int(np.isnan(to_numpy(logits)).any(axis=-1).argmax())
        raise InputError(
            f"logits of row {row} hold NaN; they must be numbers, or -inf for what is never drawn"
        )


def _softmax(logits: Array) -> Array:
    xp = xp_of(logits)
    top = logits.max(axis=-1, keepdims=True)
    with np.errstate(over="ignore", invalid="ignore"):  # inf - inf, where the largest is inf
        e = xp.exp(xp.where(logits == top, 0, logits - top))
    return e / e.sum(axis=-1, keepdims=True)
