"""Single values of a request, and what they are called in a refusal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minilm.inference.server.problems import refuse


def flag(body: dict[str, Any], field: str) -> bool:
    """A field that is true or false; false where it is missing or null.

    Raises:
        Problem: it is anything else.
    """
    value = body.get(field)
    if value is not None and not isinstance(value, bool):
        raise refuse(field, f"{field} is {kind_of(value)}; it must be true or false")
    return bool(value)


def number(
    body: dict[str, Any], field: str, usual: Any, kind: type, least: float, most: float
) -> Any:
    """A field that is a number; the usual one where it is missing or null.

    Args:
        body: of the request.
        field: its name.
        usual: what stands for nothing.
        kind: int for whole numbers, or float.
        least, most: the range, both ends included.

    Raises:
        Problem: no number, or one out of range.
    """
    value = body.get(field)
    if value is None:
        return usual
    good = is_whole(value) if kind is int else is_number(value)
    if not good or not least <= value <= most:
        what = "a whole number" if kind is int else "a number"
        shown = repr(value) if good else kind_of(value)
        raise refuse(field, f"{field} is {shown}; it must be {what} from {least} to {most}")
    return kind(value)


def is_whole(value: Any) -> bool:
    """Whether it is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether it is a finite number."""
    return is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def kind_of(value: Any) -> str:
    """What JSON calls it."""
    names: Sequence[tuple[type, str]] = (
        (bool, "boolean"), (str, "text"), (dict, "object"), (list, "list"),
    )  # fmt: skip
    if value is None:
        return "missing"
    return next((name for kind, name in names if isinstance(value, kind)), "number")
