"""Mamba and the linear transformer: counts, states, padding, writing, training, checkpoints."""

import numpy as np
import pytest

from minilm import InputError, models, nn
from minilm.analysis import state_costs
from minilm.backend import IGNORE
from minilm.inference import generate
from minilm.models import LinearConfig, LinearTransformer, Mamba, MambaConfig, config_of, model_of
from minilm.tensor import no_grad
from minilm.train import default_optimizer, train

CONFIGS = {
    "mamba": MambaConfig(vocab_size=29, context=64, layers=3, channels=20, states=5, init_std=0.1),
    "odd mamba": MambaConfig(
        vocab_size=11,
        context=64,
        layers=1,
        channels=7,
        inner=9,
        states=1,
        conv=1,
        rank=3,
        tie=False,
    ),
    "linear": LinearConfig(vocab_size=29, context=64, layers=2, heads=3, channels=18, init_std=0.1),
    "placed linear": LinearConfig(
        vocab_size=11,
        context=64,
        layers=2,
        heads=1,
        channels=8,
        ff=5,
        positions="learned",
        tie=False,
    ),
    "waves": LinearConfig(
        vocab_size=11, context=64, layers=1, heads=2, channels=8, positions="sinusoidal"
    ),
}
every = pytest.mark.parametrize("name", CONFIGS)


def ids_of(config, *shape, seed=0):
    return np.random.default_rng(seed).integers(0, config.vocab_size, shape)


def _logits(model, ids, **options):
    with no_grad():
        return model(ids, **options).data


@every
def test_every_parameter_is_counted(name):
    config = CONFIGS[name]
    model = model_of(config)
    count = state_costs.count_parameters(config)
    assert count.total == model.num_parameters() == models.count_parameters(config)
    assert count.embedding == config.vocab_size * config.channels


def test_published_size_of_mamba_130m():
    """24 blocks of width 768: 129,135,360 parameters, as the authors' mamba-130m has."""
    config = MambaConfig(vocab_size=50280, context=2048, layers=24, channels=768)
    assert state_costs.count_parameters(config).total == 129_135_360
    assert models.count_parameters(config) == 129_135_360


def test_flops_by_hand():
    """One block: C 4, E 8, N 2, K 3, R 1; then a linear block: C 4, two heads of 2, F 6."""
    config = MambaConfig(
        vocab_size=10, context=8, layers=1, channels=4, inner=8, states=2, conv=3, rank=1
    )
    found = state_costs.forward_flops(config, length=5, batch=2)
    assert found.projections == 10 * 2 * (16 * 4 + 5 * 8 + 1 * 8 + 4 * 8)
    assert found.scores == 10 * (6 * 8 * 2 + 3 * 8 + 2 * 3 * 8)
    assert found.head == 10 * 2 * 4 * 10
    linear = LinearConfig(vocab_size=10, context=8, layers=1, heads=2, channels=4, ff=6)
    found = state_costs.forward_flops(linear, length=5, batch=2)
    assert found.projections == 10 * 2 * 4 * 16
    assert found.feed_forward == 10 * 2 * 3 * 4 * 6
    assert found.scores == 10 * 2 * 2 * 2 * (2 * 3)


@every
def test_the_state_has_the_bytes_that_are_counted_and_does_not_grow(name):
    config = CONFIGS[name]
    model = model_of(config)
    states = model.new_states(3)
    counted = state_costs.state_bytes(config, batch=3)
    assert states.nbytes == counted
    with no_grad():
        model.hidden(ids_of(config, 3, 40), cache=states)
    assert states.nbytes == counted and states.length == 40


@every
def test_token_by_token_is_the_whole_text(name):
    """The recurrent form equals the parallel one."""
    config = CONFIGS[name]
    model = model_of(config, seed=1)
    ids = ids_of(config, 2, 37)
    whole = _logits(model, ids)
    states, rows = model.new_states(2), []
    for t in range(37):
        rows.append(_logits(model, ids[:, t : t + 1], cache=states))
    np.testing.assert_allclose(np.concatenate(rows, 1), whole, rtol=0, atol=1e-6)
    states = model.new_states(2)
    parts = [_logits(model, part, cache=states) for part in np.split(ids, [5, 6, 29], axis=1)]
    np.testing.assert_allclose(np.concatenate(parts, 1), whole, rtol=0, atol=1e-6)


