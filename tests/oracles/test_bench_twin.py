"""The opponent of the benchmarks is the same model: same loss, gradients and steps."""

import numpy as np
import pytest

from minilm import backend, data
from minilm.bench import experts, kernels, peers, race, rows, timing, training
from minilm.models import Transformer

pytestmark = pytest.mark.oracle


@pytest.fixture(autouse=True)
def one_thread():
    before = backend.threads()
    timing.use_threads(1)
    yield
    timing.use_threads(before)


@pytest.mark.parametrize("name", ["nano", "micro"])
def test_twin_has_our_gradients(name):
    size = training.SIZES[name]
    model = Transformer(size.config())
    difference = peers.gradient_difference(model, peers.twin(model), *size.data())
    assert 0 < difference < training.EQUAL


def test_a_different_model_is_found_out():
    size = training.SIZES["nano"]
    model = Transformer(size.config())
    other = peers.twin(model)
    model.stack.norm.weight.data[0] += 0.01
    with pytest.raises(AssertionError, match="differ"):
        training.check_equal("nano", model, other, size)


def test_steps_go_the_same_way():
    size = training.SIZES["nano"]
    model = Transformer(size.config())
    other = peers.twin(model)
    pair = training.our_step(model, *size.data()), training.torch_step(other, *size.data())
    losses = [[step() for _ in range(10)] for step in pair]
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_laps_of_the_race_go_the_same_way():
    sizes = {"layers": 1, "heads": 2, "channels": 32, "context": 16, "vocab_size": 64}
    course = race.Course(**sizes, batch=4, steps=20, warmup=2, threads=1)
    model = Transformer(peers.gpt(64, 16, 1, 2, 32))
    tokens = backend.rng(0, "t").integers(0, 64, 2000).astype(np.int32)
    sides = {
        "torch": race.Theirs(model, course, tokens),
        "minilm": race.Ours(model, course, tokens),
    }
    x, y = next(iter(data.batches(tokens, 4, 16)))
    for first in (0, 10):
        for side in sides.values():
            side.lap(first, 10)
        losses = [side.loss(x, y) for side in sides.values()]
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_rows_are_whole(monkeypatch):
    monkeypatch.setattr(timing, "cores", lambda: 1)
    monkeypatch.setattr(timing, "ROUND", 0.001)
    found = [
        *training.step_rows(["nano"], rounds=1),
        *training.outside_rows(["nano"], rounds=1),
        *training.memory_rows(["nano"], runs=1),
        kernels.smallest_row(1),
        kernels.optimizer_row(1),
        *kernels.attention_rows([256], 1),
    ]
    assert all(row.ratio > 0 for row in found)
    assert all(row.ours > 0 and row.peer > 0 for row in found if "mean" not in row.name)
    assert all(row.met is (row.ratio >= row.goal) for row in found)
    assert len(rows.table(found).splitlines()) == len(found) + 2


@pytest.mark.parametrize("way", experts.WAYS)
def test_their_mixture_has_our_output_and_gradients(way):
    block = experts.our_block(32, 48)
    other = experts.their_block(block, way)
    ours, theirs = (
        experts.our_functions(block, 90),
        experts.their_functions(other, block, 90),
    )
    assert 0 < experts.difference(ours, theirs) < 1e-4
    block.up.weight.data[3] *= 1.01
    assert experts.difference(ours, theirs) > experts.EQUAL
