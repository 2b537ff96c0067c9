"""The small changes of GPT-NeoX to Gemma 3: each against a model by hand, in every way of running.

Gradients against finite differences, counts against arrays and float32 against float64 are in
`test_models`, which runs over the same kinds.
"""

import math

import numpy as np
import pytest
from model_kinds import KINDS, TINY, ids_of, spread
from scipy.special import erf

from minilm import InputError, models, nn
from minilm.analysis import accounting
from minilm.commands.info import of_config
from minilm.inference import (
    ContiguousCache,
    Decoder,
    PagedCache,
    QuantizedCache,
    RollingCache,
    generate,
)
from minilm.inference.following import make_cache
from minilm.inference.supported import unsupported
from minilm.models import Config, EncoderDecoderConfig, Rope, Transformer, model_of
from minilm.models.tree import traits
from minilm.tokenizers import ByteTokenizer
from minilm.train import checkpoints

FAMILIES = ("gpt-neox", "qwen2", "qwen3", "olmo2", "gemma2", "gemma3")
MORE = {
    "starcoder2": models.starcoder2(**TINY, kv_heads=1, window=3),
    "phi3": models.phi3(**TINY, kv_heads=1, ff=12, window=3, rope=Rope(fraction=0.5)),
    "interleaved": models.gpt_neox(**TINY, rope=Rope(100.0, "interleaved", fraction=0.5)),
    "pattern": models.gemma3(
        **{**TINY, "layers": 5}, kv_heads=1, ff=12, head_size=4, window=2, global_every=3
    ),
}
ALL = {**{name: KINDS[name] for name in FAMILIES}, **MORE}


