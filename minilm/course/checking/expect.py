"""What a test says about an answer, in words: kind first, then shape, dtype, and values last.

    close(student.rope(x, cos, sin), expected, dtype=np.float32)

Each function raises `Wrong` with one sentence for the student. NaN never slips through: it equals
only an expected NaN, and fails every bound.
"""

from typing import Any

import numpy as np

from minilm.course.checking.look import clue_of


class Wrong(AssertionError):
    """An answer that is not right; `kind` is "type", "shape", "dtype" or "value".

    `clue` says how wrong numbers are related to the right ones, where that is simple.
    """

    def __init__(self, kind: str, text: str, clue: str = "") -> None:
        super().__init__(text)
        self.kind, self.clue = kind, clue


def close(
    answer: Any,
    expected: Any,
    *,
    rtol: float = 1e-5,
    atol: float = 1e-6,
    dtype: Any = None,
    what: str = "the answer",
) -> None:
    """The answer has the shape of `expected` and, within `atol + rtol |expected|`, its values.

    With `dtype` it must also be of exactly that dtype. Tensors are taken by their data.
    """
    expected = np.asarray(_data(expected))
    found = array(answer, shape=expected.shape, dtype=dtype, what=what)
    wide = np.complex128 if "c" in (found.dtype.kind, expected.dtype.kind) else np.float64
    mine, want = found.astype(wide), expected.astype(wide)

    def near(mine: np.ndarray, want: np.ndarray) -> np.ndarray:
        fine = np.isfinite(want) & (np.abs(mine - want) <= atol + rtol * np.abs(want))
        return fine | (mine == want) | (np.isnan(mine) & np.isnan(want))

    with np.errstate(all="ignore"):
        fine = near(mine, want)
        if fine.all():
            return
        gap = np.where(fine, -1.0, np.abs(mine - want))
        clue = clue_of(mine, want, lambda a, b: bool(near(a, b).all()))
    gap = np.where(np.isnan(gap), np.inf, gap)
    where = np.unravel_index(int(np.argmax(gap)), gap.shape) if gap.ndim else ()
    bad = int(fine.size - fine.sum())
    place = f" at {list(map(int, where))}" if gap.ndim else ""
    count = f"{bad} of {fine.size} values differ; " if fine.size > 1 else ""
    said = f"{what}: {count}{_number(mine[where])}{place} should be {_number(want[where])}"
    raise Wrong("value", said, clue)


def array(answer: Any, *, shape: Any = None, dtype: Any = None, what: str = "the answer") -> Any:
    """The answer is an array of numbers of this shape and dtype; returns it."""
    answer = _data(answer)
    if answer is None:
        raise Wrong("type", f"{what} is None: is a return missing?")
    if not isinstance(answer, (np.ndarray, np.generic, bool, int, float, complex, list, tuple)):
        raise Wrong("type", f"{what} is {kind_of(answer)}, not an array of numbers")
    if isinstance(answer, (list, tuple)) and shape != ():
        raise Wrong("type", f"{what} is {kind_of(answer)}, not a NumPy array")
    try:
        found = np.asarray(answer)
    except (ValueError, TypeError, OverflowError):
        raise Wrong("type", f"{what} is {kind_of(answer)}, not an array of numbers") from None
    if found.dtype.kind not in "biufc":
        raise Wrong("type", f"{what} is {kind_of(answer)}, not an array of numbers")
    if shape is not None and found.shape != tuple(shape):
        raise Wrong("shape", f"{what} has shape {found.shape}, expected {tuple(shape)}")
    if dtype is not None and found.dtype != np.dtype(dtype):
        raise Wrong("dtype", f"{what} is {found.dtype}, expected {np.dtype(dtype)}")
    return found


def same(answer: Any, expected: Any, *, what: str = "the answer") -> None:
    """The answer is exactly `expected`: numbers, text, lists, dictionaries or integer arrays."""
    answer, expected = _data(answer), _data(expected)
    if isinstance(expected, np.ndarray):
        found = array(answer, shape=expected.shape, what=what)
        if not np.array_equal(found, expected):
            close(found, expected, rtol=0, atol=0, what=what)
            raise Wrong("value", f"{what} is not the one expected")
        return
    if isinstance(expected, (bool, int, float, np.generic)):
        found = array(answer, shape=(), what=what)
        if isinstance(expected, bool) != (found.dtype.kind == "b"):
            raise Wrong("type", f"{what} is {kind_of(answer)}, expected {kind_of(expected)}")
        if found != expected:
            raise Wrong("value", f"{what} is {found}, expected {expected}")
        return
    if isinstance(answer, np.ndarray) and isinstance(expected, (list, tuple)):
        answer = answer.tolist()
    if isinstance(expected, list) and isinstance(answer, tuple):
        answer = list(answer)
    if type(answer) is not type(expected):
        raise Wrong("type", f"{what} is {kind_of(answer)}, expected {kind_of(expected)}")
    if isinstance(expected, (list, tuple)):
        if len(answer) != len(expected):
            raise Wrong("shape", f"{what} has length {len(answer)}, expected {len(expected)}")
        for number, (mine, want) in enumerate(zip(answer, expected)):
            same(mine, want, what=f"{what}[{number}]")
    elif isinstance(expected, dict):
        if set(answer) != set(expected):
            raise Wrong("value", f"{what} has the keys {_short(sorted(map(str, answer)))}")
        for key, want in expected.items():
            same(answer[key], want, what=f"{what}[{key!r}]")
    elif answer != expected:
        raise Wrong("value", f"{what} is {_short(answer)}, expected {_short(expected)}")


def less(answer: Any, bound: float, *, what: str = "the answer") -> None:
    """Every number of the answer is below the bound."""
    found = array(answer, what=what)
    if not np.all(found < bound):
        raise Wrong("value", f"{what} is {_number(np.max(found))}, it should be below {bound:g}")


def true(condition: Any, text: str, kind: str = "value") -> None:
    """A condition that the test computed itself from plain values; `text` says what is wrong."""
    if not bool(np.all(condition)):
        raise Wrong(kind, text)


def fails(call: Any, *args: Any, what: str = "the call", **named: Any) -> None:
    """The student's function refuses these arguments with an error of its own."""
    from minilm.course.checking.student import StudentError

    try:
        call(*args, **named)
    except StudentError as error:
        if error.kind == "error":
            return
        raise
    raise Wrong("value", f"{what} should raise an error, but it returned")


def kind_of(value: Any) -> str:
    """What a value is, for people: "a list", "an array of text", "an object of type Foo"."""
    from minilm.course.checking.student import Held

    if isinstance(value, Held):
        return f"an object of type {value.kind_}"
    names = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}
    names |= {list: "a list", tuple: "a tuple", dict: "a dictionary", set: "a set"}
    names |= {type(None): "None", bytes: "bytes", complex: "a complex number"}
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}"
    if isinstance(value, np.generic):
        return f"a {value.dtype} number"
    return names.get(type(value), f"an object of type {type(value).__name__}")


def _data(value: Any) -> Any:
    from minilm.tensor import Tensor

    return value.data if isinstance(value, Tensor) else value


def _number(value: Any) -> str:
    return f"{complex(value):.6g}" if np.iscomplexobj(value) else f"{float(value):.6g}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
