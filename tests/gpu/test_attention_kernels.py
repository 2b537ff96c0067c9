"""FlashAttention forward and backward, packed and decoding attention, in the emulator."""

import numpy as np
import pytest

from minilm.emulator import SCHEDULES
from minilm.kernels.attention import cuda, reference
from minilm.kernels.cuda_tools.launch import emulation
from minilm.kernels.decode_attention import cuda as decode_cuda
from minilm.kernels.decode_attention import reference as decode_reference

from .helpers import DTYPES, arrays, assert_close, wide

WATCHED = {"trace": True, "schedules": SCHEDULES[:1]}
EVERY = {"trace": False, "schedules": SCHEDULES}
# (B, H, G, T, S, D, causal, window)
CASES = [
    (1, 2, 1, 70, 130, 64, True, None),  # grouped heads, a cache in front of the queries
    (2, 1, 1, 65, 65, 64, False, None),
    (1, 2, 2, 130, 200, 64, True, 40),  # a sliding window shorter than a tile
    (1, 1, 1, 130, 70, 64, True, None),  # the first queries see nothing
    (1, 1, 1, 200, 40, 64, True, None),  # a whole tile of queries sees nothing
    (1, 2, 1, 129, 129, 128, True, None),
    (1, 1, 1, 1, 3, 128, False, None),
]


def check(case, dtype, options):
    b, h, g, t, s, d, causal, window = case
    q, k, v, grad = arrays(0, dtype, (b, h, t, d), (b, g, s, d), (b, g, s, d), (b, h, t, d))
    settings = (None, None, causal, window, d**-0.5)
    with emulation(**options):
        out, lse = cuda.attention(q, k, v, *settings)
        ours = cuda.attention_backward(grad, q, k, v, out, lse, *settings)
    right, right_lse = reference.attention(*wide(q, k, v), *settings)
    assert_close(out, right, dtype, "out")
    np.testing.assert_allclose(lse, right_lse, rtol=1e-4, atol=1e-5)
    wanted = reference.attention_backward(*wide(grad, q, k, v), right, right_lse, *settings)
    for name, mine, exact in zip(("dq", "dk", "dv"), ours, wanted):
        assert mine.dtype == q.dtype
        # Of one query, nothing averages out the rounding of `out` that the gradients read.
        assert_close(mine, exact, dtype, name, factor=2 if t == 1 else 1)


@pytest.mark.parametrize("case", CASES)
def test_flash_attention_watched(case):
    check(case, "bfloat16", WATCHED)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("case", CASES[:3])
def test_flash_attention_under_every_schedule(case, dtype):
    check(case, dtype, EVERY)


def test_flash_attention_on_heads_inside_packed_rows():
    b, t, h, g, d = 2, 67, 2, 1, 64
    packed, grad = arrays(1, "float16", (b, t, (h + 2 * g) * d), (b, h, t, d))
    gradient = np.zeros_like(packed)

    def heads(rows, first, count):
        part = rows[:, :, first * d : (first + count) * d]
        return part.reshape(b, t, count, d).transpose(0, 2, 1, 3)

    q, k, v = heads(packed, 0, h), heads(packed, h, g), heads(packed, h + g, g)
    into = heads(gradient, 0, h), heads(gradient, h, g), heads(gradient, h + g, g)
    settings = (None, None, True, None, d**-0.5)
    with emulation(**WATCHED):
        out, lse = cuda.attention(q, k, v, *settings)
        cuda.attention_backward(grad, q, k, v, out, lse, *settings, into)
    exact, exact_lse = reference.attention(*wide(q, k, v), *settings)
    right = np.zeros(packed.shape)
    places = heads(right, 0, h), heads(right, h, g), heads(right, h + g, g)
    reference.attention_backward(*wide(grad, q, k, v), exact, exact_lse, *settings, places)
    assert_close(out, exact, "float16")
    assert_close(gradient, right, "float16")
    joined = out.transpose(0, 2, 1, 3).reshape(b, t, h * d)
    assert np.shares_memory(joined, out), "joining the heads must not copy"


