"""Quantized products, convolutions and experts in the emulator against the float64 formulas."""

import numpy as np
import pytest

from minilm.emulator import SCHEDULES
from minilm.kernels.conv2d import cuda as conv2d
from minilm.kernels.conv2d import reference as conv2d_reference
from minilm.kernels.cuda_tools.launch import emulation
from minilm.kernels.moe import cuda as moe
from minilm.kernels.moe import reference as moe_reference
from minilm.kernels.quantized_matmul import cuda as quantized
from minilm.kernels.quantized_matmul import reference as quantized_reference

from .helpers import arrays, assert_close, wide


@pytest.fixture(autouse=True, params=["watched", "all schedules"])
def how(request):
    watched = request.param == "watched"
    with emulation(trace=watched, schedules=SCHEDULES[:1] if watched else SCHEDULES):
        yield


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("rows", [1, 7, 70])
def test_quantized_matmul(rows, bits, dtype):
    x, w = arrays(0, dtype, (rows, 192), (75, 192))
    codes, scales = quantized_reference.quantize(wide(w), bits)
    y = quantized.quantized_matmul(x, codes, scales, bits)
    right = wide(x) @ wide(quantized_reference.dequantize(codes, scales, bits)).T
    # The tiled kernel rounds the expanded weights to 16 bits before it multiplies.
    assert_close(y, right, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_moe_permute_and_combine(dtype):
    tokens, choices, experts, n = 9, 2, 4, 45
    rng = np.random.default_rng(1)
    chosen = np.array([rng.permutation(experts)[:choices] for _ in range(tokens)])
    weights = rng.random((tokens, choices)).astype(np.float32)
    order, place, offsets = moe_reference.sort_by_expert(chosen, experts)
    assert (np.diff(offsets) == np.bincount(chosen.reshape(-1), minlength=experts)).all()
    x, g, gy = arrays(2, dtype, (tokens, n), (tokens, n), (tokens * choices, n))
    y = moe.moe_permute(x, order, choices)
    assert (y == moe_reference.moe_permute(x, order, choices)).all()
    right = moe_reference.moe_permute_backward(wide(gy), place, choices)
    assert_close(moe.moe_permute_backward(gy, place, choices), right, dtype)
    right = moe_reference.moe_combine(wide(y), place, wide(weights))
    assert_close(moe.moe_combine(y, place, weights), right, dtype)
    ours = moe.moe_combine_backward(g, y, order, place, weights)
    wanted = moe_reference.moe_combine_backward(*wide(g, y), order, place, wide(weights))
    assert_close(ours[0], wanted[0], dtype)
    assert_close(ours[1], wanted[1], "float32")


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("stride, padding", [((1, 1), (1, 1)), ((2, 1), (0, 2)), ((2, 3), (1, 0))])
def test_conv2d(stride, padding, dtype, monkeypatch):
    monkeypatch.setattr(conv2d, "_MOST", 2 * 3 * 12 * 24)  # two pictures of the three at a time
    x, w = arrays(4, dtype, (3, 3, 5, 7), (4, 3, 3, 2))
    y = conv2d.conv2d(x, w, stride, padding)
    assert y.dtype == x.dtype
    assert_close(y, conv2d_reference.conv2d(*wide(x, w), stride, padding), dtype)
    (g,) = arrays(5, dtype, y.shape)
    dx = conv2d.conv2d_input_gradient(g, w, (5, 7), stride, padding)
    right = conv2d_reference.conv2d_input_gradient(*wide(g, w), (5, 7), stride, padding)
    assert_close(dx, right, dtype, factor=2)  # the columns are rounded before they are added up
    dw = conv2d.conv2d_weight_gradient(g, x, (3, 2), stride, padding)
    right = conv2d_reference.conv2d_weight_gradient(*wide(g, x), (3, 2), stride, padding)
    assert_close(dw, right, dtype)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("counts", [(70, 0, 5, 64), (0, 0, 1, 0)])
def test_grouped_matmul(counts, dtype):
    offsets = np.concatenate([[0], np.cumsum(counts)])
    rows, width, depth = offsets[-1], 64, 128
    x, w, g = arrays(3, dtype, (rows, depth), (len(counts), width, depth), (rows, width))
    y = moe.grouped_matmul(x, w, offsets)
    assert_close(y, moe_reference.grouped_matmul(*wide(x, w), offsets), dtype)
    ours = moe.grouped_matmul_backward(g, x, w, offsets)
    for mine, right in zip(ours, moe_reference.grouped_matmul_backward(*wide(g, x, w), offsets)):
        assert_close(mine, right, dtype)
