"""The Numba kernels one reads, run in the emulator at odd sizes against the float64 formulas."""

import importlib

import numpy as np
import pytest

from minilm.emulator import emulate

from .helpers import arrays, assert_close, wide

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def load(folder, module="cuda"):
    return importlib.import_module(f"minilm.kernels.{folder}.{module}")


def same(actual, expected, factor=1.0):
    assert_close(actual, expected, "float32", factor=factor)


def test_softmax():
    cuda, reference = load("softmax"), load("softmax", "reference")
    (x,) = arrays(0, "float32", (3, 77))
    y = np.empty_like(x)
    report = emulate(cuda.softmax_rows, 3, cuda.THREADS, x, y)
    same(y, reference.softmax(wide(x)))
    assert report.barriers == 3 * 15  # two trees of 1 + 6 barriers and the one between, per block


def test_layer_norm():
    cuda, reference = load("layer_norm"), load("layer_norm", "reference")
    x, g, w, b = arrays(1, "float32", (5, 33), (5, 33), (33,), (33,))
    y, dx, mean, rstd = np.empty_like(x), np.empty_like(x), *np.empty((2, 5), np.float32)
    dw, db = np.empty_like(w), np.empty_like(b)
    emulate(cuda.layer_norm_rows, 1, 32, x, w, b, y, mean, rstd, 1e-5)
    right = reference.layer_norm(*wide(x, w, b), 1e-5)
    for mine, exact in zip((y, mean, rstd), right):
        same(mine, exact)
    emulate(cuda.layer_norm_backward_rows, 1, 32, g, x, w, mean, rstd, dx)
    emulate(cuda.weight_gradient_columns, 2, 32, g, x, mean, rstd, dw, db)
    wanted = reference.layer_norm_backward(*wide(g, x, w), *right[1:])
    for mine, exact in zip((dx, dw, db), wanted):
        same(mine, exact)


def test_rms_norm():
    cuda, reference = load("rms_norm"), load("rms_norm", "reference")
    x, g, w = arrays(2, "float32", (3, 45), (3, 45), (45,))
    y, dx, rstd = np.empty_like(x), np.empty_like(x), np.empty(3, np.float32)
    emulate(cuda.rms_norm_rows, 3, 32, x, w, y, rstd, 1e-5)
    right, kept = reference.rms_norm(*wide(x, w), 1e-5)
    same(y, right)
    same(rstd, kept)
    emulate(cuda.rms_norm_backward_rows, 3, 32, g, x, w, rstd, dx)
    same(dx, reference.rms_norm_backward(*wide(g, x, w), kept)[0])


def test_conv2d():
    cuda, reference = load("conv2d"), load("conv2d", "reference")
    x, w = arrays(3, "float32", (2, 3, 5, 7), (4, 3, 3, 3))
    y = np.empty((2, 4, 3, 4), np.float32)
    emulate(cuda.conv2d_elements, (1, 1, 2), (4, 3, 4), x, w, y, 2, 1)
    same(y, reference.conv2d(*wide(x, w), (2, 2), (1, 1)))


def test_cross_entropy():
    cuda, reference = load("cross_entropy"), load("cross_entropy", "reference")
    (x,) = arrays(3, "float32", (3, 50))
    targets, losses, exact = np.array([4, -1, 49], np.int32), np.empty(3, np.float32), wide(x)
    emulate(cuda.cross_entropy_rows, 3, 32, x, targets, losses, 0.5)
    same(losses, reference.cross_entropy_with_gradient(exact, targets, 0.0, 0.0, 0.5))
    same(x, exact)


def test_elementwise():
    gelu, gelu_reference = load("gelu"), load("gelu", "reference")
    swiglu, swiglu_reference = load("swiglu"), load("swiglu", "reference")
    a, b, g = arrays(4, "float32", (70,), (70,), (70,))
    out, out2 = np.empty_like(a), np.empty_like(a)
    emulate(gelu.gelu_elements, 3, 32, a, out)
    same(out, gelu_reference.gelu(wide(a), False))
    emulate(gelu.gelu_backward_elements, 3, 32, g, a, out)
    same(out, gelu_reference.gelu_backward(*wide(g, a), False))
    emulate(swiglu.swiglu_elements, 3, 32, a, b, out)
    same(out, swiglu_reference.swiglu(*wide(a, b)))
    emulate(swiglu.swiglu_backward_elements, 3, 32, g, a, b, out, out2)
    for mine, right in zip((out, out2), swiglu_reference.swiglu_backward(*wide(g, a, b))):
        same(mine, right)


def test_bias_and_silu():
    cuda, reference = load("bias_activation"), load("bias_activation", "reference")
    h, b = arrays(5, "float32", (5, 9), (9,))
    a, exact = np.empty_like(h), wide(h)
    emulate(cuda.bias_silu_elements, (2, 2), (4, 8), h, b, a)
    same(a, reference.bias_activation(exact, wide(b), "silu"))
    same(h, exact)


