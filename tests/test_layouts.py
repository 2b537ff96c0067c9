"""Any product of kinds of parallelism trains the model of one process."""

import functools

import numpy as np
import pytest

from minilm import InputError
from minilm.backend import IGNORE
from minilm.models import (
    Config,
    Rope,
    Transformer,
    gemma2,
    gemma3,
    gpt2,
    gpt_neox,
    llama,
    olmo2,
    qwen3,
)
from minilm.optim import SGD, AdamW
from minilm.parallel import Layout, ParallelModel, simulate

SIZES = {"layers": 4, "heads": 4, "channels": 16, "vocab_size": 24, "context": 16}
CONFIGS = {
    "gpt2": gpt2(**SIZES),  # learned positions, layer norms, biases, tied
    "llama": llama(**SIZES, kv_heads=4, ff=32),  # RoPE, RMS norms, gated, untied
    "grouped": Config(**SIZES, kv_heads=2, positions="rope", norm="rms"),
    "qwen3": qwen3(**SIZES, kv_heads=2, head_size=6, ff=32),
    "gemma2": gemma2(
        **SIZES, kv_heads=2, head_size=4, ff=32, window=5, attention_cap=3.0, logit_cap=4.0
    ),
    "gemma3": gemma3(**SIZES, kv_heads=4, head_size=4, ff=32, window=5, global_every=3),
    "gpt-neox": gpt_neox(**SIZES, rope=Rope(fraction=0.5)),
    "olmo2": olmo2(**SIZES, kv_heads=2, ff=32),
}
STEPS = 20


def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(step)
    ids = rng.integers(0, 24, (8, 17))
    targets = np.where(rng.random((8, 16)) < 0.2, IGNORE, ids[:, 1:])  # shares differ
    return ids[:, :-1], targets


def adamw(groups):
    return AdamW(groups, lr=1e-2)


def apart(p):
    return {} if p.ndim >= 2 else {"weight_decay": 0.0}


@functools.cache
def alone(name: str, dtype: str, steps: int) -> tuple[dict[str, np.ndarray], list[float]]:
    """Weights, and the losses, of one process."""
    model = Transformer(CONFIGS[name], seed=0, dtype=np.dtype(dtype))
    optimizer = adamw([{"params": [p], **apart(p)} for p in model.parameters()])
    losses = []
    for step in range(steps):
        loss = model.loss(*batch(step))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return model.state_dict(), losses


def worker(comm, name, dtype, steps, layout, options):
    model = Transformer(CONFIGS[name], seed=0, dtype=np.dtype(dtype))
    own = ParallelModel(layout.on(comm), model, adamw, settings=apart, **options)
    losses = []
    for step in range(steps):
        losses.append(own.gradients(*batch(step)))
        own.step()
    return own.state(), losses


RUNS = {
    "dp, uneven": ("gpt2", Layout(dp=3), {"zero": 1}),
    "dp, zero 3": ("llama", Layout(dp=2), {"zero": 3, "overlap": True}),
    "zero 3, micro-batches": ("gpt2", Layout(dp=2), {"zero": 3, "micro": 2, "overlap": True}),
    "zero 3, zb-h1": ("gpt2", Layout(pp=2, dp=2), {"zero": 3, "micro": 2, "schedule": "zb-h1"}),
    "tp": ("gpt2", Layout(tp=4), {}),
    "tp, grouped": ("grouped", Layout(tp=2), {}),
    "tp, norms of heads": ("qwen3", Layout(tp=2), {}),
    "tp by tokens, norms of heads": ("qwen3", Layout(tp=2, sequence=True), {}),
    "tp by tokens, four norms, caps": ("gemma2", Layout(tp=2, sequence=True), {}),
    "tp, side by side": ("gpt-neox", Layout(tp=2, sequence=True), {}),
    "pp, layers that take turns": ("gemma3", Layout(pp=2), {"micro": 2}),
    "pp, one norm of all heads": ("olmo2", Layout(pp=2), {"micro": 2}),
    "ring, norms of heads": ("qwen3", Layout(cp=2), {}),
    "tp by tokens": ("gpt2", Layout(tp=2, sequence=True), {}),
    "tp by tokens, untied": ("llama", Layout(tp=2, sequence=True), {}),
    "gpipe": ("gpt2", Layout(pp=4), {"micro": 4, "schedule": "gpipe"}),
    "1f1b": ("gpt2", Layout(pp=2), {"micro": 4}),
    "interleaved": ("llama", Layout(pp=2, pieces=2), {"micro": 4, "schedule": "interleaved"}),
    "zb-h1": ("gpt2", Layout(pp=2), {"micro": 4, "schedule": "zb-h1"}),
    "pp, zero 2": ("gpt2", Layout(pp=2, dp=2), {"micro": 2, "zero": 2}),
    "zigzag ring": ("llama", Layout(cp=4), {}),
    "plain ring": ("gpt2", Layout(cp=2, zigzag=False), {}),
    "ulysses": ("llama", Layout(cp=2, ulysses=2), {}),
    "ring of ulysses": ("gpt2", Layout(cp=4, ulysses=2), {}),
    "ulysses, grouped": ("grouped", Layout(cp=2, ulysses=2), {"recompute": "full"}),
    "cp by tokens": ("llama", Layout(cp=2, tp=2, sequence=True), {"recompute": "selective"}),
}


