"""The Transformer of every kind: sizes, values, gradients, what sees what, and clear refusals."""

import dataclasses
import math

import numpy as np
import pytest

from minilm import InputError, models
from minilm.models import Config, Transformer, count_parameters
from minilm.models.walk import single_stack, step
from minilm.nn.dropout import dropout_seed
from minilm.tensor import no_grad

TINY = dict(vocab_size=11, context=12, layers=2, heads=2, channels=8)
KINDS = {
    "gpt2": models.gpt2(**TINY),
    "llama": models.llama(**TINY, kv_heads=1, ff=12),
    "window": models.mistral(**TINY, kv_heads=1, ff=12, window=3),
    "alibi": Config(**TINY, positions="alibi", activation="relu"),
    "relative": Config(**TINY, positions="relative", norm="rms", activation="geglu"),
    "post-norm decoder": Config(**TINY, norm_position="post", positions="sinusoidal"),
    "bert": models.bert(**TINY, ff=12),
    "vaswani": models.vaswani(**TINY, ff=12),
    "t5": models.t5(**TINY, ff=12, decoder_layers=1),
    "prefix-lm": models.prefix_lm(**TINY),
    "glm": models.glm(**TINY),
    "walked": step(Config(**TINY, kind="encoder-decoder"), 3, merged=True),
}


def _ids(shape, vocab=11, seed=0):
    return np.random.default_rng(seed).integers(0, vocab, shape)


def _inputs(config, batch=2, time=6):
    ids = _ids((batch, time), config.vocab_size)
    if config.kind == "encoder-decoder":
        return ids, _ids((batch, time - 1), config.vocab_size, 1)
    return (ids,)


def _options(config):
    return {"prefix": 3} if config.kind in ("prefix-lm", "glm") else {}


def _spread(model, seed=3):
    """Weights large enough that every part matters."""
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.data += rng.normal(0, 0.3, parameter.shape).astype(parameter.dtype)
    return model


# ---- sizes


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
    base = Config(
        **{**TINY, "layers": 6, "heads": 8, "channels": 512},
        kind="encoder-decoder",
        bias=False,
        norm_affine=False,
        positions="none",
    )
    own = count_parameters(step(base, count)) - 11 * 512
    assert own == per_layer * 6 * 512 * 512
    assert own == [44_040_192, 37_748_736, 18_874_368, 18_874_368, 18_874_368][count]
    if count:
        assert count_parameters(step(base, count, merged=True)) == own + 11 * 512


@pytest.mark.parametrize("name", KINDS)
def test_counts_without_memory_agree_with_real_models(name):
    model = Transformer(KINDS[name])
    assert model.num_parameters() == count_parameters(KINDS[name])
    assert model.num_parameters() == sum(a.size for a in model.state_dict().values())


# ---- values


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
    model = _spread(Transformer(config, dtype=np.float64))
    ids = _ids((3, 12))
    logits = model(ids).data
    for row, expected in zip(ids, logits, strict=True):
        np.testing.assert_allclose(_gpt_by_hand(model.state_dict(), row, config), expected, 1e-10)