@every
def test_no_token_sees_what_comes_later(name):
    config = CONFIGS[name]
    model = model_of(config, seed=1)
    ids = ids_of(config, 1, 20)
    other = ids.copy()
    other[0, 12:] = (other[0, 12:] + 1) % config.vocab_size
    np.testing.assert_array_equal(_logits(model, ids)[:, :12], _logits(model, other)[:, :12])
    assert np.abs(_logits(model, ids)[:, 12:] - _logits(model, other)[:, 12:]).max() > 1e-4


@every
def test_padding_on_the_left_changes_nothing(name):
    config = CONFIGS[name]
    model = model_of(config, seed=1)
    ids = ids_of(config, 1, 9)
    padded = np.concatenate([ids_of(config, 1, 6, seed=5), ids], 1)
    valid = np.arange(15)[None] >= 6
    places = np.maximum(np.arange(15) - 6, 0)[None]
    options = {"valid": valid} | (
        {"positions": places} if "linear" in name or name == "waves" else {}
    )
    np.testing.assert_allclose(
        _logits(model, padded, **options)[:, 6:], _logits(model, ids), rtol=0, atol=2e-6
    )


@every
def test_a_batch_of_prompts_is_written_as_each_alone(name):
    config = CONFIGS[name]
    model = model_of(config, seed=2)
    prompts = [ids_of(config, n, seed=n).tolist() for n in (1, 4, 9)]
    together = generate(model, prompts, 12, temperature=0)
    assert together == [generate(model, prompt, 12, temperature=0) for prompt in prompts]
    longest, best = prompts[2], []
    for _ in range(12):
        best.append(int(_logits(model, [longest + best])[0, -1].argmax()))
    assert together[2] == best


def test_samples_of_one_prompt_share_what_was_read():
    config = CONFIGS["mamba"]
    model = model_of(config, seed=2)
    written = generate(model, [[1, 2, 3]], 8, samples=3, seed=4)
    assert len(written) == 3 and len({tuple(row) for row in written}) > 1


@pytest.mark.parametrize("name", ["mamba", "linear"])
def test_it_learns_and_is_saved(name, tmp_path):
    """A row that repeats: the loss falls below what knowing the letters alone gives."""
    from minilm.tokenizers import ByteTokenizer
    from minilm.train import load

    config = CONFIGS[name].replace(vocab_size=256, context=24)
    model = model_of(config)
    row = np.random.default_rng(0).integers(0, 256, 30)
    tokens = np.tile(row, 60)
    run = train(
        model, tokens, 60, batch=4, lr=1e-2, progress=False, out=tmp_path, tokenizer=ByteTokenizer()
    )
    assert run.losses[-1] < 0.5 * run.losses[0]
    again, _ = load(tmp_path)
    assert type(again) is type(model) and again.config == config
    np.testing.assert_array_equal(_logits(again, [row[:9]]), _logits(model, [row[:9]]))


def test_float64_and_float32_are_one_model():
    for config in (CONFIGS["mamba"], CONFIGS["linear"]):
        ids = ids_of(config, 2, 21)
        narrow, wide = model_of(config, 3), model_of(config, 3, dtype=np.float64)
        assert _logits(wide, ids).dtype == np.float64
        np.testing.assert_allclose(_logits(narrow, ids), _logits(wide, ids), rtol=0, atol=2e-5)


