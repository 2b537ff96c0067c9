"""Selective scan and linear attention in the emulator, against the float64 formulas."""

import numpy as np
import pytest

from minilm.emulator import SCHEDULES, emulate
from minilm.kernels.cuda_tools.launch import emulation

from .helpers import DTYPES, arrays, assert_close, wide
from .test_row_kernels import tiers


@pytest.fixture(params=["watched", "all schedules"])
def how(request):
    watched = request.param == "watched"
    with emulation(trace=watched, schedules=SCHEDULES[:1] if watched else SCHEDULES):
        yield


def _scan_inputs(dtype, rows, time, channels, states):
    shape, each = (rows, time, channels), (rows, time, states)
    x, delta, b, c = arrays(0, dtype, shape, shape, each, each)
    a, h0 = arrays(1, dtype, (channels, states), (rows, states, channels))
    kind = DTYPES[dtype]
    return x, np.abs(delta).astype(kind) * kind(0.3), -np.abs(a).astype(kind), b, c, h0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(2, 5, 3, 4), (1, 130, 2, 1), (1, 136, 2, 2)])
def test_scan(how, sizes, dtype):
    cuda, reference = tiers("scan")
    given = _scan_inputs(dtype, *sizes)
    y, last, marks = cuda.scan(*given)
    right, end, kept = reference.scan(*wide(*given))
    assert y.dtype == given[0].dtype and last.dtype == marks.dtype == np.float32
    assert_close(y, right, dtype, "y")
    assert_close(last, end, dtype, "last")
    (g,) = arrays(2, dtype, y.shape)
    ours = cuda.scan_backward(g, *given[:5], marks)
    wanted = reference.scan_backward(*wide(g, *given[:5]), kept)
    for name, mine, exact in zip(("x", "delta", "a", "b", "c", "h0"), ours, wanted, strict=True):
        assert_close(mine, exact, dtype, f"gradient of {name}", factor=2)


def test_a_scan_longer_than_a_sweep_goes_on_from_its_state():
    cuda, reference = tiers("scan")
    given = _scan_inputs("float32", 1, 512 + 72, 2, 3)
    with emulation(schedules=SCHEDULES[:1]):
        y, last, marks = cuda.scan(*given)
        g = np.ones_like(y)
        ours = cuda.scan_backward(g, *given[:5], marks)
    right, end, kept = reference.scan(*wide(*given))
    assert marks.shape == (1, 2, 3, 2)
    assert_close(y, right, "float32", factor=2)
    assert_close(last, end, "float32", factor=2)
    for mine, exact in zip(ours, reference.scan_backward(*wide(g, *given[:5]), kept), strict=True):
        assert_close(mine, exact, "float32", factor=3)


def test_the_readable_scan():
    cuda, reference = tiers("scan")
    x, delta, a, b, c, _ = _scan_inputs("float32", 2, 7, 3, 4)
    y = np.empty_like(x)
    emulate(cuda.scan_channels, 1, 32, x, delta, a, b, c, y)
    right = reference.scan(*wide(x, delta, a, b, c), np.zeros((2, 4, 3)))[0]
    assert_close(y, right, "float32")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(2, 1, 5, 3, 4), (1, 2, 70, 8, 9)])
def test_linear_attention(how, sizes, dtype):
    cuda, reference = tiers("linear_attention")
    *heads, time, size, width = sizes
    q, k = arrays(0, dtype, *[(*heads, time, size)] * 2)
    v, state, g = arrays(
        1, dtype, (*heads, time, width), (*heads, size, width), (*heads, time, width)
    )
    y, after = cuda.linear_attention(q, k, v, state)
    right, end = reference.linear_attention(*wide(q, k, v, state))
    assert y.dtype == q.dtype and after.dtype == np.float32
    assert_close(y, right, dtype, "y")
    assert_close(after, end, dtype, "state")
    ours = cuda.linear_attention_backward(g, q, k, v, state)
    wanted = reference.linear_attention_backward(*wide(g, q, k, v, state))
    for name, mine, exact in zip("qkvs", ours, wanted, strict=True):
        assert_close(mine, exact, dtype, f"gradient of {name}", factor=2)


def test_the_readable_linear_attention():
    cuda, reference = tiers("linear_attention")
    q, k, v = arrays(3, "float32", (2, 7, 4), (2, 7, 4), (2, 7, 5))
    y = np.empty_like(v)
    emulate(cuda.linear_attention_columns, 2, 32, q, k, v, y)
    right = reference.linear_attention(
        *wide(q[:, None], k[:, None], v[:, None]), np.zeros((2, 1, 4, 5))
    )
    assert_close(y, right[0][:, 0], "float32")


def test_large_heads_take_the_reference():
    """State and chunks of such heads do not fit into the shared memory of every GPU."""
    cuda, reference = tiers("linear_attention")
    q, k, v = arrays(4, "float32", *[(1, 1, 3, 160)] * 3)
    nothing = np.zeros((1, 1, 160, 160), np.float32)
    y, _ = cuda.linear_attention(q, k, v, nothing)
    assert_close(y, reference.linear_attention(*wide(q, k, v, nothing))[0], "float32")


def test_what_a_scan_reads_and_writes():
    """Rung 2 writes nothing of size T N: x, delta, B, C and y, and a few states."""
    cuda, _ = tiers("scan")
    found = []
    given = _scan_inputs("float32", 1, 512, 1, 4)
    with emulation(trace=True, schedules=SCHEDULES[:1], reports=found):
        cuda.scan(*given)
    numbers = 512 * (3 + 2 * 4)  # of x, delta, y, B and C
    assert numbers * 4 // 32 <= found[0].sectors < 1.1 * numbers * 4 // 32
