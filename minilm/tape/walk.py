"""The walk back along the tape.

Sorting the nodes by `made` is all the ordering that reverse-mode differentiation needs: whatever
made a value is older than it.
"""

import operator
from collections import Counter
from collections.abc import Callable, Iterable
from sys import getrefcount
from types import FunctionType
from typing import Any

import numpy as np

from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.tape.memory import refresh, refuse_stale
from minilm.tape.node import Clock, Node
from minilm.tape.pieces import Pieces, added


def backward(
    root: Any,
    grad: Array | None,
    into: dict[Any, Array] | None,
    apart: Iterable[Any] = (),
    later: list[tuple[Any, Callable[[], Array]]] | None = None,
) -> None:
    """Walk the tape back from `root`; leaves in `apart` use `grad` despite `into`.

    Args:
        root: where to start.
        grad: its gradient; None for a number's 1.
        into: takes the leaves' gradients in place of `leaf.grad`.
        apart: leaves that keep theirs all the same.
        later: takes (leaf, function that computes its gradient) for every gradient of a leaf that a
            pullback leaves to be asked for. So what flows on comes first, and the gradients of
            weights when there is time (`finish_later`).
    """
    if not root.requires_grad:
        raise InputError("backward of a tensor that no tensor with requires_grad leads to")
    refresh(root)
    start = root._node or root
    nodes, leaves = ([], [root]) if start is root else _behind(start)
    grads = {start: _seed(root, grad)}

    def give(leaf: Any) -> None:
        g = grads.pop(leaf, None)
        if g is not None:
            _give(leaf, g, None if leaf in apart else into)

    watched = {leaf for leaf in leaves if leaf._after}
    _walk(nodes, grads, into, (_uses(nodes, watched), give) if watched else None, later)
    for leaf in leaves:
        give(leaf)


def finish_later(later: list[tuple[Any, Callable[[], Array]]]) -> None:
    """Compute the gradients that `backward(..., later=...)` put off, and empty the list."""
    for leaf, gradient in later:
        g = gradient()
        _give(leaf, g, None)
    later.clear()


def _give(leaf: Any, g: Any, into: dict[Any, Array] | None) -> None:
    """Hand a leaf the gradient of one walk, and tell those who wait for it."""
    if type(g) is Pieces:
        g = g.whole()
    if leaf._hooks:
        g = _run_hooks(leaf._hooks, g)
    if isinstance(g, np.generic):
        g = np.asarray(g)
    if g.base is not None or _holders(g) > _ONE + 1:  # + 1: whoever calls this holds it, too
        g = g.copy()
    _accumulate(leaf, g, into)
    for hook in leaf._after or ():
        hook(leaf)


def _uses(nodes: list[Node], watched: set[Any]) -> Counter:
    """How many steps hand a gradient to each of some leaves."""
    return Counter(source for node in nodes for source in node.sources if source in watched)


def _seed(root: Any, grad: Any) -> Array:
    """The gradient that the walk starts with, in the root's shape and dtype."""
    xp = xp_of(root.data)
    if grad is None:
        if root.data.size != 1:
            raise InputError(
                f"backward of a tensor of shape {root.shape} needs grad, an array of that shape; "
                "only a scalar does without"
            )
        return xp.ones_like(root.data)
    if hasattr(grad, "_node"):
        if grad.requires_grad:
            raise InputError(
                "grad is a tensor that requires grad; there is no gradient of a gradient here: "
                "give grad.detach()"
            )
        grad = grad.data
    grad = xp.asarray(grad)
    if grad.shape != root.shape:
        raise InputError(f"grad has shape {grad.shape}; the tensor has shape {root.shape}")
    return grad.astype(root.dtype, copy=False)


def _walk(
    nodes: list[Node],
    grads: dict[Any, Array],
    into: dict[Any, Array] | None,
    watch: tuple[Counter, Callable[[Any], None]] | None = None,
    later: list[tuple[Any, Callable[[], Array]]] | None = None,
) -> None:
    """Run the pullbacks, the last made first, and free them; the leaves' gradients stay.

    `watch` holds how many steps lead to each watched leaf, and what to call after the last of them.
    """
    changed, get, function = Clock.changed, grads.get, FunctionType
    for node in nodes:
        g = grads.pop(node, None)
        if g is None:
            continue
        if type(g) is Pieces:
            g = g.whole()
        special = node.special
        if special:
            if node.hooks:
                g = _run_hooks(node.hooks, g)
            keeper = node.keeper and node.keeper()
            if keeper is not None:
                keeper.grad = g.copy() if keeper.grad is None else keeper.grad + g
        if changed > node.made or (special and node.checksums is not None):
            refuse_stale(node)
        pullback, sources = node.pullback, node.sources
        node.pullback = node.inputs = node.sources = None
        if node.changed:
            node.array = None
        entries = pullback(g, into) if special and node.recomputes else pullback(g)
        for source, entry in zip(sources, entries):
            if source is not None and entry is not None:
                if type(entry) is function:
                    if later is not None and type(source) is not Node:
                        later.append((source, entry))
                        continue
                    entry = entry()
                before = get(source)
                grads[source] = entry if before is None else added(before, entry)
        if watch is not None:
            g = entries = entry = before = None  # so that a leaf's gradient has one holder
            uses, give = watch
            for source in sources:
                if source in uses:
                    uses[source] -= 1
                    if not uses[source]:
                        give(source)


def steps_behind(root: Any) -> list[Node]:
    """Every step that leads to a tensor, the last made first; none behind a leaf."""
    return _behind(root._node)[0] if root._node else []


def _behind(start: Node) -> tuple[list[Node], list[Any]]:
    """The steps that lead to a node, the last made first, and the leaves that they start from."""
    seen, nodes, leaves = {start}, [start], []
    for node in nodes:  # grows as it is walked: no recursion, however long the chain
        if node.sources is None:
            raise InputError(
                f"backward a second time through {node.name!r}: the graph is freed after the first"
            )
        for source in node.sources:
            if source is not None and source not in seen:
                seen.add(source)
                (nodes if type(source) is Node else leaves).append(source)
    nodes.sort(key=operator.attrgetter("made"), reverse=True)
    return nodes, leaves


def _run_hooks(hooks: list[Callable], g: Array) -> Array:
    for hook in hooks:
        replaced = hook(g)
        if replaced is not None:
            g = replaced.data if hasattr(replaced, "_node") else replaced
    return g


def _holders(array: Array) -> int:
    """How many names hold an array, plus what looking costs."""
    return getrefcount(array)


def _count_of_one() -> int:
    array = np.empty(0)
    return _holders(array)


_ONE = _count_of_one()  # an array with one holder and no base is its own: no copy for a leaf


def _accumulate(leaf: Any, g: Array, into: dict[Any, Array] | None) -> None:
    """Add a gradient that belongs to the leaf alone to what the leaf has."""
    if g.shape != leaf.data.shape:
        raise InputError(
            f"a pullback gave a gradient of shape {g.shape} to a tensor of shape {leaf.shape}"
        )
    if g.dtype != leaf.data.dtype:  # a wider constant met it on the way
        g = g.astype(leaf.data.dtype)
    if into is not None:
        before = into.get(leaf)
        into[leaf] = g if before is None else before + g
    else:
        leaf.grad = g if leaf.grad is None else leaf.grad + g
