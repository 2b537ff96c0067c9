"""Mixture of experts as primitives: bring tokens together by expert, multiply, add up again.

With K choices per token there are N K assignments, number token K + choice.
`kernels.sort_by_expert` puts them in order of expert: `order[i]` is the assignment in place i,
`place` its inverse, expert e has places offsets[e] .. offsets[e + 1] - 1 (arXiv 2211.15841).
"""

import numpy as np

from minilm import kernels
from minilm.backend import Array
from minilm.errors import InputError
from minilm.functional.meeting import floats, meet
from minilm.tensor import primitive


@primitive
def moe_permute(x: Array, order: Array, place: Array, choices: int):
    """Tokens in order of expert, once per choice: x (N, C) -> (N K, C).

    Args:
        order, place: (N K,) integers from `sort_by_expert`.
        choices: K.

    Raises:
        InputError: x of other than two axes; order and place of another length.
    """
    x = floats(x)
    _check_rows("moe_permute", "x", x)
    _check_order("moe_permute", len(x) * choices, order, place)
    return kernels.moe_permute(x, order, choices), lambda g: (
        lambda: kernels.moe_permute_backward(g, place, choices),
    )


@primitive
def moe_combine(y: Array, weights: Array, order: Array, place: Array):
    """The weighted sum of a token's experts: y (N K, C), weights (N, K) -> (N, C).

    Args:
        order, place: (N K,) integers from `sort_by_expert`.

    Raises:
        InputError: as `moe_permute`; not one row of y for each weight.
    """
    y, weights = meet(y, weights)
    _check_rows("moe_combine", "y", y)
    _check_rows("moe_combine", "weights", weights)
    _check_order("moe_combine", weights.size, order, place)
    if len(y) != weights.size:
        raise InputError(
            f"moe_combine of y with {len(y)} rows needs {weights.size}, one per weight"
        )
    return kernels.moe_combine(y, place, weights), lambda g: kernels.moe_combine_backward(
        g, y, order, place, weights
    )


@primitive
def grouped_linear(x: Array, w: Array, offsets: Array):
    """Rows of each expert times the transpose of its own matrix.

    Args:
        x: (M, I), rows in order of expert.
        w: (E, O, I), a matrix per expert.
        offsets: (E + 1,) integers: rows offsets[e] .. offsets[e + 1] - 1 are expert e's.

    Returns:
        (M, O).

    Raises:
        InputError: shapes that do not fit each other; offsets that do not go from 0 up to M.
    """
    fit = x.ndim == 2 and w.ndim == 3 and x.shape[1] == w.shape[2]
    if not fit or offsets.shape != (len(w) + 1,):
        raise InputError(
            f"grouped_linear of x {x.shape}, w {w.shape} and offsets {offsets.shape}: they must be "
            "(M, I), (E, O, I) and (E + 1,)"
        )
    _check_offsets("grouped_linear", offsets, len(w), len(x))
    x, w = meet(x, w)
    return kernels.grouped_matmul(x, w, offsets), lambda g: kernels.grouped_matmul_backward(
        g, x, w, offsets
    )


@primitive
def expert_feed_forward(
    x: Array,
    weights: Array,
    gate: Array,
    up: Array,
    down: Array,
    order: Array,
    place: Array,
    offsets: Array,
):
    """A mixture of gated experts in one step: permute, three grouped products, combine.

    Each token's K experts compute down(silu(gate x) * up x) (arXiv 2002.05202, eq. 6); their
    answers are added with the token's weights (arXiv 2401.04088, section 2.1). No token is dropped.

    Args:
        x: (N, C).
        weights: (N, K), of a token's chosen experts.
        gate, up: (E, F, C), a matrix per expert; down (E, C, F).
        order, place, offsets: from `sort_by_expert`.

    Returns:
        (N, C).

    Raises:
        InputError: shapes that do not fit each other; offsets that do not go from 0 up to N K.
    """
    name = "expert_feed_forward"
    fit = x.ndim == 2 and gate.ndim == 3 and gate.shape == up.shape and down.ndim == 3
    if not fit or down.shape != (len(gate), x.shape[1], gate.shape[1]) or (
        gate.shape[2] != x.shape[1]
    ):  # fmt: skip
        raise InputError(
            f"{name}: x is {x.shape}, gate {gate.shape}, up {up.shape}, down {down.shape}; they "
            "must be (N, C), (E, F, C), (E, F, C) and (E, C, F)"
        )
    if weights.ndim != 2 or len(weights) != len(x):
        raise InputError(f"{name}: weights is {weights.shape}; it must be ({len(x)}, K)")
    _check_order(name, weights.size, order, place)
    _check_offsets(name, offsets, len(gate), weights.size)
    x, weights, gate, up, down = meet(x, weights, gate, up, down)
    sorting = order, place, offsets
    y, kept = kernels.expert_mlp(x, weights, gate, up, down, *sorting)
    return y, lambda g: kernels.expert_mlp_backward(g, x, weights, gate, up, down, *sorting, kept)


def _check_rows(name: str, what: str, x: Array) -> None:
    if x.ndim != 2:
        raise InputError(f"{name}: {what} has shape {x.shape}; it must have two axes")


def _check_order(name: str, count: int, order: Array, place: Array) -> None:
    if order.shape != (count,) or place.shape != (count,):
        raise InputError(
            f"{name} of {count} assignments takes order and place of ({count},), not {order.shape} "
            f"and {place.shape}"
        )


def _check_offsets(name: str, offsets: Array, experts: int, rows: int) -> None:
    if offsets.shape != (experts + 1,):
        raise InputError(f"{name}: offsets is {offsets.shape}; it must be ({experts + 1},)")
    if type(offsets) is np.ndarray and (
        offsets[0] != 0 or offsets[-1] != rows or (np.diff(offsets) < 0).any()
    ):
        raise InputError(f"{name}: offsets are {offsets}; they must rise from 0 to {rows}")
