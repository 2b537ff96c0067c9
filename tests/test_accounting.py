"""Counts against published integers, loop counts and the models themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm.analysis import accounting, costs
from minilm.errors import InputError
from minilm.models import Config, EncoderDecoderConfig, Relative, Rope, model_of
from minilm.models.presets import (
    bert,
    glm,
    gpt2,
    gpt3,
    llama,
    mistral,
    mixtral,
    prefix_lm,
    starcoder,
    t5,
    vaswani,
)

MIXTRAL, MIXTRAL_22B = mixtral(), mixtral("8x22b")


@pytest.mark.parametrize(
    "config, count",
    [
        (gpt2("small"), 124_439_808),
        (gpt2("medium"), 354_823_168),
        (gpt2("large"), 774_030_080),
        (gpt2("xl"), 1_557_611_200),
        (gpt3(), 174_604_259_328),
        (bert("base", head="none"), 109_482_240),
        (bert("large", head="none"), 335_141_888),
        (vaswani("base"), 63_045_632),
        (llama("7b"), 6_738_415_616),
        (llama("13b"), 13_015_864_320),
        (llama("2-70b"), 68_976_648_192),
        (llama("3-8b"), 8_030_261_248),
        (mistral(), 7_241_732_096),
        (starcoder("15b"), 15_517_456_384),
        (starcoder("santa"), 1_124_886_528),
    ],
)
def test_published_parameter_counts(config, count):
    found = accounting.count_parameters(config)
    assert found.total == found.active == count


@pytest.mark.parametrize("size", ["small", "medium", "large", "xl"])
def test_gpt2_closed_form(size):
    c = gpt2(size)
    v, t, n, d = c.vocab_size, c.context, c.layers, c.channels
    expected = v * d + t * d + n * (12 * d * d + 13 * d) + 2 * d
    assert accounting.count_parameters(c).total == expected
    assert accounting.matrix_parameters(c) == 12 * n * d * d


def test_gpt3_without_embeddings_and_biases():
    assert accounting.matrix_parameters(gpt3()) == 173_946_175_488


def test_mixtral_counts_every_expert_and_only_two_are_active():
    found = accounting.count_parameters(MIXTRAL)
    assert (found.total, found.active) == (46_702_792_704, 12_879_925_248)
    assert found.total - found.feed_forward == 1_605_636_096
    assert f"{found.feed_forward / found.total:.2%}" == "96.56%"
    assert f"{found.active / found.total:.2%}" == "27.58%"
    assert f"{(found.total * found.active) ** 0.5 / 1e9:.1f}" == "24.5"
    assert f"{8 * accounting.count_parameters(mistral()).total / 1e9:.2f}" == "57.93"
    large = accounting.count_parameters(MIXTRAL_22B)
    assert (large.total, large.active) == (140_620_634_112, 39_152_031_744)
    for config, counted in ((MIXTRAL, found), (MIXTRAL_22B, large)):
        assert model_of(config, allocate=False).num_parameters() == counted.total
    # The same experts beside a config that has none.
    dense = mistral(window=None, context=32768, rope=Rope(1e6))
    assert accounting.count_parameters(dense, experts=8, experts_per_token=2) == found


SMALL = dict(vocab_size=40, context=12, layers=3, heads=4, channels=24)
ENCODER_DECODER = dict(kind="encoder-decoder", decoder_layers=2)
WALKED = dict(kind="encoder-decoder", joint_positions=True)
VARIANTS = [
    {},
    {"kv_heads": 2, "head_size": 10, "ff": 50, "tie": False},
    {"norm": "rms", "activation": "swiglu", "positions": "rope", "bias": False, "tie": False},
    {"norm": "rms", "activation": "geglu", "positions": "alibi"},
    {"activation": "silu", "bias": False, "attention_bias": True, "positions": "sinusoidal"},
    {"norm_affine": False, "window": 4, "positions": "none"},
    {"activation": "swiglu", "bias": False, "experts": 4, "experts_per_token": 2},
    {"activation": "swiglu", "bias": False, "experts": 3, "experts_per_token": 1,
     "router": "noisy"},
    {"activation": "swiglu", "bias": False, "experts": 1, "experts_per_token": 1,
     "router": "balanced"},
    {"kind": "prefix-lm", "positions": "relative", "bias": False},
    {"kind": "glm", "positions": "2d"},
    {"kind": "encoder", "head": "mlm", "pooler": True, "token_types": 2, "embedding_norm": True},
    {"kind": "encoder", "head": "mlm", "tie": False, "bias": False, "norm_position": "post"},
    {"kind": "encoder", "head": "none", "tie": False},
    ENCODER_DECODER,
    {**ENCODER_DECODER, "norm_position": "post", "attention_bias": False},
    {**ENCODER_DECODER, "norm": "rms", "positions": "relative", "bias": False, "kv_heads": 1},
    {**ENCODER_DECODER, "positions": "relative", "relative": Relative(8, 10)},
    {**WALKED, "share_cross": True},
    {**WALKED, "share_stacks": True, "positions": "relative"},
    {**WALKED, "share_cross": True, "merged_softmax": True},
    {**WALKED, "share_cross": True, "share_stacks": True},
    {**WALKED, "share_cross": True, "share_stacks": True, "same_layer": True},
    {**WALKED, "share_cross": True, "share_stacks": True, "same_layer": True,
     "causal_input": True, "merged_softmax": True},
]  # fmt: skip


@pytest.mark.parametrize(
    "changes", VARIANTS, ids=lambda c: "-".join(map(str, c.values())) or "plain"
)
def test_counts_equal_the_model_itself(changes):
    config = Config.from_dict({**SMALL, **changes})
    names = {p: t.size for p, t in named_sizes(config)}
    found = accounting.count_parameters(config)
    assert found.total == sum(names.values())
    assert found.attention == sum(
        n for p, n in names.items() if ".attention." in p or ".cross." in p
    )
    routers = sum(n for p, n in names.items() if ".router." in p)
    assert found.router == routers
    fed = sum(n for p, n in names.items() if ".feed_forward." in p)
    assert found.feed_forward == fed - routers
    tables = ("positions.", "blocks2d.")
    assert found.positions == sum(
        n for p, n in names.items() if p.startswith(tables) or ".relative." in p
    )


def named_sizes(config):
    model = model_of(config, allocate=False)
    return [(name, np.empty(parameter.shape)) for name, parameter in model.named_parameters()]


@pytest.mark.parametrize("config", [t5("small"), t5("base"), vaswani("big"), prefix_lm(), glm()])
def test_counts_equal_the_full_size_presets(config):
    expected = model_of(config, allocate=False).num_parameters()
    assert accounting.count_parameters(config).total == expected


def test_published_t5_sizes():
    assert accounting.count_parameters(t5("small")).total == 60_506_624
    assert accounting.count_parameters(t5("base")).total == 222_903_552


def test_experts_may_be_fields_of_the_config():
    class Sparse:
        experts, experts_per_token = 8, 2

        def __getattr__(self, name):
            return getattr(MIXTRAL, name)

    assert accounting.count_parameters(Sparse()).total == 46_702_792_704


def test_kaplan_flops_of_gpt2():
    assert accounting.kaplan_flops(gpt2(), 1024) == 188_743_680
    assert accounting.six_nd(accounting.matrix_parameters(gpt2()), 1) == 509_607_936
    assert accounting.six_nd(70e9, 1.4e12) == pytest.approx(5.88e23)
    assert accounting.six_nd(175e9, 300e9) == pytest.approx(3.15e23)
    assert (
        f"{accounting.six_nd(accounting.count_parameters(llama('3-8b')).total, 15e12):.2e}"
        == "7.23e+23"
    )


def test_kaplan_is_the_exact_count_but_for_the_head_and_one_pair_per_token():
    exact = accounting.forward_flops(gpt2(), 1024)
    layers = exact.total - exact.head
    one_pair = 2 * 12 * 2 * 768 // 2  # half a pair per token, 4 d FLOPs a pair, 12 layers
    assert layers == 1024 * (accounting.kaplan_flops(gpt2(), 1024) + one_pair)


WALK = dict(norm_position="pre", bias=False)


def test_the_walk_has_the_published_sizes():
    expected = (44_040_192, 37_748_736, 18_874_368, 18_874_368, 18_874_368)
    steps = [{}, {"share_cross": True}]
    steps.append({**steps[-1], "share_stacks": True})
    steps.append({**steps[-1], "same_layer": True})
    steps.append({**steps[-1], "causal_input": True})
    for step, (switches, count) in enumerate(zip(steps, expected, strict=True)):
        assert costs.walk_parameters(6, 512, step) == count
        found = accounting.count_parameters(vaswani(**WALK, **switches))
        assert found.attention + found.feed_forward == count


@given(st.integers(1, 300), st.integers(1, 300))
def test_an_encoder_decoder_costs_seven_sixths_of_a_decoder(source, target):
    def weights(config, *lengths):
        f = accounting.forward_flops(config, *lengths)
        return f.projections + f.feed_forward

    end = dict(
        share_cross=True,
        share_stacks=True,
        same_layer=True,
        merged_softmax=True,
        joint_positions=True,
    )
    full = weights(vaswani(**WALK), source, target)
    walked = weights(vaswani(**WALK, **end), source, target)
    decoder = weights(
        Config(vocab_size=37000, context=700, layers=6, heads=8, channels=512), source + target
    )
    assert walked == decoder and 6 * full == 7 * decoder


@pytest.mark.parametrize(
    "turns, tokens, pairs",
    [(2, 1.5, "1.654"), (5, 3, "3.61"), (10, 5.5, "6.93"), (20, 10.5, "13.59")],
)
def test_chat_costs(turns, tokens, pairs):
    cached = costs.chat_cost(turns, 50, 150, "causal")
    again = costs.chat_cost(turns, 50, 150, "bidirectional")
    assert cached.tokens == turns * 200
    assert again.tokens / cached.tokens == tokens
    assert f"{again.pairs / cached.pairs:.{len(pairs.split('.')[1])}f}" == pairs


@given(st.integers(1, 6), st.integers(0, 5), st.integers(0, 5))
def test_chat_costs_equal_a_count(turns, user, answer):
    if user + answer == 0:
        return
    tokens = pairs = 0
    for turn in range(1, turns + 1):
        read = (turn - 1) * (user + answer) + user
        tokens += read + answer
        pairs += read * read + sum(read + i for i in range(1, answer + 1))
    assert costs.chat_cost(turns, user, answer, "bidirectional") == (tokens, pairs)
    n = turns * (user + answer)
    assert costs.chat_cost(turns, user, answer, "causal") == (n, sum(range(n + 1)))
    assert 2 * tokens == (turns + 1) * n


@pytest.mark.parametrize(
    "config, count",
    [
        (gpt2(), 36_864),
        (llama("7b"), 524_288),
        (mistral(), 131_072),
        (MIXTRAL, 131_072),
        (llama("2-70b"), 327_680),
        (llama("2-70b", kv_heads=None), 2_621_440),
        (starcoder(), 20_480),
        (starcoder(kv_heads=None), 983_040),
        (gpt3(), 4_718_592),
    ],
)
def test_kv_bytes_per_token(config, count):
    assert accounting.kv_bytes_per_token(config) == count
    assert accounting.kv_bytes_per_token(config, element=4) == 2 * count


def test_kv_caches():
    assert costs.latent_kv_bytes(512, 64, 60) == 69_120
    assert accounting.kv_cache_bytes(mistral(), 8192) == 2**29
    assert accounting.kv_cache_bytes(mistral(window=None), 8192) == 2**30
    assert accounting.kv_cache_bytes(MIXTRAL, 32768) == 4 * 2**30
    assert accounting.kv_cache_bytes(t5(), 5, batch=3, source=7) == 3 * 12 * 2 * 6 * 512 * 2


@pytest.mark.parametrize("count", [accounting.kv_bytes_per_token, accounting.kv_cache_bytes])
def test_an_encoder_has_no_cache(count):
    with pytest.raises(InputError, match="an encoder, which has no cache"):
        count(Config(kind="encoder", vocab_size=50, context=8, layers=1, heads=2, channels=16), 4)


def test_activations_of_gpt3():
    s, b, h, a = 2048, 1, 12288, 96
    layer = accounting.activation_bytes_per_layer(gpt3(), s, dropout=True)
    assert layer == s * b * h * 34 + 5 * a * s * s * b == 2.671875 * 2**30
    assert accounting.activation_bytes(gpt3(), s, recompute="full") == 4.5 * 2**30
    selective = accounting.activation_bytes_per_layer(gpt3(), s, dropout=True, recompute="scores")
    assert selective == 34 * s * b * h


def test_grouped_and_gated_layers_keep_less_and_more():
    c = llama("2-70b")
    found = accounting.activation_bytes_per_layer(c, 16, recompute="scores")
    per_token = 4 * 8192 + 2 * 8192 + 2 * 8 * 128 + 3 * 28672  # norms, q and output, k v, gate
    assert found == 2 * 16 * per_token
    dense = accounting.activation_bytes_per_layer(mistral(), 16, recompute="scores")
    sparse = accounting.activation_bytes_per_layer(
        MIXTRAL, 16, recompute="scores", experts=8, experts_per_token=2
    )
    assert sparse - dense == 2 * 16 * (4096 + 3 * 14336)


@given(st.integers(0, 200), st.integers(0, 200), st.sampled_from(["none", "scores", "full"]))
def test_at_the_end_of_the_walk_an_encoder_decoder_keeps_what_one_stack_keeps(
    source, target, recompute
):
    end = dict(share_cross=True, share_stacks=True, same_layer=True, merged_softmax=True)
    walked = vaswani(**WALK, **end, joint_positions=True)
    one = Config(vocab_size=37000, context=700, layers=6, heads=8, channels=512)
    kw = dict(batch=3, dropout=True, recompute=recompute)
    found = accounting.activation_bytes(walked, source, target=target, **kw)
    hidden = source * target if recompute == "none" else 0  # the source never sees the target
    whole = accounting.activation_bytes(one, source + target, **kw)
    assert found == whole - 3 * 6 * 8 * 5 * hidden
    assert whole == accounting.activation_bytes(one, source, target=target, **kw)


@pytest.mark.parametrize("norm_position, ends", [("pre", 2), ("post", 0)])
def test_an_encoder_decoder_keeps_these_arrays(norm_position, ends):
    c = EncoderDecoderConfig(
        vocab_size=50, context=16, layers=2, decoder_layers=3, heads=4, kv_heads=2, channels=24,
        head_size=8, ff=40, norm_position=norm_position,
    )  # fmt: skip
    n, m, b = 7, 5, 2

    def layer(length):  # norms in and out, q k v, mixed, feed-forward before and after
        return length * (4 * 24 + 32 + 2 * 16 + 32 + 2 * 40)

    cross = m * (2 * 24 + 32 + 32) + n * 2 * 16
    kept = 2 * layer(n) + 3 * (layer(m) + cross) + ends * n * 24
    scores = 4 * (2 * n * n + 3 * (m * m + m * n))
    for recompute, numbers in (("scores", kept), ("none", kept + scores)):
        found = accounting.activation_bytes(c, n, b, m, element=4, recompute=recompute)
        assert found == 4 * b * numbers
    masks = 2 * 2 * n * 24 + 3 * 3 * m * 24 + scores  # bytes; and each weight before and after
    found = accounting.activation_bytes(c, n, b, m, element=4, dropout=True)
    assert found == b * (4 * (kept + 2 * scores) + masks)


def test_routing_baselines():
    assert costs.same_first_expert(8) == 1 / 8
    assert costs.shared_expert(8, 2) == pytest.approx(13 / 28)
    hit = [f"{costs.distinct_experts(8, 2, n):.3g}" for n in (1, 2, 4, 8, 16)]
    assert hit == ["2", "3.5", "5.47", "7.2", "7.92"]
    assert costs.score_crossover(768) == 6 * 768


def mask(config, length, target):
    """True where a query may look, by the words of each kind."""
    n = length + target
    q, k = np.arange(n)[:, None], np.arange(n)
    if config.kind == "encoder":
        return np.ones((n, n), bool)
    seen = k <= q
    if config.kind in ("prefix-lm", "glm"):
        seen = seen | (k < length)
    if config.window is not None:
        seen &= k > q - config.window
    return seen


@given(
    st.integers(0, 20),
    st.integers(0, 20),
    st.sampled_from(["decoder", "encoder", "prefix-lm", "window"]),
)
def test_attended_pairs_equal_a_popcount(length, target, kind):
    window = 5 if kind == "window" else None
    kind = "decoder" if kind == "window" else kind
    c = Config(vocab_size=10, context=50, layers=1, heads=2, channels=8, kind=kind, window=window)
    assert accounting.attended_pairs(c, length, target) == {"self": mask(c, length, target).sum()}
    assert (
        accounting.attended_pairs(c, length, target, masked=True)["self"] == (length + target) ** 2
    )


def test_flops_equal_the_products_one_by_one():
    c = Config(
        vocab_size=50, context=16, layers=3, heads=4, kv_heads=2, channels=24, head_size=8, ff=40,
        activation="swiglu",
    )  # fmt: skip
    n, b = 7, 5
    rows = b * n
    q, kv, out = rows * 24 * 32, 2 * rows * 24 * 16, rows * 32 * 24
    pairs = b * sum(range(1, n + 1)) * 4 * 8
    found = accounting.forward_flops(c, n, batch=b)
    assert found.projections == 3 * 2 * (q + kv + out)
    assert found.scores == 3 * 2 * 2 * pairs
    assert found.feed_forward == 3 * 2 * 3 * rows * 24 * 40
    assert found.head == 2 * rows * 24 * 50
    assert accounting.training_flops(c, n, batch=b) == 3 * found.total
    assert accounting.training_flops(c, n, batch=b, recompute=True) == 4 * found.total
    sparse = accounting.forward_flops(c, n, batch=b, experts=4, experts_per_token=2)
    assert sparse.feed_forward == 2 * found.feed_forward
    assert sparse.router == 3 * 2 * rows * 24 * 4


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: accounting.count_parameters(gpt2(), experts=8), "both must be given or neither"),
        (lambda: accounting.count_parameters(gpt2(), 2, 3), "must be from 1 to 2"),
        (lambda: accounting.matrix_parameters(t5()), "encoder-decoder"),
        (lambda: accounting.activation_bytes(t5(), 4, target=-1), "target is -1"),
        (lambda: accounting.activation_bytes_per_layer(gpt2(), 4, recompute="all"), "'scores'"),
        (lambda: accounting.attended_pairs(gpt2(), -1), "length is -1"),
        (lambda: costs.walk_parameters(6, 512, 5), "step is 5"),
        (lambda: costs.chat_cost(0, 1, 1, "causal"), "turns is 0"),
        (lambda: costs.chat_cost(1, 1, 1, "both"), "mode is 'both'"),
        (lambda: costs.shared_expert(4, 5), "chosen is 5"),
    ],
)
def test_bad_input_is_one_sentence(call, words):
    with pytest.raises(InputError, match=words):
        call()
