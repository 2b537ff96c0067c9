"""Tensor and primitives: what is written on the tape (``minilm.tape`` walks it back).

A *primitive* is a function from arrays to ``(value, pullback)``. The pullback takes the gradient
of the loss with respect to the value and returns the gradient with respect to each input.
``@primitive`` makes it a function of Tensors that writes one step on the tape: the output keeps
its pullback and its inputs, nothing else. ``backward`` walks those steps from the last made to
the first.

The operators of Tensor (``a + b``, ``a @ b``, ``a.sum()``) are primitives of
:mod:`minilm.functional`, which attaches them when it is imported.

Names and meaning follow PyTorch, except that ``grad`` is an array and not a Tensor.
"""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minilm import tape
from minilm.backend import Array, is_half, xp_of
from minilm.errors import InputError
from minilm.tape import (
    Clock,
    checksums,
    detect_changes,
    enable_grad,
    is_grad_enabled,
    no_grad,
    root_of,
    tick,
)

__all__ = [
    "Tensor",
    "checkpoint",
    "detect_changes",
    "enable_grad",
    "is_grad_enabled",
    "no_grad",
    "primitive",
    "tensor",
]

Pullback = Callable[[Array], Iterable[Any]]
_FLOATS = "fc"


class Tensor:
    """An array, its gradient, and the step of the tape that made it.

    Attributes:
        data: the array (numpy.ndarray or cupy.ndarray).
        grad: array of the same shape and dtype, or None; summed over calls of ``backward``.
        requires_grad: whether ``backward`` computes ``grad`` for this tensor or passes through it.
    """

    # Defaults stand on the class, so that a primitive's output sets only what differs.
    grad = None
    requires_grad = False
    _pullback = None  # the step that made it: pullback, arguments, and those that want gradients
    _inputs = None
    _sources = None
    _name = ""
    _made = 0  # on the clock of the tape; 0 for what no recorded step made
    _changed = 0
    _base = None  # the tensor whose memory this one is a view of
    _special = False  # one of the four below is set
    _hooks = None
    _retain = False
    _recomputes = False  # a checkpoint: its pullback also takes ``into``
    _checksums = None
    __array_priority__ = 1000  # ndarray + Tensor asks Tensor

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        if isinstance(data, Tensor):
            data = data.data
        if not hasattr(data, "dtype") or not hasattr(data, "shape") or isinstance(data, np.generic):
            data = np.asarray(data)
            if data.dtype == np.float64:  # Python floats: the package computes in float32
                data = data.astype(np.float32)
        if requires_grad and data.dtype.kind not in _FLOATS and not is_half(data):
            raise InputError(f"requires_grad needs a floating-point array, not {data.dtype}")
        self.data = data
        self.requires_grad = requires_grad

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        """Of the array; its gradient has the same."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.data.ndim

    @property
    def is_leaf(self) -> bool:
        """Whether no primitive made it: a parameter, an input, or a detached value."""
        return self._pullback is None

    def numel(self) -> int:
        """Number of elements."""
        return self.data.size

    def __len__(self) -> int:
        return len(self.data)

    def item(self) -> float:
        """The one number of a tensor with one element."""
        return self.data.item()

    def numpy(self) -> np.ndarray:
        """The array itself, shared, where no gradient is asked for.

        Raises:
            InputError: a tensor that requires grad; ``detach()`` says that the tape ends here.
        """
        if self.requires_grad:
            raise InputError("numpy() of a tensor that requires grad: call detach() first")
        return self.data

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.data, dtype=dtype, copy=copy)

    def detach(self) -> "Tensor":
        """The same array, off the tape."""
        out = Tensor(self.data)
        out._base = root_of(self)
        return out

    def retain_grad(self) -> None:
        """Keep ``grad`` of a tensor that a primitive made; otherwise only leaves keep theirs."""
        self._retain = self._special = True

    def register_hook(self, hook: Callable[[Array], Array | None]) -> Callable[[], None]:
        """Call ``hook(grad)`` when the gradient of this tensor is complete.

        Args:
            hook: returns None, or an array that takes the gradient's place.

        Returns:
            A function that removes the hook.
        """
        if not self.requires_grad:
            raise InputError("register_hook needs a tensor that requires grad")
        self._hooks = [*(self._hooks or ()), hook]
        self._special = True

        def remove() -> None:
            self._hooks = [h for h in self._hooks if h is not hook] or None

        return remove

    def touch(self) -> None:
        """Say that the array was changed in place, so that a stale pullback is found out."""
        Clock.changed = root_of(self)._changed = tick()

    def backward(
        self, grad: Array | None = None, into: dict["Tensor", Array] | None = None
    ) -> None:
        """Add d(self)/d(leaf) to ``grad`` of every leaf that requires it; then free the graph.

        Args:
            grad: gradient of the loss with respect to this tensor, same shape; 1 for a scalar.
            into: where given, the leaves' gradients are summed here and not in ``leaf.grad``, so
                that threads can share parameters.

        Raises:
            InputError: not a scalar and no ``grad``; no tape behind this tensor; a tape walked
                before; or an array that a pullback needs was changed since.
        """
        tape.backward(self, grad, into)

    def __repr__(self) -> str:
        made = f", made_by={self._name}" if self._pullback is not None else ""
        wants = ", requires_grad=True" if self.requires_grad and not made else ""
        return f"Tensor({self.data!r}{made}{wants})"

    def __bool__(self) -> bool:
        return bool(self.data)

    def __float__(self) -> float:
        return float(self.data)

    def __int__(self) -> int:
        return int(self.data)


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A Tensor with its own copy of ``data``; Python floats become float32."""
    array = data.data if isinstance(data, Tensor) else data
    if not hasattr(array, "dtype"):
        array = np.asarray(array)
        if dtype is None and array.dtype == np.float64:
            dtype = np.float32
    return Tensor(xp_of(array).array(array, dtype=dtype), requires_grad)


