"""What the tokens of each kind of model see, padding, and the walk to decoder-only."""

import numpy as np
import pytest
from model_kinds import KINDS, TINY, ids_of, inputs_of, spread

from minilm import InputError, use
from minilm.models import EncoderDecoder, EncoderDecoderConfig, Transformer, model_of
from minilm.models.walk import single_stack, walk_step
from minilm.nn import positions


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
    model = spread(Transformer(KINDS[name], dtype=np.float64))
    seen = _influence(model, ids_of((1, 9)), **options)
    wanted = np.array([[expected(i, j) for j in range(9)] for i in range(9)])
    np.testing.assert_array_equal(seen, wanted)


@pytest.mark.parametrize("name", ["gpt2", "llama", "alibi", "relative", "window"])
def test_left_padding_changes_nothing(name):
    model = spread(Transformer(KINDS[name], dtype=np.float64))
    ids = ids_of((1, 5))
    padded = np.concatenate([ids_of((1, 4), seed=8), ids], 1)
    valid = np.arange(9)[None] >= 4
    places = np.maximum(np.arange(9) - 4, 0)[None]
    got = model(padded, positions=places, valid=valid).data[:, 4:]
    np.testing.assert_allclose(got, model(ids).data, atol=1e-12)
    assert np.isfinite(model(padded, positions=places, valid=valid).data).all()


@pytest.mark.parametrize("name", ["gpt2", "llama", "alibi", "relative", "window"])
def test_texts_that_share_a_row_do_not_see_each_other(name):
    model = spread(Transformer(KINDS[name], dtype=np.float64))
    one, two = ids_of((2, 5)), ids_of((2, 4), seed=8)
    both = np.concatenate([one, two], 1)
    apart = {
        "documents": np.tile([0] * 5 + [1] * 4, (2, 1)),
        "positions": np.tile([*range(5), *range(4)], (2, 1)),
    }
    got = model(both, **apart).data
    np.testing.assert_allclose(got[:, :5], model(one).data, atol=1e-12)
    np.testing.assert_allclose(got[:, 5:], model(two).data, atol=1e-12)
    assert np.abs(model(both).data[:, 5:] - got[:, 5:]).max() > 1e-3


def test_documents_of_another_shape_are_refused():
    model = Transformer(KINDS["llama"])
    with pytest.raises(InputError, match=r"documents is int64 of shape \(9,\)"):
        model(ids_of((1, 9)), documents=np.zeros(9, np.int64))
    with pytest.raises(InputError, match="documents is float64"):
        model(ids_of((1, 9)), documents=np.zeros((1, 9)))


@pytest.mark.parametrize("name", ["bert", "vaswani", "t5", "walked"])
def test_padding_of_what_is_read_changes_nothing(name):
    model = spread(model_of(KINDS[name], dtype=np.float64))
    ids, target = ids_of((2, 5)), ids_of((2, 4), seed=1)
    padded = np.concatenate([ids, ids_of((2, 3), seed=8)], 1)
    valid = np.broadcast_to(np.arange(8) < 5, (2, 8))
    if name == "bert":
        got, expected = model(padded, valid=valid).data[:, :5], model(ids).data
    elif name == "walked":  # places go on after the padding: compare with other padding
        other = np.concatenate([ids, ids_of((2, 3), seed=9)], 1)
        got = model(padded, target, valid=valid).data
        expected = model(other, target, valid=valid).data
        assert not np.allclose(got, model(padded, target).data)
    else:
        got, expected = model(padded, target, valid=valid).data, model(ids, target).data
    np.testing.assert_allclose(got, expected, atol=1e-12)


def _walk_base(positions, **changes):
    fields = {**TINY, "layers": 3, "context": 20, **changes}
    return EncoderDecoderConfig(**fields, positions=positions)


