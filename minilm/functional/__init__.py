"""Primitives: each a value and its pullback, written over arrays, called with Tensors.

Importing this module gives Tensor its operators and methods.

All of them agree on the dtype of what they return (`meeting` does it):

- integers and bools become float32 where floats are needed, and beside floats they take theirs;
- a Python number or a NumPy scalar takes the dtype of the array that it meets;
- float64 gives way to a smaller float: an array such as `np.ones(3)` is float64 only because nobody
  said otherwise. So float64 data and float32 parameters give float32, and a model in float64 needs
  its data in float64;
- tables of constants (cos and sin of `rope`) take the dtype of the data;
- a change in place (`add_`, `set_`) changes no dtype;
- every gradient has the dtype of its tensor.
"""

from minilm.functional.activations import geglu, gelu, silu, soft_cap, swiglu
from minilm.functional.attending import attention, rope
from minilm.functional.chunked_loss import linear_cross_entropy
from minilm.functional.convolution import conv2d, conv_transpose2d
from minilm.functional.convolution3d import causal_conv3d
from minilm.functional.elementwise import (
    abs,
    add,
    astype,
    clip,
    cos,
    div,
    exp,
    log,
    maximum,
    minimum,
    mul,
    neg,
    pow,
    relu,
    sigmoid,
    sin,
    softplus,
    sqrt,
    straight_through,
    sub,
    tanh,
    where,
)
from minilm.functional.experts import (
    expert_feed_forward,
    grouped_linear,
    moe_combine,
    moe_permute,
)
from minilm.functional.fused import feed_forward, gated_feed_forward, self_attention
from minilm.functional.indexing import gather, index, replace_rows, rows_of, scatter_add
from minilm.functional.inplace import add_, div_, mul_, set_, sub_
from minilm.functional.joining import concatenate, split, stack
from minilm.functional.losses import bce, l1, mse
from minilm.functional.noise import dropout
from minilm.functional.norms import group_norm, layer_norm, rms_norm
from minilm.functional.numpy_calls import COMPARISONS, array_function, array_ufunc
from minilm.functional.pixels import pixel_shuffle, pixel_unshuffle
from minilm.functional.probability import cross_entropy, log_softmax, softmax
from minilm.functional.products import einsum, embedding, linear, matmul
from minilm.functional.quantized import quantized_linear
from minilm.functional.recurrent import lstm, rnn
from minilm.functional.reductions import cumsum, logsumexp, max, mean, min, sum, var
from minilm.functional.routing import (
    balance_step,
    expert_choice,
    load_balance_loss,
    noisy_logits,
    router_z_loss,
    softmax_of_chosen,
    top_k_gate,
)
from minilm.functional.scanning import (
    causal_conv,
    elu_plus_one,
    linear_attention,
    selective_scan,
)
from minilm.functional.shapes import (
    broadcast_to,
    contiguous,
    expand_dims,
    flip,
    pad,
    permute,
    repeat,
    reshape,
    roll,
    squeeze,
    transpose,
)
from minilm.tensor import Tensor

__all__ = [
    "abs",
    "add",
    "add_",
    "astype",
    "attention",
    "balance_step",
    "bce",
    "broadcast_to",
    "causal_conv",
    "causal_conv3d",
    "clip",
    "concatenate",
    "contiguous",
    "conv2d",
    "conv_transpose2d",
    "cos",
    "cross_entropy",
    "cumsum",
    "div",
    "div_",
    "dropout",
    "einsum",
    "elu_plus_one",
    "embedding",
    "exp",
    "expand_dims",
    "expert_choice",
    "expert_feed_forward",
    "feed_forward",
    "flip",
    "gated_feed_forward",
    "gather",
    "geglu",
    "gelu",
    "group_norm",
    "grouped_linear",
    "index",
    "l1",
    "layer_norm",
    "linear",
    "linear_attention",
    "linear_cross_entropy",
    "load_balance_loss",
    "log",
    "log_softmax",
    "logsumexp",
    "lstm",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "moe_combine",
    "moe_permute",
    "mse",
    "mul",
    "mul_",
    "neg",
    "noisy_logits",
    "pad",
    "permute",
    "pixel_shuffle",
    "pixel_unshuffle",
    "pow",
    "quantized_linear",
    "relu",
    "repeat",
    "replace_rows",
    "reshape",
    "rms_norm",
    "rnn",
    "roll",
    "rope",
    "router_z_loss",
    "scatter_add",
    "selective_scan",
    "self_attention",
    "set_",
    "sigmoid",
    "silu",
    "sin",
    "soft_cap",
    "softmax",
    "softmax_of_chosen",
    "softplus",
    "split",
    "sqrt",
    "squeeze",
    "stack",
    "straight_through",
    "sub",
    "sub_",
    "sum",
    "swiglu",
    "tanh",
    "top_k_gate",
    "transpose",
    "var",
    "where",
]

_OPERATORS = {
    "__add__": add,
    "__radd__": add,
    "__sub__": sub,
    "__rsub__": lambda a, b: sub(b, a),
    "__mul__": mul,
    "__rmul__": mul,
    "__truediv__": div,
    "__rtruediv__": lambda a, b: div(b, a),
    "__pow__": pow,
    "__rpow__": lambda a, b: pow(b, a),
    "__neg__": neg,
    "__matmul__": matmul,
    "__rmatmul__": lambda a, b: matmul(b, a),
    "__getitem__": index,
    "__setitem__": set_,
    "__iadd__": add_,
    "__isub__": sub_,
    "__imul__": mul_,
    "__itruediv__": div_,
    "__abs__": abs,
    "__gt__": COMPARISONS["greater"],
    "__lt__": COMPARISONS["less"],
    "__ge__": COMPARISONS["greater_equal"],
    "__le__": COMPARISONS["less_equal"],
    "__eq__": COMPARISONS["equal"],
    "__ne__": COMPARISONS["not_equal"],
    "__iter__": rows_of,
    "__array_ufunc__": array_ufunc,
    "__array_function__": array_function,
    "T": property(lambda x: permute(x, *range(x.ndim - 1, -1, -1))),
}
_METHODS = {
    f.__name__: f
    for f in (
        *(add_, sub_, mul_, div_, astype, clip, exp, log, sqrt, tanh, sigmoid, relu, softmax),
        *(log_softmax, sum, mean, var, max, min, logsumexp, cumsum, reshape, permute, transpose),
        *(squeeze, contiguous, gather, scatter_add, split, broadcast_to),
    )
}
for _name, _operation in {**_OPERATORS, **_METHODS}.items():
    setattr(Tensor, _name, _operation)
