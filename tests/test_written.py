"""Texts in arrays: shapes, probabilities, what is alive, and many samples of one prompt."""

import numpy as np
import pytest
from scipy.special import log_softmax

import minilm
from minilm import InputError, inference, kernels
from minilm.inference import Rules
from minilm.inference.following import Following
from minilm.models import Config, Transformer
from minilm.tokenizers import ByteTokenizer

PROMPTS = [[5, 6], [1, 2, 3, 4, 5, 6, 7], [9]]
KINDS = {
    "learned": {},
    "window": dict(positions="rope", window=6),
    "prefix-lm": dict(kind="prefix-lm"),
    "alibi, float64": dict(positions="alibi"),
}


def model(dtype=np.float32, **changes):
    fields = dict(vocab_size=13, context=48, layers=2, heads=2, channels=16)
    made = Transformer(Config(**fields | changes), seed=1, dtype=dtype)
    for p in made.parameters():
        p.data *= 4  # decided enough that probabilities differ
    return made


def made(kind):
    return model(np.float64 if "float64" in kind else np.float32, **KINDS[kind])


def logp_of(m, prompt, row, heat=1.0):
    """log p of each token of a row, from one forward pass over prompt and row."""
    options = {"prefix": len(prompt)} if m.config.kind == "prefix-lm" else {}
    with minilm.no_grad():
        logits = m(np.array([list(prompt) + list(row)]), **options).data[0]
    table = log_softmax(logits[len(prompt) - 1 : -1].astype(np.float64) / heat, axis=-1)
    return table[np.arange(len(row)), row]


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_hold_what_the_lists_hold_and_its_probability(kind):
    m = made(kind)
    lists = inference.generate(m, PROMPTS, 15, seed=3, stop=[7])
    got = inference.generate(m, PROMPTS, 15, seed=3, stop=[7], arrays=True)
    assert got.ids.shape == got.alive.shape == got.logp.shape == (3, 15)
    assert (got.ids.dtype, got.alive.dtype, got.logp.dtype) == (np.int64, bool, np.float32)
    assert got.rows() == lists and any(len(row) < 15 for row in lists)
    for i, row in enumerate(lists):
        assert got.alive[i].tolist() == [t < len(row) for t in range(15)]
        assert not got.ids[i, len(row) :].any() and not got.logp[i, len(row) :].any()
        np.testing.assert_allclose(
            got.logp[i, : len(row)], logp_of(m, PROMPTS[i], row), rtol=1e-4, atol=1e-5
        )


