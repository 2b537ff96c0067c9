"""The compiled step of many texts against the model itself, whatever is fed in whatever order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm import InputError, backend, kernels
from minilm.inference.pages import OutOfPages, Pages, PageTable
from minilm.inference.stepping import Share, Stepper
from minilm.models import Config, Rope, Transformer
from minilm.tensor import no_grad

GPT2 = dict(vocab_size=67, context=40, layers=2, heads=2, channels=32, activation="gelu_tanh")
LLAMA = dict(
    GPT2, positions="rope", norm="rms", activation="swiglu", bias=False, tie=False, kv_heads=1
)
CONFIGS = {
    "gpt2": GPT2,
    "llama": LLAMA,
    "alibi, window": dict(GPT2, positions="alibi", activation="relu", window=5),
    "odd sizes": dict(GPT2, positions="none", activation="silu", head_size=7, channels=19),
    "relative": dict(
        GPT2, positions="relative", activation="geglu", kv_heads=2, heads=4, ff=33, window=9
    ),
    "sinusoidal": dict(GPT2, positions="sinusoidal", activation="gelu", channels=6, heads=1),
    "factors": dict(
        GPT2, norm_affine=False, embedding_scale=2.0, logit_scale=0.5, attention_scale=0.3
    ),
    "interleaved": dict(
        LLAMA, rope=Rope(layout="interleaved"), activation="geglu_tanh", window=3, head_size=10
    ),
    "norms on queries and keys": dict(LLAMA, qk_norm="head", heads=4, kv_heads=2, logit_cap=3.0),
    "norms of all heads": dict(
        LLAMA, qk_norm="all", heads=6, kv_heads=3, head_size=20, attention_cap=1.5
    ),
}


def model(seed=0, **fields):
    """Weights large enough that every part matters; logits of some units."""
    made = Transformer(Config(**fields), seed).eval()
    rng = np.random.default_rng(seed)
    for parameter in made.parameters():
        parameter.data += rng.normal(0, 0.1, parameter.shape).astype(np.float32)
    return made


MODELS = {name: model(**fields) for name, fields in CONFIGS.items()}
TIERS = ("reference", "cpu")


def worst(made, texts, page, rng, most=12, tier="cpu", weights="float32"):
    """Largest difference from the model's own logits when texts are fed in random portions."""
    length = texts.shape[1]
    with no_grad():
        full = made(texts).data
    pages = Pages(made.config, len(texts) * -(-length // page) + 3, page)
    feed = Stepper(made, pages, weights)
    # Pages taken turn by turn lie in no order.
    tables, errors = [PageTable(pages) for _ in texts], []
    with kernels.use({"paged_step": kernels.paged_step.tier(tier)}):
        while min(table.length for table in tables) < length:
            shares, expected = [], []
            for row in rng.permutation(len(texts)):
                begin = tables[row].length
                count = min(int(rng.integers(0, most + 1)), length - begin)
                if count:
                    wanted = int(rng.integers(0, count + 1))
                    ids = texts[row, begin : begin + count].tolist()
                    shares.append(Share(tables[row], ids, wanted))
                    expected.append(full[row, begin + count - wanted : begin + count])
            if shares:
                got, right = feed(shares), np.concatenate(expected)
                assert got.shape == right.shape
                errors.append(np.abs(got - right).max(initial=0))
    return max(errors)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("name", CONFIGS)
def test_logits_are_the_models(name, tier):
    rng = np.random.default_rng(1)
    texts = rng.integers(0, 67, (4, 30))
    assert np.abs(MODELS[name](texts).data).max() > 0.5
    assert worst(MODELS[name], texts, 4, rng, tier=tier) < 1e-5


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 20),
    length=st.integers(1, 40),
    page=st.integers(1, 17),
    most=st.integers(1, 40),
    name=st.sampled_from(sorted(CONFIGS)),
)
def test_any_portions(seed, rows, length, page, most, name):
    rng = np.random.default_rng(seed)
    texts = rng.integers(0, 67, (rows, length))
    assert worst(MODELS[name], texts, page, rng, most) < 1e-5


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_give_the_same_bits(threads):
    made = model(**dict(LLAMA, vocab_size=211, channels=64, ff=300))
    texts = np.random.default_rng(0).integers(0, 211, (3, 30))
    found, before = [], backend.threads()
    try:
        for count in (1, threads):
            backend.set_threads(count)
            pages = Pages(made.config, 30, 4)
            shares = [Share(PageTable(pages), text.tolist(), 30) for text in texts]
            found.append(Stepper(made, pages)(shares))
    finally:
        backend.set_threads(before)
    np.testing.assert_array_equal(found[0], found[1])


def test_8_bit_weights_are_near():
    """Beside the model with its weights rounded the same way, which is exact to rounding."""
    made = model(**LLAMA)
    rng = np.random.default_rng(2)
    texts = rng.integers(0, 67, (3, 20))
    exact = np.abs(made(texts).data).max()
    found = {tier: worst(made, texts, 4, rng, tier=tier, weights="int8") for tier in TIERS}
    assert 1e-4 < found["cpu"] < 0.2 * exact
    assert found["reference"] < 0.2 * exact


def test_the_model_itself_runs_what_the_kernel_does_not():
    for made in (
        model(**dict(GPT2, norm_position="post")),
        Transformer(Config(**GPT2), dtype=np.float64).eval(),
    ):
        pages = Pages(made.config, 30, 4, made.tokens.weight.data.dtype)
        feed = Stepper(made, pages)
        assert not feed.compiled
        ids = np.random.default_rng(3).integers(0, 67, (2, 20))
        tables = [PageTable(pages), PageTable(pages)]
        feed([Share(tables[0], ids[0, :7].tolist(), 0)])
        got = feed([Share(tables[0], ids[0, 7:].tolist(), 2), Share(tables[1], ids[1].tolist(), 1)])
        right = made(ids).data[[0, 0, 1], [18, 19, 19]]
        np.testing.assert_allclose(got, right, atol=1e-5, rtol=0)


def test_a_students_kernel_runs_instead():
    """Inside `kernels.use` no compiled short cut may hide another function."""
    made = MODELS["gpt2"]
    pages = Pages(made.config, 10, 4)
    seen = []

    def mine(*args):
        seen.append(args[0].shape)
        return kernels.attention.tier("reference")(*args)

    with kernels.use({"attention": mine}):
        Stepper(made, pages)([Share(PageTable(pages), [1, 2, 3], 1)])
    assert seen


def test_refusals():
    made, other = MODELS["gpt2"], MODELS["llama"]
    pages = Pages(made.config, 4, 4)
    feed, table = Stepper(made, pages), PageTable(pages)
    with pytest.raises(InputError, match="pages were made for"):
        Stepper(other, pages)
    with pytest.raises(InputError, match="float64; the model is float32"):
        Stepper(made, Pages(made.config, 4, 4, np.float64))
    with pytest.raises(InputError, match="ids holds 67; the model knows 0 to 66"):
        feed([Share(table, [67])])
    with pytest.raises(InputError, match="wanted is 2 of 1 ids"):
        feed([Share(table, [1], 2)])
    with pytest.raises(InputError, match="tokens; the model's context is 40"):
        feed([Share(table, [1] * 41)])
    with pytest.raises(InputError, match="other pages"):
        feed([Share(PageTable(Pages(made.config, 4, 4)), [1])])
    with pytest.raises(OutOfPages, match="5 pages are needed; 4 of 4 are free"):
        feed([Share(table, [1] * 17)])
    assert pages.pool.used == 0
