"""The Transformer of every kind: sizes, values, gradients, first weights."""

import copy
import math

import numpy as np
import pytest
from model_kinds import KINDS, TINY, ids_of, inputs_of, options_of, spread

from minilm import InputError, models
from minilm import functional as F
from minilm.models import (
    Config,
    EncoderDecoderConfig,
    Transformer,
    count_parameters,
    model_of,
)
from minilm.models.walk import walk_step
from minilm.nn.dropout import dropout_seed
from minilm.tensor import Tensor, no_grad


@pytest.mark.parametrize(
    "config, count",
    [
        (models.gpt2("small"), 124_439_808),
        (models.gpt2("medium"), 354_823_168),
        (models.gpt2("large"), 774_030_080),
        (models.gpt2("xl"), 1_557_611_200),
        (models.gpt3(), 174_604_259_328),
        (models.bert("base", head="none"), 109_482_240),
        (models.bert("large", head="none"), 335_141_888),
        (models.vaswani("base"), 63_045_632),
        (models.mistral(), 7_241_732_096),
        (models.llama("7b"), 6_738_415_616),
        (models.llama("13b"), 13_015_864_320),
        (models.llama("2-70b"), 68_976_648_192),
        (models.llama("3-8b"), 8_030_261_248),
        (models.starcoder("15b"), 15_517_456_384),
        (models.starcoder("santa"), 1_124_886_528),
        (models.santacoder(), 1_124_886_528),
    ],
)
def test_published_parameter_counts(config, count):
    assert count_parameters(config) == count


def test_gpt_counts_follow_the_formula():
    for size in ("small", "xl"):
        c = models.gpt2(size)
        d, depth = c.channels, c.layers
        formula = c.vocab_size * d + c.context * d + depth * (12 * d * d + 13 * d) + 2 * d
        assert count_parameters(c) == formula


@pytest.mark.parametrize("count, per_layer", list(enumerate([28, 24, 12, 12, 12])))
def test_four_step_walk_counts(count, per_layer):
    base = EncoderDecoderConfig(
        **{**TINY, "layers": 6, "heads": 8, "channels": 512},
        bias=False,
        norm_affine=False,
        positions="none",
    )
    own = count_parameters(walk_step(base, count)) - 11 * 512
    assert own == per_layer * 6 * 512 * 512
    assert own == [44_040_192, 37_748_736, 18_874_368, 18_874_368, 18_874_368][count]
    if count:
        assert count_parameters(walk_step(base, count, merged=True)) == own + 11 * 512


@pytest.mark.parametrize("name", KINDS)
def test_counts_without_memory_agree_with_real_models(name):
    model = model_of(KINDS[name])
    assert model.num_parameters() == count_parameters(KINDS[name])
    assert model.num_parameters() == sum(a.size for a in model.state_dict().values())


def _gpt_by_hand(w, ids, config):
    """GPT-2 in plain NumPy, float64, one sequence; nothing of minilm."""

    def norm(x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + config.eps)
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    x = w["tokens.weight"][ids] + w["positions.weight"][: len(ids)]
    for i in range(config.layers):
        block = f"stack.blocks.{i}"
        qkv = linear(norm(x, f"{block}.norm1"), f"{block}.attention.qkv")
        q, k, v = np.split(qkv, 3, axis=-1)
        heads = []
        for h in range(config.heads):
            cut = slice(h * config.D, (h + 1) * config.D)
            scores = q[:, cut] @ k[:, cut].T / math.sqrt(config.D)
            scores[np.triu_indices(len(ids), 1)] = -np.inf
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            heads.append(weights / weights.sum(-1, keepdims=True) @ v[:, cut])
        x = x + linear(np.concatenate(heads, -1), f"{block}.attention.out")
        up = linear(norm(x, f"{block}.norm2"), f"{block}.feed_forward.up")
        act = 0.5 * up * (1 + np.tanh(math.sqrt(2 / math.pi) * (up + 0.044715 * up**3)))
        x = x + linear(act, f"{block}.feed_forward.down")
    return norm(x, "stack.norm") @ w["tokens.weight"].T


def test_gpt2_is_the_model_written_by_hand():
    config = KINDS["gpt2"]
    model = spread(Transformer(config, dtype=np.float64))
    ids = ids_of((3, 12))
    logits = model(ids).data
    for row, expected in zip(ids, logits, strict=True):
        np.testing.assert_allclose(_gpt_by_hand(model.state_dict(), row, config), expected, 1e-10)


