"""Every CUDA kernel of the package once, on any array module, against its float64 formula.

With CuPy the kernels run on the GPU, with NumPy in the emulator: the same list checks both.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from minilm.backend import IGNORE, Array, to_numpy
from minilm.emulator.source import dtype_of

# Relative error of a whole result: a few roundings of the element type.
TOLERANCE = {"float32": 1e-5, "float16": 1.5e-3, "bfloat16": 1e-2}
HALVES = ("bfloat16", "float16")
EVERY = ("float32", *HALVES)


class Check(NamedTuple):
    """One kernel in one type: its relative error and whether that is small enough."""

    name: str
    dtype: str
    error: float
    passed: bool


def _tier(folder: str, tier: str) -> ModuleType:
    return importlib.import_module(f"minilm.kernels.{folder}.{tier}")


def _error(ours: Any, right: Any) -> float:
    worst = 0.0
    for a, b in zip(ours, right):
        if a is None or b is None:
            continue
        a, b = to_numpy(a).astype(np.float64), np.asarray(b, np.float64)
        scale = np.linalg.norm(b) or 1.0
        worst = float(np.maximum(worst, np.linalg.norm(a - b) / scale))
    return worst


class _Case:
    """Random arrays on the module's device, with float64 twins on the host."""

    def __init__(self, xp: ModuleType, dtype: str, seed: int = 0) -> None:
        self.xp, self.dtype, self.rng = xp, dtype, np.random.default_rng(seed)

    def arrays(self, *shapes: tuple[int, ...]) -> tuple[list[Array], list[np.ndarray]]:
        host = [self.rng.standard_normal(s).astype(dtype_of(self.dtype)) for s in shapes]
        return [self.xp.array(a) for a in host], [a.astype(np.float64) for a in host]

    def given(self, array: np.ndarray) -> Array:
        return self.xp.array(array)


def _tuple(value: Any) -> tuple:
    return value if isinstance(value, tuple) else (value,)


def _simple(folder: str, name: str, *shapes: tuple[int, ...], extra: tuple = ()) -> Callable:
    """A check of a function whose arguments are arrays of one type, then constants."""

    def check(case: _Case) -> tuple:
        ours, exact = case.arrays(*shapes)
        mine = getattr(_tier(folder, "cuda"), name)(*ours, *extra)
        return _tuple(mine), _tuple(getattr(_tier(folder, "reference"), name)(*exact, *extra))

    return check


def _norm(folder: str) -> Callable:
    def check(case: _Case) -> tuple:
        shape = (70, 328)
        (x, g, w, b), exact = case.arrays(shape, shape, shape[1:], shape[1:])
        extra = (b,) if folder == "layer_norm" else ()
        twin = (exact[3],) if folder == "layer_norm" else ()
        cuda, reference = _tier(folder, "cuda"), _tier(folder, "reference")
        y, *saved = getattr(cuda, folder)(x, w, *extra, 1e-5)
        right, *kept = getattr(reference, folder)(exact[0], exact[2], *twin, 1e-5)
        back = getattr(cuda, f"{folder}_backward")(g, x, w, *saved)
        wanted = getattr(reference, f"{folder}_backward")(exact[1], exact[0], exact[2], *kept)
        return (y, *saved, *back), (right, *kept, *wanted)

    return check


def _cross_entropy(case: _Case) -> tuple:
    (x,), (exact,) = case.arrays((5, 1003))
    targets = np.array([0, 7, IGNORE, 1002, 3])
    losses = _tier("cross_entropy", "cuda").cross_entropy_with_gradient(
        x, case.given(targets), 0.1, 1e-3, 0.5
    )
    right = _tier("cross_entropy", "reference").cross_entropy_with_gradient(
        exact, targets, 0.1, 1e-3, 0.5
    )
    return (losses, x), (right, exact)


def _rope(case: _Case) -> tuple:
    (x,), (exact,) = case.arrays((2, 3, 17, 64))
    angles = case.rng.uniform(0, 6, (17, 32)).astype(np.float32)
    tables = np.cos(angles), np.sin(angles)
    cuda, reference = _tier("rope", "cuda"), _tier("rope", "reference")
    ours = [cuda.rope(x, *map(case.given, tables), flag) for flag in (False, True)]
    wide = [t.astype(np.float64) for t in tables]
    return ours, [reference.rope(exact, *wide, flag) for flag in (False, True)]


def _embedding(case: _Case) -> tuple:
    (g,), (exact,) = case.arrays((300, 77))
    ids = case.rng.integers(0, 50, 300)
    ours = _tier("embedding", "cuda").embedding_backward(g, case.given(ids), 60)
    return (ours,), (_tier("embedding", "reference").embedding_backward(exact, ids, 60),)


def _adamw(case: _Case) -> tuple:
    shapes = [(3, 5), (9000,), (64, 64)]
    full = _Case(case.xp, "float32", 1)
    (p, ep), (m, em) = full.arrays(*shapes), full.arrays(*shapes)
    g, eg = case.arrays(*shapes)
    ev = [np.abs(a).astype(np.float32) for a in em]
    v = [case.given(a) for a in ev]
    settings = (1e-2, 0.9, 0.99, 1e-8, 0.1, 2)
    _tier("adamw", "cuda").adamw_many(p, g, m, v, *settings)
    ev = [a.astype(np.float64) for a in ev]
    for four in zip(ep, eg, em, ev):
        _tier("adamw", "reference").adamw(*four, *settings)
    return (*p, *m, *v), (*ep, *em, *ev)


