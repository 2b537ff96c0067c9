"""The fast decoder against the model itself, in logits, in tokens, for every kind of config."""

import math
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minilm
from minilm import InputError, backend, inference, kernels, nn, optim
from minilm.inference import ContiguousCache, Decoder, RollingCache
from minilm.inference.following import make_cache
from minilm.inference.supported import is_overridden, unsupported
from minilm.kernels.decode_step.reference import quantize_rows
from minilm.models import Config, Rope, Transformer
from minilm.tensor import no_grad

TIERS = ("reference", "cpu")
GPT2 = dict(vocab_size=67, context=40, layers=2, heads=2, channels=32, activation="gelu_tanh")
LLAMA = dict(
    GPT2, positions="rope", norm="rms", activation="swiglu", bias=False, tie=False, kv_heads=1
)


def model(seed=0, **fields):
    """Weights large enough that every part matters; logits of some units."""
    m = Transformer(Config(**fields), seed).eval()
    rng = np.random.default_rng(seed)
    for parameter in m.parameters():
        parameter.data += rng.normal(0, 0.1, parameter.shape).astype(np.float32)
    return m


def worst(m, batch, prompt, steps, tier="cpu", weights="float32", seed=0):
    """Largest difference from the model's logits over all positions decoded."""
    ids = np.random.default_rng(seed).integers(0, m.config.vocab_size, (batch, prompt + steps))
    cache = make_cache(m, batch, prompt + steps)
    with no_grad():
        m(ids[:, :prompt], cache=cache)
        full = m(ids).data
    decoder = Decoder(m, cache, weights=weights)
    errors = []
    with kernels.use({"decode_step": kernels.decode_step.tier(tier)}):
        for t in range(prompt, prompt + steps):
            errors.append(np.abs(decoder.step(ids[:, t]) - full[:, t]).max())
    return max(errors)


@pytest.fixture
def threads():
    before = backend.threads()
    yield backend.set_threads
    backend.set_threads(before)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(
    "changes",
    [
        GPT2,
        LLAMA,
        dict(GPT2, positions="alibi", activation="relu", window=5),
        dict(GPT2, positions="none", activation="silu", head_size=7, channels=19),
        dict(GPT2, positions="relative", activation="geglu", kv_heads=2, heads=4, ff=33),
        dict(GPT2, positions="sinusoidal", activation="gelu", channels=6, heads=1),
        dict(GPT2, norm_affine=False, embedding_scale=2.0, logit_scale=0.5, attention_scale=0.3),
        dict(
            LLAMA, rope=Rope(layout="interleaved"), activation="geglu_tanh", window=3, head_size=10
        ),
        dict(LLAMA, rope=Rope(scaling={"kind": "linear", "factor": 2.0}), attention_bias=True),
        dict(LLAMA, qk_norm="head", heads=4, kv_heads=2, head_size=6, logit_cap=3.0),
        dict(LLAMA, qk_norm="all", heads=6, kv_heads=3, head_size=20, attention_cap=1.5),
        dict(GPT2, positions="alibi", qk_norm="head", attention_cap=0.8, window=5, logit_cap=1.0),
    ],
    ids=lambda c: f"{c.get('positions', 'learned')}-{c['activation']}",
)
def test_logits_are_the_models(changes, tier):
    assert worst(model(**changes), 3, 6, 12, tier) < 1e-4


@settings(max_examples=40)
@given(data=st.data())
def test_any_shape(data):
    size = st.integers(1, 40)
    draw = data.draw
    heads, groups = draw(st.sampled_from([(1, 1), (2, 1), (3, 3), (6, 2), (4, 4)]))
    positions = draw(st.sampled_from(["learned", "rope", "alibi", "none"]))
    fields = dict(
        vocab_size=draw(st.integers(2, 70)),
        context=40,
        layers=draw(st.integers(1, 2)),
        heads=heads,
        kv_heads=groups,
        channels=draw(size),
        head_size=2 * draw(st.integers(1, 20)) if positions == "rope" else draw(size),
        ff=draw(st.integers(1, 70)),
        positions=positions,
        norm=draw(st.sampled_from(["layer", "rms"])),
        activation=draw(
            st.sampled_from(["gelu", "gelu_tanh", "relu", "silu", "swiglu", "geglu", "geglu_tanh"])
        ),
        window=draw(st.none() | st.integers(1, 20)),
        qk_norm=draw(st.sampled_from([None, None, "head", "all"])),
        attention_cap=draw(st.sampled_from([None, None, 1.5])),
        logit_cap=draw(st.sampled_from([None, None, 3.0])),
        bias=draw(st.booleans()),
        tie=draw(st.booleans()),
        eps=0.01,  # a norm over one or two channels amplifies rounding without bound otherwise
    )
    m = model(**fields)
    prompt, steps = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    batch = draw(st.integers(1, 9) | st.integers(10, 40))
    assert worst(m, batch, prompt, steps) < 1e-4


