"""Conversations as batches: shifted, padded, scored where an assistant speaks."""

import numpy as np
import pytest

from minilm import InputError, data
from minilm.tokenizers import ByteTokenizer, chat


def _talk(*texts):
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


def test_conversations_become_shifted_batches_of_which_only_answers_are_scored():
    tokenizer = ByteTokenizer(special=chat.CHATML.special)
    talks = [_talk("2 + 2?", "4", "sure?", "yes"), _talk("hi", "hello")]
    ids, targets = data.chat_batch(tokenizer, talks)
    assert ids.shape == targets.shape and ids.dtype == targets.dtype == np.int64
    for row, wanted, talk in zip(ids, targets, talks, strict=True):
        own, said = chat.encode_chat(tokenizer, talk)
        length = len(own) - 1
        assert row[:length].tolist() == own[:-1].tolist() and not row[length:].any()
        scored = [own[t + 1] if said[t + 1] else -100 for t in range(length)]
        assert wanted[:length].tolist() == scored and (wanted[length:] == -100).all()
    end = tokenizer.special_id("<|im_end|>")
    learnt = [t for t in targets[1] if t != -100]
    assert tokenizer.decode(learnt) == "hello<|im_end|>\n" and end in learnt


def test_conversations_are_cut_to_the_context_and_refused_where_nothing_is_learnt():
    tokenizer = ByteTokenizer(special=chat.CHATML.special)
    talks = [_talk("hi", "hello"), _talk("hi", "a long answer " * 9)]
    whole, cut = (data.chat_batch(tokenizer, talks, context=n) for n in (None, 40))
    assert cut[0].shape == (2, 40) and whole[0].shape[1] > 100
    for a, b in zip(whole, cut, strict=True):
        np.testing.assert_array_equal(a[:, :40], b)
    for given, options, words in (
        ([], {}, "conversations is empty"),
        ([talks[0], talks[0][:1]], {}, "conversations[1] has no answer of an assistant to learn"),
        (
            talks,
            {"context": 9},
            "no answer of an assistant among its first 10",
        ),
        (talks, {"context": 0}, "context is 0"),
        ([[{"role": "robot", "content": "x"}]], {}, "'robot'"),
    ):
        with pytest.raises(InputError) as error:
            data.chat_batch(tokenizer, given, **options)
        assert words in str(error.value)