@pytest.mark.parametrize(
    "positions", ["learned", "sinusoidal", "rope", "alibi", "relative", "none"]
)
@pytest.mark.parametrize("count", [3, 4])
def test_walked_model_is_a_single_stack(positions, count):
    """After step 3 with one softmax: a prefix-LM; after step 4: a decoder. To 1e-12."""
    config = walk_step(_walk_base(positions, kv_heads=1), count, merged=True)
    model = spread(EncoderDecoder(config, dtype=np.float64))
    source, target = ids_of((2, 7)), ids_of((2, 9), seed=1)
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
    source, target = ids_of((2, 7)), ids_of((2, 9), seed=1)
    end = spread(EncoderDecoder(walk_step(base, 3, merged=True), dtype=np.float64))
    reference = end(source, target).data
    for count, merged in ((3, False), (2, True), (2, False)):
        model = EncoderDecoder(walk_step(base, count, merged=merged), dtype=np.float64)
        assert model.num_parameters() == end.num_parameters()
        model.load_state_dict(end.state_dict())
        assert np.abs(model(source, target).data - reference).max() > 0.1


def test_step_and_single_stack_refuse():
    base = _walk_base("learned")
    with pytest.raises(InputError, match="count"):
        walk_step(base, 5)
    with pytest.raises(InputError, match="merged_softmax needs share_cross"):
        walk_step(base, 0, merged=True)
    with pytest.raises(InputError, match="merged_softmax"):
        single_stack(EncoderDecoder(walk_step(base, 3)))


@pytest.mark.parametrize("count", range(5))
def test_target_places_go_on_where_the_source_ends(count):
    """At every step of the walk: the rows of places 7..15 reach the target, row 16 does not."""
    model = spread(EncoderDecoder(walk_step(_walk_base("learned"), count), dtype=np.float64))
    source, target = ids_of((2, 7)), ids_of((2, 9), seed=1)
    base = model(source, target).data
    for place, reached in ((0, True), (7, True), (15, True), (16, False)):
        model.positions.weight.data[place, 0] += 1.0
        assert (np.abs(model(source, target).data - base).max() > 1e-6) == reached
        model.positions.weight.data[place, 0] -= 1.0


def test_default_places_of_a_glm_count_from_one():
    model = spread(Transformer(KINDS["glm"], dtype=np.float64))
    ids = ids_of((2, 6))
    places = np.array([[1, 2, 3, 4, 5, 6], [0] * 6])
    expected = model(ids, positions=places, prefix=6).data
    np.testing.assert_array_equal(model(ids, prefix=6).data, expected)


def test_scales_of_embedding_scores_and_logits():
    """2017 multiplies embeddings by sqrt(C); T5 leaves scores alone and divides logits by it."""
    plain = KINDS["post-norm decoder"].replace(positions="none")
    ids = ids_of((2, 6))
    model = spread(Transformer(plain, dtype=np.float64))

    def like(**changes):
        other = Transformer(plain.replace(**changes), dtype=np.float64)
        other.load_state_dict(model.state_dict())
        return other

    halved = like(logit_scale=0.5)
    np.testing.assert_allclose(halved(ids).data, model(ids).data / 2, atol=1e-12)
    assert halved.loss(ids, ids).item() != pytest.approx(model.loss(ids, ids).item())
    louder = like(embedding_scale=3.0, tie=True)
    louder.tokens.weight.data = model.tokens.weight.data / 3
    np.testing.assert_allclose(louder(ids).data, model(ids).data / 3, atol=1e-12)
    sharper = like(attention_scale=2.0)
    for block in sharper.blocks:
        rows = plain.heads * plain.D
        block.attention.qkv.weight.data[:rows] /= 2.0 * plain.D**0.5
        block.attention.qkv.bias.data[:rows] /= 2.0 * plain.D**0.5
    np.testing.assert_allclose(sharper(ids).data, model(ids).data, atol=1e-12)


@pytest.mark.parametrize("name", ["rope_table", "rope_frequencies", "sinusoidal"])
def test_a_students_positions_run_in_the_model_and_leave_it(name):
    """Tables are kept between calls; `minilm.use` must neither miss them nor stay in them."""
    model = spread(model_of(KINDS["vaswani" if name == "sinusoidal" else "llama"]))
    inputs = inputs_of(model.config)
    before = model(*inputs).data
    original = getattr(positions, name)

    def doubled(*args, **kwargs):
        made = original(*args, **kwargs)
        return 2 * made if name == "sinusoidal" else (2 * made[0], made[1])

    with use(**{name: doubled}):
        assert np.abs(model(*inputs).data - before).max() > 1e-4
    np.testing.assert_array_equal(model(*inputs).data, before)