def count_calls(monkeypatch):
    """How many tokens the kernel was asked for, call by call."""
    asked, real = [], kernels.decode_step.tier("cpu")
    monkeypatch.setitem(
        kernels.decode_step._tiers, "cpu", lambda *args: asked.append(args[7]) or real(*args)
    )
    return asked


@pytest.mark.parametrize(
    "changes", [GPT2, LLAMA, dict(GPT2, window=6), dict(GPT2, kind="prefix-lm")]
)
@pytest.mark.parametrize(
    "rules",
    [dict(temperature=0), dict(temperature=0, repetition_penalty=1.3), dict(seed=4, top_k=9)],
    ids=["greedy", "penalty", "sampled"],
)
def test_generate_writes_what_the_plain_path_writes(changes, rules, monkeypatch):
    m = model(**changes)
    prompts = [[1, 2, 3], [5], [9, 8, 7, 6, 5, 4, 3]]
    asked = count_calls(monkeypatch)
    fast = inference.generate(m, prompts, 30, **rules)
    assert sum(asked) == 29
    with kernels.use("reference"):
        assert inference.generate(m, prompts, 30, **rules) == fast
    assert sum(asked) == 29
    assert inference.generate(m, prompts[0], 30, **rules) == fast[0]
    with kernels.use("reference"):
        assert inference.generate(m, prompts[0], 30, **rules) == fast[0]


def test_greedy_runs_several_tokens_a_call_and_still_streams_and_stops(monkeypatch):
    m, columns = model(**GPT2), []
    free = inference.generate(m, [1, 2], 30, temperature=0)
    asked = count_calls(monkeypatch)
    stop = free[7]
    wanted = free[: free.index(stop) + 1]
    found = inference.generate(m, [1, 2], 30, temperature=0, stop=[stop], stream=columns.append)
    assert found == wanted == [int(c[0]) for c in columns]
    assert len(asked) < 7


@pytest.mark.parametrize("batch", [5, 37])
def test_any_number_of_threads_gives_the_same_bits(batch, threads):
    m = model(**{**LLAMA, "channels": 200, "head_size": 24, "heads": 3, "vocab_size": 301})
    results = []
    for count in (1, 2, 3, 5):
        threads(count)
        decoder = Decoder(m, make_cache(m, batch, 40))
        new = decoder.greedy(np.arange(batch), 30)
        results.append((new.tobytes(), decoder.logits.tobytes()))
    assert len(set(results)) == 1


def test_a_row_of_a_small_batch_gives_the_bits_it_gives_alone():
    """Many texts at once are added up in another order."""
    m = model(**GPT2)
    together = Decoder(m, make_cache(m, 6, 20))
    together.greedy(np.arange(6), 10)
    for row in range(6):
        alone = Decoder(m, make_cache(m, 1, 20))
        alone.greedy([row], 10)
        np.testing.assert_array_equal(alone.logits[0], together.logits[row])


def test_many_callers_at_once(threads):
    """As simulated ranks do; every decoder's threads are its own, so none waits for a pool."""
    threads(3)
    m = model(**{**GPT2, "channels": 256, "vocab_size": 300})
    wanted = inference.generate(m, [1], 35, temperature=0)
    found = [None] * 4

    def work(rank):
        found[rank] = inference.generate(m, [1], 35, temperature=0)

    callers = [threading.Thread(target=work, args=(rank,)) for rank in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == [wanted] * 4


def test_ties_go_to_the_lowest_id(threads):
    m = model(**dict(GPT2, vocab_size=80, tie=False))
    m.head.weight.data[...] = 0
    for count in (1, 3):
        threads(count)
        assert inference.generate(m, [3], 5, temperature=0) == [0] * 5


def test_a_training_step_between_two_tokens_is_seen():
    m = model(**GPT2)
    decoder = Decoder(m, make_cache(m, 1, 20))
    before = decoder.step([1]).copy()
    opt = optim.SGD(m.parameters(), lr=1.0)
    m.loss(np.array([[1, 2]]), np.array([[2, 3]])).backward()
    opt.step()
    decoder.cache.truncate(0)
    after = decoder.step([1])
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after[0], m([[1]]).data[0, 0], atol=1e-4)


