"""Checkpoints of many ranks, resumed by other numbers of them."""

from pathlib import Path

import numpy as np
import pytest

from minilm import InputError
from minilm.models import Transformer
from minilm.parallel import Zero, load_shards, save_shards, simulate
from minilm.parallel.shards import read_manifest
from tests.small_runs import CONFIG, alone, batch, build, optimizer


def saved(comm, folder, stage: int, first: int, steps: int, resume: bool):
    model = build()
    zero = Zero(comm, model, model.stack.blocks, optimizer, stage)
    facts = load_shards(folder, {"all": zero}) if resume else {"step": 0}
    assert facts["step"] == first
    losses = []
    for step in range(first, first + steps):
        rows = np.array_split(np.arange(8), comm.size)[comm.rank]
        ids, targets = batch(step)
        loss = model.loss(ids[rows], targets[rows]) * (len(rows) * comm.size / 8)
        losses.append(loss.item())
        loss.backward()
        zero.step()
    save_shards(comm, folder, {"all": zero}, {"step": first + steps})
    with zero.whole():
        state = {name.replace(".inside", ""): a.copy() for name, a in model.state_dict().items()}
    return state, losses


@pytest.mark.parametrize(("before", "after"), [(3, 3), (1, 2), (3, 1), (0, 3), (2, 0)])
def test_another_number_of_ranks_goes_on(before: int, after: int, tmp_path: Path) -> None:
    """4 ranks write, 3 read, 2 read again: weights as without a stop."""
    wanted = alone()
    simulate(saved, 4, tmp_path, before, 0, 8, False)
    assert len(list(tmp_path.rglob("*.safetensors"))) == (4 if before else 1)
    simulate(saved, 3, tmp_path, after, 8, 6, True)
    for state, _ in simulate(saved, 2, tmp_path, after, 14, 6, True).values:
        for name, array in state.items():
            np.testing.assert_allclose(array, wanted[name], rtol=0, atol=1e-12, err_msg=name)
    assert [path.name for path in tmp_path.glob("step-*")] == ["step-00000020"]


def test_a_save_that_was_cut_off_leaves_the_one_before(tmp_path: Path) -> None:
    simulate(saved, 2, tmp_path, 2, 0, 2, False)

    def worker(comm):
        model = build()
        zero = Zero(comm, model, model.stack.blocks, optimizer, 2)
        if comm.rank == 1:
            raise KeyboardInterrupt
        save_shards(comm, tmp_path, {"all": zero}, {"step": 9})

    with pytest.raises(KeyboardInterrupt):
        simulate(worker, 2)
    assert read_manifest(tmp_path)["facts"] == {"step": 2}
    simulate(saved, 3, tmp_path, 2, 2, 1, True)


def test_shards_that_do_not_fit(tmp_path: Path) -> None:
    def load(comm, config, part="all"):
        model = Transformer(config, seed=0, dtype=np.float64)
        load_shards(tmp_path, {part: Zero(comm, model, model.stack.blocks, optimizer, 1)})

    with pytest.raises(InputError, match="shards.json is missing"):
        simulate(load, 1, CONFIG)
    simulate(saved, 2, tmp_path, 1, 0, 1, False)
    with pytest.raises(InputError, match="of another model"):
        simulate(load, 1, CONFIG.replace(channels=32))
    with pytest.raises(InputError, match="has the parts all and not pp 0"):
        simulate(load, 1, CONFIG, "pp 0")
    next(tmp_path.rglob("rank-001.safetensors")).unlink()
    with pytest.raises(InputError, match="rank-001.safetensors cannot be read"):
        simulate(load, 1, CONFIG)
    (tmp_path / "shards.json").write_text("{}")
    with pytest.raises(InputError, match="was not written by minilm"):
        simulate(load, 1, CONFIG)