def primitive(function: Callable | None = None, *, view: bool = False) -> Callable:
    """Make a function of Tensors from a function of arrays that returns ``(value, pullback)``.

    ``pullback(g)`` returns one entry per positional argument: a gradient of that argument's shape,
    None, or a function of no arguments that computes it (called only if that input wants it).
    Where only the first arguments can have gradients, it may return fewer entries.

    Args:
        function: takes arrays where Tensors will be given; other arguments pass as they are.
        view: the value shares memory with the first argument.
    """
    if function is None:
        return functools.partial(primitive, view=view)
    name = function.__name__
    signature = inspect.signature(function)
    mode, new, array = tape.mode, Tensor.__new__, np.ndarray

    @functools.wraps(function)
    def operation(*args: Any, **kwargs: Any) -> Tensor:
        if kwargs and any(isinstance(value, Tensor) for value in kwargs.values()):
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()  # all before the last Tensor become positional
            args, kwargs = bound.args, bound.kwargs
        wants = False
        arrays, sources = [], []
        for arg in args:
            if isinstance(arg, Tensor):
                arrays.append(arg.data)
                if arg.requires_grad:
                    wants = True
                    sources.append(arg)
                else:
                    sources.append(None)
            else:
                arrays.append(arg)
                sources.append(None)
        value, pullback = function(*arrays, **kwargs) if kwargs else function(*arrays)
        out = new(Tensor)
        out.data = value if type(value) is array else _as_array(value)
        out._name = name
        if view and isinstance(args[0], Tensor):
            out._base = root_of(args[0])
        if wants and mode.grad:
            out.requires_grad = True
            out._pullback = pullback
            out._inputs = args
            out._sources = sources
            out._made = tick()
            if mode.checksums:
                out._checksums = checksums(pullback)
                out._special = True
        return out

    operation.arrays = function  # the primitive itself, for those who want arrays
    return operation


def checkpoint(function: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """Run ``function`` without keeping what its backward needs; recompute it in backward.

    Memory for the inputs and the output only, at the price of a second forward
    (Chen et al. 2016, arXiv 1604.06174). Tensors that the function reaches in other ways (the
    parameters of a layer) get their gradients as usual.

    Args:
        function: from Tensors to one Tensor; called twice, so its randomness must come from seeds.
        args, kwargs: passed on; Tensors among ``args`` receive gradients.
    """
    if not is_grad_enabled():
        return function(*args, **kwargs)
    with no_grad():
        value = function(*args, **kwargs)
    out = Tensor(value.data)
    out._name = "checkpoint"
    out._recomputes = out._special = out.requires_grad = True
    out._inputs = args
    out._sources = [a if isinstance(a, Tensor) and a.requires_grad else None for a in args]
    out._made = tick()

    def pullback(g: Array, into: dict[Tensor, Array] | None = None) -> list[Array | None]:
        own = [_leaf(arg) if isinstance(arg, Tensor) else arg for arg in args]
        with enable_grad():
            again = function(*own, **kwargs)
        if again.requires_grad:
            inputs = {arg for arg in own if isinstance(arg, Tensor)}
            tape.backward(again, g, into, apart=inputs)
        return [arg.grad if isinstance(arg, Tensor) else None for arg in own]

    out._pullback = pullback
    return out


def _leaf(source: Tensor) -> Tensor:
    """The same array as a new leaf, changed whenever its source is."""
    leaf = Tensor(source.data, requires_grad=source.requires_grad)
    leaf._base = root_of(source)
    return leaf


def _as_array(value: Any) -> Array:
    """A reduction's NumPy scalar as an array of no dimensions; arrays as they are."""
    return np.asarray(value) if isinstance(value, (np.generic, float, int)) else value
