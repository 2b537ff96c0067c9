"""Answers in the places of the model: an exercise often asks for less than what the model calls.

An exercise asks for a loss of (N, V) logits; the model calls its loss on (B, T, V), with ignored
targets. Each function here takes the answer and returns it with the package's own arguments. An
answer that takes these already needs none.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from minilm.backend import IGNORE
from minilm.errors import InputError
from minilm.kernels.attention.reference import visible


def cross_entropy(answer: Callable) -> Callable:
    """From logits (N, V) and targets (N,), none of them ignored."""

    def loss(logits: Any, targets: Any, ignore_index: int = IGNORE, **rest: Any) -> Any:
        refuse_unknown(rest, "cross_entropy")
        flat, wanted = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)  # -> (N, V), (N,)
        kept = wanted != ignore_index
        result = answer(flat[kept], wanted[kept])
        if not (isinstance(result, tuple) and len(result) == 2 and callable(result[1])):
            return result
        value, back = result

        def pullback(g: Any) -> tuple[Any, None]:
            whole = np.zeros_like(flat)
            slopes = back(g)
            whole[kept] = slopes[0] if isinstance(slopes, tuple) else slopes
            return whole.reshape(logits.shape), None  # (N, V) -> (B, T, V)

        return value, pullback

    return loss


def attention(answer: Callable) -> Callable:
    """From q, k, v of as many heads each, and a mask or None, to the values and the weights."""

    def look(
        q: Any,
        k: Any,
        v: Any,
        mask: Any = None,
        causal: bool = False,
        window: int | None = None,
        bias: Any = None,
        scale: float | None = None,
        **rest: Any,
    ) -> Any:
        refuse_unknown({"bias": bias, **rest}, "attention")
        seen = visible(q.shape[-2], k.shape[-2], causal, window, np)
        if mask is not None:
            seen = mask if seen is None else mask & seen
        if scale is not None:  # the answer divides by the root of the heads' size
            q = q * q.dtype.type(scale * q.shape[-1] ** 0.5)
        share = q.shape[1] // k.shape[1]  # several query heads may share a head of keys
        result = answer(q, np.repeat(k, share, 1), np.repeat(v, share, 1), seen)
        return result[0] if isinstance(result, tuple) else result

    return look


def self_attention(answer: Callable) -> Callable:
    """From x and four square maps; the model has projected already, so these maps only pick.

    The packed queries, keys and values (B, T, 3 C) are x, with three times the heads: the heads of
    the first third do the work, the other ones get nothing.
    """

    def look(packed: Any, heads: int, kv_heads: int, causal: bool = False, **rest: Any) -> Any:
        known = {"layout": None, "scale": None}  # layout is rope's; the scale that of the heads
        refuse_unknown(
            {**rest, **known, "kv_heads": None if kv_heads == heads else kv_heads}, "multihead"
        )
        c = packed.shape[-1] // 3
        one, none = np.eye(c, dtype=packed.dtype), np.zeros((c, c), packed.dtype)
        below = np.zeros((2 * c, 3 * c), packed.dtype)
        picks = ((one, none, none), (none, one, none), (none, none, one))
        maps = [np.vstack([np.hstack(pick), below]) for pick in picks]
        wide = answer(packed, *maps, np.eye(3 * c, dtype=packed.dtype), 3 * heads, causal)
        return wide[..., :c].astype(packed.dtype)

    return look


def mul(answer: Callable) -> Callable:
    """From two arrays; the model also multiplies by plain numbers."""

    def product(a: Any, b: Any) -> Any:
        a = a if isinstance(a, np.ndarray) else np.asarray(a, b.dtype)
        return answer(a, b if isinstance(b, np.ndarray) else np.asarray(b, a.dtype))

    return product


def refuse_unknown(given: dict[str, Any], name: str) -> None:
    """Refuse arguments that an answer does not know.

    Raises:
        InputError: one of them is not None.
    """
    for argument, value in given.items():
        if value is not None:
            raise InputError(f"{name} got {argument}; the exercise's function does not take it")


FITTED: dict[str, Callable] = {
    "cross_entropy": cross_entropy,
    "attention": attention,
    "mul": mul,
    "self_attention": self_attention,
}