@pytest.mark.parametrize("name", KINDS)
def test_float32_stays_float32_and_float64_is_the_same_model(name):
    config = KINDS[name]
    small, large = Transformer(config, seed=4), Transformer(config, seed=4, dtype=np.float64)
    out = small(*_inputs(config), **_options(config))
    exact = large(*_inputs(config), **_options(config))
    assert out.dtype == np.float32 and exact.dtype == np.float64
    np.testing.assert_allclose(out.data, exact.data, atol=2e-5)
    assert small.to(np.float64)(*_inputs(config), **_options(config)).dtype == np.float64
    for a, b in zip(small.parameters(), large.parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    loss = Transformer(config).loss(*_inputs(config), _inputs(config)[-1], **_options(config))
    loss.backward()
    assert loss.dtype == np.float32


@pytest.mark.parametrize("name", KINDS)
def test_loss_is_the_mean_of_minus_log_p(name):
    config = KINDS[name]
    model = _spread(Transformer(config, dtype=np.float64))
    inputs = _inputs(config)
    targets = _ids(inputs[-1].shape, seed=5)
    targets[0, 2] = -100
    logits = model(*inputs, **_options(config)).data
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    picked = np.take_along_axis(log_p, np.maximum(targets, 0)[..., None], -1)[..., 0]
    expected = -picked[targets >= 0].mean()
    got = model.loss(*inputs, targets, **_options(config)).item()
    assert got == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("name", KINDS)
def test_gradient_of_the_whole_model_against_finite_differences(name):
    config = KINDS[name]
    model = _spread(Transformer(config, dtype=np.float64))
    inputs = _inputs(config)
    targets = _ids(inputs[-1].shape, seed=5)

    def loss():
        return model.loss(*inputs, targets, **_options(config))

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
    model = _spread(Transformer(KINDS["bert"], dtype=np.float64))
    ids = _ids((2, 6))
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
            model.loss(_ids((2, 9)), _ids((2, 9), seed=1)).backward()
        gradients.append([p.grad for p in model.parameters()])
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


# ---- the first weights


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
    logits = one(_ids((2, 64), 300)).data
    assert logits.std() < 0.5  # near uniform: the loss starts near log V
    assert one.loss(_ids((4, 64), 300), _ids((4, 64), 300, 1)).item() == pytest.approx(
        math.log(300), abs=0.1
    )


def test_dropout_acts_in_training_only():
    config = KINDS["gpt2"].replace(dropout=0.5)
    model = _spread(Transformer(config))
    plain = _spread(Transformer(KINDS["gpt2"]))
    ids = _ids((2, 9))
    with dropout_seed(1):
        first, again = model(ids).data, model(ids).data
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, plain(ids).data)
    model.eval()
    np.testing.assert_array_equal(model(ids).data, plain(ids).data)


# ---- what sees what


def _influence(model, ids, **options):
    """(T, T) bool: does changing the input at j change the output at i?"""
    base = model(ids, **options).data[0]
    seen = np.zeros((ids.shape[1], ids.shape[1]), bool)
    for j in range(ids.shape[1]):
        changed = ids.copy()
        changed[0, j] = (changed[0, j] + 1) % 11
        seen[:, j] = np.abs(model(changed, **options).data[0] - base).max(-1) > 1e-9
    return seen


@pytest.mark.parametrize(
    "name, options, expected",
    [
        ("gpt2", {}, lambda i, j: j <= i),
        ("llama", {}, lambda i, j: j <= i),
        ("alibi", {}, lambda i, j: j <= i),
        ("relative", {}, lambda i, j: j <= i),
        ("bert", {}, lambda i, j: True),
        ("prefix-lm", {"prefix": 4}, lambda i, j: j <= i or j < 4),
        ("glm", {"prefix": 4}, lambda i, j: j <= i or j < 4),
        ("window", {}, lambda i, j: i - 2 * (3 - 1) <= j <= i),  # two layers of window 3
    ],
)
def test_influence(name, options, expected):
    model = _spread(Transformer(KINDS[name], dtype=np.float64))
    seen = _influence(model, _ids((1, 9)), **options)
    wanted = np.array([[expected(i, j) for j in range(9)] for i in range(9)])
    np.testing.assert_array_equal(seen, wanted)


@pytest.mark.parametrize("name", ["gpt2", "llama", "alibi", "relative", "window"])
def test_left_padding_changes_nothing(name):
    model = _spread(Transformer(KINDS[name], dtype=np.float64))
    ids = _ids((1, 5))
    padded = np.concatenate([_ids((1, 4), seed=8), ids], 1)
    valid = np.arange(9)[None] >= 4
    places = np.maximum(np.arange(9) - 4, 0)[None]
    got = model(padded, positions=places, valid=valid).data[:, 4:]
    np.testing.assert_allclose(got, model(ids).data, atol=1e-12)
    assert np.isfinite(model(padded, positions=places, valid=valid).data).all()


