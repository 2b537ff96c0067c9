"""`minilm.use`: the package runs on somebody else's functions."""

import numpy as np
import pytest

import minilm
from minilm import InputError, Tensor, kernels
from minilm import functional as F


def q_k_v(seed: int = 0) -> list[Tensor]:
    rng = np.random.default_rng(seed)
    return [Tensor(rng.standard_normal((1, 2, 5, 4)), requires_grad=True) for _ in range(3)]


def my_softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def test_a_students_value_gets_the_packages_gradient() -> None:
    calls = []

    def softmax(x, axis=-1):
        calls.append(x.shape)
        return my_softmax(x, axis)

    inputs = q_k_v()
    F.attention(*inputs, causal=True).sum().backward()
    wanted = [x.grad for x in inputs]
    again = q_k_v()
    with minilm.use(softmax=softmax):
        out = F.attention(*again, causal=True)
        out.sum().backward()
    assert calls == [(1, 2, 5, 5)]
    for x, grad in zip(again, wanted, strict=True):
        assert np.allclose(x.grad, grad)
    assert "softmax" in minilm.swap.used()


def test_a_wrong_function_changes_the_result_and_then_it_is_over() -> None:
    x = np.array([[0.0, 1.0]])
    before = F.softmax(x).data
    with minilm.use(softmax=lambda x, axis=-1: np.zeros_like(x)):
        assert np.array_equal(F.softmax(x).data, np.zeros((1, 2)))
    assert np.array_equal(F.softmax(x).data, before)


def test_own_pullback_is_used() -> None:
    x = Tensor(np.ones(3), requires_grad=True)
    with minilm.use(exp=lambda x: (np.exp(x), lambda g: (g * 7,))):
        F.exp(x).sum().backward()
    assert np.array_equal(x.grad, np.full(3, 7.0))


def test_restored_after_an_error_and_nested() -> None:
    own = F.exp
    with pytest.raises(ZeroDivisionError), minilm.use(exp=lambda x: x):
        _ = 1 / 0
    assert F.exp is own
    with minilm.use(exp=lambda x: x * 0 + 1):
        with minilm.use(exp=lambda x: x * 0 + 2):
            assert F.exp(np.zeros(1)).item() == 2
        assert F.exp(np.zeros(1)).item() == 1


@pytest.mark.parametrize("name", ["log_softmax", "cross_entropy"])
def test_the_loss_runs_on_a_students_part(name: str) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((6, 4)), rng.standard_normal((5, 4))
    targets = np.array([0, 1, 2, 3, 4, -100])
    wanted = F.linear_cross_entropy(x, w, targets, z_loss=0.1, label_smoothing=0.1).item()
    calls = []

    def log_softmax(x, axis=-1):
        calls.append(1)
        return np.log(my_softmax(x, axis))

    if name == "log_softmax":
        with minilm.use(log_softmax=log_softmax):
            got = F.linear_cross_entropy(x, w, targets, z_loss=0.1, label_smoothing=0.1)
        assert calls
        assert np.isclose(got.item(), wanted)
    else:
        with minilm.use(cross_entropy=lambda logits, targets, **_: np.asarray(3.0)):
            assert F.linear_cross_entropy(x, w, targets).item() == 3


PARTS = {
    "self_attention": ((2, 5, 16), {"heads": 2, "kv_heads": 1, "causal": True}, "attention"),
    "feed_forward": ((3, 4), {"activation": "gelu_tanh"}, "gelu"),
    "gated_feed_forward": ((3, 4), {}, "silu"),
    "swiglu": ((3, 4), {}, "silu"),
    "geglu": ((3, 4), {}, "gelu"),
}


@pytest.mark.parametrize("name", PARTS)
def test_fused_primitives_equal_their_parts(name: str) -> None:
    shape, options, step = PARTS[name]
    rng = np.random.default_rng(0)
    shapes = {
        "self_attention": [shape],
        "feed_forward": [shape, (6, 4), (6,), (4, 6), (4,)],
        "gated_feed_forward": [shape, (6, 4), (6, 4), (4, 6)],
    }.get(name, [shape, shape])
    values = [rng.standard_normal(s) for s in shapes]
    own, called = getattr(F, step).arrays if hasattr(getattr(F, step), "arrays") else None, []

    def run() -> list[np.ndarray]:
        inputs = [Tensor(v.copy(), requires_grad=True) for v in values]
        out = getattr(F, name)(*inputs, **options)
        (out * out).sum().backward()
        return [out.data, *(x.grad for x in inputs)]

    fused = run()
    original = getattr(F, step)

    def spied(*args, **kwargs):
        called.append(1)
        return own(*args, **kwargs) if own else original(*args, **kwargs)

    with minilm.use(**{step: spied}):
        apart = run()
    assert called
    for a, b in zip(fused, apart, strict=True):
        assert np.allclose(a, b, atol=1e-12)


def test_unknown_names_are_refused() -> None:
    with (
        pytest.raises(InputError, match="got 'sofmax'; it takes names of public functions"),
        minilm.use(sofmax=my_softmax),
    ):
        pass


def test_a_class_of_a_higher_floor_can_be_replaced() -> None:
    from minilm import nn

    own = nn.LayerNorm

    class Mine(own):
        pass

    with minilm.use(LayerNorm=Mine):
        assert nn.LayerNorm is Mine
    assert nn.LayerNorm is own


def test_kernel_tiers() -> None:
    x = np.ones((2, 3), np.float32)
    assert kernels.in_use() == "auto"
    with kernels.use("reference"):
        assert kernels.in_use() == "reference"
        F.softmax(x)
    with kernels.use({"softmax": lambda x: x * 0}):
        assert not F.softmax(x).data.any()
    assert F.softmax(x).data.any()
    with pytest.raises(InputError, match="allowed are reference, cpu, cuda"), kernels.use("gpu"):
        pass
    with pytest.raises(InputError, match="kernels.use got"), kernels.use({"sofmax": my_softmax}):
        pass


# On the CPU NumPy's own product, sort or gather is the formula, or it is run once for a model.
FORMULA_IS_ENOUGH = {"sum_squares", "quantize", "dequantize"}
FORMULA_IS_ENOUGH |= {"sort_by_expert", "moe_permute"}
FORMULA_IS_ENOUGH |= {"linear_attention", "linear_attention_backward"}


def test_every_kernel_has_a_reference_and_a_fast_version() -> None:
    for name, kernel in kernels.kernels().items():
        assert callable(kernel.tier("reference"))
        assert kernel.has("cpu") != (name in FORMULA_IS_ENOUGH), kernel
