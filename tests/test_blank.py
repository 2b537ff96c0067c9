"""GLM's data: the arrays of the paper's example, round trips, and what the model sees."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm import InputError, models
from minilm.models import Transformer
from minilm.models.blank import batch_blanks, blank_out, sample_spans

MASK, START, END = 100, 101, 102
SPECIAL = dict(mask_id=MASK, start_id=START, end_id=END)


def test_the_example_of_the_paper():
    """x1..x6, spans {x3} and {x5, x6}, shuffled to (x5 x6), (x3)."""
    got = blank_out([1, 2, 3, 4, 5, 6], [(2, 3), (4, 6)], [1, 0], **SPECIAL)
    assert got.inputs.tolist() == [1, 2, MASK, 4, MASK, START, 5, 6, START, 3]
    assert got.targets.tolist() == [*[-100] * 5, 5, 6, END, 3, END]
    assert got.positions[0].tolist() == [1, 2, 3, 4, 5, 5, 5, 5, 3, 3]
    assert got.positions[1].tolist() == [0, 0, 0, 0, 0, 1, 2, 3, 1, 2]
    assert got.prefix == 5
    assert got.mask.sum(1).tolist() == [5, 5, 5, 5, 5, 6, 7, 8, 9, 10]
    n_a, n_b = 5, 5
    assert got.mask.sum() == n_a * (n_a + n_b) + n_b * (n_b + 1) // 2
    assert got.loss_mask.sum() == 5


def test_the_whole_text_as_one_span_is_a_language_model():
    got = blank_out([7, 8, 9], [(0, 3)], **SPECIAL)
    assert got.inputs.tolist() == [MASK, START, 7, 8, 9]
    assert got.targets.tolist() == [-100, 7, 8, 9, END]
    assert got.positions.tolist() == [[1, 1, 1, 1, 1], [0, 1, 2, 3, 4]]


def _filled(blanks):
    """The text, from part A and the spans that the targets spell."""
    spans = {}
    for target, place in zip(blanks.targets, blanks.positions[0], strict=True):
        if target != -100:
            spans.setdefault(int(place), []).append(int(target))
    text = []
    for i, token in enumerate(blanks.inputs[: blanks.prefix].tolist(), start=1):
        if token == MASK:
            assert spans[i][-1] == END
            text += spans[i][:-1]
        else:
            text.append(token)
    return text


@given(st.integers(2, 200), st.floats(0.05, 0.4), st.integers(0, 2**31))
def test_sampled_spans_fit_and_the_text_can_be_filled_in(length, ratio, seed):
    rng = np.random.default_rng(seed)
    try:
        spans = sample_spans(length, rng, ratio)
    except InputError:  # too short a text for that many one-token spans
        assert length < 20
        return
    assert sum(past - first for first, past in spans) == max(1, round(ratio * length))
    edges = [edge for span in spans for edge in span]
    assert edges[0] >= 0 and edges[-1] <= length
    assert all(past < first for (_, past), (first, _) in zip(spans, spans[1:], strict=False))
    text = rng.integers(0, 50, length)
    blanks = blank_out(text, spans, rng.permutation(len(spans)).tolist(), **SPECIAL)
    assert _filled(blanks) == text.tolist()


def test_span_lengths_are_poisson():
    """At least 1, mean 3: E[max(1, Poisson(3))] = 3 + e^-3."""
    rng = np.random.default_rng(0)
    lengths = [past - first for _ in range(300) for first, past in sample_spans(400, rng)[:-1]]
    expected = 3 + np.exp(-3)
    # A text ends when 60 tokens are covered, which favours long spans a little at its end.
    assert abs(np.mean(lengths) - expected) < 0.25
    starts = np.array([sample_spans(400, rng)[0][0] for _ in range(200)])
    assert starts.min() < 5 and starts.max() > 30


def _model():
    config = models.glm(vocab_size=110, context=24, layers=2, heads=2, channels=8)
    model = Transformer(config, dtype=np.float64)
    rng = np.random.default_rng(1)
    for parameter in model.parameters():
        parameter.data += rng.normal(0, 0.3, parameter.shape)
    return model


def test_a_batch_gives_what_its_texts_give_alone():
    texts = [
        blank_out([1, 2, 3, 4, 5, 6], [(2, 3), (4, 6)], [1, 0], **SPECIAL),
        blank_out([9, 8, 7], [(1, 2)], **SPECIAL),
    ]
    model, batch = _model(), batch_blanks(texts)
    logits = model(
        batch.inputs, positions=batch.positions, prefix=batch.prefix, valid=batch.valid
    ).data
    total = 0.0
    for i, text in enumerate(texts):
        alone = model(text.inputs[None], positions=text.positions, prefix=text.prefix)
        np.testing.assert_allclose(logits[i, : len(text.inputs)], alone.data[0], atol=1e-12)
        loss = model.loss(
            text.inputs[None], text.targets[None], positions=text.positions, prefix=text.prefix
        )
        total += loss.item() * text.loss_mask.sum()
    together = model.loss(
        batch.inputs,
        batch.targets,
        positions=batch.positions,
        prefix=batch.prefix,
        valid=batch.valid,
    )
    assert together.item() == pytest.approx(total / batch.loss_mask.sum(), abs=1e-12)


def test_both_positions_matter():
    model = _model()
    blanks = blank_out([1, 2, 3, 4, 5, 6], [(2, 3), (4, 6)], **SPECIAL)
    base = model(blanks.inputs[None], positions=blanks.positions, prefix=blanks.prefix).data
    for row in (0, 1):
        moved = blanks.positions.copy()
        moved[row, 7] += 1
        other = model(blanks.inputs[None], positions=moved, prefix=blanks.prefix).data
        assert np.abs(other - base).max() > 1e-3


@pytest.mark.parametrize(
    "call",
    [
        lambda: blank_out([1, 2, 3], [(0, 2), (1, 3)], **SPECIAL),
        lambda: blank_out([1, 2, 3], [(0, 1), (1, 2)], **SPECIAL),
        lambda: blank_out([1, 2, 3], [(1, 1)], **SPECIAL),
        lambda: blank_out([1, 2, 3], [(1, 4)], **SPECIAL),
        lambda: blank_out([1, 2, 3], [(-1, 2)], **SPECIAL),
        lambda: blank_out([1, 2, 3], [(0, 1)], [1], **SPECIAL),
        lambda: blank_out([[1, 2]], [], **SPECIAL),
        lambda: sample_spans(1, np.random.default_rng(0)),
        lambda: sample_spans(10, np.random.default_rng(0), ratio=1.0),
        lambda: sample_spans(10, np.random.default_rng(0), ratio=0.9, mean=0.01),
        lambda: batch_blanks([]),
    ],
)
def test_bad_spans_are_one_sentence(call):
    with pytest.raises(InputError) as error:
        call()
    assert "\n" not in str(error.value)
