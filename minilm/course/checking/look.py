"""What an answer did, in words: how it was called, what it changed, and how its numbers are off.

A hint about the formula helps nobody whose function returns a list. So `fitting_hint` first looks
at the kind of the mistake; only wrong values, or a wrong shape, earn the hint about the formula.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MOST_SHOWN = 16  # numbers of an array that are printed
LONGEST = 80  # letters of a value that is no array
DTYPE = (
    "np.float64 numbers, np.arange and lists of numbers make float64 of float32; "
    ".astype(x.dtype) gives the dtype of x back"
)
_SHAPES = re.compile(r"broadcast|shape|dimension|mismatch|aligned|out of bounds|axis")


@dataclass
class Call:
    """One call of a function of the student's.

    Attributes:
        name: of the function.
        args, named: what the test gave.
        got: copies of these, which the function could change; positional ones, then the rest.
    """

    name: str
    args: tuple[Any, ...]
    named: Mapping[str, Any]
    got: list[Any] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [shown(value) for value in self.args]
        parts += [f"{name}={shown(value)}" for name, value in self.named.items()]
        return f"{self.name}({', '.join(parts)})"

    @property
    def size(self) -> int:
        """How many numbers and letters it was given."""
        return sum(map(_size, (*self.args, *self.named.values())))

    def changed(self) -> list[str]:
        """Which arguments the function changed: "1", "2", ... by position, or their names."""
        places = [str(number) for number in range(1, len(self.args) + 1)]
        given = dict(zip(places, self.args)) | dict(self.named)
        return [place for (place, old), new in zip(given.items(), self.got) if _differ(old, new)]


def shown(value: Any) -> str:
    """A value, short enough for one line."""
    if isinstance(value, np.ndarray):
        if value.size > MOST_SHOWN:
            return f"<{value.dtype} of shape {value.shape}>"
        text = np.array2string(value, precision=4, separator=", ", max_line_width=1000)
        return f"{' '.join(text.split())} {value.dtype}"
    if isinstance(value, np.generic):
        return f"{value:.6g} {value.dtype}" if value.dtype.kind in "iuf" else str(value)
    if callable(value):
        return "<a function>"
    text = repr(value)
    if len(text) <= LONGEST:
        return text
    many = f" of {len(value)}" if hasattr(value, "__len__") else ""
    return f"<{type(value).__name__}{many}>"


def fitting_hint(kind: str, clue: str, formula: str, call: Call | None, function: Any) -> list[str]:
    """The hints that fit a mistake, the nearest first.

    Args:
        kind: of the failure, see `questions.COARSE`.
        clue: what the numbers look like, or "".
        formula: the hint that the question's author wrote.
        call: the last one before the failure.
        function: what was called.
    """
    if kind == "error":
        return _about_error(clue, formula, call, function)
    if kind == "type":
        array = "a list" in clue or "a tuple" in clue
        return ["np.array(...) makes an array of a list"] if array else []
    if kind == "dtype":
        return [DTYPE]
    if kind == "shape":
        return [formula]
    if kind != "value":
        return [formula] if kind in ("cost", "kernel") else []
    if call is not None and (places := call.changed()):
        which = f"argument {', '.join(places)}"
        return [f"your function changes what it is given ({which}): work on a copy"]
    return [hint for hint in (clue, formula) if hint]


def _about_error(said: str, formula: str, call: Call | None, function: Any) -> list[str]:
    if call is not None and (wanted := _signature(call, function)):
        return [wanted]
    return [formula] if _SHAPES.search(said) else []


def _signature(call: Call, function: Any) -> str:
    """What to say if a function cannot take these arguments; "" if it can."""
    try:
        takes = inspect.signature(function)
    except (TypeError, ValueError):
        return ""
    try:
        takes.bind(*call.args, **call.named)
    except TypeError as error:
        many = len(call.args)
        given = f"{many} argument{'s' if many != 1 else ''} by position"
        if call.named:
            given += f" and {', '.join(call.named)} by name"
        return f"`{call.name}` is called with {given}; yours is {call.name}{takes} ({error})"
    return ""


def clue_of(mine: np.ndarray, want: np.ndarray, near: Callable[[Any, Any], bool]) -> str:
    """How wrong numbers are related to the right ones, if they are in a simple way.

    Args:
        mine, want: float64 or complex128, of one shape.
        near: whether two arrays are equal within the test's tolerance.
    """
    if np.isfinite(want).all() and not np.isfinite(mine).all():
        return "nan or inf: a number too large for exp, a logarithm of 0, or 0/0"
    if mine.size < 2 or not np.isfinite(mine).all() or not np.isfinite(want).all():
        return ""
    large = np.abs(want) > 1e-3 * np.abs(want).max()
    if np.ptp(want[large].real) > 0:  # of equal numbers, each factor and each shift is the same
        ratios = mine[large] / want[large]
        factor = ratios.mean()
        if abs(factor) > 1e-6 and np.abs(ratios - factor).max() < 1e-4 * abs(factor):
            return f"every value is {_number(factor)} times what it should be"
        if near(mine - (mine - want).mean(), want):
            return f"every value is off by {_number((mine - want).mean())}"
    if mine.ndim == 2 and mine.shape[0] == mine.shape[1] and near(mine.T, want):
        return "it is the transpose of what it should be"
    if mine.ndim == 1 and near(mine[::-1], want):
        return "the values stand in reverse order"
    if near(np.sort(mine.ravel()), np.sort(want.ravel())):
        return "the values are right and stand in other places"
    return ""


def _number(value: Any) -> str:
    return f"{complex(value):.4g}" if np.iscomplexobj(value) else f"{float(value):.4g}"


def _size(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.size
    if isinstance(value, Mapping):
        return sum(map(_size, value.values()))
    if isinstance(value, (list, tuple)):
        return sum(map(_size, value))
    return len(value) if isinstance(value, (str, bytes)) else 1


def _differ(old: Any, new: Any) -> bool:
    """Whether two plain values differ; what is not plain counts as equal."""
    if isinstance(old, np.ndarray):
        same_kind = isinstance(new, np.ndarray) and (old.shape, old.dtype) == (new.shape, new.dtype)
        return not same_kind or not np.array_equal(old, new, equal_nan=old.dtype.kind in "fc")
    if isinstance(old, (list, tuple)):
        return len(old) != len(new) or any(map(_differ, old, new))
    if isinstance(old, Mapping):
        return old.keys() != new.keys() or any(_differ(old[key], new[key]) for key in old)
    if type(old).__name__ in ("Tensor", "Parameter"):
        return _differ(old.data, new.data)
    return isinstance(old, (int, float, str, bool, set)) and old != new