def test_the_probability_is_that_of_the_draw():
    """After the temperature and the filters; of a greedy choice, the model's own."""
    m = model()
    warm = inference.generate(m, PROMPTS, 12, temperature=0.5, arrays=True)
    for i, row in enumerate(warm.rows()):
        np.testing.assert_allclose(warm.logp[i], logp_of(m, PROMPTS[i], row, 0.5), atol=1e-4)
    sure = inference.generate(m, PROMPTS, 12, top_k=1, arrays=True)
    assert np.abs(sure.logp).max() < 1e-6
    greedy = inference.generate(m, PROMPTS, 12, temperature=0, arrays=True)
    assert greedy.rows() == inference.generate(m, PROMPTS, 12, temperature=0) == sure.rows()
    for i, row in enumerate(greedy.rows()):
        np.testing.assert_allclose(greedy.logp[i], logp_of(m, PROMPTS[i], row), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_a_prompt_read_it_once(kind, monkeypatch):
    m, read = made(kind), []
    prompt = Following.prompt
    monkeypatch.setattr(
        Following, "prompt", lambda self: read.append(len(self.batch.ids)) or prompt(self)
    )
    got = inference.generate(m, PROMPTS, 9, samples=4, seed=2, arrays=True)
    assert read == [3] and got.ids.shape == (12, 9)
    for i, row in enumerate(got.rows()):
        np.testing.assert_allclose(got.logp[i], logp_of(m, PROMPTS[i // 4], row), atol=1e-4)
    assert len({tuple(row) for row in got.rows()[:4]}) > 1
    assert inference.generate(m, PROMPTS, 9, samples=4, seed=2) == got.rows()
    one = inference.generate(m, PROMPTS[0], 9, samples=5, temperature=0)
    assert one == [inference.generate(m, PROMPTS[0], 9, temperature=0)] * 5


def test_samples_follow_the_model():
    """Counts of the second token over many samples of one prompt, against p(a) p(b | a)."""
    m = model()
    got = inference.generate(m, [5, 6], 2, samples=4000, arrays=True)
    counts = np.zeros((13, 13))
    np.add.at(counts, (got.ids[:, 0], got.ids[:, 1]), 1)
    with minilm.no_grad():
        pairs = m(np.array([[5, 6, a] for a in range(13)])).data[:, 1:]
    first, then = np.exp(log_softmax(pairs[0, 0])), np.exp(log_softmax(pairs[:, 1], axis=-1))
    wanted = 4000 * first[:, None] * then
    assert (np.abs(counts - wanted) < 5 * np.sqrt(wanted) + 3).all()


def test_a_stream_sees_the_rows_and_the_mode_comes_back():
    m, columns = model(), []
    m.train()
    rows = inference.generate(
        m, PROMPTS, 8, samples=2, stop=[3, 4], stream=lambda new: columns.append(new.copy())
    )
    assert m.training and [[int(c[r]) for c in columns if c[r] >= 0] for r in range(6)] == rows


def test_a_stop_text_ends_rows_of_arrays_as_it_ends_lists():
    m, letters = model(vocab_size=128), ByteTokenizer()  # all ids are letters of ASCII
    free = inference.generate(m, PROMPTS, 12, temperature=0)
    how = {"stop": letters.decode(free[0][3:5]), "tokenizer": letters, "temperature": 0}
    lists = inference.generate(m, PROMPTS, 12, **how)
    assert len(lists[0]) <= 5
    assert inference.generate(m, PROMPTS, 12, arrays=True, **how).rows() == lists
    twice = inference.generate(m, PROMPTS, 12, samples=2, **how)
    assert twice == [row for row in lists for _ in range(2)]


def test_a_students_sample_draws_the_rows():
    with minilm.use(sample=lambda logits, rngs: np.full(len(logits), 8)):
        got = inference.generate(model(), PROMPTS, 4, arrays=True, samples=2)
    assert (got.ids == 8).all()


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(samples=0), "samples is 0"),
        (dict(samples=1.5), "samples is 1.5"),
        (dict(samples=2, tokens=60), "tokens is 60"),
        (dict(arrays=True, temperature=-1), "temperature is -1"),
    ],
)
def test_mistakes_give_one_sentence(options, words):
    with pytest.raises(InputError) as error:
        inference.generate(model(), PROMPTS, **{"tokens": 4, **options})
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_tiers_draw_the_same(dtype):
    rng = np.random.default_rng(0)
    logits = (4 * rng.standard_normal((500, 37))).astype(dtype)
    logits[:, ::3] = -np.inf
    logits[3, 5] = logits[4, 7] = np.inf
    marks = rng.random(500)
    marks[:3] = [0, 1 - 2**-53, 0.5]
    kernel = kernels.draw
    slow, fast = (kernel.tier(tier)(logits, marks) for tier in ("reference", "cpu"))
    assert (slow == fast).all()
    assert np.isfinite(np.delete(logits, [3, 4], 0)[np.arange(498), np.delete(fast, [3, 4])]).all()
    assert fast[3] == 5 and fast[4] == 7
    assert not np.isneginf(logits[np.arange(500), fast]).any()


def test_rules_filter_and_pick_are_choose():
    logits = np.random.default_rng(0).standard_normal((4, 13)).astype(np.float32)
    rules, seen = Rules(0.7, top_k=5, top_p=0.9, repetition_penalty=1.3), [[1, 2]] * 4
    rngs = [[np.random.default_rng(i) for i in range(4)] for _ in range(2)]
    left = rules.filtered(logits, seen)
    assert (np.isneginf(left).sum(axis=1) >= 8).all()
    assert (rules.pick(left, rngs[0]) == rules.choose(logits, seen, rngs[1])).all()
