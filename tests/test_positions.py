"""Sinusoids, RoPE, ALiBi, T5's buckets and masks against published values and plain loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm import InputError, nn
from minilm import functional as F
from minilm.models import Config, Transformer
from minilm.nn import masks, position_loops, positions


def _normal(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def test_sinusoid_values_and_shift_is_a_rotation():
    np.testing.assert_allclose(
        positions.sinusoidal(np.array([1]), 4, np.float64)[0],
        [0.84147098, 0.54030231, 0.00999983, 0.99995000],
        atol=5e-9,
    )
    table = positions.sinusoidal(60, 16, np.float64)
    angle = 7 * 10000.0 ** (-np.arange(0, 16, 2) / 16)
    sin, cos = table[:40, 0::2], table[:40, 1::2]
    shifted = sin * np.cos(angle) + cos * np.sin(angle)
    np.testing.assert_allclose(table[7:47, 0::2], shifted, atol=1e-12)
    assert positions.sinusoidal(3, 4).dtype == np.float32


@pytest.mark.parametrize("channels", [2, 8, 14])
def test_sinusoids_are_their_loop_nest(channels):
    table = positions.sinusoidal(40, channels, np.float64)
    np.testing.assert_allclose(table, position_loops.sinusoidal(40, channels), atol=1e-12)


def test_learned_positions_are_their_loop_nest():
    config = Config(vocab_size=9, context=7, layers=1, heads=1, channels=6)
    model = Transformer(config, dtype=np.float64)
    ids = np.arange(10).reshape(2, 5) % 9
    seen = []
    model.stack.forward = lambda x, *_: seen.append(x.data) or x  # what the blocks would read
    model(ids)
    loops = position_loops.learned(model.tokens(ids).data, model.positions.weight.data)
    np.testing.assert_array_equal(seen[0], loops)


@pytest.mark.parametrize("layout", ["half", "interleaved"])
@pytest.mark.parametrize(("theta", "stretch"), [(10000.0, 1.0), (500.0, 1.0), (10000.0, 4.0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rope_is_its_loop_nest(layout, theta, stretch, dtype):
    x = _normal(2, 3, 6, 8, dtype=dtype)
    scaling = None if stretch == 1 else {"kind": "linear", "factor": stretch}
    cos, sin = positions.rope_table(6, 8, theta, scaling, dtype)
    out = F.rope(x, cos, sin, layout=layout).data
    assert out.dtype == dtype
    tolerance = 1e-6 if dtype == np.float32 else 1e-12
    loops = position_loops.rope(x, theta, layout, stretch)
    np.testing.assert_allclose(out, loops, atol=tolerance)


def test_rope_frequencies_published_values():
    """TALKS 7a: D = 128, base 10000 and 1e6."""
    frequencies, factor = positions.rope_frequencies(128)
    assert factor == 1.0
    assert frequencies[0] == 1.0
    assert frequencies[1] == pytest.approx(0.8659643, abs=5e-8)
    assert frequencies[63] == pytest.approx(1.154782e-4, abs=5e-11)
    assert 2 * np.pi / frequencies[63] == pytest.approx(54410, abs=0.5)
    slow = positions.rope_frequencies(128, 1e6)[0]
    assert 2 * np.pi / slow[63] == pytest.approx(5.06e6, rel=1e-3)


@pytest.mark.parametrize("layout", ["half", "interleaved"])
def test_rope_score_depends_on_the_distance_alone(layout):
    q, k = _normal(1, 1, 1, 16), _normal(1, 1, 1, 16, seed=1)

    def turned(x, place):
        cos, sin = positions.rope_table(np.array([place]), 16, dtype=np.float64)
        return F.rope(x, cos, sin, layout=layout).data[0, 0, 0]

    score = turned(q, 40) @ turned(k, 33)
    assert turned(q, 107) @ turned(k, 100) == pytest.approx(score, abs=1e-12)
    assert abs(turned(q, 40) @ turned(k, 34) - score) > 1e-3
    assert np.linalg.norm(turned(q, 9)) == pytest.approx(np.linalg.norm(q), abs=1e-12)


def test_rope_is_a_complex_multiplication():
    """Interleaved pairs as complex numbers times e^(i m theta): the paper's equation 12."""
    x = _normal(2, 3, 5, 8)
    cos, sin = positions.rope_table(5, 8, dtype=np.float64)
    theta = 10000.0 ** (-np.arange(0, 8, 2) / 8)
    turned = (x[..., 0::2] + 1j * x[..., 1::2]) * np.exp(1j * np.arange(5)[:, None] * theta)
    got = F.rope(x, cos, sin, layout="interleaved").data
    np.testing.assert_allclose(got[..., 0::2] + 1j * got[..., 1::2], turned, atol=1e-12)


