"""16-bit training on the stand-in for CuPy: loss scale, masters, the loop, checkpoints."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm import backend, kernels, optim
from minilm.errors import InputError
from minilm.kernels.attention import products, reference
from minilm.models import Transformer, gpt2, llama
from minilm.tensor import Tensor
from minilm.train import checkpoints, train
from minilm.train.engine import Diverged

from . import fake_cupy
from .helpers import DTYPES, arrays, assert_close, error, wide

HALVES = ("bfloat16", "float16")
SMALL = {"vocab_size": 61, "context": 24, "layers": 1, "heads": 1, "channels": 64}


def grouped(**sizes):
    return llama(**sizes, kv_heads=1, ff=64)


@pytest.fixture
def cupy():
    with fake_cupy.installed() as module:
        yield module


# --- the loss scale -----------------------------------------------------------------------------


@given(
    steps=st.lists(st.booleans(), max_size=60),
    patience=st.integers(1, 5),
    start=st.integers(0, 24),
)
@settings(deadline=None)
def test_the_loss_scale_follows_its_rule(steps, patience, start):
    scale = backend.LossScale(2.0**start, patience)
    for number, finite in enumerate(steps):
        before = scale.value
        goes_on = scale.update(finite)
        run = 0  # good steps in a row up to here
        while run <= number and steps[number - run]:
            run += 1
        if not finite:
            assert scale.value == max(1.0, before / 2)
            assert goes_on == (before > 1)
        else:
            # Overflows restart the count; doublings come every `patience` steps after one.
            assert goes_on and scale.value == min(
                2.0**24, before * 2 if run % patience == 0 else before
            )
        assert math.frexp(scale.value)[0] == 0.5 and 1 <= scale.value <= 2.0**24


def test_a_fixed_scale_and_what_is_refused():
    fixed = backend.Precision("bfloat16").loss_scale()
    assert fixed.value == 1 and fixed.update(True) and not fixed.update(False) and fixed.value == 1
    for wrong in ({"value": 3.0}, {"value": 0.5}, {"value": 2.0**25}, {"patience": 0}):
        with pytest.raises(InputError):
            backend.LossScale(**wrong)
    copy = backend.LossScale()
    copy.restore({"value": 8.0, "good": 3})
    assert copy.state() == {"value": 8.0, "good": 3}


def test_16_bits_are_for_gpus():
    for name in HALVES:
        with pytest.raises(InputError, match=f"dtype '{name}' needs device 'cuda'; on the CPU use"):
            backend.precision(name, gpu=False)
        assert backend.precision(name).half and str(backend.precision(name).dtype) == name
    assert not backend.precision("float64", gpu=False).half
    with pytest.raises(InputError, match="dtype is 'int8'; allowed are float32, bfloat16"):
        backend.precision("int8")


# --- masters ------------------------------------------------------------------------------------

MAKERS = {
    "AdamW": lambda p: optim.AdamW(p, lr=1e-4, weight_decay=0.1),
    "Adam": lambda p: optim.Adam(p, lr=1e-4),
    "SGD": lambda p: optim.SGD(p, lr=1e-3, momentum=0.9),
    "Lion": lambda p: optim.Lion(p, lr=1e-5),
}


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", MAKERS)
def test_masters_take_the_steps_that_16_bits_would_lose(cupy, name, dtype):
    """Against the same optimizer in float64 on the same gradients."""
    (start,) = arrays(0, dtype, (5, 7))
    low = Tensor(cupy.asarray(start), requires_grad=True)
    exact = Tensor(start.astype(np.float64), requires_grad=True)
    ours, right = MAKERS[name]([low]), MAKERS[name]([exact])
    rng = np.random.default_rng(1)
    for _ in range(40):
        gradient = rng.standard_normal(start.shape).astype(start.dtype)
        low.grad = cupy.asarray((gradient.astype(np.float32) * 64).astype(start.dtype))
        exact.grad = low.grad.get().astype(np.float64) / 64
        ours.step(0.5, factor=1 / 64)
        right.step(0.5)
    master = ours.state[0]["master"].get()
    assert master.dtype == np.float32
    moved = np.abs(exact.data - start.astype(np.float64)).max()
    rounding = 40 * 2.0**-23 * np.abs(exact.data).max()  # of 40 additions in float32
    assert moved > 10 * rounding and np.abs(master - exact.data).max() < rounding
    assert (low.data.get() == master.astype(start.dtype)).all()


def test_a_state_is_taken_over_whole(cupy):
    (start,) = arrays(2, "bfloat16", (4,))
    ones = [Tensor(cupy.asarray(start), requires_grad=True) for _ in range(2)]
    first, second = (optim.AdamW([one], lr=1e-3) for one in ones)
    for _ in range(3):
        ones[0].grad = cupy.asarray(start)
        first.step()
    second.load_state_dict(first.state_dict())
    assert (ones[1].data.get() == ones[0].data.get()).all()
    assert (second.state[0]["master"].get() == first.state[0]["master"].get()).all()


@pytest.mark.parametrize("dtype", [*HALVES, "float32"])
def test_the_norm_of_all_gradients(cupy, dtype):
    host = arrays(3, dtype, (70, 70), (5,), (4097,), (1,))
    found = kernels.sum_squares([cupy.asarray(a) for a in host])
    assert found == pytest.approx(sum((a.astype(np.float64) ** 2).sum() for a in host), rel=1e-6)
    host[1][0] = np.inf
    assert math.isinf(kernels.sum_squares([cupy.asarray(a) for a in host]))


# --- attention that the fused kernel does not take ----------------------------------------------


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("case", ["mask", "bias", "window", "small heads"])
def test_attention_by_products(cupy, case, dtype):
    b, h, groups, t, s, d = 2, 4, 2, 7, 9, 24 if case == "small heads" else 64
    host = arrays(4, dtype, (b, h, t, d), (b, groups, s, d), (b, groups, s, d), (b, h, t, d))
    rng = np.random.default_rng(5)
    mask = rng.random((b, 1, t, s)) < 0.7 if case == "mask" else None
    if mask is not None:
        mask[0, 0, 2] = False  # a query that sees nothing
    bias = rng.standard_normal((h, t, s)).astype(host[0].dtype) if case == "bias" else None
    how = (case != "mask", 3 if case == "window" else None, d**-0.5)
    there = [None if a is None else cupy.asarray(a) for a in (*host, mask, bias)]
    q, k, v, g, own_mask, own_bias = there
    out, lse = products.attention(q, k, v, own_mask, own_bias, *how)
    exact = wide(*host[:3])
    wide_bias = None if bias is None else bias.astype(np.float64)
    right, right_lse = reference.attention(*exact, mask, wide_bias, *how)
    assert_close(out.get(), right, dtype, "out", 2)
    seen = np.isfinite(right_lse)
    np.testing.assert_allclose(lse.get()[seen], right_lse[seen], rtol=1e-3, atol=1e-4)
    ours = products.attention_backward(g, q, k, v, out, lse, own_mask, own_bias, *how)
    wanted = reference.attention_backward(
        wide(host[3]), *exact, right, right_lse, mask, wide_bias, *how
    )
    for mine, true in zip(ours, wanted):
        if true is not None:
            assert_close(mine.get(), true, dtype, case, 3)


# --- the whole model ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("make", [gpt2, grouped])
def test_loss_and_gradients_of_a_16_bit_model(cupy, make, dtype):
    """Against the float64 model of the same rounded weights: no worse than rounding allows."""
    config = make(**SMALL)
    low = Transformer(config, seed=1).to(device="cuda", dtype=DTYPES[dtype])
    exact = Transformer(config, seed=1, dtype=np.float64)
    for a, b in zip(exact.parameters(), low.parameters(), strict=True):
        a.data[...] = b.data.get().astype(np.float64)
    ids = np.random.default_rng(0).integers(0, 61, (2, 13))
    with kernels.use("reference"):
        right = exact.loss(ids[:, :-1], ids[:, 1:])
        right.backward()
    loss = low.loss(ids[:, :-1], ids[:, 1:])
    assert loss.dtype == np.float32 and loss.item() == pytest.approx(right.item(), rel=2e-3)
    scale = 1024.0
    loss.backward(cupy.full((), scale, dtype=np.float32))
    tolerance = {"float16": 8e-3, "bfloat16": 6e-2}[dtype]
    largest = max(np.linalg.norm(p.grad) for p in exact.parameters())
    for (name, a), b in zip(exact.named_parameters(), low.parameters()):
        assert str(b.grad.dtype) == dtype, name
        if np.linalg.norm(a.grad) > 1e-3 * largest:
            assert error(b.grad.get().astype(np.float64) / scale, a.grad) < tolerance, name


@pytest.mark.parametrize("dtype", HALVES)
def test_training_learns_as_in_float32(cupy, dtype, tmp_path):
    tokens = np.tile(np.arange(7, dtype=np.int32), 60)
    how = {"batch": 4, "context": 7, "progress": False, "lr": 1e-2, "accumulate": 2, "warmup": 1}
    losses = []
    for kind, device in ((np.float32, "cpu"), (DTYPES[dtype], "cuda")):
        model = Transformer(grouped(**SMALL), seed=0).to(device=device, dtype=kind)
        losses.append(train(model, tokens, 5, **how).losses)
    assert losses[0][-1] < 0.8 * losses[0][0]
    np.testing.assert_allclose(losses[1], losses[0], rtol=4e-2)


def test_resumed_16_bit_training_is_the_same_bit_for_bit(cupy, tmp_path):
    tokens = np.random.default_rng(1).integers(0, 61, 400).astype(np.int32)
    how = {"batch": 2, "context": 8, "progress": False, "warmup": 0}
    schedule = {"schedule": lambda step: 1.0}
    dtype = DTYPES["float16"]

    def fresh():
        return Transformer(gpt2(**SMALL), seed=0).to(device="cuda", dtype=dtype)

    whole = fresh()
    right = train(whole, tokens, 2, **how, **schedule)
    train(fresh(), tokens, 1, **how, **schedule, out=tmp_path / "run")
    saved, _ = checkpoints.load_arrays(tmp_path / "run" / checkpoints.MODEL)
    assert {a.dtype for a in saved.values()} == {np.dtype(np.float32)}
    rounded = fresh()
    rounded.load_state_dict(saved)
    some = saved["tokens.weight"]
    assert (rounded.tokens.weight.data.get() == some.astype(dtype)).all()
    assert (some != some.astype(dtype)).any(), "the masters are saved, not their roundings"
    model = fresh()
    run = train(model, tokens, 2, **how, **schedule, out=tmp_path / "run", resume=True)
    assert run.losses == right.losses and run.loss_scale.state() == right.loss_scale.state()
    for a, b in zip(model.parameters(), whole.parameters()):
        assert (a.data.get() == b.data.get()).all()


class Explosive:
    """A model of one weight whose gradient is what the test says, times the loss scale."""

    config = None

    def __init__(self, cupy, gradients, dtype):
        self.weight = Tensor(cupy.asarray(np.ones(3, dtype)), requires_grad=True)
        self.gradients, self.cupy = iter(gradients), cupy

    def parameters(self):
        return [self.weight]

    def named_parameters(self):
        return iter([("weight", self.weight)])

    def train(self):
        pass

    def eval(self):
        pass

    def loss(self, x, y):
        owner, slope = self, next(self.gradients)

        class Loss:
            data = owner.cupy.full((), 1.0, dtype=np.float32)

            @staticmethod
            def backward(grad, into):
                scaled = np.full(3, slope, np.float32) * grad.get()
                with np.errstate(over="ignore"):
                    into[owner.weight] = owner.cupy.asarray(scaled.astype(owner.weight.dtype))

        return Loss


def test_overflowing_steps_are_left_out_and_the_scale_finds_its_size(cupy):
    def source():
        while True:
            yield np.zeros((1, 1), np.int32), np.zeros((1, 1), np.int32)

    model = Explosive(cupy, [4.0] * 5, np.float16)  # 4 * 2**16 and 4 * 2**15 are infinite
    run = train(model, source(), 5, batch=1, context=1, progress=False, clip=1e9, lr=1e-3,
                schedule=lambda step: 1.0)  # fmt: skip
    assert [row["norm"] is None for row in run.log.rows] == [True, True, True, False, False]
    assert [row["loss_scale"] for row in run.log.rows] == [2.0**x for x in (16, 15, 14, 13, 13)]
    assert run.log.rows[-1]["norm"] == pytest.approx(4 * math.sqrt(3), rel=1e-3)
    # Two steps of AdamW's sign: about 2 lr, in float32 and not in float16.
    assert np.abs(model.weight.data.get() - (1 - 2e-3)).max() < 6e-4
    hopeless = Explosive(cupy, [np.inf] * 40, np.float16)
    with pytest.raises(Diverged, match="training stopped at step 17"):
        train(hopeless, source(), 40, batch=1, context=1, progress=False, schedule=lambda s: 1.0)
    plain = Explosive(cupy, [np.nan], DTYPES["bfloat16"])
    with pytest.raises(Diverged, match="step 1: .* the gradient of 'weight'"):
        train(plain, source(), 1, batch=1, context=1, progress=False)


def test_clipping_costs_no_pass_and_keeps_the_norm(cupy):
    def source():
        while True:
            yield np.zeros((1, 1), np.int32), np.zeros((1, 1), np.int32)

    model = Explosive(cupy, [100.0], np.float32)
    made = optim.SGD(model.parameters(), lr=1.0)
    train(model, source(), 1, batch=1, context=1, progress=False, clip=0.5, optimizer=made,
          schedule=lambda step: 1.0)  # fmt: skip
    assert np.linalg.norm(model.weight.data.get() - 1) == pytest.approx(0.5, rel=1e-5)


def test_a_step_too_large_for_the_memory_is_one_sentence(cupy):
    model = Transformer(gpt2(**SMALL), seed=0).to(device="cuda")
    model.loss = lambda x, y: (_ for _ in ()).throw(MemoryError())
    tokens = np.arange(60, dtype=np.int32)
    with pytest.raises(InputError, match="8 sequences of 6 tokens does not fit .* batch 4 with"):
        train(model, tokens, 1, batch=8, context=6, progress=False)


def test_the_command_trains_in_bfloat16_on_a_gpu_and_says_where_it_cannot(
    cupy, tmp_path, capsys, monkeypatch
):
    from minilm.cli import main

    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat. " * 300, encoding="utf-8")
    recipe = tmp_path / "recipe.json"
    recipe.write_text(
        '{"model": {"layers": 1, "heads": 1, "channels": 32, "context": 16}, "vocab_size": 260,'
        ' "steps": 2, "batch": 2, "warmup": 1}',
        encoding="utf-8",
    )
    how = ["train", "--text", str(text), "--config", str(recipe), "--dtype", "bfloat16"]
    out = ["--out", str(tmp_path / "run")]
    assert main([*how, *out]) == 2
    said = "dtype 'bfloat16' needs device 'cuda'; on the CPU use float32 or float64\n"
    assert capsys.readouterr().err == f"minilm: --{said}"
    assert main([*how, *out, "--device", "cuda"]) == 0
    capsys.readouterr()
    model, _ = checkpoints.load(tmp_path / "run")
    assert model.tokens.weight.dtype == np.float32  # a checkpoint like any other
    assert main(["train", "--resume", str(tmp_path / "run"), "--steps", "3"]) == 2
    assert capsys.readouterr().err == f"minilm: {said}"
    again = ["train", "--resume", str(tmp_path / "run"), "--steps", "3", "--device", "cuda"]
    assert main(again) == 0
    capsys.readouterr()
    cupy.cuda.runtime.getDeviceCount = lambda: 0
    assert main([*how, "--out", str(tmp_path / "two"), "--device", "cuda"]) == 2
    said = capsys.readouterr().err
    assert (
        said == "minilm: --device 'cuda' needs an NVIDIA GPU and its driver; CuPy finds neither\n"
    )
