"""A step of the tape, its clock, and what a thread records."""

import contextlib
import functools
import itertools
import threading
import zlib
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from minilm.backend import Array

tick = itertools.count(1).__next__  # the clock of the tape; one C call, so safe across threads


class _Mode(threading.local):
    """What this thread records: gradients on or off, checksums on or off."""

    grad = True
    checksums = False


mode = _Mode()


class Clock:
    """When any array was last changed in place, and when such a change was last recorded."""

    changed = 0
    rebased = 0


class Memory:
    """When the memory that a tensor and its views share was last changed in place."""

    __slots__ = ("__dict__",)
    changed = 0


class Node(Memory):
    """A step of the tape; it also watches the memory of the value that it made.

    Attributes:
        name: of the primitive.
        pullback: from the value's gradient to one entry per argument; None once it was walked.
        inputs: the arguments as they were given, Tensors and others.
        sources: per argument where its gradient goes: the Node of a value, the Tensor itself for a
            leaf, None for what wants no gradient.
        made: when, on the clock of the tape.
        array: the value, once it was changed in place.
        special: one of the four below is set.
        hooks: functions of the value's gradient.
        keeper: weak reference to the Tensor that keeps the gradient though it is not a leaf.
        recomputes: a checkpoint: the pullback also takes `into`.
        checksums: of the arrays that the pullback keeps.
    """

    __slots__ = ("inputs", "made", "name", "pullback", "sources")  # set by every step, so: fast
    array = None
    special = False
    hooks = None
    keeper = None
    recomputes = False
    checksums = None


class no_grad:
    """Nothing is written on the tape inside: `with no_grad():` or `@no_grad()`."""

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
    """The tape runs inside, also within `no_grad`."""

    def __enter__(self) -> None:
        self._before = mode.grad
        mode.grad = True


class detect_changes:
    """Inside, every saved array is checksummed, so that even `t.data[0] = 1` is found out.

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


def record(name: str, pullback: Callable, inputs: tuple, sources: list) -> Node:
    """A new step on the tape, made now."""
    node = Node()
    node.name, node.pullback, node.inputs, node.sources = name, pullback, inputs, sources
    node.made = tick()
    if mode.checksums:
        node.checksums = checksums(pullback)
        node.special = True
    return node


def saved_arrays(pullback: Callable) -> list[Array]:
    """The arrays that a pullback keeps: in its closure, and in those of functions it calls."""
    found, seen, todo = [], set(), [pullback]
    while todo:
        item = todo.pop()
        if isinstance(item, (tuple, list)):
            todo += item
        elif hasattr(item, "dtype") and hasattr(item, "nbytes"):  # no module has both
            found.append(item)
        elif type(item) is FunctionType and item not in seen:
            seen.add(item)
            todo += item.__defaults__ or ()
            for cell in item.__closure__ or ():
                with contextlib.suppress(ValueError):  # a name that was never bound
                    todo.append(cell.cell_contents)
    return found


def checksums(pullback: Callable) -> list[int]:
    """A number for the content of each array that a pullback keeps."""
    return [zlib.crc32(np.ascontiguousarray(array)) for array in saved_arrays(pullback)]
