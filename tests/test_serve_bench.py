"""What `minilm bench serve` measures: that both sides do the same, and that waits are counted."""

import numpy as np

from minilm.bench import serve
from minilm.models import Transformer

SMALL = dict(serve.MODEL, layers=1, channels=32)


def test_the_trace_has_a_heavy_tail():
    wishes = serve.trace(128)
    tokens = np.array([wish.tokens for wish in wishes])
    assert wishes == serve.trace(128)
    assert 15 < np.median(tokens) < 40 and tokens.max() > 8 * np.median(tokens)
    assert all(len(wish.ids) + wish.tokens <= serve.MODEL["context"] for wish in wishes)


def test_both_sides_write_the_same():
    model, wishes = serve.made(SMALL), serve.trace(20)
    ours = serve.served(model, wishes, True)()
    assert [len(text) for text in ours] == [wish.tokens for wish in wishes]
    assert ours == serve.served(model, wishes, False)() == serve.in_batches(model, wishes)()


def test_every_token_has_its_wait():
    model, wishes = serve.made(SMALL), serve.trace(12)
    first, between = serve.waits(model, wishes, np.linspace(0, 0.05, 12))
    assert len(first) == 12 and len(between) == sum(wish.tokens - 1 for wish in wishes)
    assert min(first) > 0 and min(between) >= 0


def test_turns_read_what_the_formula_says():
    """(T + 1) / 2 times fewer; without sharing, turn t reads t exchanges but its last token."""
    model, turns, new = serve.made(SMALL), serve.TURNS, 24
    texts, read = serve.chats(model, True, 1, new)()
    again, whole = serve.chats(model, False, 1, new)()
    assert texts == again
    assert whole == 2 * new * turns * (turns + 1) // 2 - turns
    assert read == 2 * new * turns - 1
    assert whole / read > serve.SHARED


def test_a_draft_is_the_models_first_blocks():
    model = serve.made(dict(SMALL, layers=3))
    small = serve.draft_of(model, 1)
    assert isinstance(small, Transformer) and len(list(small.blocks)) == 1
    assert (
        small.blocks[0].attention.qkv.weight.data == model.blocks[0].attention.qkv.weight.data
    ).all()
    assert (small.head.weight.data == model.head.weight.data).all()
