"""A pipeline's schedule with a real model: what each stage holds and sends. And recomputing."""

import numpy as np
import pytest

from minilm import InputError, tape
from minilm.models import Transformer, gpt2
from minilm.optim import SGD
from minilm.parallel import Layout, ParallelModel, simulate
from minilm.tensor import Tensor

CONFIG = gpt2(layers=4, heads=2, channels=16, vocab_size=20, context=8)
MICRO = 8


def batch() -> tuple[np.ndarray, np.ndarray]:
    ids = np.random.default_rng(0).integers(0, 20, (MICRO, 9))
    return ids[:, :-1], ids[:, 1:]


def one_step(comm, layout, **options):
    model = Transformer(CONFIG, seed=0, dtype=np.float64)
    own = ParallelModel(
        layout.on(comm), model, lambda groups: SGD(groups, lr=0.1), measure=True, **options
    )
    before = comm.ledger.sent.copy()
    own.gradients(*batch())
    sent = comm.ledger.sent - before
    return comm.ledger.peak_of["activations"], comm.ledger.held["activations"], sent["send"]


def middle_stage(schedule: str, stage: int = 1, micro: int = MICRO) -> int:
    """The most bytes that a stage between two others kept."""
    layout = Layout(pp=4)
    run = simulate(lambda comm: one_step(comm, layout, schedule=schedule, micro=micro), 4)
    assert all(held == 0 for _, held, _ in run.values)
    return run.values[stage][0]


def test_a_stage_holds_as_many_micro_batches_as_its_schedule_says() -> None:
    """GPipe all m, 1F1B p - s, ZB-H1 no more than the first stage of 1F1B."""
    one = middle_stage("gpipe", micro=1) // MICRO  # of one sequence
    assert middle_stage("gpipe") == MICRO * one
    assert [middle_stage("1f1b", stage) // one for stage in (1, 2)] == [3, 2]
    assert max(middle_stage("zb-h1", stage) for stage in (1, 2)) <= 4 * one


def test_what_goes_between_stages() -> None:
    """(B, T, C) to the next stage and as much back, whatever the schedule."""
    size = MICRO * 8 * 16 * 8
    for schedule in ("gpipe", "1f1b", "zb-h1"):
        run = simulate(lambda comm: one_step(comm, Layout(pp=4), schedule=schedule, micro=4), 4)  # noqa: B023
        assert [sent for _, _, sent in run.values] == [size, 2 * size, 2 * size, size]


def test_weights_gradients_wait_under_zb_h1() -> None:
    """After B the input has its gradient; those of matrices come with W, and are the same."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((5, 3)), rng.standard_normal((4, 3))
    given, weight = Tensor(x, requires_grad=True), Tensor(w, requires_grad=True)
    from minilm import functional as F

    later: list = []
    tape.backward(F.linear(F.tanh(given), weight), np.ones((5, 4)), None, later=later)
    assert weight.grad is None
    tape.finish_later(later)
    np.testing.assert_allclose(weight.grad, np.ones((4, 5)) @ np.tanh(x), rtol=1e-12)
    assert later == []
    whole = Tensor(x, requires_grad=True)
    F.linear(F.tanh(whole), Tensor(w)).backward(np.ones((5, 4)))
    np.testing.assert_array_equal(whole.grad, given.grad if given.grad is not None else whole.grad)


@pytest.mark.parametrize("kind", ["full", "selective"])
def test_recomputing_holds_less_and_changes_nothing(kind: str) -> None:
    layout = Layout()

    def run(comm, recompute):
        model = Transformer(CONFIG, seed=0, dtype=np.float64)
        own = ParallelModel(
            layout.on(comm), model, lambda groups: SGD(groups, lr=0.1), recompute=recompute,
            measure=True,
        )  # fmt: skip
        own.gradients(*batch())
        own.step()
        return own.state(), comm.ledger.peak_of["activations"]

    plain, less = (simulate(lambda c: run(c, how), 1).values[0] for how in ("none", kind))  # noqa: B023
    for name, array in plain[0].items():
        np.testing.assert_array_equal(array, less[0][name])
    rows = MICRO * 8 * 16 * 8  # bytes of (B, T, C)
    if kind == "full":  # the input of each layer, and what the ends keep
        assert less[1] < plain[1] / 4
        assert less[1] >= CONFIG.layers * rows
    else:
        assert plain[1] / 4 < less[1] < plain[1]


def test_the_measured_peak_of_full_recomputing() -> None:
    """Bytes that NumPy held at once, counted by the allocator: fewer than without."""
    import tracemalloc

    deep = CONFIG.replace(layers=8, context=64)
    ids = np.random.default_rng(0).integers(0, 20, (8, 65))
    peaks = {}
    for recompute in (False, True):
        model = Transformer(deep, seed=0, dtype=np.float64)
        model.stack.recompute = recompute
        model.loss(ids[:, :-1], ids[:, 1:]).backward()  # compiles, and makes the gradients' room
        tracemalloc.start()
        model.loss(ids[:, :-1], ids[:, 1:]).backward()
        peaks[recompute] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[True] < 0.4 * peaks[False]


# ------------------------------------------------------------------------------ the tape's part


def test_hooks_after_accumulation_fire_before_backward_ends() -> None:
    x = Tensor(np.ones(3), requires_grad=True)
    first, second = (Tensor(np.full(3, float(n)), requires_grad=True) for n in (2, 3))
    seen = []
    removes = [
        p.register_post_accumulate_grad_hook(lambda p: seen.append((p, first.grad is None)))
        for p in (first, second)
    ]
    y = x * first * first * second
    y.backward(np.ones(3))
    assert [row[0] is p for row, p in zip(seen, (second, first), strict=True)] == [True, True]
    assert [row[1] for row in seen] == [True, False]
    np.testing.assert_array_equal(first.grad, np.full(3, 12.0))  # of both uses
    for remove in removes:
        remove()
    (x * first).backward(np.ones(3))
    assert len(seen) == 2
    with pytest.raises(InputError, match="needs a leaf"):
        y.register_post_accumulate_grad_hook(print)
