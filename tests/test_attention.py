"""Attention and its layers, held to the loop nests of `minilm.nn.attention_loops`."""

import numpy as np
import pytest

from minilm import functional as F
from minilm import nn, no_grad
from minilm.nn import attention_loops, masks, positions
from minilm.nn.attention import Sight
from minilm.tensor import Tensor


def _normal(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


LOOPS = {
    "multi-head": (4, {}, attention_loops.multi_head),
    "multi-query": (1, {}, attention_loops.multi_query),
    "grouped-query": (2, {}, attention_loops.attention),
    "causal": (4, {"causal": True}, attention_loops.causal),
    "causal grouped": (2, {"causal": True}, attention_loops.causal),
    "sliding window": (
        2,
        {"causal": True, "window": 3},
        lambda q, k, v: attention_loops.sliding_window(q, k, v, 3),
    ),
    "scaled": (4, {"scale": 0.7}, lambda q, k, v: attention_loops.attention(q, k, v, scale=0.7)),
}


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("keys", [5, 8], ids=["self", "with past"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_attention_is_its_loop_nest(name, keys, dtype):
    groups, flags, loops = LOOPS[name]
    q = _normal(2, 4, 5, 6, dtype=dtype)
    k, v = (_normal(2, groups, keys, 6, seed=s, dtype=dtype) for s in (1, 2))
    out = F.attention(q, k, v, **flags).data
    assert out.dtype == dtype
    tolerance = 2e-6 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(out, loops(q, k, v), atol=tolerance)


@pytest.mark.parametrize("length", [0, 3, 5])
def test_prefix_attention_is_its_loop_nest(length):
    q, k, v = (_normal(2, 4, 5, 6, seed=s) for s in range(3))
    out = F.attention(q, k, v, mask=masks.prefix(5, length)).data
    np.testing.assert_allclose(out, attention_loops.prefix(q, k, v, length), atol=1e-12)


def test_alibi_attention_is_its_loop_nest():
    q, k, v = (_normal(2, 4, 5, 6, seed=s) for s in range(3))
    slopes = positions.alibi_slopes(4, np.float64)
    bias = positions.alibi_bias(np.arange(5), np.arange(5), 4, np.float64)
    out = F.attention(q, k, v, causal=True, bias=bias).data
    np.testing.assert_allclose(out, attention_loops.alibi(q, k, v, slopes), atol=1e-12)


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("layout", ["half", "interleaved"])
def test_attention_layer_is_maps_around_the_loops(kv_heads, layout):
    layer = nn.Attention(12, 4, kv_heads, head_size=6, layout=layout, dtype=np.float64)
    layer.qkv.bias.data = _normal(*layer.qkv.bias.shape, seed=5)
    x = _normal(2, 5, 12)
    cos, sin = positions.rope_table(5, 6, dtype=np.float64)
    packed = x @ layer.qkv.weight.data.T + layer.qkv.bias.data
    heads = packed.reshape(2, 5, 4 + 2 * kv_heads, 6).swapaxes(1, 2)
    q, k, v = np.split(heads, [4, 4 + kv_heads], axis=1)
    q, k = (F.rope(y, cos, sin, layout=layout).data for y in (q, k))
    mixed = attention_loops.causal(q, k, v).swapaxes(1, 2).reshape(2, 5, 24)
    expected = mixed @ layer.out.weight.data.T + layer.out.bias.data
    got = layer(Tensor(x), Sight(causal=True, rope=(cos, sin))).data
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_cross_attention_layer_and_a_self_attention_that_reads_elsewhere():
    x, source = _normal(2, 3, 8), _normal(2, 7, 8, seed=1)
    cross = nn.CrossAttention(8, 4, kv_heads=2, dtype=np.float64)
    q = (x @ cross.query.weight.data.T).reshape(2, 3, 4, 2).swapaxes(1, 2)
    kv = (source @ cross.key_value.weight.data.T).reshape(2, 7, 4, 2).swapaxes(1, 2)
    mixed = attention_loops.cross(q, kv[:, :2], kv[:, 2:]).swapaxes(1, 2).reshape(2, 3, 8)
    got = cross(Tensor(x), Tensor(source)).data
    np.testing.assert_allclose(got, mixed @ cross.out.weight.data.T, atol=1e-12)
    own = nn.Attention(8, 4, kv_heads=2, dtype=np.float64)
    rows = [cross.query.weight.data, cross.key_value.weight.data]
    own.qkv.weight.data = np.concatenate(rows)
    own.out.weight.data = cross.out.weight.data
    k, v = own.keys_values(Tensor(source))
    np.testing.assert_allclose(own.attend(own.queries(Tensor(x)), k, v, Sight()).data, got, 1e-12)


def test_attention_toy_of_talk_1():
    q, k, v = np.eye(2), np.array([[1.0, 0], [1, 1]]), np.array([[1.0, 2], [3, 4]])
    q, k, v = (a[None, None] for a in (q, k, v))
    full = F.attention(q, k, v).data[0, 0]
    np.testing.assert_allclose(full, [[2, 3], [2.3395231, 3.3395231]], atol=5e-8)
    causal = F.attention(q, k, v, causal=True).data[0, 0]
    np.testing.assert_allclose(causal, [[1, 2], [2.3395231, 3.3395231]], atol=5e-8)


def test_attention_without_a_mask_ignores_the_order_of_keys():
    q, k, v = _normal(1, 2, 3, 4), _normal(1, 2, 6, 4, seed=1), _normal(1, 2, 6, 4, seed=2)
    shuffled = np.random.default_rng(3).permutation(6)
    with no_grad():
        one = F.attention(q, k, v).data
        two = F.attention(q, k[:, :, shuffled], v[:, :, shuffled]).data
    np.testing.assert_allclose(one, two, atol=1e-12)