def test_the_gradient_of_the_whole_model_is_that_of_finite_differences():
    for config in (CONFIGS["mamba"], CONFIGS["placed linear"]):
        model = model_of(config, 3, dtype=np.float64)
        ids, targets = ids_of(config, 2, 9), ids_of(config, 2, 9, seed=1)
        targets[0, :3] = IGNORE
        model.loss(ids, targets).backward()
        rng = np.random.default_rng(0)
        for parameter in model.parameters():
            along = rng.standard_normal(parameter.shape)
            kept, slopes = parameter.data.copy(), []
            for sign in (1, -1):
                parameter.data[...] = kept + sign * 1e-5 * along
                slopes.append(model.loss(ids, targets).item())
            parameter.data[...] = kept
            wanted = (slopes[0] - slopes[1]) / 2e-5
            assert abs((parameter.grad * along).sum() - wanted) < 1e-7 + 1e-5 * abs(wanted)


def test_rates_do_not_decay():
    model = Mamba(CONFIGS["mamba"])
    decays = default_optimizer(model)
    free = {id(p) for p in model.parameters() if p.ndim < 2 or not getattr(p, "decays", True)}
    assert sum(p.ndim == 2 for p in model.parameters() if id(p) in free) == 3  # A of three blocks
    groups = decays.groups if hasattr(decays, "groups") else decays.param_groups
    assert {id(p) for g in groups if not g["weight_decay"] for p in g["params"]} == free


def test_first_values_are_those_of_the_paper():
    mixer = Mamba(CONFIGS["mamba"]).blocks[1].mixer
    np.testing.assert_allclose(
        np.exp(mixer.A_log.data), np.tile(np.arange(1, 6), (40, 1)), rtol=1e-6
    )
    steps = np.log1p(np.exp(mixer.dt_proj.bias.data.astype(float)))
    assert 0.001 * 0.999 < steps.min() < 0.005 and 0.02 < steps.max() < 0.1001
    assert (mixer.D.data == 1).all()
    first, second = (nn.Mamba(8, states=3) for _ in range(2))
    assert (first.dt_proj.bias.data != second.dt_proj.bias.data).any()


@every
def test_a_config_survives_json(name):
    import json

    config = CONFIGS[name]
    assert config_of(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(InputError, match="config has 'wings'"):
        config_of({**config.to_dict(), "wings": 2})
    fields = config.to_dict()
    del fields["layers"]
    with pytest.raises(InputError, match="lacks the field 'layers'"):
        config_of(fields)


def _cached(model, batch):
    return model.hidden([[1, 2]], cache=model.new_states(batch))


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda m: MambaConfig(5, 5, 0, 4), "layers is 0; it must be a whole number of 1 or more"),
        (lambda m: MambaConfig(5, 5, 1, 4, inner=0), "inner is 0"),
        (lambda m: LinearConfig(5, 5, 1, 3, 4), "channels is 4; it must be a multiple of heads, 3"),
        (
            lambda m: LinearConfig(5, 5, 1, 2, 4, positions="rope"),
            "positions is 'rope'; allowed are",
        ),
        (lambda m: Mamba(CONFIGS["linear"]), "Mamba takes MambaConfig"),
        (lambda m: m([[29]]), "ids holds 29"),
        (lambda m: m(np.zeros((1, 65), int)), "the model's context is 64"),
        (lambda m: m.new_states(0), "batch is 0"),
        (lambda m: _cached(m, 1), "inside no_grad()"),
        (lambda m: _cached(m, 2), "cache holds 2 texts; ids has 1"),
        (lambda m: m([[1, 2]], valid=np.array([[True, False]])), "padding behind a token"),
        (lambda m: m.new_states(2).truncate(1), "length is 1; it must be 0"),
        (lambda m: m.new_states(2).reorder([2]), "numbers from 0 to 1"),
        (lambda m: nn.Mamba(4, states=0), "states is 0"),
        (lambda m: nn.LinearAttention(4, 3), "multiple of heads, 3"),
    ],
)
def test_mistakes_are_told(call, words):
    with pytest.raises(InputError) as refusal:
        call(Mamba(CONFIGS["mamba"]))
    assert words in str(refusal.value) and "\n" not in str(refusal.value)


def test_shapes_without_memory():
    model = LinearTransformer(CONFIGS["linear"].replace(vocab_size=10**9), allocate=False)
    assert model.num_parameters() > 18 * 10**9
    assert Mamba(CONFIGS["mamba"].replace(channels=20_000), allocate=False).num_parameters() > 10**9
