"""Changing a tensor's array in place, without lying to the tape.

A change through a view is a change of the root, the tensor whose memory it is: in functional words,
root' = root with f(part, value) scattered to the places of the part. That step is written on the
tape as the root's new node. What was computed from the root before still points to its old node;
views of it, also views of views, take themselves again when they are next used. Everything that
can be refused is refused before the array is touched.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.functional.indexing import arrays_in, at, is_basic
from minilm.functional.meeting import fits, is_float, unbroadcast
from minilm.tape import Clock, Node, record, refresh, root_of
from minilm.tensor import Tensor, is_grad_enabled

# From the part as it was and the value to the step's pullback: from the gradient of the new part to
# that of the old part (None for none) and, made when asked for, that of the value.
Back = Callable[[Array, Any], Callable[[Array], tuple[Array | None, Callable[[], Array]]]]


def add_(target: Tensor, other: Any) -> Tensor:
    """target += other.

    Raises:
        InputError: a leaf that requires grad or a view of one; shapes or dtypes that do not fit.
    """
    return _change("add_", operator.iadd, target, other, lambda x, y: lambda g: (g, lambda: g))


def sub_(target: Tensor, other: Any) -> Tensor:
    """target -= other. Raises as `add_`."""
    return _change("sub_", operator.isub, target, other, lambda x, y: lambda g: (g, lambda: -g))


def mul_(target: Tensor, other: Any) -> Tensor:
    """target *= other. Raises as `add_`."""

    def back(x: Array, y: Any) -> Callable:
        return lambda g: (g * y, lambda: g * x)

    return _change("mul_", operator.imul, target, other, back)


def div_(target: Tensor, other: Any) -> Tensor:
    """target /= other. Raises as `add_`."""

    def back(x: Array, y: Any) -> Callable:
        return lambda g: (g / y, lambda: -g * x / (y * y))

    return _change("div_", operator.itruediv, target, other, back)


def set_(target: Tensor, key: Any, value: Any) -> None:
    """target[key] = value; of an element that is named twice the last value stays.

    Raises:
        InputError: as `add_`; a place that target does not have.
    """
    key = arrays_in(key)
    if isinstance(value, Tensor) and _is_already(target, key, value):
        return  # y[0] *= 3 ends with y[0] = y[0]
    back: Back = lambda x, y: lambda g: (None, lambda: g)  # noqa: E731
    _change("set_", None, target, value, back, key)


def _change(
    name: str, change: Callable | None, target: Tensor, value: Any, back: Back, key: Any = ...
) -> Tensor:
    """Change target[key] in place, and write that on the tape where gradients are wanted.

    Args:
        change: the operator on arrays; None sets.
    """
    array, root = target.data, root_of(target)
    part, given = at(array, key), _as_value(value, array)
    theirs = isinstance(value, Tensor) and value.requires_grad
    wants = is_grad_enabled() and (root._wants or theirs)
    _refuse_misfit(name, array, part, given, wants)
    if wants:
        _refuse_untracked(target, root)
        old, other = _stand_in(root), _stand_in(value) if isinstance(value, Tensor) else value
        if type(given) is type(array) and xp_of(array).may_share_memory(given, array):
            given = given.copy()  # the pullback needs the value as it was
        before = part.copy() if theirs and name in ("mul_", "div_") else None
        pullback = _scattered(target, root, key, back(before, given), _shape(given))
    if change is None:
        front = len(_shape(given)) - part.ndim  # axes of length 1, which not every key takes
        # (1, .., 1, *key) -> (*key)
        array[key] = given.reshape(given.shape[front:]) if front > 0 else given
    else:
        change(array, given)
    target.touch()
    if wants:
        sources = [_source(old), _source(other)]
        _rebase(root, record(name, pullback, (old, other), sources))
    return target


def _scattered(target: Tensor, root: Tensor, key: Any, inner: Callable, shape: tuple) -> Callable:
    """The pullback of the root from that of the part target[key]; `shape` is the value's."""
    direct = target is root and is_basic(key)
    where = key if direct else _places(target, root, key)
    named_twice = not is_basic(key)

    def pullback(g: Array):
        flat = g if direct else g.reshape(-1)  # (root) -> (number of its elements,)
        of_part, of_value = inner(flat[where])

        def old() -> Array:
            if key is ... and direct:
                return of_part
            left = flat.copy()
            left[where] = 0 if of_part is None else of_part
            return left.reshape(g.shape)  # (number of elements,) -> (root)

        def new() -> Array:
            slope = of_value()
            if named_twice:
                slope = slope * _last(where, flat.size)
            return unbroadcast(slope, shape)

        gone = of_part is None and key is ... and direct
        return None if gone else old, new

    return pullback


