"""Mixture-of-experts and quantized primitives, and decoding attention, in both tiers on the CPU."""

import numpy as np
import pytest
from checks import check_op
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm import functional as F
from minilm import kernels
from minilm.errors import InputError

TOKENS, CHOICES, EXPERTS, WIDTH = 7, 2, 4, 5


def routed(seed=0):
    """(experts (N, K), order, place, offsets); one expert has no tokens."""
    rng = np.random.default_rng(seed)
    chosen = np.array([rng.permutation(EXPERTS - 1)[:CHOICES] for _ in range(TOKENS)])
    return chosen, *kernels.sort_by_expert(chosen, EXPERTS)


@given(st.lists(st.lists(st.integers(0, 5), min_size=2, max_size=2), min_size=1, max_size=12))
@settings(deadline=None)
def test_sorting_by_expert(chosen):
    chosen = np.array(chosen)
    order, place, offsets = kernels.sort_by_expert(chosen, 6)
    flat = chosen.reshape(-1)
    assert (place[order] == np.arange(flat.size)).all() and offsets[0] == 0
    for e in range(6):
        assert list(order[offsets[e] : offsets[e + 1]]) == list(np.flatnonzero(flat == e))


def test_permute():
    _, order, place, _ = routed()

    def formula(x):
        return np.stack([x[a // CHOICES] for a in order])

    check_op([(TOKENS, WIDTH)], lambda x: F.moe_permute(x, order, place, CHOICES), formula)


def test_combine():
    _, order, place, _ = routed()

    def formula(y, w):
        out = np.zeros((TOKENS, WIDTH))
        for i, a in enumerate(order):
            out[a // CHOICES] += w[a // CHOICES, a % CHOICES] * y[i]
        return out

    shapes = [(TOKENS * CHOICES, WIDTH), (TOKENS, CHOICES)]
    check_op(shapes, lambda y, w: F.moe_combine(y, w, order, place), formula)


def test_grouped_linear():
    *_, offsets = routed()

    def formula(x, w):
        expert = np.searchsorted(offsets[1:], np.arange(len(x)), side="right")
        return np.einsum("mi,moi->mo", x, w[expert])

    check_op(
        [(TOKENS * CHOICES, 3), (EXPERTS, 4, 3)],
        lambda x, w: F.grouped_linear(x, w, offsets),
        formula,
    )


def test_a_mixture_is_the_sum_of_its_experts():
    """Through all three: each token gets the weighted sum of its experts' maps of it."""
    chosen, order, place, offsets = routed(3)
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((TOKENS, 3)), rng.standard_normal((EXPERTS, WIDTH, 3))
    gate = rng.random((TOKENS, CHOICES))
    rows = F.moe_permute(x, order, place, CHOICES)
    out = F.moe_combine(F.grouped_linear(rows, w, offsets), gate, order, place)
    right = [
        sum(gate[t, k] * w[chosen[t, k]] @ x[t] for k in range(CHOICES)) for t in range(TOKENS)
    ]
    np.testing.assert_allclose(out.data, right, rtol=1e-12)


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("rows", [1, 6])
def test_quantized_linear(bits, rows):
    w = np.random.default_rng(bits).standard_normal((5, 32)).astype(np.float32)
    codes, scales = kernels.quantize(w, bits, 16)
    exact = np.zeros(w.shape)
    levels = kernels.kernels()["quantize"].tier("reference").__globals__["NF4"]
    for n in range(5):
        for k in range(32):
            code = codes[n, k] if bits == 8 else (codes[n, k // 2] >> (4 * (k % 2))) & 15
            value = np.uint8(code).view(np.int8) if bits == 8 else levels[code]
            exact[n, k] = np.float32(value) * scales[n, k // 16]
    step = np.abs(w).max() / 127 if bits == 8 else 0.16 * np.abs(w).max()
    assert np.abs(exact - w).max() <= step
    check_op(
        [(rows, 32)], lambda x: F.quantized_linear(x, codes, scales, bits), lambda x: x @ exact.T
    )


@pytest.mark.parametrize("tier", ["reference", "cpu"])
@pytest.mark.parametrize("case", ["plain", "window", "begins", "distance", "rolling", "paged"])
def test_decode_attention(case, tier):
    """Against a softmax over the keys that are seen, one head after another, in float64."""
    b, h, g, s, d = 2, 4, 2, 12, 8
    rng = np.random.default_rng(0)
    q = rng.standard_normal((b, h, d)).astype(np.float32)
    k, v = rng.standard_normal((2, b, g, s, d)).astype(np.float32)
    lengths = np.array([12, 5] if case != "rolling" else [17, 5])
    window = 4 if case == "window" else None
    begins = np.array([3, 1]) if case in ("begins", "rolling") else None
    distance = rng.standard_normal((h, 20)).astype(np.float32) if case == "distance" else None
    table, keys, values = None, k, v
    if case == "paged":
        table = np.array([[4, 0, 2], [1, 3, 5]])
        keys, values = np.empty((2, 6, g, 4, d), np.float32)
        for row in range(b):
            for page in range(3):
                part = slice(4 * page, 4 * page + 4)
                keys[table[row, page]], values[table[row, page]] = k[row, :, part], v[row, :, part]
    with kernels.use(tier):
        out = kernels.decode_attention(
            q, keys, values, lengths, table, 0.3, window, begins, distance, case == "rolling"
        )
    assert out.dtype == np.float32
    for row in range(b):
        length = int(lengths[row])
        first = max(0 if begins is None else begins[row], length - (window or length), length - s)
        places = np.arange(first, length)
        for head in range(h):
            own = k[row, head // 2].astype(float)[places % s]
            scores = own @ q[row, head] * 0.3
            if distance is not None:
                scores = scores + distance[head, 19 - (length - 1 - places)]
            share = np.exp(scores - scores.max())
            right = share / share.sum() @ v[row, head // 2].astype(float)[places % s]
            np.testing.assert_allclose(out[row, head], right, rtol=2e-5, atol=1e-6)


def test_the_new_kernels_can_be_replaced():
    seen = []
    real = kernels.kernels()["moe_permute"].tier("reference")
    with kernels.use({"moe_permute": lambda *args: seen.append(1) or real(*args)}):
        _, order, place, _ = routed()
        F.moe_permute(np.ones((TOKENS, 2), np.float32), order, place, CHOICES)
        assert kernels.in_use() == "auto" and seen
    for name in ("decode_attention", "quantized_matmul", "moe_combine"):
        assert kernels.kernels()[name].has("cpu") and kernels.kernels()[name].has("cuda")


def test_what_does_not_fit_is_refused():
    x = np.ones((4, 6), np.float32)
    with pytest.raises(InputError, match="moe_permute of 8 assignments takes order and place"):
        F.moe_permute(x, np.arange(3), np.arange(8), 2)
    with pytest.raises(InputError, match="y with 4 rows needs 8"):
        F.moe_combine(x, np.ones((4, 2), np.float32), np.arange(8), np.arange(8))
    with pytest.raises(InputError, match="they must be"):
        F.grouped_linear(x, np.ones((2, 3, 5), np.float32), np.array([0, 1, 4]))
    with pytest.raises(InputError, match="codes are of 8"):
        F.quantized_linear(x, np.ones((2, 8), np.uint8), np.ones((2, 1), np.float32), 8)
    with pytest.raises(InputError, match="bits is 5"):
        F.quantized_linear(x, np.ones((2, 6), np.uint8), np.ones((2, 1), np.float32), 5)
