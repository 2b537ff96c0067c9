"""Checkpoints: a part of the forward pass that is run again rather than kept."""

from collections.abc import Callable
from typing import Any

from minilm import tape
from minilm.backend import Array
from minilm.tape import enable_grad, is_grad_enabled, no_grad, record, refresh
from minilm.tensor.values import Tensor


def checkpoint(function: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """Run `function` without keeping what its backward needs; recompute it in backward.

    Memory for the inputs and the output only, at the price of a second forward
    (Chen et al. 2016, arXiv 1604.06174). Tensors that the function reaches in other ways (the
    parameters of a layer) get their gradients as usual.

    Args:
        function: from Tensors to one Tensor; called twice, so its randomness must come from seeds.
        args, kwargs: passed on; Tensors among `args` receive gradients.
    """
    if not is_grad_enabled():
        return function(*args, **kwargs)
    for arg in args:
        if isinstance(arg, Tensor):
            refresh(arg)
    with no_grad():
        value = function(*args, **kwargs)
    # A view of what the function was given would be changed behind the tape's back.
    shared = value._view is not None or any(value is arg for arg in args)
    out = Tensor(value.data.copy() if shared else value.data)
    wants = [isinstance(arg, Tensor) and arg._wants for arg in args]

    def pullback(g: Array, into: dict[Tensor, Array] | None = None) -> list[Array | None]:
        own = [_leaf(arg) if isinstance(arg, Tensor) else arg for arg in args]
        with enable_grad():
            again = function(*own, **kwargs)
        if again.requires_grad:
            inputs = {arg for arg in own if isinstance(arg, Tensor)}
            tape.backward(again, g, into, apart=inputs)
        return [arg.grad if isinstance(arg, Tensor) else None for arg in own]

    sources = [(arg._node or arg) if want else None for arg, want in zip(args, wants, strict=True)]
    out._node = record("checkpoint", pullback, args, sources)
    out._node.recomputes = out._node.special = out._wants = True
    return out


def _leaf(source: Tensor) -> Tensor:
    """The same array as a new leaf, changed whenever its source is."""
    leaf = Tensor(source)
    leaf._wants = source._wants
    return leaf
