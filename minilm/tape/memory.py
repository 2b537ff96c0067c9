"""Who shares memory with whom, and what a change in place means for them.

A tensor that looks into the memory of another is a view of it. All views of one root share one
`Memory`, so a change through any of them is known to all. A recorded change gives the root a new
node; its views take themselves again when they are next used (`refresh`).
"""

from typing import Any

from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.tape.node import Clock, Memory, Node, checksums, mode, saved_arrays, tick


def root_of(tensor: Any) -> Any:
    """The tensor whose memory this one is a view of; itself where it is none."""
    while tensor._view is not None:
        tensor = tensor._view[0]
    return tensor


def memory_of(tensor: Any) -> Memory:
    """What watches the memory of a tensor: one for it, its root and all their views."""
    root = root_of(tensor)
    if root._memory is None:
        root._memory = root._node or Memory()
    return root._memory


def touch(tensor: Any) -> None:
    """Note that the array of a tensor was changed in place."""
    memory = memory_of(tensor)
    memory.changed = Clock.changed = tick()
    if type(memory) is Node:
        memory.array = root_of(tensor).data


def is_behind(tensor: Any) -> bool:
    """Whether a recorded change of what a view looks into is younger than the view's own step."""
    if tensor._view is None:
        return False
    return root_of(tensor)._rebased > (tensor._node.made if tensor._node else 0)


def refresh(tensor: Any) -> None:
    """Take a view again where what it looks into was changed since, so that its step is of today.

    Raises:
        InputError: the view was taken under `no_grad`; whether it should follow is anyone's guess.
    """
    if not Clock.rebased or not mode.grad or not is_behind(tensor):
        return
    chain = []
    while tensor._view is not None:
        chain.append(tensor)
        tensor = tensor._view[0]
    for view in reversed(chain):
        if is_behind(view):
            _, recorded, operation, args, kwargs = view._view
            if not recorded:
                raise InputError(
                    "a view taken under no_grad is used after a recorded change in place of what "
                    "it looks into: take it outside no_grad, or take it again"
                )
            again = operation(*args, **kwargs)
            view._node, view._wants = again._node, again._wants


def refuse_stale(node: Node) -> None:
    """Raise if an array that the pullback of a node keeps was changed after it was kept."""
    stale = node.checksums is not None and checksums(node.pullback) != node.checksums
    if not stale:
        inputs = [t for t in node.inputs if hasattr(t, "_node")]
        watched = [(node, node.array), *((memory_of(t), root_of(t).data) for t in inputs)]
        late = [array for memory, array in watched if memory.changed > node.made]
        if not late:
            return
        kept = [t.data for t in inputs] if node.recomputes else saved_arrays(node.pullback)
        stale = any(_overlap(array, changed) for array in kept for changed in late)
    if stale:
        raise InputError(
            f"an array that the gradient of {node.name!r} needs was changed in place after the "
            "operation ran: change a copy, or change it after backward"
        )


def _overlap(a: Array, b: Array) -> bool:
    """Whether two arrays may share memory."""
    return a is b or (type(a) is type(b) and bool(xp_of(a).may_share_memory(a, b)))
