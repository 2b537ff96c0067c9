"""The tape: what a step keeps, the walk back over the steps, and what is watched on the way.

A primitive whose inputs want gradients writes one `Node`: its pullback, its arguments, and where
the gradient of each of them goes. A node belongs to a value, not to a Tensor: a change in place
gives the Tensor a new node, and whoever read it before still points to the old one.

- `node`: Node, the clock, `no_grad`, what a pullback keeps
- `memory`: views, changes in place, stale pullbacks
- `pieces`: the gradients of slices, collected
- `walk`: `backward`
"""

from minilm.tape.memory import is_behind, memory_of, refresh, root_of, touch
from minilm.tape.node import (
    Clock,
    Memory,
    Node,
    checksums,
    detect_changes,
    enable_grad,
    is_grad_enabled,
    mode,
    no_grad,
    record,
    saved_arrays,
    tick,
)
from minilm.tape.pieces import Pieces
from minilm.tape.walk import backward, finish_later, steps_behind

__all__ = [
    "Clock",
    "Memory",
    "Node",
    "Pieces",
    "backward",
    "checksums",
    "detect_changes",
    "enable_grad",
    "finish_later",
    "is_behind",
    "is_grad_enabled",
    "memory_of",
    "mode",
    "no_grad",
    "record",
    "refresh",
    "root_of",
    "saved_arrays",
    "steps_behind",
    "tick",
    "touch",
]