@pytest.mark.parametrize("name", KINDS)
def test_float32_stays_float32_and_float64_is_the_same_model(name):
    config = KINDS[name]
    small, large = model_of(config, seed=4), model_of(config, seed=4, dtype=np.float64)
    out = small(*inputs_of(config), **options_of(config))
    exact = large(*inputs_of(config), **options_of(config))
    assert out.dtype == np.float32 and exact.dtype == np.float64
    np.testing.assert_allclose(out.data, exact.data, atol=2e-5)
    assert small.to(np.float64)(*inputs_of(config), **options_of(config)).dtype == np.float64
    for a, b in zip(small.parameters(), large.parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    loss = model_of(config).loss(*inputs_of(config), inputs_of(config)[-1], **options_of(config))
    loss.backward()
    assert loss.dtype == np.float32


@pytest.mark.parametrize("name", KINDS)
def test_loss_is_the_mean_of_minus_log_p(name):
    config = KINDS[name]
    model = spread(model_of(config, dtype=np.float64))
    inputs = inputs_of(config)
    targets = ids_of(inputs[-1].shape, seed=5)
    targets[0, 2] = -100
    logits = model(*inputs, **options_of(config)).data
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    picked = np.take_along_axis(log_p, np.maximum(targets, 0)[..., None], -1)[..., 0]
    expected = -picked[targets >= 0].mean()
    got = model.loss(*inputs, targets, **options_of(config)).item()
    assert got == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("name", KINDS)
def test_gradient_of_the_whole_model_against_finite_differences(name):
    config = KINDS[name]
    model = spread(model_of(config, dtype=np.float64))
    inputs = inputs_of(config)
    targets = ids_of(inputs[-1].shape, seed=5)

    def loss():
        return model.loss(*inputs, targets, **options_of(config))

    loss().backward()
    rng = np.random.default_rng(0)
    for parameter_name, parameter in model.named_parameters():
        if parameter_name.startswith("pooler"):
            assert parameter.grad is None  # the loss does not read it
            continue
        direction = rng.standard_normal(parameter.shape)
        direction /= np.linalg.norm(direction)
        start, step_size = parameter.data, 1e-5
        values = []
        with no_grad():
            for sign in (1, -1):
                parameter.data = start + sign * step_size * direction
                values.append(loss().item())
        parameter.data = start
        numeric = (values[0] - values[1]) / (2 * step_size)
        exact = (parameter.grad * direction).sum()
        assert exact == pytest.approx(numeric, abs=3e-9, rel=1e-6), parameter_name


def test_pooler_gradient_against_finite_differences():
    model = spread(Transformer(KINDS["bert"], dtype=np.float64))
    ids = ids_of((2, 6))
    weight = model.pooler.dense.weight
    (model.pooled(model.hidden(ids)) ** 2.0).sum().backward()
    direction = np.random.default_rng(1).standard_normal(weight.shape)
    start, values = weight.data, []
    for sign in (1, -1):
        weight.data = start + sign * 1e-6 * direction
        values.append((model.pooled(model.hidden(ids)).data ** 2).sum())
    assert (weight.grad * direction).sum() == pytest.approx(
        (values[0] - values[1]) / 2e-6, rel=1e-6
    )


def test_recomputing_blocks_in_backward_gives_the_same_gradient():
    config = KINDS["gpt2"].replace(dropout=0.2)
    gradients = []
    for recompute in (False, True):
        model = Transformer(config, seed=1)
        model.stack.recompute = recompute
        with dropout_seed(3, 7):
            loss = model.loss(ids_of((2, 9)), ids_of((2, 9), seed=1))
        loss.backward()  # as the training loop does it: the seed's block has ended
        gradients.append([p.grad for p in model.parameters()])
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


def test_start_is_seeded_and_named():
    config = Config(vocab_size=300, context=64, layers=8, heads=4, channels=64)
    one, two = Transformer(config, seed=1), Transformer(config, seed=1)
    other = Transformer(config, seed=2)
    deeper = Transformer(config.replace(positions="none", tie=False), seed=1)
    state = one.state_dict()
    for name, array in two.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
    assert not np.array_equal(other.state_dict()["tokens.weight"], state["tokens.weight"])
    np.testing.assert_array_equal(deeper.state_dict()["tokens.weight"], state["tokens.weight"])
    for name, std in (
        ("tokens.weight", 0.02),
        ("stack.blocks.3.attention.qkv.weight", 0.02),
        ("stack.blocks.3.attention.out.weight", 0.02 / 4),
        ("stack.blocks.3.feed_forward.down.weight", 0.02 / 4),
    ):
        values = state[name]
        assert abs(values.std() / std - 1) < 4 / math.sqrt(2 * values.size)
        assert abs(values.mean()) < 4 * std / math.sqrt(values.size)
    assert (state["stack.blocks.0.norm1.weight"] == 1).all()
    assert (state["stack.blocks.0.attention.qkv.bias"] == 0).all()
    logits = one(ids_of((2, 64), 300)).data
    assert logits.std() < 0.5  # near uniform: the loss starts near log V
    assert one.loss(ids_of((4, 64), 300), ids_of((4, 64), 300, 1)).item() == pytest.approx(
        math.log(300), abs=0.1
    )


def test_dropout_acts_in_training_only():
    config = KINDS["gpt2"].replace(dropout=0.5)
    model = spread(Transformer(config))
    plain = spread(Transformer(KINDS["gpt2"]))
    ids = ids_of((2, 9))
    with dropout_seed(1):
        first, again = model(ids).data, model(ids).data
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, plain(ids).data)
    model.eval()
    np.testing.assert_array_equal(model(ids).data, plain(ids).data)


