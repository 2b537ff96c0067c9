"""A linear map whose weight is stored in 8 or 4 bits and stays as it is."""

from __future__ import annotations

from minilm import backend, kernels
from minilm import functional as F
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
        double: round the scales too: what each is above their mean, in 8 bits, 256 to a scale of
            theirs. Of 32 bits for 64 numbers, a half bit for each, .127 are left.

    Raises:
        InputError: other bits; a group that is odd or does not divide the inputs.
    """

    def __init__(
        self, linear: Linear, bits: int = 4, group: int = 64, double: bool = False
    ) -> None:
        weight, _ = linear.dense()
        codes, scales = kernels.quantize(weight, bits, group)
        self.bits, self.bias, self.double = bits, linear.bias, double
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.codes = Buffer(codes)
        if double:
            self.scale_codes, self.scale_tops, self.scale_mean = map(Buffer, round_scales(scales))
        else:
            self.scales = Buffer(scales)

    def forward(self, x: Tensor) -> Tensor:  # (..., in) -> (..., out)
        y = F.quantized_linear(x, self.codes, self._scales(), self.bits)
        return y if self.bias is None else y + self.bias

    def dense(self) -> tuple[Array, Array | None]:
        """The rounded weight (out, in), written out in the scales' type, and the bias."""
        scales = self._scales()
        weight = kernels.dequantize(self.codes.data, scales, self.bits)
        bias = None if self.bias is None else self.bias.data
        return weight.astype(scales.dtype, copy=False), bias

    def _scales(self) -> Array:
        """(out, groups); what was rounded twice is written out for the call only."""
        if not self.double:
            return self.scales.data
        parts = (self.scale_codes.data, self.scale_tops.data, self.scale_mean.data)
        return read_scales(*parts).reshape(self.out_features, -1)  # (N,) -> (out, groups)


def round_scales(scales: Array, group: int = 256) -> tuple[Array, Array, Array]:
    """Scales in 8 bits: "double quantization" (QLoRA, section 3), with integers for its FP8.

    Args:
        scales: of any shape, N in all.
        group: scales that share a second scale; the last group may be smaller.

    Returns:
        codes (N,) int8; the groups' largest distance from the mean, float32 (ceil(N / group),);
        the mean, float32 (1,).
    """
    xp = backend.xp_of(scales)
    flat = scales.reshape(-1).astype(xp.float32)  # (...) -> (N,)
    mean = flat.mean(keepdims=True)
    away = xp.zeros(-(-flat.size // group) * group, xp.float32)
    away[: flat.size] = flat - mean
    away = away.reshape(-1, group)  # (N,) -> (groups, group)
    tops = xp.abs(away).max(axis=1)
    parts = away / xp.where(tops == 0, 1, tops)[:, None]
    codes = xp.rint(parts * 127).astype(xp.int8)
    return codes.reshape(-1)[: flat.size], tops, mean  # (groups, group) -> (N,)


def read_scales(codes: Array, tops: Array, mean: Array, group: int = 256) -> Array:
    """The float32 scales (N,) that `round_scales` made codes of; none is below 0."""
    xp = backend.xp_of(codes)
    away = codes.astype(xp.float32) * xp.repeat(tops / xp.float32(127), group)[: codes.size]
    return xp.maximum(away + mean, 0)


def quantize_maps(module: Module, bits: int = 4, group: int = 64, double: bool = False) -> Module:
    """Replace every plain `Linear` below a module by a `QuantizedLinear`, in place.

    Args:
        module: a model's `stack`, or any other part; the head of a language model stays as it is,
            because a loss reads its weight.
        bits, group, double: as for `QuantizedLinear`.

    Returns:
        the module itself.

    Raises:
        InputError: as `QuantizedLinear`; nothing is changed then.
    """
    rounded: dict[int, QuantizedLinear] = {}  # by the map: one that is shared stays shared
    places = {name: m for name, m in module.named_modules() if type(m) is Linear}
    for each in places.values():
        if id(each) not in rounded:
            rounded[id(each)] = QuantizedLinear(each, bits, group, double)
    module.replace_modules({name: rounded[id(each)] for name, each in places.items()})
    return module
