"""What NumPy's own functions do with a Tensor.

`array * tensor` is NumPy's operator: it asks the Tensor, which answers with its own. Any other
function of NumPy (`np.exp`, `np.where`, `np.concatenate`) gives plain arrays, from which no
gradient comes back: a Tensor that requires grad refuses, as `numpy()` does.
"""

import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.functional.elementwise import add, div, mul, pow, sub
from minilm.functional.meeting import broadcast
from minilm.functional.products import matmul
from minilm.tensor import Tensor

# Functions that look at shapes and memory only; no number leaves the tape.
_LOOKING = {"shape", "ndim", "size", "result_type", "may_share_memory", "shares_memory"}
# Where ours is called otherwise than NumPy's.
_OURS = {
    "absolute": "abs",
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "power": "pow",
    "negative": "neg",
    "hstack": "concatenate",
    "vstack": "concatenate",
    "take": "index",
}


def _tensors(value: Any) -> Iterator[Tensor]:
    """The Tensors among arguments, also those in lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _arrays(value: Any) -> Any:
    """The arguments with arrays in place of Tensors."""
    if isinstance(value, Tensor):
        return value.data
    if isinstance(value, (list, tuple)):
        parts = [_arrays(part) for part in value]
        return tuple(parts) if isinstance(value, tuple) else parts
    if isinstance(value, dict):
        return {name: _arrays(part) for name, part in value.items()}
    return value


def _refuse_gradients(name: str, arguments: Iterable[Any]) -> None:
    if not any(tensor.requires_grad for tensor in _tensors(arguments)):
        return
    import minilm.functional as ours

    own = _OURS.get(name, name)
    instead = f"use minilm.functional.{own}, or " if own in ours.__all__ else ""
    raise InputError(
        f"np.{name} of a tensor that requires grad gives an array, which has no gradient: "
        f"{instead}call detach() first"
    )


def array_ufunc(tensor: Tensor, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    """NumPy's protocol for `np.exp(tensor)` and for `array * tensor`."""
    if method == "__call__" and not options and ufunc.__name__ in _BINARY:
        return _BINARY[ufunc.__name__](*inputs)
    name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
    _refuse_gradients(name, [inputs, options])
    return getattr(ufunc, method)(*_arrays(inputs), **_arrays(options))


def array_function(tensor: Tensor, function: Callable, kinds: Any, args: Any, options: Any) -> Any:
    """NumPy's protocol for `np.where`, `np.concatenate` and all that is no ufunc."""
    if function.__name__ not in _LOOKING:
        _refuse_gradients(function.__name__, [args, options])
    return function(*_arrays(args), **_arrays(options))


def _comparison(name: str, compare: Callable) -> Callable:
    """A comparison of elements, as a plain array of bools."""

    def elementwise(a: Any, b: Any) -> Any:
        a, b = _arrays(a), _arrays(b)
        if b is None or isinstance(b, (str, bytes, dict, set)):
            return NotImplemented
        try:
            return compare(a, b)
        except ValueError:
            broadcast(name, np.shape(a), np.shape(b))
            raise

    elementwise.__name__ = name
    elementwise.__doc__ = f"Where the elements of a are {name} those of b, as an array of bools."
    return elementwise


COMPARISONS = {
    name: _comparison(name, compare)
    for name, compare in (
        ("greater", operator.gt),
        ("less", operator.lt),
        ("greater_equal", operator.ge),
        ("less_equal", operator.le),
        ("equal", operator.eq),
        ("not_equal", operator.ne),
    )
}
_BINARY = {
    "add": add,
    "subtract": sub,
    "multiply": mul,
    "divide": div,
    "power": pow,
    "matmul": matmul,
    **COMPARISONS,
}
