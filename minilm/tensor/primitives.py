"""`@primitive`: a function from arrays to a value and its pullback becomes a step of the tape."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minilm.backend import Array
from minilm.tape import Clock, Node, checksums, mode, refresh, tick
from minilm.tensor.values import Tensor

Pullback = Callable[[Array], Iterable[Any]]


def primitive(function: Callable) -> Callable:
    """Make a function of Tensors from a function of arrays that returns `(value, pullback)`.

    `pullback(g)` returns one entry per positional argument: a gradient of that argument's shape,
    None, or a function of no arguments that computes it (called only if that input wants it).
    Where only the first arguments can have gradients, it may return fewer entries. A pullback of
    None says that the value has no gradient.

    Args:
        function: takes arrays where Tensors will be given; other arguments pass as they are. Its
            value may share the memory of an argument: it is then a view, and a change of either in
            place is a change of both.
    """
    name = function.__name__.strip("_")
    signature = inspect.signature(function)
    new, array = Tensor.__new__, np.ndarray

    @functools.wraps(function)
    def operation(*args: Any, **kwargs: Any) -> Tensor:
        if kwargs and any(isinstance(value, Tensor) for value in kwargs.values()):
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()  # all before the last Tensor become positional
            args, kwargs = bound.args, bound.kwargs
        recorded = mode.grad
        if Clock.rebased and recorded:
            for arg in args:
                if isinstance(arg, Tensor):
                    refresh(arg)
        wants = False
        arrays, sources = [], []
        for arg in args:
            if isinstance(arg, Tensor):
                arrays.append(arg.data)
                if arg._wants:
                    wants = True
                    sources.append(arg._node or arg)
                else:
                    sources.append(None)
            else:
                arrays.append(arg)
                sources.append(None)
        value, pullback = function(*arrays, **kwargs) if kwargs else function(*arrays)
        out = new(Tensor)
        out.data = value = value if type(value) is array else _as_array(value)
        base = value.base
        if base is not None or (arrays and value is arrays[0]):
            for arg in args:  # NumPy gives a view the base of what it looks into
                if isinstance(arg, Tensor):
                    own = arg.data
                    if own is value or own is base or (own.base is base and base is not None):
                        out._view = arg, recorded, operation, args, kwargs
                        break
        if wants and recorded and pullback is not None:
            out._wants = True
            out._node = node = Node()
            node.name = name
            node.pullback = pullback
            node.inputs = args
            node.sources = sources
            node.made = tick()
            if mode.checksums:
                node.checksums = checksums(pullback)
                node.special = True
        return out

    operation.arrays = function  # the primitive itself, for those who want arrays
    return operation


def _as_array(value: Any) -> Array:
    """A reduction's NumPy scalar as an array of no dimensions; arrays as they are."""
    return np.asarray(value) if isinstance(value, (np.generic, float, int)) else value
