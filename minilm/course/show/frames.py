"""The places at which a control is drawn for pages that run nothing: decks, the site, paper."""

from __future__ import annotations

import os
from typing import Any

PLACES = 6  # of one control that has too many for all to be drawn
FRAMES = 12  # of all controls of one picture


def kept_here() -> bool:
    """Whether outputs are being stored, as `minilm run` does, and not looked at as they come."""
    return bool(os.environ.get("MINILM_LESSON"))


def settings(specs: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The values of all controls, frame after frame: each control moves while the others rest."""
    rest = {name: spec["value"] for name, spec in specs.items()}
    share = FRAMES // len(specs)  # of each control
    made: list[dict[str, Any]] = []
    for name, spec in specs.items():
        for value in _places(spec, share):
            values = {**rest, name: value}
            if values not in made:
                made.append(values)
    made = made[:FRAMES]
    return made if rest in made else [rest, *made[: FRAMES - 1]]


def _places(spec: dict[str, Any], share: int) -> list[Any]:
    """All values of a control if a share of frames holds them, else a few.

    Those of a slider lie evenly, with its ends and the value it starts at among them.
    """
    few = min(PLACES, max(3, share))
    if spec["kind"] == "choice":
        return spec["choices"][:few]
    if spec["kind"] == "tick":
        return [False, True]
    if spec["kind"] != "slider":
        return [spec["value"]]
    low, step, start = spec["low"], spec["step"], spec["value"]
    steps = int((spec["high"] - low) / step + 1e-9)
    count = steps + 1 if steps < share else few
    places = [low + round(k * steps / max(count - 1, 1)) * step for k in range(count)]
    places = [place if isinstance(place, int) else round(place, 10) for place in places]
    if start not in places:  # it takes the place of its neighbour, never of an end
        inner = range(1, count - 1) if count > 2 else range(count)
        places[min(inner, key=lambda k: abs(places[k] - start))] = start
    return sorted(places)