def _attention(size: int, window: int | None, causal: bool = True) -> Callable:
    def check(case: _Case) -> tuple:
        q, k = (1, 4, 150, size), (1, 2, 200, size)
        ours, exact = case.arrays(q, k, k, q)
        cuda, reference = _tier("attention", "cuda"), _tier("attention", "reference")
        settings = (None, None, causal, window, size**-0.5)
        out, lse = cuda.attention(*ours[:3], *settings)
        right, kept = reference.attention(*exact[:3], *settings)
        back = cuda.attention_backward(ours[3], *ours[:3], out, lse, *settings)
        wanted = reference.attention_backward(exact[3], *exact[:3], right, kept, *settings)
        return (out, lse, *back), (right, kept, *wanted)

    return check


def _decode(paged: bool) -> Callable:
    def check(case: _Case) -> tuple:
        shape = (12, 2, 32, 64) if paged else (2, 2, 300, 64)
        ours, exact = case.arrays((2, 8, 64), shape, shape)
        lengths = np.array([130, 190] if paged else [300, 77])
        table = case.rng.permutation(12).reshape(2, 6) if paged else None
        there = None if table is None else case.given(table)
        out = _tier("decode_attention", "cuda").decode_attention(
            *ours, case.given(lengths), there, 0.125
        )
        reference = _tier("decode_attention", "reference")
        return (out,), (reference.decode_attention(*exact, lengths, table, 0.125),)

    return check


def _quantized(bits: int) -> Callable:
    def check(case: _Case) -> tuple:
        reference, ours, right = _tier("quantized_matmul", "reference"), [], []
        for rows in (3, 130):
            (x,), (exact,) = case.arrays((rows, 256))
            codes, scales = reference.quantize(case.rng.standard_normal((100, 256)), bits)
            there = case.given(codes), case.given(scales)
            ours.append(_tier("quantized_matmul", "cuda").quantized_matmul(x, *there, bits))
            right.append(exact @ reference.dequantize(codes, scales, bits).T.astype(np.float64))
        return ours, right

    return check


def _moe(case: _Case) -> tuple:
    cuda, reference = _tier("moe", "cuda"), _tier("moe", "reference")
    (x, w, g), exact = case.arrays((90, 128), (4, 64, 128), (180, 64))
    chosen = np.stack([case.rng.permutation(4)[:2] for _ in range(90)])
    order, place, offsets = reference.sort_by_expert(chosen, 4)
    there = [case.given(a) for a in (order, place, offsets)]
    rows = cuda.moe_permute(x, there[0], 2)
    y = cuda.grouped_matmul(rows, w, there[2])
    back = cuda.grouped_matmul_backward(g, rows, w, there[2])
    sorted_rows = reference.moe_permute(exact[0], order, 2)
    right = reference.grouped_matmul(sorted_rows, exact[1], offsets)
    wanted = reference.grouped_matmul_backward(exact[2], sorted_rows, exact[1], offsets)
    return (rows, y, *back), (sorted_rows, right, *wanted)


_ROWS = (5, 1003)
CHECKS: list[tuple[str, Callable, tuple[str, ...]]] = [
    ("softmax", _simple("softmax", "softmax", _ROWS), EVERY),
    ("softmax backward", _simple("softmax", "softmax_backward", _ROWS, _ROWS), EVERY),
    ("log softmax", _simple("softmax", "log_softmax", _ROWS), EVERY),
    ("layer norm", _norm("layer_norm"), EVERY),
    ("RMS norm", _norm("rms_norm"), EVERY),
    ("cross-entropy", _cross_entropy, EVERY),
    ("GELU", _simple("gelu", "gelu", _ROWS, extra=(True,)), EVERY),
    ("GELU backward", _simple("gelu", "gelu_backward", _ROWS, _ROWS, extra=(False,)), EVERY),
    ("SwiGLU", _simple("swiglu", "swiglu", _ROWS, _ROWS), EVERY),
    ("SwiGLU backward", _simple("swiglu", "swiglu_backward", _ROWS, _ROWS, _ROWS), EVERY),
    ("RoPE", _rope, EVERY),
    ("embedding backward", _embedding, EVERY),
    ("AdamW", _adamw, EVERY),
    ("attention 64", _attention(64, None), HALVES),
    ("attention 64, window", _attention(64, 50), HALVES),
    ("attention 128", _attention(128, None, causal=False), HALVES),
    ("decoding attention", _decode(False), EVERY),
    ("decoding attention, paged", _decode(True), EVERY),
    ("int8 product", _quantized(8), HALVES),
    ("NF4 product", _quantized(4), HALVES),
    ("mixture of experts", _moe, HALVES),
]


def checks(xp: ModuleType) -> Iterator[Check]:
    """Runs every kernel in every type that it supports.

    Args:
        xp: cupy (on the GPU) or numpy (in the emulator).

    Yields:
        The outcome of each, in order.
    """
    for name, check, dtypes in CHECKS:
        for dtype in dtypes:
            found = _error(*check(_Case(xp, dtype)))
            yield Check(name, dtype, found, found <= TOLERANCE[dtype])
