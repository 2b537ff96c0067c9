"""ZeRO on simulated ranks: the weights of one process, and what the paper says each rank holds."""

import numpy as np
import pytest

from minilm import InputError
from minilm.analysis.cluster import zero_traffic
from minilm.models import Transformer, gpt2
from minilm.nn import ModuleList
from minilm.optim import AdamW
from minilm.parallel import Zero, simulate

CONFIG = gpt2(layers=3, heads=2, channels=16, vocab_size=20, context=8)
STEPS = 20


def build() -> Transformer:
    return Transformer(CONFIG, seed=0, dtype=np.float64)


def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
    ids = np.random.default_rng(step).integers(0, 20, (8, 9))
    return ids[:, :-1], ids[:, 1:]


def optimizer(params):
    return AdamW(params, lr=1e-2, weight_decay=0.1)


def alone() -> dict[str, np.ndarray]:
    model = build()
    adam = optimizer(model.parameters())
    for step in range(STEPS):
        model.loss(*batch(step)).backward()
        adam.step()
        adam.zero_grad()
    return model.state_dict()


def shared(comm, stage: int, steps: int = STEPS):
    model = build()
    zero = Zero(comm, model, model.stack.blocks, optimizer, stage)
    comm.ledger.peak_of = comm.ledger.held.copy()  # of the training, not of making the model whole
    sent = []
    for step in range(steps):
        before = comm.ledger.sent.total()
        mine = [np.split(x, comm.size)[comm.rank] for x in batch(step)]
        loss = model.loss(*mine)
        loss.backward()
        zero.step()
        sent.append(comm.ledger.sent.total() - before)
    held = comm.ledger.peak_of.copy()
    with zero.whole():
        state = {name.replace(".inside", ""): a.copy() for name, a in model.state_dict().items()}
    return state, sent, held


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_weights_of_one_process(stage: int, ranks: int) -> None:
    wanted = alone()
    for found, _, _ in simulate(shared, ranks, stage).values:
        assert found.keys() == wanted.keys()
        for name, array in found.items():
            np.testing.assert_allclose(array, wanted[name], rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_traffic_is_the_papers(stage: int) -> None:
    """2 Psi numbers a step; at stage 3 the blocks take 3 Psi: they are gathered twice."""
    ranks, model = 4, build()
    blocks = sum(p.data.size for block in model.stack.blocks for p in block.parameters())
    rest = model.num_parameters() - blocks
    wanted = zero_traffic(blocks, ranks, stage) + zero_traffic(rest, ranks, min(stage, 2))
    for _, sent, _ in simulate(shared, ranks, stage, 3).values:
        assert sent == pytest.approx([8 * wanted] * 3, rel=2e-3)  # pieces differ by a number


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_what_each_rank_holds(stage: int) -> None:
    ranks, model = 4, build()
    count = 8 * model.num_parameters()
    biggest = 8 * max(sum(p.data.size for p in b.parameters()) for b in model.stack.blocks)
    rest = count - 8 * sum(p.data.size for b in model.stack.blocks for p in b.parameters())
    together = rest + biggest + (count - rest - biggest) / ranks  # two units whole, pieces of all
    for _, _, peak in simulate(shared, ranks, stage, 2).values:
        assert peak["optimizer"] == pytest.approx(2 * count / (ranks if stage else 1), rel=0.01)
        assert peak["weights"] == pytest.approx(count if stage < 3 else together, rel=0.01)
        assert peak["gradients"] <= 1.01 * (count if stage < 2 else together)


def test_weights_of_a_unit_are_gone_while_it_does_not_run() -> None:
    def worker(comm):
        model = build()
        Zero(comm, model, model.stack.blocks, optimizer, 3)
        return [float(p.data.sum()) for p in model.stack.blocks[1].parameters()]

    for sums in simulate(worker, 2).values:
        assert np.isnan(sums).all()


def test_refusals() -> None:
    def shares(comm):
        model = build()
        units = ModuleList([model.stack.blocks[0], model.stack.blocks[0]])
        Zero(comm, model, units, optimizer, 1)

    with pytest.raises(InputError, match="share a parameter"):
        simulate(shares, 2)
    with pytest.raises(InputError, match="stage is 4"):
        simulate(shared, 2, 4)