@pytest.mark.parametrize("name", ["bert", "vaswani", "t5", "walked"])
def test_padding_of_what_is_read_changes_nothing(name):
    model = _spread(Transformer(KINDS[name], dtype=np.float64))
    ids, target = _ids((2, 5)), _ids((2, 4), seed=1)
    padded = np.concatenate([ids, _ids((2, 3), seed=8)], 1)
    valid = np.broadcast_to(np.arange(8) < 5, (2, 8))
    if name == "bert":
        got, expected = model(padded, valid=valid).data[:, :5], model(ids).data
    elif name == "walked":  # places go on after the padding: compare with other padding
        other = np.concatenate([ids, _ids((2, 3), seed=9)], 1)
        got = model(padded, target, valid=valid).data
        expected = model(other, target, valid=valid).data
        assert not np.allclose(got, model(padded, target).data)
    else:
        got, expected = model(padded, target, valid=valid).data, model(ids, target).data
    np.testing.assert_allclose(got, expected, atol=1e-12)


# ---- the walk


def _walk_base(positions, **changes):
    fields = {**TINY, "layers": 3, "context": 20, "kind": "encoder-decoder", **changes}
    return Config(**fields, positions=positions)


@pytest.mark.parametrize(
    "positions", ["learned", "sinusoidal", "rope", "alibi", "relative", "none"]
)
@pytest.mark.parametrize("count", [3, 4])
def test_walked_model_is_a_single_stack(positions, count):
    """After step 3 with one softmax: a prefix-LM; after step 4: a decoder. To 1e-12."""
    config = step(_walk_base(positions, kv_heads=1), count, merged=True)
    model = _spread(Transformer(config, dtype=np.float64))
    source, target = _ids((2, 7)), _ids((2, 9), seed=1)
    logits = model(source, target).data
    twin = single_stack(model)
    assert twin.config.kind == ("prefix-lm" if count == 3 else "decoder")
    assert twin.num_parameters() == model.num_parameters()
    options = {"prefix": 7} if count == 3 else {}
    single = twin(np.concatenate([source, target], 1), **options).data[:, 7:]
    assert np.abs(logits).max() > 1
    np.testing.assert_allclose(logits, single, atol=1e-12, rtol=0)


def test_before_the_end_of_the_walk_the_models_differ():
    """Two softmaxes, or a target that reads the last layer, are no prefix-LM."""
    base = _walk_base("learned", bias=False, norm_affine=False)
    source, target = _ids((2, 7)), _ids((2, 9), seed=1)
    end = _spread(Transformer(step(base, 3, merged=True), dtype=np.float64))
    reference = end(source, target).data
    for count, merged in ((3, False), (2, True), (2, False)):
        model = Transformer(step(base, count, merged=merged), dtype=np.float64)
        assert model.num_parameters() == end.num_parameters()
        model.load_state_dict(end.state_dict())
        assert np.abs(model(source, target).data - reference).max() > 0.1


def test_step_and_single_stack_refuse():
    base = _walk_base("learned")
    with pytest.raises(InputError, match="count"):
        step(base, 5)
    with pytest.raises(InputError, match="merged_softmax needs share_cross"):
        step(base, 0, merged=True)
    with pytest.raises(InputError, match="merged_softmax"):
        single_stack(Transformer(step(base, 3)))


# ---- refusals


@pytest.mark.parametrize(
    "changes, word",
    [
        (dict(vocab_size=0), "vocab_size"),
        (dict(layers=1.5), "layers"),
        (dict(heads=True), "heads"),
        (dict(channels=9), "channels"),
        (dict(kv_heads=3), "kv_heads"),
        (dict(kind="decoder-only"), "kind"),
        (dict(norm="batch"), "norm"),
        (dict(activation="swish"), "activation"),
        (dict(positions="absolute"), "positions"),
        (dict(positions="rope", head_size=3), "even head size"),
        (dict(positions="2d"), "glm"),
        (dict(kind="glm"), "2d"),
        (dict(dropout=1.0), "dropout"),
        (dict(eps=0), "eps"),
        (dict(window=0), "window"),
        (dict(window=3, kind="encoder"), "window"),
        (dict(decoder_layers=2), "decoder_layers"),
        (dict(pooler=True), "pooler"),
        (dict(rope_scaling={"kind": "cubic"}), "rope_scaling"),
        (dict(share_cross=True), "share_cross"),
        (dict(kind="encoder-decoder", decoder_layers=1, share_stacks=True), "decoder_layers"),
        (dict(positions="relative", relative_buckets=7), "relative_buckets"),
        (dict(positions="relative", relative_distance=8), "relative_distance"),
        (dict(depth=3), "depth"),
    ],
)
def test_bad_configs_are_one_sentence(changes, word):
    with pytest.raises(InputError, match=word) as error:
        Config.from_dict({**TINY, **changes})
    assert "\n" not in str(error.value)


