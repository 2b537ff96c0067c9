"""Sampling rules against their definitions; generation against full recomputation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import minilm
from minilm import InputError, backend, inference
from minilm.inference import sampling
from minilm.models import Config, Transformer

LOGITS = arrays(np.float32, (2, 9), elements=st.floats(-8, 8, width=32))


def shares(logits):
    e = np.exp(logits.astype(np.float64))
    return e / e.sum(-1, keepdims=True)


def kept(logits):
    return logits > -np.inf


@given(LOGITS, st.integers(1, 12))
def test_top_k_keeps_what_fewer_than_k_tokens_beat(logits, k):
    out = sampling.top_k(logits, k)
    better = (logits[:, None, :] > logits[:, :, None]).sum(-1)
    np.testing.assert_array_equal(kept(out), better < k)
    np.testing.assert_array_equal(out[kept(out)], logits[kept(out)])
    assert out.dtype == logits.dtype


@given(LOGITS, st.floats(0.01, 1))
def test_top_p_keeps_the_smallest_set_that_holds_p(logits, p):
    """Without its least likely token the set holds less than p; with it, p or more."""
    out = sampling.top_p(logits, p)
    assert out.dtype == logits.dtype
    for row, share in zip(kept(out), shares(logits)):
        held = share[row]
        assert held.sum() >= p - 1e-6
        assert held.sum() - held.min() < p + 1e-6
        assert not (~row).any() or held.min() >= share[~row].max() - 1e-12


@given(LOGITS, st.floats(0, 1))
def test_min_p_keeps_tokens_that_likely_beside_the_best(logits, p):
    share = shares(logits)
    ratio = share / share.max(-1, keepdims=True)
    clear = np.abs(ratio - p) > 1e-5  # float32 may fall on either side of a tie
    found = kept(sampling.min_p(logits, p))
    np.testing.assert_array_equal(found[clear], (ratio >= p)[clear])
    assert found.any(-1).all()


@given(LOGITS, st.floats(0.1, 10))
def test_temperature_divides(logits, value):
    np.testing.assert_allclose(sampling.temperature(logits, value), logits / value, rtol=1e-5)


def test_repetition_penalty_is_ctrls():
    logits = np.array([[2.0, -2.0, 3.0, -1.0], [2.0, -2.0, 3.0, -1.0]], np.float32)
    out = sampling.repetition_penalty(logits, [np.array([0, 1, 1]), np.array([3])], 2.0)
    np.testing.assert_array_equal(out, [[1.0, -4.0, 3.0, -1.0], [2.0, -2.0, 3.0, -2.0]])


def test_samples_follow_the_softmax():
    logits = np.log(np.array([[0.5, 0.3, 0.2, 0.0]], np.float32) + np.float32(1e-30))
    rng = [backend.rng(0, "test")]
    many = np.repeat(logits, 20_000, axis=0)
    drawn = sampling.sample(many, rng * 20_000)
    found = np.bincount(drawn, minlength=4) / len(drawn)
    np.testing.assert_allclose(found, [0.5, 0.3, 0.2, 0.0], atol=0.015)  # 4 standard errors


class Always:
    """A generator that draws one number for ever."""

    def __init__(self, value):
        self.value = value

    def random(self):
        return self.value


def test_what_was_filtered_out_is_never_drawn_not_even_at_the_edge_of_rounding():
    logits = np.array([[-np.inf, 0.0, 0.0, -np.inf]], np.float32)
    for value, token in [(0.0, 1), (0.4999, 1), (0.5, 2), (1 - 2**-53, 2), (1.0, 2)]:
        assert sampling.sample(logits, [Always(value)]).tolist() == [token]


@pytest.mark.parametrize(
    "call, words",
    [
        (
            lambda x: sampling.temperature(x, 0),
            "temperature is 0; it must be a finite number above 0",
        ),
        (lambda x: sampling.top_k(x, 0), "top_k is 0; it must be 1 or more"),
        (lambda x: sampling.top_p(x, 0), "top_p is 0; it must be above 0 and at most 1"),
        (lambda x: sampling.top_p(x, 1.5), "top_p is 1.5"),
        (lambda x: sampling.min_p(x, 1.5), "min_p is 1.5; it must be from 0 to 1"),
        (lambda x: sampling.repetition_penalty(x, [[0]], 0), "repetition_penalty is 0"),
    ],
)
def test_values_out_of_range(call, words):
    with pytest.raises(InputError, match=words):
        call(np.zeros((1, 3), np.float32))


def model(**changes):
    """A small model whose weights are large enough for its choices to differ."""
    fields = dict(vocab_size=50, context=48, layers=2, heads=2, channels=16, init_std=0.4)
    return Transformer(Config(**{**fields, **changes}), seed=1)


KINDS = {
    "learned": dict(),
    "rope": dict(positions="rope", norm="rms", kv_heads=1),
    "alibi": dict(positions="alibi"),
    "relative": dict(positions="relative"),
    "sinusoidal": dict(positions="sinusoidal"),
    "window": dict(positions="rope", window=5),
    "prefix-lm": dict(kind="prefix-lm", positions="rope"),
}
PROMPTS = [[7], [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5], [2, 7, 1, 8], [49, 0, 49, 0]]


def recomputed(m, prompt, tokens):
    """Greedy without a cache: the whole text again for every token."""
    ids = list(prompt)
    options = {"prefix": len(prompt)} if m.config.kind == "prefix-lm" else {}
    for _ in range(tokens):
        with minilm.no_grad():
            ids.append(int(m(np.array([ids]), **options).data[0, -1].argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize("kind", KINDS)
def test_a_ragged_greedy_batch_gives_what_each_prompt_gives_alone(kind):
    m = model(**KINDS[kind])
    together = inference.generate(m, PROMPTS, 20, temperature=0)
    assert together == [inference.generate(m, p, 20, temperature=0) for p in PROMPTS]
    assert together == [recomputed(m, p, 20) for p in PROMPTS]
    assert len({tuple(row) for row in together}) >= 3


def test_a_seed_repeats_and_another_differs():
    m = model()
    first = inference.generate(m, PROMPTS, 20, seed=3)
    assert first == inference.generate(m, PROMPTS, 20, seed=3)
    assert first != inference.generate(m, PROMPTS, 20, seed=4)
    assert first[0] == inference.generate(m, PROMPTS[0], 20, seed=3)


def test_rows_with_the_same_prompt_differ_when_sampled():
    first, second = inference.generate(model(), [[5, 6], [5, 6]], 20)
    assert first != second


def test_top_k_of_one_and_a_tiny_nucleus_are_greedy():
    m = model()
    wanted = inference.generate(m, PROMPTS, 10, temperature=0)
    assert inference.generate(m, PROMPTS, 10, top_k=1) == wanted
    assert inference.generate(m, PROMPTS, 10, top_p=1e-6) == wanted
    assert inference.generate(m, PROMPTS, 10, min_p=1.0) == wanted


def test_a_row_ends_with_its_stop_token_and_the_others_go_on():
    m = model()
    free = inference.generate(m, PROMPTS, 20, temperature=0)
    stop = free[1][3]
    stopped = inference.generate(m, PROMPTS, 20, temperature=0, stop=[stop])
    for row, line in zip(stopped, free):
        end = line.index(stop) + 1 if stop in line else 20
        assert row == line[:end]
    assert len(stopped[1]) <= 4


def test_a_stream_sees_every_token_as_it_comes():
    m = model()
    columns = []
    rows = inference.generate(m, PROMPTS, 6, stop=[11], stream=lambda new: columns.append(new))
    for r, row in enumerate(rows):
        assert [int(c[r]) for c in columns if c[r] >= 0] == row


def test_endless_reads_its_last_half_again_when_the_context_is_full():
    m = model()
    greedy = inference.Rules(temperature=0)
    text = PROMPTS[1] + list(inference.endless(m, PROMPTS[1], 100, greedy))
    assert len(text) == len(PROMPTS[1]) + 100
    wanted = PROMPTS[1] + inference.generate(m, PROMPTS[1], 48 - len(PROMPTS[1]), temperature=0)
    while len(wanted) < len(text):
        wanted += inference.generate(m, wanted[-24:], 24, temperature=0)
    assert text == wanted[: len(text)]
    with pytest.raises(InputError, match="the prompt is 48 tokens long"):
        list(inference.endless(m, [1] * 48, 3, greedy))
    assert list(inference.endless(m, PROMPTS[1], 100, greedy, stop=[text[13]]))[-1] == text[13]


def test_a_large_penalty_forbids_repetition():
    rows = inference.generate(model(), PROMPTS, 20, temperature=0, repetition_penalty=1e6)
    for prompt, row in zip(PROMPTS, rows):
        assert len(set(row)) == len(row) and not set(prompt) & set(row)


def test_a_students_own_function_chooses():
    asked = []

    def top_p(logits, p):
        asked.append(p)
        return np.where(np.arange(50) == 33, logits, -np.inf)

    with minilm.use(top_p=top_p):
        assert inference.generate(model(), [1, 2], 5, top_p=0.5) == [33] * 5
    assert 0.5 in asked
    assert inference.generate(model(), [1, 2], 5, top_p=0.5) != [33] * 5


def test_training_mode_and_cache_are_as_before():
    m = model(dropout=0.5).train()
    first = inference.generate(m, [1, 2, 3], 8, temperature=0)
    assert m.training
    assert first == inference.generate(m, [1, 2, 3], 8, temperature=0)


@pytest.mark.parametrize(
    "ids, options, words",
    [
        ([], {}, "ids is empty"),
        ([[1], []], {}, "must have at least one whole number"),
        ([1.5], {}, "whole number"),
        ([50], {}, "ids hold 50; the model knows 0 to 49"),
        ([-1], {}, "ids hold -1"),
        ([1], {"tokens": 0}, "tokens is 0; it must be 1 or more"),
        ([1], {"tokens": 48}, "so tokens can be at most 47"),
        ([1] * 49, {}, "the prompt is 49 tokens long; the model's context is 48"),
        ([1], {"temperature": -1}, "temperature is -1"),
        ([1], {"temperature": float("nan")}, "temperature is nan"),
        ([1], {"top_k": 0}, "top_k is 0"),
        ([1], {"top_p": 1.01}, "top_p is 1.01"),
        ([1], {"min_p": -0.1}, "min_p is -0.1"),
        ([1], {"repetition_penalty": 0}, "repetition_penalty is 0"),
    ],
)
def test_mistakes_give_one_sentence_before_the_first_token(ids, options, words):
    with pytest.raises(InputError, match=words):
        inference.generate(model(), ids, **{"tokens": 4, **options})


def test_only_models_that_write_can_generate():
    with pytest.raises(InputError, match="kind is 'encoder'"):
        inference.generate(model(kind="encoder"), [1], 4)
