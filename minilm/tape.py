"""The walk back along the tape, and what is watched on the way.

A tensor that a primitive made keeps its step: ``_pullback``, the arguments ``_inputs``, those of
them that want gradients ``_sources``, and ``_made``, when that was. Sorting by ``_made`` is all the
ordering that reverse-mode differentiation needs: whatever made a tensor is older than it.
"""

import functools
import itertools
import operator
import threading
import zlib
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

import numpy as np

from minilm.backend import Array, xp_of
from minilm.errors import InputError

tick = itertools.count(1).__next__  # the clock of the tape; one C call, so safe across threads
_made = operator.attrgetter("_made")


class _Mode(threading.local):
    """What this thread records: gradients on or off, checksums on or off."""

    grad = True
    checksums = False


mode = _Mode()


class Clock:
    """When an array was last changed in place, on the clock of the tape."""

    changed = 0


class no_grad:
    """Nothing is written on the tape inside: ``with no_grad():`` or ``@no_grad()``."""

    def __enter__(self) -> None:
        self._before = mode.grad
        mode.grad = False

    def __exit__(self, *_: Any) -> None:
        mode.grad = self._before

    def __call__(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def without_tape(*args: Any, **kwargs: Any) -> Any:
            with no_grad():
                return function(*args, **kwargs)

        return without_tape


class enable_grad(no_grad):
    """The tape runs inside, also within ``no_grad``."""

    def __enter__(self) -> None:
        self._before = mode.grad
        mode.grad = True


class detect_changes:
    """Inside, every saved array is checksummed, so that even ``t.data[0] = 1`` is found out.

    A change through Tensor's own operators is always found out; one made behind its back, on the
    bare array, only here. Costs a read of every saved array, twice.
    """

    def __enter__(self) -> None:
        self._before = mode.checksums
        mode.checksums = True

    def __exit__(self, *_: Any) -> None:
        mode.checksums = self._before


def is_grad_enabled() -> bool:
    """Whether primitives write on the tape in this thread."""
    return mode.grad


def root_of(source: Any) -> Any:
    """The tensor whose memory this one is a view of; itself where it is none."""
    return source if source._base is None else source._base


def backward(
    root: Any,
    grad: Array | None,
    into: dict[Any, Array] | None,
    apart: Iterable[Any] = (),
) -> None:
    """Walk the tape back from ``root``; leaves in ``apart`` use ``grad`` despite ``into``."""
    if not root.requires_grad:
        raise InputError("backward of a tensor that no tensor with requires_grad leads to")
    if root._pullback is None and root._made:
        raise InputError(
            f"backward a second time through {root._name!r}: the graph is freed after the first"
        )
    xp = xp_of(root.data)
    if grad is None:
        if root.data.size != 1:
            raise InputError(
                f"backward of a tensor of shape {root.shape} needs grad, an array of that shape; "
                "only a scalar does without"
            )
        grad = xp.ones_like(root.data)
    grad = getattr(grad, "data", grad) if hasattr(grad, "_made") else xp.asarray(grad)
    if grad.shape != root.shape:
        raise InputError(f"grad has shape {grad.shape}; the tensor has shape {root.shape}")

    grads: dict[Any, Array] = {root: grad.astype(root.dtype, copy=False)}
    changed, get, function = Clock.changed, grads.get, FunctionType
    for node in steps_behind(root):
        g = grads.pop(node, None)
        if g is None:
            continue
        special = node._special
        if special and node._hooks:
            g = _run_hooks(node, g)
        pullback = node._pullback
        if pullback is None:
            _accumulate(node, g, None if node in apart else into)
            continue
        if special and node._retain:
            node.grad = g if node.grad is None else node.grad + g
        if changed > node._made or (special and node._checksums is not None):
            _refuse_stale(node)
        sources = node._sources
        node._pullback = node._inputs = node._sources = None
        entries = pullback(g, into) if special and node._recomputes else pullback(g)
        for source, entry in zip(sources, entries):
            if source is not None and entry is not None:
                if type(entry) is function:
                    entry = entry()
                before = get(source)
                grads[source] = entry if before is None else before + entry


def steps_behind(root: Any) -> list[Any]:
    """Every tensor with a gradient that leads to ``root``, the last made first."""
    seen = {root}
    found = [root]
    for node in found:  # grows as it is walked: no recursion, however long the chain
        sources = node._sources
        if sources is None:
            if node._made:
                raise InputError(
                    f"backward a second time through {node._name!r}: "
                    "the graph is freed after the first"
                )
            continue
        for source in sources:
            if source is not None and source not in seen:
                seen.add(source)
                found.append(source)
    found.sort(key=_made, reverse=True)
    return found


def _run_hooks(node: Any, g: Array) -> Array:
    for hook in node._hooks:
        replaced = hook(g)
        if replaced is not None:
            g = replaced.data if hasattr(replaced, "_made") else replaced
    return g


def _accumulate(leaf: Any, g: Array, into: dict[Any, Array] | None) -> None:
    if g.dtype != leaf.data.dtype:  # a wider constant met it on the way
        g = g.astype(leaf.data.dtype)
    if into is not None:
        before = into.get(leaf)
        into[leaf] = g if before is None else before + g
    else:
        leaf.grad = g if leaf.grad is None else leaf.grad + g


def saved_arrays(pullback: Callable) -> list[Array]:
    """The arrays that a pullback's closure keeps."""
    cells = getattr(pullback, "__closure__", None) or ()
    found = []
    for cell in cells:
        try:
            content = cell.cell_contents
        except ValueError:  # a name that was never bound
            continue
        for item in content if isinstance(content, (tuple, list)) else (content,):
            if hasattr(item, "dtype") and hasattr(item, "nbytes"):  # no module has both
                found.append(item)
    return found


def checksums(pullback: Callable) -> list[int]:
    """A number for the content of each array that a pullback's closure keeps."""
    return [zlib.crc32(np.ascontiguousarray(array)) for array in saved_arrays(pullback)]


def _refuse_stale(node: Any) -> None:
    """Raise if an array that the pullback of ``node`` keeps was changed after it was kept."""
    stale = node._checksums is not None and checksums(node._pullback) != node._checksums
    if not stale:
        candidates = [t for t in (*node._inputs, node) if hasattr(t, "_made")]
        late = [t for t in candidates if root_of(t)._changed > node._made]
        if not late:
            return
        if node._recomputes:
            saved = [t.data for t in candidates]
        else:
            saved = saved_arrays(node._pullback)
        stale = any(
            array is t.data or (type(array) is np.ndarray and np.may_share_memory(array, t.data))
            for t in late
            for array in saved
        )
    if stale:
        raise InputError(
            f"an array that the gradient of {node._name!r} needs was changed in place after the "
            "operation ran: change a copy, or change it after backward"
        )
