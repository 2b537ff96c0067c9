"""Elementwise kernels, embedding and AdamW in the emulator against the float64 formulas."""

import numpy as np
import pytest

from minilm.emulator import SCHEDULES
from minilm.kernels.cuda_tools.launch import emulation

from .helpers import DTYPES, arrays, assert_close, wide
from .test_row_kernels import tiers


@pytest.fixture(autouse=True, params=["watched", "all schedules"])
def how(request):
    watched = request.param == "watched"
    with emulation(trace=watched, schedules=SCHEDULES[:1] if watched else SCHEDULES):
        yield


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(7,), (3, 344)])
def test_activations(shape, dtype):
    cuda, reference = tiers("gelu")
    x, g = arrays(0, dtype, shape, shape)
    for name, extra in (("gelu", (False,)), ("gelu", (True,)), ("silu", ())):
        right = getattr(reference, name)(wide(x), *extra)
        assert_close(getattr(cuda, name)(x, *extra), right, dtype, name)
        right = getattr(reference, f"{name}_backward")(*wide(g, x), *extra)
        assert_close(getattr(cuda, f"{name}_backward")(g, x, *extra), right, dtype, name)


def test_activations_far_from_zero_neither_overflow_nor_vanish():
    cuda, reference = tiers("gelu")
    x = np.array([-200, -90, -20, 20, 90, 200], np.float32)
    for name, extra in (("gelu", (False,)), ("gelu", (True,)), ("silu", ())):
        assert_close(
            getattr(cuda, name)(x, *extra), getattr(reference, name)(wide(x), *extra), "float32"
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [13, 1032])
def test_gated_units(size, dtype):
    cuda, reference = tiers("swiglu")
    gate, up, g = arrays(1, dtype, (2, size), (2, size), (2, size))
    for name in ("swiglu", "geglu"):
        right = getattr(reference, name)(*wide(gate, up))
        assert_close(getattr(cuda, name)(gate, up), right, dtype, name)
        ours = getattr(cuda, f"{name}_backward")(g, gate, up)
        for mine, wanted in zip(ours, getattr(reference, f"{name}_backward")(*wide(g, gate, up))):
            assert_close(mine, wanted, dtype, name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["gelu", "gelu_tanh", "silu", "relu"])
@pytest.mark.parametrize("shape", [(3, 5), (4, 72)])
def test_bias_and_activation(shape, kind, dtype):
    cuda, reference = tiers("bias_activation")
    h, b, g = arrays(2, dtype, shape, shape[1:], shape)
    wide_h, wide_g = wide(h, g)
    a = cuda.bias_activation(h, b, kind)
    assert_close(a, reference.bias_activation(wide_h, wide(b), kind), dtype)
    assert_close(h, wide_h, dtype)
    exact = wide(h)  # what the kernel goes on from
    db = cuda.bias_activation_backward(g, h, kind)
    assert_close(db, reference.bias_activation_backward(wide_g, exact, kind), dtype, factor=2)
    assert_close(g, wide_g, dtype)
    assert_close(h, exact, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("size", [64, 16, 6])
def test_rope(size, interleaved, dtype):
    cuda, reference = tiers("rope")
    (x,) = arrays(3, dtype, (2, 3, 5, size))
    angles = np.random.default_rng(4).uniform(0, 6, (2, 1, 5, size // 2)).astype(np.float32)
    for a in (angles[0, 0], angles):
        y = cuda.rope(x, np.cos(a), np.sin(a), interleaved)
        right = reference.rope(wide(x), *wide(np.cos(a), np.sin(a)), interleaved)
        assert_close(y, right, dtype)
    back = cuda.rope(y, np.cos(angles), -np.sin(angles), interleaved)
    assert_close(back, x, dtype, factor=2)


@pytest.mark.parametrize("interleaved", [False, True])
def test_rope_of_packed_rows(interleaved):
    cuda, reference = tiers("rope")
    t, heads, size = 5, 3, 32
    (rows,) = arrays(5, "float32", (2 * t, (heads + 1) * size))
    angles = np.random.default_rng(6).uniform(0, 6, (t, size // 2)).astype(np.float32)
    tables = np.cos(angles), np.sin(angles)
    out, right = np.zeros((2 * t, heads * size), np.float32), np.zeros((2 * t, heads * size))
    cuda.rope_rows(rows, out, heads, *tables, interleaved)
    reference.rope_rows(wide(rows), right, heads, *wide(*tables), interleaved)
    assert_close(out, right, "float32")
    untouched = rows[:, heads * size :].copy()
    cuda.rope_rows(rows, rows, heads, *tables, interleaved)  # in place
    assert_close(rows[:, : heads * size], right, "float32")
    assert (rows[:, heads * size :] == untouched).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_embedding_backward(dtype):
    cuda, reference = tiers("embedding")
    ids = np.array([3, 0, 3, 3, 7, 0, 9])
    (g,) = arrays(7, dtype, (7, 45))
    right = reference.embedding_backward(wide(g), ids, 11)
    assert_close(cuda.embedding_backward(g, ids, 11), right, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_adamw_of_many_tensors(dtype):
    cuda, reference = tiers("adamw")
    shapes = [(3, 5), (4500,), (1,), (2, 4096)]
    p, m, v = (arrays(seed, "float32", *shapes) for seed in (8, 9, 10))
    v = [np.abs(a) for a in v]
    g = arrays(11, dtype, *shapes)
    low = [np.zeros(a.shape, a.dtype) for a in g]
    exact = [wide(*a) for a in (p, g, m, v)]
    settings = (1e-2, 0.9, 0.99, 1e-8, 0.1, 3)
    cuda.adamw_many(p, g, m, v, *settings, low, 0.5)
    for i, shape in enumerate(shapes):
        ep, eg, em, ev = (a[i] for a in exact)
        reference.adamw(ep, eg * 0.5, em, ev, *settings)
        for mine, right in ((p[i], ep), (m[i], em), (v[i], ev)):
            assert_close(mine, right, "float32", f"tensor {shape}")
        assert_close(low[i], ep, dtype)


def test_adamw_of_one_tensor():
    cuda, reference = tiers("adamw")
    p, g, m, v = arrays(12, "float32", *[(50,)] * 4)
    v = np.abs(v)
    exact = [a.astype(np.float64) for a in (p, g, m, v)]
    cuda.adamw(p, g, m, v, 1e-3, 0.9, 0.95, 1e-8, 0.0, 1)
    reference.adamw(*exact, 1e-3, 0.9, 0.95, 1e-8, 0.0, 1)
    assert_close(p, exact[0], "float32")