@pytest.mark.parametrize("run", RUNS)
def test_trains_as_one_process(run: str) -> None:
    name, layout, options = RUNS[run]
    wanted, losses = alone(name, "float64", STEPS)
    # Behind a norm gradients are small, and AdamW, which divides by their size, enlarges rounding.
    behind = CONFIGS[name].norm_position in ("inside", "both")
    exact = {"rtol": 0, "atol": 1e-7 if behind else 1e-12}
    for state, found in simulate(
        worker, layout.ranks, name, "float64", STEPS, layout, options
    ).values:
        assert state.keys() == wanted.keys()
        np.testing.assert_allclose(found, losses, **exact)
        for key, array in state.items():
            np.testing.assert_allclose(array, wanted[key], **exact, err_msg=key)


def test_everything_at_once_on_16_ranks() -> None:
    layout = Layout(dp=2, tp=2, pp=2, cp=2, sequence=True)
    options = {"micro": 2, "zero": 1, "schedule": "zb-h1"}
    wanted, losses = alone("gpt2", "float64", STEPS)
    run = simulate(worker, 16, "gpt2", "float64", STEPS, layout, options)
    for state, found in run.values:
        np.testing.assert_allclose(found, losses, rtol=0, atol=1e-12)
        for key, array in state.items():
            np.testing.assert_allclose(array, wanted[key], rtol=0, atol=1e-12, err_msg=key)


def test_one_rank_has_the_same_bits() -> None:
    wanted, losses = alone("gpt2", "float32", STEPS)
    ((state, found),) = simulate(worker, 1, "gpt2", "float32", STEPS, Layout(), {}).values
    assert found == losses
    for key, array in state.items():
        np.testing.assert_array_equal(array, wanted[key], err_msg=key)


def test_all_ranks_and_all_stages_of_zero_have_the_same_bits() -> None:
    """Sums are taken in the order of ranks, whatever is shared out."""
    states = [
        simulate(worker, 4, "llama", "float32", 5, Layout(dp=4), {"zero": stage}).values
        for stage in range(4)
    ]
    first = states[0][0][0]
    for state, _ in (one for run in states for one in run):
        for key, array in state.items():
            np.testing.assert_array_equal(array, first[key], err_msg=key)


@pytest.mark.parametrize("layout", [Layout(dp=2, tp=2), Layout(pp=2, cp=2)], ids=str)
def test_float32(layout: Layout) -> None:
    """Plain gradient descent: Adam divides rounding errors by rounding errors where a bias has no
    gradient, as that of the keys."""

    def sgd(groups):
        return SGD(groups, lr=0.1)

    whole = Transformer(CONFIGS["gpt2"], seed=0)
    optimizer = sgd(whole.parameters())
    for step in range(STEPS):
        whole.loss(*batch(step)).backward()
        optimizer.step()
        optimizer.zero_grad()

    def run(comm):
        own = ParallelModel(layout.on(comm), Transformer(CONFIGS["gpt2"], seed=0), sgd, micro=2)
        for step in range(STEPS):
            own.gradients(*batch(step))
            own.step()
        return own.state()

    for state in simulate(run, layout.ranks).values:
        for key, array in whole.state_dict().items():
            np.testing.assert_allclose(state[key], array, rtol=0, atol=1e-6, err_msg=key)


