"""Matrices cut over ranks: the model of one process, and two all_reduces each way a layer."""

import numpy as np
import pytest

from minilm import InputError
from minilm import functional as F
from minilm.models import Config, Transformer, gpt2, llama, mixtral, olmo2, qwen3
from minilm.optim import AdamW
from minilm.parallel import join_tensors, simulate, split_cross_entropy, split_tensors
from minilm.tensor import Tensor

SIZES = {"layers": 2, "heads": 4, "channels": 16, "vocab_size": 20, "context": 8}
CONFIGS = {
    "gpt2": gpt2(**SIZES),
    "llama": llama(**SIZES, kv_heads=4),
    "experts": mixtral(**SIZES, kv_heads=2, ff=12, experts=4),
    "grouped": Config(**SIZES, kv_heads=2, positions="rope", activation="swiglu", norm="rms"),
    "qwen3": qwen3(**SIZES, kv_heads=2, head_size=6, ff=12),
    "olmo2": olmo2(**SIZES, kv_heads=2, ff=12),
}
STEPS = 10


def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
    ids = np.random.default_rng(step).integers(0, 20, (4, 9))
    return ids[:, :-1], ids[:, 1:]


def train(model: Transformer, steps: int = STEPS) -> list[float]:
    adam, losses = AdamW(model.parameters(), lr=1e-2), []
    for step in range(steps):
        loss = model.loss(*batch(step))
        loss.backward()
        adam.step()
        adam.zero_grad()
        losses.append(loss.item())
    return losses


def build(name: str) -> Transformer:
    return Transformer(CONFIGS[name], seed=0, dtype=np.float64)


RUNS = [("gpt2", 1), ("gpt2", 2), ("gpt2", 4), ("llama", 4), ("grouped", 2), ("qwen3", 2)]


@pytest.mark.parametrize(("name", "ranks"), RUNS)
def test_trains_as_one_process(name: str, ranks: int) -> None:
    model = build(name)
    losses, wanted = train(model), model.state_dict()

    def worker(comm):
        mine = build(name)
        split_tensors(comm, mine)
        return train(mine), join_tensors(comm, mine), mine.num_parameters()

    run = simulate(worker, ranks)
    for found, state, count in run.values:
        np.testing.assert_allclose(found, losses, atol=1e-11)
        assert state.keys() == wanted.keys()
        for key, array in state.items():
            np.testing.assert_allclose(array, wanted[key], atol=1e-10, err_msg=key)
        whole = ("out.bias", "down.bias", "q_norm.weight", "k_norm.weight")  # on every rank
        inside = [key for key in wanted if "attention" in key or "feed_forward" in key]
        cut = sum(wanted[key].size for key in inside if not key.endswith(whole))
        assert count == model.num_parameters() - cut + cut // ranks


def test_two_all_reduces_forward_and_two_backward() -> None:
    def worker(comm):
        model = build("gpt2")
        split_tensors(comm, model)
        counts = []
        loss = model.loss(*batch(0))
        counts.append((comm.ledger.messages["all_reduce"], comm.ledger.sent["all_reduce"]))
        loss.backward()
        counts.append((comm.ledger.messages["all_reduce"], comm.ledger.sent["all_reduce"]))
        return counts

    ranks, layers, array = 4, 2, 4 * 8 * 16 * 8  # B T C in bytes
    for forward, both in simulate(worker, ranks).values:
        one = 2 * array * (ranks - 1) // ranks
        assert forward == (2 * layers * 2 * (ranks - 1), 2 * layers * one)
        assert both == (2 * forward[0], 2 * forward[1])


@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_split_cross_entropy(shift: float) -> None:
    rng = np.random.default_rng(0)
    logits, targets = 3 * rng.standard_normal((6, 12)) + shift, rng.integers(0, 12, 6)
    whole = Tensor(logits, requires_grad=True)
    wanted = F.cross_entropy(whole, targets)
    wanted.backward()

    def worker(comm):
        mine = Tensor(np.split(logits, comm.size, 1)[comm.rank].copy(), requires_grad=True)
        loss = split_cross_entropy(mine, targets, comm)
        loss.backward()
        return loss.item(), mine.grad

    run = simulate(worker, 3)
    assert [loss for loss, _ in run.values] == pytest.approx([wanted.item()] * 3, rel=1e-12)
    np.testing.assert_allclose(
        np.concatenate([g for _, g in run.values], 1), whole.grad, atol=1e-12
    )
    assert max(run.sent()) <= 3 * 2 * 6 * 8  # three rows of N numbers, whatever V is


REFUSED = {
    "heads": ("gpt2", 3, "heads is 4"),
    "key and value heads": ("grouped", 4, "kv_heads is 2"),
    "a norm of all heads": ("olmo2", 2, "config.qk_norm is 'all'; split_tensors shares heads"),
    "experts": ("experts", 2, "config.experts is 4; split_tensors cuts one feed-forward"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_a_sentence(name: str) -> None:
    config, ranks, words = REFUSED[name]
    with pytest.raises(InputError, match=words):
        simulate(lambda comm: split_tensors(comm, build(config)), ranks)


def test_a_target_that_is_no_id() -> None:
    with pytest.raises(InputError, match="ids go from 0 to 5"):
        simulate(lambda comm: split_cross_entropy(Tensor(np.zeros((1, 3))), np.array([6]), comm), 2)
