"""BERT's masks and T5's spans: the paper's example, shares, round trips, refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm import InputError, models
from minilm.backend import IGNORE
from minilm.models import (
    EncoderDecoder,
    batch_corrupted,
    corrupt_spans,
    mask_out,
    sample_spans,
)

MASK = 100


def test_masks_have_the_shares_of_bert():
    ids = np.arange(400 * 200).reshape(400, 200) % 90
    inputs, targets = mask_out(ids, np.random.default_rng(0), mask_id=MASK, vocab_size=90)
    chosen = targets != IGNORE
    assert (chosen.sum(1) == 30).all()  # 15 % of each row, exactly
    assert (targets[chosen] == ids[chosen]).all() and (inputs[~chosen] == ids[~chosen]).all()
    n = chosen.sum()
    masked = (inputs == MASK)[chosen].mean()
    kept = (inputs == ids)[chosen].mean()  # a random word is the word itself in 1 of 90 cases
    assert masked == pytest.approx(0.8, abs=4 * (0.16 / n) ** 0.5)
    assert kept == pytest.approx(0.1 + 0.1 / 90, abs=4 * (0.1 / n) ** 0.5)
    assert chosen.mean(0).min() > 0.05  # every place is chosen sometimes
    assert inputs.max() == MASK and inputs[inputs != MASK].max() == 89


def test_one_text_and_a_short_one():
    inputs, targets = mask_out(np.array([5, 6]), np.random.default_rng(1), mask_id=9, vocab_size=7)
    assert inputs.shape == targets.shape == (2,) and (targets != IGNORE).sum() == 1


def test_the_example_of_the_paper():
    """Thank you <X> me to your party <Y> week -> <X> for inviting <Y> last <Z>."""
    words = "Thank you for inviting me to your party last week".split()
    x, y, z, start = 100, 101, 102, 99
    got = corrupt_spans(range(10), [(8, 9), (2, 4)], sentinels=(x, y, z), start_id=start)
    names = dict(enumerate(words)) | {x: "<X>", y: "<Y>", z: "<Z>", start: "<start>"}

    def text(ids):
        return " ".join(names[int(i)] for i in ids)

    assert text(got.source) == "Thank you <X> me to your party <Y> week"
    assert text(got.targets) == "<X> for inviting <Y> last <Z>"
    assert text(got.fed) == "<start> <X> for inviting <Y> last"


@given(st.integers(8, 120), st.integers(0, 2**31))
def test_source_and_target_hold_the_text(length, seed):
    rng = np.random.default_rng(seed)
    text, spans = rng.integers(0, 50, length), sample_spans(length, rng)
    sentinels = tuple(range(100, 101 + len(spans)))
    got = corrupt_spans(text, spans, sentinels=sentinels, start_id=99)
    pieces, now = {}, None
    for token in got.targets.tolist():
        if token >= 100:
            now = token
            pieces[now] = []
        else:
            pieces[now].append(token)
    assert pieces.pop(sentinels[-1]) == []
    rebuilt = [w for t in got.source.tolist() for w in (pieces[t] if t >= 100 else [t])]
    assert rebuilt == text.tolist()
    assert got.fed.tolist() == [99, *got.targets[:-1].tolist()]


def test_a_batch_gives_what_its_texts_give_alone():
    config = models.t5(vocab_size=110, context=16, layers=1, heads=2, channels=8, ff=16)
    model = EncoderDecoder(config, dtype=np.float64)
    how = {"sentinels": (100, 101, 102), "start_id": 99}
    texts = [
        corrupt_spans([1, 2, 3, 4, 5, 6], [(2, 3), (4, 6)], **how),
        corrupt_spans([9, 8, 7], [(1, 2)], **how),
    ]
    batch = batch_corrupted(texts)
    total = sum(
        model.loss(t.source[None], t.fed[None], t.targets[None]).item() * len(t.targets)
        for t in texts
    )
    together = model.loss(batch.source, batch.fed, batch.targets, valid=batch.valid).item()
    assert together == pytest.approx(total / (batch.targets != IGNORE).sum(), abs=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda r: mask_out(np.zeros((2, 3)), r, mask_id=1, vocab_size=2),
        lambda r: mask_out(np.array(3), r, mask_id=1, vocab_size=2),
        lambda r: mask_out(np.array([1, 2]), r, mask_id=1, vocab_size=2, ratio=1.0),
        lambda r: mask_out(np.array([1, 2]), r, mask_id=1, vocab_size=0),
        lambda r: corrupt_spans([1, 2, 3], [(0, 1)], sentinels=(9,), start_id=8),
        lambda r: corrupt_spans([1, 2, 3], [(0, 2), (1, 3)], sentinels=(7, 8, 9), start_id=6),
        lambda r: corrupt_spans([[1]], [], sentinels=(7,), start_id=6),
        lambda r: batch_corrupted([]),
    ],
)
def test_bad_input_is_one_sentence(call):
    with pytest.raises(InputError) as error:
        call(np.random.default_rng(0))
    assert "\n" not in str(error.value)
