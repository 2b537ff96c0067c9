"""How much training a lesson's experiments get: what the page says, or a multiple of it."""

import math
import os
from fractions import Fraction

from minilm.errors import InputError

VARIABLE = "MINILM_BUDGET"
MOST = 64


def budget(steps: int) -> int:
    """The steps of a training on the page: `train(..., steps=budget(800))`.

    `minilm run NN --budget 4` trains four times as long and `--budget 1/4` a quarter, to see which
    verdicts hang on where training stopped.

    Args:
        steps: of the lesson itself, at least 1.

    Returns:
        The steps, times the budget asked for, at least 1.

    Raises:
        InputError: `steps` is no whole number from 1, or the budget asked for cannot be read.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise InputError(f"steps is {steps!r}; it must be a whole number, at least 1")
    return max(1, math.floor(steps * factor()))


def factor() -> Fraction:
    """The multiple of its own training that a lesson runs with: 1 unless a run asks for another.

    Raises:
        InputError: as for `parse_budget`.
    """
    asked = os.environ.get(VARIABLE)
    return parse_budget(asked) if asked else Fraction(1)


def parse_budget(text: str) -> Fraction:
    """A budget as it is typed: "4", "1/4" or "0.25".

    Raises:
        InputError: it is no number, or not between 1/64 and 64.
    """
    try:
        found = Fraction(text)
    except (ValueError, ZeroDivisionError):
        found = Fraction(0)
    if not Fraction(1, MOST) <= found <= MOST:
        raise InputError(f"budget is {text!r}; it must be a number from 1/{MOST} to {MOST}")
    return found