@pytest.mark.parametrize(
    "layout", [Layout(dp=2), Layout(tp=2, pp=2), Layout(tp=2, cp=2, sequence=True)], ids=str
)
def test_the_norm_counts_every_parameter_once(layout: Layout) -> None:
    model = Transformer(CONFIGS["gpt2"], seed=0, dtype=np.float64)
    model.loss(*batch(0)).backward()
    wanted = np.sqrt(sum((p.grad**2).sum() for p in model.parameters()))

    def run(comm):
        whole = Transformer(CONFIGS["gpt2"], seed=0, dtype=np.float64)
        own = ParallelModel(layout.on(comm), whole, adamw, zero=comm.size // layout.ranks)
        own.gradients(*batch(0))
        return own.norm()

    assert simulate(run, layout.ranks).values == pytest.approx([wanted] * layout.ranks, rel=1e-12)


# ------------------------------------------------------------------------------ places


def test_every_rank_has_one_place() -> None:
    layout = Layout(dp=2, tp=3, pp=2, cp=4)
    places = [layout.coordinates(rank) for rank in range(layout.ranks)]
    assert len(set(places)) == layout.ranks == 48
    assert [layout.rank_at(at) for at in places] == list(range(48))
    assert [at.tp for at in places[:4]] == [0, 1, 2, 0]  # neighbours share matrices


def test_groups_are_those_that_differ_in_one_coordinate() -> None:
    layout = Layout(dp=2, tp=2, pp=3, cp=2)

    def run(comm):
        here = layout.on(comm)
        own = np.array([comm.rank])
        return [
            sorted(int(x[0]) for x in group.all_gather(own))
            for group in (here.tp, here.cp, here.dp, here.pp, here.data, here.model)
        ] + [None if here.ends is None else here.ends.size]

    found = simulate(run, layout.ranks).values
    assert found[0] == [
        [0, 1],
        [0, 2],
        [0, 4],
        [0, 8, 16],
        [0, 2, 4, 6],
        [0, 1, 8, 9, 16, 17],
        2,
    ]
    assert [row[-1] for row in found] == [2] * 8 + [None] * 8 + [2] * 8


# ------------------------------------------------------------------------------ refusals

GPT = CONFIGS["gpt2"]
REFUSED = {
    "ranks": (lambda: Layout(dp=2, tp=2).check_fit(6), "takes 4 ranks; there are 6"),
    "below one": (lambda: Layout(dp=0), "dp is 0; it must be at least 1"),
    "ulysses": (lambda: Layout(cp=4, ulysses=3), "ulysses is 3; it must divide cp, which is 4"),
    "experts": (lambda: Layout(dp=4, ep=3), "ep is 3; it must divide dp, which is 4"),
    "heads": (lambda: Layout(tp=3).check_fit(3, GPT), "heads is 4; it must be a multiple of tp, 3"),
    "kv": (lambda: Layout(tp=4).check_fit(4, CONFIGS["grouped"]), "kv_heads is 2"),
    "vocabulary": (
        lambda: Layout(tp=4).check_fit(4, GPT.replace(vocab_size=30)),
        "vocab_size is 30; it must be a multiple of tp, 4",
    ),
    "layers": (lambda: Layout(pp=5).check_fit(5, GPT), "layers is 4; there must be one for each"),
    "text": (lambda: Layout(cp=3).check_fit(3, GPT), "context is 16; it must be a multiple of 6"),
    "batch": (
        lambda: Layout(dp=4).check_fit(4, GPT, 8, 16, 4),
        "batch is 8; it must have a sequence",
    ),
    "positions": (
        lambda: Layout(cp=2).check_fit(2, GPT.replace(positions="alibi")),
        "positions is 'alibi'; over ranks it must be learned",
    ),
    "dropout": (lambda: Layout().check_fit(1, GPT.replace(dropout=0.1)), "dropout is 0.1"),
    "window": (lambda: Layout(cp=2).check_fit(2, GPT.replace(window=4)), "window is 4"),
    "cap": (
        lambda: Layout(cp=2).check_fit(2, GPT.replace(attention_cap=4.0)),
        "attention_cap is 4.0; a text that is cut",
    ),
    "norm of all heads": (
        lambda: Layout(tp=2).check_fit(2, CONFIGS["olmo2"]),
        "qk_norm is 'all'; heads that are shared",
    ),
    "kind": (
        lambda: Layout().check_fit(1, GPT.replace(kind="encoder")),
        "the model is a 'encoder'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_a_sentence(name: str) -> None:
    call, words = REFUSED[name]
    with pytest.raises(InputError, match=words):
        call()


def test_refused_before_any_work() -> None:
    def run(comm, **options):
        model = Transformer(GPT, seed=0)
        return ParallelModel(Layout(pp=2, pieces=2).on(comm), model, adamw, **options)

    with pytest.raises(InputError, match="the schedule must be 'interleaved'"):
        simulate(lambda comm: run(comm), 2)
    with pytest.raises(InputError, match="recompute is 'all'"):
        simulate(lambda comm: run(comm, schedule="interleaved", micro=2, recompute="all"), 2)
    with pytest.raises(InputError, match="batches is 3; interleaved needs a multiple of 2"):
        simulate(lambda comm: run(comm, schedule="interleaved", micro=3), 2)
