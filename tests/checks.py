"""One helper that holds a primitive to its formula: value, shape, dtype, gradient, both tiers.

And to its shapes: those next to the right ones are refused forward, or work backward too.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minilm import InputError, Tensor, kernels

Shape = tuple[int, ...]


def numbers(shape: Shape, seed: int = 0, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """float64 numbers spread evenly between low and high."""
    return np.random.default_rng(seed).uniform(low, high, shape)


def probes(shape: Shape, seed: int, most: int = 24) -> list[np.ndarray]:
    """Directions to take slopes along: every axis of a small array; else some, and mixtures."""
    size = int(np.prod(shape))
    rng = np.random.default_rng(seed)
    picked = range(size) if size <= most else rng.choice(size, most, replace=False)
    axes = [np.zeros(size) for _ in picked]
    for axis, i in zip(axes, picked, strict=True):
        axis[i] = 1
    mixed = [] if size <= most else [rng.standard_normal(size) for _ in range(4)]
    return [direction.reshape(shape) for direction in (*axes, *mixed)]


def slope(
    f: Callable[[], float], x: np.ndarray, direction: np.ndarray, step: float = 1e-6
) -> float:
    """df along `direction` at x by central differences; x is changed and restored in place."""
    kept = x.copy()
    x += step * direction
    up = f()
    x[...] = kept - step * direction
    down = f()
    x[...] = kept
    return (up - down) / (2 * step)


def check_op(
    shapes: Sequence[Shape | np.ndarray],
    ours: Callable[..., Any],
    reference: Callable[..., np.ndarray],
    low: float = -2.0,
    high: float = 2.0,
    rtol: float = 2e-5,
    grad_rtol: float = 1e-6,
    seed: int = 0,
) -> None:
    """Hold a primitive to a float64 formula and its gradient to finite differences.

    Args:
        shapes: of the inputs; an array stands for itself and gets no gradient.
        ours: takes Tensors, returns a Tensor.
        reference: takes float64 arrays, returns a float64 array; written from the definition.
        low, high: range of the numbers drawn.
        rtol: of the float32 value and gradient in each tier, beside the array's largest element.
        grad_rtol: of the float64 gradient against finite differences.
    """
    given = [
        s if isinstance(s, np.ndarray) else numbers(s, seed + i, low, high)
        for i, s in enumerate(shapes)
    ]
    free = [i for i, s in enumerate(shapes) if not isinstance(s, np.ndarray)]
    expected = np.asarray(reference(*given))
    weights = numbers(expected.shape, seed + 100)  # a random direction: no gradient cancels out

    def value() -> float:
        return float((np.asarray(reference(*given)) * weights).sum())

    directions = {i: probes(given[i].shape, seed) for i in free}
    slopes = {i: np.array([slope(value, given[i], d) for d in directions[i]]) for i in free}
    for dtype, tier, tolerance in (
        (np.float64, "reference", grad_rtol),
        (np.float64, "cpu", grad_rtol),
        (np.float32, "reference", rtol),
        (np.float32, "cpu", rtol),
    ):
        inputs = [
            Tensor(x.astype(dtype), requires_grad=True) if i in free else _cast(x, dtype)
            for i, x in enumerate(given)
        ]
        with kernels.use(tier):
            out = ours(*inputs)
            out.backward(weights.astype(dtype))
        where = f"{dtype.__name__}, {tier} tier"
        assert out.shape == expected.shape, f"{where}: shape {out.shape}, not {expected.shape}"
        assert out.dtype == dtype, f"{where}: dtype {out.dtype}"
        tight = 1e-12 if dtype is np.float64 else rtol
        _close(out.data, expected, tight, f"{where}: value")
        for i in free:
            assert inputs[i].grad.dtype == dtype, f"{where}: gradient {i} is {inputs[i].grad.dtype}"
            assert inputs[i].grad.shape == given[i].shape, f"{where}: gradient {i}"
            along = np.array([(inputs[i].grad * d).sum() for d in directions[i]])
            _close(along, slopes[i], tolerance, f"{where}: gradient {i}")
    check_misfits([s if i in free else given[i] for i, s in enumerate(shapes)], ours)


def check_misfits(shapes: Sequence[Shape | np.ndarray], ours: Callable[..., Any]) -> None:
    """Call a function with shapes next to those that fit.

    Each must be refused forward, in one sentence, or give gradients of its inputs' shapes: what
    passes forward and breaks backward is found out hours into a training.

    Args:
        shapes: of the inputs, which fit; an array stands for itself.
        ours: takes Tensors, returns a Tensor.
    """
    for what, others in misfits(shapes):
        inputs = [
            x if isinstance(x, np.ndarray) else _leaf(x, seed) for seed, x in enumerate(others)
        ]
        with np.errstate(all="ignore"):
            try:
                out = ours(*inputs)
            except InputError as refusal:
                assert "\n" not in str(refusal), f"{what}: {refusal}"
                continue
            if out.requires_grad:
                out.backward(np.ones(out.shape, out.dtype))
        for i, x in enumerate(inputs):
            if isinstance(x, Tensor) and x.grad is not None:
                assert x.grad.shape == x.shape, f"{what}: gradient {i} has shape {x.grad.shape}"


def misfits(shapes: Sequence[Shape | np.ndarray]) -> Iterator[tuple[str, list[Any]]]:
    """Lists of shapes that differ from the given ones in one axis of one of them."""
    for i, shape in enumerate(shapes):
        if isinstance(shape, np.ndarray):
            continue
        around = [shape[1:], shape[:-1], (1, *shape), (2, *shape), (*shape, 1), (*shape, 2)]
        for axis, length in enumerate(shape):
            for other in {0, 1, length - 1, length + 1, 2 * length} - {length}:
                around.append((*shape[:axis], other, *shape[axis + 1 :]))
        for other in around:
            yield f"input {i} is {other} for {shape}", [*shapes[:i], other, *shapes[i + 1 :]]


def _leaf(shape: Shape, seed: int) -> Tensor:
    return Tensor(numbers(shape, seed, 0.5, 1.5).astype(np.float32), requires_grad=True)


def _cast(x: np.ndarray, dtype: Any) -> np.ndarray:
    return x.astype(dtype) if x.dtype.kind == "f" else x


def _close(got: np.ndarray, wanted: np.ndarray, rtol: float, what: str) -> None:
    scale = max(1.0, float(np.abs(wanted).max(initial=0)))
    error = float(np.abs(got - wanted).max(initial=0)) / scale
    assert error <= rtol, f"{what}: off by {error:.2e} of the largest element, allowed {rtol:.0e}"