def test_relayout_gives_the_same_scores_in_the_other_layout():
    weight = _normal(3 * 8, 10)
    x = _normal(1, 5, 10, seed=1)
    cos, sin = positions.rope_table(5, 8, dtype=np.float64)

    def scores(weight, layout):
        q = (x @ weight.T).reshape(1, 5, 3, 8).swapaxes(1, 2)
        turned = F.rope(q, cos, sin, layout=layout).data
        return turned @ turned.swapaxes(-1, -2)

    half = positions.rope_relayout(weight, 8, "half")
    np.testing.assert_allclose(scores(weight, "interleaved"), scores(half, "half"), atol=1e-12)
    np.testing.assert_array_equal(positions.rope_relayout(half, 8, "interleaved"), weight)


def test_rope_scalings_at_their_edges():
    plain, _ = positions.rope_frequencies(64)
    linear, _ = positions.rope_frequencies(64, scaling={"kind": "linear", "factor": 4})
    np.testing.assert_allclose(linear, plain / 4)
    ntk, _ = positions.rope_frequencies(64, scaling={"kind": "ntk", "factor": 4})
    assert ntk[0] == plain[0] and ntk[-1] == pytest.approx(plain[-1] / 4)
    yarn, factor = positions.rope_frequencies(
        64, scaling={"kind": "yarn", "factor": 4, "original_context": 2048}
    )
    turns = 2048 * plain / (2 * np.pi)
    np.testing.assert_allclose(yarn[turns > 48], plain[turns > 48])
    np.testing.assert_allclose(yarn[turns < 0.7], plain[turns < 0.7] / 4)
    assert factor == pytest.approx(0.1 * math.log(4) + 1)
    assert (np.diff(plain / yarn) > -1e-12).all()
    llama3 = {"kind": "llama3", "factor": 8, "original_context": 8192}
    stretched, _ = positions.rope_frequencies(64, scaling=llama3)
    turns = 8192 * plain / (2 * np.pi)
    np.testing.assert_allclose(stretched[turns > 4], plain[turns > 4])
    np.testing.assert_allclose(stretched[turns < 1], plain[turns < 1] / 8)


def test_tables_keep_float32_and_broadcast_over_heads():
    cos, sin = positions.rope_table(np.array([[0, 1, 2], [5, 6, 7]]), 8)
    assert cos.shape == sin.shape == (2, 1, 3, 4)
    assert cos.dtype == np.float32
    assert positions.alibi_bias(np.arange(3), np.arange(4), 2).dtype == np.float32


@pytest.mark.parametrize(
    "scaling",
    [
        {"kind": "cubic", "factor": 2},
        {"kind": "linear"},
        {"kind": "linear", "factor": 0.5},
        {"kind": "yarn", "factor": 2},
    ],
)
def test_bad_rope_scaling(scaling):
    with pytest.raises(InputError, match="rope scaling|head_size"):
        positions.rope_frequencies(8, scaling=scaling)


def test_alibi_slopes_published():
    """The paper: 8 heads 1/2 ... 1/256; 12 heads as its code gives them."""
    np.testing.assert_allclose(positions.alibi_slopes(8), 0.5 ** np.arange(1, 9))
    np.testing.assert_allclose(
        positions.alibi_slopes(12, np.float64),
        [*(0.5 ** np.arange(1, 9)), *(0.5 ** np.arange(0.5, 4.5))],
    )
    assert positions.alibi_slopes(1).tolist() == [2.0**-8]
    bias = positions.alibi_bias(np.arange(2, 5), np.arange(5), 8)
    assert bias.shape == (8, 3, 5) and bias[0, 2].tolist() == [-2, -1.5, -1, -0.5, 0]