def test_config_goes_through_json_and_lacks_nothing():
    config = models.llama("3-8b", rope_scaling={"kind": "ntk", "factor": 2.0})
    assert Config.from_dict(config.to_dict()) == config
    with pytest.raises(InputError, match="lacks the field 'heads'"):
        Config.from_dict({k: v for k, v in TINY.items() if k != "heads"})
    with pytest.raises(InputError, match="small"):
        models.gpt2("tiny")
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.heads = 3


def _model(name):
    return Transformer(KINDS[name])


@pytest.mark.parametrize(
    "call, word",
    [
        (lambda: _model("gpt2")(_ids((1, 13))), "context is 12"),
        (lambda: _model("gpt2")([[0, 11]]), "from 0 to 10"),
        (lambda: _model("gpt2")([[0, -1]]), "-1"),
        (lambda: _model("gpt2")([0, 1]), "shape"),
        (lambda: _model("gpt2")([[0.5, 1.0]]), "whole numbers"),
        (lambda: _model("gpt2")([[0], [1, 2]]), "ids"),
        (lambda: _model("gpt2")(np.zeros((1, 0), int)), "ids"),
        (lambda: _model("gpt2")([[0, 1]], positions=[0, 1, 2]), "positions"),
        (lambda: _model("gpt2")([[0, 1]], positions=[0, 12]), "12"),
        (lambda: _model("gpt2")([[0, 1]], valid=np.ones((1, 3), bool)), "valid"),
        (lambda: _model("gpt2")([[0, 1]], valid=[[1, 1]]), "bool"),
        (lambda: _model("gpt2")([[0, 1]], prefix=1), "prefix"),
        (lambda: _model("gpt2")([[0, 1]], [[0]]), "target_ids"),
        (lambda: _model("gpt2")([[0, 1]], token_types=[[0, 0]]), "token_types"),
        (lambda: _model("gpt2").loss([[0, 1]], [[0, 1, 2]]), "targets"),
        (lambda: _model("gpt2").loss([[0, 1]]), "ids, targets"),
        (lambda: _model("gpt2").pooled(None), "pooler"),
        (lambda: _model("bert")([[0, 1]], cache=object()), "cache"),
        (lambda: _model("bert")([[0, 1]], token_types=[[0, 2]]), "token_types"),
        (lambda: _model("prefix-lm")([[0, 1]], prefix=3), "prefix"),
        (lambda: _model("prefix-lm")([[0, 1]], prefix=0.5), "prefix"),
        (lambda: _model("glm")([[0, 1]], positions=[[1, 2], [0, 13]]), "positions"),
        (lambda: _model("glm")([[0, 1]], positions=[1, 2]), "GLM"),
        (lambda: _model("t5")([[0, 1]]), "target_ids"),
        (lambda: _model("t5")([[0, 1]], [[0], [1]]), "sequences"),
        (lambda: _model("t5")(None, [[0]]), "cache"),
        (lambda: _model("t5").loss([[0, 1]], [[0]]), "source_ids, target_ids, targets"),
        (lambda: _model("walked")(_ids((1, 7)), _ids((1, 6))), "context is 12"),
        (lambda: Transformer(KINDS["gpt2"], dtype=np.float16), "dtype"),
        (lambda: Transformer(KINDS["gpt2"].replace(head="none")).loss([[0]], [[0]]), "head"),
    ],
)
def test_bad_input_is_one_sentence(call, word):
    with pytest.raises(InputError, match=word) as error:
        call()
    assert "\n" not in str(error.value)
