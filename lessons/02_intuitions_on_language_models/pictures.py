"""The lesson's figures, gathered from the files beside this one."""

from .scaling_pictures import (
    advice,
    agreement,
    compute,
    exam,
    facts,
    valleys,
)
from .task_pictures import (
    expectations,
    falls,
    five_kinds,
    grid,
    jump,
    scores,
)
from .text_pictures import kinds_of_token, opening, read_out, sample
from .u_pictures import by_size, composition, planes, three_skills, walk

__all__ = [
    "advice",
    "agreement",
    "by_size",
    "composition",
    "compute",
    "exam",
    "expectations",
    "facts",
    "falls",
    "five_kinds",
    "grid",
    "jump",
    "kinds_of_token",
    "opening",
    "planes",
    "read_out",
    "sample",
    "scores",
    "three_skills",
    "valleys",
    "walk",
]
