"""Every public function of `minilm.functional`, called with shapes that fit.

The rules that all of them keep are tested over this table; a test holds it to be complete, so that
a new function can't slip past them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minilm import functional as F
from minilm import kernels

Shape = tuple[int, ...]


@dataclass
class Case:
    """A call that fits: Tensors of these shapes go in, one Tensor comes out."""

    shapes: list[Shape]
    call: Callable[..., Any]
    low: float = 0.5  # the numbers are drawn from low to 2: no logarithm or root of less than 0
    keeps_integers: bool = False  # integers give integers
    loose: set[int] = field(default_factory=set)  # inputs of which any shape will do


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


IDS = np.array([[0, 2, 2], [1, 1, 0]])
TARGETS = np.array([0, 3, -100])
CHOSEN = np.array([[0, 1], [1, 2], [0, 2]])  # (N, K) experts
ORDER, PLACE, OFFSETS = kernels.sort_by_expert(CHOSEN, 4)
CODES, SCALES = kernels.quantize(np.linspace(-1, 1, 24, dtype=np.float32).reshape(3, 8), 8, 4)
ANGLE = np.linspace(0, 1, 10).reshape(5, 2)
TABLES = (np.cos(ANGLE).astype(np.float32), np.sin(ANGLE).astype(np.float32))
MASK = np.tril(np.ones((5, 5), bool))
ATTENTION = [(2, 4, 5, 4), (2, 2, 5, 4), (2, 2, 5, 4)]


def _changed(change: Callable[..., Any]) -> Callable[..., Any]:
    """A change in place of a copy of the first input, by the others."""

    def call(x: Any, *others: Any) -> Any:
        y = x * 1.0
        change(y, *others)
        return y

    return call


ONE = {
    name: Case([(3, 4)], getattr(F, name))
    for name in (
        *("exp", "log", "sqrt", "sin", "cos", "tanh", "sigmoid", "softplus", "gelu", "silu"),
        "elu_plus_one",
        *("softmax", "log_softmax", "logsumexp", "mean", "var", "clip"),
    )
}
SAME = {
    name: Case([(3, 4)], getattr(F, name), keeps_integers=True)
    for name in ("abs", "neg", "relu", "sum", "max", "min", "cumsum", "contiguous", "squeeze")
}
TWO = {
    name: Case([(3, 4), (4,)], getattr(F, name), keeps_integers=name != "div")
    for name in ("add", "sub", "mul", "div", "pow", "maximum", "minimum")
}
SHAPES = {
    "reshape": Case([(3, 4)], lambda x: F.reshape(x, 2, -1), keeps_integers=True),
    "permute": Case([(2, 3, 4)], lambda x: F.permute(x, 2, 0, 1), keeps_integers=True),
    "transpose": Case([(2, 3, 4)], lambda x: F.transpose(x, 0, -1), keeps_integers=True),
    "broadcast_to": Case([(3, 1)], lambda x: F.broadcast_to(x, (2, 3, 4)), keeps_integers=True),
    "expand_dims": Case([(3, 4)], lambda x: F.expand_dims(x, (0, 2)), keeps_integers=True),
    "index": Case([(3, 4)], lambda x: F.index(x, (slice(1, None), 0)), keeps_integers=True),
    "roll": Case([(2, 3, 4)], lambda x: F.roll(x, (1, -1), (1, 2)), keeps_integers=True),
    "flip": Case([(2, 3, 4)], lambda x: F.flip(x, (0, 2)), keeps_integers=True),
    "repeat": Case([(2, 3)], lambda x: F.repeat(x, 2, axis=-1), keeps_integers=True),
    "pixel_shuffle": Case([(2, 8, 3, 2)], lambda x: F.pixel_shuffle(x, 2), keeps_integers=True),
    "pixel_unshuffle": Case([(2, 2, 4, 6)], lambda x: F.pixel_unshuffle(x, 2), keeps_integers=True),
    "straight_through": Case(
        [(3, 4)], lambda x: F.straight_through(x, np.round(x.data)), keeps_integers=True
    ),
    "pad": Case([(3, 4)], lambda x: F.pad(x, ((1, 0), (0, 2))), keeps_integers=True),
    "gather": Case([(2, 4)], lambda x: F.gather(x, IDS), keeps_integers=True),
    "split": Case([(2, 4)], lambda x: F.split(x, [1, 3])[1], keeps_integers=True),
    "concatenate": Case(
        [(2, 3), (2, 1)], lambda a, b: F.concatenate([a, b], 1), keeps_integers=True
    ),
    "stack": Case([(2, 3), (2, 3)], lambda a, b: F.stack([a, b], 1), keeps_integers=True),
    "scatter_add": Case(
        [(2, 4), (2, 3)], lambda x, v: F.scatter_add(x, IDS, v), keeps_integers=True
    ),
    "replace_rows": Case(
        [(4, 3), (2, 3)], lambda x, r: F.replace_rows(x, [3, 1], r), keeps_integers=True
    ),
    "where": Case(
        [(3, 4), (4,)], lambda a, b: F.where(np.eye(3, 4) > 0, a, b), keeps_integers=True
    ),
}
PRODUCTS = {
    "matmul": Case([(2, 3, 4), (4, 5)], F.matmul, keeps_integers=True),
    "einsum": Case([(2, 3), (3, 4)], lambda a, b: F.einsum("ij,jk->ik", a, b), keeps_integers=True),
    "linear": Case([(2, 3, 4), (5, 4), (5,)], F.linear),
    "embedding": Case([(6, 3)], lambda w: F.embedding(IDS, w)),
    "quantized_linear": Case([(2, 8)], lambda x: F.quantized_linear(x, CODES, SCALES, 8)),
    "moe_permute": Case([(3, 5)], lambda x: F.moe_permute(x, ORDER, PLACE, 2)),
    "moe_combine": Case([(6, 5), (3, 2)], lambda y, w: F.moe_combine(y, w, ORDER, PLACE)),
    "expert_feed_forward": Case(
        [(3, 5), (3, 2), (4, 6, 5), (4, 6, 5), (4, 5, 6)],
        lambda x, s, g, u, d: F.expert_feed_forward(x, s, g, u, d, ORDER, PLACE, OFFSETS),
    ),
    "grouped_linear": Case([(6, 5), (4, 7, 5)], lambda x, w: F.grouped_linear(x, w, OFFSETS)),
}
PICTURES = {
    "conv2d": Case([(2, 3, 5, 4), (4, 3, 3, 2), (4,)], F.conv2d),
    "conv_transpose2d": Case([(2, 3, 4, 3), (3, 4, 3, 2), (4,)], F.conv_transpose2d),
    "causal_conv3d": Case([(2, 3, 4, 3, 2), (4, 3, 2, 3, 2), (4,)], F.causal_conv3d),
    "group_norm": Case([(2, 6, 3, 2), (6,), (6,)], lambda x, w, b: F.group_norm(x, 2, w, b)),
}
LOSSES = {
    "mse": Case([(3, 4), (3, 4)], F.mse),
    "l1": Case([(3, 4), (3, 4)], F.l1),
    "bce": Case([(3, 4), (3, 4)], lambda x, t: F.bce(x, F.abs(F.sub(t, 1)))),  # 0 to 1
}
LAYERS = {
    "layer_norm": Case([(2, 3, 8), (8,), (8,)], F.layer_norm),
    "rms_norm": Case([(2, 3, 8), (8,)], F.rms_norm),
    "swiglu": Case([(3, 5), (3, 5)], F.swiglu),
    "geglu": Case([(3, 5), (3, 5)], F.geglu),
    "feed_forward": Case([(2, 3, 4), (6, 4), (6,), (4, 6), (4,)], F.feed_forward),
    "gated_feed_forward": Case([(3, 4), (6, 4), (6, 4), (4, 6)], F.gated_feed_forward),
    "rnn": Case([(2, 3, 4), (5, 4), (5, 5), (5,), (2, 5)], F.rnn),
    "lstm": Case([(2, 3, 4), (20, 4), (20, 5), (20,), (2, 5), (2, 5)], F.lstm),
    "selective_scan": Case(
        [(2, 3, 5), (2, 3, 5), (5, 2), (2, 3, 2), (2, 3, 2), (2, 2, 5)], F.selective_scan
    ),
    "causal_conv": Case([(2, 3, 5), (5, 4), (5,), (2, 3, 5)], F.causal_conv),
    "linear_attention": Case(
        [(2, 2, 3, 4), (2, 2, 3, 4), (2, 2, 3, 5), (2, 2, 4, 5)], F.linear_attention
    ),
    "dropout": Case([(3, 4)], lambda x: F.dropout(x, 0.5, _rng())),
    "rope": Case([(2, 3, 5, 4)], lambda x: F.rope(x, *TABLES)),
    "attention": Case([*ATTENTION, (4, 5, 5)], lambda q, k, v, b: F.attention(q, k, v, bias=b)),
    "self_attention": Case(
        [(2, 5, 32), (4, 5, 5)],
        lambda x, b: F.self_attention(x, 4, 2, rope=TABLES, mask=MASK, bias=b),
    ),
    "cross_entropy": Case([(3, 5)], lambda x: F.cross_entropy(x, TARGETS)),
    "linear_cross_entropy": Case(
        [(3, 4), (5, 4)], lambda x, w: F.linear_cross_entropy(x, w, TARGETS)
    ),
}
ROUTERS = {
    "top_k_gate": Case([(3, 4)], lambda x: F.top_k_gate(x, 2)[1]),
    "softmax_of_chosen": Case([(3, 4)], lambda x: F.softmax_of_chosen(x, CHOSEN)),
    "noisy_logits": Case([(3, 4), (3, 4)], lambda x, s: F.noisy_logits(x, s, _rng())),
    "expert_choice": Case([(3, 4)], lambda x: F.expert_choice(x, 2)[1]),
    "load_balance_loss": Case([(3, 4)], lambda x: F.load_balance_loss(x, CHOSEN)),
    "router_z_loss": Case([(3, 4)], F.router_z_loss),
}
CHANGES = {
    "add_": Case([(3, 4), (4,)], _changed(F.add_)),
    "sub_": Case([(3, 4), (4,)], _changed(F.sub_)),
    "mul_": Case([(3, 4), (4,)], _changed(F.mul_)),
    "div_": Case([(3, 4), (4,)], _changed(F.div_)),
    "set_": Case([(3, 4), (4,)], _changed(lambda y, v: F.set_(y, 1, v))),
}
# The same functions another way: other options, other branches.
MORE = {
    "attention by parts": Case(
        [*ATTENTION, (4, 5, 5)],
        lambda q, k, v, b: F.attention(q, k, v, bias=b, dropout=0.5, rng=_rng()),
    ),
    "layer_norm alone": Case([(2, 3, 8)], F.layer_norm),
    "rms_norm alone": Case([(2, 3, 8)], F.rms_norm),
    "group_norm alone": Case([(2, 6, 3)], lambda x: F.group_norm(x, 3)),
    "conv2d, wide steps": Case(
        [(2, 3, 7, 6), (4, 3, 3, 3)], lambda x, w: F.conv2d(x, w, stride=(2, 3), padding=(1, 2))
    ),
    "conv_transpose2d, wide steps": Case(
        [(2, 3, 4, 3), (3, 4, 3, 2), (4,)],
        lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2, padding=1, output_padding=(1, 0)),
    ),
    "causal_conv3d, wide steps": Case(
        [(2, 3, 4, 5, 4), (4, 3, 3, 3, 3)],
        lambda x, w: F.causal_conv3d(x, w, step=2, stride=(2, 1), padding=1),
    ),
    "mse, each": Case([(3, 4), (3, 4)], lambda x, t: F.mse(x, t, reduction="none")),
    "attention, causal": Case(ATTENTION, lambda q, k, v: F.attention(q, k, v, causal=True)),
    "cross_entropy, each": Case([(3, 5)], lambda x: F.cross_entropy(x, TARGETS, reduction="none")),
    "gather down": Case([(4, 3)], lambda x: F.gather(x, IDS, axis=0), keeps_integers=True),
    "sum down": Case([(2, 3, 4)], lambda x: F.sum(x, axis=(0, 2)), keeps_integers=True),
    "max down": Case([(2, 3, 4)], lambda x: F.max(x, axis=1, keepdims=True), keeps_integers=True),
    "softmax down": Case([(3, 4)], lambda x: F.softmax(x, axis=0)),
    "log_softmax down": Case([(3, 4)], lambda x: F.log_softmax(x, axis=0)),
    "matmul of a vector": Case([(4,), (2, 4, 3)], F.matmul, keeps_integers=True),
    "matmul by a vector": Case([(2, 3, 4), (4,)], F.matmul, keeps_integers=True),
    "dot": Case([(4,), (4,)], F.matmul, keeps_integers=True),
    "einsum of one": Case([(2, 3)], lambda x: F.einsum("ij->ji", x), keeps_integers=True),
    "einsum that sums": Case([(2, 3)], lambda x: F.einsum("ij->j", x), keeps_integers=True),
    "index arrays": Case([(3, 4)], lambda x: x[np.array([0, 2, 2])], keeps_integers=True),
    "dropout off": Case([(3, 4)], lambda x: F.dropout(x, 0.5, _rng(), training=False)),
    "dropout of all": Case([(3, 4)], lambda x: F.dropout(x, 1.0, _rng())),
    "rope, interleaved": Case([(2, 3, 5, 4)], lambda x: F.rope(x, *TABLES, "interleaved")),
    "gelu, tanh": Case([(3, 4)], lambda x: F.gelu(x, "tanh")),
    "soft_cap": Case([(3, 4)], lambda x: F.soft_cap(x, 1.5)),
    "set_ by a mask": Case([(2, 2), (2,)], _changed(lambda y, v: F.set_(y, np.eye(2) > 0, v))),
    "add_ to a view": Case([(3, 4), (3,)], _changed(lambda y, v: F.add_(y.T[1], v))),
    "T": Case([(3, 4)], lambda x: x.T, keeps_integers=True),
}
CASES = ONE | SAME | TWO | SHAPES | PRODUCTS | PICTURES | LOSSES | LAYERS | ROUTERS | CHANGES | MORE
WITHOUT = {"astype"}  # its dtype is what it is asked for
WITHOUT |= {"balance_step"}  # of arrays: nothing has a gradient
