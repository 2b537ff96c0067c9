"""The seeds of a lesson's experiments: 0, 1, 2, ..., or those that a reader asked for."""

import os

from minilm.errors import InputError

VARIABLE = "MINILM_SEEDS"


def seeds(count: int = 3) -> tuple[int, ...]:
    """The seeds that a lesson's experiments use: `SEEDS = seeds()`.

    `minilm run NN --seeds 3,4,5` runs the lesson with others, to see which verdicts they turn.

    Args:
        count: how many the lesson uses by default; at least 3, since noise needs that many.

    Raises:
        InputError: `count` is below 3, or the seeds asked for are no list of three or more.
    """
    if count < 3:
        raise InputError(f"count is {count}; it must be at least 3")
    asked = os.environ.get(VARIABLE)
    return parse_seeds(asked) if asked else tuple(range(count))


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds as they are typed: "3,4,5".

    Raises:
        InputError: it is not a list of three or more different whole numbers.
    """
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(set(found)) < 3 or len(set(found)) < len(found) or min(found) < 0:
        raise InputError(
            f"seeds are {text!r}; they must be three or more different whole numbers, as in 3,4,5"
        )
    return found