@pytest.mark.parametrize("options", [WATCHED, EVERY], ids=["watched", "every"])
def test_packed_sequences_do_not_see_each_other(options):
    lengths, h, g, d = [5, 70, 1, 33], 2, 1, 64
    starts = np.concatenate([[0], np.cumsum(lengths)])
    n = starts[-1]
    q, k, v, grad = arrays(2, "bfloat16", (n, h, d), (n, g, d), (n, g, d), (n, h, d))
    settings = (starts, starts, max(lengths), max(lengths), True, None, d**-0.5)
    with emulation(**options):
        out, lse = cuda.attention_packed(q, k, v, *settings)
        ours = cuda.attention_packed_backward(grad, q, k, v, out, lse, *settings)
    for i, j in zip(starts, starts[1:]):
        alone = [wide(a)[i:j].swapaxes(0, 1)[None] for a in (q, k, v, grad)]
        plain = (None, None, True, None, d**-0.5)
        right, right_lse = reference.attention(*alone[:3], *plain)
        assert_close(out[i:j].swapaxes(0, 1)[None], right, "bfloat16", f"rows {i}:{j}")
        np.testing.assert_allclose(lse[:, i:j], right_lse[0], rtol=1e-4, atol=1e-5)
        wanted = reference.attention_backward(alone[3], *alone[:3], right, right_lse, *plain)
        for mine, exact in zip(ours, wanted):
            assert_close(mine[i:j].swapaxes(0, 1)[None], exact, "bfloat16", f"rows {i}:{j}", 2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "heads, groups, size, splits", [(2, 2, 64, 1), (8, 2, 64, 3), (3, 1, 128, 2)]
)
def test_decode_attention(heads, groups, size, splits, dtype):
    b, room = 3, 90
    q, k, v = arrays(3, dtype, (b, heads, size), (b, groups, room, size), (b, groups, room, size))
    lengths = np.array([1, 90, 37])
    for window in (None, 20):
        right = decode_reference.decode_attention(*wide(q, k, v), lengths, None, size**-0.5, window)
        for options in (WATCHED, EVERY):
            with emulation(**options):
                out = decode_cuda.decode_attention(
                    q, k, v, lengths, None, size**-0.5, window, splits=splits
                )
            assert_close(out, right, dtype)


@pytest.mark.parametrize("options", [WATCHED, EVERY], ids=["watched", "every"])
def test_decode_attention_over_pages(options):
    b, h, g, d, page = 2, 4, 2, 64, 16
    q, k, v = arrays(4, "float16", (b, h, d), (9, g, page, d), (9, g, page, d))
    table = np.array([[8, 2, 5, 0], [1, 7, 3, 4]])
    lengths = np.array([60, 17])
    right = decode_reference.decode_attention(*wide(q, k, v), lengths, table, d**-0.5)
    # The same keys in one piece give the same answer.
    joined = [a[table].swapaxes(1, 2).reshape(b, g, -1, d) for a in wide(k, v)]
    same = decode_reference.decode_attention(wide(q), *joined, lengths, None, d**-0.5)
    np.testing.assert_allclose(right, same)
    with emulation(**options):
        out = decode_cuda.decode_attention(q, k, v, lengths, table, d**-0.5, splits=2)
    assert_close(out, right, "float16")


def test_decode_attention_reads_a_view_of_a_longer_cache():
    q, k, v = arrays(5, "float32", (1, 2, 64), (1, 2, 50, 64), (1, 2, 50, 64))
    part = k[:, :, :30], v[:, :, :30]
    with emulation(**WATCHED):
        out = decode_cuda.decode_attention(q, *part, np.array([30]), None, 0.125)
    right = decode_reference.decode_attention(*wide(q, *part), np.array([30]), None, 0.125)
    assert_close(out, right, "float32")
