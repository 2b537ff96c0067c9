"""Changing a tensor's array in place, without lying to the tape."""

from typing import Any

from minilm.backend import Array
from minilm.errors import InputError
from minilm.functional.elementwise import unbroadcast
from minilm.functional.shapes import _arrays_in
from minilm.tensor import Tensor, is_grad_enabled, primitive


def _before(target: Tensor) -> Tensor:
    """A stand-in for the target as it was: it takes over the step of the tape that made it."""
    old = Tensor(target.data)
    old._base = target if target._base is None else target._base
    old._pullback, old._inputs, old._made = target._pullback, target._inputs, target._made
    old._sources, old._recomputes = target._sources, target._recomputes
    old._name, old._hooks, old._checksums = target._name, target._hooks, target._checksums
    old._special, old.requires_grad = target._special, target.requires_grad
    return old


def _after(target: Tensor, out: Tensor) -> Tensor:
    """The target becomes the output of the step just written."""
    target._pullback, target._inputs, target._made = out._pullback, out._inputs, out._made
    target._sources = out._sources
    target._recomputes = False
    target._name, target._hooks, target._checksums = out._name, None, out._checksums
    target._special = out._special
    target.requires_grad = out.requires_grad
    return target


def _change(step: Any, target: Tensor, *args: Any) -> Tensor:
    wants = target.requires_grad or any(isinstance(a, Tensor) and a.requires_grad for a in args)
    if is_grad_enabled() and target.requires_grad and target.is_leaf:
        raise InputError(
            "a leaf that requires grad can't be changed in place: use no_grad(), or a copy"
        )
    old = _before(target) if wants and is_grad_enabled() else target
    target.touch()
    out = step(old, *args)
    return _after(target, out) if old is not target else target


@primitive(view=True)
def _iadd(x: Array, y: Array):
    x += y
    shape = getattr(y, "shape", ())
    return x, lambda g: (g, lambda: unbroadcast(g, shape))


@primitive(view=True)
def _imul(x: Array, y: Array):
    if hasattr(y, "shape"):  # the gradient of y needs x as it was
        before = x.copy()
        x *= y
        return x, lambda g: (g * y, lambda: unbroadcast(g * before, y.shape))
    x *= y
    return x, lambda g: (g * y,)


@primitive(view=True)
def _set(x: Array, key: Any, value: Any):
    x[key] = value

    def pullback(g: Array):
        left = g.copy()
        left[key] = 0
        return left, None, lambda: unbroadcast(g[key], value.shape)

    return x, pullback


def add_(target: Tensor, other: Any) -> Tensor:
    """target += other."""
    return _change(_iadd, target, other)


def sub_(target: Tensor, other: Any) -> Tensor:
    """target -= other."""
    return _change(_iadd, target, -other)


def mul_(target: Tensor, other: Any) -> Tensor:
    """target *= other."""
    return _change(_imul, target, other)


def div_(target: Tensor, other: Any) -> Tensor:
    """target /= other."""
    return _change(_imul, target, 1.0 / other)


def set_(target: Tensor, key: Any, value: Any) -> None:
    """target[key] = value; no element of ``key`` twice."""
    _change(_set, target, _arrays_in(key), value)
