"""Experts on many ranks: the layer of one rank, and bytes that go where the choices are."""

from typing import NamedTuple

import numpy as np
import pytest

from minilm import InputError
from minilm import functional as F
from minilm.models import Transformer, gpt2
from minilm.nn import Module, Parameter
from minilm.optim import SGD
from minilm.parallel import Layout, ParallelModel, expert_parallel, simulate
from minilm.parallel.experts import SplitExperts
from minilm.tensor import Tensor

EXPERTS, CHOICES, TOKENS, WIDTH, INSIDE = 8, 2, 48, 6, 10
RNG = np.random.default_rng(0)
UP = RNG.standard_normal((EXPERTS, INSIDE, WIDTH))
DOWN = RNG.standard_normal((EXPERTS, WIDTH, INSIDE))
X, SLOPE = RNG.standard_normal((2, TOKENS, WIDTH))
CHOSEN = np.stack([RNG.permutation(EXPERTS)[:CHOICES] for _ in range(TOKENS)])
WEIGHTS = RNG.random((TOKENS, CHOICES))


def layer(comm, chosen=CHOSEN):
    """Output and gradients of this rank's tokens and experts."""

    def part(array):
        return np.split(array, comm.size)[comm.rank].copy()

    x, weights, up, down = (Tensor(part(a), requires_grad=True) for a in (X, WEIGHTS, UP, DOWN))

    def own(rows, offsets):
        return F.grouped_linear(F.relu(F.grouped_linear(rows, up, offsets)), down, offsets)

    before = comm.ledger.sent["all_to_all"]
    y = expert_parallel(comm, x, part(chosen), weights, EXPERTS, own)
    forward = comm.ledger.sent["all_to_all"] - before
    y.backward(part(SLOPE))
    both = comm.ledger.sent["all_to_all"] - before
    return [y.data, *(t.grad for t in (x, weights, up, down))], forward, both


def by_hand() -> np.ndarray:
    return np.stack(
        [
            sum(
                weight * (DOWN[e] @ np.maximum(UP[e] @ x, 0))
                for e, weight in zip(chosen, weights, strict=True)
            )
            for x, chosen, weights in zip(X, CHOSEN, WEIGHTS, strict=True)
        ]
    )


@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_the_layer_of_one_rank(ranks: int) -> None:
    ((whole, _, _),) = simulate(layer, 1).values
    np.testing.assert_allclose(whole[0], by_hand(), atol=1e-12)
    parts = [found for found, _, _ in simulate(layer, ranks).values]
    for wanted, *found in zip(whole, *parts, strict=True):
        np.testing.assert_allclose(np.concatenate(found), wanted, atol=1e-12)


def test_bytes_follow_the_choices() -> None:
    """A row of C numbers for each choice elsewhere, there and back, and the same in backward."""
    ranks, each = 4, EXPERTS // 4
    for rank, (_, forward, both) in enumerate(simulate(layer, ranks).values):
        home = np.split(CHOSEN, ranks)[rank] // each
        away = int((home != rank).sum())
        others = [np.split(CHOSEN, ranks)[r] // each for r in range(ranks) if r != rank]
        guests = sum(int((chosen == rank).sum()) for chosen in others)
        counts = (ranks - 1) * each * 4  # whole numbers of 32 bits
        assert forward == counts + 8 * WIDTH * (away + guests)
        assert both == counts + 2 * 8 * WIDTH * (away + guests)


def test_a_rank_that_nobody_chose() -> None:
    chosen = CHOSEN % 2  # experts 0 and 1, all on the first rank
    for rank, (found, _, _) in enumerate(simulate(layer, 4, chosen).values):
        assert found[0].shape == (TOKENS // 4, WIDTH)
        assert (rank == 0) == bool(np.any(found[3]))


def test_refusals() -> None:
    with pytest.raises(InputError, match="experts are 8; they must be a multiple of 3 ranks"):
        simulate(lambda comm: expert_parallel(comm, Tensor(X), CHOSEN, Tensor(WEIGHTS), 8, None), 3)
    with pytest.raises(InputError, match="chosen holds 9; experts are 0 to 7"):
        simulate(layer, 2, CHOSEN + 2)


# ------------------------------------------------------------------------------ in a model

CONFIG = gpt2(layers=2, heads=2, channels=8, vocab_size=20, context=8)


class Routing(NamedTuple):
    experts: np.ndarray
    weights: Tensor


class Router(Module):
    """The two largest of a softmax over all experts."""

    def __init__(self, rng) -> None:
        self.weight = Parameter(rng.standard_normal((4, 8)))

    def forward(self, x):
        share = F.softmax(F.linear(x, self.weight))
        chosen = np.argsort(-share.data, axis=1)[:, :2]
        return Routing(chosen, F.index(share, (np.arange(len(chosen))[:, None], chosen)))


class Map(Module):
    def __init__(self, rng, out: int, width: int) -> None:
        self.weight = Parameter(0.3 * rng.standard_normal((4, out, width)))

    def forward(self, x, offsets):
        return F.grouped_linear(x, self.weight, offsets)


class Routed(Module):
    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.router = Router(rng)
        self.gate, self.up, self.down = Map(rng, 6, 8), Map(rng, 6, 8), Map(rng, 8, 6)


def routed() -> Transformer:
    model = Transformer(CONFIG, seed=0, dtype=np.float64)
    for i, block in enumerate(model.stack.blocks):
        block.feed_forward = Routed(i)
    return model


def trained(comm, layout, zero=0):
    if layout.ep == 1:  # one rank computes all experts
        whole = routed()
        for block in whole.stack.blocks:
            block.feed_forward = SplitExperts(comm.group([comm.rank]), block.feed_forward)
        own = ParallelModel(layout.on(comm), whole, lambda g: SGD(g, lr=0.5), zero)
    else:
        own = ParallelModel(layout.on(comm), routed(), lambda g: SGD(g, lr=0.5), zero)
    norms = []
    for step in range(5):
        ids = np.random.default_rng(step).integers(0, 20, (8, 9))
        own.gradients(ids[:, :-1], ids[:, 1:])
        norms.append(own.norm())
        own.step()
    return own.state(), norms


@pytest.mark.parametrize(
    ("layout", "zero"),
    [
        (Layout(dp=2, ep=2), 0),
        (Layout(dp=4, ep=2), 1),
        (Layout(dp=4, ep=4), 3),
        (Layout(dp=2, ep=2, pp=2, cp=2), 2),
    ],
    ids=str,
)
def test_a_model_with_experts_trains_as_on_one_rank(layout: Layout, zero: int) -> None:
    ((wanted, norms),) = simulate(trained, 1, Layout()).values
    for state, found in simulate(trained, layout.ranks, layout, zero).values:
        np.testing.assert_allclose(found, norms, rtol=1e-10)
        assert state.keys() == wanted.keys()
        for name, array in state.items():
            np.testing.assert_allclose(array, wanted[name], rtol=0, atol=1e-12, err_msg=name)


def test_a_model_without_experts_or_cut_twice() -> None:
    def make(comm, layout, model):
        return ParallelModel(layout.on(comm), model, lambda g: SGD(g, lr=0.1))

    with pytest.raises(InputError, match="ep is 2; the model has no experts to share"):
        simulate(lambda comm: make(comm, Layout(dp=2, ep=2), Transformer(CONFIG)), 2)
    with pytest.raises(InputError, match="tp is 2; a model with experts is cut by ep"):
        simulate(lambda comm: make(comm, Layout(tp=2), routed()), 2)
