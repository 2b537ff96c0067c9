"""Experts on many ranks: the layer of one rank, and bytes that go where the choices are."""

import numpy as np
import pytest

from minilm import InputError
from minilm import functional as F
from minilm.parallel import expert_parallel, simulate
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
