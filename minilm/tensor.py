"""Tensor and its tape: reverse-mode automatic differentiation in one file.

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

Pullback = Callable[[Array], Iterable[Any]]

_tick = itertools.count(1).__next__  # the clock of the tape; one C call, so safe across threads
_FLOATS = "fc"
_made = operator.attrgetter("_made")


class _Mode(threading.local):
    """What this thread records: gradients on or off, checksums on or off."""

    grad = True
    checksums = False


_mode = _Mode()


class _Clock:
    """When an array was last changed in place, on the clock of the tape."""

    changed = 0


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
        if requires_grad and data.dtype.kind not in _FLOATS:
            raise InputError(f"requires_grad needs a floating-point array, not {data.dtype}")
        self.data = data
        self.requires_grad = requires_grad

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        return self.data.dtype

    @property
    def ndim(self) -> int:
        return self.data.ndim

    @property
    def is_leaf(self) -> bool:
        """Whether no primitive made it: a parameter, an input, or a detached value."""
        return self._pullback is None

    def numel(self) -> int:
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
        out._base = _root(self)
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
        _Clock.changed = _root(self)._changed = _tick()

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
        _backward(self, grad, into)

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


class no_grad:
    """Nothing is written on the tape inside: ``with no_grad():`` or ``@no_grad()``."""

    def __enter__(self) -> None:
        self._before = _mode.grad
        _mode.grad = False

    def __exit__(self, *_: Any) -> None:
        _mode.grad = self._before

    def __call__(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def without_tape(*args: Any, **kwargs: Any) -> Any:
            with no_grad():
                return function(*args, **kwargs)

        return without_tape


class enable_grad(no_grad):
    """The tape runs inside, also within ``no_grad``."""

    def __enter__(self) -> None:
        self._before = _mode.grad
        _mode.grad = True


class detect_changes:
    """Inside, every saved array is checksummed, so that even ``t.data[0] = 1`` is found out.

    A change through Tensor's own operators is always found out; one made behind its back, on the
    bare array, only here. Costs a read of every saved array, twice.
    """

    def __enter__(self) -> None:
        self._before = _mode.checksums
        _mode.checksums = True

    def __exit__(self, *_: Any) -> None:
        _mode.checksums = self._before


def is_grad_enabled() -> bool:
    """Whether primitives write on the tape in this thread."""
    return _mode.grad


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
    mode, new, array = _mode, Tensor.__new__, np.ndarray

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
        value, pullback = function(*arrays, **kwargs)
        out = new(Tensor)
        out.data = value if type(value) is array else _as_array(value)
        out._name = name
        if view and isinstance(args[0], Tensor):
            out._base = _root(args[0])
        if wants and mode.grad:
            out.requires_grad = True
            out._pullback = pullback
            out._inputs = args
            out._sources = sources
            out._made = _tick()
            if mode.checksums:
                out._checksums = _checksums(pullback)
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
    if not _mode.grad:
        return function(*args, **kwargs)
    with no_grad():
        value = function(*args, **kwargs)
    out = Tensor(value.data)
    out._name = "checkpoint"
    out._recomputes = out._special = out.requires_grad = True
    out._inputs = args
    out._sources = [a if isinstance(a, Tensor) and a.requires_grad else None for a in args]
    out._made = _tick()

    def pullback(g: Array, into: dict[Tensor, Array] | None = None) -> list[Array | None]:
        own = [_leaf(arg) if isinstance(arg, Tensor) else arg for arg in args]
        with enable_grad():
            again = function(*own, **kwargs)
        if again.requires_grad:
            inputs = {arg for arg in own if isinstance(arg, Tensor)}
            _backward(again, g, into, apart=inputs)
        return [arg.grad if isinstance(arg, Tensor) else None for arg in own]

    out._pullback = pullback
    return out


def _root(source: Tensor) -> Tensor:
    """The tensor whose memory this one is a view of; itself where it is none."""
    return source if source._base is None else source._base


def _leaf(source: Tensor) -> Tensor:
    """The same array as a new leaf, changed whenever its source is."""
    leaf = Tensor(source.data, requires_grad=source.requires_grad)
    leaf._base = _root(source)
    return leaf


def _as_array(value: Any) -> Array:
    """A reduction's NumPy scalar as an array of no dimensions; arrays as they are."""
    return np.asarray(value) if isinstance(value, (np.generic, float, int)) else value


def _backward(
    root: Tensor,
    grad: Array | None,
    into: dict[Tensor, Array] | None,
    apart: Iterable[Tensor] = (),
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
    grad = getattr(grad, "data", grad) if isinstance(grad, Tensor) else xp.asarray(grad)
    if grad.shape != root.shape:
        raise InputError(f"grad has shape {grad.shape}; the tensor has shape {root.shape}")

    grads: dict[Tensor, Array] = {root: grad.astype(root.dtype, copy=False)}
    changed, get, function = _Clock.changed, grads.get, FunctionType
    for node in _steps_behind(root):
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


def _steps_behind(root: Tensor) -> list[Tensor]:
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


def _run_hooks(node: Tensor, g: Array) -> Array:
    for hook in node._hooks:
        replaced = hook(g)
        if replaced is not None:
            g = replaced.data if isinstance(replaced, Tensor) else replaced
    return g


def _accumulate(leaf: Tensor, g: Array, into: dict[Tensor, Array] | None) -> None:
    if into is not None:
        before = into.get(leaf)
        into[leaf] = g if before is None else before + g
    else:
        leaf.grad = g if leaf.grad is None else leaf.grad + g


def _saved_arrays(pullback: Callable) -> list[Array]:
    """The arrays that a pullback's closure keeps."""
    cells = getattr(pullback, "__closure__", None) or ()
    found = []
    for cell in cells:
        try:
            content = cell.cell_contents
        except ValueError:  # a name that was never bound
            continue
        for item in content if isinstance(content, (tuple, list)) else (content,):
            if hasattr(item, "dtype") and hasattr(item, "shape"):
                found.append(item)
    return found


def _checksums(pullback: Callable) -> list[int]:
    return [zlib.crc32(np.ascontiguousarray(array)) for array in _saved_arrays(pullback)]


def _refuse_stale(node: Tensor) -> None:
    """Raise if an array that the pullback of ``node`` keeps was changed after it was kept."""
    stale = node._checksums is not None and _checksums(node._pullback) != node._checksums
    if not stale:
        candidates = [t for t in (*node._inputs, node) if isinstance(t, Tensor)]
        late = [t for t in candidates if _root(t)._changed > node._made]
        if not late:
            return
        if node._recomputes:
            saved = [t.data for t in candidates]
        else:
            saved = _saved_arrays(node._pullback)
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