def by_hand(w, ids, c):
    """The logits (T, V) of one text in float64 NumPy, from the formulas; nothing of minilm."""

    def norm(x, name):
        weight, bias = w[f"{name}.weight"], w.get(f"{name}.bias", 0)
        if c.norm == "layer" and "_norm" not in name.split(".")[-1][:6]:
            x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + c.eps) * weight + bias

    def linear(x, name):
        return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0)

    def turn(x, layer):  # (T, D): the first pairs by their angle, one pair after another
        local = c.window is not None and not c.sees_all(layer)
        theta = c.rope.local_theta if local and c.rope.local_theta else c.rope.theta
        count, out = int(c.D * c.rope.fraction), x.copy()
        for i in range(count // 2):
            a, b = (i, i + c.D // 2) if c.rope.layout == "half" else (2 * i, 2 * i + 1)
            angle = np.arange(len(x)) * theta ** (-2 * i / count)
            out[:, a] = x[:, a] * np.cos(angle) - x[:, b] * np.sin(angle)
            out[:, b] = x[:, b] * np.cos(angle) + x[:, a] * np.sin(angle)
        return out

    def attention(x, name, layer):
        q, k, v = np.split(linear(x, f"{name}.qkv"), [c.heads * c.D, (c.heads + c.G) * c.D], -1)
        if c.qk_norm == "all":
            q, k = norm(q, f"{name}.q_norm"), norm(k, f"{name}.k_norm")
        heads = []
        for h in range(c.heads):
            g = h * c.G // c.heads
            one, key = q[:, h * c.D : (h + 1) * c.D], k[:, g * c.D : (g + 1) * c.D]
            if c.qk_norm == "head":
                one, key = norm(one, f"{name}.q_norm"), norm(key, f"{name}.k_norm")
            scores = turn(one, layer) @ turn(key, layer).T
            scores *= c.D**-0.5 if c.attention_scale is None else c.attention_scale
            if c.attention_cap is not None:
                scores = c.attention_cap * np.tanh(scores / c.attention_cap)
            for t in range(len(x)):
                for s in range(len(x)):
                    if s > t or (not c.sees_all(layer) and s <= t - c.window):
                        scores[t, s] = -np.inf
            p = np.exp(scores - scores.max(-1, keepdims=True))
            heads.append(p / p.sum(-1, keepdims=True) @ v[:, g * c.D : (g + 1) * c.D])
        return linear(np.concatenate(heads, -1), f"{name}.out")

    def activate(x):
        if c.activation == "swiglu":
            return x / (1 + np.exp(-x))
        if c.activation == "gelu":
            return x * 0.5 * (1 + erf(x / 2**0.5))
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    def feed_forward(x, name):
        if c.gated:
            h = activate(linear(x, f"{name}.gate")) * linear(x, f"{name}.up")
        else:
            h = activate(linear(x, f"{name}.up"))
        return linear(h, f"{name}.down")

    x = w["tokens.weight"][ids] * c.embedding_scale
    for i in range(c.layers):
        name = f"stack.blocks.{i}"
        parts = (
            (lambda y, n=name, i=i: attention(y, f"{n}.attention", i)),
            (lambda y, n=name: feed_forward(y, f"{n}.feed_forward")),
        )
        before = [lambda y, n=name, k=k: norm(y, f"{n}.norm{k}") for k in (1, 2)]
        if c.norm_position == "parallel":
            x = x + parts[0](before[0](x)) + parts[1](before[1](x))
            continue
        for k, part in enumerate(parts):
            if c.norm_position == "inside":
                x = x + before[k](part(x))
            elif c.norm_position == "both":
                x = x + norm(part(before[k](x)), f"{name}.after_norm{k + 1}")
            else:
                x = x + part(before[k](x))
    logits = norm(x, "stack.norm") @ w["tokens.weight" if c.tie else "head.weight"].T
    return logits if c.logit_cap is None else c.logit_cap * np.tanh(logits / c.logit_cap)


@pytest.mark.parametrize("name", ALL)
def test_each_is_the_model_written_by_hand(name):
    config = ALL[name]
    model = spread(Transformer(config, dtype=np.float64))
    ids = ids_of((2, 12))
    for row, logits in zip(ids, model(ids).data, strict=True):
        np.testing.assert_allclose(by_hand(model.state_dict(), row, config), logits, 1e-9)


SWITCHES = {
    "qwen2": {"attention_bias": False},
    "qwen3": {"qk_norm": None},
    "olmo2": {"norm_position": "pre"},
    "gemma2": {"attention_cap": None},
    "gemma3": {"global_every": None, "rope": Rope(1e6)},
    "gpt-neox": {"rope": Rope(20.0)},
    "pattern": {"global_every": 2},
}


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_changes_what_is_said(name):
    """Far more than rounding would, on the same weights where there are the same."""
    one, other = (spread(model_of(c)) for c in (ALL[name], ALL[name].replace(**SWITCHES[name])))
    theirs = other.state_dict()
    one.load_state_dict({n: theirs.get(n, a) for n, a in one.state_dict().items()})
    ids = ids_of((2, 12))
    assert np.abs(one(ids).data - other(ids).data).max() > 1e-2


CACHES = {
    "contiguous": lambda c, n: ContiguousCache(c, 2, n),
    "paged": lambda c, n: PagedCache.of(c, 2, n, page=5),
    "of its own": lambda c, n: make_cache(spread(model_of(c)), 2, n),
}


@pytest.mark.parametrize("kind", CACHES)
@pytest.mark.parametrize("name", ALL)
def test_decoding_with_a_cache_is_computing_again(name, kind):
    config = ALL[name]
    model, ids = spread(model_of(config)).eval(), ids_of((2, 12))
    cache, whole, at = CACHES[kind](config, 12), model(ids).data, 0
    for count in (5, 1, 3, 1, 1, 1):
        logits = model(ids[:, at : at + count], cache=cache).data
        np.testing.assert_allclose(logits, whole[:, at : at + count], rtol=1e-5, atol=1e-5)
        at += count


@pytest.mark.parametrize("name", ALL)
def test_eight_bits_are_near(name):
    """Closer than half of what the logits vary by."""
    config = ALL[name]
    model, ids = model_of(config, seed=1).eval(), ids_of((2, 12))
    cache, whole = QuantizedCache(config, 2, 12, group=4), model(ids).data
    parts = [model(ids[:, t : t + 1], cache=cache).data for t in range(12)]
    assert np.abs(np.concatenate(parts, axis=1) - whole).max() < 0.02 * whole.std()


@pytest.mark.parametrize("name", ALL)
def test_generated_text_is_the_likeliest_at_every_step(name):
    """Through the compiled decoder or around it, for prompts of two lengths in one batch."""
    model = spread(model_of(ALL[name])).eval()
    prompts = [ids_of(3).tolist(), ids_of(5, seed=2).tolist()]
    for prompt, written in zip(prompts, generate(model, prompts, 6, temperature=0), strict=True):
        text = list(prompt)
        for token in written:
            logits = model(np.array([text])).data[0, -1]
            assert logits[token] > logits.max() - 1e-4
            text.append(token)


def test_the_compiled_decoder_runs_what_it_can_and_names_what_it_cannot():
    why = {name: unsupported(model_of(config)) for name, config in ALL.items()}
    assert why["qwen2"] is why["qwen3"] is why["starcoder2"] is why["phi3"] is None
    assert why["gpt-neox"] == "the model's norm_position is 'parallel'"
    assert why["olmo2"] == "the model's norm_position is 'inside'"
    assert why["gemma2"] == "the model's norm_position is 'both'"
    for field, value in (("attention_cap", 3.0), ("logit_cap", 3.0), ("qk_norm", "all")):
        assert unsupported(model_of(KINDS["llama"].replace(**{field: value}))) is None
    model = model_of(KINDS["window"].replace(global_every=2))
    with pytest.raises(InputError, match="global_every is 2"):
        Decoder(model, ContiguousCache(model.config, 1, 12))


@pytest.mark.parametrize("name", ["qwen2", "qwen3", "starcoder2", "phi3"])
def test_the_compiled_decoder_says_what_the_model_says(name):
    model, ids = spread(model_of(ALL[name])).eval(), ids_of((2, 12))
    cache = ContiguousCache(model.config, 2, 12)
    model(ids[:, :4], cache=cache)
    decoder, whole = Decoder(model, cache), model(ids).data
    for t in range(4, 12):
        np.testing.assert_allclose(decoder.step(ids[:, t]), whole[:, t], rtol=1e-4, atol=1e-4)


def test_a_rolling_cache_would_forget_what_some_layers_see():
    config = KINDS["gemma2"]
    with pytest.raises(InputError, match="global_every is 2"):
        RollingCache(config, 1)
    cache, model = RollingCache((2, 1, 4), 1, window=3), model_of(config)
    model(ids_of((1, 3)), cache=cache)
    with pytest.raises(InputError, match="cache keeps 3 of 4 positions"):
        model(ids_of((1, 1)), cache=cache)
    assert type(make_cache(model_of(config), 1, 12)) is ContiguousCache
    assert type(make_cache(model_of(KINDS["window"]), 1, 12)) is RollingCache


@pytest.mark.parametrize("name", ["gemma2", "gemma3", "pattern"])
def test_padding_documents_and_masks_in_layers_that_take_turns(name):
    config = ALL[name]
    model, ids = spread(model_of(config, dtype=np.float64)), ids_of((1, 9))
    alone = model(ids).data
    padded = np.concatenate([np.zeros((1, 3), int), ids], axis=1)
    valid = np.arange(12)[None] >= 3
    positions = np.maximum(np.arange(12) - 3, 0)[None]
    np.testing.assert_allclose(
        model(padded, valid=valid, positions=positions).data[:, 3:], alone, atol=1e-10
    )
    rows = np.concatenate([ids[:, :4], ids[:, :5]], axis=1)
    own = model(rows, documents=np.repeat([0, 1], [4, 5])[None], positions=[[*range(4), *range(5)]])
    np.testing.assert_allclose(own.data[:, 4:], model(ids[:, :5]).data, atol=1e-10)
    free = config.replace(window=None, global_every=None, rope=config.rope.__class__(1e4))
    everywhere = spread(model_of(free, dtype=np.float64))
    everywhere.load_state_dict(model.state_dict())
    if config.rope.local_theta is None:  # a mask says all, for layers of both kinds
        seen = np.tril(np.ones((9, 9), bool))
        np.testing.assert_allclose(model(ids, mask=seen).data, everywhere(ids).data, atol=1e-10)


def test_recomputed_layers_have_the_gradients_of_kept_ones():
    model, ids = spread(Transformer(ALL["pattern"], dtype=np.float64)), ids_of((2, 12))
    found = []
    for recompute in (False, True):
        model.stack.recompute = recompute
        model.loss(ids, ids).backward()
        found.append([p.grad.copy() for p in model.parameters()])
        for parameter in model.parameters():
            parameter.grad = None
    for kept, again in zip(*found, strict=True):
        np.testing.assert_allclose(again, kept, atol=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_counts_are_those_of_the_arrays(name):
    config = ALL[name]
    counted = accounting.count_parameters(config)
    assert counted.total == model_of(config).num_parameters()
    norms = [a.size for n, a in model_of(config).state_dict().items() if "norm" in n]
    assert counted.norms == sum(norms)


@pytest.mark.parametrize("name", ["gemma2", "gemma3", "pattern"])
@pytest.mark.parametrize("length", [1, 3, 11])
def test_flops_and_cache_of_layers_that_take_turns(name, length):
    """Pairs counted one by one, layer by layer."""
    config = ALL[name]
    pairs = kept = 0
    for layer in range(config.layers):
        window = length if config.sees_all(layer) else config.window
        pairs += sum(1 for t in range(length) for s in range(t + 1) if s > t - window)
        kept += min(length, window)
    flops = accounting.forward_flops(config, length)
    assert flops.scores == 4 * config.heads * config.D * pairs
    assert accounting.kv_cache_bytes(config, length, 3, 4) == 3 * 4 * 2 * config.G * config.D * kept


PUBLISHED = [  # parameters, as the makers' files have them
    (models.gpt_neox(), 20_554_567_680),
    (models.gpt_neox("pythia-70m"), 70_426_624),
    (models.gpt_neox("pythia-160m"), 162_322_944),
    (models.gpt_neox("pythia-410m"), 405_334_016),
    (models.gpt_neox("pythia-1b"), 1_011_781_632),
    (models.gpt_neox("pythia-1.4b"), 1_414_647_808),
    (models.gpt_neox("pythia-2.8b"), 2_775_208_960),
    (models.gpt_neox("pythia-6.9b"), 6_857_302_016),
    (models.gpt_neox("pythia-12b"), 11_846_072_320),
    (models.starcoder2("3b"), 3_030_371_328),
    (models.starcoder2("7b"), 7_173_923_840),
    (models.starcoder2("15b"), 15_957_889_024),
    (models.qwen2("0.5b"), 494_032_768),
    (models.qwen2("1.5b"), 1_543_714_304),
    (models.qwen2("7b"), 7_615_616_512),
    (models.qwen2("72b"), 72_706_203_648),
    (models.qwen3("0.6b"), 596_049_920),
    (models.qwen3("1.7b"), 1_720_574_976),
    (models.qwen3("4b"), 4_022_468_096),
    (models.qwen3("8b"), 8_190_735_360),
    (models.olmo2("1b"), 1_484_916_736),
    (models.olmo2("7b"), 7_298_617_344),
    (models.olmo2("13b"), 13_716_198_400),
    (models.phi3("mini"), 3_821_079_552),
    (models.phi3("medium"), 13_960_238_080),
    (models.gemma2("2b"), 2_614_341_888),
    (models.gemma2("9b"), 9_241_705_984),
    (models.gemma2("27b"), 27_227_128_320),
    (models.gemma3("270m"), 268_098_176),
    (models.gemma3("1b"), 999_885_952),
]


@pytest.mark.parametrize("config, count", PUBLISHED)
def test_published_parameter_counts(config, count):
    assert accounting.count_parameters(config).total == count


@pytest.mark.parametrize("name", ALL)
def test_a_checkpoint_keeps_every_switch(name, tmp_path):
    config = ALL[name].replace(vocab_size=256)
    model = spread(model_of(config))
    checkpoints.begin(tmp_path, config, ByteTokenizer(), {})
    checkpoints.save(tmp_path, model, [], {})
    again, _ = checkpoints.load(tmp_path)
    assert again.config == config == Config.from_dict(config.to_dict())
    ids = ids_of((1, 12))
    np.testing.assert_array_equal(again(ids).data, model(ids).data)


def test_info_says_what_a_model_changes():
    assert of_config(models.gemma2())["also"] == (
        "norm position both, scores capped at 50, logits capped at 30"
    )
    assert of_config(models.gemma3())["context"] == (
        "32768 tokens, of which a token sees 512; in layers 6, 12, ... it sees all"
    )
    assert of_config(models.gpt_neox())["also"] == (
        "norm position parallel, 24 of 96 numbers of a head turn"
    )
    assert of_config(models.olmo2())["also"].endswith("norms on queries and keys (all)")
    assert of_config(models.qwen2())["also"] == "biases on queries, keys and values only"
    assert "also" not in of_config(models.llama())


REFUSED = [
    (lambda: Config(**TINY, qk_norm="rms"), "qk_norm is 'rms'; it must be None, head, all"),
    (lambda: Config(**TINY, attention_bias="q"), "attention_bias is 'q'"),
    (lambda: Config(**TINY, attention_cap=0.0), "attention_cap is 0.0"),
    (lambda: Config(**TINY, logit_cap=float("inf")), "logit_cap is inf"),
    (lambda: Config(**TINY, logit_cap=3.0, head="none"), "logit_cap is 3.0 and head is 'none'"),
    (lambda: Config(**TINY, global_every=2), "global_every is 2 and window is None"),
    (lambda: Config(**TINY, window=3, global_every=1), "global_every is 1"),
    (lambda: Config(**TINY, norm_position="sandwich"), "norm_position is 'sandwich'"),
    (
        lambda: EncoderDecoderConfig(**TINY, norm_position="both"),
        "norm_position is 'both'; in a model of two stacks it must be pre or post",
    ),
    (lambda: Rope(fraction=1.5), "rope fraction is 1.5"),
    (lambda: Rope(local_theta=-1.0), "rope local_theta is -1.0"),
    (
        lambda: Config(**TINY, positions="rope", rope=Rope(fraction=0.25)),
        "of a head 1 numbers would turn",
    ),
    (
        lambda: Config(**TINY, positions="rope", rope=Rope(local_theta=1e4)),
        "rope local_theta is 10000.0 and global_every is None",
    ),
    (lambda: models.gemma2("3b"), "gemma2 size is '3b'; it must be one of 2b, 9b, 27b"),
    (lambda: nn.Attention(8, 2, qk_norm="both"), "qk_norm is 'both'"),
]


@pytest.mark.parametrize("make, words", REFUSED)
def test_what_does_not_fit_is_refused_in_a_sentence(make, words):
    with pytest.raises(InputError) as error:
        make()
    assert words in str(error.value) and "\n" not in str(error.value)


def test_an_encoder_decoder_may_have_norms_on_queries_and_keys_and_caps():
    config = models.t5(**TINY, ff=12, qk_norm="head", attention_cap=3.0, logit_cap=4.0)
    model = spread(model_of(config))
    assert model.num_parameters() == accounting.count_parameters(config).total
    out = model(ids_of((2, 5)), ids_of((2, 4), seed=1)).data
    assert np.abs(out).max() < 4.0


def test_the_tree_says_what_each_family_changed():
    tree = {family.name: family for family in models.family_tree()}
    assert [f.year for f in tree.values()] == sorted(f.year for f in tree.values())
    assert tree["Transformer"].changes == {}
    assert tree["GPT-2"].changes == {
        "stacks": "decoder",
        "norm stands": "before the sub-layer",
        "positions": "learned",
        "feed-forward": "GELU",
        "biases": "everywhere",
    }
    assert tree["Gemma 2 2B"].changes["caps"] == "scores at 50, logits at 30"
    assert tree["Gemma 3 1B"].changes["window"] == "512 tokens in 5 of 6 layers"
    assert tree["OLMo 2 7B"].changes["queries and keys"] == "a norm over all heads"
    assert tree["GPT-NeoX 20B"].changes["positions"] == "RoPE on 25% of a head, base 10000"
    assert tree["Llama 7B"].parameters == 6_738_415_616
    for family in tree.values():
        assert set(family.changes) <= set(family.traits) == set(traits(family.config))
