"""What moves between ranks inside a model: each step backward is the transpose of its forward."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm import InputError
from minilm.models import Transformer, gpt2, llama
from minilm.optim import SGD
from minilm.parallel import Layout, ParallelModel, moves, simulate
from minilm.tensor import Tensor

# name -> (shape of a rank's x for P ranks, whether all ranks have the same x)
MOVES = {
    "copy_to": (lambda p: (2, 3), True),
    "reduce_from": (lambda p: (2, 3), False),
    "gather_tokens": (lambda p: (2, 3, 4), False),
    "scatter_tokens": (lambda p: (2, 3 * p, 4), True),
    "sum_to_tokens": (lambda p: (2, 3 * p, 4), False),
    "to_heads": (lambda p: (2, 2 * p, 3, 4), False),
    "to_tokens": (lambda p: (2, 2, 3 * p, 4), False),
}


@settings(max_examples=40)
@given(st.sampled_from(sorted(MOVES)), st.integers(1, 4), st.integers(0, 1000))
def test_backward_is_the_transpose(name: str, ranks: int, seed: int) -> None:
    """Sum over ranks of <g, A x> = <A^T g, x>. Where a value is the same on all ranks, it, and what
    comes back to it, counts once."""
    shape, same = MOVES[name]

    def worker(comm):
        rng = np.random.default_rng((seed, 0 if same else comm.rank))
        x = Tensor(rng.standard_normal(shape(ranks)), requires_grad=True)
        y = getattr(moves, name)(x, comm)
        common = name == "reduce_from"
        g = np.random.default_rng((seed, 99, 0 if common else comm.rank)).standard_normal(y.shape)
        y.backward(g)
        return float((g * y.data).sum()), float((x.grad * x.data).sum())

    ahead, back = zip(*simulate(worker, ranks).values)
    left = ahead[0] if name == "reduce_from" else sum(ahead)
    right = back[0] if same else sum(back)
    assert left == pytest.approx(right, rel=1e-10, abs=1e-10)


@settings(max_examples=30)
@given(st.integers(1, 4), st.integers(0, 1000))
def test_rows_go_and_come_back(ranks: int, seed: int) -> None:
    counts = np.random.default_rng(seed).integers(0, 4, (ranks, ranks))  # from, to

    def worker(comm):
        mine = np.arange(counts[comm.rank].sum() * 2.0).reshape(-1, 2) + 100 * comm.rank
        x = Tensor(mine, requires_grad=True)
        y = moves.exchange(x, counts[comm.rank], counts[:, comm.rank], comm)
        back = moves.exchange(y, counts[:, comm.rank], counts[comm.rank], comm)
        np.testing.assert_array_equal(back.data, mine)
        back.backward(mine)
        np.testing.assert_array_equal(x.grad, mine)
        return y.data

    for rank, rows in enumerate(simulate(worker, ranks).values):
        origin = np.repeat(np.arange(ranks), counts[:, rank])
        np.testing.assert_array_equal(rows[:, 0] // 100, origin)


def test_what_does_not_divide() -> None:
    for name, shape, words in (
        ("scatter_tokens", (1, 5, 2), "a text has 5 tokens; 2 ranks must divide them"),
        ("sum_to_tokens", (1, 5, 2), "a text has 5 tokens"),
        ("to_heads", (1, 3, 4, 2), "heads are 3; they must be a multiple of 2 ranks"),
    ):
        with pytest.raises(InputError, match=words):
            simulate(lambda comm: getattr(moves, name)(Tensor(np.zeros(shape)), comm), 2)  # noqa: B023


# ------------------------------------------------------------------------------ what a step sends

SIZES = {"layers": 2, "heads": 4, "channels": 16, "vocab_size": 20, "context": 16}


def sent(layout: Layout, config=None) -> list[dict[str, int]]:
    """Bytes of each rank's operations in forward and backward of one step."""
    config = gpt2(**SIZES) if config is None else config

    def worker(comm):
        model = Transformer(config, seed=0, dtype=np.float64)
        own = ParallelModel(layout.on(comm), model, lambda groups: SGD(groups, lr=0.1))
        ids = np.random.default_rng(0).integers(0, 20, (2, 17))
        before = comm.ledger.sent.copy()
        own.gradients(ids[:, :-1], ids[:, 1:])
        return dict(comm.ledger.sent - before)

    return simulate(worker, layout.ranks).values


def test_tokens_cut_or_not_tensor_parallel_sends_as_much() -> None:
    """An all_reduce is a reduce_scatter and an all_gather: four a layer, and those of the ends."""
    array = 2 * 16 * 16 * 8  # (B, T, C)
    half = array // 2  # what a ring of 2 sends of it in one direction
    plain, cut = sent(Layout(tp=2))[0], sent(Layout(tp=2, sequence=True))[0]
    rows = 3 * 2 * 16 * 8  # largest, total and target's logit of each token, N numbers each
    loss = 8
    ends = 2 * 2 * half  # the embedding's sum in forward, the head's in backward
    assert plain["all_reduce"] == 4 * 2 * 2 * half + ends + rows + loss
    norms = 2 * 16 * 8 * (2 * 2 + 1)  # weight and bias of each norm
    biases = 2 * 16 * 8 * 2
    gathered = 4 * 2 * half + half + half  # layers; the embedding's way back; before the head
    assert cut["all_gather"] == gathered
    assert cut["reduce_scatter"] == 4 * 2 * half + half
    assert cut["all_reduce"] == 2 * half + rows + loss + norms + biases


def test_a_ring_sends_keys_and_values_and_their_gradients() -> None:
    """(P - 1) blocks of k and v in forward, as many in backward, and P of both gradients."""
    ranks, config = 4, llama(**SIZES, kv_heads=2, ff=32)
    block = 2 * (2 * 2 * (16 // ranks) * 4 * 8)  # k and v: B, G, T / P, D
    for found in sent(Layout(cp=ranks), config):
        assert found["send"] == 2 * block * (2 * (ranks - 1) + ranks)


def test_ulysses_sends_less_the_more_ranks_there_are() -> None:
    """Four exchanges of (B, H, T / P, D) in forward and in backward, all but a rank's own part."""
    for ranks in (2, 4):
        part = 2 * 4 * (16 // ranks) * 4 * 8
        for found in sent(Layout(cp=ranks, ulysses=ranks)):
            assert found["all_to_all"] == 2 * 2 * 4 * part * (ranks - 1) // ranks
            assert "send" not in found
