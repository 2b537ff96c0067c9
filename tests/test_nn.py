"""Modules, positions, masks and attention layers, each against an independent statement of it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm import InputError, nn, no_grad
from minilm import functional as F
from minilm.nn import attention_loops, masks, positions
from minilm.nn.attention import Sight
from minilm.nn.dropout import Dropout, dropout_seed
from minilm.tensor import Tensor


def _normal(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


# ---- modules


class _Pair(nn.Module):
    def __init__(self):
        self.first = nn.Linear(3, 4)
        self.items = nn.ModuleList([nn.Linear(4, 5, bias=False), nn.LayerNorm(5)])
        self.again = self.first

    def forward(self, x):
        for item in self.items:
            x = item(x if item is not self.items[0] else self.first(x))
        return x


def test_names_are_pytorchs_and_shared_parameters_count_once():
    pair = _Pair()
    assert [name for name, _ in pair.named_parameters()] == [
        "first.weight",
        "first.bias",
        "items.0.weight",
        "items.1.weight",
        "items.1.bias",
    ]
    assert pair.num_parameters() == 3 * 4 + 4 + 4 * 5 + 5 + 5
    assert sum(1 for _ in pair.modules()) == 5
    pair.first.requires_grad_(False)
    assert pair.num_parameters(trainable=True) == 4 * 5 + 5 + 5


def test_state_dict_round_trip_keeps_dtype_and_checks_everything_first():
    nn.manual_seed(1)
    one, two = _Pair(), _Pair()
    assert not np.array_equal(one.first.weight.data, two.first.weight.data)
    two.load_state_dict(one.state_dict())
    for (name, a), (_, b) in zip(one.named_parameters(), two.named_parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data, err_msg=name)
        assert not np.shares_memory(a.data, b.data)
    state = {name: array.astype(np.float64) for name, array in one.state_dict().items()}
    two.load_state_dict(state)
    assert two.first.weight.dtype == np.float32
    for broken, word in (
        ({k: v for k, v in state.items() if k != "first.bias"}, "lacks 'first.bias'"),
        ({**state, "extra": np.zeros(1)}, "'extra'"),
        ({**state, "items.1.bias": np.zeros(6)}, r"\(6,\)"),
    ):
        before = two.first.weight.data.copy()
        broken["first.weight"] = broken["first.weight"] + 1
        with pytest.raises(InputError, match=word):
            two.load_state_dict(broken)
        np.testing.assert_array_equal(two.first.weight.data, before)
    two.load_state_dict({"first.bias": np.ones(4)}, strict=False)
    assert two.first.bias.data.tolist() == [1, 1, 1, 1]


def test_manual_seed_repeats_and_to_changes_dtype():
    nn.manual_seed(7)
    one = nn.Linear(5, 6)
    nn.manual_seed(7)
    two = nn.Linear(5, 6, dtype=np.float64)
    np.testing.assert_array_equal(one.weight.data, two.weight.data)
    assert one.to(np.float64).weight.dtype == np.float64
    assert one(Tensor(_normal(2, 5))).dtype == np.float64


def test_shapes_only_takes_no_memory():
    with nn.shapes_only():
        layer = nn.Linear(100_000, 1_000_000)
    assert layer.num_parameters() == 100_000 * 1_000_000 + 1_000_000
    assert layer.weight.data.strides == (0, 0)
    small = nn.Linear(2, 3)
    assert small.weight.data.flags.writeable


def test_train_and_eval_reach_everything_below():
    pair = _Pair()
    pair.eval()
    assert not any(module.training for module in pair.modules())
    pair.train()
    assert all(module.training for module in pair.modules())


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Linear(0, 3),
        lambda: nn.Embedding(3, 0),
        lambda: nn.MLP(4, activation="swish"),
        lambda: nn.GLU(4, 8, activation="gelu"),
        lambda: nn.Attention(10, 4),
        lambda: nn.Attention(16, 4, kv_heads=3),
        lambda: Dropout(1.0),
        lambda: nn.Linear(2, 2).to(device="tpu"),
    ],
)
def test_bad_sizes_are_one_sentence(make):
    with pytest.raises(InputError) as error:
        make()
    assert "\n" not in str(error.value) and len(str(error.value)) > 20


# ---- the layers' formulas


def test_linear_embedding_and_norms_are_their_formulas():
    x = _normal(2, 3, 8)
    linear = nn.Linear(8, 5, dtype=np.float64)
    linear.bias.data = _normal(5, seed=1)
    np.testing.assert_allclose(linear(x).data, x @ linear.weight.data.T + linear.bias.data, 1e-12)
    table = nn.Embedding(7, 4, dtype=np.float64)
    np.testing.assert_array_equal(
        table(np.array([[3, 6], [0, 3]])).data[1, 1], table.weight.data[3]
    )
    norm = nn.LayerNorm(8, eps=1e-3, dtype=np.float64)
    norm.weight.data, norm.bias.data = _normal(8, seed=2), _normal(8, seed=3)
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-3)
    expected = scaled * norm.weight.data + norm.bias.data
    np.testing.assert_allclose(norm(x).data, expected, atol=1e-12)
    bare = nn.LayerNorm(8, eps=1e-3, affine=False)
    np.testing.assert_allclose(bare(x).data, scaled, atol=1e-12)
    assert bare.num_parameters() == 0
    rms = nn.RMSNorm(8, eps=1e-3, dtype=np.float64)
    rms.weight.data = _normal(8, seed=4)
    expected = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-3) * rms.weight.data
    np.testing.assert_allclose(rms(x).data, expected, atol=1e-12)


def _gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def _gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _silu(x):
    return x / (1 + np.exp(-x))


@pytest.mark.parametrize(
    "name, function",
    [
        ("gelu", _gelu),
        ("gelu_tanh", _gelu_tanh),
        ("relu", lambda x: np.maximum(x, 0)),
        ("silu", _silu),
    ],
)
def test_mlp(name, function):
    x = _normal(3, 6)
    mlp = nn.MLP(6, 10, name, dtype=np.float64)
    up = x @ mlp.up.weight.data.T
    np.testing.assert_allclose(mlp(x).data, function(up) @ mlp.down.weight.data.T, atol=1e-12)


@pytest.mark.parametrize(
    "name, function", [("swiglu", _silu), ("geglu", _gelu), ("geglu_tanh", _gelu_tanh)]
)
def test_glu(name, function):
    x = _normal(3, 6)
    glu = nn.GLU(6, 10, name, dtype=np.float64)
    between = function(x @ glu.gate.weight.data.T) * (x @ glu.up.weight.data.T)
    np.testing.assert_allclose(glu(x).data, between @ glu.down.weight.data.T, atol=1e-12)


def test_dropout_depends_on_names_and_not_on_order():
    x = Tensor(np.ones((50, 40), np.float32))
    one, two = Dropout(0.3, "one"), Dropout(0.3, "two")
    with dropout_seed(5, 1):
        first, second = one(x).data, two(x).data
        again = one(x).data
    with dropout_seed(5, 2):
        later = one(x).data
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second) and not np.array_equal(first, later)
    kept = (first != 0).mean()
    assert abs(kept - 0.7) < 4 * math.sqrt(0.21 / x.numel())
    np.testing.assert_allclose(first[first != 0], 1 / 0.7, rtol=1e-6)
    assert not np.array_equal(one(x).data, one(x).data)
    one.eval()
    assert one(x) is x


# ---- positions


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
    with pytest.raises(InputError, match="rope_scaling"):
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


# ---- masks


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


# ---- attention against the loop nests

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
    mixed = attention_loops.attention(q, kv[:, :2], kv[:, 2:]).swapaxes(1, 2).reshape(2, 3, 8)
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