def test_relative_buckets():
    """T5: 32 buckets, 128 far: small distances exact, then logarithmic, then one for all."""
    bucket = positions.relative_bucket(np.array([200]), np.arange(200, -1, -1), False)[0]
    assert bucket[:16].tolist() == list(range(16))
    for distance in (16, 20, 31, 50, 90, 127):
        expected = 16 + int(math.log(distance / 16) / math.log(128 / 16) * 16)
        assert bucket[distance] == expected
    assert set(bucket[128:].tolist()) == {31}
    assert (np.diff(bucket) >= 0).all()
    both = positions.relative_bucket(np.arange(300), np.arange(300), True)
    assert both.min() == 0 and both.max() == 31
    assert set(both[np.triu_indices(300, 1)].tolist()) == set(range(17, 32))
    later = positions.relative_bucket(np.array([0]), np.arange(10), False)
    assert later.tolist() == [[0] * 10]


@given(st.integers(0, 30), st.integers(0, 30))
def test_joint_popcounts(n_in, n_tgt):
    for kind in ("causal", "prefix", "encdec"):
        assert masks.joint(kind, n_in, n_tgt).sum() == masks.popcount(kind, n_in, n_tgt)
    n = n_in + n_tgt
    assert masks.popcount("causal", n_in, n_tgt) == sum(range(n + 1))
    assert masks.popcount("prefix", n_in, n_tgt) == sum(max(i, n_in) for i in range(1, n + 1))


@given(st.integers(1, 12), st.integers(0, 12), st.integers(1, 15), st.integers(0, 12))
def test_masks_pair_by_pair(queries, more, window, length):
    keys = queries + more
    length = min(length, keys)
    for t in range(queries):
        i = more + t
        for j in range(keys):
            assert masks.causal(queries, keys)[t, j] == (j <= i)
            assert masks.sliding_window(queries, window, keys)[t, j] == (i - window < j <= i)
            assert masks.prefix(queries, length, keys)[t, j] == (j <= i or j < length)
    assert masks.bidirectional(queries, keys).sum() == queries * keys


@given(st.integers(1, 40), st.integers(1, 40))
def test_window_popcount(time, window):
    w = min(window, time)
    assert masks.sliding_window(time, window).sum() == w * (w + 1) // 2 + (time - w) * w


def test_prefix_mask_per_sequence_and_errors():
    both = masks.prefix(4, np.array([1, 3]))
    assert both.shape == (2, 1, 4, 4)
    np.testing.assert_array_equal(both[1, 0], masks.prefix(4, 3))
    for call in (
        lambda: masks.prefix(4, 5),
        lambda: masks.prefix(4, -1),
        lambda: masks.prefix(4, 1.5),
        lambda: masks.sliding_window(4, 0),
        lambda: masks.causal(4, 3),
        lambda: masks.joint("diagonal", 2, 2),
        lambda: masks.popcount("diagonal", 2, 2),
    ):
        with pytest.raises(InputError):
            call()


def test_a_moment_is_cosines_and_sines_of_a_thousand_steps():
    time = np.array([[0.0, 0.25], [0.5, 0.9995]])
    table = nn.sinusoidal_time(time, 8)
    assert table.shape == (2, 2, 8) and table.dtype == np.float32
    for i in range(4):
        angle = 1000 * time * 10000 ** (-2 * i / 8)
        np.testing.assert_allclose(table[..., i], np.cos(angle), atol=1e-6)
        np.testing.assert_allclose(table[..., 4 + i], np.sin(angle), atol=1e-6)
    steps = nn.sinusoidal_time(np.arange(5), 8, scale=1)  # the same numbers as of positions
    pairs = nn.sinusoidal(5, 8).reshape(5, 4, 2)
    np.testing.assert_array_equal(steps, np.concatenate([pairs[..., 1], pairs[..., 0]], -1))
    assert nn.sinusoidal_time(0.5, 8).shape == (8,)
    # Neighbours of a schedule of 50 steps are told apart, which raw moments would not be.
    near, raw = (
        np.diff(nn.sinusoidal_time(np.linspace(0, 1, 50), 64, s), axis=0) for s in (1000, 1)
    )
    assert np.linalg.norm(near, axis=1).min() > 1 > np.linalg.norm(raw, axis=1).max()
    for time, channels, words in ((0.5, 7, "channels is 7"), (np.nan, 8, "time holds NaN")):
        with pytest.raises(InputError, match=words):
            nn.sinusoidal_time(time, channels)
