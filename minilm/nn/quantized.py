"""A linear map whose weight is stored in 8 or 4 bits and stays as it is."""

from __future__ import annotations

from minilm import functional as F
from minilm import kernels
from minilm.backend import Array
from minilm.nn.linear import Linear
from minilm.nn.module import Buffer, Module
from minilm.tensor import Tensor


class QuantizedLinear(Linear):
    """y = x W^T + b with W rounded in groups (QLoRA, arXiv 2305.14314, section 3).

    The codes and scales are buffers: saved and moved, not trained; gradients pass through to x, and
    the bias trains.

    Args:
        linear: the map to round; its bias is shared.
        bits: 8 (int8) or 4 (NF4).
        group: inputs that share a scale; it is even and divides their number.

    Raises:
        InputError: other bits; a group that is odd or does not divide the inputs.
    """

    def __init__(self, linear: Linear, bits: int = 4, group: int = 64) -> None:
        weight, _ = linear.dense()
        codes, scales = kernels.quantize(weight, bits, group)
        self.bits, self.bias = bits, linear.bias
        self.codes, self.scales = Buffer(codes), Buffer(scales)

    def forward(self, x: Tensor) -> Tensor:  # (..., in) -> (..., out)
        y = F.quantized_linear(x, self.codes, self.scales, self.bits)
        return y if self.bias is None else y + self.bias

    def dense(self) -> tuple[Array, Array | None]:
        """The rounded weight (out, in), written out in the scales' type, and the bias."""
        weight = kernels.dequantize(self.codes.data, self.scales.data, self.bits)
        bias = None if self.bias is None else self.bias.data
        return weight.astype(self.scales.dtype, copy=False), bias


def quantize_maps(module: Module, bits: int = 4, group: int = 64) -> Module:
    """Replace every plain `Linear` below a module by a `QuantizedLinear`, in place.

    Args:
        module: a model's `stack`, or any other part; the head of a language model stays as it is,
            because a loss reads its weight.
        bits, group: as for `QuantizedLinear`.

    Returns:
        the module itself.

    Raises:
        InputError: as `QuantizedLinear`; nothing is changed then.
    """
    places = [
        (parent, name, child)
        for parent in module.modules()
        for name, child in parent.children()
        if type(child) is Linear
    ]
    rounded = [QuantizedLinear(child, bits, group) for _, _, child in places]
    for (parent, name, _), new in zip(places, rounded, strict=True):
        if name.isdigit() and not hasattr(parent, name):
            parent[int(name)] = new
        else:
            setattr(parent, name, new)
    return module