def test_students_functions_are_not_passed_by():
    m, calls = model(**GPT2), []
    assert not is_overridden()

    def softmax(x, axis=-1):
        calls.append(x.shape)
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)

    fast = inference.generate(m, [1, 2], 12, temperature=0)
    with minilm.use(softmax=softmax):
        assert is_overridden()
        assert inference.generate(m, [1, 2], 12, temperature=0) == fast
        assert len(calls) == 12 * 2
        with pytest.raises(InputError, match="int8"):
            inference.generate(m, [1, 2], 12, weights="int8")
    with kernels.use({"gelu": lambda x, tanh: x}):
        assert is_overridden()
    with kernels.use("cpu"):
        assert not is_overridden()
    assert not is_overridden()


class Adapter(nn.Linear):
    """Has a `forward` of its own and does not say what that amounts to."""

    def forward(self, x):
        return 2 * super().forward(x)


class LowRank(Adapter):
    """A map with an update of rank 2 beside it (LoRA), which says what both come to."""

    def __init__(self, ins, outs):
        super().__init__(ins, outs)
        self.down, self.up = nn.Linear(ins, 2, bias=False), nn.Linear(2, outs, bias=False)

    def forward(self, x):
        return nn.Linear.forward(self, x) + self.up(self.down(x))

    def dense(self):
        return self.weight.data + self.up.weight.data @ self.down.weight.data, self.bias.data


@pytest.mark.parametrize("changes", [GPT2, LLAMA], ids=["gpt2", "llama"])
@pytest.mark.parametrize("kind", ["adapted", "8 bits", "4 bits"])
def test_adapted_and_quantized_maps_are_decoded(changes, kind):
    """Logits of the fast decoder beside the model's own, and the text of both."""
    m = model(**changes)
    if kind == "adapted":
        for block in m.stack.blocks:
            outs, ins = block.attention.qkv.weight.shape
            adapted = LowRank(ins, outs)
            if block.attention.qkv.bias is None:
                adapted.bias.data[:] = 0
            block.attention.qkv = adapted
    else:
        nn.quantize_maps(m.stack, bits=int(kind[0]), group=16)
        assert {type(b.attention.out) for b in m.stack.blocks} == {nn.QuantizedLinear}
    assert unsupported(m) is None
    decoder, ids = Decoder(m, make_cache(m, 2, 12)), np.array([[3, 9, 4, 1], [8, 8, 2, 0]])
    with no_grad():
        wanted = m(ids).data
    for t in range(4):
        np.testing.assert_allclose(decoder.step(ids[:, t]), wanted[:, t], atol=2e-4)
    fast = inference.generate(m, [1, 2, 3], 8, temperature=0)
    m.forward = m.forward  # an attribute of its own: the plain path
    assert "unmodified" in unsupported(m)
    assert inference.generate(m, [1, 2, 3], 8, temperature=0) == fast


def test_other_models_take_the_plain_path():
    m = model(**dict(GPT2, norm_position="post"))
    assert "post" in unsupported(m)
    assert len(inference.generate(m, [1], 4, temperature=0)) == 4
    m = model(**GPT2)
    m.stack.blocks[1].attention.qkv = Adapter(32, 96)
    assert "Adapter" in unsupported(m)
    assert len(inference.generate(m, [1], 4, temperature=0)) == 4
    with pytest.raises(InputError, match="Adapter"):
        inference.generate(m, [1], 4, weights="int8")
    with pytest.raises(InputError, match="Adapter"):
        Decoder(m, make_cache(m, 1, 4))
    double = Transformer(Config(**GPT2), dtype=np.float64)
    assert "float32" in unsupported(double)


