"""Tensor and primitives: what is written on the tape (`minilm.tape` walks it back).

A *primitive* is a function from arrays to `(value, pullback)`. The pullback takes the gradient
of the loss with respect to the value and returns the gradient with respect to each input.
`@primitive` makes it a function of Tensors that writes one step on the tape, a `Node` with the
pullback and the inputs. `backward` walks those steps from the last made to the first.

The operators of Tensor (`a + b`, `a @ b`, `a.sum()`) are primitives of `minilm.functional`, which
attaches them when it is imported.

Names and meaning follow PyTorch, except that `grad` is an array and not a Tensor: so there are no
gradients of gradients.
"""

from minilm.tape import detect_changes, enable_grad, is_grad_enabled, no_grad
from minilm.tensor.checkpoints import checkpoint
from minilm.tensor.primitives import primitive
from minilm.tensor.values import Tensor, tensor

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