def test_rope():
    cuda, reference = load("rope"), load("rope", "reference")
    (x,) = arrays(6, "float32", (3, 5, 6))
    angles = np.random.default_rng(7).uniform(0, 6, (5, 3)).astype(np.float32)
    y = np.empty_like(x)
    emulate(cuda.rope_pairs, 2, 32, x, np.cos(angles), np.sin(angles), y)
    same(y, reference.rope(wide(x), *wide(np.cos(angles), np.sin(angles)), False))


def test_embedding():
    cuda, reference = load("embedding"), load("embedding", "reference")
    (g,) = arrays(8, "float32", (6, 10))
    ids, dw = np.array([2, 0, 2, 2, 4, 0], np.int32), np.zeros((5, 10), np.float32)
    emulate(cuda.embedding_backward_atomic, (1, 2), (8, 8), g, ids, dw)
    same(dw, reference.embedding_backward(wide(g), ids, 5))


def test_adamw():
    cuda, reference = load("adamw"), load("adamw", "reference")
    p, g, m, v = arrays(9, "float32", *[(50,)] * 4)
    v = np.abs(v)
    exact = [a.astype(np.float64) for a in (p, g, m, v)]
    settings = (1e-2, 0.9, 0.99, 1e-8, 0.1)
    correct = 1 / (1 - 0.9**3), 1 / (1 - 0.99**3)
    emulate(cuda.adamw_elements, 2, 32, p, g, m, v, *settings, *correct)
    reference.adamw(*exact, *settings, 3)
    for mine, right in zip((p, m, v), (exact[0], exact[2], exact[3])):
        same(mine, right)


@pytest.mark.parametrize("causal", [True, False])
def test_attention(causal):
    readable, reference = load("attention", "cuda_readable"), load("attention", "reference")
    n, t, d = 1, 21, readable.HEAD
    q, k, v, g = arrays(10, "float32", *[(n, t, d)] * 4)
    out, dq, dk, dv = (np.empty_like(q) for _ in range(4))
    lse = np.empty((n, t), np.float32)
    grid, scale = (2, n), d**-0.5
    emulate(readable.attention_rows, grid, readable.TILE, q, k, v, out, lse, scale, causal)
    heads = [wide(a)[:, None] for a in (q, k, v, g)]
    settings = (None, None, causal, None, scale)
    right, right_lse = reference.attention(*heads[:3], *settings)
    same(out, right[:, 0])
    same(lse, right_lse[:, 0])
    saved = (g, q, k, v, out, lse)
    emulate(readable.attention_query_gradient, grid, readable.TILE, *saved, dq, scale, causal)
    emulate(readable.attention_key_gradient, grid, readable.TILE, *saved, dk, dv, scale, causal)
    wanted = reference.attention_backward(heads[3], *heads[:3], right, right_lse, *settings)
    for mine, exact in zip((dq, dk, dv), wanted):
        same(mine, exact[:, 0], factor=2)


def test_decode_attention():
    cuda, reference = load("decode_attention"), load("decode_attention", "reference")
    q, k, v = arrays(11, "float32", (2, 4, 40), (2, 2, 9, 40), (2, 2, 9, 40))
    lengths, out = np.array([9, 4], np.int32), np.empty_like(q)
    emulate(cuda.decode_rows, (2, 4), 32, q, k, v, lengths, out, 0.2)
    same(out, reference.decode_attention(*wide(q, k, v), lengths, None, 0.2))


def test_quantized_matmul():
    cuda, reference = load("quantized_matmul"), load("quantized_matmul", "reference")
    x, w = arrays(12, "float32", (3, 32), (5, 32))
    codes, scales = reference.quantize(w, 8, 16)
    y = np.empty((3, 5), np.float32)
    emulate(cuda.quantized_matmul_int8, (1, 1), (8, 4), x, codes.view(np.int8), scales, y)
    same(y, wide(x) @ wide(reference.dequantize(codes, scales, 8)).T)


def test_moe():
    cuda, reference = load("moe"), load("moe", "reference")
    x, w = arrays(13, "float32", (4, 6), (3, 5, 6))
    order, _, offsets = reference.sort_by_expert(np.array([[2, 0], [0, 2], [2, 0], [0, 2]]), 3)
    out, y = np.empty((8, 6), np.float32), np.empty((8, 5), np.float32)
    emulate(cuda.permute_elements, (1, 1), (8, 8), x, order, 2, out)
    assert (out == reference.moe_permute(x, order, 2)).all()
    emulate(cuda.grouped_matmul_elements, (1, 1), (8, 8), out, w, offsets, y)
    same(y, reference.grouped_matmul(*wide(out, w), offsets))