@pytest.mark.parametrize("name", ["gpt2", "walked"])
def test_a_deep_copy_is_another_model_tied_and_shared_alike(name):
    """What a reference model in preference tuning is made of."""
    model = model_of(KINDS[name], seed=2)
    twin = copy.deepcopy(model)
    np.testing.assert_array_equal(
        twin(*inputs_of(KINDS[name])).data, model(*inputs_of(KINDS[name])).data
    )
    assert twin.num_parameters() == model.num_parameters()
    assert twin.head_weight is twin.tokens.weight
    for own, other in zip(model.parameters(), twin.parameters(), strict=True):
        assert not np.shares_memory(own.data, other.data)


@pytest.mark.parametrize("name", [n for n, c in KINDS.items() if c.kind != "encoder-decoder"])
def test_embeddings_take_the_place_of_ids(name):
    """What the token table gives, given by hand, is the same model, and has its slope."""
    config = KINDS[name]
    model = spread(Transformer(config, dtype=np.float64))
    ids, options = ids_of((2, 6)), options_of(config)
    rows = Tensor(model.tokens.weight.data[ids], requires_grad=True)
    out = model(embeddings=rows, **options)
    np.testing.assert_array_equal(out.data, model(ids, **options).data)
    targets = ids_of((2, 6), seed=1)
    model.loss(None, targets, embeddings=rows, **options).backward()
    through = rows.grad
    table = Tensor(model.tokens.weight.data.copy(), requires_grad=True)
    model.loss(None, targets, embeddings=F.embedding(ids, table), **options).backward()
    wanted = np.zeros_like(table.data)
    np.add.at(wanted, ids, through)
    np.testing.assert_allclose(table.grad, wanted, atol=1e-12)
    wide = model(embeddings=rows.data.astype(np.float32), **options)  # in the model's own type
    assert wide.dtype == np.float64


def test_loss_by_the_token_and_with_weights():
    model = spread(Transformer(KINDS["llama"], dtype=np.float64))
    ids, targets = ids_of((2, 6)), ids_of((2, 6), seed=1)
    targets[0, 2] = -100
    each = model.loss(ids, targets, reduction="none")
    logp = np.log(_softmax_of(model(ids).data))
    kept = targets >= 0
    wanted = -np.take_along_axis(logp, np.where(kept, targets, 0)[..., None], -1)[..., 0] * kept
    np.testing.assert_allclose(each.data, wanted, atol=1e-12)
    weights = np.random.default_rng(0).random((2, 6))
    loss = model.loss(ids, targets, weights=weights)
    assert loss.item() == pytest.approx((wanted * weights).sum() / (weights * kept).sum())


def _softmax_of(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_a_scalar_head_is_one_number_for_each_place():
    model = spread(Transformer(KINDS["gpt2"], dtype=np.float64))
    head, ids = models.ScalarHead(8, dtype=np.float64), ids_of((3, 6))
    hidden = model.hidden(ids)
    values, weight = head(hidden), head.dense.weight
    np.testing.assert_allclose(values.data, hidden.data @ weight.data[0], atol=1e-12)
    last = np.array([5, 2, 0])
    rewards = head.at(hidden, last)
    np.testing.assert_allclose(rewards.data, values.data[np.arange(3), last], atol=1e-12)
    rewards.sum().backward()
    np.testing.assert_allclose(weight.grad[0], hidden.data[np.arange(3), last].sum(0), atol=1e-12)
    assert all(p.grad is not None for p in model.parameters())
    for places, words in (([5, 2], "shape (2,)"), ([0, 6, 1], "holds 6"), ([0.0, 1, 2], "float64")):
        with pytest.raises(InputError) as error:
            head.at(hidden, places)
        assert words in str(error.value)