@pytest.mark.parametrize(
    "call, words",
    [
        (
            lambda d: d.step([1]),
            r"ids is int64 of .*\(1,\); it must be whole numbers of shape \(2,\)",
        ),
        (lambda d: d.step([1.5, 2.0]), "ids is float64 of .*; it must be whole numbers"),
        (lambda d: d.step(["a", "b"]), "it must be whole numbers"),
        (lambda d: d.step([[1], [2, 3]]), "it must be whole numbers"),
        (lambda d: d.step(None), "it must be whole numbers"),
        (lambda d: d.step([-1, 2]), "ids holds -1; the model knows 0 to 66"),
        (lambda d: d.greedy([1, 2], 0), "count is 0; it must be a whole number of 1 or more"),
        (lambda d: d.greedy([1, 2], -3), "count is -3"),
        (lambda d: d.greedy([1, 2], 2.0), "count is 2.0"),
        (lambda d: d.step([1, 67]), "ids holds 67; the model knows 0 to 66"),
        (lambda d: d.greedy([1, 2], 9), "tokens needed are 9; there is room for 8"),
        (lambda d: Decoder(model(**GPT2), d.cache, weights="int4"), "allowed are float32 and int8"),
    ],
)
def test_mistakes(call, words):
    m = model(**GPT2)
    with pytest.raises(InputError, match=words):
        call(Decoder(m, make_cache(m, 2, 8)))


HELD = (2, 2, 16)  # layers, kv_heads, head_size of GPT2 above
WINDOWED = dict(GPT2, window=6)


@pytest.mark.parametrize(
    "fields, cache, words",
    [
        (
            GPT2,
            lambda: ContiguousCache((1, 2, 16), 2, 8),
            r"was made for .*\(1, 2, 16\); the model",
        ),
        (GPT2, lambda: ContiguousCache((2, 1, 16), 2, 8), r"\(2, 1, 16\).* has \(2, 2, 16\)"),
        (GPT2, lambda: ContiguousCache((2, 2, 8), 2, 8), r"\(2, 2, 8\)"),
        (
            GPT2,
            lambda: ContiguousCache(HELD, 2, 8, np.float64),
            "holds float64 on the CPU; the mod",
        ),
        (GPT2, lambda: ContiguousCache(HELD, 2, 8, np.float16), "holds float16"),
        (GPT2, lambda: RollingCache(HELD, 2, window=6), "the last 6 tokens; .* window is None"),
        (WINDOWED, lambda: RollingCache(HELD, 2, window=5), "the last 5 tokens; .* window is 6"),
        (GPT2, lambda: None, "cache is a NoneType; it must be a ContiguousCache or a RollingCache"),
    ],
)
def test_a_cache_of_another_model_is_refused(fields, cache, words):
    """The kernel takes the model's sizes for the cache's, and looks no further."""
    with pytest.raises(InputError, match=words):
        Decoder(model(**fields), cache())


@pytest.mark.parametrize("more", [0, 1, 3])
def test_a_rolling_cache_may_keep_more_than_the_window(more):
    m = model(**WINDOWED)
    ids = np.random.default_rng(0).integers(0, 67, (2, 20))
    decoder = Decoder(m, RollingCache(HELD, 2, window=6 + more))
    found = np.stack([decoder.step(column).copy() for column in ids.T], 1)
    with no_grad():
        np.testing.assert_allclose(found, m(ids).data, atol=1e-4)


@pytest.mark.parametrize(
    "begin, words",
    [
        ([0], r"begin is int64 of shape \(1,\); it must be whole numbers of shape \(2,\)"),
        ([0, 0, 0], r"shape \(3,\)"),
        (1, r"shape \(\)"),
        ([0.0, 1.0], "begin is float64"),
        ([0, -1], "begin holds -1; it must be 0 or more"),
    ],
)
def test_begin_is_a_place_for_every_row(begin, words):
    m = model(**GPT2)
    with pytest.raises(InputError, match=words):
        Decoder(m, make_cache(m, 2, 8), begin)


def test_begin_lies_in_what_is_cached():
    """Also once the cache was truncated: positions before the first would be read."""
    m, begin = model(**GPT2), np.array([3, 0])
    cache = make_cache(m, 2, 8)
    with no_grad():
        m(np.ones((2, 3), int), cache=cache)
    decoder = Decoder(m, cache, begin)
    begin[:] = 7  # the decoder's own are another array
    first = decoder.step([1, 2]).copy()
    np.testing.assert_allclose(first[0], m([[1]]).data[0, 0], atol=1e-4)
    cache.truncate(2)
    with pytest.raises(InputError, match="begin is 3; it must be at most 2, what is cached"):
        decoder.step([1, 2])
    with pytest.raises(InputError, match="begin is 7; it must be at most 2"):
        Decoder(m, cache, begin).step([1, 2])