def _places(target: Tensor, root: Tensor, key: Any) -> Array:
    """The number, in the root, of each element of target[key]: what its views do to 0, 1, 2 ..."""
    chain = []
    while target is not root:
        chain.append(target)
        target = target._view[0]
    places = xp_of(root.data).arange(root.data.size).reshape(root.shape)  # (size,) -> (root)
    for view in reversed(chain):
        parent, _, operation, args, kwargs = view._view
        given = [places if arg is parent else arg for arg in args]
        places = operation.arrays(*given, **kwargs)[0]
    return places[key]


def _last(where: Array, size: int) -> Array:
    """Whether each place in `where` is named there for the last time: its value is what stays."""
    xp = xp_of(where)
    order = xp.arange(where.size).reshape(where.shape)  # (number,) -> (part)
    winner = xp.zeros(size, order.dtype)
    winner[where] = order
    return winner[where] == order


def _rebase(root: Tensor, node: Node) -> None:
    """The root is now what the step made; `retain_grad` follows it, hooks stay with what was."""
    before = root._node
    if before is not None and before.keeper is not None:
        node.keeper, node.special, before.keeper = before.keeper, True, None
    root._node, root._wants = node, True
    root._rebased = Clock.rebased = node.made


def _stand_in(tensor: Tensor) -> Tensor:
    """The tensor as it is now, for the step to point to: the same array and the same node.

    A leaf stands for itself: its gradient is to arrive there.
    """
    refresh(tensor)
    if tensor._node is None:
        return tensor if tensor._wants else tensor.detach()
    out = tensor.detach()
    out._node, out._wants = tensor._node, tensor._wants
    return out


def _source(tensor: Any) -> Any:
    """Where the gradient of an argument goes."""
    return (tensor._node or tensor) if isinstance(tensor, Tensor) and tensor._wants else None


def _as_value(value: Any, array: Array) -> Any:
    """What is added or set: an array in the dtype of floats that it meets, or a number."""
    if isinstance(value, Tensor):
        value = value.data
    if isinstance(value, (list, tuple)):
        value = xp_of(array).asarray(value)
    if hasattr(value, "dtype") and is_float(array) and value.dtype != array.dtype:
        value = value.astype(array.dtype)
    return value


def _shape(value: Any) -> tuple[int, ...]:
    return getattr(value, "shape", ())


def _is_already(target: Tensor, key: Any, value: Tensor) -> bool:
    """Whether target[key] is the very memory of the value."""
    if type(target.data) is not np.ndarray or not is_basic(key):
        return False
    a, b = at(target.data, key), value.data
    if not isinstance(a, np.ndarray) or root_of(target) is not root_of(value):
        return False
    start, other = (x.__array_interface__["data"][0] for x in (a, b))
    return start == other and (a.shape, a.strides, a.dtype) == (b.shape, b.strides, b.dtype)


def _refuse_misfit(name: str, array: Array, part: Array, given: Any, wants: bool) -> None:
    """Raise where the array can't take the value."""
    if not getattr(array.flags, "writeable", True) or any(
        step == 0 and n > 1 for step, n in zip(array.strides, array.shape, strict=True)
    ):
        raise InputError(
            f"{name}: the array of shape {array.shape} is read-only or repeats its elements; "
            "change a copy"
        )
    shape = _shape(given)
    if name == "set_":  # axes of length 1 in front may be left out
        while len(shape) > part.ndim and shape[0] == 1:
            shape = shape[1:]
    if not fits(shape, part.shape):
        raise InputError(f"{name}: the value has shape {_shape(given)}; the place has {part.shape}")
    if is_float(array):
        return
    if wants:
        raise InputError(f"{name}: dtype is {array.dtype}; only floats can have gradients")
    result = np.result_type(array.dtype, given if not hasattr(given, "dtype") else given.dtype)
    if name == "div_" or (name != "set_" and not np.can_cast(result, array.dtype, "same_kind")):
        raise InputError(f"{name}: dtype is {array.dtype}; it can't hold what {name} gives")


def _refuse_untracked(target: Tensor, root: Tensor) -> None:
    """Raise where the tape can't follow the change: a leaf, or a view taken under no_grad."""
    if root._wants and root._node is None:
        what = "a leaf" if target is root else "a view of a leaf"
        raise InputError(
            f"{what} that requires grad can't be changed in place: use no_grad(), or a copy"
        )
    view = target
    while view is not root:
        if not view._view[1]:
            raise InputError(
                "a view that was taken under no_grad is changed in place outside it: do both "
                "inside or both outside"
            )
        view = view._view[0]
