"""ZeRO on simulated ranks: the weights of one process, and what the paper says each rank holds."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from minilm import InputError
from minilm.analysis.cluster import zero_memory, zero_traffic
from minilm.models import Transformer
from minilm.nn import ModuleList
from minilm.parallel import Zero, simulate
from tests.small_runs import CONFIG, STEPS, alone, batch, build, optimizer


def shared(comm, stage: int, steps: int = STEPS, **options):
    model = build()
    zero = Zero(comm, model, model.stack.blocks, optimizer, stage, **options)
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
    for _, _, peak in simulate(partial(shared, ahead=0), ranks, stage, 2).values:
        assert peak["optimizer"] == pytest.approx(2 * count / (ranks if stage else 1), rel=0.01)
        assert peak["weights"] == pytest.approx(count if stage < 3 else together, rel=0.01)
        assert peak["gradients"] <= 1.01 * (count if stage < 2 else together)


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_units_asked_for_ahead(ahead: int) -> None:
    """Each is held while another runs; nothing is sent twice, and the weights are the same."""
    model = build()
    biggest = 8 * max(sum(p.data.size for p in b.parameters()) for b in model.stack.blocks)
    whole = 8 * model.num_parameters()
    blocks = 8 * model.stack.blocks.num_parameters()
    states, sent, peaks = zip(*simulate(partial(shared, ahead=ahead), 4, 3, 2).values)
    wanted = whole - blocks + biggest * (ahead + 1) + (blocks - biggest * (ahead + 1)) / 4
    for peak in peaks:
        assert peak["weights"] == pytest.approx(wanted, rel=0.01)
    first, plain, _ = simulate(partial(shared, ahead=0), 4, 3, 2).values[0]
    assert sent[0] == plain
    for name, array in states[0].items():
        np.testing.assert_array_equal(array, first[name])


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_overlap_changes_no_bit(stage: int) -> None:
    plain, early = (
        simulate(partial(shared, overlap=overlap), 2, stage, 3).values[0]
        for overlap in (False, True)
    )
    assert plain[1] == early[1]
    for name, array in plain[0].items():
        np.testing.assert_array_equal(array, early[0][name])


def test_sums_begin_while_backward_goes_on() -> None:
    """The last block's before the first block's gradients are known."""

    def worker(comm):
        model = build()
        zero = Zero(comm, model, model.stack.blocks, optimizer, 2, overlap=True)
        known, seen = [], []
        for p in model.stack.blocks[0].parameters():
            p.register_post_accumulate_grad_hook(known.append)

        def noted(x, start=comm.start_reduce_scatter):
            seen.append(not known)
            return start(x)

        for unit in zero.all:
            unit.comm.start_reduce_scatter = noted
        model.loss(*batch(0)).backward()
        return seen

    assert simulate(worker, 2).values == [[True, True, False, False]] * 2  # blocks 2, 1, 0; rest


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_16_bits_take_2_2_and_12_bytes(stage: int) -> None:
    """The paper's table, measured: weights, gradients and optimizer of each rank between steps."""
    ranks = 4

    def worker(comm):
        model = Transformer(CONFIG, seed=0).to(dtype=np.float16)
        zero = Zero(comm, model, model.stack.blocks, optimizer, stage)
        for step in range(2):
            mine = [np.split(x, comm.size)[comm.rank] for x in batch(step)]
            model.loss(*mine).backward()
            zero.reduce()
            for unit in zero.rest:
                if stage == 3:
                    unit.let_go()
            held = comm.ledger.held.copy()
            for unit in zero.rest:
                unit.gather()
            zero.step()
        return held, {str(unit.own.dtype) for unit in zero.all}

    count = build().num_parameters()
    for held, dtypes in simulate(worker, ranks).values:
        assert dtypes == {"float16"}
        shares = [count, count, count]
        for i in range(stage):
            shares[2 - i] /= ranks
        assert held["weights"] == pytest.approx(2 * shares[0], rel=0.01)
        assert held["gradients"] == pytest.approx(2 * shares[1], rel=0.01)
        assert held["optimizer"] == pytest.approx(12 * shares[2], rel=0.01)
        total = held["weights"] + held["gradients"] + held["optimizer"]
        assert total == pytest.approx(zero_memory(count, ranks, stage), rel=0.01)


def test_16_bits_learn_as_32() -> None:
    """Masters of 32 bits: small steps are not lost."""

    def worker(comm, dtype):
        model = Transformer(CONFIG, seed=0).to(dtype=dtype)
        zero = Zero(comm, model, model.stack.blocks, optimizer, 2)
        losses = []
        for step in range(STEPS):
            mine = [np.split(x, comm.size)[comm.rank] for x in batch(step % 2)]
            loss = model.loss(*mine)
            losses.append(loss.item())
            loss.backward()
            zero.step()
        return losses

    half, wide = (simulate(worker, 2, kind).values[0] for kind in (np.float16, np.float32))
    assert wide[0] - wide[-1] > 0.5
    np.testing.assert_allclose(half, wide, atol=0.05)


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_offload(stage: int, tmp_path: Path) -> None:
    """Optimizer in host memory or in files: the same bits, and nothing of it on the device."""
    plain, *_ = simulate(shared, 2, stage, 3).values[0]
    for where, kind in (("host", "host"), (tmp_path, "file")):

        def worker(comm, where=where):
            return shared(comm, stage, 3, offload=where), comm.ledger.held

        for (state, _, _), held in simulate(worker, 2).values:
            assert held["optimizer"] == 0
            moments = 2 * 8 * build().num_parameters() / (2 if stage else 1)
            assert held[kind] >= 0.99 * moments
            for name, array in plain.items():
                np.testing.assert_array_equal(array, state[name])
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) > 8 * build().num_parameters()


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_a_step_that_is_left_out_leaves_no_trace(stage: int) -> None:
    """As where 16-bit gradients overflow."""

    def worker(comm):
        model = build()
        zero = Zero(comm, model, model.stack.blocks, optimizer, stage)
        mine = [np.split(x, comm.size)[comm.rank] for x in batch(0)]
        before = [unit.own.copy() for unit in zero.all]
        model.loss(*mine).backward()
        zero.forget()
        zero.step()
        same = all(np.array_equal(unit.own, old) for unit, old in zip(zero.all, before))
        return same, comm.ledger.held["gradients"]

    assert simulate(worker, 2).values == [(True, 0)] * 2


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
