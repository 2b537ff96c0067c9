"""What does not fit is refused in one sentence, in every tier.

The compiled kernels do not look whether an array is as long as they read: a shape that slipped
through here would be read past its end.
"""

import numpy as np
import pytest

from minilm import functional as F
from minilm import kernels
from minilm.errors import InputError
from minilm.tensor import Tensor, primitive


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


Q = ones(1, 2, 4, 8)
IDS = np.array([1, 2])
REFUSED = {
    "layer_norm bias": (lambda: F.layer_norm(ones(2, 8), ones(8), ones(4)), "(8,) and (4,)"),
    "layer_norm weight": (lambda: F.layer_norm(ones(2, 8), ones(8, 3)), "not (8, 3)"),
    "rms_norm weight": (lambda: F.rms_norm(ones(2, 8), ones(16)), "takes w and b of (8,)"),
    "linear bias": (lambda: F.linear(ones(2, 8), ones(4, 8), ones(1)), "it must be (4,)"),
    "rope sin": (lambda: F.rope(Q, ones(4, 4), ones(3, 4)), "cos is (4, 4) and sin (3, 4)"),
    "rope layout": (lambda: F.rope(Q, ones(4, 4), ones(4, 4), "x"), "'half' and 'interleaved'"),
    "attention mask": (lambda: F.attention(Q, Q, Q, mask=np.ones((3, 4), bool)), "(1, 2, 4, 4)"),
    "attention bias": (lambda: F.attention(Q, Q, Q, bias=ones(3, 4, 4)), "has shape (3, 4, 4)"),
    "attention dtype": (lambda: F.attention(Q, Q.astype(np.float16), Q), "k float16"),
    "attention of nothing": (
        lambda: F.attention(Q[..., :0], Q[..., :0], Q, scale=1.0),
        "heads must have a size of at least 1",
    ),
    "attention to nothing": (lambda: F.attention(Q, Q, Q[..., :0]), "a size of at least 1"),
    "packed nothing": (lambda: F.self_attention(ones(1, 4, 0), 2, 2, scale=1.0), "at least 1"),
    "layer_norm of nothing": (lambda: F.layer_norm(ones(3, 0), ones(0), ones(0)), "no channels"),
    "rms_norm of nothing": (lambda: F.rms_norm(ones(3, 0), ones(0)), "(3, 0) has no channels"),
    "softmax of nothing": (lambda: F.softmax(ones(3, 0)), "(3, 0) is empty along axis -1"),
    "softmax down nothing": (lambda: F.softmax(ones(0, 3), axis=0), "is empty along axis 0"),
    "log_softmax of nothing": (lambda: F.log_softmax(ones(3, 0)), "is empty along axis -1"),
    "cross_entropy of nothing": (
        lambda: F.cross_entropy(ones(2, 0), IDS),
        "the vocabulary is empty",
    ),
    "head of nothing": (
        lambda: F.linear_cross_entropy(ones(2, 5), ones(0, 5), IDS),
        "the vocabulary is empty",
    ),
    "packed rope": (
        lambda: F.self_attention(ones(1, 4, 48), 2, 2, rope=(ones(3, 4), ones(3, 4))),
        "needs cos and sin of (4, 4)",
    ),
    "packed mask": (lambda: F.self_attention(ones(1, 4, 48), 2, 2, mask=ones(4, 4)), "be bool"),
    "packed window": (lambda: F.self_attention(ones(1, 4, 48), 2, 2, window=2), "causal=True"),
    "up bias": (
        lambda: F.feed_forward(ones(2, 8), ones(16, 8), ones(4), ones(8, 16), None),
        "up_bias has shape (4,)",
    ),
    "down bias": (
        lambda: F.feed_forward(ones(2, 8), ones(16, 8), None, ones(8, 16), ones(1)),
        "down_bias has shape (1,)",
    ),
    "gate": (
        lambda: F.gated_feed_forward(ones(2, 8), ones(4, 8), ones(16, 8), ones(8, 16)),
        "gate is (4, 8)",
    ),
    "softmax axis": (lambda: F.softmax(ones(2, 3), axis=5), "axis is 5"),
    "softmax of a number": (lambda: F.softmax(ones()), "0 axes"),
    "log_softmax axis": (lambda: F.log_softmax(ones(2, 3), axis=-3), "axis is -3"),
    "targets turned": (
        lambda: F.cross_entropy(ones(2, 3, 5), np.zeros((3, 2), int)),
        "targets has shape (3, 2)",
    ),
    "targets of the head": (
        lambda: F.linear_cross_entropy(ones(2, 5), ones(7, 5), np.zeros((2, 1), int)),
        "targets has shape (2, 1)",
    ),
    "smoothing": (lambda: F.cross_entropy(ones(2, 5), IDS, label_smoothing=2.0), "from 0 to 1"),
    "z_loss": (lambda: F.linear_cross_entropy(ones(2, 5), ones(7, 5), IDS, z_loss=-1.0), "0 or"),
    "heads": (lambda: F.self_attention(ones(1, 4, 48), 0, 0), "at least one head"),
    "unpacked": (lambda: F.self_attention(ones(4, 48), 2, 2), "packed is (4, 48)"),
    "activation": (
        lambda: F.feed_forward(ones(2, 8), ones(4, 8), None, ones(8, 4), None, "tanh"),
        "allowed are gelu, gelu_tanh, silu, relu",
    ),
    "gate name": (
        lambda: F.gated_feed_forward(ones(2, 8), ones(4, 8), ones(4, 8), ones(8, 4), "glu"),
        "allowed are swiglu, geglu",
    ),
    "norm of a number": (lambda: F.rms_norm(ones(), ones()), "x has shape ()"),
    "logits of a number": (lambda: F.cross_entropy(ones(), np.int64(0)), "(..., V)"),
    "cell": (
        lambda: F.lstm(
            *(ones(2, 3, 4), ones(20, 4), ones(20, 5), ones(20), ones(2, 5), ones(1, 5))
        ),
        "c0 has shape (1, 5)",
    ),
    "offsets": (
        lambda: F.grouped_linear(ones(4, 5), ones(2, 3, 5), np.array([0, 2, 9])),
        "must rise from 0 to 4",
    ),
    "scales": (
        lambda: F.quantized_linear(ones(2, 8), np.zeros((3, 8), np.uint8), ones(2, 2), 8),
        "scales are (2, 2)",
    ),
    "cap": (lambda: F.soft_cap(ones(2), 0.0), "cap is 0.0"),
    "cap of attention": (lambda: F.attention(Q, Q, Q, cap=-1.0), "cap is -1.0"),
    "dropout of attention": (lambda: F.attention(Q, Q, Q, dropout=0.5), "needs a generator"),
    "concatenate": (lambda: F.concatenate([ones(2), ones(2)], axis=1), "axis is 1"),
    "split": (lambda: F.split(ones(2, 3), 0), "sizes is 0"),
}


@pytest.mark.parametrize("tier", ["reference", "cpu"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name: str, tier: str) -> None:
    action, words = REFUSED[name]
    with kernels.use(tier), pytest.raises(InputError) as caught:
        action()
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_lists_serve_as_ids() -> None:
    table = Tensor(np.arange(6, dtype=np.float32).reshape(3, 2))
    assert np.array_equal(F.embedding([2, 0], table).data, table.data[[2, 0]])
    logits = ones(2, 3)
    assert F.cross_entropy(logits, [0, 2]).item() == pytest.approx(np.log(3), rel=1e-6)
    assert F.linear_cross_entropy(logits, ones(4, 3), [0, 2]).item() == pytest.approx(np.log(4))


def test_an_axis_may_be_a_numpy_integer() -> None:
    x = Tensor(ones(3, 2), requires_grad=True)
    F.sum(x, axis=np.int64(1)).backward(ones(3))
    assert np.array_equal(x.grad, ones(3, 2))


def test_a_leafs_gradient_has_its_dtype() -> None:
    @primitive
    def careless(x: np.ndarray):
        return x, lambda g: (g.astype(np.float64),)

    x = Tensor(ones(3), requires_grad=True)
    careless(x).sum().backward()
    assert x.grad.dtype == np.float32
