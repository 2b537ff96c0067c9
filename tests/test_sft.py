"""Fine-tuning on conversations: what is learnt, how rows are packed, a larger vocabulary."""

import numpy as np
import pytest

from minilm import nn
from minilm.align import sft, sft_loss
from minilm.backend import IGNORE, rng
from minilm.data import PackedBatches, best_fit
from minilm.errors import InputError
from minilm.inference import generate
from minilm.models import Config, Transformer, grow_vocabulary
from minilm.tensor import no_grad
from minilm.tokenizers import ByteTokenizer, encode_chat
from minilm.tokenizers.chat import CHATML

SMALL = Config(
    vocab_size=30, layers=1, heads=2, channels=32, context=16, norm="rms", positions="rope",
    bias=False,
)  # fmt: skip


def example(length: int, learnt: int, seed: int = 0):
    """`length` ids of which the last `learnt` are the answer."""
    return rng(seed, "example", length).integers(1, 30, length), np.arange(
        length
    ) >= length - learnt


def test_bins_hold_every_item_once_and_no_more_than_they_can():
    lengths = rng(0).integers(1, 12, 60).tolist()
    bins = best_fit(lengths, 16)
    assert sorted(i for b in bins for i in b) == list(range(60))
    assert max(sum(lengths[i] for i in b) for b in bins) <= 16
    assert len(bins) <= 1.1 * np.ceil(sum(lengths) / 16)
    assert best_fit([4, 7, 9, 12], 16) == [[3, 0], [2, 1]]
    with pytest.raises(InputError, match="lengths holds 17"):
        best_fit([3, 17], 16)


def test_packed_rows_hold_each_conversation_shifted_and_marked():
    given = [example(n, n // 2, seed=n) for n in (9, 4, 6, 7, 3, 5)]
    batches = PackedBatches(given, context=16, batch=99)
    batch = batches(0)
    found = {}
    for ids, positions, documents, targets in zip(*batch, strict=True):
        for number in range(documents.max() + 1):
            own = documents == number
            np.testing.assert_array_equal(positions[own], np.arange(own.sum()))
            found[own.sum() + 1] = ids[own], targets[own]
        assert (targets[documents < 0] == IGNORE).all()
    assert batch.ids.shape[1] <= 16 and len(batch.ids) == 2
    for ids, learnt in given:
        read, targets = found[len(ids)]
        np.testing.assert_array_equal(read, ids[:-1])
        np.testing.assert_array_equal(targets, np.where(learnt[1:], ids[1:], IGNORE))


def test_every_row_comes_once_an_epoch_and_batches_depend_on_their_number_alone():
    given = [example(n, 2, seed=n) for n in range(4, 12)]
    batches = PackedBatches(given, context=16, batch=2, seed=3, pack=False)
    epoch = np.concatenate([batches(n).ids for n in range(4)])
    assert len(np.unique(epoch, axis=0)) == 8
    again = PackedBatches(given, context=16, batch=2, seed=3, pack=False)
    np.testing.assert_array_equal(again(6).targets, batches(6).targets)
    assert any((batches(n).ids != batches(n + 4).ids).any() for n in range(4))


@pytest.mark.parametrize("changes", [{}, {"positions": "learned"}, {"positions": "alibi"}])
def test_a_packed_loss_is_that_of_the_conversations_alone(changes):
    model = Transformer(SMALL.replace(**changes), dtype=np.float64)
    for p in model.parameters():
        p.data[...] += 0.2 * rng(1, p.shape).standard_normal(p.shape)
    given = [example(n, 3, seed=n) for n in (9, 4, 6, 7)]
    alone, packed = (PackedBatches(given, 16, 9, pack=pack)(0) for pack in (False, True))
    assert len(packed.ids) < len(alone.ids)
    with no_grad():
        wanted, got = (sft_loss(model, batch).item() for batch in (alone, packed))
        naive = model.loss(packed.ids, packed.targets).item()
    assert abs(got - wanted) < 1e-12 < 1e-4 < abs(naive - wanted)


def test_prompts_are_not_learnt():
    """Prompts that say one thing, answers that say another: only the answers are taken up."""
    model = Transformer(SMALL, seed=1)
    rows = [(np.array([1, 7, 7, 7, 2, 8, 9, 8, 3]), np.arange(9) >= 5)] * 8
    prompt = np.array([[1, 7, 7, 7]])
    with no_grad():
        before = model.loss(prompt[:, :-1], prompt[:, 1:]).item()
    run = sft(model, rows, 60, batch=4, lr=1e-2, progress=False)
    with no_grad():
        after = model.loss(prompt[:, :-1], prompt[:, 1:]).item()
    assert run.losses[-1] < 0.1 and after > before - 0.5
    assert generate(model, [1, 7, 7, 7, 2], 4, temperature=0) == [8, 9, 8, 3]


def test_adapters_and_new_rows_are_fine_tuned_alone():
    tokenizer = ByteTokenizer(special=CHATML.special)
    talk = [{"role": "user", "content": "ab"}, {"role": "assistant", "content": "cd"}]
    rows = [encode_chat(tokenizer, talk)] * 4
    config = SMALL.replace(vocab_size=256, context=64)
    model = grow_vocabulary(Transformer(config), tokenizer.vocab_size)
    nn.train_rows(nn.add_lora(model, 4), list(tokenizer.special.values()))
    arrays = model.tokens.base.weight.data, model.stack.norm.weight.data
    frozen = [array.tobytes() for array in arrays]
    run = sft(model, rows, 40, batch=4, lr=2e-2, progress=False)
    assert run.losses[-1] < 0.8 * run.losses[0]
    assert frozen == [array.tobytes() for array in arrays]


def test_examples_that_teach_nothing_are_refused():
    for given, sentence in (
        ([], "examples is empty"),
        ([example(5, 2), example(5, 0)], r"examples\[1\] has nothing to learn among its first 17"),
        ([example(40, 3)], r"examples\[0\] has nothing to learn among its first 17 tokens, of 40"),
        ([(np.zeros(3, int), np.zeros(2, bool))], r"examples\[0\] has ids of shape \(3,\)"),
    ):
        with pytest.raises(InputError, match=sentence):
            PackedBatches(given, 16, 4)
    with pytest.raises(InputError, match="batch is 0"):
        PackedBatches([example(5, 2)], 16, 0)


@pytest.mark.parametrize("tie", [True, False])
def test_a_grown_vocabulary_changes_no_old_logit(tie):
    model = Transformer(SMALL.replace(tie=tie), seed=2)
    grown = grow_vocabulary(model, 33)
    assert grown.config.vocab_size == 33 and grow_vocabulary(model, 30) is model
    ids = rng(0).integers(0, 30, (2, 9))
    with no_grad():
        wanted, got = model(ids).data, grown(ids).data
    np.testing.assert_allclose(got[..., :30], wanted, atol=1e-6)
    np.testing.assert_allclose(got[..., 30], wanted.mean(-1), atol=1e-6)
    with pytest.raises(InputError, match="vocab_size is 29"):
        grow_vocabulary(model, 29)
