"""Tensor: an array, its gradient, and the step of the tape that made it."""

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from minilm import tape
from minilm.backend import Array, is_half, xp_of
from minilm.errors import InputError
from minilm.tape import Clock, is_behind, memory_of, refresh

_FLOATS = "fc"


class Tensor:
    """An array, its gradient, and the step of the tape that made it.

    Attributes:
        data: the array (numpy.ndarray or cupy.ndarray).
        grad: array of the same shape and dtype, or None; summed over calls of `backward`. It is
            the tensor's own: what is done to it changes nothing else.
    """

    # Defaults stand on the class, so that a primitive's output sets only what differs.
    grad = None
    _wants = False  # gradients
    _node = None  # the step that made it; None for a leaf and for what no recorded step made
    _view = None  # (parent, recorded, operation, args, kwargs): how a view was taken, of whom
    _rebased = 0  # when a recorded change in place gave it another node
    _memory = None  # what watches its memory for changes, once somebody asked
    _hooks = None  # of a leaf; others keep theirs on the node
    _after = None  # called once a walk has added all of it to a leaf's gradient
    __array_priority__ = 1000  # ndarray + Tensor asks Tensor

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        if isinstance(data, Tensor):
            self._memory = memory_of(data)
            data = data.data
        if not hasattr(data, "dtype") or not hasattr(data, "shape") or isinstance(data, np.generic):
            data = np.asarray(data)
            if data.dtype == np.float64:  # Python floats: the package computes in float32
                data = data.astype(np.float32)
        self.data = data
        if requires_grad:
            self.requires_grad = True

    @property
    def requires_grad(self) -> bool:
        """Whether `backward` computes `grad` for this tensor or passes through it.

        Raises:
            InputError: set to True on integers, or to False on what an operation made.
        """
        return self._wants or (Clock.rebased > 0 and is_behind(self))

    @requires_grad.setter
    def requires_grad(self, wants: bool) -> None:
        if wants and self.data.dtype.kind not in _FLOATS and not is_half(self.data):
            raise InputError(f"dtype is {self.dtype}; requires_grad needs a floating-point array")
        if not wants and self._node is not None:
            raise InputError(
                f"requires_grad is set to False on the result of {self._node.name!r}; only a leaf "
                "can stop to want gradients: use detach()"
            )
        self._wants = bool(wants)

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
        return self._node is None

    @property
    def inputs(self) -> tuple:
        """The arguments of the primitive that made it, Tensors and others; none for a leaf."""
        return (self._node and self._node.inputs) or ()

    @property
    def made_by(self) -> str:
        """The name of the primitive that made it; empty for a leaf."""
        return self._node.name if self._node else ""

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
            InputError: a tensor that requires grad; `detach()` says that the tape ends here.
        """
        if self.requires_grad:
            raise InputError("numpy() of a tensor that requires grad: call detach() first")
        return self.data

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.requires_grad:
            raise InputError(
                "a tensor that requires grad is turned into an array, which has no gradient: call "
                "detach() first, or use a function of minilm.functional"
            )
        return np.array(self.data, dtype=dtype, copy=copy)

    def detach(self) -> "Tensor":
        """The same array, off the tape."""
        return Tensor(self)

    def retain_grad(self) -> None:
        """Keep `grad` of a tensor that a primitive made; otherwise only leaves keep theirs."""
        refresh(self)
        if self._node is not None:
            self._node.keeper, self._node.special = weakref.ref(self), True

    def register_hook(self, hook: Callable[[Array], Array | None]) -> Callable[[], None]:
        """Call `hook(grad)` when the gradient of this tensor is complete.

        Args:
            hook: returns None, or an array that takes the gradient's place.

        Returns:
            A function that removes the hook.

        Raises:
            InputError: a tensor that wants no gradient.
        """
        if not self.requires_grad:
            raise InputError("register_hook needs a tensor that requires grad")
        refresh(self)
        node, kept = self._node, "hooks" if self._node else "_hooks"
        holder = node or self
        setattr(holder, kept, [*(getattr(holder, kept) or ()), hook])
        if node:
            node.special = True

        def remove() -> None:
            setattr(holder, kept, [h for h in getattr(holder, kept) if h is not hook] or None)

        return remove

    def register_post_accumulate_grad_hook(self, hook: Callable[["Tensor"], None]) -> Callable:
        """Call `hook(tensor)` as soon as a backward has added all of its gradient to a leaf.

        Steps that lead to other leaves may still have to be walked: so what needs the gradient (a
        sum over ranks) can begin while backward goes on.

        Returns:
            A function that removes the hook.

        Raises:
            InputError: a tensor that an operation made, or that wants no gradient.
        """
        if self._node is not None or not self.requires_grad:
            raise InputError(
                "register_post_accumulate_grad_hook needs a leaf that requires grad; other tensors "
                "keep no gradient"
            )
        self._after = [*(self._after or ()), hook]

        def remove() -> None:
            self._after = [h for h in self._after or () if h is not hook] or None

        return remove

    def touch(self) -> None:
        """Say that the array was changed in place, so that a stale pullback is found out."""
        tape.touch(self)

    def backward(
        self,
        grad: Array | None = None,
        into: dict["Tensor", Array] | None = None,
        *,
        retain_graph: bool = False,
        create_graph: bool = False,
    ) -> None:
        """Add d(self)/d(leaf) to `grad` of every leaf that requires it; then free the graph.

        Args:
            grad: gradient of the loss with respect to this tensor, same shape; 1 for a scalar.
            into: where given, the leaves' gradients are summed here and not in `leaf.grad`, so
                that threads can share parameters.
            retain_graph, create_graph: PyTorch's, and refused: pullbacks may use up what they keep,
                and a gradient is an array without a tape.

        Raises:
            InputError: not a scalar and no `grad`; no tape behind this tensor; a tape walked
                before; an array that a pullback needs was changed since; a gradient of a gradient.
        """
        if create_graph:
            raise InputError(
                "create_graph is True; gradients are arrays, and there is no gradient of a gradient"
            )
        if retain_graph:
            raise InputError(
                "retain_graph is True; backward frees the graph as it goes: run the forward again, "
                "or add the losses up and go back once"
            )
        tape.backward(self, grad, into)

    def __repr__(self) -> str:
        made = f", made_by={self.made_by}" if self._node else ""
        wants = ", requires_grad=True" if self._wants and not made else ""
        return f"Tensor({self.data!r}{made}{wants})"

    def __bool__(self) -> bool:
        if self.data.size != 1:
            raise InputError(f"a tensor of shape {self.shape} is neither true nor false")
        return bool(self.data)

    def __float__(self) -> float:
        return float(self.data)

    def __int__(self) -> int:
        return int(self.data)


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A Tensor with its own copy of `data`; Python floats become float32."""
    array = data.data if isinstance(data, Tensor) else data
    if not hasattr(array, "dtype"):
        array = np.asarray(array)
        if dtype is None and array.dtype == np.float64:
            dtype = np.float32
    return Tensor(xp_of(array).array(array, dtype=dtype), requires_grad)
