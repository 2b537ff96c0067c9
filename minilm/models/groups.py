"""What a Config groups: the numbers that only one choice needs, each checked where it is made."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from minilm.errors import InputError

ROPE_LAYOUTS = ("half", "interleaved")
ROPE_SCALINGS = ("linear", "ntk", "yarn", "llama3")


def is_count(value: Any, least: int = 1) -> bool:
    """Whether a value is a whole number, not a bool, of at least `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_positive(value: Any) -> bool:
    """Whether a value is a finite number above 0."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and 0 < value < float("inf")


@dataclass(frozen=True)
class Rope:
    """Rotary positions (arXiv 2104.09864), for `positions="rope"`.

    theta     base of the frequencies
    layout    "half" (Hugging Face) or "interleaved" (the paper): which numbers form a pair
    scaling   how they are stretched to longer texts: None, or a dict with "kind" ("linear", "ntk",
              "yarn" or "llama3"), "factor" and what `minilm.nn.positions.rope_frequencies` lists
    fraction  of a head's pairs that turn, the first ones; the others know no place (2204.06745)
    local_theta
              base in the layers with a window, which are not stretched, where others have none
              (Gemma 3, arXiv 2503.19786); None: theta and scaling everywhere
    """

    theta: float = 10000.0
    layout: str = "half"
    scaling: dict[str, Any] | None = None
    fraction: float = 1.0
    local_theta: float | None = None

    def __post_init__(self) -> None:
        for name in ("theta", "local_theta"):
            value = getattr(self, name)
            if not is_positive(value) and not (name == "local_theta" and value is None):
                raise InputError(f"rope {name} is {value!r}; it must be a finite number above 0")
        if not is_positive(self.fraction) or self.fraction > 1:
            raise InputError(f"rope fraction is {self.fraction!r}; it must be above 0, at most 1")
        if self.layout not in ROPE_LAYOUTS:
            raise InputError(
                f"rope layout is {self.layout!r}; it must be one of {', '.join(ROPE_LAYOUTS)}"
            )
        scaling = self.scaling
        if scaling is None:
            return
        if not isinstance(scaling, dict) or scaling.get("kind") not in ROPE_SCALINGS:
            raise InputError(
                f"rope scaling is {scaling!r}; it must be None or a dict whose 'kind' is one of "
                f"{', '.join(ROPE_SCALINGS)}"
            )

    def turned(self, size: int) -> int:
        """How many numbers of a head of this size turn with their place."""
        return int(size * self.fraction)


@dataclass(frozen=True)
class Relative:
    """T5's biases by distance (arXiv 1910.10683, section 2.1), for `positions="relative"`.

    buckets   how many distances are told apart, a multiple of 4
    distance  from here on every distance is in the last bucket, in tokens
    """

    buckets: int = 32
    distance: int = 128

    def __post_init__(self) -> None:
        if not is_count(self.buckets, 4) or self.buckets % 4:
            raise InputError(
                f"relative buckets is {self.buckets!r}; it must be a positive multiple of 4"
            )
        if not is_count(self.distance) or self.distance <= self.buckets // 2:
            raise InputError(
                f"relative distance is {self.distance!r}; it must be a whole number above half of "
                f"buckets, {self.buckets // 2}"
            )


GROUPS = {"rope": Rope, "relative": Relative}  # the value of `positions` that each serves

_FLAT = {  # group -> what files of before the groups call its fields
    "rope": {"rope_theta": "theta", "rope_layout": "layout", "rope_scaling": "scaling"},
    "relative": {"relative_buckets": "buckets", "relative_distance": "distance"},
}


def grouped(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields of a Config with its groups made, also from files that hold them flat.

    `{"positions": "rope", "rope_theta": 5e5}` and `{"positions": "rope", "rope": {"theta": 5e5}}`
    both give `{"positions": "rope", "rope": Rope(theta=5e5)}`. Flat files hold every field, also
    those of positions that the model does not have; these are dropped.

    Raises:
        InputError: a group that is given both ways, that lacks a field so named, or that its own
            checks refuse.
    """
    fields = dict(fields)
    for group, kind in GROUPS.items():
        flat = {new: fields.pop(old) for old, new in _FLAT[group].items() if old in fields}
        if flat and fields.get(group) is not None:
            raise InputError(
                f"config has {group} and, flat, its {', '.join(flat)}; give all in {group}"
            )
        if flat and fields.get("positions") == group:
            fields[group] = flat
        given = fields.get(group)
        if isinstance(given, dict):
            names = [field.name for field in dataclasses.fields(kind)]
            unknown = sorted(given.keys() - set(names))
            if unknown:
                raise InputError(f"{group} has {unknown[0]!r}; its fields are {', '.join(names)}")
            fields[group] = kind(**given)
    return fields