@settings(max_examples=20)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 99))
def test_int8_errs_by_half_a_step_at_most(rows, columns, seed):
    w = np.random.default_rng(seed).normal(0, 1, (rows, columns)).astype(np.float32)
    w[0] = 0
    codes, scales = quantize_rows(w)
    assert codes.dtype == np.int8 and scales.dtype == np.float32
    error = np.abs(scales[:, None].astype(np.float64) * codes - w)
    assert (error <= scales[:, None] * 0.5001).all()
    assert not codes[0].any() and np.isfinite(scales).all()
    fast = kernels.quantize_rows(w)
    np.testing.assert_allclose(fast[1], scales, rtol=1e-6)
    assert np.abs(fast[0].astype(int) - codes).max() <= 1  # where x / scale is halfway
    assert (
        np.abs(fast[1][:, None].astype(np.float64) * fast[0] - w) <= scales[:, None] * 0.5001
    ).all()


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("changes", [GPT2, dict(LLAMA, channels=19, head_size=6, ff=37)])
def test_int8_is_the_model_with_rounded_matrices(changes, tier):
    """A copy of the model whose matrices are scales * codes gives the same logits.

    The fast tier also rounds what meets the matrices, to 16 bits: that may change the logits by a
    fiftieth of what rounding the matrices to 8 bits changes.
    """
    m = model(**changes)
    rounded = model(**changes)
    pairs = [(rounded.tokens if m.config.tie else rounded.head).weight]
    for block in rounded.stack.blocks:
        maps = [block.attention.qkv, block.attention.out, *vars(block.feed_forward).values()]
        pairs += [one.weight for one in maps if isinstance(one, nn.Linear)]
    for weight in pairs:
        codes, scales = quantize_rows(weight.data)
        weight.data[...] = scales[:, None] * codes
    ids = np.random.default_rng(0).integers(0, 67, (3, 20))
    with kernels.use({"decode_step": kernels.decode_step.tier(tier)}):
        decoder = Decoder(m, make_cache(m, 3, 20), weights="int8")
        found = [decoder.step(ids[:, t]).copy() for t in range(20)]
    with no_grad():
        wanted, exact = _untied_embedding(rounded, m, ids), m(ids).data
    more = np.abs(wanted - exact).max() / 50 if tier == "cpu" else 0
    np.testing.assert_allclose(np.stack(found, 1), wanted, atol=1e-4 + more)


def _untied_embedding(rounded, m, ids):
    """The rounded model's logits, its tokens embedded by the exact table as the decoder does."""
    config = rounded.config.replace(tie=False)
    both = Transformer(config).eval()
    head = rounded.tokens if rounded.config.tie else rounded.head
    state = {**rounded.state_dict(), "head.weight": head.weight.data}
    both.load_state_dict({**state, "tokens.weight": m.tokens.weight.data})
    return both(ids).data


def perplexity(m, ids, weights):
    """Of the fed text, every token predicted by the decoder."""
    decoder = Decoder(m, make_cache(m, *ids.shape), weights=weights)
    losses = []
    for t in range(ids.shape[1] - 1):
        logits = decoder.step(ids[:, t]).astype(np.float64)
        top = logits.max(-1, keepdims=True)
        mass = np.log(np.exp(logits - top).sum(-1)) + top[:, 0]
        losses.append(mass - logits[np.arange(len(ids)), ids[:, t + 1]])
    return math.exp(np.mean(losses))


def test_int8_keeps_the_perplexity_of_a_trained_model():
    """Trained on text until it knows it well; the bound is the one promised, 1 %."""
    text = minilm.data.corpus("python-docs")[:60_000].encode("ascii", "replace")
    tokens = np.frombuffer(text, np.uint8).astype(np.int64)
    train, held = tokens[:50_000], tokens[50_000:]
    config = Config(vocab_size=128, context=64, layers=2, heads=4, channels=64, positions="rope")
    m = Transformer(config, seed=0)
    opt = optim.AdamW(m.parameters(), lr=3e-3)
    rng = np.random.default_rng(0)
    for _ in range(120):
        at = rng.integers(0, len(train) - 65, 16)[:, None] + np.arange(65)
        opt.zero_grad()
        m.loss(train[at[:, :-1]], train[at[:, 1:]]).backward()
        opt.step()
    m.eval()
    ids = held[: 64 * 40].reshape(40, 64)
    exact, rounded = perplexity(m, ids, "float32"), perplexity(m, ids, "int8")
    with no_grad():
        plain = math.exp(m.loss(ids[:, :-1], ids[:, 1:]).item())
    assert exact == pytest.approx(plain, rel=1e-4)
    assert exact < 20  # of 128 equally likely at first
    assert abs(rounded / exact - 1) < 0.01
